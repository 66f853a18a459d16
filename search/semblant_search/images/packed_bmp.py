"""BMP of runs of pixels, of which Pillow drops empty rows and refuses those that end early, and of two bits a pixel."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .library.base import LibraryPicture

__all__ = ["PackedBmp", "is_packed"]

_FILE_HEAD, _OLDEST_HEAD = 14, 40
_PLAIN, _RUNS_OF_8, _RUNS_OF_4 = 0, 1, 2
"""Compressions (`biCompression`)."""
_KINDS = ((2, _PLAIN), (8, _RUNS_OF_8), (4, _RUNS_OF_4))
_END_OF_ROW, _END, _MOVE = 0, 1, 2


def is_packed(data: bytes) -> bool:
    """Whether a file is a BMP of runs, or of two bits a pixel."""
    head = int.from_bytes(data[14:18], "little")
    kind = int.from_bytes(data[28:30], "little"), int.from_bytes(data[30:34], "little")
    return data.startswith(b"BM") and _OLDEST_HEAD <= head <= 124 and kind in _KINDS


class PackedBmp(LibraryPicture):
    """Pixels that no run tells of are black, as Chromium shows them, whatever the palette begins with."""

    format = "BMP"
    format_description = "Windows Bitmap"

    def _open(self) -> None:
        width, height = (int.from_bytes(self._data[start : start + 4], "little", signed=True) for start in (18, 22))
        self._is_top_down = height < 0
        self._size, self._mode = (width, abs(height)), "RGB"
        self._bits = int.from_bytes(self._data[28:30], "little")
        self._start = int.from_bytes(self._data[10:14], "little")

    def decoded(self) -> Image.Image:
        """All pixels. Raises `OSError` where some are missing."""
        levels, known = self._plain() if self._bits == 2 else self._runs()
        colours = self._palette()[levels if self._is_top_down and known is None else levels[::-1]]
        if known is not None:
            colours[~known[::-1]] = 0
        is_grey = (colours[..., 0] == colours[..., 1]).all() and (colours[..., 0] == colours[..., 2]).all()
        return Image.fromarray(np.ascontiguousarray(colours[..., 0] if is_grey else colours))

    def _palette(self) -> np.ndarray:
        """uint8 `[256, 3]`; what the file does not name is black."""
        place = _FILE_HEAD + int.from_bytes(self._data[14:18], "little")
        count = min(int.from_bytes(self._data[46:50], "little") or 1 << self._bits, 1 << self._bits)
        entries = self._data[place : min(place + 4 * count, self._start)]
        found = np.zeros((256, 4), np.uint8)
        found[: len(entries) // 4] = np.frombuffer(entries, np.uint8, len(entries) // 4 * 4).reshape(-1, 4)
        return found[:, 2::-1]

    def _plain(self) -> tuple[np.ndarray, None]:
        width, height = self.size
        stride = (width + 15) // 16 * 4
        rows = self._data[self._start : self._start + stride * height]
        if len(rows) < stride * (height - 1) + (width + 3) // 4:
            raise OSError("image file is truncated")
        packed = np.frombuffer(rows.ljust(stride * height, b"\0"), np.uint8).reshape(height, stride)
        levels = np.stack([packed >> shift & 3 for shift in (6, 4, 2, 0)], axis=2).reshape(height, -1)
        return levels[:, :width], None

    def _runs(self) -> tuple[np.ndarray, np.ndarray]:
        """Levels from the lowest row on, and which of them are told."""
        data, place, (width, height) = self._data, self._start, self.size
        levels, known = np.zeros((height, width), np.uint8), np.zeros((height, width), bool)
        each = 8 // self._bits
        column = row = 0
        while row < height:
            if place + 2 > len(data):
                if known.all():
                    break
                raise OSError("image file is truncated")
            count, value = data[place : place + 2]
            place += 2
            if count == 0 and value == _END:
                break
            if count == 0 and value == _END_OF_ROW:
                column, row = 0, row + 1
                continue
            if count == 0 and value == _MOVE:
                right, up = data[place : place + 2].ljust(2, b"\0")
                column, row, place = column + right, row + up, place + 2
                continue
            length = 0 if count else (value + each - 1) // each
            packed = np.frombuffer(data[place : place + length] or bytes((value,)), np.uint8)
            pixels = packed if each == 1 else np.stack([packed >> 4, packed & 15], axis=1).ravel()
            pixels = np.resize(pixels, count) if count else pixels[:value]
            place += length + length % 2
            told = max(0, min(len(pixels), width - column))
            levels[row, column : column + told] = pixels[:told]
            known[row, column : column + told] = True
            column += count or value
        return levels, known
