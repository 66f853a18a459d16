"""A part that two pictures share: the same floor, print or logo, whatever else they show.

Weighed over all that the transform lays over each other, it is outvoted, so it is weighed by itself, and by its fine details
alone. Lookalikes agree in coarse ones: from afar, the sleeve of one shirt makes the same corner as that of another. Nearby,
where a detail sees a tenth of the picture, only the same thing is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING

import numpy as np

from .features import load_cv2
from .weighing import evidence

if TYPE_CHECKING:
    from .features import Features

__all__ = ["LEAST_PART", "SharedPart", "shared_part"]

LEAST_PART = 0.95
"""Least probability of what goes by the name of a shared part."""

_FINE = 0.13
"""Largest patch of a fine detail, as a share of its picture's longest side."""
_ANGLE = 15.0
_SIZE = float(np.log(1.3))
"""How far, in degrees and by factor, a fine detail's own angle and size may be from those that the transform gives it."""
_LEAST = 5
_CELLS = 16
_SPOT = 3 / 480
"""Key points nearer than this share of the longest side are one witness."""
# From parts of clip-art that were looked at one by one: of those with evidence of 4 to 5 half are wrong (corners of any two
# rectangles, stars of two flags), of those with 7 to 8.6 one in 15 (pips of two cards); of photographs fewer.
_EVEN, _RARER = 4.5, 1.6
_MARGIN = 0.0125
"""By how much of the longest side the outline is larger than the key points in it."""


@dataclass(frozen=True, eq=False)
class SharedPart:
    """A part that two pictures share.

    Attributes:
        pairs: int64 `[k, 2]`: rows of the query's and the candidate's fine features that agree.
        inliers: their number, counted once where several lie on one spot.
        evidence: −log10 of the number of as good agreements expected by chance.
        support: inliers ÷ the smaller number of fine features that either picture has within the outline, 0–1.
        probability: 0–1, the share of parts as evident that were right: the same thing or place in both pictures.
        query, candidate: float64 `[n, 2]`, convex outline of the part, in the pixels that the features lie in.
    """

    pairs: np.ndarray
    inliers: int
    evidence: float
    support: float
    probability: float
    query: np.ndarray
    candidate: np.ndarray


def shared_part(
    query: Features,
    candidate: Features,
    sizes: tuple[tuple[int, int], tuple[int, int]],
    transform: np.ndarray,
    pairs: np.ndarray,
    agree: np.ndarray,
) -> SharedPart | None:
    """What of an agreement is fine, or None where that is too little, or lies on one line.

    Args:
        query, candidate: their features.
        sizes: `(width, height)` of the query's and the candidate's pixels.
        transform: float64 `[3, 3]`, pixels of the query to pixels of the candidate.
        pairs: int64 `[m, 2]`: rows of the features that match each other.
        agree: bool `[m]`, which of them agree on the transform.
    """
    here, there = query.keypoints[pairs[:, 0]].astype(np.float64), candidate.keypoints[pairs[:, 1]].astype(np.float64)
    sides = max(sizes[0]), max(sizes[1])
    fine = here[:, 2] * there[:, 2] < _FINE**2 * sides[0] * sides[1]
    alike = agree & fine
    if alike.sum() < _LEAST:
        return None
    scale, turn = _scale_and_turn(transform, here[alike, :2].mean(axis=0))
    away = np.abs((there[:, 3] - here[:, 3] - turn + 180) % 360 - 180)
    alike &= (away < _ANGLE) & (np.abs(np.log(there[:, 2] / here[:, 2] / scale)) < _SIZE)
    inliers = min(_spots(points[alike, :2], side) for points, side in zip((here, there), sides, strict=True))
    if inliers < _LEAST:
        return None
    outlines = _outline(here[alike, :2], sizes[0]), _outline(there[alike, :2], sizes[1])
    inside = [
        _count_inside(features.keypoints[features.keypoints[:, 2] < _FINE * side, :2], outline)
        for features, side, outline in zip((query, candidate), sides, outlines, strict=True)
    ]
    found = evidence(_witnesses(here[alike, :2], sides[0]), int(fine.sum()))
    return SharedPart(
        pairs=pairs[alike],
        inliers=inliers,
        evidence=found,
        support=min(1.0, inliers / max(1, min(inside))),
        probability=1.0 - 0.5 * exp((_EVEN - found) / _RARER) if found > _EVEN else 0.0,
        query=outlines[0],
        candidate=outlines[1],
    )


def _scale_and_turn(transform: np.ndarray, at: np.ndarray) -> tuple[float, float]:
    """By what factor a transform enlarges, and by how many degrees it turns, what lies about a point."""
    image = transform @ np.array([*at, 1.0])
    jacobian = (transform[:2, :2] - np.outer(image[:2] / image[2], transform[2, :2])) / image[2]
    turn = np.arctan2(jacobian[1, 0] - jacobian[0, 1], jacobian[0, 0] + jacobian[1, 1])
    return float(abs(np.linalg.det(jacobian)) ** 0.5), float(np.degrees(turn))


def _spots(points: np.ndarray, side: int) -> int:
    cells = np.rint(points / (_SPOT * side)).astype(np.int64)
    return len(np.unique(cells, axis=0))


def _witnesses(points: np.ndarray, side: int) -> float:
    """Σ √details over the places of a square grid: many details in one place are one another's neighbours."""
    _, counts = np.unique((points / side * _CELLS).astype(np.int64), axis=0, return_counts=True)
    return float(np.sqrt(counts).sum())


def _outline(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The convex hull of points, with a margin, within a picture of this `(width, height)`: float64 `[n, 2]`."""
    cv2 = load_cv2()
    margin = _MARGIN * max(size)
    around = np.array([[-margin, -margin], [margin, -margin], [margin, margin], [-margin, margin]])
    grown = np.clip((points[:, None] + around).reshape(-1, 2), 0, np.array(size) - 1.0)
    return np.asarray(cv2.convexHull(grown.astype(np.float32))[:, 0], np.float64)


def _count_inside(points: np.ndarray, outline: np.ndarray) -> int:
    """How many points lie within a convex outline."""
    ahead = np.roll(outline, -1, axis=0) - outline
    offset = points[:, None] - outline
    turn = ahead[:, 0] * offset[..., 1] - ahead[:, 1] * offset[..., 0]
    return int(((turn >= 0).all(axis=1) | (turn <= 0).all(axis=1)).sum())
