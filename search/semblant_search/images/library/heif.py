"""HEIC, by pillow-heif: its plugin as it is, not put into Pillow's register, which is the program's own."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, cast

from semblant_search.images.frames import seek

if TYPE_CHECKING:
    from PIL import ImageFile

__all__ = ["opened", "other_frames"]


def opened(data: bytes, fragment: str | None, name: str) -> ImageFile.ImageFile:
    """See the package."""
    import pillow_heif

    plugin: Any = pillow_heif.HeifImageFile
    picture = cast("ImageFile.ImageFile", plugin(io.BytesIO(data), ""))
    seek(picture, fragment, name)
    return picture


def other_frames(data: bytes) -> list[str]:
    """The other pictures of the file that are no thumbnails."""
    count = int(getattr(opened(data, None, "picture"), "n_frames", 1))
    return [f"frame={number}" for number in range(2, count + 1)]
