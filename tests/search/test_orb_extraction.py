"""Where key points are taken, of what size, and what each setting changes of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from semblant_search.images import open_image, to_grey
from semblant_search.orb import OrbSettings, extract
from semblant_search.orb.matching import Matchable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def coffee(photos: Path) -> np.ndarray:
    """480 × 320 pixels, which are extracted from as they are."""
    return to_grey(open_image(photos / "coffee.png"), longest_side=480)


@pytest.fixture(scope="module")
def moon(photos: Path) -> np.ndarray:
    """A smooth photograph."""
    grey = to_grey(open_image(photos / "moon.png"), longest_side=480)
    return np.ascontiguousarray(grey)


def keypoints(grey: np.ndarray, **settings: Any) -> np.ndarray:
    limit = settings.pop("limit", None)
    return extract(grey, OrbSettings(**settings), limit=limit).keypoints


def sizes(grey: np.ndarray, **settings: Any) -> list[float]:
    return [float(size) for size in np.unique(np.round(keypoints(grey, **settings)[:, 2], 2))]


def test_patches_are_those_of_the_pyramid_s_levels(coffee: np.ndarray) -> None:
    assert sizes(coffee) == pytest.approx([31 * 1.25**level for level in range(8)], abs=0.01)
    assert sizes(coffee, levels=3) == pytest.approx([31, 31 * 1.25, 31 * 1.25**2], abs=0.01)
    assert sizes(coffee, levels=3, scale_factor=1.5) == pytest.approx([31, 46.5, 69.75], abs=0.01)


def test_as_many_are_kept_as_asked_for(coffee: np.ndarray) -> None:
    assert len(keypoints(coffee)) == 224
    assert len(keypoints(coffee, features=50)) == 50
    assert len(keypoints(coffee, limit=400)) == 400
    assert len(keypoints(coffee, limit=1)) == 1
    assert 0 < len(keypoints(coffee, fast_threshold=90, faint_threshold=90)) < 224  # as many as there are


def test_no_key_point_is_taken_at_the_border(coffee: np.ndarray) -> None:
    height, width = coffee.shape
    for edge in (12, 40):
        points = keypoints(coffee, levels=1, edge=edge)[:, :2]
        assert points.min() >= edge - 1
        assert (points <= (width - edge, height - edge)).all()
        assert points.min() < edge + 8


def test_lower_contrast_gives_more_corners_and_a_smooth_picture_gets_a_second_chance(
    coffee: np.ndarray, moon: np.ndarray
) -> None:
    counts = [
        len(keypoints(coffee[:160, :240], limit=4000, fast_threshold=level, faint_threshold=level)) for level in (5, 16, 40)
    ]
    assert counts[0] > 1.2 * counts[1] > 1.5 * counts[2] > 0
    once = keypoints(moon, fast_threshold=60, faint_threshold=60)
    twice = keypoints(moon, fast_threshold=60, faint_threshold=5)
    assert len(once) < 56
    assert len(twice) > 2 * len(once)
    # Where the first look found enough, there is no second.
    np.testing.assert_array_equal(keypoints(coffee, faint_threshold=1), keypoints(coffee))


def test_a_picture_is_too_small_by_its_longest_side(coffee: np.ndarray) -> None:
    for width, height, found in ((48, 32, True), (32, 48, True), (47, 32, False), (47, 47, False)):
        grey = np.asarray(Image.fromarray(coffee).resize((width, height), Image.Resampling.BOX))
        assert bool(len(extract(grey))) == found
        assert len(extract(grey, OrbSettings(least_side=1)))


def test_small_pictures_are_enlarged_and_places_are_in_their_own_pixels(coffee: np.ndarray) -> None:
    small = np.asarray(Image.fromarray(coffee).resize((120, 80), Image.Resampling.BOX))
    grown, plain = keypoints(small), keypoints(small, grow_at_most=1, smallest=1)
    assert grown[:, 0].max() < 120
    assert grown[:, 1].max() < 80
    # Enlarged by 1.25³, the power of the pyramid's factor that is nearest to 2: so are the patches smaller.
    assert grown[:, 2].min() == pytest.approx(31 / 1.25**3, rel=0.02)
    assert plain[:, 2].min() == pytest.approx(31)
    assert keypoints(small, grow_to=150)[:, 2].min() == pytest.approx(31 / 1.25, rel=0.02)
    assert keypoints(small, grow_to=1, smallest=1)[:, 2].min() == pytest.approx(31)
    tiny = np.asarray(Image.fromarray(coffee).resize((30, 20), Image.Resampling.BOX))
    # As many times as it takes to `smallest`.
    assert keypoints(tiny, least_side=1)[:, 2].min() == pytest.approx(31 / 1.25**6, rel=0.03)
    assert keypoints(tiny, smallest=240, least_side=30)[:, 2].min() == pytest.approx(31 / 1.25**9, rel=0.03)


@pytest.mark.parametrize(("width", "height"), [(480, 320), (120, 80), (61, 43)])
def test_a_picture_upside_down_has_its_details_at_the_mirrored_places(coffee: np.ndarray, width: int, height: int) -> None:
    """Places are centres of pixels, also where the picture is enlarged before: no half pixel is lost on the way.

    On one level: OpenCV itself loses a fraction of a pixel on the others.
    """
    grey = np.asarray(Image.fromarray(coffee).resize((width, height), Image.Resampling.BOX))
    settings, upside_down = OrbSettings(levels=1), np.ascontiguousarray(grey[::-1, ::-1])
    one, other = extract(grey, settings, limit=400), extract(upside_down, settings, limit=400)
    mine, theirs, distance = Matchable(one.descriptors).match(other.descriptors)
    same = distance < 30
    there = one.keypoints[mine[same], :2] + other.keypoints[theirs[same], :2]
    assert same.sum() >= 20
    assert np.median(there[:, 0]) == pytest.approx(width - 1, abs=0.15)
    assert np.median(there[:, 1]) == pytest.approx(height - 1, abs=0.15)
    turn = (one.keypoints[mine[same], 3] - other.keypoints[theirs[same], 3]) % 360
    assert np.median(turn) == pytest.approx(180, abs=3)


def test_each_part_of_a_picture_gets_its_share(coffee: np.ndarray) -> None:
    """With a grid the strongest corners do not use up the budget; without one they do."""

    def emptiest(grid: int) -> int:
        points = keypoints(coffee, features=120, grid=grid, levels=2)[:, :2]
        column, row = np.floor(points / (480, 320) * 4).astype(int).T
        return int((np.bincount(row * 4 + column, minlength=16) == 0).sum())

    assert emptiest(6) < emptiest(1)


def test_each_level_of_the_pyramid_gets_its_share(coffee: np.ndarray) -> None:
    """Copies of half the size are matched by coarse details, which are few and weak."""
    counts = np.unique(np.round(keypoints(coffee)[:, 2], 2), return_counts=True)[1]
    assert len(counts) == 8
    assert counts.min() >= 15


def test_the_strongest_corners_are_kept(coffee: np.ndarray) -> None:
    """Fewer features are those of the more, not others."""
    many = {tuple(row) for row in keypoints(coffee, limit=400).tolist()}
    assert {tuple(row) for row in keypoints(coffee, limit=390).tolist()} <= many
    faint = np.full((200, 200), 128, np.uint8)
    for index, (x, y) in enumerate([(x, y) for x in range(30, 190, 30) for y in range(30, 190, 30)]):
        faint[y : y + 10, x : x + 10] = 128 + 25 + 2 * index
    bright = keypoints(faint, limit=36, grid=1, levels=1, features=36)
    assert bright[:, 0].mean() > 105  # the contrast grows to the right
