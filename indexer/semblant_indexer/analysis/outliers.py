"""What lies far from everything: pictures whose nearest neighbours are far, beside what is usual in their collection."""

from __future__ import annotations

import numpy as np

from .neighbors import nearest_neighbors

__all__ = ["outlier_scores"]

_NEIGHBORS = 5
_NORMAL = 1.4826
"""Standard deviations in a median absolute deviation of normally distributed numbers."""


def outlier_scores(vectors: np.ndarray, *, k: int = _NEIGHBORS) -> np.ndarray:
    """How unusual each vector's distance to its k-th neighbour is (Ramaswamy et al., 2000), in robust standard deviations.

    A few strays that are alike, and copies of one, are outliers only beyond `k` of them.

    Args:
        vectors: float32 `[n, dim]`, of unit length.
        k: which neighbour; the farthest where there are fewer.

    Returns:
        float32 `[n]`: 0 for the median, above 3 for few; all 0 where all distances are the same.
    """
    _, cosines = nearest_neighbors(vectors, k)
    if not cosines.shape[1]:
        return np.zeros(len(vectors), np.float32)
    distances = 1 - cosines[:, -1].astype(np.float64)
    middle = np.median(distances)
    spread = _NORMAL * np.median(np.abs(distances - middle))
    if spread < 1e-9:
        spread = distances.std()
    return np.zeros(len(vectors), np.float32) if spread < 1e-9 else ((distances - middle) / spread).astype(np.float32)
