"""Which feature of one picture is which of another, by Hamming distance alone."""

from __future__ import annotations

import numpy as np

from .hamming import as_longs, hamming, popcount

__all__ = ["Matchable"]

_FARTHEST = 60
"""Most differing bits of a match; unrelated descriptors differ in 128 ± 20, the same corner after a change in 10 to 60."""
_FARTHEST_FIRST = 14
"""Most differing bits among the first 64: a quarter of the work rules out nearly all pairs."""


class Matchable:
    """A query's descriptors, laid out once for being compared with many candidates.

    Args:
        descriptors: uint8 `[n, 32]`.
    """

    def __init__(self, descriptors: np.ndarray) -> None:
        self._rows = as_longs(descriptors)
        self._first = np.ascontiguousarray(self._rows[:, 0])

    def match(self, descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mutually nearest pairs: rows of the query, rows of the candidate, Hamming distances; int64 `[m]` each, best first."""
        rows = as_longs(descriptors)
        near = popcount(self._first[:, None] ^ rows[None, :, 0]) <= _FARTHEST_FIRST
        mine, theirs = np.divmod(np.flatnonzero(near), len(rows)) if len(rows) else (np.empty(0, np.int64),) * 2
        distance = hamming(self._rows[mine], rows[theirs]).astype(np.int64)
        close = distance <= _FARTHEST
        mine, theirs, distance = mine[close], theirs[close], distance[close]
        order = np.argsort(distance, kind="stable")
        mine, theirs, distance = mine[order], theirs[order], distance[order]
        # In order of distance, the first pair that names a feature is its nearest; mutual: first for both.
        first_mine = np.zeros(len(mine), bool)
        first_mine[np.unique(mine, return_index=True)[1]] = True
        first_theirs = np.zeros(len(mine), bool)
        first_theirs[np.unique(theirs, return_index=True)[1]] = True
        both = first_mine & first_theirs
        return mine[both], theirs[both], distance[both]
