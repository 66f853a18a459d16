"""Colours as a viewer shows them, whatever space a file's numbers are in. Public reports are named beside what they are of."""

from __future__ import annotations

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import ImageCms
from semblant_search.images import open_image
from semblant_search.images.icc import ADOBE_RGB, SRGB_PRIMARIES, from_cicp, from_numbers
from support.shown import COLOURS, GREY, PHOTOGRAPH, SHOWN, away, chunk, encoded, in_space, with_chunks


def test_one_picture_in_three_colour_spaces_is_one_picture() -> None:
    """nextcloud/server#22951, photoprism#1798: they were 19 and 22 levels apart."""
    srgb, *others = (open_image(SHOWN / name) for name in ("srgb.png", "adobe.png", "p3.png"))
    for other in others:
        assert away(other, srgb) < 1
        assert "icc_profile" not in other.info


BEST: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 100, "subsampling": 0},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 100},
}
P3 = from_cicp(12, 13) or b""


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("profile", [ADOBE_RGB, P3], ids=["adobe", "p3"])
def test_a_profile_is_heeded_in_every_container(kind: str, profile: bytes) -> None:
    options = BEST.get(kind, {})
    plain = open_image(encoded(COLOURS, kind, **options))
    shown = open_image(encoded(in_space(profile), kind, icc_profile=profile, **options))
    assert away(shown, plain) < 1.5
    assert away(open_image(encoded(in_space(profile), kind, **options)), plain) > 3  # the numbers alone are another picture


def bmp(picture: np.ndarray, space: bytes, colours: bytes, profile: bytes = b"") -> bytes:
    """With a BITMAPV5HEADER: 32 bits a pixel, the last 8 of which are nothing."""
    height, width = picture.shape[:2]
    rows = np.dstack([picture[::-1, :, ::-1], np.zeros((height, width, 1), np.uint8)]).tobytes()
    header = struct.pack("<IiiHHIIiiII", 124, width, height, 1, 32, 3, len(rows), 2835, 2835, 0, 0)
    header += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0) + space + colours
    header += struct.pack("<4I", 4, 124 + len(rows) if profile else 0, len(profile), 0)
    body = header + rows + profile
    return b"BM" + struct.pack("<IHHI", 14 + len(body), 0, 0, 14 + len(header)) + body


def endpoints(*xyz: float, gamma: float) -> bytes:
    return struct.pack("<9i", *(round(value * (1 << 30)) for value in xyz)) + struct.pack("<3I", *[round(gamma * 65536)] * 3)


ADOBE_XYZ = (0.5767, 0.2973, 0.0270, 0.1856, 0.6274, 0.0707, 0.1882, 0.0753, 0.9913)
"""Red, green and blue of Adobe RGB under D65 (Adobe RGB (1998) Color Image Encoding, 4.3.5.3)."""


def test_what_a_bmp_says_of_its_colours_is_heeded() -> None:
    numbers, none = np.asarray(in_space(ADOBE_RGB)), bytes(48)
    assert away(open_image(bmp(numbers, b"DEBM", none, ADOBE_RGB)), COLOURS) < 1
    assert away(open_image(bmp(numbers, bytes(4), endpoints(*ADOBE_XYZ, gamma=2.2))), COLOURS) < 1
    for space, colours, profile in (
        (b"BGRs", none, b""),
        (b" niW", none, b""),
        (b"KNIL", none, ADOBE_RGB),  # the name of a file beside it
        (bytes(4), none, b""),  # endpoints that nobody filled in
        (b"DEBM", none, b"no profile"),
    ):
        assert away(open_image(bmp(np.asarray(COLOURS), space, colours, profile)), COLOURS) == 0


@pytest.mark.parametrize("method", [2, 3])
def test_a_profile_in_a_jp2_is_heeded(method: int) -> None:
    data = encoded(in_space(ADOBE_RGB), "JPEG2000", irreversible=False)
    box, header = data.index(b"colr") - 4, data.index(b"jp2h") - 4
    size, inner = (int.from_bytes(data[place : place + 4], "big") for place in (box, header))
    made = (11 + len(ADOBE_RGB)).to_bytes(4, "big") + b"colr" + bytes((method, 0, 0)) + ADOBE_RGB
    longer = (inner + len(made) - size).to_bytes(4, "big")
    data = data[:header] + longer + data[header + 4 : box] + made + data[box + size :]
    assert away(open_image(data), COLOURS) < 1


def test_transparency_stays_where_colours_are_converted() -> None:
    clear = in_space(ADOBE_RGB)
    clear.putalpha(PHOTOGRAPH)
    shown = open_image(encoded(clear, icc_profile=ADOBE_RGB))
    assert shown.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(shown)[..., 3], GREY)
    assert away(shown.convert("RGB"), COLOURS) < 1


@pytest.mark.parametrize(
    ("chunks", "profile"),
    [
        ([chunk(b"gAMA", (100_000).to_bytes(4, "big"))], (None, 1.0)),
        ([chunk(b"gAMA", (55_556).to_bytes(4, "big"))], (None, 1.8)),
        ([chunk(b"cICP", bytes((12, 13, 0, 1)))], (12, 13)),
        ([chunk(b"cICP", bytes((9, 8, 0, 1))), chunk(b"sRGB", b"\0")], (9, 8)),
        ([chunk(b"sRGB", b"\0"), chunk(b"gAMA", (100_000).to_bytes(4, "big"))], None),
        ([chunk(b"gAMA", (45_455).to_bytes(4, "big"))], None),
        ([chunk(b"gAMA", bytes(4))], None),
        ([chunk(b"cICP", bytes((200, 13, 0, 1)))], None),
        ([chunk(b"iCCP", b"x\0\0" + zlib.compress(b"no profile")), chunk(b"gAMA", (100_000).to_bytes(4, "big"))], (None, 1.0)),
        ([chunk(b"iCCP", b"x\0\0" + zlib.compress(ADOBE_RGB[:200])), chunk(b"gAMA", (55_556).to_bytes(4, "big"))], (None, 1.8)),
        ([chunk(b"iCCP", b"x\0\0" + zlib.compress(b"no profile")), chunk(b"sRGB", b"\0")], None),
    ],
    ids=[
        "linear",
        "gamma 1.8",
        "cICP P3",
        "cICP before sRGB",
        "sRGB before gAMA",
        "gAMA of sRGB",
        "no gAMA",
        "unknown",
        "broken before gAMA",
        "cut short before gAMA",
        "broken before sRGB",
    ],
)
def test_what_a_png_says_of_its_colours_is_heeded_in_order(
    chunks: list[bytes], profile: tuple[int | None, float] | None
) -> None:
    shown = open_image(with_chunks(encoded(COLOURS), *chunks))
    if profile is None:
        assert away(shown, COLOURS) == 0
        return
    first, second = profile
    icc = from_numbers(SRGB_PRIMARIES, second) if first is None else from_cicp(first, int(second))
    assert icc is not None
    given = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    expected = ImageCms.profileToProfile(COLOURS, given, ImageCms.createProfile("sRGB"))
    assert expected is not None
    assert away(shown, expected) < 0.1
    assert away(shown, COLOURS) > 3


def test_chromaticities_of_a_png_are_heeded() -> None:
    adobe = struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
    chunks = chunk(b"gAMA", round(100_000 * 256 / 563).to_bytes(4, "big")), chunk(b"cHRM", adobe)
    assert away(open_image(with_chunks(encoded(in_space(ADOBE_RGB)), *chunks)), COLOURS) < 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_camera_s_mark_of_adobe_rgb_is_heeded(order: str) -> None:
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    first = struct.pack(order + "HHHIII", 1, 0x8769, 4, 1, 26, 0)
    details = struct.pack(order + "HHHIHHHHIII", 2, 0xA001, 3, 1, 0xFFFF, 0, 0xA005, 4, 1, 56, 0)
    interop = struct.pack(order + "HHHI4sI", 1, 1, 2, 4, b"R03\0", 0)
    data = encoded(in_space(ADOBE_RGB), "JPEG", quality=100, subsampling=0, exif=b"Exif\0\0" + head + first + details + interop)
    assert away(open_image(data), open_image(encoded(COLOURS, "JPEG", quality=100, subsampling=0))) < 1.5
    assert away(open_image(data.replace(b"R03\0", b"R98\0")), in_space(ADOBE_RGB)) < 1.5


@pytest.mark.parametrize("profile", [b"junk", b"", ADOBE_RGB[:200], ADOBE_RGB[:128] + bytes(300)], ids=range(4))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_broken_profile_is_no_reason_to_lose_a_picture(kind: str, profile: bytes) -> None:
    picture = open_image(encoded(COLOURS, kind, icc_profile=profile))
    assert away(picture, open_image(encoded(COLOURS, kind))) == 0


def test_a_profile_of_other_channels_counts_for_nothing() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert away(open_image(encoded(COLOURS, icc_profile=lab)), COLOURS) == 0


def test_a_reduced_jpeg_is_in_srgb_too() -> None:
    large = in_space(ADOBE_RGB, COLOURS.resize((640, 480)))
    data = encoded(large, "JPEG", quality=95, icc_profile=ADOBE_RGB)
    small = open_image(data, at_least=(60, 80))
    assert small.size == (160, 120)
    assert away(small, open_image(data).reduce(4)) < 1.5
    grey = open_image(data, at_least=(60, 80), luma=True)
    assert away(grey.convert("L"), small.convert("L")) < 1


def test_threads_share_one_transform() -> None:
    data = encoded(in_space(P3), icc_profile=P3)
    with ThreadPoolExecutor(8) as pool:
        seen = {image.tobytes() for image in pool.map(open_image, [data] * 64)}
    assert len(seen) == 1


def test_an_image_that_a_caller_gives_is_left_as_it_was() -> None:
    given = in_space(ADOBE_RGB)
    given.info["icc_profile"] = ADOBE_RGB
    before = given.tobytes()
    assert away(open_image(given), COLOURS) < 1
    assert given.info == {"icc_profile": ADOBE_RGB}
    assert given.tobytes() == before
