"""One list out of two: ranks by look and ranks by details, with what is proven in front."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .verification import unproven

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.results import FeatureHit
    from semblant_search.store.base import ScoredRecord

__all__ = ["fuse"]

_K = 60
"""Of reciprocal rank fusion; its authors' value (Cormack, Clarke, Buettcher, SIGIR 2009)."""


def fuse(rankings: Sequence[Sequence[ScoredRecord]], proven: Sequence[FeatureHit]) -> list[FeatureHit]:
    """Proven hits in their order, then all others by the sum of 1 / (60 + rank) over the rankings; `score` is that sum."""
    scores: dict[str, float] = {}
    records: dict[str, ScoredRecord] = {}
    for ranking in rankings:
        for rank, record in enumerate(ranking, start=1):
            scores[record.id] = scores.get(record.id, 0.0) + 1 / (_K + rank)
            records.setdefault(record.id, record)
    first = {hit.id for hit in proven}
    rest = sorted((record for record in records.values() if record.id not in first), key=lambda record: -scores[record.id])
    return [replace(hit, score=scores[hit.id]) for hit in (*proven, *unproven(rest))]
