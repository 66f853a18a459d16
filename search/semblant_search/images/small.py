"""Small copies of pictures, as a service, a client and a model are given them: upright, WebP, in a few sizes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from semblant_search.errors import InvalidInput
from semblant_search.shown import shown
from semblant_search.stages import in_stage

from .opening import open_image

if TYPE_CHECKING:
    from .sources import ImageSource

__all__ = ["THUMBNAIL_SIDES", "thumbnail_side", "webp_thumbnail"]

THUMBNAIL_SIDES = (64, 128, 256, 512, 1024)
"""Pixels of the longer side."""
_QUALITY = 82


def thumbnail_side(size: object) -> int:
    """The first of `THUMBNAIL_SIDES` that is no less. Raises `InvalidInput`."""
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= THUMBNAIL_SIDES[-1]:
        raise InvalidInput(f"size {shown(size)}: expected a whole number of pixels from 1 to {THUMBNAIL_SIDES[-1]:,}")
    return next(side for side in THUMBNAIL_SIDES if side >= size)


@in_stage("thumbnail")
def webp_thumbnail(source: ImageSource, side: int, max_pixels: int) -> bytes:
    """A WebP of `side` pixels at most; a smaller picture is not enlarged. Raises `ImageError`."""
    from PIL import Image

    image = open_image(source, max_pixels=max_pixels, at_least=(side, side))
    shrunk = image if max(image.size) <= side else image.copy()
    shrunk.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    plain = shrunk.convert("RGBA" if "A" in shrunk.mode else "RGB")
    file = io.BytesIO()
    plain.save(file, "WEBP", quality=_QUALITY, method=2)
    return file.getvalue()
