"""Geometry on details whose truth is known: which transforms are found, how exactly, and which no camera could make."""

from __future__ import annotations

import numpy as np
import pytest
from semblant_search.orb import Features, verify
from support.details import SIZE, agreeing, described, moved, places, proven, through

CORNERS = np.array([[0, 0], [400, 0], [400, 300], [0, 300]], np.float64)


def about_the_middle(matrix: list[list[float]]) -> np.ndarray:
    there = np.array([[1, 0, 200], [0, 1, 150], [0, 0, 1]], np.float64)
    return np.asarray(there @ np.array(matrix, np.float64) @ np.linalg.inv(there))


def turned(degrees: float, zoom: float = 1) -> np.ndarray:
    a, b = zoom * np.cos(np.deg2rad(degrees)), zoom * np.sin(np.deg2rad(degrees))
    return about_the_middle([[a, -b, 0], [b, a, 0], [0, 0, 1]])


def stretched(across: float, down: float) -> np.ndarray:
    return about_the_middle([[across, 0, 0], [0, down, 0], [0, 0, 1]])


def tilted(share: float) -> np.ndarray:
    """The lower edge nearer to the camera than the upper one."""
    return about_the_middle([[1, 0, 0], [0, 1, 0], [0, -share, 1]])


@pytest.mark.parametrize(
    ("transform", "zoom", "turn"),
    [
        (np.eye(3), 1, 0),
        (turned(30), 1, 30),
        (turned(-90), 1, -90),
        (turned(180), 1, 180),
        (turned(200, 0.5), 0.5, 200),
        (turned(-10, 3), 3, -10),
        (turned(0, 0.2), 0.2, 0),
        (stretched(1.3, 0.9), 1, 0),
        (tilted(0.001), 1, 0),
        (tilted(0.0015) @ turned(20), 1, 20),
    ],
    ids=["same", "30°", "-90°", "180°", "half, 200°", "3×", "a fifth", "stretched", "tilted", "tilted, 20°"],
)
def test_the_transform_of_all_details_is_found_to_a_fraction_of_a_pixel(
    transform: np.ndarray, zoom: float, turn: float
) -> None:
    features = described(places(60, 1))
    there = moved(features, transform, zoom=zoom, turn=turn)
    match = verify(features, there, SIZE, (round(400 * zoom), round(300 * zoom)))
    assert proven(match)
    assert match is not None
    np.testing.assert_allclose(match.polygon, through(transform, CORNERS), atol=0.5)
    np.testing.assert_allclose(through(match.transform, CORNERS), through(transform, CORNERS), atol=0.5)
    assert match.matches == 60
    assert match.inliers >= 50  # few places fall together
    np.testing.assert_array_equal(match.pairs[:, 0], match.pairs[:, 1])


BAND = (20.0, 130.0, 380.0, 170.0)
"""Details of this band alone bear with what happens to the rest of the picture."""


@pytest.mark.parametrize(
    ("transform", "size", "zoom"),
    [
        (stretched(1, -1), 100, 1),
        (stretched(1, 0.2), 100, 1),
        (stretched(1, 1e-9), 100, 1),
        (tilted(0.0045), 100, 1),
        (tilted(0.0065), 100, 1),
        (tilted(0.007), 100, 1),
        (tilted(0.008), 100, 1),
        (tilted(-0.008), 100, 1),
        (stretched(25, 25), 10, 25),
        (stretched(0.04, 0.04), 200, 0.04),
    ],
    ids=["mirrored", "flattened", "a line", "absurd", "nearly edge on", "horizon", "beyond", "above", "25×", "a 25th"],
)  # fmt: skip
def test_what_no_camera_could_do_to_a_picture_is_no_match_however_many_details_agree(
    transform: np.ndarray, size: float, zoom: float
) -> None:
    features = described(places(60, 1, BAND), size=size)
    there = moved(features, transform, zoom=zoom)
    assert verify(features, there, SIZE, (round(400 * zoom), round(300 * zoom))) is None


@pytest.mark.parametrize(
    ("transform", "size", "zoom"),
    [(np.eye(3), 100, 1), (stretched(1, 0.5), 100, 1), (tilted(0.002), 100, 1), (stretched(15, 15), 10, 15)],
    ids=["same", "half as high", "tilted", "15×"],
)
def test_what_a_camera_or_a_screen_does_is_a_match(transform: np.ndarray, size: float, zoom: float) -> None:
    features = described(places(60, 1, BAND), size=size)
    there = moved(features, transform, zoom=zoom)
    match = verify(features, there, SIZE, (round(400 * zoom), round(300 * zoom)))
    assert proven(match)
    assert match is not None
    np.testing.assert_allclose(match.polygon, through(transform, CORNERS), atol=2 * max(1, zoom))


@pytest.mark.parametrize(("growth", "turn"), [(2.5, 0), (0.4, 0), (1, 60), (1, 180)], ids=str)
def test_details_at_the_right_places_but_of_another_size_or_direction_prove_nothing(growth: float, turn: float) -> None:
    features = described(places(60, 1))
    assert not proven(verify(features, moved(features, np.eye(3), zoom=growth, turn=turn), SIZE, SIZE))
    slightly = moved(features, np.eye(3), zoom=growth**0.25, turn=turn / 9)
    assert proven(verify(features, slightly, SIZE, SIZE))


def test_angles_wrap_around() -> None:
    """355° and 3° are 8° apart."""
    features = described(places(40, 2), angle=355)
    assert proven(verify(features, moved(features, turned(8), turn=8), SIZE, SIZE))
    assert proven(verify(moved(features, turned(8), turn=8), features, SIZE, SIZE))


@pytest.mark.parametrize("shared", [1, 2, 3])
def test_three_details_agree_with_anything_and_are_no_match(shared: int) -> None:
    features, others = described(places(shared, 3)), described(places(40, 4), seed=1)
    assert verify(features, features, SIZE, SIZE) is None
    padded = Features(
        np.concatenate([features.keypoints, others.keypoints]), np.concatenate([features.descriptors, others.descriptors])
    )
    assert verify(padded, features, SIZE, SIZE) is None
    assert verify(features, padded, SIZE, SIZE) is None
    assert verify(padded, moved(features, turned(40), turn=40), SIZE, SIZE) is None


@pytest.mark.parametrize("spots", [3, 6])
def test_many_details_on_one_spot_are_one_witness(spots: int) -> None:
    """A corner is found again on each level of the pyramid, within a pixel."""
    centres = np.array([[30, 30], [360, 60], [210, 270], [90, 210], [300, 210], [180, 60]], np.float64)[:spots]
    features = described(np.repeat(centres, 8, axis=0) + places(8 * spots, 5, (-0.4, -0.4, 0.4, 0.4)))
    match = verify(features, features, SIZE, SIZE)
    if spots == 3:
        assert match is None
    else:
        assert match is not None
        assert match.inliers == 6
        assert match.matches == 48


def test_details_that_fall_on_few_spots_of_the_other_picture_are_few_witnesses_too() -> None:
    features = described(places(40, 6, (0, 0, 66, 6)), size=90)
    there = moved(features, np.diag([0.1, 0.1, 1]), zoom=0.1)
    assert verify(features, there, SIZE, (40, 30)) is None
    assert verify(there, features, (40, 30), SIZE) is None
    longer = described(places(40, 6, (0, 0, 300, 60)), size=90)
    assert proven(verify(longer, moved(longer, np.diag([0.1, 0.1, 1]), zoom=0.1), SIZE, (40, 30)))


@pytest.mark.parametrize(("zoom", "turn"), [(4, 0), (0.25, 0), (1, 120)], ids=str)
def test_details_at_the_right_place_that_point_elsewhere_or_differ_in_size_do_not_agree(zoom: float, turn: float) -> None:
    features = described(places(60, 9))
    there = moved(features, np.eye(3))
    there.keypoints[30:, 2] *= zoom
    there.keypoints[30:, 3] += turn
    match = verify(features, there, SIZE, SIZE)
    assert match is not None
    assert set(match.pairs[:, 0].tolist()) == set(range(30))


def test_wrong_matches_are_left_out_of_the_pairs_and_the_count() -> None:
    match = agreeing(30, 120)
    assert match is not None
    assert match.matches == 120
    assert set(range(30)) <= set(match.pairs[:, 0].tolist())
    assert 28 <= match.inliers <= len(match.pairs) <= 34
    np.testing.assert_allclose(match.polygon, CORNERS, atol=2)


@pytest.mark.parametrize(
    ("transform", "zoom", "turn"),
    [(turned(15, 1.5), 1.5, 15), (stretched(1.4, 1) @ turned(15), 1.2, 15)],
    ids=["turned", "stretched"],
)
def test_the_outline_stays_right_far_from_details_that_are_a_little_off(
    transform: np.ndarray, zoom: float, turn: float
) -> None:
    """Details in one corner of the picture, a pixel off: with eight degrees of freedom the far corner goes astray."""
    for seed in range(5):
        features = described(places(30, seed, (10, 10, 90, 80)))
        there = moved(features, transform, zoom=zoom, turn=turn)
        there.keypoints[:, :2] += places(30, seed + 50, (-1, -1, 1, 1)).astype(np.float32)
        match = verify(features, there, SIZE, (600, 450))
        assert proven(match)
        assert match is not None
        np.testing.assert_allclose(match.polygon, through(transform, CORNERS), atol=10)


def test_the_same_features_give_the_same_match() -> None:
    one, two = agreeing(12, 90), agreeing(12, 90)
    assert one is not None
    assert two is not None
    np.testing.assert_array_equal(one.transform, two.transform)
    np.testing.assert_array_equal(one.pairs, two.pairs)
    assert (one.evidence, one.inliers) == (two.evidence, two.inliers)
