"""A corpus of small files: one picture in every mode, depth, colour space and container that can be made, sound and damaged."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageCms
from semblant_search.images.icc import ADOBE_RGB, from_cicp

from support.shown import COLOURS, GREY, PHOTOGRAPH, chunk, encoded, in_space

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["grey_profile", "variants"]

RGB = np.asarray(COLOURS)
ALPHA = np.asarray(Image.linear_gradient("L").resize(COLOURS.size))
TURNED = PHOTOGRAPH.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def grey_profile(gamma: float) -> bytes:
    """ICC v2 profile of greys."""
    tags = [(b"wtpt", b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061))]
    tags += [(b"kTRC", b"curv\0\0\0\0\0\0\0\1" + struct.pack(">H", round(gamma * 256)) + b"\0\0")]
    start, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags:
        table += struct.pack(">4sII", name, start + len(body), len(content))
        body += content
    head = struct.pack(
        ">I4sI4s4s4s12x4s28x3i48x", start + len(body), b"", 0x02400000, b"mntr", b"GRAY", b"XYZ ", b"acsp", 63190, 65536, 54061
    )
    return head + table + body


FULL = {"subsampling": "4:4:4"}
COLOUR_PROFILES = {
    "none": None,
    "srgb": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    "adobe": ADOBE_RGB,
    "p3": from_cicp(12, 13),
    "2020": from_cicp(9, 13),
    "broken": b"no profile at all",
}
GREY_PROFILES = {"none": None, "gamma1.8": grey_profile(1.8), "gamma2.2": grey_profile(2.2), "linear": grey_profile(1.0)}


def png(bits: int, kind: int, samples: np.ndarray, *chunks: bytes) -> bytes:
    """A PNG of `[h, w, c]` samples of any depth."""
    height, width, channels = samples.shape
    if bits == 16:
        rows = samples.astype(">u2").reshape(height, -1).view(np.uint8)
    elif bits == 8:
        rows = samples.astype(np.uint8).reshape(height, -1)
    else:
        each = np.unpackbits(samples.astype(np.uint8).reshape(height, width * channels, 1), axis=2)[..., 8 - bits :]
        rows = np.packbits(each.reshape(height, -1), axis=1)
    content = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    parts = [chunk(b"IHDR", head), *chunks, chunk(b"IDAT", zlib.compress(content)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _pngs() -> Iterator[tuple[str, bytes]]:
    for bits in (1, 2, 4, 8, 16):
        full = 2**bits - 1
        grey = np.rint(GREY / 255 * full)[..., None]
        colour = np.rint(RGB / 255 * full)
        clear = np.rint(ALPHA / 255 * full)[..., None]
        for name, profile in GREY_PROFILES.items():
            icc = [chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))] if profile else []
            yield f"png grey {bits} {name}", png(bits, 0, grey, *icc)
            if bits >= 8:
                yield f"png grey alpha {bits} {name}", png(bits, 4, np.concatenate([grey, clear], axis=2), *icc)
        key = struct.pack(">H", int(np.median(grey)))
        yield f"png grey key {bits}", png(bits, 0, grey, chunk(b"tRNS", key))
        if bits <= 8:
            palette = chunk(b"PLTE", np.rint(np.linspace((0, 20, 90), (255, 200, 30), full + 1)).astype(np.uint8).tobytes())
            yield f"png palette {bits}", png(bits, 3, grey, palette)
            yield f"png palette alpha {bits}", png(bits, 3, grey, palette, chunk(b"tRNS", bytes((0, 128))))
        if bits >= 8:
            for name, profile in COLOUR_PROFILES.items():
                icc = [chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))] if profile else []
                yield f"png colour {bits} {name}", png(bits, 2, colour, *icc)
                yield f"png colour alpha {bits} {name}", png(bits, 6, np.concatenate([colour, clear], axis=2), *icc)


def _damaged_pngs() -> Iterator[tuple[str, bytes]]:
    plain = encoded(COLOURS)
    extras = {
        "long zTXt": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1_500_000))),
        "broken zTXt": chunk(b"zTXt", b"Comment\0\0junk"),
        "broken iTXt": chunk(b"iTXt", b"Comment\0\1\0\0\0junk"),
        "tEXt without a key": chunk(b"tEXt", b"x" * 100),
        "private": chunk(b"prVt", b"x" * 100),
        "broken eXIf": chunk(b"eXIf", b"junk"),
        "broken pHYs": chunk(b"pHYs", b"junk"),
        "broken tIME": chunk(b"tIME", b"junk"),
        "broken sBIT": chunk(b"sBIT", b"j"),
        "broken gAMA": chunk(b"gAMA", b"j"),
        "broken cHRM": chunk(b"cHRM", b"j"),
        "broken acTL": chunk(b"acTL", b"j"),
    }
    for name, extra in extras.items():
        for state, made in (("", extra), (" wrong crc", extra[:-1] + bytes((extra[-1] ^ 1,)))):
            yield f"png before {name}{state}", plain[:33] + made + plain[33:]
            yield f"png behind {name}{state}", plain[:-12] + made + plain[-12:]
    yield "png without IEND", plain[:-12]
    yield "png with more behind", plain + b"junk" * 100


def _jpegs() -> Iterator[tuple[str, bytes]]:
    for name, profile in COLOUR_PROFILES.items():
        for subsampling in (0, 1, 2):
            for progressive in (False, True):
                options = {"quality": 92, "subsampling": subsampling, "progressive": progressive, "icc_profile": profile}
                yield f"jpeg colour {subsampling} {progressive} {name}", encoded(COLOURS, "JPEG", **options)
    for name, profile in GREY_PROFILES.items():
        data = encoded(PHOTOGRAPH, "JPEG", quality=92, icc_profile=profile)
        yield f"jpeg grey {name}", data
        yield f"jpeg grey without end {name}", data[:-2]
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for kind in ("JPEG", "TIFF", "PNG", "WEBP"):
            options = {"lossless": True} if kind == "WEBP" else {}
            yield f"{kind.lower()} turned {orientation}", encoded(COLOURS, kind, exif=exif, **options)
    data = encoded(COLOURS, "JPEG", quality=92)
    for name, tail in {"no end": b"", "zeros": bytes(50), "one byte of it": b"\xff"}.items():
        yield f"jpeg {name}", data[:-2] + tail
    yield "jpeg with more behind", data + b"junk" * 100
    yield "jpeg mpo", encoded(COLOURS, "MPO", save_all=True, append_images=[TURNED.convert("RGB")])
    yield "jpeg restart markers", encoded(COLOURS, "JPEG", restart_marker_rows=1)


def _webps_and_avifs() -> Iterator[tuple[str, bytes]]:
    clear = COLOURS.copy()
    clear.putalpha(Image.fromarray(ALPHA))
    for name, profile in COLOUR_PROFILES.items():
        for mode, picture in (("colour", COLOURS), ("alpha", clear)):
            yield f"webp lossless {mode} {name}", encoded(picture, "WEBP", lossless=True, exact=True, icc_profile=profile)
            yield f"webp lossy {mode} {name}", encoded(picture, "WEBP", quality=90, icc_profile=profile)
            yield (
                f"avif {mode} {name}",
                encoded(picture, "AVIF", quality=90, speed=10, icc_profile=profile, **FULL),
            )


def _tiffs() -> Iterator[tuple[str, bytes]]:
    import tifffile

    def made(values: np.ndarray, **options: Any) -> bytes:
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, values, metadata=None, **options)
        return buffer.getvalue()

    clear = np.dstack([RGB, ALPHA])
    for name, profile in COLOUR_PROFILES.items():
        for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits"):
            yield f"tiff colour {compression} {name}", encoded(COLOURS, "TIFF", compression=compression, icc_profile=profile)
    for order in "<>":
        for bits in (8, 16):
            for planar in ("contig", "separate"):
                wide = RGB.astype(f"u{bits // 8}") * (257 if bits == 16 else 1)
                samples = wide if planar == "contig" else np.moveaxis(wide, -1, 0)
                options = {"byteorder": order, "photometric": "rgb", "planarconfig": planar}
                yield f"tiff colour {bits} {planar} {order}", made(samples, **options)
                yield f"tiff tiles {bits} {planar} {order}", made(samples, tile=(32, 32), **options)
            opaque = clear.astype(f"u{bits // 8}") * (257 if bits == 16 else 1)
            yield f"tiff alpha {bits} {order}", made(opaque, photometric="rgb", byteorder=order, extrasamples=["unassalpha"])
            grey = GREY.astype(f"u{bits // 8}") * (257 if bits == 16 else 1)
            for photometric, values in (("minisblack", grey), ("miniswhite", ~grey)):
                for name, profile in GREY_PROFILES.items():
                    data = made(values, photometric=photometric, byteorder=order, iccprofile=profile)
                    yield f"tiff grey {bits} {photometric} {name} {order}", data
                yield f"tiff bilevel {photometric} {bits} {order}", made(GREY > 99, photometric=photometric, byteorder=order)
        for bits in (8, 16):
            scale = 257 if bits == 16 else 1
            wide, alpha, grey = (part.astype(f"u{bits // 8}") * scale for part in (RGB, ALPHA, GREY))
            multiplied = np.rint(RGB * (ALPHA[..., None] / 255)).astype(f"u{bits // 8}") * scale
            options = {"byteorder": order, "planarconfig": "contig"}
            yield f"tiff grey alpha {bits} {order}", made(np.dstack([grey, alpha]), extrasamples=["unassalpha"], **options)
            colours = {"unassalpha": wide, "assocalpha": multiplied, "unspecified": wide}
            for extra, values in colours.items():
                data = made(np.dstack([values, alpha]), photometric="rgb", extrasamples=[extra], **options)
                yield f"tiff {extra} {bits} {order}", data
            for orientation in range(1, 9):
                tag = [(274, 3, 1, orientation, True)]
                yield f"tiff grey turned {orientation} {bits} {order}", made(grey, extratags=tag, **options)
                planes = {"photometric": "rgb", "planarconfig": "separate", "byteorder": order, "extratags": tag}
                yield f"tiff planes turned {orientation} {bits} {order}", made(np.moveaxis(wide, -1, 0), **planes)
    yield "tiff cmyk", encoded(COLOURS.convert("CMYK"), "TIFF")
    yield "tiff palette", encoded(COLOURS.quantize(50), "TIFF")
    yield "tiff jpeg", encoded(COLOURS, "TIFF", compression="jpeg", quality=95)
    yield "tiff lab", encoded(_lab(), "TIFF")


def _lab() -> Image.Image:
    lab = ImageCms.profileToProfile(COLOURS, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB")
    assert lab is not None
    lab.info.clear()
    return lab


def _others() -> Iterator[tuple[str, bytes]]:
    yield "gif", encoded(COLOURS.quantize(200), "GIF")
    yield "gif transparent", encoded(COLOURS.quantize(200), "GIF", transparency=3)
    for name in ("adobe", "p3"):
        profile = COLOUR_PROFILES[name]
        assert profile is not None
        yield f"png numbers in {name}", encoded(in_space(profile), icc_profile=profile)


def variants() -> dict[str, bytes]:
    """Files by name."""
    made = dict[str, bytes]()
    for part in (_pngs(), _damaged_pngs(), _jpegs(), _webps_and_avifs(), _tiffs(), _others()):
        made.update(part)
    return made
