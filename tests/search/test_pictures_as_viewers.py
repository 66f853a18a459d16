"""Files of public reports that Pillow alone reads otherwise than viewers: the tracker and the number stand before each case."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from semblant_search.errors import ImageError
from semblant_search.images import flatten, open_image
from semblant_search.images.icc import SRGB_PRIMARIES, from_numbers
from support.shown import COLOURS, GREY, PHOTOGRAPH, chunk, encoded, with_chunks

if TYPE_CHECKING:
    from collections.abc import Callable

RGB = np.asarray(COLOURS)
WIDE, HIGH = COLOURS.size
INDEXED = COLOURS.quantize(50)
TURNED = np.rot90(RGB, 3)
ADOBE_UNKNOWN = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0"


def jpeg(image: Image.Image = COLOURS, **options: object) -> bytes:
    return encoded(image, "JPEG", quality=95, subsampling=0, **options)


def behind_start(content: bytes, segment: bytes) -> bytes:
    return content[:2] + segment + content[2:]


def ids_without_adobe() -> bytes:
    content = jpeg(keep_rgb=True)
    at = content.index(b"\xff\xee")
    return content[:at] + content[at + 2 + int.from_bytes(content[at + 2 : at + 4], "big") :]


def exif() -> bytes:
    block = Image.Exif()
    block[0x0112] = 6
    return block.tobytes()


def exif_as_text(kind: bytes) -> bytes:
    """As ImageMagick writes it into a PNG."""
    digits = exif().hex()
    lines = "\n".join(digits[start : start + 72] for start in range(0, len(digits), 72))
    text = f"\nexif\n{len(exif()):8}\n{lines}\n".encode()
    content = b"\0" + zlib.compress(text) if kind == b"zTXt" else text
    return with_chunks(encoded(COLOURS), chunk(kind, b"Raw profile type exif\0" + content))


def bmp(rows: np.ndarray, bits: int, compression: int = 0, masks: bytes = b"", *, header: int = 40) -> bytes:
    """With its rows from the lowest; `masks` are those of a header of 40 bytes, or within a longer one."""
    body = rows[::-1].tobytes()
    start = 14 + header + (len(masks) if header == 40 else 0)
    head = struct.pack("<IiiHHIIiiII", header, WIDE, HIGH, 1, bits, compression, len(body), 2835, 2835, 0, 0) + masks
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + head.ljust(start - 14, b"\0") + body


def with_fourth(value: int) -> np.ndarray:
    return np.dstack([RGB[..., ::-1], np.full_like(GREY, value)])


def icon(alpha: int, masked_rows: int) -> bytes:
    """32 bits a pixel, and a mask that hides its upper rows."""
    mask = np.zeros((HIGH, (WIDE + 31) // 32 * 32), np.uint8)
    mask[:masked_rows] = 1
    body = with_fourth(alpha)[::-1].tobytes() + np.packbits(mask[::-1], axis=1).tobytes()
    head = struct.pack("<IiiHHIIiiII", 40, WIDE, 2 * HIGH, 1, 32, 0, len(body), 0, 0, 0, 0)
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, WIDE, HIGH, 0, 0, 1, 32, len(head + body), 22) + head + body


def cursor(content: bytes) -> bytes:
    """An icon as a cursor that points at its pixel 9, 8: the place of the planes and bits of an icon."""
    return content[:2] + b"\2\0" + content[4:10] + struct.pack("<HH", 9, 8) + content[14:]


def icon_of_24_bits(masked_rows: int) -> bytes:
    mask = np.zeros((HIGH, (WIDE + 31) // 32 * 32), np.uint8)
    mask[:masked_rows] = 1
    body = RGB[::-1, :, ::-1].tobytes() + np.packbits(mask[::-1], axis=1).tobytes()
    head = struct.pack("<IiiHHIIiiII", 40, WIDE, 2 * HIGH, 1, 24, 0, len(body), 0, 0, 0, 0)
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, WIDE, HIGH, 0, 0, 1, 24, len(head + body), 22) + head + body


def tiff(
    samples: bytes,
    bits: int,
    photometric: int,
    order: str = "<",
    extra: dict[int, list[int]] | None = None,
    profile: bytes = b"",
) -> bytes:
    tags = {256: [WIDE], 257: [HIGH], 258: [bits], 259: [1], 262: [photometric], 273: [0], 277: [1], 278: [HIGH],
            279: [len(samples)], **({34675: list(profile)} if profile else {}), **(extra or {})}  # fmt: skip
    start, rest, entries = 8 + 2 + 12 * len(tags) + 4, b"", b""
    for tag, values in sorted(tags.items()):
        if len(values) > 1:
            content, kind = struct.pack(f"{order}I", start + len(rest)), 7 if tag == 34675 else 3
            rest += struct.pack(f"{order}{len(values)}{'B' if kind == 7 else 'H'}", *values)
        else:
            content, kind = struct.pack(f"{order}I", values[0]), 4
        entries += struct.pack(f"{order}HHI", tag, kind, len(values)) + content
    if len(tags[273]) == 1:
        at = entries.index(struct.pack(f"{order}HHI", 273, 4, 1)) + 8
        entries = entries[:at] + struct.pack(f"{order}I", start + len(rest)) + entries[at + 4 :]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    return head + entries + bytes(4) + rest + samples


def pgm(highest: int) -> bytes:
    return b"P5 %d %d %d\n" % (WIDE, HIGH, highest) + np.rint(GREY / 255 * highest).astype(">u2").tobytes()


def linear(levels: np.ndarray) -> np.ndarray:
    """Shares of light, 0–1."""
    shares = levels / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def packed(bits: int, photometric: int, order: str = "<") -> bytes:
    full = 2**bits - 1
    values = np.rint(GREY / 255 * full).astype(np.uint32)
    values = full - values if photometric == 0 else values
    each = (values[..., None] >> np.arange(bits - 1, -1, -1) & 1).astype(np.uint8)
    return tiff(np.packbits(each.reshape(HIGH, -1), axis=1).tobytes(), bits, photometric, order)


def small_palette() -> bytes:
    palette = np.zeros((256, 3), int)
    palette[:50] = np.array((INDEXED.getpalette() or [])[:150]).reshape(50, 3)
    return tiff(np.asarray(INDEXED).tobytes(), 8, 3, extra={320: palette.T.ravel().tolist()})


def partial_gif() -> bytes:
    """On a canvas that is 20 pixels wider and 10 higher, whose background is a colour of the palette."""
    content = bytearray(encoded(COLOURS.quantize(200), "GIF"))
    content[6:10] = struct.pack("<HH", WIDE + 20, HIGH + 10)
    content[11] = 7
    return bytes(content)


def on_white() -> np.ndarray:
    canvas = np.full((HIGH + 10, WIDE + 20, 3), 255, np.uint8)
    canvas[:HIGH, :WIDE] = np.asarray(COLOURS.quantize(200).convert("RGB"))
    return canvas


def psd(mode: int, depth: int, *channels: np.ndarray) -> bytes:
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, len(channels), HIGH, WIDE, depth, mode)
    return head + bytes(12) + b"\0\0" + b"".join(channel.tobytes() for channel in channels)


def hidden(rows: int) -> np.ndarray:
    shown = RGB.copy()
    shown[:rows] = 255
    return shown


BGRA_MASKS = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
FIVE = RGB >> 3
LINEAR = from_numbers(SRGB_PRIMARIES, 1.0) or b""
CASES: list[tuple[str, Callable[[], bytes], np.ndarray]] = [
    ("image-rs/jpeg-decoder#249: RGB by Adobe's mark", lambda: jpeg(keep_rgb=True), RGB),
    ("etemesi254/zune-image#444: greys with Adobe's mark", lambda: behind_start(jpeg(PHOTOGRAPH), ADOBE_UNKNOWN), GREY),
    ("jpeg-js/jpeg-js#23: RGB by the names of its parts", ids_without_adobe, RGB),
    ("python-pillow/Pillow#2839: 16 bits, LZW, differences", lambda: encoded(
        Image.fromarray(GREY.astype(np.uint16) * 257), "TIFF", compression="tiff_lzw", tiffinfo={317: 2}), GREY),
    ("python-pillow/Pillow#3832: 16 bits, deflated", lambda: encoded(
        Image.fromarray(GREY.astype(np.uint16) * 257), "TIFF", compression="tiff_adobe_deflate"), GREY),
    ("SixLabors/ImageSharp#3182: palette, LZW, differences", lambda: encoded(
        INDEXED, "TIFF", compression="tiff_lzw", tiffinfo={317: 2}), np.asarray(INDEXED.convert("RGB"))),
    ("python-pillow/Pillow#2157: a palette of 8 bits", small_palette, np.asarray(INDEXED.convert("RGB"))),
    ("libsdl-org/SDL_image#64: a fourth byte that is nothing", lambda: bmp(with_fourth(0), 32), RGB),
    ("python-pillow/Pillow#239: a header of 124 bytes", lambda: bmp(with_fourth(255), 32, 3, BGRA_MASKS, header=124), RGB),
    ("image-rs/image#539: 5 bits a colour", lambda: bmp(
        (FIVE.astype("<u2") << np.array([10, 5, 0], "<u2")).sum(axis=2).astype("<u2"), 16), FIVE * 255.0 / 31),
    ("libvips/libvips#4834: EXIF as text", lambda: exif_as_text(b"zTXt"), TURNED),
    ("w3c/png#310: EXIF in a chunk of its own", lambda: with_chunks(
        encoded(COLOURS), chunk(b"eXIf", exif().removeprefix(b"Exif\0\0"))), TURNED),
    ("matt-way/gifuct-js#34: a frame smaller than its canvas", partial_gif, on_white()),
    ("image-rs/image#3012: an icon without alpha", lambda: icon(0, 30), hidden(30)),
    ("image-rs/image#3002: an icon with alpha and a mask", lambda: icon(255, 30), RGB),
    ("python-pillow/Pillow#9637: a cursor without alpha", lambda: cursor(icon(0, 30)), hidden(30)),
    ("python-pillow/Pillow#9637: a cursor with alpha and a mask", lambda: cursor(icon(255, 30)), RGB),
    ("behreajj/AseIcoExport#2: a cursor of 24 bits", lambda: cursor(icon_of_24_bits(30)), hidden(30)),
    ("SFML/SFML#1571: an alpha that is zero everywhere", lambda: bmp(with_fourth(0), 32, 3, BGRA_MASKS, header=124), RGB),
    ("x-ege/xege#152: a fourth byte that is anything", lambda: bmp(with_fourth(128), 32), RGB),
    ("python-pillow/Pillow#5403: a PGM of 10 bits", lambda: pgm(1023), GREY),
    ("libjxl/libjxl#3718: a PGM of 14 bits", lambda: pgm(16383), GREY),
    ("haraldk/TwelveMonkeys#1136: linear greys of 32 bits", lambda: tiff(
        np.rint(linear(GREY) * (2**32 - 1)).astype("<u4").tobytes(), 32, 1, profile=LINEAR), GREY),
    ("psd-tools/psd-tools#22: a PSD of black and white", lambda: psd(0, 1, np.packbits(GREY < 99, axis=1)),
     np.where(GREY < 99, 0, 255)),
    ("nomacs/nomacs#706: greys of 12 bits", lambda: packed(12, 0), GREY),
    ("python-pillow/Pillow#414: greys of 12 bits", lambda: packed(12, 1), GREY),
    ("tlnagy/TiffImages.jl#58: greys of 12 bits, big-endian", lambda: packed(12, 1, ">"), GREY),
    ("opencv/opencv#21701: greys of 10 bits", lambda: packed(10, 1), GREY),
    ("opencv/opencv#21701: greys of 14 bits", lambda: packed(14, 1), GREY),
]  # fmt: skip


@pytest.mark.parametrize(("make", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_file_is_read_as_viewers_show_it(make: Callable[[], bytes], expected: np.ndarray) -> None:
    shown = np.asarray(flatten(open_image(make()), (255, 255, 255)).convert("RGB"), float)
    wanted = expected if expected.ndim == 3 else expected[..., None]
    assert shown.shape[:2] == wanted.shape[:2]
    assert np.abs(shown - wanted).mean() < 1


def test_strips_that_overlap_take_no_more_memory_than_the_picture() -> None:
    content = tiff(bytes(40_000), 10, 1, extra={273: [8] * 5_000, 279: [40_000] * 5_000})
    tracemalloc.start()
    try:
        assert open_image(content).size == (WIDE, HIGH)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000  # all strips together are 200 MB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["ImageMagick/ImageMagick#8473", "hzeller/timg#85", "opencv/opencv#27295"])
def test_a_png_of_iphone_apps_is_named(name: str) -> None:
    rows = b"".join(b"\0" + row.tobytes() for row in with_fourth(255))
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = encoded(COLOURS)[:8] + chunk(b"CgBI", b"\x50\0\x20\6")
    content += chunk(b"IHDR", struct.pack(">IIBBBBB", WIDE, HIGH, 8, 6, 0, 0, 0))
    content += chunk(b"IDAT", deflate.compress(rows) + deflate.flush()) + chunk(b"IEND", b"")
    with pytest.raises(ImageError, match=r"made for iPhone apps \(CgBI\)"):
        open_image(content)
