"""A query's likeliest pictures by one ranking, in blocks, so that their order does not depend on how many are asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from semblant_search.store import ScoredRecord, SearchRequest, Store

__all__ = ["BLOCK", "Shortlist"]

BLOCK = 48
"""Candidates of a block: those that a query by details is compared with, unless all of them are proven and more are wanted."""


class Shortlist:
    """What a store finds for one request, read as far as it is needed.

    Args:
        store: what to ask.
        request: the ranking's query, filter and fields; its limit and offset do not count.
        left_out: ids of pictures of the collection that are asked for, and no hits.
    """

    def __init__(self, store: Store, request: SearchRequest, left_out: Collection[str] = ()) -> None:
        self._store = store
        self._request = replace(request, limit=1, offset=0)
        self._left_out = left_out
        self._records: list[ScoredRecord] = []
        self._complete = False

    def first(self, count: int) -> Sequence[ScoredRecord]:
        """So many candidates, or all there are, best first; equal ones in the order of their ids."""
        if not self._complete and len(self._records) < count:
            limit = count + len(self._left_out)
            found = self._store.query(replace(self._request, limit=limit))
            self._records = [record for record in found if record.id not in self._left_out]
            self._complete = len(found) < limit
        return self._records[:count]

    def block(self, number: int) -> Sequence[ScoredRecord]:
        """Candidates `BLOCK * number` up to the next block's; none beyond the last."""
        return self.first(BLOCK * (number + 1))[BLOCK * number :]
