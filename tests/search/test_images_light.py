"""Pictures in linear light, of which the upper 8 bits are too few."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageCms
from semblant_search.errors import ImageError
from semblant_search.images import open_image
from semblant_search.images.icc import SRGB_PRIMARIES, from_numbers
from semblant_search.images.light import light_curve, with_srgb_curve
from support.shown import COLOURS, GREY, chunk, encoded
from support.variants import ALPHA, grey_profile
from support.variants import png as png_of

if TYPE_CHECKING:
    from collections.abc import Callable

RGB = np.asarray(COLOURS)
WIDE, HIGH = COLOURS.size
LINEAR = from_numbers(SRGB_PRIMARIES, 1.0) or b""
WIDE_GAMUT = (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
SHARES = RGB / 255
LIGHT = np.where(SHARES <= 0.04045, SHARES / 12.92, ((SHARES + 0.055) / 1.055) ** 2.4)


def colorants(profile: bytes) -> np.ndarray:
    """`[3, 3]` from light to XYZ, as the profile says."""
    columns = []
    for name in (b"rXYZ", b"gXYZ", b"bXYZ"):
        entry = profile.index(name)
        (start,) = struct.unpack_from(">I", profile, entry + 4)
        columns.append([number / 65536 for number in struct.unpack_from(">3i", profile, start + 8)])
    return np.array(columns).T


def numbers(profile: bytes = LINEAR) -> np.ndarray:
    """uint16 `[h, w, 3]`: the picture's light in the profile's primaries."""
    to_there = np.linalg.inv(colorants(profile)) @ colorants(LINEAR)
    samples: np.ndarray = np.rint((LIGHT @ to_there.T).clip(0, 1) * 65535).astype(np.uint16)
    return samples


def png(samples: np.ndarray, *chunks: bytes) -> bytes:
    kind = 2 if samples.shape[2] == 3 else 6
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", WIDE, HIGH, 16, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def with_alpha(samples: np.ndarray) -> np.ndarray:
    alpha = np.full((HIGH, WIDE, 1), 65535, np.uint16)
    alpha[:20] = 32768
    return np.concatenate([samples, alpha], axis=2)


def embedded(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))


def tiff(samples: np.ndarray, profile: bytes = LINEAR, **options: object) -> bytes:
    tifffile = pytest.importorskip("tifffile")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, photometric="rgb", iccprofile=profile, **options)
    return buffer.getvalue()


GAMMA_1 = chunk(b"gAMA", (100_000).to_bytes(4, "big"))
P3 = from_numbers(WIDE_GAMUT, 1.0) or b""
CASES: dict[str, Callable[[], bytes]] = {
    "PNG with gAMA": lambda: png(numbers(), GAMMA_1),
    "PNG with a profile": lambda: png(numbers(), embedded(LINEAR)),
    "PNG with alpha": lambda: png(with_alpha(numbers()), GAMMA_1),
    "PNG of a wide gamut": lambda: png(numbers(P3), embedded(P3)),
    "TIFF": lambda: tiff(numbers()),
    "TIFF, big-endian": lambda: tiff(numbers(), byteorder=">"),
    "TIFF, deflated": lambda: tiff(numbers(), compression="zlib"),
    "TIFF in strips": lambda: tiff(numbers(), rowsperstrip=7),
    "TIFF of a wide gamut": lambda: tiff(numbers(P3), P3),
    "TIFF, float": lambda: tiff(LIGHT.astype(np.float32)),
    "TIFF, 32 bits": lambda: tiff(np.rint(LIGHT * (2**32 - 1)).astype(np.uint32)),
}


@pytest.mark.parametrize("name", CASES)
def test_all_bits_count(name: str) -> None:
    shown = np.asarray(open_image(CASES[name]()), float)
    assert np.abs(shown[..., :3] - RGB).mean() < 0.6
    if name == "PNG with alpha":
        assert set(np.unique(shown[..., 3])) == {128, 255}


GREY_SHARES = GREY / 255
GREY_LIGHT = np.where(GREY_SHARES <= 0.04045, GREY_SHARES / 12.92, ((GREY_SHARES + 0.055) / 1.055) ** 2.4)
CLEAR = np.rint(ALPHA / 255 * 65535)
GREYS = np.dstack([np.rint(GREY_LIGHT * 65535), CLEAR])
OF_GREYS = grey_profile(1.0)


def grey_tiff(samples: np.ndarray, profile: bytes, extra: str = "unassalpha") -> bytes:
    tifffile = pytest.importorskip("tifffile")
    buffer = io.BytesIO()
    options = {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": [extra], "iccprofile": profile}
    tifffile.imwrite(buffer, samples, **options)
    return buffer.getvalue()


GREY_CASES: dict[str, Callable[[], bytes]] = {
    "PNG with gAMA": lambda: png_of(16, 4, GREYS, GAMMA_1),
    "PNG with a profile of colours": lambda: png_of(16, 4, GREYS, embedded(LINEAR)),
    "PNG with a profile of greys": lambda: png_of(16, 4, GREYS, embedded(OF_GREYS)),
    "TIFF": lambda: grey_tiff(GREYS.astype(np.uint16), OF_GREYS),
    "TIFF with a profile of colours": lambda: grey_tiff(GREYS.astype(np.uint16), LINEAR),
    "TIFF, multiplied": lambda: grey_tiff(
        np.dstack([GREYS[..., 0] * ALPHA / 255, CLEAR]).astype(np.uint16), OF_GREYS, "assocalpha"
    ),
    "TIFF, float": lambda: grey_tiff(np.dstack([GREY_LIGHT, ALPHA / 255]).astype(np.float32), OF_GREYS),
}


@pytest.mark.parametrize("name", GREY_CASES)
def test_all_bits_of_transparent_greys_count(name: str) -> None:
    shown = open_image(GREY_CASES[name]())
    assert shown.mode == "LA"
    assert "icc_profile" not in shown.info
    assert np.abs(np.asarray(shown, float)[..., 0] - GREY)[ALPHA > 0].mean() < 0.2
    assert np.array_equal(np.asarray(shown)[..., 1], ALPHA)


def test_greys_are_rounded_alike_with_transparency_and_without() -> None:
    numbers = np.arange(4800, dtype=np.uint16).reshape(60, 80, 1) * 13
    plain = open_image(png_of(16, 0, numbers))
    clear = open_image(png_of(16, 4, np.dstack([numbers, np.full_like(numbers, 65535)])))
    assert np.array_equal(np.asarray(clear)[..., 0], np.asarray(plain))


def test_transparent_greys_turned_interlaced_kept_and_in_smaller_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semblant_search.images.parts._BAND", 500)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = png_of(16, 4, GREYS, embedded(OF_GREYS), chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    assert np.abs(np.rot90(np.asarray(open_image(data), float)) - np.dstack([GREY, ALPHA])).mean() < 0.1
    kept = open_image(data, srgb=False)
    assert kept.info["icc_profile"] == OF_GREYS
    assert np.array_equal(np.rot90(np.asarray(kept)), np.rint(GREYS / 257))
    pyvips = pytest.importorskip("pyvips")
    wide = pyvips.Image.new_from_array(GREYS.astype(np.uint16)).copy(interpretation="grey16")
    assert np.array_equal(np.asarray(open_image(wide.pngsave_buffer(interlace=True))), np.rint(GREYS / 257))


def test_a_cut_png_of_transparent_greys_is_told_of_and_a_wrong_sum_is_not() -> None:
    data = png_of(16, 4, GREYS, GAMMA_1)
    with pytest.raises(ImageError, match="cannot be decoded"):
        open_image(data[: len(data) // 2])
    place, start = data.index(b"IEND") - 8, data.index(b"IDAT")
    wrong = bytearray(data)
    wrong[place - 4 : place] = b"\0\0\0\0"
    wrong[place : place + 4] = zlib.crc32(bytes(wrong[start:place])).to_bytes(4, "big")
    assert np.abs(np.asarray(open_image(bytes(wrong)), float)[..., 0] - GREY).mean() < 4


def test_the_same_picture_upright_and_smaller_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semblant_search.images.parts._BAND", 500)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = png(numbers(), GAMMA_1, chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    assert np.array_equal(np.asarray(open_image(data)), np.rot90(RGB, 3))


def test_a_transparent_colour_and_a_wrong_sum_cost_no_picture() -> None:
    key = chunk(b"tRNS", struct.pack(">3H", *numbers()[0, 0].tolist()))
    shown = np.asarray(open_image(png(numbers(), GAMMA_1, key)), float)
    assert np.abs(shown[..., :3] - RGB).mean() < 4
    data = png(numbers(), GAMMA_1)
    place = data.index(b"IEND") - 8
    wrong = bytearray(data)
    wrong[place - 4 : place] = b"\0\0\0\0"  # the sum of all its pixels
    start = data.index(b"IDAT")
    wrong[place : place + 4] = zlib.crc32(bytes(wrong[start:place])).to_bytes(4, "big")
    assert np.abs(np.asarray(open_image(bytes(wrong)), float) - RGB).mean() < 4


def test_eight_bits_and_numbers_that_are_asked_for_are_as_before() -> None:
    eight = encoded(Image.fromarray((numbers() >> 8).astype(np.uint8)), icc_profile=LINEAR)
    assert np.abs(np.asarray(open_image(eight), float) - RGB).mean() > 1
    kept = open_image(png(numbers(), embedded(LINEAR)), srgb=False)
    assert kept.info["icc_profile"] == LINEAR
    assert np.array_equal(np.asarray(kept), numbers() >> 8)


@pytest.mark.parametrize(
    ("gamma", "counts"), [(1.0, True), (1.1, True), (1.4, False), (1.8, False), (2.2, False), (None, False)]
)
def test_only_curves_that_are_steep_in_the_dark_take_the_trouble(gamma: float | None, counts: bool) -> None:
    profile = from_numbers(WIDE_GAMUT, gamma)
    assert profile is not None
    assert (light_curve(profile) is not None) is counts


def curve(kind: int, *numbers: float) -> bytes:
    return struct.pack(f">4sIHH{len(numbers)}i", b"para", 0, kind, 0, *(round(number * 65536) for number in numbers))


@pytest.mark.parametrize(
    ("content", "light"),
    [
        (struct.pack(">4sII", b"curv", 0, 0), 0.5),
        (struct.pack(">4sIIH", b"curv", 0, 1, 256), 0.5),
        (struct.pack(">4sII3H", b"curv", 0, 3, 0, 16384, 65535), 0.25),
        (curve(0, 1.0), 0.5),
        (curve(1, 1.0, 0.9, 0.1), None),
        (curve(3, 1.0, 0.9, 0.1, 1.5, 0.1), 0.55),
        (curve(4, 1.0, 0.9, 0.0, 1.5, 0.1, 0.05, 0.0), 0.5),
        (curve(7, 1.0), None),
        (b"what", None),
        (struct.pack(">4sII", b"curv", 0, 2**31), None),
    ],
)
def test_curves_of_all_kinds_are_read_as_littlecms_reads_them(content: bytes, light: float | None) -> None:
    made = with_curve(content)
    found = light_curve(made)
    if light is None:
        assert found is None
        return
    assert found is not None
    assert found[32768] == pytest.approx(light, abs=1e-3)
    given = ImageCms.ImageCmsProfile(io.BytesIO(made))
    grey = Image.new("RGB", (1, 1), (128, 128, 128))
    one = ImageCms.profileToProfile(grey, given, ImageCms.createProfile("sRGB"))
    other = open_image(png(np.full((HIGH, WIDE, 3), 128 * 257, np.uint16), embedded(made)))
    assert one is not None
    assert np.abs(np.asarray(one, int)[0, 0] - np.asarray(other, int)[0, 0]).max() <= 1


def with_curve(content: bytes) -> bytes:
    """A linear profile with another curve."""
    made = bytearray(with_srgb_curve(LINEAR))
    start = len(made) - 32
    del made[start:]
    made += content
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        struct.pack_into(">II", made, made.index(name) + 4, start, len(content))
    struct.pack_into(">I", made, 0, len(made))
    return bytes(made)


@pytest.mark.parametrize(
    "profile", [b"", b"x" * 200, LINEAR[:150], LINEAR.replace(b"rTRC", b"rXXX"), LINEAR.replace(b"RGB ", b"GRAY")]
)
def test_what_is_no_profile_of_curves_has_none(profile: bytes) -> None:
    assert light_curve(profile) is None
