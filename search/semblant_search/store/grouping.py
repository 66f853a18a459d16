"""Hits by the values of a field. Written here, because one engine has no such query and the other counts tries."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from semblant_search.errors import InvalidInput
from semblant_search.where import And, Equals
from semblant_search.where.compiler import unknown_field

from .facets import COUNTED_BY_ENGINES, values_of
from .queries import Mmr
from .records import Group

if TYPE_CHECKING:
    from semblant_search.collection import Manifest

    from .queries import SearchRequest
    from .records import ScoredRecord
    from .store import Store

__all__ = ["check_groups", "grouped"]

_FIRST_WIDTH = 64
_WIDER = 4


def check_groups(request: SearchRequest, field: str, size: int, manifest: Manifest) -> None:
    """Raise `InvalidInput` unless hits can be grouped so."""
    kind = manifest.fields.get(field)
    if kind is None:
        raise InvalidInput(unknown_field(field, manifest.fields), argument="group_by")
    if kind not in COUNTED_BY_ENGINES:
        raise InvalidInput(
            f"group by {field!r}: it is {kind.value}; expected a keyword, integer or bool field", argument="group_by"
        )
    if size < 1:
        raise InvalidInput(f"group_size {size}: expected at least 1")
    if isinstance(request.query, Mmr):
        raise InvalidInput("group_by with Mmr: both choose among the hits; expected another query")


def grouped(store: Store, request: SearchRequest, field: str, size: int) -> list[Group]:
    """The first `request.limit` groups behind `request.offset`, each with its best `size` hits.

    Hits are read until there are enough groups, four times as many each time; groups that are not full then are asked for by
    themselves, together.
    """
    wanted = request.offset + request.limit
    width = max(_FIRST_WIDTH, 2 * wanted * size)
    while True:
        hits = store.query(replace(request, limit=width, offset=0, fields=[field]))
        groups: dict[Any, list[ScoredRecord]] = {}
        for hit in hits:
            for value in sorted(values_of(hit.payload, field)):
                groups.setdefault((type(value), value), []).append(hit)
        exhausted = len(hits) < width
        if exhausted or len(groups) >= wanted:
            break
        width *= _WIDER
    chosen = list(groups.items())[request.offset : wanted]
    short = [] if exhausted else [(key, hits) for key, hits in chosen if len(hits) < size]
    more = store.query_batch([_within(request, field, key[1], size) for key, _ in short])
    for (_, hits), found in zip(short, more, strict=True):
        there = {hit.id for hit in hits}
        hits += [hit for hit in found if hit.id not in there]
        hits.sort(key=lambda hit: (-hit.score, hit.id))
    return _with_payloads(store, [Group(value, hits[:size]) for (_, value), hits in chosen], request)


def _within(request: SearchRequest, field: str, value: Any, size: int) -> SearchRequest:
    own = Equals(field, value)
    where = own if request.where is None else And((request.where, own))
    return replace(request, limit=size, offset=0, fields=[], where=where)


def _with_payloads(store: Store, groups: list[Group], request: SearchRequest) -> list[Group]:
    ids = {hit.id for group in groups for hit in group.hits}
    payloads = {record.id: record.payload for record in store.retrieve(sorted(ids), fields=request.fields)}
    return [
        Group(group.value, [replace(hit, payload=payloads[hit.id]) for hit in group.hits if hit.id in payloads])
        for group in groups
    ]
