"""Which feature of one picture is which of another, by Hamming distance alone."""

from __future__ import annotations

import numpy as np

from .hamming import as_longs, hamming, popcount

__all__ = ["Matchable"]

_FARTHEST = 60
"""Most differing bits of a match; unrelated descriptors differ in 128 ± 20, the same corner after a change in 10 to 60."""
_FARTHEST_FIRST = 14
"""Most differing bits among the first 64: a quarter of the work rules out nearly all pairs."""

_NEVER = np.iinfo(np.int64).max


class Matchable:
    """A query's descriptors, laid out once for being compared with many candidates.

    Args:
        descriptors: uint8 `[n, 32]`.
    """

    def __init__(self, descriptors: np.ndarray) -> None:
        self._rows = as_longs(descriptors)
        self._first = np.ascontiguousarray(self._rows[:, :1])

    def match(self, descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mutually nearest pairs: rows of the query, rows of the candidate, Hamming distances; int64 `[m]` each, best first."""
        rows = as_longs(descriptors)
        near = np.flatnonzero(popcount(self._first ^ rows[:, 0]) <= _FARTHEST_FIRST)
        mine, theirs = np.divmod(near, max(1, len(rows)))
        distance = hamming(self._rows.take(mine, axis=0), rows.take(theirs, axis=0)).astype(np.int64)
        close = np.flatnonzero(distance <= _FARTHEST)
        mine, theirs = mine[close], theirs[close]
        # Distance first, then place: distinct keys, whose least is a feature's nearest. Mutual: least for both.
        key = distance[close] * len(distance) + np.arange(len(close))
        nearest_mine, nearest_theirs = np.full(len(self._rows), _NEVER), np.full(len(rows), _NEVER)
        np.minimum.at(nearest_mine, mine, key)
        np.minimum.at(nearest_theirs, theirs, key)
        both = np.flatnonzero((nearest_mine[mine] == key) & (nearest_theirs[theirs] == key))
        both = both[np.argsort(key[both])]
        return mine[both], theirs[both], distance[close[both]]
