"""One list out of two: ranks by look and ranks by details, with what is proven in front."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from .shortlist import BLOCK
from .verification import unproven

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from semblant_search.results import FeatureHit
    from semblant_search.store import ScoredRecord, Store

    Ranking = Callable[[int], Sequence[ScoredRecord]]
    """The first so many of what was found, as `Shortlist.first`."""

__all__ = ["by_cosine", "fuse"]

_K = 60
"""Of reciprocal rank fusion; its authors' value (Cormack, Clarke, Buettcher, SIGIR 2009)."""


def fuse(rankings: Sequence[Ranking], proven: Sequence[FeatureHit]) -> Iterator[Sequence[FeatureHit]]:
    """What is proven, then all others by the sum of 1 / (60 + rank) over the rankings, a block of ranks at a time.

    Those of a block are in order among each other, and ranks behind the block do not count for them: what comes first does not
    depend on how much is read.
    """
    yield proven
    placed = {hit.id for hit in proven}
    for number in count(1):
        read = [ranking(BLOCK * number) for ranking in rankings]
        scores: dict[str, float] = {}
        records: dict[str, ScoredRecord] = {}
        for found in read:
            for rank, record in enumerate(found, start=1):
                if record.id not in placed:
                    scores[record.id] = scores.get(record.id, 0.0) + 1 / (_K + rank)
                    records.setdefault(record.id, record)
        placed |= records.keys()
        yield unproven(sorted(records.values(), key=lambda record: -scores[record.id]))
        if all(len(found) < BLOCK * number for found in read):
            return


def by_cosine(store: Store, hits: Sequence[FeatureHit], vector: np.ndarray) -> list[FeatureHit]:
    """The same hits with the cosine of their embeddings and the query's, float32 `[D]`, as their score."""
    ids = [hit.id for hit in hits]
    images = {record.id: record.image for record in store.retrieve(ids, with_image=True)} if ids else {}
    return [
        replace(hit, score=float(np.clip(image @ vector, -1, 1)))
        for hit in hits
        if (image := images.get(hit.id)) is not None  # another process of a server may have deleted one
    ]
