"""Which points of a map are shown from how far away: pictures in their place must not overlap, at any zoom."""

from __future__ import annotations

import numpy as np

__all__ = ["LEVELS", "spacing", "thinning_levels"]

LEVELS = 25
"""Levels 0 to 23 keep a distance, each 1/√2 of the one before it; 24 is of points that lie closer than that to another one."""
_TRIED = 64
"""Points tried for each place of a coarse level: a million need not be looked at to find four."""


def spacing(level: int) -> float:
    """How far points up to a level lie apart at least, as a share of the map's width: along one axis, as pictures do."""
    return float(2.0 ** (-level / 2))


def thinning_levels(positions: np.ndarray) -> np.ndarray:
    """The level from which each point is shown; levels are nested: who zooms in loses no point.

    Greedy: of points that come too near each other the one stays that comes first, and at every level as many stay as fit.

    Args:
        positions: float `[n, 2]`, 0–1.

    Returns:
        uint8 `[n]`, 0 to 24.
    """
    count = len(positions)
    places = np.asarray(positions, np.float32)
    fine = (places * 4096).astype(np.int64)
    order = np.argsort((fine[:, 0] >> 4) * 4096 + fine[:, 1], kind="stable")  # neighbours beside each other: caches like it
    points = places[order]
    levels = np.full(count, LEVELS - 1, np.uint8)
    left = np.arange(count)
    kept = np.empty(0, np.int64)
    for level in range(LEVELS - 1):
        cells = _Cells(points, spacing(level))
        cells.put(kept)
        tried = left
        if len(left) > (most := max(20_000, _TRIED * cells.side**2)):
            tried = left[order[left] < most]
        tried = tried[~cells.crowded(tried)]
        chosen: list[np.ndarray] = []
        while len(tried):
            best = cells.one_each(tried, order)
            cells.put(best)
            chosen.append(best)
            levels[best] = level
            tried = tried[~cells.crowded(tried)]
        kept = np.concatenate([kept, *chosen])
        left = left[levels[left] == LEVELS - 1]
        if not len(left):
            break
    told = np.empty_like(levels)
    told[order] = levels
    return told


class _Cells:
    """A grid of cells as wide as points must lie apart: two in one cell are too near each other."""

    def __init__(self, points: np.ndarray, distance: float) -> None:
        self.side = int(1 / distance) + 3  # an empty one around
        cells = (points / np.float32(distance)).astype(np.int32) + 1
        keys = cells[:, 0] * self.side + cells[:, 1]
        used = self.side**2
        if used > 4 * len(points) + 1_000_000:  # few points in many cells: only those that have any
            names, keys = np.unique(keys, return_inverse=True)
            self._names: np.ndarray | None = names
            used = len(names)
        else:
            self._names = None
        self._points, self._keys, self._distance = points, keys, np.float32(distance)
        self._held = np.full(used, -1, np.int32)
        self._best = np.full(used, -1, np.int32)

    def put(self, rows: np.ndarray) -> None:
        """Points that stay."""
        self._held[self._keys[rows]] = rows

    def crowded(self, rows: np.ndarray) -> np.ndarray:
        """bool `[rows]`: whether a point that stays is too near."""
        return self._near(rows, self._held, None)

    def one_each(self, rows: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Of each cell one point, unless one that comes before it in its neighbourhood is too near."""
        self._best[self._keys[rows]] = rows
        best = rows[self._best[self._keys[rows]] == rows]
        chosen = best[~self._near(best, self._best, order)]
        self._best[self._keys[rows]] = -1
        return np.asarray(chosen)

    def _near(self, rows: np.ndarray, grid: np.ndarray, order: np.ndarray | None) -> np.ndarray:
        near = np.zeros(len(rows), bool)
        side = self.side
        for step in (0, -1, 1, -side, side, -side - 1, -side + 1, side - 1, side + 1):
            asked = np.flatnonzero(~near)
            here = rows[asked]
            there = self._at(self._keys[here], step, grid)
            found = there >= 0
            if order is not None:
                found &= order[there] < order[here]
            asked, here, there = asked[found], here[found], there[found]
            near[asked[(np.abs(self._points[here] - self._points[there]) < self._distance).all(axis=1)]] = True
        return near

    def _at(self, keys: np.ndarray, step: int, grid: np.ndarray) -> np.ndarray:
        if self._names is None:
            return np.asarray(grid[keys + step])
        wanted = self._names[keys] + step
        found = np.minimum(np.searchsorted(self._names, wanted), len(self._names) - 1)
        return np.asarray(np.where(self._names[found] == wanted, grid[found], -1))
