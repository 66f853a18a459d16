"""Cameras' raw files, by rawpy (LibRaw): developed the same way whatever they show, by the camera's white balance."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from PIL import Image

from semblant_search.errors import ImageError
from semblant_search.images.frames import no_such

from .base import LibraryPicture

if TYPE_CHECKING:
    from PIL import ImageFile

__all__ = ["opened", "other_frames"]

_SRGB_CURVE = (2.4, 12.92)
_ON_ITS_SIDE = (5, 6)
"""LibRaw's numbers of pictures that are turned by 90° and 270°."""


class RawPicture(LibraryPicture):
    """The picture itself, not its preview; upright as it comes."""

    format = "RAW"
    format_description = "Camera raw file"

    def _open(self) -> None:
        with _read(self._data) as raw:
            sizes = raw.sizes
        size = sizes.width, sizes.height
        self._size = size[::-1] if sizes.flip in _ON_ITS_SIDE else size
        self._mode = "RGB"

    def decoded(self) -> Image.Image:
        """Never brighter for what it shows: a value's scale comes from the file."""
        import rawpy

        with _read(self._data) as raw:
            try:
                pixels = raw.postprocess(
                    use_camera_wb=True,
                    no_auto_bright=True,
                    output_color=rawpy.ColorSpace.sRGB,
                    gamma=_SRGB_CURVE,
                    output_bps=8,
                )
            except rawpy.LibRawError as error:
                raise _unread(error) from error
        return Image.fromarray(pixels)


def opened(data: bytes, fragment: str | None, name: str) -> ImageFile.ImageFile:
    """See the package."""
    if fragment is not None:
        raise no_such(name, fragment)
    return RawPicture(data)


def other_frames(data: bytes) -> list[str]:  # noqa: ARG001
    """None."""
    return []


def _read(data: bytes) -> Any:
    import rawpy

    try:
        return rawpy.imread(io.BytesIO(data))
    except rawpy.LibRawError as error:
        raise _unread(error) from error


def _unread(error: Exception) -> ImageError:
    text = error.args[0] if error.args else error
    text = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return ImageError(f"is a camera's raw file that LibRaw does not read: {text}", reason="not-an-image")
