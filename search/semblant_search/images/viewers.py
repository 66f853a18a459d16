"""Pictures that Pillow reads otherwise than a viewer shows them, brought to what is shown."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np

from .headers import open_header
from .light import low_bytes
from .parts import bands, part

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["as_viewers_show"]

_COLOUR_MAP = 320
_ICON_HEADER, _PNG_BITS = 40, 24


def as_viewers_show(image: Image.Image, data: bytes) -> Image.Image:
    """The decoded picture of a file's bytes; the same one where there is nothing to mend.

    - A GIF whose first frame leaves a part of the canvas free: that part is transparent, not the background's colour.
    - An icon of 32 bits whose alpha is zero everywhere: it has none, and its mask counts, as in Windows and in browsers.
    - A BMP whose alpha is zero everywhere: it has none, though its header speaks of it.
    - A PNG of 16 bits a colour with one that is transparent: all of its bits count.
    - A PSD of black and white: a bit that is set is ink.
    - A JPEG 2000 of more than 8 bits a colour: its white is white.
    - A TIFF's palette whose numbers need no more than 8 of their 16 bits: that is what its writer took them for.
    """
    if image.format == "GIF":
        return _uncovered(image)
    if image.format == "ICO":
        return _masked(image, data)
    if image.format in ("BMP", "DIB") and image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
        return image.convert("RGB")
    if image.format == "PNG" and image.mode == "RGB" and data[_PNG_BITS] == 16 and "transparency" in image.info:
        return _with_clear_colour(image, data)
    if image.format == "PSD" and image.mode == "1":
        return image.point(lambda level: 255 - level)
    if image.format == "JPEG2000":
        from .deep_jp2 import with_whites

        return with_whites(image, data)
    tags = getattr(image, "tag_v2", None)
    if tags is not None and image.mode == "P":
        numbers = tags.get(_COLOUR_MAP, ())
        if isinstance(numbers, tuple) and numbers and 0 < max(numbers) < 256:
            third = len(numbers) // 3
            image.putpalette([numbers[place + third * band] for place in range(third) for band in range(3)])
    return image


def _uncovered(image: Image.Image) -> Image.Image:
    from PIL import Image as Pillow

    covered = getattr(image, "dispose_extent", None)
    is_first = getattr(image, "tell", lambda: 0)() == 0
    if covered is None or not is_first or "transparency" in image.info or tuple(covered) == (0, 0, *image.size):
        return image
    alpha = Pillow.new("L", image.size, 0)
    alpha.paste(255, covered)
    shown = image.convert("RGBA")
    shown.putalpha(alpha)
    return shown


def _with_clear_colour(image: Image.Image, data: bytes) -> Image.Image:
    """Pillow compares the lower bytes of that colour with the upper ones of the others."""
    from PIL import Image as Pillow

    low = None
    with contextlib.suppress(OSError):  # a file that was mended before it was read
        low = low_bytes(open_header(data))
    clear = np.array(image.info["transparency"], np.uint16)
    if low is None or low.size != image.size or clear.shape != (3,):
        return image
    del image.info["transparency"]
    shown = image.convert("RGBA")
    for top, band in bands(image):
        upper, lower = np.asarray(band), np.asarray(part(low, (0, top, band.width, top + band.height)))
        is_clear = ((upper.astype(np.uint16) << 8 | lower) == clear).all(axis=2)
        shown.paste(Pillow.fromarray(np.dstack([upper, np.where(is_clear, 0, 255).astype(np.uint8)])), (0, top))
    return shown


def _masked(image: Image.Image, data: bytes) -> Image.Image:
    from PIL import Image as Pillow

    if image.mode != "RGBA" or image.getchannel("A").getextrema() != (0, 0):
        return image
    wide, high = image.size
    row = (wide + 31) // 32 * 4
    for entry in getattr(getattr(image, "ico", None), "entry", ()):
        start, size = int(entry.offset), int(entry.size)
        header = data[start : start + _ICON_HEADER]
        mask = data[start + _ICON_HEADER + 4 * wide * high : start + size]
        is_meant = header[:4] == b"\x28\0\0\0" and int.from_bytes(header[4:8], "little") == wide
        if is_meant and int.from_bytes(header[14:16], "little") == 32 and len(mask) >= row * high:
            shown = image.copy()
            shown.putalpha(Pillow.frombytes("1", image.size, mask[: row * high], "raw", "1;I", row, -1).convert("L"))
            return shown
    return image
