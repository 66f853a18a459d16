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
_MOST_TIED = 4096
"""Copies of one picture score the same; of more than this, the engine chooses which come first."""


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
        if not self._complete and len(self._records) <= count:
            self._read(count)
        return self._records[:count]

    def block(self, number: int) -> Sequence[ScoredRecord]:
        """Candidates `BLOCK * number` up to the next block's; none beyond the last."""
        return self.first(BLOCK * (number + 1))[BLOCK * number :]

    def _read(self, count: int) -> None:
        least = count + len(self._left_out) + 1  # one more shows whether equal scores were cut apart
        limit = least
        while True:
            found = self._store.query(replace(self._request, limit=limit))
            self._complete = len(found) < limit
            records = sorted((r for r in found if r.id not in self._left_out), key=lambda record: (-record.score, record.id))
            if self._complete or records[-1].score < records[count - 1].score or limit >= max(_MOST_TIED, least):
                break
            limit *= 2
        # What scores as the last one does may have more like it behind.
        known = records if self._complete else [record for record in records if record.score > records[-1].score]
        self._records = known if len(known) >= count or self._complete else records
