"""BMP with masks of bits that Pillow does not know: `0xF00, 0xF0, 0xF`, ten bits a colour, red in the lowest byte."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .library.base import LibraryPicture
from .parts import part_rows

__all__ = ["MaskedBmp", "has_masks"]

_FILE_HEAD, _OLDEST_HEAD = 14, 40
_BY_MASKS = (3, 6)
"""Compressions: none, with masks for colours, and for transparency as well."""


def has_masks(data: bytes) -> bool:
    """Whether a file is a BMP of 16 or 32 bits a pixel that says by masks which bits are which colour."""
    bits, compression = int.from_bytes(data[28:30], "little"), int.from_bytes(data[30:34], "little")
    head = int.from_bytes(data[14:18], "little")
    return data.startswith(b"BM") and head >= _OLDEST_HEAD and bits in (16, 32) and compression in _BY_MASKS and len(data) > 70


class MaskedBmp(LibraryPicture):
    """Each colour by the bits of its mask, whose largest number is full. Raises `SyntaxError` on masks that cannot be."""

    format = "BMP"
    format_description = "Windows Bitmap"

    def _open(self) -> None:
        data = self._data
        width, height = (int.from_bytes(data[start : start + 4], "little", signed=True) for start in (18, 22))
        self._is_top_down = height < 0
        self._size = width, abs(height)
        self._wide = int.from_bytes(data[28:30], "little") // 8
        count = 4 if int.from_bytes(data[14:18], "little") >= 56 or int.from_bytes(data[30:34], "little") == 6 else 3
        self._masks = [int.from_bytes(data[54 + 4 * n : 58 + 4 * n], "little") for n in range(count)]
        if not any(self._masks[:3]) or not all(map(_is_one_run, self._masks)):
            raise SyntaxError("masks of bits that are no run")
        self._mode = "RGBA" if count == 4 and self._masks[3] else "RGB"

    def decoded(self) -> Image.Image:
        """All pixels. Raises `OSError` where some are missing."""
        width, height = self.size
        start = int.from_bytes(self._data[10:14], "little")
        stride = (width * self._wide + 3) // 4 * 4
        if len(self._data) < start + stride * (height - 1) + width * self._wide:
            raise OSError("image file is truncated")
        made = Image.new(self._mode, self._size)
        for top, bottom in part_rows(width, height):
            rows = [self._row(row, start, stride) for row in range(top, bottom)]
            numbers = np.stack(rows)  # [rows, width]
            levels = np.dstack([_levels(numbers, mask) for mask in self._masks[: len(self._mode)]])
            made.paste(Image.fromarray(levels), (0, top))
        if self._mode == "RGBA" and made.getchannel("A").getextrema() == (0, 0):  # of those who leave the bits as they are
            return made.convert("RGB")
        return made

    def _row(self, row: int, start: int, stride: int) -> np.ndarray:
        (width, height), wide = self.size, self._wide
        place = start + stride * (row if self._is_top_down else height - 1 - row)
        return np.frombuffer(self._data, f"<u{wide}", width, place)


def _is_one_run(mask: int) -> bool:
    lowest = mask & -mask
    return mask == 0 or (mask // lowest + 1) & (mask // lowest) == 0


def _levels(numbers: np.ndarray, mask: int) -> np.ndarray:
    if mask == 0:
        return np.zeros(numbers.shape, np.uint8)
    lowest = mask & -mask
    found, full = (numbers & numbers.dtype.type(mask & (2 ** (8 * numbers.itemsize) - 1))) // lowest, mask // lowest
    levels: np.ndarray = np.rint(found * (255 / full)).astype(np.uint8)
    return levels
