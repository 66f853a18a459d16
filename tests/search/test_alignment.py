"""Whether two pictures agree once one is laid over the other: what counts as the same picture, and what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw
from semblant_search import ImageError
from semblant_search.duplicates.alignment import pixel_difference

if TYPE_CHECKING:
    from pathlib import Path

SAME = np.eye(3)


@pytest.fixture(scope="module")
def coffee(photos: Path) -> Image.Image:
    with Image.open(photos / "coffee.png") as picture:
        return picture.convert("RGB")


def scaled(across: float, down: float) -> np.ndarray:
    return np.diag([across, down, 1.0])


def shifted(x: float, y: float) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def test_a_picture_over_itself_does_not_differ(coffee: Image.Image) -> None:
    assert pixel_difference(coffee, coffee, SAME) < 0.01
    assert pixel_difference(coffee, coffee, 7 * SAME) < 5  # a homography is the same at any scale


@pytest.mark.parametrize("size", [(300, 200), (150, 100), (1200, 800), (600, 200), (601, 399)], ids=str)
def test_a_copy_of_another_size_differs_little_either_way(coffee: Image.Image, size: tuple[int, int]) -> None:
    copy = coffee.resize(size, Image.Resampling.LANCZOS)
    there = scaled(size[0] / 600, size[1] / 400)
    assert pixel_difference(coffee, copy, there) < 5
    assert pixel_difference(copy, coffee, np.linalg.inv(there)) < 5


@pytest.mark.parametrize(
    ("turn", "there"),
    [
        (Image.Transpose.ROTATE_90, [[0, 1, 0], [-1, 0, 600], [0, 0, 1]]),
        (Image.Transpose.ROTATE_180, [[-1, 0, 600], [0, -1, 400], [0, 0, 1]]),
        (Image.Transpose.ROTATE_270, [[0, -1, 400], [1, 0, 0], [0, 0, 1]]),
        (Image.Transpose.FLIP_LEFT_RIGHT, [[-1, 0, 600], [0, 1, 0], [0, 0, 1]]),
    ],
    ids=["90°", "180°", "270°", "mirrored"],
)
def test_a_turned_copy_differs_little_where_the_transform_says_so(
    coffee: Image.Image, turn: Image.Transpose, there: list[list[float]]
) -> None:
    copy = coffee.transpose(turn)
    assert pixel_difference(coffee, copy, np.array(there, np.float64)) < 2
    assert pixel_difference(coffee, copy, SAME) > 30


def test_a_crop_is_compared_where_both_are(coffee: Image.Image) -> None:
    crop = coffee.crop((100, 50, 400, 350))
    assert pixel_difference(crop, coffee, shifted(100, 50)) < 4
    assert pixel_difference(coffee, crop, shifted(-100, -50)) < 4
    assert pixel_difference(crop, coffee, shifted(130, 50)) > 30


def test_perspective_is_followed(coffee: Image.Image) -> None:
    depth = np.array([[1.1, 0.08, -20], [0.05, 1.15, -15], [1e-4, 2e-4, 1]])
    seen = coffee.transform(coffee.size, Image.Transform.PERSPECTIVE, depth.ravel()[:8].tolist(), Image.Resampling.BICUBIC)
    assert pixel_difference(coffee, seen, np.linalg.inv(depth)) < 8
    assert pixel_difference(coffee, seen, SAME) > 40


def exposed(picture: Image.Image, gain: float, offset: float) -> Image.Image:
    return picture.point(lambda level: int(np.clip(gain * level + offset, 0, 255)))


@pytest.mark.parametrize(("gain", "offset"), [(0.6, 0), (0.6, 60), (1, 20), (0.7, 76)])
def test_exposure_makes_no_difference(coffee: Image.Image, gain: float, offset: float) -> None:
    dim = exposed(coffee, 0.8, 10)
    assert pixel_difference(dim, exposed(dim, gain, offset), SAME) < 3
    assert pixel_difference(exposed(dim, gain, offset), dim, SAME) < 4


def test_what_is_no_exposure_makes_one(coffee: Image.Image) -> None:
    assert pixel_difference(coffee, Image.eval(coffee, lambda level: 255 - level), SAME) > 60
    assert pixel_difference(coffee, exposed(coffee, 0.2, 100), SAME) > 15
    red, green, blue = coffee.split()
    assert pixel_difference(coffee, Image.merge("RGB", (blue, green, red)), SAME) > 30
    assert pixel_difference(coffee, coffee.convert("L"), SAME) > 15


@pytest.mark.parametrize(("side", "seen"), [(150, True), (90, True), (6, False)])
def test_the_worst_places_decide_but_not_a_speck(coffee: Image.Image, side: int, seen: bool) -> None:
    changed = coffee.copy()
    ImageDraw.Draw(changed).rectangle((250, 150, 250 + side, 150 + side), fill="lime")
    for difference in (pixel_difference(coffee, changed, SAME), pixel_difference(changed, coffee, SAME)):
        assert difference > 40 if seen else difference < 8


def test_a_small_drawing_on_a_large_canvas_is_compared_in_its_own_pixels() -> None:
    """Two words of thirty letters' height on a page of 2,000 pixels."""
    pages = []
    for word in ("HELLO", "WORLD"):
        page = Image.new("RGB", (2000, 1500), "white")
        ImageDraw.Draw(page).text((900, 700), word, fill="black", font_size=50)
        pages.append(page)
    assert pixel_difference(pages[0], pages[0], SAME) < 0.01
    assert pixel_difference(pages[0], pages[1], SAME) > 40
    grey = pages[0].point(lambda level: level // 2 + 64)
    assert pixel_difference(pages[0], grey, SAME) < 4  # borders need not be white


def test_transparency_is_white(coffee: Image.Image) -> None:
    half = coffee.convert("RGBA")
    half.paste((0, 0, 0, 0), (0, 0, 300, 400))
    white = coffee.copy()
    white.paste("white", (0, 0, 300, 400))
    black = coffee.copy()
    black.paste("black", (0, 0, 300, 400))
    assert pixel_difference(half, white, SAME) < 1
    assert pixel_difference(half, black, SAME) > 60


def test_pictures_that_hardly_overlap_differ_in_everything(coffee: Image.Image) -> None:
    assert pixel_difference(coffee, coffee, shifted(5000, 0)) == 255
    assert pixel_difference(coffee, coffee, shifted(590, 390)) == 255
    assert pixel_difference(coffee, coffee, shifted(300, 0)) < 255


def test_flat_pictures_are_compared_by_their_colour_but_for_brightness() -> None:
    grey, dark, red = (Image.new("RGB", (300, 200), colour) for colour in ("#808080", "#606060", "#a06060"))
    assert pixel_difference(grey, dark, SAME) < 1
    assert pixel_difference(grey, red, SAME) > 10
    assert pixel_difference(Image.new("L", (1, 1)), Image.new("L", (1, 1)), SAME) < 255.1


def test_a_file_that_cannot_be_read_says_so(coffee: Image.Image, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for wrong in (tmp_path / "broken.png", tmp_path / "gone.png"):
        with pytest.raises(ImageError):
            pixel_difference(coffee, wrong, SAME)
        with pytest.raises(ImageError):
            pixel_difference(wrong, coffee, SAME)
