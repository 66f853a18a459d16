"""The name of how one picture lies in another."""

from __future__ import annotations

import numpy as np

from .geometry import apply
from .overlap import share_inside

__all__ = ["VERDICTS", "corners", "relation"]

VERDICTS = ("copy", "rotated/scaled", "crop", "contains", "shared part", "lookalike")
_WHOLE = 0.8
_ALL_DETAILS = 0.97
_TURNED = 3.0
"""Degrees from which a copy counts as turned."""
_SCALED = 0.05


def corners(size: tuple[float, float]) -> np.ndarray:
    """float64 `[4, 2]`, clockwise from the top left, of a picture of this `(width, height)`."""
    width, height = size
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)


def relation(transform: np.ndarray, query: tuple[float, float], candidate: tuple[float, float], details: float) -> str:
    """Name the relation by how much of each picture lies in the other; see `Match.verdict`.

    Args:
        transform: float64 `[3, 3]`, pixels of the query to pixels of the candidate.
        query, candidate: `(width, height)` in these pixels.
        details: share of the query's features that lie in the candidate, 0–1.
    """
    of_query = share_inside(transform, query, candidate)
    of_candidate = share_inside(np.linalg.inv(transform), candidate, query)
    if of_query >= _WHOLE and of_candidate >= _WHOLE:
        corner, right, _, down = apply(transform, corners(query))
        turn = abs(float(np.degrees(np.arctan2(*(right - corner)[::-1]))))
        scale = float(np.linalg.norm(right - corner) / query[0]), float(np.linalg.norm(down - corner) / query[1])
        return "copy" if turn < _TURNED and all(abs(value - 1) < _SCALED for value in scale) else "rotated/scaled"
    if of_candidate >= _WHOLE and details >= _ALL_DETAILS:  # turned on a plain ground, or with a plain border
        return "rotated/scaled"
    return "crop" if of_query >= _WHOLE else "contains"
