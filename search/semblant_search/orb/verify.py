"""Geometric verification: whether two pictures show the same thing, where, and how sure that is.

`Verifier` holds a query and checks candidates of a shortlist against it: mutual nearest descriptors, one transform that many of
them agree on, the evidence in that agreement, and a probability from the collection's own false matches (`calibration`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import lgamma, log, log1p
from typing import TYPE_CHECKING

import numpy as np

from .calibration import Calibration
from .geometry import apply, find_transform, is_sane, simplest
from .matching import Matchable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .features import Features

__all__ = ["DEFAULT_MIN_CONFIDENCE", "VERDICTS", "Match", "Verifier", "verify", "verify_many"]

DEFAULT_MIN_CONFIDENCE = 0.99
"""At the default, at most one in a hundred queries whose picture is not in the collection gets a hit."""

VERDICTS = ("copy", "rotated/scaled", "crop", "contains", "lookalike")
_LEAST = 4
_WHOLE = 0.8
_CELLS = 8
_CHANCE = 1e-3
"""How often a wrong match agrees with a transform; measured on pictures that have nothing in common."""


@dataclass(frozen=True, eq=False)
class Match:
    """What verification found in one candidate.

    Attributes:
        inliers: matched features that agree on the transform, counted once where several lie on one spot.
        matches: matched features before geometry.
        transform: float64 `[3, 3]`: pixels of the query to pixels of the candidate, both in the pictures that the features
            were extracted from. Where `mirrored`, the query has to be flipped horizontally first.
        polygon: float64 `[4, 2]`: the query's corners in the candidate, clockwise from the query's top left.
        pairs: int64 `[k, 2]`: rows of the query's and the candidate's features that agree.
        verdict: `copy` (the whole picture, same size and direction), `rotated/scaled` (the whole picture), `crop` (the query
            is a part of the candidate), `contains` (the query shows the candidate or a part of it among other things),
            `lookalike` (something agrees, but less than `DEFAULT_MIN_CONFIDENCE` asks for).
        evidence: −log10 of the number of as good agreements expected by chance, before calibration; what hits are ordered by.
        probability: 0–1, that this is no chance match; see `Calibration`.
        mirrored: the candidate shows the query's mirror image.
    """

    inliers: int
    matches: int
    transform: np.ndarray
    polygon: np.ndarray
    pairs: np.ndarray = field(repr=False)
    verdict: str
    evidence: float
    probability: float
    mirrored: bool = False


class Verifier:
    """A query, prepared to be compared with many candidates.

    Args:
        query: its features.
        size: `(width, height)` in pixels of the picture they were extracted from.
        calibration: of the collection; None takes the general one.
    """

    def __init__(self, query: Features, size: tuple[int, int], calibration: Calibration | None = None) -> None:
        self.query = query
        self.size = size
        self.calibration = calibration or Calibration.general()
        self._matchable = Matchable(query.descriptors)

    def verify(self, candidate: Features, size: tuple[int, int]) -> Match | None:
        """What agrees between the query and this candidate of `(width, height)`, or None where nothing does."""
        if len(self.query) < _LEAST or len(candidate) < _LEAST:
            return None
        mine, theirs, _ = self._matchable.match(candidate.descriptors)
        here, there = self.query.take(mine), candidate.take(theirs)
        fit = find_transform(here, there, _LEAST)
        if fit is None or not is_sane(fit.transform, self.size):
            return None
        inliers = min(_spots(here.keypoints[fit.inliers]), _spots(there.keypoints[fit.inliers]))
        if inliers < _LEAST:
            return None
        evidence = _evidence(_witnesses(here.keypoints[fit.inliers], self.size), len(mine))
        probability = self.calibration.probability(evidence)
        proven = probability >= DEFAULT_MIN_CONFIDENCE
        transform = simplest(here, there, fit) if proven else fit.transform
        polygon = apply(transform, _corners(self.size))
        verdict = _verdict(transform, self.size, size) if proven else "lookalike"
        pairs = np.column_stack([mine[fit.inliers], theirs[fit.inliers]])
        return Match(inliers, len(mine), transform, polygon, pairs, verdict, evidence, probability)

    def verify_many(self, candidates: Sequence[Features], sizes: Sequence[tuple[int, int]]) -> list[Match | None]:
        """`verify` for each candidate, in their order.

        One after the other: threads were measured to be slower (21 against 20 ms a query), for NumPy's calls on so few numbers
        are too short to gain from letting go of the interpreter lock.
        """
        return [self.verify(candidate, size) for candidate, size in zip(candidates, sizes, strict=True)]


def verify(
    query: Features,
    candidate: Features,
    query_size: tuple[int, int],
    candidate_size: tuple[int, int],
    calibration: Calibration | None = None,
) -> Match | None:
    """Compare one query with one candidate; sizes are `(width, height)` of the pictures that the features are from."""
    return Verifier(query, query_size, calibration).verify(candidate, candidate_size)


def verify_many(
    query: Features,
    candidates: Sequence[Features],
    query_size: tuple[int, int],
    candidate_sizes: Sequence[tuple[int, int]],
    calibration: Calibration | None = None,
) -> list[Match | None]:
    """Compare one query with a shortlist; None where nothing agrees."""
    return Verifier(query, query_size, calibration).verify_many(candidates, candidate_sizes)


def _spots(keypoints: np.ndarray) -> int:
    """Distinct places among key points: one corner found on several pyramid levels is one witness, not many."""
    cells = np.rint(keypoints[:, :2] / 3.0).astype(np.int64)
    return len(np.unique(cells[:, 0] * 65536 + cells[:, 1]))


def _witnesses(keypoints: np.ndarray, size: tuple[int, int]) -> float:
    """Σ √inliers over a grid of the query: agreement in many places counts for more than as many points on one texture."""
    cell = np.clip((keypoints[:, :2] / size * _CELLS).astype(np.int64), 0, _CELLS - 1)
    return float(np.sqrt(np.bincount(cell[:, 1] * _CELLS + cell[:, 0])).sum())


def _evidence(witnesses: float, matches: int) -> float:
    """−log10 of how many transforms with as many witnesses random matches would give.

    A-contrario reasoning (Moisan and Stival, "A probabilistic criterion to detect rigid point matches", IJCV 2004): each pair
    of matches proposes a transform, and each other match agrees by chance with probability `_CHANCE`. The leading term of the
    binomial tail is enough, and takes fractions.
    """
    agree = max(witnesses - 2, 0.1)
    others = max(matches - 2, agree)
    log_tail = lgamma(others + 1) - lgamma(agree + 1) - lgamma(others - agree + 1)
    log_tail += agree * log(_CHANCE) + (others - agree) * log1p(-_CHANCE)
    return -(log_tail + log(matches * (matches - 1) / 2)) / log(10)


def _corners(size: tuple[int, int]) -> np.ndarray:
    width, height = size
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)


def _verdict(transform: np.ndarray, query: tuple[int, int], candidate: tuple[int, int]) -> str:
    """Name the relation by how much of each picture lies in the other."""
    of_query = _share_inside(transform, query, candidate)
    of_candidate = _share_inside(np.linalg.inv(transform), candidate, query)
    if of_query >= _WHOLE and of_candidate >= _WHOLE:
        corner, right, _, down = apply(transform, _corners(query))
        turn = abs(float(np.degrees(np.arctan2(*(right - corner)[::-1]))))
        scale = float(np.linalg.norm(right - corner) / query[0]), float(np.linalg.norm(down - corner) / query[1])
        return "copy" if turn < 3 and all(0.95 < value < 1.05 for value in scale) else "rotated/scaled"
    return "crop" if of_query >= _WHOLE else "contains"


def _share_inside(transform: np.ndarray, size: tuple[int, int], other: tuple[int, int]) -> float:
    """Share of a picture's area that the transform brings into the other picture, on a 16 × 16 grid of points."""
    steps = (np.arange(16) + 0.5) / 16
    grid = np.stack(np.meshgrid(steps * size[0], steps * size[1]), axis=-1).reshape(-1, 2)
    there = apply(transform, grid)
    inside = (there >= 0).all(axis=1) & (there <= np.array(other)).all(axis=1)
    return float(inside.mean())
