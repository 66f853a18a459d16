"""What lies far from everything: pictures whose nearest neighbours are far, beside what is usual in their collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from semblant_search.errors import InvalidInput

from .checks import check_vectors
from .neighbors import nearest_neighbors

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NEIGHBORS", "Usual", "neighbor_distances", "outlier_scores"]

NEIGHBORS = 5
_NORMAL = 1.4826
"""Standard deviations in a median absolute deviation of normally distributed numbers."""


@dataclass(frozen=True)
class Usual:
    """What distances to the k-th neighbour are usual among pictures, by which those of new ones are judged, too.

    Attributes:
        median: of all distances, one minus the cosine.
        spread: their robust standard deviation; 0 where all are the same.
    """

    median: float
    spread: float

    @classmethod
    def of(cls, distances: np.ndarray) -> Usual:
        """Of float `[n]`."""
        if not len(distances):
            return cls(0.0, 0.0)
        middle = float(np.median(distances))
        spread = float(_NORMAL * np.median(np.abs(distances - middle)))
        if spread < 1e-9:
            spread = float(np.std(distances))
        return cls(middle, spread if spread >= 1e-9 else 0.0)

    def scores(self, distances: np.ndarray) -> np.ndarray:
        """float32 `[n]`: how far distances are from the median, in spreads."""
        if not self.spread:
            return np.zeros(len(distances), np.float32)
        scored: np.ndarray = ((distances - self.median) / self.spread).astype(np.float32)
        return scored


def outlier_scores(
    vectors: np.ndarray, *, k: int = NEIGHBORS, on_progress: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """How unusual each vector's distance to its k-th neighbour is (Ramaswamy et al., 2000), in robust standard deviations.

    A few strays that are alike, and copies of one, are outliers only beyond `k` of them.

    Args:
        vectors: float32 `[n, dim]`, of unit length.
        k: which neighbour, at least 1; the farthest where there are fewer.
        on_progress: called with the vectors that are done, and all.

    Returns:
        float32 `[n]`: 0 for the median, above 3 for few; all 0 where all distances are the same.

    Raises:
        InvalidInput: what is no such array; `k` below 1.
    """
    distances = neighbor_distances(vectors, k=k, on_progress=on_progress)
    return Usual.of(distances).scores(distances)


def neighbor_distances(
    vectors: np.ndarray, *, k: int = NEIGHBORS, on_progress: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """float64 `[n]`: one minus the cosine to each vector's k-th neighbour. As `outlier_scores`."""
    if k < 1:
        raise InvalidInput(f"k {k}: expected at least 1, the nearest neighbour")
    vectors = check_vectors(vectors)
    _, cosines = nearest_neighbors(vectors, k, on_progress=on_progress)
    return 1 - cosines[:, -1].astype(np.float64) if cosines.shape[1] else np.zeros(len(vectors))
