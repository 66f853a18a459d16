"""Boxes of files that have them (ISO/IEC 14496-12): of JP2 what stands in its header beside what Pillow tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["boxes", "jp2_boxes", "jp2_exif"]

_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
_EXIF = b"JpgTiffExif->JP2"


def jp2_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each box of the header of a JP2 file; nothing of a bare codestream, which has none."""
    if data.startswith(_SIGNATURE):
        for name, start, end in boxes(data, 0, len(data)):
            if name == b"jp2h":
                yield from ((inner, data[first:last]) for inner, first, last in boxes(data, start, end))
                return


def jp2_exif(data: bytes) -> bytes | None:
    """The EXIF block of a JP2 file, in a box of its own (Adobe's `JpgTiffExif->JP2`); None without one."""
    if data.startswith(_SIGNATURE):
        for name, start, end in boxes(data, 0, len(data)):
            if name == b"uuid" and data.startswith(_EXIF, start):
                return data[start + len(_EXIF) : end].removeprefix(b"Exif\0\0")
    return None


def boxes(data: bytes, place: int, limit: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the content of each box between two places."""
    while place + 8 <= limit:
        size, name, head = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8], 8
        if size == 1:  # its size takes 64 bits
            size, head = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        elif size == 0:  # to the end
            size = limit - place
        if size < head or place + size > limit:
            return
        yield name, place + head, place + size
        place += size
