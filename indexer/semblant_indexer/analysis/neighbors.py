"""The nearest neighbours of every picture, exactly, in blocks: matrix products are what a processor does best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from semblant_search.errors import InvalidInput

from .checks import check_same_width, check_vectors

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["nearest_neighbors"]

_BLOCK_BYTES = 128 << 20


def nearest_neighbors(
    vectors: np.ndarray,
    k: int,
    *,
    among: np.ndarray | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The `k` vectors of the highest cosine to each, nearest first.

    Args:
        vectors: float32 `[n, dim]`, of unit length.
        k: how many; fewer where there are fewer.
        among: float32 `[m, dim]` to look among. None: `vectors` themselves, of which none is its own neighbour.
        on_progress: called with the vectors that are done, and all.

    Returns:
        int32 `[n, k]`: rows of what was looked among; float32 `[n, k]`: cosines. Equal cosines come in the order of rows.

    Raises:
        InvalidInput: what are no such arrays.
    """
    if k < 0:
        raise InvalidInput(f"k {k}: expected 0 or more")
    vectors = check_vectors(vectors)
    others = vectors if among is None else check_vectors(among, "among")
    check_same_width(vectors, others, ("vectors", "among"))
    itself = among is None
    k = max(0, min(k, len(others) - itself))
    rows, cosines = np.empty((len(vectors), k), np.int32), np.empty((len(vectors), k), np.float32)
    if not k:
        return rows, cosines
    step = max(1, _BLOCK_BYTES // (4 * len(others)))
    for start in range(0, len(vectors), step):
        block = vectors[start : start + step] @ others.T
        if itself:
            block[np.arange(len(block)), np.arange(start, start + len(block))] = -np.inf
        width = block.shape[1]
        best = (
            np.argpartition(block, width - k, axis=1)[:, width - k :] if k < width else np.tile(np.arange(k), (len(block), 1))
        )
        scores = np.take_along_axis(block, best, axis=1)
        order = np.lexsort((best, -scores), axis=1)
        rows[start : start + step] = np.take_along_axis(best, order, axis=1)
        cosines[start : start + step] = np.take_along_axis(scores, order, axis=1)
        if on_progress is not None:
            on_progress(min(start + step, len(vectors)), len(vectors))
    return rows, cosines
