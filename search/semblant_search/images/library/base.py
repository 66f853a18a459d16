"""A picture that a library makes, as a plugin of Pillow has it: size and mode first, pixels by `load`."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image, ImageFile

__all__ = ["LibraryPicture", "scale_within"]


class LibraryPicture(ImageFile.ImageFile):
    """Subclasses set `_size` and `_mode` in `_open`, and make the pixels in `decoded`.

    Args:
        data: the file.
        fragment: which of its pictures; None is the first.
    """

    def __init__(self, data: bytes, fragment: str | None = None) -> None:
        self._data = data
        self._fragment = fragment
        self._is_loaded = False
        super().__init__(io.BytesIO(data), "")

    @property
    def number(self) -> int:
        """Of the picture in the file, from 0."""
        return 0 if self._fragment is None else int(self._fragment.partition("=")[2]) - 1

    def decoded(self) -> Image.Image:
        """All pixels."""
        raise NotImplementedError

    def load(self) -> Any:
        """Decode it, once."""
        if not self._is_loaded:
            made = self.decoded()
            self.im, self._mode, self._size = made.im, made.mode, made.size
            self._is_loaded, self._data, self.fp = True, b"", None
        return Image.Image.load(self)


def scale_within(width: float, height: float, scale: float, longest: int) -> float:
    """The scale, or less of it, so that the longer side is at most so many pixels, and the shorter one at least one."""
    return max(min(scale, longest / max(width, height)), 1e-6)
