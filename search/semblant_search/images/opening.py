"""From a file, bytes, Pillow image or array to a decoded picture as it is meant to be seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from semblant_search.errors import ImageError

from .headers import icon_sizes, open_header
from .modes import simple_mode
from .sources import bytes_of, describe

if TYPE_CHECKING:
    from PIL import Image

    from .sources import ImageSource

__all__ = ["BYTES_PER_PIXEL", "DEFAULT_MAX_PIXELS", "OpenedPicture", "open_image", "open_picture"]

DEFAULT_MAX_PIXELS = 100_000_000
"""Larger pictures are refused before they are decoded.

Decoding one takes less than `BYTES_PER_PIXEL` bytes of memory for each of its pixels, beside the file: 3.2 GB at this limit.
"""
BYTES_PER_PIXEL = 32
"""What is measured: 25 for JPEG 2000, 18 for WebP, 13 for AVIF and progressive JPEG of CMYK, 3 to 9 for other files."""

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
_TRUNCATED = ("truncated", "unexpected end", "not enough image data", "broken data stream", "incomplete")


@dataclass(frozen=True)
class OpenedPicture:
    """A decoded picture with the facts of its file.

    Attributes:
        image: first frame, upright, mode L, RGB, LA or RGBA; smaller than the file where it was decoded at a reduced scale.
        width, height: pixels of the file as it is meant to be seen.
        format: Pillow's name (`PNG`, `JPEG`), or None for an array.
    """

    image: Image.Image
    width: int
    height: int
    format: str | None


def open_image(
    source: ImageSource,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    at_least: tuple[int, int] | None = None,
    luma: bool = False,
) -> Image.Image:
    """Decode a picture as it is meant to be seen: first frame, EXIF orientation applied, mode L, RGB, LA or RGBA.

    Args:
        source: a path, the bytes of a file (`bytes`, `bytearray`, `memoryview`), an open binary file or `BytesIO`, a Pillow
            image, or an array: uint8 `[h, w]` or `[h, w, 1 | 3 | 4]`. An open file is read from its beginning, and left where
            it stood.
        max_pixels: refuse larger pictures before decoding them, and files of more bytes than so many pixels can have. Decoding
            takes less memory than 32 bytes for each pixel, beside the file.
        at_least: `(height, width)` in pixels: a JPEG may be decoded at a reduced scale (its DCT allows 1/2, 1/4, 1/8) that is
            still at least twice as large, so that the resize which follows does the averaging.
        luma: the caller wants no more than greys: of a JPEG that stores luma and colours apart, only its luma is decoded.

    Raises:
        ImageError: the picture cannot be used; `reason` says why in one word.
    """
    return open_picture(source, max_pixels=max_pixels, at_least=at_least, luma=luma).image


def open_picture(
    source: ImageSource,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    at_least: tuple[int, int] | None = None,
    luma: bool = False,
) -> OpenedPicture:
    """`open_image` that also tells the true size and the format of the file. Same arguments, same errors."""
    from PIL import Image

    name = describe(source)
    if isinstance(source, np.ndarray):
        array_image = _from_array(source, max_pixels)
        return OpenedPicture(array_image, *array_image.size, None)
    data = None if isinstance(source, Image.Image) else bytes_of(source, max_pixels)
    try:
        for wide, high in icon_sizes(data or b""):
            _check_size(max(wide, 1), max(high, 1), max_pixels, name)
        image = open_header(data, name) if data is not None else cast("Image.Image", source)
        width, height = image.size
        _check_size(width, height, max_pixels, name)
        kind = image.format
        if (at_least is not None or luma) and kind == "JPEG" and data is not None:
            high, wide = at_least or (height, width)
            if _orientation(image) >= 5:  # of the pixels as they lie in the file
                high, wide = wide, high
            image.draft("L" if luma and image.mode == "RGB" else None, (2 * wide, 2 * high))
        image.load()
        if image.width * image.height > width * height:  # some learn their size while decoding
            width, height = image.size
            _check_size(width, height, max_pixels, name)
        orientation = _orientation(image)
        if orientation in _TURNS:
            image = image.transpose(Image.Transpose[_TURNS[orientation]])
            width, height = (height, width) if orientation >= 5 else (width, height)
        return OpenedPicture(simple_mode(image), width, height, kind)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:  # a few plugins ask for the program's limit by themselves
        text = f"{name}: Pillow refuses its size by PIL.Image.MAX_IMAGE_PIXELS, which this program may change: {error}"
        raise ImageError(text, reason="too-large") from error
    except Warning as error:
        text = f"{name}: Pillow warns of it, and this program makes errors of warnings: {error}"
        raise ImageError(text, reason="not-an-image") from error
    except MemoryError as error:
        raise ImageError(f"{name}: not enough memory to decode it", reason="too-large") from error
    except Exception as error:  # what Pillow's plugins raise on malformed files has no common base
        text = str(error) or type(error).__name__
        reason = "truncated" if any(word in text.lower() for word in _TRUNCATED) else "not-an-image"
        raise ImageError(f"{name}: cannot be decoded: {text}", reason=reason) from error


def _check_size(width: int, height: int, max_pixels: int, name: str) -> None:
    if width < 1 or height < 1:
        raise ImageError(f"{name}: {width}×{height} has no pixels", reason="empty")
    if width * height > max_pixels:
        raise ImageError(
            f"{name}: {width}×{height} is {width * height / 1e6:.0f} megapixels, over the limit of "
            f"{max_pixels / 1e6:g}; raise max_pixels (SearchClient(max_pixels=…), semblant index --max-pixels), "
            "or make it smaller",
            reason="too-large",
        )


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1–8; 1 where the EXIF block is damaged, which is no reason to lose the picture.

    A program that makes errors of warnings hears of it: else the picture would lie on its side for that program only.
    """
    try:
        return int(image.getexif().get(0x0112, 1))
    except Warning:
        raise
    except Exception:  # as above: no common base
        return 1


def _from_array(array: np.ndarray, max_pixels: int) -> Image.Image:
    from PIL import Image

    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(
            f"array of {array.dtype} {list(array.shape)}: expected uint8 [h, w], [h, w, 1], [h, w, 3] or [h, w, 4]",
            reason="unsupported",
        )
    if array.size == 0:
        raise ImageError(f"array of shape {list(array.shape)}: has no pixels", reason="empty")
    if array.shape[0] * array.shape[1] > max_pixels:
        raise ImageError(f"array of shape {list(array.shape)}: over the limit of {max_pixels} pixels", reason="too-large")
    return Image.fromarray(array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array)
