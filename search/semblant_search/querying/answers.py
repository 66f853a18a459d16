"""How one generation answers: by look, by details, by both. A generation is asked once, from the picture to the hits."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from semblant_search.orb import DEFAULT_MIN_CONFIDENCE
from semblant_search.results import HitGroup
from semblant_search.shown import shown_name
from semblant_search.store import Cells, Nearest, Sparse

from .fusion import by_cosine, fuse
from .requests import hits_of
from .resolving import cells_of, resolve
from .selection import beyond_chance, select, without
from .shortlist import Shortlist
from .verification import Proof, unproven, verify_candidates

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np

    from semblant_search.feature_reader import PictureFeatures
    from semblant_search.images import ImageSource
    from semblant_search.results import FeatureHit, Hit
    from semblant_search.serving import Generation
    from semblant_search.store import Query, SearchRequest

    from .regions import Region
    from .resolving import ResolvedQuery
    from .selection import Selection

__all__ = ["Details", "by_details", "by_look", "fused", "in_groups"]


_ALL = 10**9
"""Proven hits that are wanted where some are left out by their look: how many, the look tells only afterwards."""


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


def by_look(
    generation: Generation,
    picture: ImageSource,
    request: SearchRequest,
    region: Region | None,
    selection: Selection,
    *,
    include_self: bool,
) -> list[Hit]:
    """What looks most like a picture, or holds something that looks like a region of it."""
    if region is not None:
        query = resolve(generation.store, picture, with_cells=True)
        cells = cells_of(generation.manifest, generation.encoder, query, region, generation.max_pixels)
        look: Query = Cells(cells)
    else:
        query = resolve(generation.store, picture, with_image=True)
        look = Nearest(_vector_of(generation, query))
    return select(generation, request.asking(look), selection, _left_out(query, include_self))


def in_groups(
    generation: Generation,
    picture: ImageSource,
    request: SearchRequest,
    group_by: str,
    group_size: int,
    *,
    fpr: float | None,
    include_self: bool,
) -> list[HitGroup]:
    """What looks most like a picture, by the values of a field."""
    request = beyond_chance(generation, request, fpr)
    query = resolve(generation.store, picture, with_image=True)
    where = without(generation.store, request.where, _left_out(query, include_self))
    asked = replace(request, query=Nearest(_vector_of(generation, query)), where=where)
    groups = generation.store.query_groups(asked, group_by, group_size)
    return [HitGroup(group.value, hits_of(group.hits, generation.background)) for group in groups]


def by_details(
    generation: Generation, picture: ImageSource, request: SearchRequest, details: Details, *, include_self: bool
) -> list[FeatureHit]:
    """What contains the details of a picture, proven unless `details` says otherwise."""
    store, reader, wanted = generation.store, generation.features, request.offset + request.limit
    query = resolve(store, picture, with_features=True)
    features = reader.require(reader.of_resolved(query, details.region), _name_of(query))
    left_out = _left_out(query, include_self)
    shortlist = _shortlist(generation, features, request, left_out, all_fields=not details.verify)
    if not details.verify:
        return unproven(shortlist.first(wanted)[request.offset :])
    hits = verify_candidates(store, reader, features, shortlist, details.proof, wanted)
    parts = [hit for hit in hits if hit.verdict == "shared part"]
    # A second look costs as much as the first, so it is for those that would go away with nothing.
    if len(parts) == len(hits) and (mirrored := reader.mirror(features)) is not None and len(mirrored.features):
        shortlist = _shortlist(generation, mirrored, request, left_out)
        found = verify_candidates(store, reader, mirrored, shortlist, replace(details.proof, least_part=None), wanted)
        proven = {hit.id for hit in found}
        hits = [*found, *(hit for hit in parts if hit.id not in proven)]
    return hits[request.offset : wanted]


def fused(
    generation: Generation, picture: ImageSource, request: SearchRequest, details: Details, *, include_self: bool
) -> list[FeatureHit]:
    """What is proven to share details with a picture, then all others by both rankings."""
    store, reader, wanted = generation.store, generation.features, request.offset + request.limit
    query = resolve(store, picture, with_image=True, with_features=True)
    vector = _vector_of(generation, query)
    left_out = _left_out(query, include_self)
    rankings = [Shortlist(store, replace(request, query=Nearest(vector)), left_out)]
    proven: list[FeatureHit] = []
    least = request.score_threshold
    features = reader.of_resolved(query)
    if len(features.features):  # flat pictures have a look only
        rankings.append(_shortlist(generation, features, request, left_out, all_fields=True))
        proven = verify_candidates(store, reader, features, rankings[1], details.proof, wanted if least is None else _ALL)
    hits: list[FeatureHit] = []
    for found in fuse([ranking.first for ranking in rankings], proven):
        hits += [hit for hit in by_cosine(store, found, vector) if least is None or hit.score >= least]
        if len(hits) >= wanted:
            break
    return hits[request.offset : wanted]


def _name_of(query: ResolvedQuery) -> str:
    """What a message calls the picture: as it was indexed, else as it was given."""
    if query.record is not None:
        return shown_name(str(query.record.payload["_uri"]))
    return shown_name(query.source) if isinstance(query.source, (str, os.PathLike)) else "the picture"


def _left_out(query: ResolvedQuery, include_self: bool) -> tuple[str, ...]:
    """The id of the picture that is asked for, where it is no hit."""
    return () if include_self or query.id is None else (query.id,)


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
    left_out: Collection[str],
    *,
    all_fields: bool = False,
) -> Shortlist:
    """Candidates by visual words. What is verified is read again with its features, so that its fields are not needed."""
    words = Sparse(generation.features.vocabulary.sparse(features.features))
    by_words = replace(request, query=words, exact=False, score_threshold=None, fields=None if all_fields else ())
    return Shortlist(generation.store, by_words, left_out)
