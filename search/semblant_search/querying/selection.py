"""Which of what is found become hits: all of it, one of each group of copies, different ones, or in the order of a field."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from semblant_search.errors import InvalidInput, NotIndexed
from semblant_search.store import Cells, Mmr, Nearest, OrderBy
from semblant_search.store.ordering import check_order, value_of
from semblant_search.where import And, Not, OneOf
from semblant_search.where.values import shown

from .background import LEAST_QUERIES
from .clusters import within_clusters
from .requests import check_diversity, check_fpr, check_probes, check_switch, hits_of
from .shortlist import BLOCK, Shortlist

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from semblant_search.results import Hit
    from semblant_search.serving import Generation
    from semblant_search.store import ScoredRecord, SearchRequest, Store
    from semblant_search.where import Where

    Ranking = Callable[[int], Sequence[ScoredRecord]]
    """The first so many of what was found."""

__all__ = ["DIVERSE_CANDIDATES", "Selection", "beyond_chance", "select", "selection_of", "without"]

DIVERSE_CANDIDATES = 500
"""Nearest pictures that diverse hits are chosen from, however many are asked for, so that fewer begin as more do."""
SAME = 0.9999
"""Cosine from which two pictures are copies of each other to the encoder."""
_NOTHING = 2.0
"""A least score that no cosine reaches."""
_COPIES_AT_FIRST = 256
_AT_ONCE = 500
_ALL = 2**31 - 1


class _Distinct(NamedTuple):
    """A hit that is no copy of an earlier one, and its vector, float32 `[D]`."""

    record: ScoredRecord
    vector: np.ndarray


@dataclass(frozen=True)
class Selection:
    """How hits are chosen.

    Attributes:
        diversity: how much they differ among each other, 0 to 1; None leaves them in the order of likeness.
        unique: one of each group of copies.
        order_by: a field that they are in the order of.
        fpr: share of strangers that may get a hit; None asks for no more than the request does.
        within_cluster: of how many clusters, the nearest to the query, they are; 0 for all pictures.
    """

    diversity: float | None = None
    unique: bool = False
    order_by: OrderBy | None = None
    fpr: float | None = None
    within_cluster: int = 0

    @property
    def plain(self) -> bool:
        """Whether hits are but the best ones."""
        return self.diversity is None and not self.unique and self.order_by is None


_BEST = Selection()


def selection_of(
    request: SearchRequest,
    diversity: float | None = None,
    unique: bool = False,
    order_by: str | None = None,
    descending: bool = False,
    *,
    fpr: float | None = None,
    region: bool = False,
    within_cluster: bool | int = False,
) -> Selection:
    """Checked arguments, for a search by a region or not. Raises `InvalidInput` for what makes no sense, or none together."""
    usual = diversity is None and unique is False and order_by is None and descending is False
    if usual and fpr is None and within_cluster is False:
        return _BEST
    fpr = check_fpr(fpr)
    if fpr is not None and region:
        raise InvalidInput("fpr with a region: what chance scores is measured for whole pictures; give min_score instead")
    if diversity is not None and region:
        raise InvalidInput("diversity with region: hits differ by their whole look; leave one of the two out")
    probes = check_probes(within_cluster)
    if probes and region:
        raise InvalidInput("within_cluster with a region: clusters are of whole pictures; leave one of the two out")
    if order_by is None:
        if check_switch("descending", descending):
            raise InvalidInput("descending: by which field? Give order_by; without it the best hits come first")
        return Selection(check_diversity(diversity), check_switch("unique", unique), fpr=fpr, within_cluster=probes)
    if not isinstance(order_by, str):
        raise InvalidInput(f"order_by {shown(order_by)}: expected the name of a field", argument="order_by")
    if diversity is not None:
        raise InvalidInput("order_by with diversity: each is an order of its own; leave one of the two out")
    if request.score_threshold is None and fpr is None:
        raise InvalidInput(
            "order_by: say by min_score or fpr what is alike enough; for all pictures there is scroll(order_by=…)"
        )
    return Selection(
        None, check_switch("unique", unique), OrderBy(order_by, check_switch("descending", descending)), fpr, probes
    )


def beyond_chance(generation: Generation, request: SearchRequest, fpr: float | None) -> SearchRequest:
    """The request, with a least score that only a share `fpr` of strangers reaches, where that is stricter than its own.

    Raises:
        NotIndexed: it is not known what chance does in this collection.
    """
    if fpr is None:
        return request
    background = generation.background
    if background is None:
        raise NotIndexed(
            f"fpr={fpr:g}: collection {generation.manifest.collection!r} has not measured what chance scores in it; run "
            f"`semblant index` on it again, which needs {LEAST_QUERIES} pictures, or give min_score instead"
        )
    least, given = min(background.min_score(fpr), _NOTHING), request.score_threshold
    return replace(request, score_threshold=least if given is None else max(least, given))


def select(
    generation: Generation,
    request: SearchRequest,
    selection: Selection,
    left_out: Collection[str] = (),
    *,
    probable: bool = True,
) -> list[Hit]:
    """The hits of a request that has its query, those of `left_out` (ids) not among them.

    With a selection, an answer is the beginning of the answer with more hits. Hits have probabilities where the query is one
    picture's vector (`probable`) and the collection has measured what chance scores.
    """
    store = generation.store
    request = beyond_chance(generation, request, selection.fpr)
    if selection.within_cluster and isinstance(request.query, Nearest):
        request = replace(
            request, where=within_clusters(generation, request.query.vector, request.where, selection.within_cluster)
        )
    background = generation.background if probable and isinstance(request.query, Nearest) else None
    if selection.plain and isinstance(request.query, (Nearest, Cells)):
        if not left_out:
            return hits_of(store.query(request), background)
        # More than asked for, and cut here: a picture that is asked for need not come first among exact copies.
        wide = replace(request, limit=request.limit + request.offset + len(left_out), offset=0)
        records = [record for record in store.query(wide) if record.id not in left_out]
        return hits_of(records[request.offset : request.offset + request.limit], background)
    if selection.order_by is not None:
        records, copies = _in_order(store, request, selection.order_by, left_out, unique=selection.unique)
    else:
        wanted = request.offset + request.limit
        ranking = _ranking(store, request, selection.diversity, left_out)
        distinct = _distinct(store, ranking, wanted) if selection.unique else []
        copies = _copies(store, request, distinct, left_out)
        found = [one.record for one in distinct] if selection.unique else ranking(wanted)
        records = list(found[request.offset :])
    whole = hits_of(_in_full(store, records), background)
    return [replace(hit, copies=copies.get(hit.id)) for hit in whole] if selection.unique else whole


def without(store: Store, where: Where | None, ids: Collection[str]) -> Where | None:
    """A filter that also leaves out pictures, where hits must not even be compared with them."""
    uris = sorted(str(record.payload["_uri"]) for record in store.retrieve(list(ids), fields=["_uri"])) if ids else []
    if not uris:
        return where
    others = Not(OneOf("_uri", tuple(uris)))
    return others if where is None else And((where, others))


def _in_full(store: Store, records: Sequence[ScoredRecord]) -> list[ScoredRecord]:
    """Records that were read without their fields, with all of them; one that was deleted meanwhile is left out."""
    ids = [record.id for record in records]
    payloads: dict[str, dict[str, Any]] = {}
    for start in range(0, len(ids), _AT_ONCE):
        payloads |= {record.id: record.payload for record in store.retrieve(ids[start : start + _AT_ONCE])}
    return [replace(record, payload=payloads[record.id]) for record in records if record.id in payloads]


def _ranking(store: Store, request: SearchRequest, diversity: float | None, left_out: Collection[str]) -> Ranking:
    bare = replace(request, fields=(), offset=0)
    if diversity is None:
        return Shortlist(store, bare, left_out).first
    if not isinstance(request.query, Nearest):
        raise InvalidInput("diversity: hits differ by their whole look; it goes with no region, and with one vector to be near")
    query = Mmr(request.query.vector, diversity, DIVERSE_CANDIDATES)
    # A picture that is asked for would be chosen first, and all others be held to differ from it.
    where = without(store, request.where, left_out)
    found: list[ScoredRecord] = []

    def first(count: int) -> Sequence[ScoredRecord]:
        count = min(count, DIVERSE_CANDIDATES)
        if len(found) < count:
            found[:] = store.query(replace(bare, query=query, where=where, limit=count))
        return found[:count]

    return first


def _distinct(store: Store, ranking: Ranking, wanted: int) -> list[_Distinct]:
    """The first `wanted` hits that are no copies of earlier ones."""
    chosen: list[_Distinct] = []
    seen, width = 0, max(BLOCK, wanted)
    vectors = np.empty((0, store.manifest.dim), dtype=np.float32)
    while True:
        found = ranking(width)
        fresh = found[seen:]
        seen = len(found)
        for start in range(0, len(fresh), _AT_ONCE):
            part = fresh[start : start + _AT_ONCE]
            images = {record.id: record.image for record in store.retrieve([r.id for r in part], fields=(), with_image=True)}
            for record in part:
                image = images.get(record.id)
                if image is None or (len(vectors) and float((vectors @ image).max()) >= SAME):
                    continue
                chosen.append(_Distinct(record, image))
                vectors = np.vstack([vectors, image[None]])
                if len(chosen) == wanted:
                    return chosen
        if len(found) < width:
            return chosen
        width *= 2


def _copies(store: Store, request: SearchRequest, chosen: Sequence[_Distinct], left_out: Collection[str]) -> dict[str, int]:
    """How many other pictures each stands for: a picture that is a copy of several counts for the first of them.

    A point that was merged of several files counts as many.
    """
    near = replace(request, offset=0, limit=_COPIES_AT_FIRST, fields=["_uris"], score_threshold=SAME)
    requests = [replace(near, query=Nearest(vector)) for _, vector in chosen]
    answers = store.query_batch(requests)
    answers = [
        store.query(replace(one, limit=_ALL)) if len(found) == _COPIES_AT_FIRST else found
        for one, found in zip(requests, answers, strict=True)
    ]
    taken = {one.record.id for one in chosen} | set(left_out)
    copies = {}
    for (record, _), found in zip(chosen, answers, strict=True):
        files = sum(_files(other) for other in found if other.id not in taken)
        own = next((_files(other) for other in found if other.id == record.id), 1)
        copies[record.id] = files + own - 1
        taken |= {other.id for other in found}
    return copies


def _files(record: ScoredRecord) -> int:
    uris = record.payload.get("_uris")
    return len(uris) if isinstance(uris, list) and uris else 1


def _in_order(
    store: Store, request: SearchRequest, order: OrderBy, left_out: Collection[str], *, unique: bool
) -> tuple[list[ScoredRecord], dict[str, int]]:
    """All that is alike enough, in the order of a field, and its copies; what has no value is left out."""
    check_order(order, store.manifest)
    # Every picture is compared: a walk for all that is near enough would take longer, and miss some.
    complete = replace(request, offset=0, limit=_ALL, fields=[order.field], exact=True)
    found = [record for record in store.query(complete) if record.id not in left_out]
    found.sort(key=lambda record: (-record.score, record.id))
    distinct = _distinct(store, lambda count: found[:count], len(found)) if unique and found else []
    found = [one.record for one in distinct] if unique else found
    values = {record.id: value_of(record.payload, order, store.manifest) for record in found}
    kept = [record for record in found if values[record.id] is not None]
    sign = -1 if order.descending else 1
    kept.sort(key=lambda record: (sign * (values[record.id] or 0), record.id))
    chosen = kept[request.offset : request.offset + request.limit]
    return chosen, _copies(store, complete, distinct, left_out)
