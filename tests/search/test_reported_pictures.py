"""Pictures of public reports, rebuilt: the tracker and the number of each stand before its case."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageCms
from semblant_search import Fit
from semblant_search.errors import ImageError
from semblant_search.images import fit_image, open_image, to_grey
from semblant_search.images.icc import from_cicp, from_numbers
from support.shown import COLOURS, PHOTOGRAPH, away, chunk, encoded, in_space, with_chunks

if TYPE_CHECKING:
    from collections.abc import Callable

PROPHOTO = from_numbers((0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001), 1.8) or b""
P3 = from_cicp(12, 13) or b""
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
RAMP = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (32, 1)))


def jpeg(image: Image.Image = COLOURS, **options: object) -> bytes:
    return encoded(image, "JPEG", **{"quality": 95, "subsampling": 0, **options})


def turned(orientation: int) -> bytes:
    """A photograph whose EXIF asks for `orientation`."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return jpeg(exif=exif)


def sixteen_bits(kind: str, *, big_endian: bool = False) -> bytes:
    """The ramp in 16 bits a sample; PNG has but one byte order."""
    wide = np.asarray(RAMP).astype(np.uint16) * 257
    if kind == "PNG":
        return encoded(Image.fromarray(wide), "PNG")
    mode = "I;16B" if big_endian else "I;16"
    return encoded(Image.frombytes(mode, RAMP.size, wide.astype(">u2" if big_endian else "<u2").tobytes()), kind)


def five_greys() -> bytes:
    """Grey PNG of 8 bits with white, light, middle, dark and black."""
    return encoded(Image.fromarray(np.repeat(np.array([[255, 192, 128, 64, 0]], np.uint8), 8, axis=1).repeat(16, axis=0)))


def without_end(content: bytes, missing: int) -> bytes:
    return content[:-missing]


def two_pictures(*, second: bytes) -> bytes:
    """JPEG with a second picture behind it, as cameras write (MPO)."""
    buffer = io.BytesIO()
    COLOURS.save(buffer, "MPO", save_all=True, append_images=[COLOURS.resize((40, 30))], quality=95, subsampling=0)
    first = buffer.getvalue()
    return first[: first.rindex(b"\xff\xd8")] + second


def with_segment(content: bytes, marker: int, payload: bytes) -> bytes:
    """A segment in front of the others."""
    return content[:2] + struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload + content[2:]


def without_adobe(content: bytes) -> bytes:
    """The JPEG without its APP14."""
    at = content.index(b"\xff\xee")
    return content[:at] + content[at + 2 + int.from_bytes(content[at + 2 : at + 4], "big") :]


def inks() -> Image.Image:
    return COLOURS.convert("CMYK")


SAME: list[tuple[str, Callable[[], bytes], Image.Image, float]] = [
    ("photoprism/photoprism#1475: orientation 0", lambda: turned(0), COLOURS, 2),
    ("YunoHost-Apps/immich_ynh#338: orientation 6", lambda: turned(6), COLOURS.transpose(Image.Transpose.ROTATE_270), 2),
    ("photoprism/photoprism#637: orientation 9", lambda: turned(9), COLOURS, 2),
    (
        "photoprism/photoprism#4130: ProPhoto JPEG",
        lambda: jpeg(in_space(PROPHOTO), quality=100, icc_profile=PROPHOTO),
        COLOURS,
        3.5,
    ),
    (
        "photoview/photoview#1020: WebP with a profile",
        lambda: encoded(in_space(P3), "WEBP", lossless=True, icc_profile=P3),
        COLOURS,
        1.5,
    ),
    ("libjxl/libjxl#720: grey PNG, RGB profile", lambda: encoded(PHOTOGRAPH, icc_profile=SRGB), PHOTOGRAPH, 0.5),
    ("oxipng/oxipng#677: grey PNG, P3 profile", lambda: encoded(PHOTOGRAPH, icc_profile=P3), PHOTOGRAPH, 0.5),
    ("ImageMagick/ImageMagick#828: PNG with sRGB as a profile", lambda: encoded(COLOURS, icc_profile=SRGB), COLOURS, 0.5),
    (
        "AOMediaCodec/libavif#310: AVIF with sRGB as a profile",
        lambda: encoded(COLOURS, "AVIF", quality=100, icc_profile=SRGB),
        open_image(encoded(COLOURS, "AVIF", quality=100)),
        0.5,
    ),
    ("python-pillow/Pillow#2574: 16-bit grey PNG", lambda: sixteen_bits("PNG"), RAMP, 0.5),
    ("python-pillow/Pillow#1108: 16-bit grey TIFF", lambda: sixteen_bits("TIFF"), RAMP, 0.5),
    ("unslothai/unsloth#10094: 16-bit TIFF, big-endian", lambda: sixteen_bits("TIFF", big_endian=True), RAMP, 0.5),
    ("DaemonEngine/Urcheon#61: few greys", five_greys, Image.open(io.BytesIO(five_greys())).convert("RGB"), 0.5),
    ("python-pillow/Pillow#4414: no end of the picture", lambda: without_end(jpeg(), 2), COLOURS, 2),
    ("python-pillow/Pillow#1960: the second picture is cut", lambda: two_pictures(second=jpeg()[:200]), COLOURS, 2),
    (
        "python-pillow/Pillow#7879: its XMP where EXIF is",
        lambda: with_segment(jpeg(), 0xE1, b"Exif\0\0http://ns.adobe.com/xap/1.0/\0<x/>"),
        COLOURS,
        2,
    ),
    ("lovell/sharp#1649: CMYK without Adobe's mark", lambda: without_adobe(jpeg(inks())), inks().convert("RGB"), 3),
    ("ImageMagick/ImageMagick#6094: CMYK TIFF", lambda: encoded(inks(), "TIFF"), inks().convert("RGB"), 1),
    (
        "python-pillow/Pillow#4230: sBIT says less",
        lambda: with_chunks(encoded(COLOURS), chunk(b"sBIT", b"\x05\x06\x05")),
        COLOURS,
        0.5,
    ),
]


@pytest.mark.parametrize(("make", "expected", "levels"), [case[1:] for case in SAME], ids=[case[0] for case in SAME])
def test_a_picture_is_as_a_viewer_shows_it(make: Callable[[], bytes], expected: Image.Image, levels: float) -> None:
    shown = open_image(make())
    assert shown.size == expected.size
    assert away(shown, expected) <= levels


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(lambda: encoded(Image.new("RGBA", (20, 20))), id="elabftw/elabftw#2789"),
        pytest.param(
            lambda: encoded(Image.new("RGB", (20, 20), (9, 8, 7)).quantize(2), transparency=0), id="coobird/thumbnailator#41"
        ),
        pytest.param(
            lambda: encoded(Image.new("RGB", (20, 20), (9, 8, 7)), transparency=(9, 8, 7)), id="python-pillow/Pillow#423"
        ),
    ],
)
def test_what_is_transparent_is_white(picture: Callable[[], bytes]) -> None:
    assert (to_grey(open_image(picture()), longest_side=20) == 255).all()
    assert (fit_image(open_image(picture()), Fit(20, 20, 3)) == 255).all()


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(lambda: jpeg()[:-4], id="python-pillow/Pillow#889"),
        pytest.param(lambda: jpeg(progressive=True)[:-400], id="python-pillow/Pillow#2717"),
    ],
)
def test_a_jpeg_whose_data_is_cut_is_named_and_no_half_picture(picture: Callable[[], bytes]) -> None:
    """A viewer shows what is left over grey; a collection that took it would call it a picture of that grey."""
    with pytest.raises(ImageError, match="truncated") as caught:
        open_image(picture())
    assert caught.value.reason == "truncated"
