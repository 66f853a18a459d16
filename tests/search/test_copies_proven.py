"""Which two pictures are copies of each other: resizing and compressing leave one the same, a change anywhere does not."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from semblant_search.duplicates.copies import copy_proof
from semblant_search.duplicates.decoding import DecodedPicture, decode
from semblant_search.duplicates.pixels import MAX_PIXELS, explanations, flat_pixels, oriented, resampled

if TYPE_CHECKING:
    from pathlib import Path

FILTERS = Image.Resampling


@pytest.fixture(scope="module")
def coffee(photos: Path) -> Image.Image:
    with Image.open(photos / "coffee.png") as picture:
        return picture.convert("RGB")


@pytest.fixture(scope="module")
def page() -> Image.Image:
    return written("the quick brown fox")


def written(line: str) -> Image.Image:
    """A page of twelve lines of text, the seventh of which may differ."""
    picture = Image.new("RGB", (420, 400), "white")
    draw = ImageDraw.Draw(picture)
    for row in range(12):
        text = line if row == 6 else f"line {row} of a letter that many people got"
        draw.text((30, 30 + 28 * row), text, fill="black", font_size=16)
    return picture


def seen(picture: Image.Image, kind: str = "PNG", **options: Any) -> DecodedPicture:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return decode(buffer.getvalue())


def resized(picture: Image.Image, by: float, kind: Image.Resampling = FILTERS.LANCZOS) -> Image.Image:
    return picture.resize((round(picture.width * by), round(picture.height * by)), kind)


@pytest.mark.parametrize("quality", [95, 80, 60, 30, 15])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_jpeg_of_any_quality_leaves_a_picture_the_same(
    coffee: Image.Image, page: Image.Image, quality: int, subsampling: int
) -> None:
    for picture in (coffee, page):
        copy = seen(picture, "JPEG", quality=quality, subsampling=subsampling)
        assert copy_proof(seen(picture), copy).distance <= 1
        assert copy_proof(copy, seen(picture)).distance <= 1


@pytest.mark.parametrize(
    ("kind", "options"),
    [("WEBP", {"quality": 80}), ("WEBP", {"lossless": True}), ("BMP", {}), ("TIFF", {}), ("PNG", {}), ("GIF", {})],
)
def test_other_formats_leave_it_the_same(page: Image.Image, kind: str, options: dict[str, Any]) -> None:
    assert copy_proof(seen(page), seen(page, kind, **options)).distance <= 1


@pytest.mark.parametrize("by", [0.9, 0.5, 0.31, 0.1])
@pytest.mark.parametrize("kind", [FILTERS.BOX, FILTERS.BILINEAR, FILTERS.BICUBIC, FILTERS.LANCZOS, FILTERS.NEAREST])
def test_resizing_by_any_filter_leaves_it_the_same(
    coffee: Image.Image, page: Image.Image, by: float, kind: Image.Resampling
) -> None:
    for picture in (coffee, page):
        small = resized(picture, by, kind)
        assert copy_proof(seen(picture), seen(small)).distance <= 1
        assert copy_proof(seen(picture), seen(small, "JPEG", quality=75)).distance <= 1


def test_an_enlarged_picture_is_a_copy(coffee: Image.Image) -> None:
    assert copy_proof(seen(resized(coffee, 2, FILTERS.BICUBIC)), seen(coffee)).distance <= 1


@pytest.mark.parametrize("by", [1, 0.5, 0.34])
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {"quality": 75}), ("WEBP", {"quality": 80})])
def test_another_word_is_no_copy_at_any_size(page: Image.Image, by: float, kind: str, options: dict[str, Any]) -> None:
    other = resized(written("the quick green fox"), by)
    assert copy_proof(seen(page), seen(other, kind, **options)).distance > 1


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {"quality": 90}), ("JPEG", {"quality": 60})])
def test_a_line_of_one_pixel_is_no_copy(coffee: Image.Image, kind: str, options: dict[str, Any]) -> None:
    lined = coffee.copy()
    ImageDraw.Draw(lined).line((40, 200, 300, 200), fill=(20, 200, 40))
    assert copy_proof(seen(coffee), seen(lined, kind, **options)).distance > 1


def test_a_single_pixel_of_a_lossless_picture_is_seen(coffee: Image.Image) -> None:
    dotted = coffee.copy()
    dotted.putpixel((300, 200), (0, 255, 0))
    assert copy_proof(seen(coffee), seen(dotted)).distance > 1


def test_a_small_thing_that_moved_is_seen_through_compression(coffee: Image.Image) -> None:
    frames = []
    for x in (60, 90):
        frame = coffee.copy()
        ImageDraw.Draw(frame).ellipse((x, 40, x + 14, 54), fill=(30, 60, 160))
        frames.append(frame)
    for quality in (95, 50, 15):
        assert copy_proof(seen(frames[0]), seen(frames[1], "JPEG", quality=quality)).distance > 1


def test_empty_pages_with_other_noise_are_no_copies() -> None:
    rng = np.random.default_rng(3)
    pages = [Image.fromarray((245 + rng.normal(0, 2, (300, 200, 3))).clip(0, 255).astype(np.uint8)) for _ in range(2)]
    assert copy_proof(seen(pages[0]), seen(pages[0])).distance == 0
    assert copy_proof(seen(pages[0]), seen(pages[1])).distance > 1
    assert copy_proof(seen(pages[0]), seen(pages[1], "JPEG", quality=90)).distance > 1
    flat = [Image.new("RGB", (300, 200), (level, level, level)) for level in (8, 9)]
    assert copy_proof(seen(flat[0]), seen(flat[1])).distance > 1


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {"quality": 92})])
def test_two_scans_of_one_page_are_no_copies_however_well_they_are_aligned(
    page: Image.Image, kind: str, options: dict[str, Any]
) -> None:
    rng = np.random.default_rng(4)
    paper = np.asarray(page) * 0.85 + 20
    scans = [np.rint(paper + rng.normal(0, 3, paper.shape)).astype(np.uint8) for _ in range(2)]
    one, other = (seen(Image.fromarray(scan), kind, **options) for scan in scans)
    assert 1 < copy_proof(one, other).distance <= 1.5
    assert copy_proof(one, seen(Image.fromarray(one.pixels), "JPEG", quality=60)).distance <= 1


def test_turned_files_are_compressed_again_as_they_lie(coffee: Image.Image) -> None:
    """A camera's file: what it lost is in blocks of the lying picture."""
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = coffee.crop((0, 0, 597, 395)).transpose(Image.Transpose.ROTATE_90)
    copy = seen(lying, "JPEG", quality=40, exif=exif)
    upright = coffee.crop((0, 0, 597, 395))
    assert copy.codec.orientation == 6
    rewritten = copy.codec.rewritten(np.asarray(upright), 0)
    assert np.abs(rewritten.astype(int) - copy.pixels).max() <= 1
    turned = copy.codec.turned(1).rewritten(oriented(np.asarray(upright), 1), 0)
    assert np.abs(turned.astype(int) - oriented(copy.pixels, 1)).max() <= 1


def test_large_pictures_are_compared_at_a_limited_size_and_transparency_is_white() -> None:
    pixels = flat_pixels(Image.new("RGBA", (3000, 2000), (10, 20, 30, 0)))
    assert pixels.shape[0] * pixels.shape[1] <= MAX_PIXELS * 1.01
    assert (pixels == 255).all()


def test_shrinking_is_explained_exactly_by_one_of_the_filters(coffee: Image.Image) -> None:
    large = np.asarray(coffee)
    for kind in (FILTERS.BOX, FILTERS.BICUBIC, FILTERS.LANCZOS):
        small = np.asarray(coffee.resize((231, 154), kind))
        assert np.abs(explanations(large, small)[0] - small).max() < 0.51
    *_, area = resampled(large, (231, 154))
    assert float(area.mean()) == pytest.approx(float(large.mean()), abs=0.01), "means of parts of pixels keep the mean"
