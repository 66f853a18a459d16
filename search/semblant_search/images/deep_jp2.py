"""JPEG 2000 of more than 8 bits a colour, of which Pillow takes white for black.

It brings numbers of 16 bits to 8 by adding half a level and dropping the rest, and of the 256 that this makes of white a byte
keeps 0. Which zeros were white tells the same file, decoded once more with one bit more for each number: what is decoded of
it stays as it was, and lies in the middle of twice the range, where nothing is beyond its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .parts import bands, part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

__all__ = ["with_whites"]

_CODESTREAM = b"\xff\x4f\xff\x51"
"""The markers that it begins with: SOC, SIZ (ISO 15444-1, A.4.1 and A.5.1)."""
_SIZES, _TILE, _DATA, _STEPS, _OF_COMPONENT = 0x51, 0x90, 0x93, 0x5C, 0x5D
"""SIZ, SOT, SOD, QCD and QCC."""
_COUNT, _FIRST = 38, 40
"""Where SIZ counts the components, and says the first one's bits."""
_WHITE = 128
"""Black is 64 and white 192 in the middle of the range."""


def with_whites(image: Image.Image, data: bytes) -> Image.Image:
    """The decoded picture of a file, its whites white; the same one where it has no more than 8 bits, or nothing is black."""
    from PIL import Image as Pillow

    bits = _bits(data)
    if image.mode not in ("LA", "RGB", "RGBA") or max(bits, default=0) <= 8:
        return image
    if not any(low == 0 for low, _ in (channel.getextrema() for channel in image.split())):
        return image
    from .headers import open_header

    try:
        other = open_header(_in_the_middle(data))
        other.load()
    except Exception:  # a codestream that cannot be changed so: what Pillow raises has no common base
        return image
    if (other.mode, other.size) != (image.mode, image.size):
        return image
    for top, band in bands(image):
        levels, middle = np.array(band), np.asarray(part(other, (0, top, band.width, top + band.height)))
        levels[(levels == 0) & (middle >= _WHITE)] = 255
        image.paste(Pillow.fromarray(levels), (0, top))
    return image


def _bits(data: bytes) -> list[int]:
    """Of each component."""
    start = data.find(_CODESTREAM) + 2
    if start < 2:
        return []
    count = int.from_bytes(data[start + _COUNT : start + _COUNT + 2], "big")
    return [(bits & 0x7F) + 1 for bits in data[start + _FIRST : start + _FIRST + 3 * count : 3]]


def _in_the_middle(data: bytes) -> bytes:
    """The same file with one bit more for each number; steps of quantized numbers, which count from the bits, stay."""
    changed = bytearray(data)
    wide = len(_bits(data)) > 256
    for kind, place in _segments(data, data.find(_CODESTREAM) + 2):
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        if kind == _SIZES:
            for component in range(place + _FIRST, place + 2 + length, 3):
                changed[component] += 1
        elif kind in (_STEPS, _OF_COMPONENT):
            style = place + 4 + (kind == _OF_COMPONENT) * (1 + wide)
            if data[style] & 0x1F:  # quantized: each exponent one more, and one guard bit less
                changed[style] -= 0x20
                for step in range(style + 1, place + 2 + length, 2):
                    changed[step] += 0x08
    return bytes(changed)


def _segments(data: bytes, place: int) -> Iterator[tuple[int, int]]:
    """Kinds and places of the markers in the main header and in those of tile parts."""
    tile_end = 0
    while place + 12 <= len(data) and data[place] == 0xFF:
        kind = data[place + 1]
        if kind == _TILE:
            length = int.from_bytes(data[place + 6 : place + 10], "big")
            tile_end = place + length if length else len(data)
        if kind == _DATA:
            place = tile_end
            continue
        yield kind, place
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
