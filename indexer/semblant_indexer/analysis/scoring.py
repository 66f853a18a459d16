"""How far the pictures of a collection lie from all others: exactly, or where that takes longer, by the collection's index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from semblant_search.store.queries import Nearest, SearchRequest

from .neighbors import nearest_neighbors
from .outliers import NEIGHBORS, Usual, neighbor_distances

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_search.store import Store

    from .columns import PictureColumns
    from .runs import AnalysisRun

__all__ = ["score_pictures", "usual_of"]

_BY_INDEX = 100_000
"""Pictures from which on the index's graph is asked: of 200,000 it takes a quarter of the time of all products."""
_ASKED_AT_ONCE = 256
_EF_SEARCH = 128
_CHECKED = 1000
"""Pictures that lie farthest by the index, which are looked at exactly: a neighbour that it misses makes none an outlier."""


def score_pictures(
    store: Store, pictures: PictureColumns, on_progress: Callable[[int, int], None] | None
) -> tuple[np.ndarray, Usual]:
    """float32 `[n]`, scores as of `outlier_scores`, and what is usual among these pictures."""
    vectors = pictures.vectors
    if len(vectors) < _BY_INDEX:
        distances = neighbor_distances(vectors, on_progress=on_progress)
    else:
        distances = _distances_by_index(store, vectors, on_progress)
        far = np.argsort(-distances, kind="stable")[:_CHECKED]
        _, cosines = nearest_neighbors(vectors[far], NEIGHBORS + 1, among=vectors)
        distances[far] = 1 - cosines[:, -1].astype(np.float64)
    usual = Usual.of(distances)
    return usual.scores(distances), usual


def usual_of(run: AnalysisRun | None) -> Usual | None:
    """What was usual when the outliers were last looked for, or None; runs of older versions do not say."""
    if run is None or "median" not in run.results:
        return None
    return Usual(float(run.results["median"]), float(run.results["spread"]))


def _distances_by_index(store: Store, vectors: np.ndarray, on_progress: Callable[[int, int], None] | None) -> np.ndarray:
    distances = np.empty(len(vectors))
    for start in range(0, len(vectors), _ASKED_AT_ONCE):
        part = vectors[start : start + _ASKED_AT_ONCE]
        requests = [
            SearchRequest(Nearest(vector), limit=NEIGHBORS + 1, fields=(), ef_search=_EF_SEARCH) for vector in part
        ]  # the nearest is each picture itself
        for row, hits in enumerate(store.query_batch(requests), start):
            distances[row] = 1 - hits[-1].score
        if on_progress is not None:
            on_progress(min(start + _ASKED_AT_ONCE, len(vectors)), len(vectors))
    return distances
