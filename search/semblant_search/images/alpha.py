"""Transparency, where a file declares it: an extra channel that it does not call that is something else, and no picture's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .boxes import jp2_boxes

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["has_no_alpha"]

_EXTRA_SAMPLES = 338
_OPACITY = (b"\0\1", b"\0\2")
"""Types of a channel of JPEG 2000 (ISO 15444-1, I.5.3.6): opacity, and opacity that the colours are multiplied by."""


def has_no_alpha(image: Image.Image, data: bytes) -> bool:
    """Whether Pillow takes a channel of this file for transparency that its header does not declare as that."""
    if image.mode not in ("RGBA", "LA"):
        return False
    if image.format == "TGA":
        return _tga_has_none(data)
    if image.format == "PSD":
        return _psd_has_none(data)
    if image.format == "JPEG2000":
        return not any(name == b"cdef" and _declares_opacity(content) for name, content in jp2_boxes(data))
    tags = getattr(image, "tag_v2", None)  # a TIFF that Pillow reads
    return tags is not None and _EXTRA_SAMPLES not in tags


def _tga_has_none(data: bytes) -> bool:
    """By the attribute bits of its header, or by the attributes type of its extension area (Truevision TGA 2.0, field 24)."""
    if data[-18:] == b"TRUEVISION-XFILE.\0":
        place = int.from_bytes(data[-26:-22], "little")
        if place and place + 494 < len(data):
            return data[place + 494] not in (3, 4)
    return len(data) > 17 and not data[17] & 0x0F


def _psd_has_none(data: bytes) -> bool:
    """By the count of its layers, negative where the first extra channel is transparency, which else is a saved selection."""
    place = 26
    for _ in range(2):  # colour mode data, image resources
        place += 4 + int.from_bytes(data[place : place + 4], "big")
    layers = int.from_bytes(data[place : place + 4], "big")
    return layers < 6 or int.from_bytes(data[place + 8 : place + 10], "big", signed=True) >= 0


def _declares_opacity(content: bytes) -> bool:
    """Of the entries of a channel definition box, six bytes each: channel, type, association."""
    return any(content[start + 2 : start + 4] in _OPACITY for start in range(2, len(content) - 5, 6))
