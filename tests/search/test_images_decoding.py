"""Decoding at its edges: limits, reduced scales, rare modes, and what is said of each picture that cannot be used."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from semblant_search.errors import ImageError
from semblant_search.images import DEFAULT_MAX_PIXELS, Fit, fit_image, open_image, open_picture, read_bytes, read_file, to_grey
from support.golden import GOLDEN

if TYPE_CHECKING:
    from pathlib import Path


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def cat() -> Image.Image:
    with Image.open(GOLDEN / "pictures" / "lossy.webp") as image:
        return image.convert("RGB").resize((400, 300))


@pytest.mark.parametrize(
    ("at_least", "size"),
    [
        (None, (400, 300)),
        ((300, 400), (400, 300)),
        ((75, 100), (200, 150)),  # twice as large is just enough
        ((76, 100), (400, 300)),
        ((75, 101), (400, 300)),
        ((30, 100), (200, 150)),
        ((100, 30), (400, 300)),
        ((37, 50), (100, 75)),
        ((18, 25), (50, 38)),
        ((4, 4), (50, 38)),  # an eighth is the least
    ],
)
def test_a_jpeg_is_decoded_as_small_as_leaves_twice_what_is_needed(
    cat: Image.Image, at_least: tuple[int, int] | None, size: tuple[int, int]
) -> None:
    picture = open_picture(encoded(cat, "JPEG"), at_least=at_least)
    assert picture.image.size == size
    assert (picture.width, picture.height) == (400, 300)


@pytest.mark.parametrize(("at_least", "size"), [((100, 75), (150, 200)), ((100, 30), (150, 200)), ((30, 100), (300, 400))])
def test_a_turned_jpeg_leaves_twice_what_is_needed_as_it_is_seen(
    cat: Image.Image, at_least: tuple[int, int], size: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    picture = open_picture(encoded(cat, "JPEG", exif=exif), at_least=at_least)
    assert picture.image.size == size
    assert (picture.width, picture.height) == (300, 400)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_other_formats_are_decoded_whole(cat: Image.Image, kind: str) -> None:
    assert open_image(encoded(cat, kind), at_least=(10, 10)).size == (400, 300)


def test_an_image_that_was_opened_elsewhere_is_not_reduced(cat: Image.Image) -> None:
    """It belongs to the caller, who may go on with it."""
    with Image.open(io.BytesIO(encoded(cat, "JPEG"))) as opened:
        assert open_image(opened, at_least=(10, 10)).size == (400, 300)
        assert opened.size == (400, 300)


def test_the_limit_itself_is_allowed_and_one_pixel_more_is_not(cat: Image.Image) -> None:
    for source in (encoded(cat), cat, np.asarray(cat)):
        assert open_image(source, max_pixels=120_000).size == (400, 300)
        with pytest.raises(ImageError, match=r"limit") as caught:
            open_image(source, max_pixels=119_999)
        assert caught.value.reason == "too-large"
    with pytest.raises(ImageError, match=r"400×300 is 0 megapixels, over the limit of 0\.01; raise max_pixels"):
        open_image(encoded(cat), max_pixels=10_000)
    assert DEFAULT_MAX_PIXELS == 100_000_000


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([0, 0.25, 1], np.float32, [0, 64, 255]),
        ([0, 0.25, 1.02], np.float32, [0, 64, 255]),  # one pixel beyond the range changes no other
        ([-5, 0.5, 300], np.float32, [0, 128, 255]),
        ([0, np.inf, 0.5], np.float32, [0, 255, 128]),
        ([np.nan, -np.inf, 0], np.float32, [0, 0, 0]),
        ([0, 100, 255], np.int32, [0, 0, 1]),  # dark, not of 8 bits
        ([0, 257, 65535], np.int32, [0, 1, 255]),
        ([-7, 32896, 70000], np.int32, [0, 128, 255]),
    ],
)
def test_grey_of_more_than_8_bits_is_scaled(values: list[float], dtype: type, expected: list[int]) -> None:
    image = open_image(Image.fromarray(np.array([values], dtype=dtype)))
    assert image.mode == "L"
    assert np.asarray(image).tolist() == [expected]


@pytest.mark.parametrize(
    ("mode", "colour", "expected", "pixel"),
    [
        ("1", 1, "L", 255),
        ("L", 7, "L", 7),
        ("LA", (7, 9), "LA", (7, 9)),
        ("La", (7, 255), "LA", (7, 255)),
        ("RGB", (1, 2, 3), "RGB", (1, 2, 3)),
        ("RGBA", (1, 2, 3, 4), "RGBA", (1, 2, 3, 4)),
        ("RGBa", (100, 50, 0, 255), "RGBA", (100, 50, 0, 255)),
        ("RGBX", (1, 2, 3, 0), "RGB", (1, 2, 3)),
        ("CMYK", (255, 0, 0, 0), "RGB", (0, 255, 255)),
        ("YCbCr", (128, 128, 128), "RGB", (128, 128, 128)),
        ("HSV", (0, 0, 99), "RGB", (99, 99, 99)),
        ("LAB", (255, 128, 128), "RGB", (255, 255, 255)),
    ],
)
def test_every_mode_becomes_one_of_four(mode: str, colour: object, expected: str, pixel: object) -> None:
    image = open_image(Image.new(mode, (3, 2), colour))  # type: ignore[arg-type]
    assert (image.mode, image.size) == (expected, (3, 2))
    np.testing.assert_allclose(np.asarray(image)[1, 1], np.array(pixel), atol=1)


@pytest.mark.parametrize(("shape", "mode"), [((3, 5), "L"), ((3, 5, 1), "L"), ((3, 5, 3), "RGB"), ((3, 5, 4), "RGBA")])
def test_arrays_are_rows_columns_and_channels(shape: tuple[int, ...], mode: str) -> None:
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    picture = open_picture(array)
    assert (picture.image.mode, picture.width, picture.height, picture.format) == (mode, 5, 3, None)
    np.testing.assert_array_equal(np.asarray(picture.image).reshape(shape), array)


@pytest.mark.parametrize(
    ("array", "reason", "words"),
    [
        (np.zeros((4, 4), np.float32), "unsupported", r"array of float32 \[4, 4\]: expected uint8 \[h, w\]"),
        (np.zeros((4, 4, 2), np.uint8), "unsupported", r"array of uint8 \[4, 4, 2\]"),
        (np.zeros((1, 4, 4, 3), np.uint8), "unsupported", r"\[1, 4, 4, 3\]"),
        (np.zeros((4, 0, 3), np.uint8), "empty", "no pixels"),
    ],
)
def test_arrays_that_are_no_pictures_say_why(array: np.ndarray, reason: str, words: str) -> None:
    with pytest.raises(ImageError, match=words) as caught:
        open_image(array)
    assert caught.value.reason == reason


@pytest.mark.parametrize("kind", ["EPS", "DDS", "SPIDER"])
def test_what_is_not_decoded_by_pillow_alone_is_no_picture(cat: Image.Image, kind: str) -> None:
    with pytest.raises(ImageError, match="not a picture in a format that Semblant reads") as caught:
        open_image(encoded(cat.resize((64, 48)), kind))
    assert caught.value.reason == "not-an-image"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # of the TIFF
@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_a_file_that_was_cut_in_its_head_says_so(cat: Image.Image, kind: str) -> None:
    with pytest.raises(ImageError, match=r"picture of 9 bytes: begins like a .* but is cut short") as caught:
        open_image(encoded(cat, kind)[:9])
    assert caught.value.reason == "truncated"


@pytest.mark.parametrize("length", [1, 4])
def test_a_few_bytes_of_a_picture_are_the_beginning_of_one(cat: Image.Image, length: int) -> None:
    with pytest.raises(ImageError, match="begins like a PNG, but is cut short") as caught:
        open_image(encoded(cat)[:length])
    assert caught.value.reason == "truncated"


def test_a_stream_that_breaks_off_is_damaged_not_a_stranger(cat: Image.Image) -> None:
    data = bytearray(encoded(cat))
    middle = data.index(b"IDAT") + 4 + 2000
    data[middle : middle + 200] = bytes(200)
    with pytest.raises(ImageError, match="cannot be decoded") as caught:
        open_image(bytes(data))
    assert caught.value.reason == "truncated"


@pytest.mark.filterwarnings("ignore:Image was not the expected size")
def test_an_icon_that_says_it_is_smaller_than_it_is_does_not_pass_the_limit(cat: Image.Image) -> None:
    data = bytearray(encoded(cat.resize((64, 48)), "ICO", sizes=[(64, 48)]))
    data[6:8] = (2, 2)
    picture = open_picture(bytes(data))
    assert (picture.width, picture.height) == picture.image.size == (64, 48)
    with pytest.raises(ImageError, match="64×48") as caught:
        open_image(bytes(data), max_pixels=1000)
    assert caught.value.reason == "too-large"


def test_a_transparent_level_of_grey_counts_as_transparent() -> None:
    image = open_image(encoded(Image.new("L", (4, 4), 7), transparency=7))
    assert image.mode == "LA"
    assert fit_image(image, Fit(2, 2, 1)).min() == 255


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF"])
def test_a_file_that_was_cut_in_its_middle_says_so(cat: Image.Image, kind: str) -> None:
    data = encoded(cat, kind)
    with pytest.raises(ImageError, match="picture of") as caught:
        open_image(data[: len(data) // 2])
    assert caught.value.reason == "truncated"


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"12345")
    assert read_bytes(path) == read_file(path, limit=5)[0] == b"12345"
    with pytest.raises(ImageError, match="has 5 bytes, more than the limit of 4") as caught:
        read_file(path, limit=4)
    assert caught.value.reason == "too-large"
    path.write_bytes(b"")
    with pytest.raises(ImageError, match=r"a\.png.*empty") as caught:
        read_bytes(path)
    assert caught.value.reason == "empty"


@pytest.mark.parametrize(
    ("size", "side", "shape"),
    [
        ((400, 300), 100, (75, 100)),
        ((300, 400), 100, (100, 75)),
        ((400, 300), 400, (300, 400)),
        ((400, 300), 1000, (300, 400)),
        ((401, 3), 100, (1, 100)),
        ((1, 401), 100, (100, 1)),
        ((400, 2), 100, (1, 100)),
    ],
)
def test_grey_is_shrunk_and_never_grown(size: tuple[int, int], side: int, shape: tuple[int, int]) -> None:
    assert to_grey(Image.new("RGB", size), longest_side=side).shape == shape


@pytest.mark.parametrize(
    ("picture", "target", "inner"),
    [
        ((40, 20), (20, 20), (0, 5, 20, 15)),
        ((20, 40), (20, 20), (5, 0, 15, 20)),
        ((30, 20), (7, 7), (0, 1, 7, 6)),
        ((20, 30), (7, 7), (1, 0, 6, 7)),
        ((100, 10), (16, 9), (0, 3, 16, 5)),
        ((100, 1), (9, 9), (0, 4, 9, 5)),
        ((3, 2), (30, 30), (0, 5, 30, 25)),
        ((5, 5), (4, 9), (0, 2, 4, 6)),
    ],
)
def test_padding_lies_around_the_picture(
    picture: tuple[int, int], target: tuple[int, int], inner: tuple[int, int, int, int]
) -> None:
    """Left, top, right and bottom of the picture in what the encoder sees: (width, height) both ways."""
    pixels = fit_image(Image.new("RGB", picture, (9, 8, 7)), Fit(target[1], target[0], 3, background=(1, 2, 3)))
    rows, columns = np.nonzero((pixels == (9, 8, 7)).all(axis=2))
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == inner
    assert len(rows) == (inner[2] - inner[0]) * (inner[3] - inner[1])
    assert ((pixels == (1, 2, 3)).all(axis=2).sum() + len(rows)) == pixels.shape[0] * pixels.shape[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"height": 0}, "image size 0×4: both must be at least 1"),
        ({"width": -1}, "image size 4×-1"),
        ({"channels": 2}, r"channels 2: expected 1 \(grey\) or 3"),
        ({"channels": 4}, "channels 4"),
        ({"policy": "squeeze"}, "resize policy 'squeeze': expected one of stretch, pad, crop"),
        ({"interpolation": "magic"}, "'magic': expected one of nearest, bilinear, bicubic, lanczos, area"),
        ({"background": (0, 0, 256)}, r"background \(0, 0, 256\): expected three numbers from 0 to 255"),
        ({"background": (-1, 0, 0)}, "background"),
        ({"background": (0, 0)}, "background"),
    ],
)
def test_a_fit_that_cannot_be_says_what_can(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Fit(**{"height": 4, "width": 4, **options})  # type: ignore[arg-type]


def test_a_fit_has_known_defaults() -> None:
    assert Fit(1, 2) == Fit(1, 2, 3, "pad", "bilinear", (255, 255, 255))
    assert Fit(1, 2, 1, background=(0, 255, 0)).shape == (1, 2, 1)


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("at_least", [None, (75, 100)])
def test_where_only_greys_are_wanted_they_are_those_of_the_colours(
    cat: Image.Image, orientation: int, at_least: tuple[int, int] | None
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(cat, "JPEG", quality=90, exif=exif)
    whole, luma = (open_picture(data, at_least=at_least, luma=wanted) for wanted in (False, True))
    assert (luma.image.mode, luma.image.size) == ("L", whole.image.size)
    assert (luma.width, luma.height, luma.format) == (whole.width, whole.height, "JPEG")
    away = np.asarray(whole.image.convert("L"), np.int16) - np.asarray(luma.image, np.int16)
    assert np.abs(away).mean() < 1  # colours out of range are cut off before they are made grey


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGB"), ("PNG", "RGBA")])
def test_what_stores_no_luma_apart_is_decoded_as_ever(cat: Image.Image, kind: str, mode: str) -> None:
    data = encoded(cat.convert(mode), kind)
    whole, luma = (open_image(data, luma=wanted) for wanted in (False, True))
    assert luma.mode == whole.mode
    np.testing.assert_array_equal(np.asarray(luma), np.asarray(whole))
