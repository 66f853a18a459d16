"""JPEG files as viewers open them."""

from __future__ import annotations

import io

from PIL.JpegImagePlugin import JpegImageFile

__all__ = ["FirstJpeg", "early_end", "has_second_view"]

_START, _END, _SCAN = b"\xff\xd8\xff", b"\xff\xd9", 0xDA
_LEAST = 16
"""Bytes behind an end that may be pixels."""
_READ_AHEAD = 1 << 18
"""Bytes that a decoder is given beyond those that it used, at most: Pillow reads 64 kB at a time."""


class FirstJpeg(JpegImageFile):
    """The first picture of a JPEG file, also of one with more behind it (MPO, Ultra HDR), which viewers do not show."""

    def _read_dpi_from_exif(self) -> None:
        """Not asked for; Pillow would read the EXIF block for it, and warn of one that breaks off."""


def early_end(data: bytes, read: int = 0) -> int | None:
    """Where the first end of a JPEG stands, if more of it seems to be behind: bytes that end as a JPEG, and begin none.

    None for whole ones, also with another picture, a film or a program's notes behind them.

    Args:
        data: of the file.
        read: bytes of it that a decoder was given until it was done: it stops at the first end, so that none is long before.
    """
    place = 2
    while data[place : place + 1] == b"\xff" and data[place + 1 : place + 2] != bytes((_SCAN,)):
        fill = data[place + 1 : place + 2] == b"\xff"
        place += 1 if fill else 2 + max(2, int.from_bytes(data[place + 2 : place + 4], "big"))
    end = data.find(_END, max(place, read - _READ_AHEAD))
    last = len(data.rstrip(b"\0")) - 2 if data.endswith(b"\0") else len(data) - 2
    if end < 0 or last - end < _LEAST or not data.startswith(_END, last) or data.find(_START, end) >= 0:
        return None
    return end


def has_second_view(picture: JpegImageFile, data: bytes) -> bool:
    """Whether another picture of the same size lies behind it; cameras put a small preview or a gain map there."""
    if "mp" not in picture.info:
        return False
    from PIL.MpoImagePlugin import MpoImageFile

    with MpoImageFile(io.BytesIO(data)) as both:
        if both.n_frames < 2:
            return False
        both.seek(1)
        return both.size == picture.size
