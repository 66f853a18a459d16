"""From matched points to one transform: pairs of matches propose similarities, the best grows into a homography.

A pair of matches fixes a similarity; trying all plausible pairs is RANSAC's search made exhaustive and deterministic, and cheap
because size and angle of the features rule out most pairs first (Philbin et al., CVPR 2007). The winner is refined by least
squares over its inliers, with as many degrees of freedom as these can carry.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from .features import load_cv2

if TYPE_CHECKING:
    from .features import Features

__all__ = ["Fit", "apply", "find_transform", "is_sane", "simplest"]

_PROPOSALS = 96
_PAIRED = 80
"""How many matches, the nearest by descriptor, may propose."""
_SIZE_RATIO = np.log(1.8)
_ANGLE = np.deg2rad(35)
_AHEAD = np.cos(_ANGLE)
_LOOSER = 1.25
_SLACK = 0.25
"""By what factor, and how many pixels besides, a simpler transform may be less exact."""


@dataclass(frozen=True)
class Fit:
    """A transform that many matches agree on.

    Attributes:
        transform: float64 `[3, 3]`, query pixels to candidate pixels.
        inliers: bool `[m]`, which matches agree.
    """

    transform: np.ndarray
    inliers: np.ndarray


def find_transform(query: Features, candidate: Features, least: int) -> Fit | None:
    """The transform that most of the matched features (row i of one is row i of the other) agree on, or None below `least`."""
    if len(query) < least:
        return None
    here = query.keypoints[:, 0] + 1j * query.keypoints[:, 1].astype(np.float64)
    there = candidate.keypoints[:, 0] + 1j * candidate.keypoints[:, 1].astype(np.float64)
    growth = np.log(candidate.keypoints[:, 2] / query.keypoints[:, 2]).astype(np.float64)
    turn = np.deg2rad(candidate.keypoints[:, 3] - query.keypoints[:, 3]).astype(np.float64)
    tolerance = _tolerance(candidate.keypoints[:, 2])

    first, second = _plausible_pairs(here, there, growth, turn)
    if len(first) == 0:
        return None
    slope = (there[second] - there[first]) / (here[second] - here[first])  # complex: scale and rotation of a similarity
    shift = there[first] - slope * here[first]
    scale = np.abs(slope)
    error = slope[:, None] * here + shift[:, None] - there  # [pairs, m]
    agrees = error.real**2 + error.imag**2 < (2 * tolerance) ** 2
    agrees &= np.abs(growth - np.log(scale)[:, None]) < _SIZE_RATIO
    ahead = slope / scale  # angles are close where the product of their directions points ahead
    agrees &= np.outer(ahead.real, np.cos(turn)) + np.outer(ahead.imag, np.sin(turn)) > _AHEAD
    best = int(agrees.sum(axis=1).argmax())
    if agrees[best].sum() < least:
        return None
    plausible = np.abs(growth - np.log(scale[best])) < _SIZE_RATIO
    plausible &= np.abs(_wrap(turn - np.angle(slope[best]))) < _ANGLE
    a, b = slope[best], shift[best]
    transform = np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag], [0, 0, 1]])
    return _refine(query.keypoints[:, :2], candidate.keypoints[:, :2], transform, agrees[best], plausible, tolerance, least)


def simplest(query: Features, candidate: Features, fit: Fit) -> np.ndarray:
    """The transform with as few degrees of freedom as explain the inliers about as well: float64 `[3, 3]`.

    Where the inliers lie in one corner, a homography goes astray in the others, and the outline of a plain crop with it.
    """
    here, there = query.keypoints[fit.inliers, :2], candidate.keypoints[fit.inliers, :2]
    enough = _LOOSER * _typical_error(fit.transform, here, there) + _SLACK
    for freedom in (4, 6):
        solved = _solve(here, there, freedom)
        if solved is not None and _typical_error(solved, here, there) <= enough:
            return solved
    return fit.transform


def _typical_error(transform: np.ndarray, here: np.ndarray, there: np.ndarray) -> float:
    error = np.sort(np.linalg.norm(apply(transform, here) - there, axis=1))  # NaN, beyond the horizon, is the largest
    return float(error[(len(error) - 1) // 2] + error[len(error) // 2]) / 2


def apply(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points `[n, 2]` through a transform `[3, 3]`: float64 `[n, 2]`; points beyond the horizon come out as NaN."""
    image = points @ transform[:, :2].T + transform[:, 2]
    depth = np.where(image[:, 2:] > 1e-9, image[:, 2:], np.nan)
    out: np.ndarray = image[:, :2] / depth
    return out


def is_sane(transform: np.ndarray, size: tuple[int, int]) -> bool:
    """Whether a picture of this `(width, height)` stays a convex, unmirrored, not absurdly stretched quadrangle."""
    width, height = size
    corners: list[complex] = []
    rows = transform.tolist()
    for x, y in ((0, 0), (width, 0), (width, height), (0, height)):
        u, v, depth = (row[0] * x + row[1] * y + row[2] for row in rows)
        if not (depth > 1e-9 and isfinite(u) and isfinite(v)):
            return False
        corners.append(complex(u, v) / depth)
    sides = [corners[(i + 1) % 4] - corners[i] for i in range(4)]
    if any((sides[i].conjugate() * sides[(i + 1) % 4]).imag <= 0 for i in range(4)):
        return False
    stretch = [abs(side) / length for side, length in zip(sides, (width, height, width, height), strict=True)]
    return min(stretch) > 0.05 and max(stretch) < 20 and max(stretch) < 3 * min(stretch)


def _tolerance(size: np.ndarray) -> np.ndarray:
    """How far, in pixels, a key point may lie from where it should: coarse pyramid levels place theirs coarsely."""
    out: np.ndarray = 1.0 + 0.1 * size.astype(np.float64)
    return out


def _plausible_pairs(
    here: np.ndarray, there: np.ndarray, growth: np.ndarray, turn: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """At most `_PROPOSALS` pairs of matches whose distance and direction agree with the features' own sizes and angles."""
    first, second = _pairs(min(len(here), _PAIRED))
    gap, gap_there = here[second] - here[first], there[second] - there[first]
    far = (np.abs(gap) > 8) & (np.abs(gap_there) > 4)
    first, second, slope = first[far], second[far], gap_there[far] / gap[far]
    scale, angle = np.log(np.abs(slope)), np.angle(slope)
    good = (np.abs(growth[first] - scale) < _SIZE_RATIO) & (np.abs(growth[second] - scale) < _SIZE_RATIO)
    good &= (np.abs(_wrap(turn[first] - angle)) < _ANGLE) & (np.abs(_wrap(turn[second] - angle)) < _ANGLE)
    first, second = first[good], second[good]
    if len(first) > _PROPOSALS:  # matches that many others support propose first
        votes = np.bincount(np.concatenate([first, second]), minlength=len(here))
        order = np.argsort(-(votes[first] * votes[second]), kind="stable")[: 4 * _PROPOSALS : 4]
        first, second = first[order], second[order]
    return first, second


@lru_cache(maxsize=_PAIRED + 1)
def _pairs(count: int) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.triu_indices(count, 1)
    return first, second


def _refine(
    here: np.ndarray,
    there: np.ndarray,
    transform: np.ndarray,
    inliers: np.ndarray,
    plausible: np.ndarray,
    tolerance: np.ndarray,
    least: int,
) -> Fit | None:
    """Least squares over the inliers, again with those that the better transform gains; affine from 5, homography from 12."""
    best = Fit(transform, inliers)
    for round_ in range(3):
        count = int(best.inliers.sum())
        solved = _solve(here[best.inliers], there[best.inliers], 8 if count >= 12 and round_ > 0 else 6 if count >= 5 else 4)
        if solved is None:
            break
        error = np.linalg.norm(apply(solved, here) - there, axis=1)
        better = plausible & (np.nan_to_num(error, nan=np.inf) < tolerance * (1.5 if round_ == 0 else 1.0))
        if better.sum() < least:
            return None
        settled = np.array_equal(better, best.inliers)
        best = Fit(solved, better)
        if settled and round_ > 0:
            break
    return best


def _solve(here: np.ndarray, there: np.ndarray, freedom: int) -> np.ndarray | None:
    if freedom == 8:
        cv2 = load_cv2()
        homography, _ = cv2.findHomography(here.astype(np.float64), there.astype(np.float64), 0)
        return None if homography is None or not np.isfinite(homography).all() else np.asarray(homography)
    # Least squares about the centres of gravity, in closed form: the points are too few for a general solver to pay.
    middle, middle_there = here.mean(axis=0, dtype=np.float64), there.mean(axis=0, dtype=np.float64)
    x, y = here - middle, there - middle_there
    if freedom == 6:
        (xx, xy), (_, yy) = (x.T @ x).tolist()
        determinant = xx * yy - xy * xy
        if determinant <= 1e-9 * (xx + yy) ** 2:  # all on one line
            return None
        linear = (np.array([[yy, -xy], [-xy, xx]]) / determinant @ (x.T @ y)).T
    else:
        power = float((x * x).sum())
        if power == 0:
            return None
        a, b = float((x * y).sum()) / power, float((x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0]).sum()) / power
        linear = np.array([[a, -b], [b, a]])
    out = np.eye(3)
    out[:2, :2], out[:2, 2] = linear, middle_there - linear @ middle
    return out


def _wrap(angle: np.ndarray) -> np.ndarray:
    """Radians to −π…π."""
    out: np.ndarray = (angle + np.pi) % (2 * np.pi) - np.pi
    return out
