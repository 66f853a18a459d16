"""What two pictures that are laid over each other share: pixels of both, and details of either."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from semblant_search.images import open_image, to_grey
from semblant_search.orb import thumbnail
from semblant_search.orb.geometry import apply
from semblant_search.orb.overlap import Besides, PixelAgreement, compare_pixels, inside, share_inside
from support.details import described

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("astronaut.png", "coffee.png", "chelsea.png", "motorcycle_left.png", "ihc.png")
NOTHING = PixelAgreement(0.0, 0.0)


@pytest.fixture(scope="module")
def greys(photos: Path) -> dict[str, np.ndarray]:
    return {name: to_grey(open_image(photos / name), longest_side=480) for name in NAMES}


def size_of(grey: np.ndarray) -> tuple[int, int]:
    return grey.shape[1], grey.shape[0]


def shift(across: float, down: float) -> np.ndarray:
    return np.array([[1, 0, across], [0, 1, down], [0, 0, 1]], np.float64)


def compare(query: np.ndarray, candidate: np.ndarray, transform: np.ndarray | None = None, side: int = 64) -> PixelAgreement:
    """A query over the thumbnail of a candidate, as a collection would keep it."""
    transform = np.eye(3) if transform is None else transform
    return compare_pixels(query, size_of(query), thumbnail(candidate, side), size_of(candidate), transform)


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [
        ((480, 320), 64, (64, 43)),
        ((320, 480), 64, (43, 64)),
        ((480, 3), 64, (64, 1)),  # never without a row
        ((40, 30), 64, (40, 30)),  # never enlarged
        ((64, 64), 64, (64, 64)),
        ((480, 320), 16, (16, 11)),
    ],
)
def test_a_thumbnail_has_the_longest_side_asked_for(size: tuple[int, int], side: int, expected: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, size[::-1], dtype=np.uint8)
    small = thumbnail(pixels, side)
    assert size_of(small) == expected
    assert small.dtype == np.uint8
    if size == expected:
        np.testing.assert_array_equal(small, pixels)
    assert abs(float(small.mean()) - float(pixels.mean())) < 1  # each pixel is the mean of those that it stands for
    np.testing.assert_array_equal(thumbnail(np.asfortranarray(pixels), side), small)


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_agrees_with_itself_everywhere(greys: dict[str, np.ndarray], name: str) -> None:
    same = compare(greys[name], greys[name])
    assert 0.98 < same.correlation <= 0.995
    assert same.everywhere > 0.98


def test_other_pictures_do_not_agree(greys: dict[str, np.ndarray]) -> None:
    for one in NAMES:
        for other in NAMES:
            if one != other:
                scale = np.diag([*np.array(size_of(greys[other])) / size_of(greys[one]), 1])
                found = compare(greys[one], greys[other], scale)
                assert abs(found.correlation) < 0.25, (one, other)
                assert found.everywhere < 0.2, (one, other)


@pytest.mark.parametrize("name", NAMES)
def test_a_shift_of_a_thumbnail_s_pixel_is_seen_in_every_direction(greys: dict[str, np.ndarray], name: str) -> None:
    """Half a pixel of the thumbnail lost on the way, and one side would agree better than the other, or than none."""
    grey = greys[name]
    step = max(grey.shape) / 64
    exact = compare(grey, grey)
    beside = [compare(grey, grey, shift(step * x, step * y)) for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    assert all(one.correlation < exact.correlation - 0.1 for one in beside)
    halves = [compare(grey, grey, shift(step * x, step * y)).correlation for x, y in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))]
    assert max(halves) < exact.correlation
    assert halves[0] == pytest.approx(halves[1], abs=0.03)
    assert halves[2] == pytest.approx(halves[3], abs=0.03)
    far = compare(grey, grey, shift(5 * step, 4 * step))
    assert far.correlation < 0.45
    assert far.everywhere < 0.5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("zoom", [0.25, 0.5, 2.0])
def test_a_query_in_other_pixels_lies_where_its_transform_says(greys: dict[str, np.ndarray], name: str, zoom: float) -> None:
    grey = greys[name]
    query = cv2.resize(grey, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR)
    across, down = grey.shape[1] / query.shape[1], grey.shape[0] / query.shape[0]
    there = np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5], [0, 0, 1]])
    found = compare(query, grey, there)
    assert found.correlation > 0.97
    assert found.everywhere > 0.97


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", [24, 48, 64])
def test_a_query_that_is_itself_a_thumbnail_says_the_same(greys: dict[str, np.ndarray], name: str, side: int) -> None:
    """As a picture of the collection that is asked with; its transform is still that of the pixels of its features."""
    grey = greys[name]
    found = compare_pixels(thumbnail(grey, side), size_of(grey), thumbnail(grey, 64), size_of(grey), np.eye(3))
    assert found.correlation > {24: 0.5, 48: 0.8, 64: 0.99}[side]
    assert compare(grey, grey, side=side).correlation > 0.97  # and thumbnails of any size are compared


def test_a_query_smaller_than_the_thumbnail_is_compared(greys: dict[str, np.ndarray]) -> None:
    for name in NAMES:
        small = cv2.resize(greys[name], (40, 30), interpolation=cv2.INTER_AREA)
        across, down = np.array(size_of(greys[name])) / (40, 30)
        there = np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5], [0, 0, 1]])
        assert compare(small, greys[name], there).correlation > 0.6
        wrong = there @ shift(6, 5)
        assert compare(small, greys[name], wrong).correlation < 0.35


@pytest.mark.parametrize("size", [(480, 100), (100, 480), (480, 333), (31, 480)])
def test_thumbnails_of_any_shape_are_compared(greys: dict[str, np.ndarray], size: tuple[int, int]) -> None:
    """The thumbnail's sides are whole numbers, so that its pixels are not quite square."""
    wide = cv2.resize(greys["motorcycle_left.png"], size, interpolation=cv2.INTER_AREA)
    assert compare(wide, wide).correlation > 0.97
    assert compare(wide, np.ascontiguousarray(wide[::-1, ::-1])).correlation < 0.5


def crop_of(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[slice, slice]]:
    height, width = grey.shape
    place = (slice(height // 4, height * 3 // 4), slice(width // 5, width * 4 // 5))
    return np.ascontiguousarray(grey[place]), shift(width // 5, height // 4), place


@pytest.mark.parametrize("name", NAMES)
def test_only_the_overlap_counts(greys: dict[str, np.ndarray], name: str) -> None:
    grey = greys[name]
    crop, there, (rows, columns) = crop_of(grey)
    found = compare(crop, grey, there)
    assert found.correlation > 0.93
    assert found.everywhere > 0.95
    small = thumbnail(grey, 64)
    scale = small.shape[1] / grey.shape[1]
    noise = np.random.default_rng(3).integers(0, 256, small.shape, dtype=np.uint8)
    top, bottom = (int(value * scale) - 2 for value in (rows.start, rows.stop + 4 / scale))
    left, right = (int(value * scale) - 2 for value in (columns.start, columns.stop + 4 / scale))
    noise[top:bottom, left:right] = small[top:bottom, left:right]
    assert compare_pixels(crop, size_of(crop), noise, size_of(grey), there) == found
    # The other way round, the picture over its own crop: what reaches beyond the crop does not count.
    assert compare(grey, crop, np.linalg.inv(there)).correlation > 0.95


def test_what_disagrees_in_the_overlap_counts_for_as_much_as_it_covers(greys: dict[str, np.ndarray]) -> None:
    grey, other = greys["coffee.png"], greys["motorcycle_left.png"]
    height, width = grey.shape
    found = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        changed = grey.copy()
        until = round(width * share)
        changed[:, :until] = other[:height, :until]
        found.append(compare(changed, grey))
    assert [one.correlation for one in found] == sorted((one.correlation for one in found), reverse=True)
    assert [one.everywhere for one in found] == sorted((one.everywhere for one in found), reverse=True)
    assert 0.6 < found[1].everywhere < 0.9
    assert 0.3 < found[2].everywhere < 0.65
    assert found[4].everywhere < 0.1


@pytest.mark.parametrize("flip", [1, 0, -1])
def test_mirrored_pictures_agree_only_through_a_mirror(greys: dict[str, np.ndarray], flip: int) -> None:
    for name in NAMES:
        grey = greys[name]
        height, width = grey.shape
        across, down = flip != 0, flip != 1
        mirror = np.array(
            [[1 - 2 * across, 0, (width - 1) * across], [0, 1 - 2 * down, (height - 1) * down], [0, 0, 1]], np.float64
        )
        assert compare(cv2.flip(grey, flip), grey, mirror).correlation > 0.97
        assert compare(cv2.flip(grey, flip), grey).correlation < 0.5


def photographed(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From the side, and the transform that undoes it."""
    height, width = grey.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    there = (np.array([[0.1, 0.05], [0.95, 0.12], [0.88, 0.9], [0.02, 0.97]]) * (width, height)).astype(np.float32)
    warp = cv2.getPerspectiveTransform(corners, there)
    return cv2.warpPerspective(grey, warp, (width, height), borderValue=120), np.linalg.inv(warp)


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_taken_from_the_side_agrees(greys: dict[str, np.ndarray], name: str) -> None:
    query, back = photographed(greys[name])
    found = compare(query, greys[name], back)
    assert found.correlation > 0.9
    assert found.everywhere > 0.95
    assert compare(query, greys[name]).correlation < 0.5
    assert compare(query, greys[name], 7.0 * back) == pytest.approx(found, abs=1e-6)  # a homography has no scale of its own


def test_what_lies_beyond_the_horizon_is_no_part_of_the_overlap(greys: dict[str, np.ndarray]) -> None:
    """Seen from behind, a plane would show the same pixels once more: there is nothing of a picture."""
    query, other = greys["coffee.png"][:300, :300], greys["motorcycle_left.png"][:300, :300]
    query = np.ascontiguousarray(query)
    # From the candidate's pixels to the query's: in the lower part of the candidate, x and y and the depth are negative.
    back = np.array([[0.6, 0.0, -90.0], [0.0, -0.5, 55.0], [0.0, -1 / 100, 1.0]])
    back[:2] += 150.0 * back[2]
    rows, columns = np.mgrid[0:300, 0:300].astype(np.float64)
    depth = back[2, 0] * columns + back[2, 1] * rows + back[2, 2]
    depth[depth == 0] = 1e-12
    x, y = ((line[0] * columns + line[1] * rows + line[2]) / depth for line in back[:2])
    seen = cv2.remap(query, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = (x >= 0) & (y >= 0) & (x < 300) & (y < 300)
    assert inside[depth < 0].sum() > 5000  # else nothing is shown by this
    assert inside[depth > 0].sum() > 5000
    forward = np.linalg.inv(back)
    sizes = (300, 300), (300, 300)
    behind = np.where(depth < 0, seen, other).astype(np.uint8)
    before = np.where(depth > 0, seen, other).astype(np.uint8)
    wrong = compare_pixels(query, sizes[0], thumbnail(behind, 128), sizes[1], forward)
    right = compare_pixels(query, sizes[0], thumbnail(before, 128), sizes[1], forward)
    assert abs(wrong.correlation) < 0.3
    assert right.correlation > 0.7
    assert np.isfinite([*wrong, *right]).all()


@pytest.mark.parametrize(
    "transform", [np.diag([1e-9, 1e-9, 1]), np.diag([1e9, 1e9, 1]), shift(1e9, 0)], ids=["point", "vast", "away"]
)
def test_absurd_transforms_are_no_agreement_and_no_error(greys: dict[str, np.ndarray], transform: np.ndarray) -> None:
    found = compare(greys["coffee.png"], greys["coffee.png"], transform)
    assert abs(found.correlation) < 0.3
    assert np.isfinite(found).all()


def test_flat_pictures_agree_with_nothing(greys: dict[str, np.ndarray]) -> None:
    for level in (0, 128, 255):
        flat = np.full((320, 480), level, np.uint8)
        assert compare(flat, flat) == NOTHING
        assert compare(flat, greys["coffee.png"][:320, :480]) == NOTHING
        assert compare(np.ascontiguousarray(greys["coffee.png"][:320, :480]), flat) == NOTHING


def test_an_overlap_of_a_few_pixels_says_nothing(greys: dict[str, np.ndarray]) -> None:
    """Two of a thumbnail's pixels at its border do not count."""
    grey = np.ascontiguousarray(greys["motorcycle_left.png"][:320, :320])
    width, height = size_of(grey)
    step = width / 64
    assert compare(grey, grey, shift(width - 6 * step, height - 7 * step)) == NOTHING  # 20 pixels
    assert compare(grey, grey, shift(width, 0)) == NOTHING
    assert compare(grey, grey, shift(width - 8 * step, height - 8 * step)) != NOTHING  # 36
    crop = np.ascontiguousarray(grey[: round(8 * step), : round(8 * step)])
    assert compare(crop, grey, np.eye(3)).correlation > 0.8  # of so few, all agree
    tiny = np.ascontiguousarray(grey[: round(6 * step), : round(6 * step)])
    assert compare(tiny, grey, np.eye(3)) == NOTHING


def test_brightness_contrast_and_light_from_one_side_change_little(greys: dict[str, np.ndarray]) -> None:
    for name in NAMES:
        grey = greys[name]
        slope = np.linspace(-60, 60, grey.shape[1])[None, :]
        darker = (grey * 0.4 + 20).astype(np.uint8)
        lit = np.clip(grey * 0.5 + 64 + slope, 0, 255).astype(np.uint8)
        negative = 255 - grey
        assert compare(darker, grey).correlation > 0.97
        assert compare(lit, grey).correlation > 0.9
        assert compare(negative, grey).correlation < -0.95
        assert compare(negative, grey).everywhere < 0.02


def test_a_silhouette_alone_is_no_agreement() -> None:
    """A smooth dark thing on a plain ground correlates with any other one; without the local mean, hardly."""
    rows, columns = np.mgrid[0:320, 0:320]
    disc = ((rows - 160) ** 2 + (columns - 160) ** 2 < 100**2).astype(np.float32)
    square = ((abs(rows - 160) < 88) & (abs(columns - 160) < 88)).astype(np.float32)
    one, other = ((230 - 150 * cv2.GaussianBlur(shape, (0, 0), 12)).astype(np.uint8) for shape in (disc, square))
    plain = float(np.corrcoef(thumbnail(one, 64).ravel(), thumbnail(other, 64).ravel())[0, 1])
    assert plain > 0.9
    assert compare(one, other).correlation < plain - 0.1
    assert compare(one, one).correlation > 0.98


def test_details_are_counted_where_the_transform_brings_them_into_the_picture() -> None:
    points = np.array([[0, 0], [10, 10], [99, 49], [101, 20], [50, 51], [-1, 5]], np.float64)
    features = described(points)
    for transform, expected in (
        (np.eye(3), 3),
        (shift(1, 0), 4),  # one came in on the left, and one on the border stays
        (shift(-30, -15), 3),
        (shift(500, 0), 0),
        (np.diag([0.5, 0.5, 1]), 5),
    ):
        within, there = inside(features, transform, (100, 50))
        assert within.sum() == expected
        np.testing.assert_allclose(there, apply(transform, features.keypoints[:, :2]))
    none, nowhere = inside(features.take(np.zeros(0, np.int64)), np.eye(3), (100, 50))
    assert (none.shape, nowhere.shape) == ((0,), (0, 2))


@pytest.mark.parametrize(
    ("transform", "size", "share", "back"),
    [
        (np.eye(3), (400, 200), 1, 1),
        (np.eye(3), (400, 400), 1, 0.5),
        (shift(200, 0), (400, 200), 0.5, 0.5),
        (shift(0, 50), (400, 200), 0.75, 0.75),
        (shift(-100, 0), (400, 200), 0.75, 0.75),
        (shift(400, 0), (400, 200), 0, 0),
        (np.diag([2, 1, 1]), (400, 200), 0.5, 1),
        (np.diag([1, 0.5, 1]), (400, 200), 1, 0.5),
    ],
    ids=["same", "half", "right", "down", "left", "away", "wide", "low"],
)
def test_the_share_of_a_picture_that_lies_in_the_other(
    transform: np.ndarray, size: tuple[int, int], share: float, back: float
) -> None:
    assert share_inside(transform, (400, 200), size) == pytest.approx(share, abs=0.04)
    assert share_inside(np.linalg.inv(transform), size, (400, 200)) == pytest.approx(back, abs=0.04)


@pytest.mark.parametrize("side", [480, 96, 64])
def test_what_a_query_shows_besides_a_picture_is_what_is_not_plain_around_it(greys: dict[str, np.ndarray], side: int) -> None:
    """Text below it is; a border of any brightness, noise and the picture's own outline are not."""
    grey = greys["astronaut.png"]
    height, width = grey.shape
    noise = np.random.default_rng(1).integers(-4, 5, (height + 120, width + 80))
    framed = np.clip(200 + noise, 0, 255).astype(np.uint8)
    framed[20 : 20 + height, 40 : 40 + width] = grey
    captioned = framed.copy()
    cv2.putText(captioned, "Figure 3", (60, height + 90), cv2.FONT_HERSHEY_SIMPLEX, 1.5, 0, 3)

    def besides(query: np.ndarray) -> float:
        return Besides(thumbnail(query, side), size_of(query))(shift(-40, -20), size_of(grey))

    assert besides(framed) < 0.005
    assert 0.05 < besides(captioned) < 0.5
    assert Besides(grey, size_of(grey))(np.eye(3), size_of(grey)) == 0, "there is nothing around a picture in itself"
    assert Besides(grey, size_of(grey))(shift(-3, 3), size_of(grey)) < 0.005, "nor where it is off by a little"
    left = Besides(grey, size_of(grey))(shift(-width, 0), size_of(grey))
    assert left > 0.2, "all of it lies around a picture that it does not meet"
