"""How sure a number of agreeing details makes, and under which name they go."""

from __future__ import annotations

import numpy as np
import pytest
from semblant_search.orb import DEFAULT_MIN_CONFIDENCE, verify
from support.details import SIZE, agreeing, described, moved, places, proven


def evidence(count: int, of: int, box: tuple[float, float, float, float] = (0, 0, 400, 300)) -> float:
    match = agreeing(count, of, box=box)
    assert match is not None
    return match.evidence


@pytest.mark.parametrize(("count", "of"), [(4, 4), (5, 40), (7, 100), (8, 100), (8, 200), (10, 200)])
@pytest.mark.parametrize("seed", [0, 1])
def test_few_of_many_details_that_agree_are_no_proof(count: int, of: int, seed: int) -> None:
    match = agreeing(count, of, seed=seed)
    assert match is not None
    assert match.probability < DEFAULT_MIN_CONFIDENCE
    assert match.verdict == "lookalike"


@pytest.mark.parametrize(("count", "of"), [(12, 12), (14, 40), (22, 100), (60, 200)])
@pytest.mark.parametrize("seed", [0, 1])
def test_many_that_agree_are_proof(count: int, of: int, seed: int) -> None:
    match = agreeing(count, of, seed=seed)
    assert match is not None
    assert proven(match)
    assert match.verdict == "copy"


def test_details_at_random_places_are_as_rare_a_proof_as_the_evidence_says() -> None:
    """Evidence e says: by chance 10^−e such agreements are expected. Among 60 pairs hardly one has more than 1."""
    found = [agreeing(0, 60 + 3 * seed, seed=seed) for seed in range(60)]
    assert sum(match is not None and match.evidence > 1 for match in found) <= 2
    assert not any(match is not None and match.probability >= 0.9 for match in found)


def test_more_agreement_is_more_evidence_and_more_disagreement_less() -> None:
    rising = [evidence(count, 80) for count in (8, 12, 20, 40, 80)]
    assert rising == sorted(rising)
    assert rising[0] < 10 < rising[2]
    falling = [evidence(12, of) for of in (12, 30, 80, 200)]
    assert falling == sorted(falling, reverse=True)
    assert falling[0] - falling[-1] > 5


def test_agreement_all_over_the_picture_counts_for_more_than_on_one_texture() -> None:
    everywhere, texture = evidence(25, 80), evidence(25, 80, box=(155, 115, 195, 145))
    assert everywhere > 2 * texture
    corner, middle = evidence(25, 80, box=(0, 0, 48, 36)), evidence(25, 80, box=(152, 114, 198, 148))
    assert corner == pytest.approx(middle, abs=3)  # where in the picture does not matter


def turned(degrees: float, across: float, down: float, at: tuple[float, float] = (0, 0)) -> np.ndarray:
    turn = np.deg2rad(degrees)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    middle = np.array([[1, 0, 200], [0, 1, 150], [0, 0, 1]], np.float64)
    back = np.array([[1, 0, 200 * across], [0, 1, 150 * down], [0, 0, 1]], np.float64)
    shift = np.array([[1, 0, at[0]], [0, 1, at[1]], [0, 0, 1]], np.float64)
    return np.asarray(shift @ back @ np.diag([across, down, 1]) @ rotation @ np.linalg.inv(middle))


@pytest.mark.parametrize(
    ("degrees", "zoom", "candidate", "at", "verdict"),
    [
        (0, (1, 1), (400, 300), (0, 0), "copy"),
        (2, (1.02, 1.02), (408, 306), (0, 0), "copy"),
        (-2, (0.98, 0.98), (392, 294), (0, 0), "copy"),
        (4, (1, 1), (400, 300), (0, 0), "rotated/scaled"),
        (-4, (1, 1), (400, 300), (0, 0), "rotated/scaled"),
        (180, (1, 1), (400, 300), (0, 0), "rotated/scaled"),
        (0, (1.07, 1.07), (428, 321), (0, 0), "rotated/scaled"),
        (0, (0.93, 0.93), (372, 279), (0, 0), "rotated/scaled"),
        (0, (1, 1.08), (400, 324), (0, 0), "rotated/scaled"),
        (0, (1.08, 1), (432, 300), (0, 0), "rotated/scaled"),
        (0, (1, 1), (420, 310), (10, 5), "copy"),  # with a margin of a few pixels
        (0, (1, 1), (600, 400), (100, 50), "crop"),
        (0, (2, 2), (1600, 1200), (300, 300), "crop"),
        (0, (1, 1), (200, 150), (-100, -75), "contains"),
        (0, (0.5, 0.5), (100, 100), (-50, -25), "contains"),
    ],
    ids=str,
)  # fmt: skip
def test_the_verdict_says_how_much_of_each_picture_lies_in_the_other(
    degrees: float,
    zoom: tuple[float, float],
    candidate: tuple[int, int],
    at: tuple[float, float],
    verdict: str,
) -> None:
    transform = turned(degrees, *zoom, at=at)
    features = described(places(150, 3))
    there = moved(features, transform, zoom=max(zoom), turn=degrees)
    x, y = there.keypoints[:, 0], there.keypoints[:, 1]
    seen = there.take((x >= 0) & (y >= 0) & (x < candidate[0]) & (y < candidate[1]))
    match = verify(features, seen, SIZE, candidate)
    assert match is not None
    assert match.verdict == verdict


def test_what_is_not_proven_has_no_name_but_lookalike() -> None:
    """Even where its few details say exactly where it would lie."""
    features = described(places(4, 8))
    match = verify(features, features, SIZE, SIZE)
    assert match is not None
    assert (match.verdict, match.inliers) == ("lookalike", 4)
    assert 0 < match.probability < DEFAULT_MIN_CONFIDENCE
