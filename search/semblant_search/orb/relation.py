"""The name of how one picture lies in another."""

from __future__ import annotations

import numpy as np

from .geometry import apply
from .overlap import share_inside

__all__ = ["VERDICTS", "corners", "is_laid_over", "relation"]

VERDICTS = ("copy", "rotated/scaled", "crop", "contains", "shared part", "lookalike")
_WHOLE = 0.8
_TURNED = 3.0
"""Degrees from which a copy counts as turned."""
_SCALED = 0.05
_NEARLY = 0.03
"""Of the longest side: so far off may a corner be. Where few details agree, as on two tables of numbers that share their
lines, it is by 2 %."""


def corners(size: tuple[float, float]) -> np.ndarray:
    """float64 `[4, 2]`, clockwise from the top left, of a picture of this `(width, height)`."""
    width, height = size
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)


def relation(transform: np.ndarray, query: tuple[float, float], candidate: tuple[float, float], *, plain: bool) -> str:
    """Name the relation by how much of each picture lies in the other; see `Match.verdict`.

    Args:
        transform: float64 `[3, 3]`, pixels of the query to pixels of the candidate.
        query, candidate: `(width, height)` in these pixels.
        plain: the query shows nothing besides the candidate.
    """
    of_query = share_inside(transform, query, candidate)
    of_candidate = share_inside(np.linalg.inv(transform), candidate, query)
    if of_candidate < _WHOLE:
        return "crop" if of_query >= _WHOLE else "contains"
    if not plain:
        return "contains"
    # Turned on a plain ground, perhaps, or with a plain border.
    return "copy" if of_query >= _WHOLE and _is_unmoved(transform, query) else "rotated/scaled"


def _is_unmoved(transform: np.ndarray, size: tuple[float, float]) -> bool:
    """Whether the transform `[3, 3]` leaves a picture of this `(width, height)` about upright and of its size."""
    corner, right, _, down = apply(transform, corners(size))
    turn = abs(float(np.degrees(np.arctan2(*(right - corner)[::-1]))))
    scale = float(np.linalg.norm(right - corner) / size[0]), float(np.linalg.norm(down - corner) / size[1])
    return turn < _TURNED and all(abs(value - 1) < _SCALED for value in scale)


def is_laid_over(transform: np.ndarray, query: tuple[float, float], candidate: tuple[float, float]) -> bool:
    """Whether the transform `[3, 3]` lays the corners of one picture about over those of the other."""
    away = np.abs(apply(transform, corners(query)) - corners(candidate))
    return bool((away <= _NEARLY * max(candidate)).all())
