"""Colours in linear light, of which 8 bits are too few in the dark: brought to sRGB's curve while all their bits are there.

Pillow keeps 8 bits of each colour's 16. Of most profiles' numbers those are enough; of numbers that are proportional to light,
as renderers write them, they are 3 levels off on average.
"""

from __future__ import annotations

import struct
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image, ImageFile

__all__ = ["in_srgb_curve", "light_curve", "low_bytes", "with_srgb_curve"]

_CURVES = (b"rTRC", b"gTRC", b"bTRC")
_TABLES = (b"A2B0", b"A2B1")
"""Tags that go before the curves."""
_SRGB = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_STEEP = 0.3
"""A level's light in the darkest place of a curve that 8 bits are too few for: 1 is linear, sRGB has 0.08."""
_PARAMETERS = {0: 1, 3: 5, 4: 7}
"""Numbers of the kinds of parametric curves that profiles have (ICC.1, 10.18)."""
_NATIVE, _OTHER = ("16L", "16B") if sys.byteorder == "little" else ("16B", "16L")
_LOW = {"16L": "16B", "16B": "16L", "16N": _OTHER}
"""Pillow takes one byte of two, the upper one; that of the other order is the lower one."""


@lru_cache(maxsize=8)
def light_curve(profile: bytes) -> np.ndarray | None:
    """float64 `[65536]`: the light of each number of 16 bits, 0–1, the same for the three colours.

    None where 8 bits are enough, where the profile is none of RGB by curves, or is damaged.
    """
    try:
        tags = _tags(profile)
        if profile[16:20] != b"RGB " or any(name in tags for name in _TABLES):
            return None
        red, green, blue = (profile[start : start + size] for start, size in (tags[name] for name in _CURVES))
        curve = _curve(red) if red == green == blue else None
    except (KeyError, struct.error, ValueError):
        return None
    return curve if curve is not None and curve[257] * 255 > _STEEP and np.isfinite(curve).all() else None


def _tags(profile: bytes) -> dict[bytes, tuple[int, int]]:
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = (struct.unpack_from(">4sII", profile, 132 + 12 * number) for number in range(min(count, 100)))
    return {name: (start, size) for name, start, size in entries}


def _curve(content: bytes) -> np.ndarray | None:
    steps = np.arange(65536) / 65535
    if content[:4] == b"curv":
        (count,) = struct.unpack_from(">I", content, 8)
        if count == 0:
            return steps
        numbers = np.frombuffer(content, ">u2", count, 12).astype(np.float64)
        table: np.ndarray = steps ** (numbers[0] / 256)
        return table if count == 1 else np.interp(steps, np.linspace(0, 1, count), numbers / 65535)
    (kind,) = struct.unpack_from(">H", content, 8)
    if content[:4] != b"para" or kind not in _PARAMETERS:
        return None
    said = [number / 65536 for number in struct.unpack_from(f">{_PARAMETERS[kind]}i", content, 12)]
    if kind == 0:
        power: np.ndarray = steps ** said[0]
        return power
    g, a, b, c, d, e, f = (*said, 0.0, 0.0)[:7]
    curve: np.ndarray = np.where(steps >= d, np.maximum(a * steps + b, 0) ** g + e, c * steps + f)
    return curve.clip(0, 1)


@lru_cache(maxsize=8)
def with_srgb_curve(profile: bytes) -> bytes:
    """The same colours with sRGB's curve: a profile of what `light_curve` is one of."""
    curve = struct.pack(">4sIHH5i", b"para", 0, 3, 0, *(round(number * 65536) for number in _SRGB))
    made = bytearray(profile) + bytes(-len(profile) % 4)
    (count,) = struct.unpack_from(">I", profile, 128)
    for entry in range(132, 132 + 12 * count, 12):
        if made[entry : entry + 4] in _CURVES:
            struct.pack_into(">II", made, entry + 4, len(made), len(curve))
    made += curve
    struct.pack_into(">I", made, 0, len(made))
    made[84:100] = bytes(16)  # its checksum
    return bytes(made)


def in_srgb_curve(light: np.ndarray) -> np.ndarray:
    """float64 0–1 of light 0–1, any shape."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)


def low_bytes(picture: ImageFile.ImageFile) -> Image.Image | None:
    """A picture whose header was read, decoded to the lower byte of each of its numbers of 16 bits; None for all others."""
    tiles = []
    for tile in picture.tile:
        kind, *others = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        mode, _, order = str(kind).partition(";")
        if mode not in ("RGB", "RGBA") or order not in _LOW:
            return None
        low = f"{mode};{_LOW[order]}"
        tiles.append(tile._replace(args=(low, *others) if isinstance(tile.args, tuple) else low))
    if not tiles:
        return None
    picture.tile = tiles
    picture.load()
    return picture
