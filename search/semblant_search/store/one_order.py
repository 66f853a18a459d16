"""One order of hits, whatever page of it is asked for: by score, ties by id. Engines leave the order of equal scores open.

Exact copies score the same, and which of them an engine puts on which page changes with the page.
"""

from __future__ import annotations

from dataclasses import replace
from operator import gt
from typing import TYPE_CHECKING

from .queries import Mmr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .engines.base import Engine, Search
    from .records import ScoredRecord

__all__ = ["search_in_order"]

_MOST_TIED = 4096
"""Of more hits with one score, the engine chooses which are seen."""


def search_in_order(engine: Engine, searches: Sequence[Search]) -> list[list[ScoredRecord]]:
    """The hits of each search, best first, ties by id; together they are one request where no page ends between equals."""
    answers = engine.search([_with_neighbours(search) for search in searches])
    return [
        found if isinstance(search.query, Mmr) else _page(engine, search, found)
        for search, found in zip(searches, answers, strict=True)
    ]


def _with_neighbours(search: Search) -> Search:
    """With the hit before the page and the one after it, which show whether equal scores were cut apart."""
    if isinstance(search.query, Mmr):  # an order of its own
        return search
    before = 1 if search.offset else 0
    query, limit, offset, *others = search
    return type(search)(query, limit + before + 1, offset - before, *others)


def _page(engine: Engine, search: Search, found: list[ScoredRecord]) -> list[ScoredRecord]:
    begin = min(search.offset, 1)
    end = begin + search.limit
    if _cut(found, begin) or _cut(found, end):
        return _among_equals(engine, search)
    return _sorted(found[begin:end])


def _cut(found: list[ScoredRecord], place: int) -> bool:
    """Whether the hits before and behind a place have one score."""
    return 0 < place < len(found) and found[place - 1].score == found[place].score


def _among_equals(engine: Engine, search: Search) -> list[ScoredRecord]:
    """The page where a run of equal scores goes beyond its ends: read from the first hit to the end of that run."""
    wanted = search.offset + search.limit
    width = wanted + 1
    while True:
        found = engine.search([search._replace(offset=0, limit=width, paths=False)])[0]
        if len(found) < width or found[-1].score < found[wanted - 1].score or width >= wanted + _MOST_TIED:
            break
        width = min(2 * width, wanted + _MOST_TIED)
    page = _sorted(found)[search.offset : wanted]
    payloads = {record.id: record.payload for record in engine.retrieve([hit.id for hit in page], search.paths, ())}
    return [replace(hit, payload=payloads[hit.id]) for hit in page if hit.id in payloads]


def _sorted(found: Sequence[ScoredRecord]) -> list[ScoredRecord]:
    scores = [hit.score for hit in found]
    if all(map(gt, scores, scores[1:])):  # as nearly always: no id has to be made to know the order
        return list(found)
    return sorted(found, key=lambda hit: (-hit.score, hit.id))
