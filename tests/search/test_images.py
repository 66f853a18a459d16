"""Every kind of picture that users have: right pixels, or a clear ImageError."""

from __future__ import annotations

import contextlib
import io
import os
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from semblant_search.errors import ImageError, InvalidInput
from semblant_search.images import Fit, fit_image, open_image, open_picture, read_file, to_grey
from support.systems import needs_posix

if TYPE_CHECKING:
    from pathlib import Path


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def mean_difference(image: Image.Image, expected: Image.Image) -> float:
    left, right = (np.asarray(each.convert("RGB"), dtype=float) for each in (image, expected))
    return float(np.abs(left - right).mean())


@pytest.fixture(scope="module")
def coffee(photos: Path) -> Image.Image:
    return Image.open(photos / "coffee.png").convert("RGB").resize((60, 40))


def test_the_same_pixels_whatever_the_file_format(coffee: Image.Image) -> None:
    for kind in ("PNG", "TIFF", "BMP", "PPM", "TGA", "QOI", "PCX"):
        picture = open_picture(encoded(coffee, kind))
        assert (picture.width, picture.height, picture.image.mode) == (60, 40, "RGB")
        assert mean_difference(picture.image, coffee) == 0
    for kind, options in (("JPEG", {"quality": 95}), ("WEBP", {"quality": 95}), ("JPEG2000", {}), ("AVIF", {"quality": 90})):
        assert mean_difference(open_image(encoded(coffee, kind, **options)), coffee) < 6


def test_cmyk_is_shown_in_its_colours(coffee: Image.Image) -> None:
    image = open_image(encoded(coffee.convert("CMYK"), "JPEG", quality=95))
    assert image.mode == "RGB"
    assert mean_difference(image, coffee) < 6


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    for kind in ("PNG", "TIFF"):
        pixels = np.asarray(open_image(encoded(Image.fromarray(ramp), kind)))
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, np.rint(ramp / 257).astype(np.uint8))


def test_float_pictures_are_scaled_and_holes_are_black() -> None:
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    values[0, 0] = np.nan
    pixels = np.asarray(open_image(encoded(Image.fromarray(values), "TIFF")))
    assert (pixels[0, 0], pixels[-1, -1]) == (0, 255)


def test_palettes_keep_colours_and_transparency(coffee: Image.Image) -> None:
    flat = coffee.quantize(64)
    assert mean_difference(open_image(encoded(flat)), flat.convert("RGB")) == 0
    flat.putpixel((0, 0), 3)
    image = open_image(encoded(flat, transparency=3))
    assert image.mode == "RGBA"
    assert image.getpixel((0, 0))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_over_the_background(mode: str) -> None:
    clear = Image.new(mode, (8, 8))  # fully transparent black
    for background in ((255, 255, 255), (10, 200, 30)):
        pixels = fit_image(open_image(encoded(clear)), Fit(4, 4, 3, background=background))
        assert {tuple(pixel) for pixel in pixels.reshape(-1, 3).tolist()} == {background}


@pytest.mark.parametrize("policy", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_transparency_weighs_what_is_averaged(coffee: Image.Image, policy: str, channels: int) -> None:
    """As if the picture had been laid over the background at its own size; colours that nobody sees count for nothing."""
    fit = Fit(30, 40, channels, policy=policy, background=(20, 90, 160))
    alpha = Image.radial_gradient("L").resize(coffee.size).point(lambda value: max(0, 255 - 2 * value))
    seen = Image.new("RGB", coffee.size, fit.background)
    seen.paste(coffee, mask=alpha)
    clear = coffee.copy()
    clear.paste((255, 0, 0), mask=alpha.point(lambda value: 255 * (value == 0)))
    clear.putalpha(alpha)
    difference = np.abs(fit_image(clear, fit).astype(int) - fit_image(seen, fit))
    assert difference.max() <= 2


def test_a_transparent_colour_counts_as_transparent() -> None:
    image = open_image(encoded(Image.new("RGB", (4, 4), (1, 2, 3)), transparency=(1, 2, 3)))
    assert fit_image(image, Fit(4, 4, 3)).min() == 255


def test_animations_give_their_first_frame() -> None:
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "green", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
        assert mean_difference(open_image(data), frames[0]) < 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(coffee: Image.Image, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = {5, 6, 7, 8}
    picture = open_picture(encoded(coffee, exif=exif))
    assert (picture.width, picture.height) == ((40, 60) if orientation in turned else (60, 40))
    assert picture.image.size == (picture.width, picture.height)
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # what undoes it, as Pillow numbers transpositions
    restored = picture.image if back is None else picture.image.transpose(Image.Transpose(back))
    assert mean_difference(restored, coffee) == 0


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_is_no_reason_to_lose_a_picture(coffee: Image.Image) -> None:
    for exif in (b"Exif\x00\x00junk", b"Exif\x00\x00II*\x00\xff\xff\xff\xff", b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff"):
        data = encoded(coffee, "JPEG", exif=exif)
        assert open_image(data).size == (60, 40)


def test_one_pixel_is_a_picture() -> None:
    image = open_image(encoded(Image.new("RGB", (1, 1), (9, 8, 7))))
    for policy in ("stretch", "pad", "crop"):
        assert fit_image(image, Fit(28, 28, 3, policy=policy)).shape == (28, 28, 3)
    assert to_grey(image, longest_side=100).shape == (1, 1)


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1)])
def test_lines_of_pixels_fit(size: tuple[int, int]) -> None:
    for policy in ("stretch", "pad", "crop"):
        assert fit_image(Image.new("L", size), Fit(8, 8, 1, policy=policy)).shape == (8, 8, 1)
    assert max(to_grey(Image.new("L", size), longest_side=100).shape) == 100


def test_giant_drawings_are_refused_before_they_are_decoded(clipart: Path) -> None:
    giants = [path for path in clipart.rglob("*.png") if np.prod(size_in_header(path)) > 1e8]
    assert any(2.3e8 < np.prod(size_in_header(path)) < 2.4e8 for path in giants)
    for path in giants:
        with pytest.raises(ImageError, match="megapixels, over the limit of 100; raise max_pixels") as caught:
            open_image(path)
        assert caught.value.reason == "too-large"


def size_in_header(path: Path) -> tuple[int, int]:
    """Width and height from the header of a PNG."""
    with path.open("rb") as file:
        head = file.read(24)
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def test_every_truncation_of_a_file_is_an_image_error_or_a_picture(coffee: Image.Image) -> None:
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "QOI", "AVIF"):
        data = encoded(coffee, kind)
        for length in [*range(min(len(data), 64)), *range(64, len(data), max(1, len(data) // 60))]:
            with contextlib.suppress(ImageError):
                assert open_image(data[:length]).size == (60, 40)
    with pytest.raises(ImageError) as caught:
        open_image(encoded(coffee)[:100])
    assert caught.value.reason == "truncated"


def test_flipped_bytes_never_raise_anything_else(coffee: Image.Image) -> None:
    random = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PSD", "ICO", "TGA", "JPEG2000"):
        try:
            original = np.frombuffer(encoded(coffee, kind), dtype=np.uint8)
        except (KeyError, OSError):
            continue
        for _ in range(60):
            data = original.copy()
            data[random.integers(0, min(len(data), 400), 4)] = random.integers(0, 256, 4)
            with contextlib.suppress(ImageError):
                open_image(data.tobytes(), max_pixels=1_000_000)


def test_a_bomb_of_a_header_is_refused() -> None:
    head = b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\rIHDR"
    size = (60_000).to_bytes(4, "big") * 2 + b"\x08\x06\x00\x00\x00"
    data = head + size + zlib.crc32(b"IHDR" + size).to_bytes(4, "big")
    with pytest.raises(ImageError) as caught:
        open_image(data + (4).to_bytes(4, "big") + b"IDAT" + b"0000" + b"\x00" * 4)
    assert caught.value.reason == "too-large"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"just text", "not-an-image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not-an-image"),
        (b"<svg/>", "not-an-image"),
    ],
)
def test_what_is_no_picture_says_so(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "some name\nwith ünïcödé.png"
    path.write_bytes(content)
    with pytest.raises(ImageError) as caught:
        open_image(path)
    assert caught.value.reason == reason
    assert "ünïcödé.png" in str(caught.value)
    assert "\n" not in str(caught.value)


@needs_posix
def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    cases = {"missing.png": "missing", "pipe.png": "unreadable", "folder.png": "unreadable", "nul\0.png": "unreadable"}
    for name, reason in cases.items():
        with pytest.raises(ImageError) as caught:
            open_image(tmp_path / name)
        assert caught.value.reason == reason
    if os.geteuid() != 0:
        (tmp_path / "secret.png").touch(mode=0)
        with pytest.raises(ImageError, match="cannot be read"):
            open_image(tmp_path / "secret.png")


def test_reading_tells_the_facts_of_the_very_file(photos: Path) -> None:
    data, facts = read_file(photos / "coffee.png")
    assert (len(data), facts.st_mtime_ns) == (facts.st_size, (photos / "coffee.png").stat().st_mtime_ns)


def test_arrays_and_images_are_pictures_too(coffee: Image.Image) -> None:
    assert mean_difference(open_image(np.asarray(coffee)), coffee) == 0
    assert mean_difference(open_image(coffee), coffee) == 0
    for array in (
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros(4, np.uint8),
    ):
        with pytest.raises(ImageError):
            open_image(array)
    with pytest.raises(ImageError, match="over the limit"):
        open_image(np.zeros((10, 10), np.uint8), max_pixels=99)


def test_a_large_jpeg_may_be_decoded_small_and_keeps_its_true_size(photos: Path) -> None:
    full = Image.open(photos / "coffee.png").convert("RGB").resize((2400, 1600))
    data = encoded(full, "JPEG", quality=90)
    picture = open_picture(data, at_least=(64, 64))
    assert (picture.width, picture.height) == (2400, 1600)
    assert 128 <= min(picture.image.size) < 800
    fit = Fit(64, 64, 3)
    difference = np.abs(fit_image(picture.image, fit).astype(float) - fit_image(open_image(data), fit))
    assert difference.mean() < 2


def test_fitting_policies_do_what_they_say() -> None:
    wide = Image.new("RGB", (40, 20), "red")
    wide.paste("blue", (0, 0, 10, 20))
    stretched = fit_image(wide, Fit(20, 20, 3, policy="stretch", interpolation="nearest"))
    assert (stretched[:, 4] == (0, 0, 255)).all()
    padded = fit_image(wide, Fit(20, 20, 3, policy="pad", background=(1, 2, 3)))
    assert (padded[0] == (1, 2, 3)).all()
    assert (padded[10, -1] == (255, 0, 0)).all()
    cropped = fit_image(wide, Fit(20, 20, 3, policy="crop", interpolation="nearest"))
    assert (cropped == (255, 0, 0)).all()
    for wrong in (
        {"height": 0},
        {"channels": 2},
        {"policy": "squeeze"},
        {"interpolation": "magic"},
        {"background": (0, 0, 300)},
    ):
        with pytest.raises(InvalidInput):
            Fit(**{"height": 4, "width": 4, **wrong})  # type: ignore[arg-type]
