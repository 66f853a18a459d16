"""Geometric verification: whether two pictures show the same thing, where, and how sure that is.

`Verifier` holds a query and checks candidates of a shortlist against it: mutual nearest descriptors, one transform that many of
them agree on, what speaks for it and against it in the overlap (`overlap`, `weighing`), and a probability from the collection's
own lookalikes (`calibration`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from .calibration import Calibration
from .disagreement import disagreement
from .geometry import apply, find_transform, is_sane, simplest
from .matching import Matchable
from .overlap import Besides, align_pixels, compare_pixels, inside, likeness, same_pixels, share_inside, thumbnail
from .parts import LEAST_PART, shared_part
from .relation import VERDICTS, corners, is_laid_over, relation
from .weighing import evidence, strength

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .features import Features
    from .overlap import PixelAgreement
    from .parts import SharedPart

__all__ = ["DEFAULT_MIN_CONFIDENCE", "VERDICTS", "Match", "Verifier", "verify", "verify_many"]

DEFAULT_MIN_CONFIDENCE = 0.99
"""At the default, at most one in a hundred queries whose picture is not in the collection gets a hit."""

_LEAST = 4
_MORE = 5
"""Features that the overlap is taken to have besides: four that agree out of four are no proof."""
_CELLS = 8
_HOPELESS, _CLEAR, _CLEAR_LAID_OVER = -8.0, 4.0, 20.0
"""Strengths between which pixels are aligned: below there is nothing to be saved, above no need to."""
_CLOSER = 240
"""Pixels of the longest side at which a line of text on a page is seen."""
_STILL = 0.8
"""Share of the overlap that is left of it after that, at least."""
_ALL_DETAILS = 0.97
_PLAIN = 0.005


@dataclass(frozen=True, eq=False)
class Match:
    """What verification found in one candidate.

    Attributes:
        inliers: matched features that agree on the transform, counted once where several lie on one spot.
        matches: matched features before geometry.
        transform: float64 `[3, 3]`: pixels of the query to pixels of the candidate, both in the pictures that the features
            were extracted from.
        polygon: float64 `[4, 2]`: the query's corners in the candidate, clockwise from the query's top left.
        pairs: int64 `[k, 2]`: rows of the query's and the candidate's features that agree.
        verdict: in the pixels of the features: `copy` (the whole picture, same size and direction), `rotated/scaled` (the whole
            picture, on a plain ground perhaps), `crop` (the query is a part of the candidate), `contains` (the query shows the
            candidate or a part of it among other things), `shared part` (the two have `part` in common, and that is all),
            `lookalike` (something agrees, but less than `DEFAULT_MIN_CONFIDENCE` asks for).
        evidence: −log10 of the number of as good agreements expected by chance between two random pictures.
        support: inliers ÷ the smaller number of features that either picture has in the overlap and five more, 0–1.
        disagreement: −log10 of the probability that, in a copy, as few details would agree in the place where they agree least.
        plain: the query shows nothing besides the candidate: what is around it has no contrast, or, where its pixels are not
            at hand, no features. False for a `lookalike`.
        pixels: how well the pixels of the overlap agree; None where they were not at hand.
        laid_over: the one lies exactly over the other, as it is.
        strength: all of these in one number, the log-odds of the same picture; what hits are ordered by.
        probability: 0–1, that this is no chance match; see `Calibration`, and of a shared part `SharedPart`.
        part: what the two have in common, of the verdict `shared part`.
    """

    inliers: int
    matches: int
    transform: np.ndarray
    polygon: np.ndarray
    pairs: np.ndarray = field(repr=False)
    verdict: str
    evidence: float
    support: float
    disagreement: float
    plain: bool
    pixels: PixelAgreement | None
    laid_over: bool
    strength: float
    probability: float
    part: SharedPart | None = None


class Verifier:
    """A query, prepared to be compared with many candidates.

    Args:
        query: its features.
        size: `(width, height)` in pixels of the picture they were extracted from.
        calibration: of the collection; None takes the general one.
        pixels: uint8 `[h, w]`, that picture in grey, in any size; None compares details alone.
        mirrored: this is the mirror image of what was asked for; see `Calibration.probability`.
        shared_parts: where the pictures are not proven to be one in the other, look for a part that they share.
    """

    def __init__(
        self,
        query: Features,
        size: tuple[int, int],
        calibration: Calibration | None = None,
        pixels: np.ndarray | None = None,
        *,
        mirrored: bool = False,
        shared_parts: bool = False,
    ) -> None:
        self.query = query
        self.size = size
        self.calibration = calibration or Calibration.general()
        self.pixels = pixels
        self.mirrored = mirrored
        self.shared_parts = shared_parts
        self._besides = None if pixels is None else Besides(pixels, size)
        self._matchable = Matchable(query.descriptors)

    def verify(self, candidate: Features, size: tuple[int, int], thumbnail: np.ndarray | None = None) -> Match | None:
        """What agrees between the query and a candidate, or None where nothing does.

        Args:
            candidate: its features.
            size: `(width, height)` in pixels of the picture that they were extracted from.
            thumbnail: uint8 `[h, w]`, that picture in grey, in any size; None compares details alone.
        """
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
        transform = simplest(here, there, fit)
        back = np.linalg.inv(transform)
        mine_inside, places = inside(self.query, transform, size)
        theirs_inside, _ = inside(candidate, back, self.size)
        found = evidence(_witnesses(here.keypoints[fit.inliers], self.size), len(mine))
        support = min(1.0, inliers / (min(mine_inside.sum(), theirs_inside.sum()) + _MORE))
        against = disagreement(
            places[mine_inside],
            candidate.keypoints[theirs_inside, :2].astype(np.float64),
            there.keypoints[fit.inliers, :2].astype(np.float64),
        )
        pixels, laid_over = None, is_laid_over(transform, self.size, size)
        if thumbnail is None or self.pixels is None:
            weight = strength(found, support, None, against)
        else:
            pixels = compare_pixels(self.pixels, self.size, thumbnail, size, transform)
            weight = _weigh(found, support, pixels, against, laid_over=laid_over)
            if _HOPELESS < weight < (_CLEAR_LAID_OVER if laid_over else _CLEAR):
                pixels = self._aligned(thumbnail, size, transform, pixels)
                weight = _weigh(found, support, pixels, against, laid_over=laid_over)
        probability = self.calibration.probability(
            weight, pixels=pixels is not None, laid_over=laid_over, mirrored=self.mirrored
        )
        verdict, plain, part = "lookalike", False, None
        if probability >= DEFAULT_MIN_CONFIDENCE:
            around = None if self._besides is None else self._besides(transform, size)
            plain = mine_inside.mean() >= _ALL_DETAILS if around is None else around <= _PLAIN
            verdict = relation(transform, self.size, size, plain=plain)
        elif self.shared_parts:
            pairs = np.column_stack([mine, theirs])
            found_part = shared_part(self.query, candidate, (self.size, size), transform, pairs, fit.inliers)
            if found_part is not None and found_part.probability >= LEAST_PART:
                verdict, probability, part = "shared part", found_part.probability, found_part
        return Match(
            inliers=inliers,
            matches=len(mine),
            transform=transform,
            polygon=apply(transform, corners(self.size)),
            pairs=np.column_stack([mine[fit.inliers], theirs[fit.inliers]]),
            verdict=verdict,
            evidence=found,
            support=support,
            disagreement=against,
            plain=plain,
            pixels=pixels,
            laid_over=laid_over,
            strength=weight,
            probability=probability,
            part=part,
        )

    def may_be_copy(self, match: Match) -> bool:
        """Whether it is no proof for the collection's lookalikes alone, so that a closer look (`look`) may settle it."""
        return match.verdict == "lookalike" and match.laid_over and self._anywhere(match) >= DEFAULT_MIN_CONFIDENCE

    def likeness(self, match: Match, thumbnail: np.ndarray | None, size: tuple[int, int]) -> float:
        """How alike the pixels of a candidate are that `may_be_copy`, −1 to 1: the order in which to look closer."""
        if self.pixels is None or thumbnail is None:
            return -1.0
        return likeness(self.pixels, self.size, thumbnail, size, match.transform)

    def look(self, match: Match, picture: np.ndarray, size: tuple[int, int]) -> Match:
        """The match as it is once the candidate's own pixels are at hand: proven, where they agree in every place.

        A family of lookalikes, pages of one form say, differs in what no thumbnail shows. Its members are what chance gives
        in this collection, and nothing is proven among them by details and thumbnails. These pixels tell them apart.

        Args:
            match: one that `may_be_copy`.
            picture: uint8 `[h, w]`, the candidate in grey, in any size.
            size: `(width, height)` in pixels of the picture that its features were extracted from.
        """
        pixels = thumbnail(picture, _CLOSER)
        if self.pixels is None or max(self.pixels.shape) < _CLOSER or max(pixels.shape) < _CLOSER:
            return match
        if not same_pixels(self.pixels, self.size, pixels, size, match.transform):
            return match
        verdict = relation(match.transform, self.size, size, plain=True)
        return replace(match, verdict=verdict, plain=True, probability=self._anywhere(match))

    def _anywhere(self, match: Match) -> float:
        """What the match would be worth in a collection without families of lookalikes."""
        return Calibration.general().probability(
            match.strength, pixels=match.pixels is not None, laid_over=match.laid_over, mirrored=self.mirrored
        )

    def _aligned(
        self, thumbnail: np.ndarray, size: tuple[int, int], transform: np.ndarray, before: PixelAgreement
    ) -> PixelAgreement:
        """How well the pixels agree once they decide themselves how they lie over each other, where that is better."""
        assert self.pixels is not None
        moved = align_pixels(self.pixels, self.size, thumbnail, size, transform)
        if moved is None or not is_sane(moved, self.size):
            return before
        shares = [share_inside(np.linalg.inv(one), size, self.size) for one in (moved, transform)]
        if shares[0] < _STILL * shares[1]:  # on less, more is alike
            return before
        after = compare_pixels(self.pixels, self.size, thumbnail, size, moved)
        return max(before, after, key=lambda found: found.correlation)

    def verify_many(
        self,
        candidates: Sequence[Features],
        sizes: Sequence[tuple[int, int]],
        thumbnails: Sequence[np.ndarray | None] | None = None,
    ) -> list[Match | None]:
        """`verify` for each candidate, in their order.

        One after the other: threads were measured to be slower (21 against 20 ms a query), for NumPy's calls on so few numbers
        are too short to gain from letting go of the interpreter lock.
        """
        pictures = [None] * len(candidates) if thumbnails is None else thumbnails
        return [
            self.verify(candidate, size, picture) for candidate, size, picture in zip(candidates, sizes, pictures, strict=True)
        ]


def verify(
    query: Features,
    candidate: Features,
    query_size: tuple[int, int],
    candidate_size: tuple[int, int],
    calibration: Calibration | None = None,
) -> Match | None:
    """Compare the details of one query with those of one candidate; sizes are `(width, height)` of their pictures."""
    return Verifier(query, query_size, calibration).verify(candidate, candidate_size)


def verify_many(
    query: Features,
    candidates: Sequence[Features],
    query_size: tuple[int, int],
    candidate_sizes: Sequence[tuple[int, int]],
    calibration: Calibration | None = None,
) -> list[Match | None]:
    """Compare the details of one query with those of a shortlist; None where nothing agrees."""
    return Verifier(query, query_size, calibration).verify_many(candidates, candidate_sizes)


def _weigh(evidence: float, support: float, pixels: PixelAgreement, disagreement: float, *, laid_over: bool) -> float:
    return strength(evidence, support, pixels.correlation, disagreement, everywhere=pixels.everywhere, laid_over=laid_over)


def _spots(keypoints: np.ndarray) -> int:
    """Distinct places among key points: one corner found on several pyramid levels is one witness, not many."""
    cells = np.rint(keypoints[:, :2] / 3.0).astype(np.int64)
    return len(np.unique(cells[:, 0] * 65536 + cells[:, 1]))


def _witnesses(keypoints: np.ndarray, size: tuple[int, int]) -> float:
    """Σ √inliers over a grid of the query: agreement in many places counts for more than as many points on one texture."""
    cell = np.clip((keypoints[:, :2] / size * _CELLS).astype(np.int64), 0, _CELLS - 1)
    return float(np.sqrt(np.bincount(cell[:, 1] * _CELLS + cell[:, 0])).sum())
