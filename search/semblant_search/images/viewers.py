"""Pictures that Pillow reads otherwise than a viewer shows them, brought to what is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["as_viewers_show"]

_COLOUR_MAP = 320
_ICON_HEADER = 40


def as_viewers_show(image: Image.Image, data: bytes) -> Image.Image:
    """The decoded picture of a file's bytes; the same one where there is nothing to mend.

    - A GIF whose first frame leaves a part of the canvas free: that part is transparent, not the background's colour.
    - An icon of 32 bits whose alpha is zero everywhere: it has none, and its mask counts, as in Windows and in browsers.
    - A BMP whose alpha is zero everywhere: it has none, though its header speaks of it.
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
