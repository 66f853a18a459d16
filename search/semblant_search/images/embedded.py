"""Colours that files tell and Pillow does not: a BMP's profile or endpoints, a JP2's profile, the nclx of AVIF and HEIC."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from .boxes import jp2_boxes
from .icc import from_cicp, from_numbers

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["embedded_profile"]

_BMP_HEADER, _V4, _V5 = 14, 108, 124
"""Where a BMP's information header begins, and its sizes that hold colours."""
_RESTRICTED, _ANY = 2, 3
"""Methods of a colour specification box (ISO 15444-1, I.5.3.3; 15444-2) that hold an ICC profile."""


def embedded_profile(image: Image.Image, data: bytes) -> bytes | None:
    """ICC profile of the picture's numbers, where its format has a place for them that Pillow passes by; else None."""
    if image.format in ("AVIF", "HEIF"):
        return _nclx(data)
    if image.format == "JPEG2000":
        for name, content in jp2_boxes(data):
            if name == b"colr" and content[:1] in (bytes((_RESTRICTED,)), bytes((_ANY,))):
                return content[3:]
    return _of_bmp(data) if image.format == "BMP" else None


def _nclx(data: bytes) -> bytes | None:
    place = data.find(b"colrnclx", 0, 1 << 16)
    if place < 0:
        return None
    return from_cicp(*(int.from_bytes(data[place + start : place + start + 2], "big") for start in (8, 10)))


def _of_bmp(data: bytes) -> bytes | None:
    """By the colour space of a BITMAPV4HEADER or BITMAPV5HEADER; None where it is sRGB, or names a file beside it."""
    header = data[_BMP_HEADER : _BMP_HEADER + _V5]
    size = int.from_bytes(header[:4], "little")
    if size < _V4 or len(header) < min(size, _V5):
        return None
    space = header[56:60][::-1]
    if space == b"MBED" and size >= _V5:
        start, length = struct.unpack_from("<II", header, 112)
        return data[_BMP_HEADER + start : _BMP_HEADER + start + length] or None
    if space != bytes(4):
        return None
    ends = struct.unpack_from("<9i", header, 60)  # X, Y, Z of red, green and blue, which add up to white
    gamma = struct.unpack_from("<I", header, 96)[0] / 65536
    points = [ends[:3], ends[3:6], ends[6:]]
    points.insert(0, tuple(sum(point[axis] for point in points) for axis in range(3)))
    if not 0.1 <= gamma <= 10 or any(sum(point) <= 0 for point in points):
        return None
    white, red, green, blue = ((x / (x + y + z), y / (x + y + z)) for x, y, z in points)
    return from_numbers((*white, *red, *green, *blue), gamma)
