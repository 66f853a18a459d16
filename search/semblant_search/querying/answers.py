"""How one generation answers: by look, by details, by both. A generation is asked once, from the picture to the hits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from semblant_search.errors import InvalidInput, StoreError
from semblant_search.orb import DEFAULT_MIN_CONFIDENCE
from semblant_search.store import Cells, Nearest, Sparse

from .background import LEAST_QUERIES
from .fusion import by_cosine, fuse
from .requests import hits_of
from .resolving import cells_of, resolve
from .shortlist import Shortlist
from .verification import Proof, merged, unproven, verify_candidates

if TYPE_CHECKING:
    import numpy as np

    from semblant_search.feature_reader import PictureFeatures
    from semblant_search.images import ImageSource
    from semblant_search.results import FeatureHit, Hit
    from semblant_search.serving import Generation
    from semblant_search.store import Query, SearchRequest

    from .regions import Region
    from .resolving import ResolvedQuery

__all__ = ["Details", "beyond_chance", "by_details", "by_look", "by_vector", "fused"]

_NOTHING = 2.0
"""A least score that no cosine reaches."""


@dataclass(frozen=True)
class Details:
    """How details are compared.

    Attributes:
        region: the part of the picture that is asked for.
        verify: compare the candidates; False takes the shortlist as it is.
        min_confidence: least probability that an agreement is no chance; None is the default.
        shared_parts: also return pictures that have a part in common with this one.
    """

    region: Region | None = None
    verify: bool = True
    min_confidence: float | None = None
    shared_parts: bool = False

    @property
    def proof(self) -> Proof:
        """What is asked of a candidate."""
        least = self.min_confidence
        least_part = (0.0 if least is None else least) if self.shared_parts else None
        return Proof(DEFAULT_MIN_CONFIDENCE if least is None else least, least_part)


def beyond_chance(generation: Generation, request: SearchRequest, fpr: float | None) -> SearchRequest:
    """The request, with a least score that only a share `fpr` of strangers reaches, where that is stricter than its own.

    Raises:
        StoreError: it is not known what chance does in this collection.
    """
    if fpr is None:
        return request
    background = generation.background
    if background is None:
        raise StoreError(
            f"fpr={fpr:g}: collection {generation.manifest.collection!r} has not measured what chance scores in it; run "
            f"`semblant index` on it again, which needs {LEAST_QUERIES} pictures, or give min_score instead"
        )
    least, given = min(background.min_score(fpr), _NOTHING), request.score_threshold
    return replace(request, score_threshold=least if given is None else max(least, given))


def by_vector(generation: Generation, request: SearchRequest, leave_out: str | None = None) -> list[Hit]:
    """Hits of a request that has its query already; `leave_out` is the id of the picture that is asked for."""
    background = generation.background if isinstance(request.query, Nearest) else None
    if leave_out is None:
        return hits_of(generation.store.query(request), background)
    # One more than asked for, and cut here: the picture itself need not come first among exact copies.
    wide = replace(request, limit=request.limit + request.offset + 1, offset=0)
    records = [record for record in generation.store.query(wide) if record.id != leave_out]
    return hits_of(records[request.offset : request.offset + request.limit], background)


def by_look(
    generation: Generation,
    picture: ImageSource,
    request: SearchRequest,
    region: Region | None,
    *,
    include_self: bool,
    fpr: float | None = None,
) -> list[Hit]:
    """What looks most like a picture, or holds something that looks like a region of it."""
    if region is not None:
        if fpr is not None:
            raise InvalidInput("fpr with a region: what chance scores is measured for whole pictures; give min_score instead")
        query = resolve(generation.store, picture, with_cells=True)
        cells = cells_of(generation.manifest, generation.encoder, query, region, generation.max_pixels)
        look: Query = Cells(cells)
    else:
        query = resolve(generation.store, picture, with_image=True)
        request = beyond_chance(generation, request, fpr)
        look = Nearest(_vector_of(generation, query))
    return by_vector(generation, replace(request, query=look), None if include_self else query.id)


def by_details(
    generation: Generation, picture: ImageSource, request: SearchRequest, details: Details, *, include_self: bool
) -> list[FeatureHit]:
    """What contains the details of a picture, proven unless `details` says otherwise."""
    store, reader, wanted = generation.store, generation.features, request.offset + request.limit
    query = resolve(store, picture, with_features=True)
    features = reader.require(reader.of_resolved(query, details.region))
    leave_out = None if include_self else query.id
    shortlist = _shortlist(generation, features, request, leave_out, all_fields=not details.verify)
    if not details.verify:
        return unproven(shortlist.first(wanted)[request.offset :])
    hits = verify_candidates(store, reader, features, shortlist, details.proof, wanted)
    parts = [hit for hit in hits if hit.verdict == "shared part"]
    # A second look costs as much as the first, so it is for those that would go away with nothing.
    if len(parts) == len(hits) and (mirrored := reader.mirror(features)) is not None and len(mirrored.features):
        shortlist = _shortlist(generation, mirrored, request, leave_out)
        found = verify_candidates(store, reader, mirrored, shortlist, replace(details.proof, least_part=None), wanted)
        hits = merged(parts, found) if parts else found
    return hits[request.offset : wanted]


def fused(
    generation: Generation, picture: ImageSource, request: SearchRequest, details: Details, *, include_self: bool
) -> list[FeatureHit]:
    """What is proven to share details with a picture, then all others by both rankings."""
    store, reader, wanted = generation.store, generation.features, request.offset + request.limit
    query = resolve(store, picture, with_image=True, with_features=True)
    vector = _vector_of(generation, query)
    leave_out = None if include_self else query.id
    rankings = [Shortlist(store, replace(request, query=Nearest(vector)), leave_out)]
    proven: list[FeatureHit] = []
    features = reader.of_resolved(query)
    if len(features.features):  # flat pictures have a look only
        rankings.append(_shortlist(generation, features, request, leave_out, all_fields=True))
        proven = verify_candidates(store, reader, features, rankings[1], details.proof, wanted)
    hits: list[FeatureHit] = []
    least = request.score_threshold
    for found in fuse([ranking.first for ranking in rankings], proven):
        hits += [hit for hit in by_cosine(store, found, vector) if least is None or hit.score >= least]
        if len(hits) >= wanted:
            break
    return hits[request.offset : wanted]


def _vector_of(generation: Generation, query: ResolvedQuery) -> np.ndarray:
    """The stored vector of a picture of the collection, or what the encoder makes of another one: float32 `[D]`."""
    stored = query.record.image if query.record is not None else None
    if stored is not None:
        return stored
    encoder = generation.encoder.load()
    vector: np.ndarray = encoder.encode(encoder.prepare(query.source, max_pixels=generation.max_pixels)[None])[0]
    return vector


def _shortlist(
    generation: Generation,
    features: PictureFeatures,
    request: SearchRequest,
    leave_out: str | None,
    *,
    all_fields: bool = False,
) -> Shortlist:
    """Candidates by visual words. What is verified is read again with its features, so that its fields are not needed."""
    words = Sparse(generation.features.vocabulary.sparse(features.features))
    by_words = replace(request, query=words, exact=False, score_threshold=None, fields=None if all_fields else ())
    return Shortlist(generation.store, by_words, leave_out)
