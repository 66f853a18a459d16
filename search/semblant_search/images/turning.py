"""Pictures that lie on their side in the file, brought upright."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .exif import say_upright

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["upright"]

_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""EXIF orientations, and what brings each upright."""


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The picture as it is meant to be seen, with an EXIF block and XMP that ask for no second turn; the same one for 1."""
    if orientation not in _TURNS:
        return image
    from PIL import Image as Pillow

    turned = image.transpose(Pillow.Transpose[_TURNS[orientation]])
    say_upright(turned.info)
    return turned
