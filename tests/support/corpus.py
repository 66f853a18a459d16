"""The corpus, each file with what a second decoder makes of it: libvips, or the numbers that were written.

`PYTHONPATH=tests python -m support.corpus` prints the table of differences.
"""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyvips
import tifffile
from PIL import Image
from semblant_search.images import flatten, open_image
from semblant_search.images.icc import from_cicp

from support.shown import COLOURS, GREY, PHOTOGRAPH, chunk, encoded, in_space
from support.variants import ALPHA, COLOUR_PROFILES, png, variants

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["REASONS", "Compared", "compared", "table"]

RGB = np.asarray(COLOURS)
REASONS = {
    "png grey": "libvips does not take a profile of greys from a PNG; of JPEG and TIFF it does, and agrees",
    "tiff unspecified": "libvips takes an extra channel for transparency that the header does not declare as that",
    "tiff cmyk": "without a profile, libvips takes one of its own for CMYK; browsers count plainly",
    "tiff lab": "libvips does not read Lab of 8 bits",
}
"""Where the two may differ, and why: by how names begin."""


def by_libvips() -> Iterator[tuple[str, bytes]]:
    """Kinds that Pillow does not write."""
    colour = pyvips.Image.new_from_array(np.asarray(COLOURS)).copy(interpretation="srgb")
    grey = pyvips.Image.new_from_array(GREY).copy(interpretation="b-w")
    deep = (colour * 257).cast("ushort").copy(interpretation="rgb16")
    ink = colour.icc_transform("cmyk", input_profile="srgb", intent="perceptual")
    yield "vips tiff of ink with its profile", ink.tiffsave_buffer()
    for interlaced in (True, False):
        yield f"vips jpeg of ink with its profile {interlaced}", ink.jpegsave_buffer(Q=95, interlace=interlaced)
        for name, picture in (("colour", colour), ("deep", deep), ("grey", grey)):
            yield f"vips png {name} {interlaced}", picture.pngsave_buffer(interlace=interlaced)
        for bits in (1, 2, 4):
            yield f"vips png {bits} bits {interlaced}", grey.pngsave_buffer(interlace=interlaced, bitdepth=bits)
            yield f"vips tiff {bits} bits white {interlaced}", grey.tiffsave_buffer(bitdepth=bits, miniswhite=interlaced)
        yield f"vips png palette {interlaced}", colour.pngsave_buffer(interlace=interlaced, palette=True)
    for name in ("p3", "srgb"):
        for depth in (8, 16):
            other = colour.icc_transform(name, input_profile="srgb", depth=depth)
            yield f"vips png in {name} of {depth}", other.pngsave_buffer()
            yield f"vips tiff in {name} of {depth}", other.tiffsave_buffer()
    for compression in ("lzw", "deflate", "packbits", "none"):
        for name, picture in (("colour", colour), ("deep", deep)):
            for big in (True, False):
                options = {"compression": compression, "predictor": "horizontal", "bigtiff": big}
                yield f"vips tiff {name} {compression} {big}", picture.tiffsave_buffer(**options)
                tiles = {"tile": True, "tile_width": 16, "tile_height": 16, "pyramid": True}
                yield f"vips tiff tiles {name} {compression} {big}", picture.tiffsave_buffer(**options, **tiles)


class Compared(NamedTuple):
    """A file: its name, and how far from the second decoder's picture it is shown, in levels on average."""

    name: str
    away: float
    judge: str


def second_opinion(data: bytes) -> np.ndarray:
    """uint8 `[h, w, 3]` in sRGB over white, upright."""
    image = pyvips.Image.new_from_buffer(data, "", fail_on="none").autorot()
    if image.get_typeof("icc-profile-data"):
        try:
            image = image.icc_transform("srgb", embedded=True, intent="perceptual", depth=8)
        except pyvips.Error:  # a broken profile
            image.remove("icc-profile-data")
    image = image.colourspace("srgb")
    if image.hasalpha():
        image = image.flatten(background=[255, 255, 255])
    pixels = image.cast("uchar").numpy()
    alike: np.ndarray = np.broadcast_to(pixels.reshape(image.height, image.width, -1), (image.height, image.width, 3))
    return alike


def planes_by_tifffile(data: bytes) -> np.ndarray:
    """Of the kind of TIFF that libvips does not read: tiles, one plane for each colour."""
    values = np.moveaxis(tifffile.imread(io.BytesIO(data)), 0, -1)
    levels: np.ndarray = np.rint(values / np.iinfo(values.dtype).max * 255)
    return levels


def by_numbers() -> Iterator[tuple[str, bytes, np.ndarray]]:
    """Files whose samples are known, each with the levels 0–255 that they mean by their header."""
    yield from _netpbm()
    yield from _samples()
    yield from _jpeg_2000()
    yield from _heic()


def _netpbm() -> Iterator[tuple[str, bytes, np.ndarray]]:
    for most in (1, 2, 5, 15, 100, 127, 254, 255, 256, 1000, 1023, 4095, 32767, 65535):
        for kind, levels in ((b"P5", GREY), (b"P6", RGB)):
            values = np.rint(levels / 255 * most).astype(">u2" if most > 255 else "u1")
            head = kind + b"\n# made\n80 60\n%d\n" % most
            yield f"netpbm {kind.decode()} {most}", head + values.tobytes(), values / most * 255
            plain = b"P2" if kind == b"P5" else b"P3"
            text = b" ".join(b"%d" % value for value in values.ravel())
            yield f"netpbm {plain.decode()} {most}", plain + head[2:] + text, values / most * 255
    dark = GREY < 99
    yield "netpbm P4", b"P4\n80 60\n" + np.packbits(dark, axis=1).tobytes(), np.where(dark, 0, 255)
    yield "netpbm P1", b"P1\n80 60\n" + b" ".join(b"%d" % bit for bit in dark.ravel()), np.where(dark, 0, 255)


def _samples() -> Iterator[tuple[str, bytes, np.ndarray]]:
    """TIFFs of all types of samples, over their whole range and over one that their tags say; of 8 bits viewers heed none."""
    for kind in ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "f2", "f4", "f8"):
        is_float = kind[0] == "f"
        low, high = (0.0, 1.0) if is_float else (float(np.iinfo(kind).min), float(np.iinfo(kind).max))
        part = (low / 4, high / 4) if is_float else (float(int(low / 4)), float(int(high / 4)))
        ranges = {"full": (low, high), **({} if kind == "u1" else {"said": part})}
        looks = {"minisblack": GREY, "miniswhite": 255 - GREY, **({"rgb": RGB} if kind in ("u4", "f2", "f4", "f8") else {})}
        for order in "<>":
            for name, (first, last) in ranges.items():
                for photometric, levels in looks.items():
                    wide = first + levels / 255 * (last - first)
                    if not is_float:
                        wide = np.rint(wide).clip(low, np.nextafter(high, 0) if kind == "u8" else high)
                    code = {"f": 11, "u": 4, "i": 9}[kind[0]] if kind not in ("f8", "u8") else 12
                    said = ((340, first), (341, last)) if name == "said" else ()
                    tags = [(number, code, 1, value if code in (11, 12) else int(value), True) for number, value in said]
                    buffer = io.BytesIO()
                    options: Any = {"photometric": photometric, "byteorder": order, "extratags": tags, "metadata": None}
                    tifffile.imwrite(buffer, wide.astype(f"{order}{kind}"), **options)
                    shown = RGB if photometric == "rgb" else GREY
                    yield f"samples {kind} {photometric} {name} {order}", buffer.getvalue(), shown


def _jpeg_2000() -> Iterator[tuple[str, bytes, np.ndarray]]:
    wide = Image.fromarray(GREY.astype(np.uint16) * 257)
    for name, picture, levels in (("colour", COLOURS, RGB), ("grey", PHOTOGRAPH, GREY), ("wide", wide, GREY)):
        for boxed in (True, False):
            for tiles in (None,) if name == "wide" else (None, (32, 32)):  # Pillow does not write 16 bits in tiles as they are
                for order in ("LRCP", "RPCL"):
                    options = {"irreversible": False, "no_jp2": not boxed, "progression": order, "tile_size": tiles}
                    yield f"jpeg2000 {name} {boxed} {tiles} {order}", encoded(picture, "JPEG2000", **options), levels


def _heic() -> Iterator[tuple[str, bytes, np.ndarray]]:
    """As good as HEVC without loss is in YCbCr of full resolution."""
    try:
        import pillow_heif
    except ImportError:
        return
    clear = COLOURS.copy()
    clear.putalpha(Image.fromarray(ALPHA))
    white = np.rint(RGB * (ALPHA[..., None] / 255) + 255.0 - ALPHA[..., None])
    for name, profile in COLOUR_PROFILES.items():
        for mode, picture in (("colour", COLOURS), ("alpha", clear)):
            given = picture
            if name in ("adobe", "p3", "2020") and profile:
                given = in_space(profile)
                if mode == "alpha":
                    given.putalpha(Image.fromarray(ALPHA))
            buffer = io.BytesIO()
            made = pillow_heif.from_pillow(given)
            made.save(buffer, quality=-1, chroma=444, matrix_coefficients=0, **({"icc_profile": profile} if profile else {}))
            yield f"heic {mode} {name}", buffer.getvalue(), RGB if mode == "colour" else white
    for orientation in (3, 6, 8):
        buffer, exif = io.BytesIO(), Image.Exif()
        exif[0x0112] = orientation
        pillow_heif.from_pillow(COLOURS).save(buffer, quality=-1, chroma=444, matrix_coefficients=0, exif=exif.tobytes())
        turns = {3: 2, 6: 3, 8: 1}
        yield f"heic turned {orientation}", buffer.getvalue(), np.rot90(RGB, turns[orientation])


def more_by_libvips() -> Iterator[tuple[str, bytes]]:
    """Deep AVIF, WebP and GIF by libvips's own writers."""
    colour = pyvips.Image.new_from_array(RGB).copy(interpretation="srgb")
    deep = (colour * 257).cast("ushort").copy(interpretation="rgb16")
    for bits in (8, 10, 12):
        options = {"compression": "av1", "lossless": True, "effort": 0, "bitdepth": bits}
        yield f"avif of {bits} bits", (colour if bits == 8 else deep).heifsave_buffer(**options)
        for name in ("p3", "srgb"):
            other = colour.icc_transform(name, input_profile="srgb", depth=8 if bits == 8 else 16)
            yield f"avif of {bits} bits in {name}", other.heifsave_buffer(**options)
    for name in ("p3", "srgb"):
        other = colour.icc_transform(name, input_profile="srgb")
        ways: list[dict[str, Any]] = [{"lossless": True}, {"Q": 95}, {"near_lossless": True, "lossless": True}]
        for way in ways:
            yield f"webp of libvips in {name} {sorted(way)}", other.webpsave_buffer(**way)
    for dither in (0.0, 1.0):
        yield f"gif of libvips {dither}", colour.gifsave_buffer(dither=dither)
        yield f"gif of libvips interlaced {dither}", colour.gifsave_buffer(dither=dither, interlace=True)


def sixteen_linear() -> bytes:
    """PNG of 16 bits a colour, its numbers light itself."""
    light = np.where(RGB / 255 <= 0.04045, RGB / 255 / 12.92, ((RGB / 255 + 0.055) / 1.055) ** 2.4)
    profile = from_cicp(1, 8) or b""
    return png(16, 2, np.rint(light * 65535), chunk(b"iCCP", b"p\0\0" + zlib.compress(profile)))


def compared() -> Iterator[Compared]:
    """Every file that has a second opinion."""
    for name, data in {**variants(), **dict(by_libvips()), **dict(more_by_libvips())}.items():
        if not name.startswith(tuple(REASONS)):
            tiled = name.startswith("tiff tiles") and "separate" in name
            yield Compared(name, _away(data, planes_by_tifffile(data) if tiled else second_opinion(data)),
                           "tifffile" if tiled else "libvips")  # fmt: skip
    for name, data, expected in by_numbers():
        yield Compared(name, _away(data, np.asarray(expected, float)), "its numbers")


def _away(data: bytes, expected: np.ndarray) -> float:
    shown = np.asarray(flatten(open_image(data), (255, 255, 255)).convert("RGB"), float)
    expected = expected if expected.ndim == 3 else expected[..., None]
    return float(np.abs(shown - expected).mean()) if shown.shape[:2] == expected.shape[:2] else 255.0


def table(found: list[Compared]) -> str:
    """A line for each kind: files, and their differences in levels, in the middle and at most."""
    kinds: dict[str, list[Compared]] = {}
    for one in found:
        kinds.setdefault(one.name.split()[0], []).append(one)
    lines = [f"{'kind':10} {'files':>5} {'median':>7} {'most':>6}  of which"]
    for kind, files in sorted(kinds.items()):
        worst = max(files, key=lambda one: one.away)
        middle = float(np.median([one.away for one in files]))
        lines.append(f"{kind:10} {len(files):5} {middle:7.3f} {worst.away:6.3f}  {worst.name} ({worst.judge})")
    return "\n".join([*lines, f"{'all':10} {len(found):5} {float(np.median([one.away for one in found])):7.3f}"])


if __name__ == "__main__":
    print(table(list(compared())))
