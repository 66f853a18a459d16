"""TIFFs of 16-bit colours that say what is black and white, where Pillow unpacks them: it hands out the upper bytes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np

from .headers import open_header
from .light import low_bytes
from .parts import bands, part
from .samples import has_own_range, range_by_tags

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["with_own_range"]

_BITS, _FORMAT, _RGB, _PHOTOMETRIC = 258, 339, 2, 262


def with_own_range(image: Image.Image, data: bytes) -> Image.Image:
    """The decoded picture of a file, its colours by the range that the file gives them; any other as it is.

    Where tifffile unpacks such a file, it was read by that (`tiff.is_misread`); LZW it does not know by itself.
    """
    from PIL import Image as Pillow

    tags = getattr(image, "tag_v2", None)
    if tags is None or image.format != "TIFF" or image.mode not in ("RGB", "RGBA") or not _is_wide(tags):
        return image
    low = None
    with contextlib.suppress(OSError):  # a file that was mended before it was read
        low = low_bytes(open_header(data))
    if low is None or (low.mode, low.size) != (image.mode, image.size):
        return image
    samples = range_by_tags(tags)
    for top, band in bands(image):
        upper, lower = np.asarray(band), np.asarray(part(low, (0, top, band.width, top + band.height)))
        levels = samples.levels(upper[..., :3].astype(np.uint16) << 8 | lower[..., :3])
        image.paste(Pillow.fromarray(np.dstack([levels, upper[..., 3:]])), (0, top))
    return image


def _is_wide(tags: object) -> bool:
    found = dict(tags)  # type: ignore[call-overload]
    bits, kind = found.get(_BITS, (1,)), found.get(_FORMAT, (1,))
    plain = set(bits) == {16} and set(kind if isinstance(kind, tuple) else (kind,)) == {1}
    return plain and found.get(_PHOTOMETRIC) == _RGB and has_own_range(found)
