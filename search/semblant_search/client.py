"""The client: ask a collection which of its pictures look like one."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, overload

from .collection import check_collection_name
from .errors import InvalidInput, StoreError
from .feature_reader import FeatureReader
from .images import DEFAULT_MAX_PIXELS
from .images.sources import buffered
from .lazy_encoder import LazyEncoder
from .orb import DEFAULT_MIN_CONFIDENCE
from .querying.batches import check_on_error, search_many
from .querying.fusion import by_cosine, fuse
from .querying.requests import (
    check_confidence,
    check_ef_search,
    check_limit,
    check_max_pixels,
    check_parts,
    check_several,
    check_vector,
    hits_of,
    request_of,
    score_threshold,
)
from .querying.resolving import cells_of, id_of, not_found, resolve
from .querying.shortlist import Shortlist
from .querying.verification import Proof, merged, unproven, verify_candidates
from .results import Picture, split_payload
from .store import Cells, Database, Nearest, Sparse, open_database
from .where import as_where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    import numpy as np
    from qdrant_client import QdrantClient

    from .collection import Manifest
    from .duplicates import DuplicateGroup
    from .encoder import Encoder
    from .errors import ImageError, PointNotFound
    from .feature_reader import PictureFeatures
    from .images import ImageSource
    from .querying.batches import OnError
    from .querying.regions import Region
    from .querying.resolving import ResolvedQuery
    from .results import FeatureHit, Hit
    from .store import Query, RetryPolicy, SearchRequest, Store
    from .where import Where

__all__ = ["SearchClient"]


class SearchClient:
    """Searches one collection. Thread-safe; a context manager.

    Opening it reads the collection's manifest. ONNX Runtime loads when a picture must first be encoded, OpenCV when
    features must first be extracted.

    Args:
        db: the directory of a database, the URL of a Qdrant server, or an open `QdrantClient` or `Database`, which is used as
            it is and not closed.
        encoder: path of `encoder.onnx`, its bytes, or an `Encoder`; None takes the one that the database keeps.
        collection: name of the collection.
        api_key: for a server that asks for one.
        timeout: seconds that a server has for one call, with all its tries.
        retry: when to try a call to a server again (`semblant_search.store.RetryPolicy`).
        max_pixels: larger pictures are refused before they are decoded. One takes less than 32 bytes of memory for each pixel
            while it is decoded, beside its file: that many times `max_pixels` for each call at work.

    Raises:
        StoreError: the database cannot be opened (`NotADatabase`, `StoreLocked`, `StoreUnavailable`, `StoreDenied`) or has no
            such collection (`CollectionNotFound`).
        EncoderMismatch: the given encoder is not the one that made the collection's vectors.
        EncoderError: the given encoder is not an encoder.
    """

    def __init__(
        self,
        db: str | os.PathLike[str] | QdrantClient | Database,
        encoder: str | os.PathLike[str] | bytes | Encoder | None = None,
        collection: str = "images",
        api_key: str | None = None,
        timeout: float = 30.0,
        *,
        retry: RetryPolicy | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
    ) -> None:
        check_collection_name(collection)
        if timeout <= 0:
            raise InvalidInput(f"timeout {timeout}: expected seconds, more than 0")
        self._max_pixels = check_max_pixels(max_pixels)
        self._owns_database = not isinstance(db, Database)
        self._database = db if isinstance(db, Database) else open_database(db, api_key=api_key, timeout=timeout, retry=retry)
        self._lock = threading.Lock()
        self._feature_reader: FeatureReader | None = None
        self._store: Store | None = None
        try:
            self._store = self._database.open(collection)
            self._encoder = LazyEncoder(self._store, encoder)
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        if self._store is None:
            return "SearchClient(closed)"
        return f"SearchClient({self._database.location!r}, collection={self.manifest.collection!r})"

    def __enter__(self) -> SearchClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Release the database; the client answers nothing afterwards. Closing twice is no error."""
        store, self._store = self._store, None
        if store is not None:
            store.close()
        if self._owns_database:
            self._database.close()

    @property
    def manifest(self) -> Manifest:
        """What the collection knows about itself: its encoder's card, its fields and their types, its ORB settings."""
        return self._opened.manifest

    def search(
        self,
        picture: ImageSource,
        limit: int = 10,
        *,
        where: str | Where | None = None,
        offset: int = 0,
        min_score: float | None = None,
        exact: bool = False,
        include_self: bool = False,
        region: Region | None = None,
    ) -> list[Hit]:
        """The pictures that look most like one, or hold something that looks like a region of it, best first.

        Args:
            picture: a path, the bytes of a picture file, an open binary file or `BytesIO`, a Pillow image, an array (uint8
                `[h, w]` or `[h, w, 1 | 3 | 4]`), or the URI or point id of a picture of the collection. One of the
                collection, by URI, id, or path of the unchanged file, is not encoded again: its stored vector is used.
            limit: hits at most, at least 1; beyond the collection means all of it.
            where: a filter, `'price < 100 and label == "Sneaker"'` or `(F("price") < 100) & (F("label") == "Sneaker")`.
            offset: hits to skip, for paging.
            min_score: leave out hits whose cosine is lower, by more than 10⁻⁶: 1.0 finds the picture itself and its copies,
                whose cosine is .99999994 where 32-bit floats round it so.
            exact: compare with every picture instead of walking the HNSW graph.
            include_self: keep the queried picture itself among the hits; otherwise one of the collection is left out.
            region: look for this part only, `(x, y, width, height)` in pixels or a mask `[h, w]`: each cell of it is compared
                with all cells of every picture (MaxSim), and the score is the mean of the best cosines. Needs an encoder with
                cells, and time that grows with the collection. `search_features` finds a region by its details instead.

        Raises:
            InvalidInput: limit or offset out of range; a region without area or outside the picture, or of a collection whose
                encoder has no cells; `WhereError` for the filter.
            ImageError: the picture cannot be read or decoded.
            PointNotFound: a URI that is neither in the collection nor a local file.
            EncoderError: the picture must be encoded, and the collection's encoder is not at hand.
            StoreError: the database fails.
        """
        request = request_of(limit, where, offset, exact=exact, min_score=min_score)
        if region is not None:
            query = resolve(self._opened, picture, with_cells=True)
            look: Query = Cells(cells_of(self._opened.manifest, self._encoder, query, region, self._max_pixels))
        else:
            query = resolve(self._opened, picture, with_image=True)
            look = Nearest(self._vector_of(query))
        return self._run(replace(request, query=look), None if include_self else query.id)

    def search_fused(
        self,
        picture: ImageSource,
        limit: int = 10,
        *,
        where: str | Where | None = None,
        offset: int = 0,
        min_score: float | None = None,
        exact: bool = False,
        include_self: bool = False,
        shared_parts: bool = False,
    ) -> list[FeatureHit]:
        """The pictures that look like one or share details with it: first those that are proven to, then all others.

        The others are in the order of reciprocal rank fusion of both answers. Each hit's score is the cosine of the embeddings,
        so that scores do not fall from hit to hit: a crop that is proven may look like something else as a whole.

        Args:
            picture, limit, where, offset, min_score, exact, include_self: as in `search`; `min_score` leaves out hits of a
                lower cosine, however they were found.
            shared_parts: as in `search_features`.

        Raises:
            StoreError: the collection was indexed without ORB; otherwise as `search` and `search_features`. A picture without
                details is no error here.
        """
        request = request_of(limit, where, offset, exact=exact, min_score=min_score)
        check_parts(shared_parts)
        store, reader, wanted = self._opened, self._features, request.limit + request.offset
        least = request.score_threshold
        picture = buffered(picture, self._max_pixels)
        query = resolve(store, picture, with_image=True, with_features=True)
        vector = self._vector_of(query)
        leave_out = None if include_self else query.id
        rankings = [Shortlist(store, replace(request, query=Nearest(vector)), leave_out)]
        proven: list[FeatureHit] = []
        seen = reader.of_resolved(query)
        if len(seen.features):  # flat pictures have a look only
            rankings.append(self._shortlist(seen, request, leave_out, all_fields=True))
            proof = Proof(DEFAULT_MIN_CONFIDENCE, 0.0 if shared_parts else None)
            proven = verify_candidates(store, reader, seen, rankings[1], proof, wanted)
        hits: list[FeatureHit] = []
        for found in fuse([ranking.first for ranking in rankings], proven):
            hits += [hit for hit in by_cosine(store, found, vector) if least is None or hit.score >= least]
            if len(hits) >= wanted:
                break
        return hits[request.offset : wanted]

    @overload
    def search_batch(
        self,
        pictures: Iterable[ImageSource],
        limit: int = 10,
        *,
        where: str | Where | None = None,
        offset: int = 0,
        min_score: float | None = None,
        exact: bool = False,
        include_self: bool = False,
        on_error: Literal["raise"] = "raise",
    ) -> list[list[Hit]]: ...

    @overload
    def search_batch(
        self,
        pictures: Iterable[ImageSource],
        limit: int = 10,
        *,
        where: str | Where | None = None,
        offset: int = 0,
        min_score: float | None = None,
        exact: bool = False,
        include_self: bool = False,
        on_error: Literal["return"],
    ) -> list[list[Hit] | ImageError | PointNotFound]: ...

    def search_batch(
        self,
        pictures: Iterable[ImageSource],
        limit: int = 10,
        *,
        where: str | Where | None = None,
        offset: int = 0,
        min_score: float | None = None,
        exact: bool = False,
        include_self: bool = False,
        on_error: OnError = "raise",
    ) -> list[Any]:
        """`search` for any number of pictures: a list of hits for each, in their order.

        Pictures are decoded one by one, encoded 16 together, and asked for in requests of 64, so that memory does not grow
        with their number but for the hits.

        Args:
            pictures: each as in `search`.
            limit, where, offset, min_score, exact, include_self: as in `search`, for each picture.
            on_error: what becomes of a picture that cannot be used. `raise` ends the call with an error that begins with its
                place, as `pictures[3]: …`; an `ImageError` has it as `index`, too. `return` puts that error where the hits of
                the picture would be, and goes on.

        Raises:
            ImageError, PointNotFound: of a picture, with `on_error="raise"`; else as `search`.
        """
        check_several(pictures, "search_batch")
        check_on_error(on_error)
        request = request_of(limit, where, offset, exact=exact, min_score=min_score)
        return list(
            search_many(
                self._opened,
                self._encoder,
                pictures,
                request,
                include_self=include_self,
                max_pixels=self._max_pixels,
                on_error=on_error,
            )
        )

    def search_vector(
        self,
        vector: np.ndarray | Sequence[float],
        limit: int = 10,
        *,
        where: str | Where | None = None,
        offset: int = 0,
        min_score: float | None = None,
        exact: bool = False,
        ef_search: int | None = None,
    ) -> list[Hit]:
        """The pictures whose embeddings are nearest to a vector by cosine, best first.

        Args:
            vector: `[D]` numbers, of any length but zero; it is compared by direction.
            limit, where, offset, min_score, exact: as in `search`.
            ef_search: candidates that HNSW keeps while it walks; more is slower and finds more of the true neighbours.

        Raises:
            InvalidInput: a vector of another size, or with values that are not finite.
        """
        request = request_of(limit, where, offset, exact=exact, min_score=min_score)
        query = Nearest(check_vector(vector, self.manifest))
        return self._run(replace(request, query=query, ef_search=check_ef_search(ef_search)))

    def search_features(
        self,
        picture: ImageSource,
        limit: int = 10,
        *,
        region: Region | None = None,
        where: str | Where | None = None,
        offset: int = 0,
        verify: bool = True,
        min_confidence: float | None = None,
        shared_parts: bool = False,
        include_self: bool = False,
    ) -> list[FeatureHit]:
        """The pictures that contain what one shows, each with the proof: crops, screenshots, pasted, turned and scaled copies.

        Visual words over ORB features, weighted by rarity, make a shortlist; geometry then proves or refutes each candidate.

        Args:
            picture, limit, where, offset, include_self: as in `search`.
            region: ask for a part of the picture only: `(x, y, width, height)` in its pixels, or a mask `[h, w]`.
            verify: False returns the shortlist as it is, in order of shared visual words, and needs no OpenCV for a picture
                of the collection.
            min_confidence: leave out hits that are less probable to be more than chance, 0 to 1; None takes 0.99, at which
                about one query in a hundred whose picture is not in the collection gets a hit; 0 keeps all candidates.
            shared_parts: return, after those, pictures that have a part in common with this one and no more, with the verdict
                `shared part` and its outline in both: the same place behind other things, the same object, print or logo.
                Those returned are at least 0.95 probable, or `min_confidence` where it is given and more; that is the share
                of such parts that were right when looked at. Takes the time of comparing all of the shortlist.

        Raises:
            NoFeaturesError: the picture or region is too flat or too small to have key points.
            MissingExtra: OpenCV is not installed (`semblant-search[orb]`).
            StoreError: the collection was indexed without ORB.
            InvalidInput: a region without area or outside the picture; shared parts with `verify=False`.
        """
        request = request_of(limit, where, offset)
        limit, offset, min_confidence = request.limit, request.offset, check_confidence(min_confidence)
        check_parts(shared_parts, compared=verify)
        query = resolve(self._opened, picture, with_features=True)
        store, reader, wanted = self._opened, self._features, offset + limit
        seen = reader.require(reader.of_resolved(query, region))
        leave_out = None if include_self else query.id
        shortlist = self._shortlist(seen, request, leave_out, all_fields=not verify)
        if not verify:
            return unproven(shortlist.first(wanted)[offset:])
        confidence = DEFAULT_MIN_CONFIDENCE if min_confidence is None else min_confidence
        least_part = None if not shared_parts else 0.0 if min_confidence is None else min_confidence
        hits = verify_candidates(store, reader, seen, shortlist, Proof(confidence, least_part), wanted)
        parts = [hit for hit in hits if hit.verdict == "shared part"]
        # A second look costs as much as the first, so it is for those that would go away with nothing.
        if len(parts) == len(hits) and (mirrored := reader.mirror(seen)) is not None and len(mirrored.features):
            shortlist = self._shortlist(mirrored, request, leave_out)
            found = verify_candidates(store, reader, mirrored, shortlist, Proof(confidence), wanted)
            hits = merged(parts, found) if parts else found
        return hits[offset:wanted]

    def duplicates(
        self,
        *,
        where: str | Where | None = None,
        min_score: float = 0.95,
        min_confidence: float | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> list[DuplicateGroup]:
        """Groups of files that are one and the same picture, largest first; each with the one to keep.

        Every file is read now: the same bytes are one content whatever they are called, and a name that is a link is no file.
        Copies (in another size, direction, format or compression) are proven by pixels, changed pictures (mirrored, framed,
        recoloured, watermarked) are a tier of their own. `Duplicate.removable` says which may go. Files that are not at hand,
        as behind URLs, are copies by the hash of their bytes only; by details they are at most `changed`.

        Args:
            where: look among these pictures only.
            min_score: for files that are not at hand: least cosine of a candidate, -1 to 1. Less finds more, slower.
            min_confidence: for files that are not at hand: least probability that an agreement of details is no chance, as in
                `search_features`.
            on_progress: called with the number of pictures read so far.

        Raises:
            MissingExtra: files are not at hand, and OpenCV is not installed (`semblant-search[orb]`).
        """
        from .duplicates import find_duplicates

        min_confidence, threshold = check_confidence(min_confidence), score_threshold(min_score)
        store = self._opened
        return find_duplicates(
            store,
            None if store.manifest.orb is None else lambda: self._features,
            where=as_where(where),
            min_score=threshold,
            min_confidence=DEFAULT_MIN_CONFIDENCE if min_confidence is None else min_confidence,
            max_pixels=self._max_pixels,
            on_progress=on_progress,
        )

    def embed(self, pictures: Iterable[ImageSource]) -> np.ndarray:
        """Embeddings by the collection's encoder, of any number of pictures: float32 `[N, D]`, unit length.

        Pictures are decoded one by one and encoded 16 together, so that memory grows by the embeddings only.

        Raises:
            ImageError: the first picture that cannot be used; the message begins with its place, as `pictures[3]: …`, which is
                its `index`, too. No row stands for such a picture: leave it out, and ask again.
            EncoderError: the collection's encoder is not at hand, or fails.
        """
        check_several(pictures, "embed")
        return self._encoder.load().encode_pictures(pictures, max_pixels=self._max_pixels)

    def count(self, where: str | Where | None = None) -> int:
        """How many pictures match a filter, exactly; all without one."""
        return self._opened.count(as_where(where))

    def facet(self, field: str, *, where: str | Where | None = None, limit: int = 100) -> dict[Any, int]:
        """The values of a field with the number of pictures that have each, most frequent first, at most `limit` values."""
        return self._opened.facet(field, where=as_where(where), limit=check_limit(limit))

    def get(self, picture: str | os.PathLike[str]) -> Picture:
        """One picture of the collection by URI, path or point id. Raises `PointNotFound`."""
        records = self._opened.retrieve([id_of(picture)])
        if not records:
            raise not_found(self._opened, picture)
        uri, metadata, facts = split_payload(records[0].payload)
        return Picture(id=records[0].id, uri=uri, metadata=metadata, facts=facts)

    def delete(self, pictures: Iterable[str | os.PathLike[str]]) -> int:
        """Remove pictures, given by URI, path or point id, from the collection, and say how many of them were in it.

        The files stay where they are.
        """
        if isinstance(pictures, (str, os.PathLike)):
            raise InvalidInput(f"delete({os.fspath(pictures)!r}): expected a list of pictures, not one")
        ids = [record.id for record in self._opened.retrieve(sorted({id_of(picture) for picture in pictures}))]
        if ids:
            self._opened.delete(ids)
        return len(ids)

    @property
    def _opened(self) -> Store:
        if self._store is None:
            raise StoreError("this SearchClient is closed; make a new one")
        return self._store

    def _run(self, query: SearchRequest, leave_out: str | None = None) -> list[Hit]:
        if leave_out is None:
            return hits_of(self._opened.query(query))
        # One more than asked for, and cut here: the picture itself need not come first among exact copies.
        wide = replace(query, limit=query.limit + query.offset + 1, offset=0)
        records = [record for record in self._opened.query(wide) if record.id != leave_out]
        return hits_of(records[query.offset : query.offset + query.limit])

    def _vector_of(self, query: ResolvedQuery) -> np.ndarray:
        """The stored vector of a picture of the collection, or what the encoder makes of another one: float32 `[D]`."""
        stored = query.record.image if query.record is not None else None
        if stored is not None:
            return stored
        encoder = self._encoder.load()
        vector: np.ndarray = encoder.encode(encoder.prepare(query.source, max_pixels=self._max_pixels)[None])[0]
        return vector

    def _shortlist(
        self, seen: PictureFeatures, request: SearchRequest, leave_out: str | None, *, all_fields: bool = False
    ) -> Shortlist:
        """Candidates by visual words. What is verified is read again with its features, so that its fields are not needed."""
        words = Sparse(self._features.vocabulary.sparse(seen.features))
        fields = None if all_fields else ()
        return Shortlist(
            self._opened, replace(request, query=words, exact=False, score_threshold=None, fields=fields), leave_out
        )

    @property
    def _features(self) -> FeatureReader:
        with self._lock:
            if self._feature_reader is None:
                self._feature_reader = FeatureReader(self._opened, max_pixels=self._max_pixels)
            return self._feature_reader
