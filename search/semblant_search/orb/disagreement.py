"""Where two pictures that lie over each other disagree: a place full of details of both, few of which have a counterpart.

A form filled in by somebody else, a card of another suit, an icon with another sign agree in most of their details, and in most
of their pixels. What tells them from a copy is that those which do not agree lie together. In a copy, details get lost to
chance, here and there.
"""

from __future__ import annotations

import numpy as np

__all__ = ["disagreement"]

_CELLS = 6
_SIDES = (1, 2, 3)
_LEAST = 3
"""Details of a place that say anything."""
_SUREST = 0.97
"""Some details of any copy get lost."""


def disagreement(query: np.ndarray, candidate: np.ndarray, agreeing: np.ndarray) -> float:
    """−log10 of the probability that as few details agree in the emptiest place, if each did with the probability of all.

    Places are the cells of a 6 × 6 grid over the overlap, and squares of four and of nine of them. Of changed copies (crops,
    scaled, turned, recompressed, lit in another way) one in twenty reaches 3.5; of drawings that share a part, more than half.

    Args:
        query: float64 `[n, 2]`, places of the query's details in the overlap, in the candidate's pixels.
        candidate: float64 `[m, 2]`, those of the candidate's own.
        agreeing: float64 `[k, 2]`, those of the candidate's that agree with one of the query's.

    Returns:
        0 or more; 0 where there is no place with three details of either.
    """
    if not (len(query) and len(candidate) and len(agreeing)):
        return 0.0
    both = np.concatenate([query, candidate])
    low, high = both.min(axis=0), both.max(axis=0)
    here, there, agree = (_counts(points, low, high - low + 1e-6) for points in (query, candidate, agreeing))
    details = np.maximum(np.minimum(here, there), agree)
    share = min(_SUREST, agree.sum() / details.sum())
    places, found = _squares(details), _squares(agree)
    enough = places >= _LEAST
    if not enough.any():
        return 0.0
    return float(-_log_at_most(found[enough], places[enough], share).min() / np.log(10))


def _counts(points: np.ndarray, low: np.ndarray, extent: np.ndarray) -> np.ndarray:
    cell = np.clip((points - low) / extent * _CELLS, 0, _CELLS - 1).astype(np.int64)
    return np.bincount(cell[:, 1] * _CELLS + cell[:, 0], minlength=_CELLS * _CELLS).reshape(_CELLS, _CELLS)


def _squares(cells: np.ndarray) -> np.ndarray:
    """Sums over all squares of `_SIDES` cells a side, by a table of sums over all that is above and to the left."""
    table = np.zeros((_CELLS + 1, _CELLS + 1), np.int64)
    table[1:, 1:] = cells.cumsum(axis=0).cumsum(axis=1)
    return np.concatenate([(table[n:, n:] - table[:-n, n:] - table[n:, :-n] + table[:-n, :-n]).ravel() for n in _SIDES])


def _log_at_most(successes: np.ndarray, trials: np.ndarray, share: float) -> np.ndarray:
    """Natural logarithm of the binomial probability of at most so many successes: float64 `[p]`."""
    factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials.max() + 1)))])
    count = np.arange(successes.max() + 1)[None, :]  # [1, s]
    trials, successes = trials[:, None], successes[:, None]
    rest = np.maximum(trials - count, 0)
    terms = factorial[trials] - factorial[np.minimum(count, trials)] - factorial[rest]
    terms = terms + count * np.log(share) + rest * np.log1p(-share)
    terms = np.where(count <= successes, terms, -np.inf)
    most = terms.max(axis=1, keepdims=True)
    out: np.ndarray = most[:, 0] + np.log(np.exp(terms - most).sum(axis=1))
    return out
