"""The client: ask a collection which of its pictures look like one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from .errors import InvalidInput
from .example_client import ExampleClient
from .images.sources import buffered
from .orb import DEFAULT_MIN_CONFIDENCE
from .querying.answers import Details
from .querying.batches import Asked, check_on_error
from .querying.regions import check_region
from .querying.requests import (
    check_confidence,
    check_parts,
    check_several,
    check_switches,
    request_of,
    score_threshold,
)
from .querying.selection import selection_of
from .shown import shown
from .where import as_where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np

    from .duplicates import DuplicateGroup
    from .images import ImageSource
    from .item_errors import ItemError
    from .querying.batches import OnError
    from .querying.regions import Region
    from .results import FeatureHit, Hit
    from .where import Where

__all__ = ["SearchClient"]


class SearchClient(ExampleClient):
    """Searches one collection. Thread-safe; a context manager.

    It follows the collection: a rebuilt one answers from then on, and what a call began with, it ends with. A call never mixes
    two generations. After `os.fork()` make a new client in the child; one of a directory says so.

    Opening it reads the collection's manifest. ONNX Runtime loads when a picture must first be encoded, OpenCV when
    features must first be extracted.

    Args:
        db: the directory of a database; the URL of a Qdrant server; the address of a Semblant service, `semblant://host:8765`
            (`semblants://` with TLS), which needs neither ONNX Runtime nor qdrant-client here; or an open `QdrantClient` or
            `Database`, which is used as it is and not closed.
        encoder: path of `encoder.onnx`, its bytes, or an `Encoder`; None takes the one that the database keeps.
        collection: name of the collection.
        api_key: for a server or service that asks for one.
        timeout: seconds that a server has for one call, with all its tries.
        retry: when to try a call to a server again (`semblant_search.store.RetryPolicy`).
        max_pixels: larger pictures are refused before they are decoded. One takes less than 32 bytes of memory for each pixel
            while it is decoded, beside its file: that many times `max_pixels` for each call at work.
        threads: CPU threads of ONNX Runtime for one call; None leaves it to the runtime.
        providers: ONNX Runtime execution providers in order of preference; None takes CUDA where it is there, else the CPU.
            This and `threads` are for encoders that are not given as an `Encoder`.
        refresh: seconds after which a call first looks whether the collection was rebuilt or got new fields, 0 or more.

    Raises:
        StoreError: the database cannot be opened (`NotADatabase`, `StoreLocked`, `StoreUnavailable`, `StoreDenied`) or has no
            such collection (`CollectionNotFound`).
        EncoderMismatch: the given encoder is not the one that made the collection's vectors.
        EncoderError: the given encoder is not an encoder.
    """

    def search(
        self,
        picture: ImageSource,
        limit: int = 10,
        *,
        where: str | Where | None = None,
        offset: int = 0,
        min_score: float | None = None,
        fpr: float | None = None,
        exact: bool = False,
        include_self: bool = False,
        region: Region | None = None,
        diversity: float | None = None,
        unique: bool = False,
        order_by: str | None = None,
        descending: bool = False,
        within_cluster: bool | int = False,
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
            fpr: leave out hits that are likely chance: of queries the like of which the collection does not hold, this share
                gets a hit all the same, above 0 and at most 1. 0.001 means the same for every encoder and collection, which a
                cosine does not. The stricter of it and `min_score` holds. With `where` it is on the safe side.
            exact: compare with every picture instead of walking the HNSW graph.
            include_self: keep the queried picture itself among the hits; otherwise one of the collection is left out.
            region: look for this part only, `(x, y, width, height)` in pixels or a mask `[h, w]`: each cell of it is compared
                with all cells of every picture (MaxSim), and the score is the mean of the best cosines. Needs an encoder with
                cells, and time that grows with the collection. `search_features` finds a region by its details instead.
            diversity: from 0 to 1, how much hits shall differ among each other: each next one of the 500 nearest is that of
                the largest `(1 - diversity) * cosine - diversity * largest cosine with a hit before` (maximal marginal
                relevance, Carbonell 1998). Beyond those 500 there are no hits.
            unique: one hit of each group of copies, the best one; `Hit.copies` counts the others, of all that match `where`.
                Copies are pictures whose embeddings have a cosine of .9999 or more; a point merged of several files counts
                as many.
            order_by: a field of whole numbers, numbers or dates: all pictures that `min_score` or `fpr` lets through, one of
                which must be given, in the order of their values, ties by id. Every picture is compared; those without a value
                are left out.
            descending: with `order_by`: begin with the highest value.
            within_cluster: compare only with the pictures of the cluster nearest to this one, or of so many clusters: fewer
                pictures, of which none belongs to another group, and hits beyond the cluster's edge are missed. Needs clusters
                (`semblant cluster`).

        Raises:
            InvalidInput: limit or offset out of range; a region without area or outside the picture, or of a collection whose
                encoder has no cells, or with `fpr`; options that exclude each other; `WhereError` for the filter.
            ImageError: the picture cannot be read or decoded.
            PointNotFound: a URI that is neither in the collection nor a local file.
            EncoderError: the picture must be encoded, and the collection's encoder is not at hand.
            NotIndexed: `fpr` of a collection that has not measured what chance scores in it, as one of fewer than 50 pictures;
                `within_cluster` of one that has no clusters.
            StoreError: the database fails.
        """
        request = request_of(limit, where, offset, exact=exact, min_score=min_score)
        chosen = (diversity, unique, order_by, descending)
        selection = selection_of(request, *chosen, fpr=fpr, region=region is not None, within_cluster=within_cluster)
        check_switches(include_self=include_self)
        if region is not None:
            check_region(region)
        picture = buffered(picture, self._max_pixels)
        return self._collection.by_look(picture, request, region, selection, include_self=include_self)

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
            NotIndexed: the collection was indexed without ORB; otherwise as `search` and `search_features`. A picture without
                details is no error here.
        """
        request = request_of(limit, where, offset, exact=exact, min_score=min_score)
        check_switches(include_self=include_self)
        check_parts(shared_parts)
        picture, details = buffered(picture, self._max_pixels), Details(shared_parts=shared_parts)
        return self._collection.fused(picture, request, details, include_self=include_self)

    @overload
    def search_batch(
        self,
        pictures: Iterable[ImageSource],
        limit: int = 10,
        *,
        where: str | Where | None = None,
        offset: int = 0,
        min_score: float | None = None,
        fpr: float | None = None,
        exact: bool = False,
        include_self: bool = False,
        region: Region | None = None,
        diversity: float | None = None,
        unique: bool = False,
        order_by: str | None = None,
        descending: bool = False,
        within_cluster: bool | int = False,
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
        fpr: float | None = None,
        exact: bool = False,
        include_self: bool = False,
        region: Region | None = None,
        diversity: float | None = None,
        unique: bool = False,
        order_by: str | None = None,
        descending: bool = False,
        within_cluster: bool | int = False,
        on_error: Literal["return"],
    ) -> list[list[Hit] | ItemError]: ...

    def search_batch(
        self,
        pictures: Iterable[ImageSource],
        limit: int = 10,
        *,
        where: str | Where | None = None,
        offset: int = 0,
        min_score: float | None = None,
        fpr: float | None = None,
        exact: bool = False,
        include_self: bool = False,
        region: Region | None = None,
        diversity: float | None = None,
        unique: bool = False,
        order_by: str | None = None,
        descending: bool = False,
        within_cluster: bool | int = False,
        on_error: OnError = "raise",
    ) -> list[Any]:
        """`search` for any number of pictures: a list of hits for each, in their order.

        Pictures are decoded one by one, encoded 16 together, and asked for in requests of 64, so that memory does not grow
        with their number but for the hits.

        Args:
            pictures: each as in `search`.
            limit, where, offset, min_score, fpr, exact, include_self: as in `search`, for each picture.
            region, diversity, unique, order_by, descending, within_cluster: as in `search`, for each picture; these take a
                request for each.
            on_error: what becomes of a picture that cannot be used. `raise` ends the call with an error that begins with its
                place, as `pictures[3]: …`; an `ImageError` has it as `index`, too. `return` puts that error where the hits of
                the picture would be, and goes on.

        Raises:
            ImageError, PointNotFound, InvalidInput: of a picture, or of the region in it, with `on_error="raise"`; else as
                `search`.
        """
        check_several(pictures, "search_batch")
        check_on_error(on_error)
        request = request_of(limit, where, offset, exact=exact, min_score=min_score)
        chosen = (diversity, unique, order_by, descending)
        selection = selection_of(request, *chosen, fpr=fpr, region=region is not None, within_cluster=within_cluster)
        check_switches(include_self=include_self)
        if region is not None:
            check_region(region)
        asked = Asked(request, selection, region)
        return self._collection.by_look_each(pictures, asked, include_self=include_self, on_error=on_error)

    def search_vector(
        self,
        vector: np.ndarray | Sequence[float],
        limit: int = 10,
        *,
        where: str | Where | None = None,
        offset: int = 0,
        min_score: float | None = None,
        fpr: float | None = None,
        exact: bool = False,
        ef_search: int | None = None,
        diversity: float | None = None,
        unique: bool = False,
        order_by: str | None = None,
        descending: bool = False,
        within_cluster: bool | int = False,
    ) -> list[Hit]:
        """The pictures whose embeddings are nearest to a vector by cosine, best first.

        Args:
            vector: `[D]` numbers, of any length but zero; it is compared by direction.
            limit, where, offset, min_score, fpr, exact: as in `search`.
            ef_search: candidates that HNSW keeps while it walks; more is slower and finds more of the true neighbours.
            diversity, unique, order_by, descending, within_cluster: as in `search`.

        Raises:
            InvalidInput: a vector of another size, or with values that are not finite.
        """
        request = request_of(limit, where, offset, exact=exact, min_score=min_score, ef_search=ef_search)
        chosen = (diversity, unique, order_by, descending)
        selection = selection_of(request, *chosen, fpr=fpr, within_cluster=within_cluster)
        return self._collection.by_vector(vector, request, selection)

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
            NotIndexed: the collection was indexed without ORB.
            InvalidInput: a region without area or outside the picture; shared parts with `verify=False`.
        """
        request = request_of(limit, where, offset)
        check_switches(include_self=include_self, verify=verify)
        check_parts(shared_parts, compared=verify)
        if region is not None:
            check_region(region)
        details = Details(region, verify, check_confidence(min_confidence), shared_parts)
        picture = buffered(picture, self._max_pixels)
        return self._collection.by_details(picture, request, details, include_self=include_self)

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
            DuplicatesInterrupted: Ctrl-C, of which it is a kind (`KeyboardInterrupt`); its `groups` are those found by then.
        """
        min_confidence, threshold = check_confidence(min_confidence), score_threshold(min_score)
        if on_progress is not None and not callable(on_progress):
            raise InvalidInput(f"on_progress {shown(on_progress)}: expected a function of a number, or None")
        return self._collection.duplicates(
            as_where(where), threshold, DEFAULT_MIN_CONFIDENCE if min_confidence is None else min_confidence, on_progress
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
        return self._collection.embed(pictures)
