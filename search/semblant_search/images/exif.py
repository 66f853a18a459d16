"""The two facts of an EXIF block that decide on pixels, read as far as the block goes.

Pillow warns of a block that breaks off, on the program's terminal, even where what is asked for stands before the break.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

__all__ = ["is_adobe_rgb", "orientation_in", "say_upright"]

_ORIENTATION, _EXIF_IFD, _COLOUR_SPACE, _INTEROP_IFD, _INTEROP_INDEX = 0x0112, 0x8769, 0xA001, 0xA005, 0x0001
_SHORT, _LONG = 3, 4
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
_XMP, _RAW_PROFILE = ("xmp", "XML:com.adobe.xmp"), "Raw profile type exif"


def orientation_in(info: Mapping[Any, object]) -> int | None:
    """1–8 by the EXIF block or XMP of a picture's `info`; None where neither tells it."""
    for tag, value in _entries(_block(info), None):
        if tag == _ORIENTATION and isinstance(value, int):
            return value if 1 <= value <= 8 else 1
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp")
    text = xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp
    found = _XMP_ORIENTATION.search(text) if isinstance(text, bytes) else None
    return int(found[1]) if found else None


def say_upright(info: MutableMapping[Any, Any]) -> None:
    """Let EXIF block and XMP in the `info` of a picture that was turned ask for no turn: who reads them would turn it again."""
    written = info.pop(_RAW_PROFILE, None)
    if isinstance(written, str) and "exif" not in info:
        with contextlib.suppress(ValueError):  # a name, and a length, and hexadecimal digits
            info["exif"] = bytes.fromhex("".join(written.split("\n")[3:]))
    block = info.get("exif")
    if isinstance(block, bytes):
        head = block[: len(block) - len(_block(info))]
        info["exif"] = head + _with_one(block[len(head) :])
    for key in _XMP:
        text = info.get(key)
        if isinstance(text, (bytes, str)):
            found = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
            found = _XMP_ORIENTATION.sub(lambda match: match[0][:-1] + b"1", found)
            info[key] = found.decode("utf-8", "surrogateescape") if isinstance(text, str) else found


def is_adobe_rgb(info: Mapping[Any, object]) -> bool:
    """Whether the EXIF block says Adobe RGB (Exif 3.0, 4.6.6.4 and DCF 2.0): not sRGB, and `InteropIndex` R03."""
    if "exif" not in info:
        return False
    block = _block(info)
    details = dict(_entries(block, _EXIF_IFD))
    if details.get(_COLOUR_SPACE) == 2:  # which is in no standard, and in many cameras
        return True
    place = details.get(_INTEROP_IFD)
    if details.get(_COLOUR_SPACE) != 0xFFFF or not isinstance(place, int):
        return False
    return dict(_entries(block, place, at=True)).get(_INTEROP_INDEX) == b"R03\0"


def _block(info: Mapping[Any, object]) -> bytes:
    block = info.get("exif")
    if not isinstance(block, bytes):
        return b""
    return block[6:] if block.startswith(b"Exif\0\0") else block


def _with_one(block: bytes) -> bytes:
    for tag, value, place in _placed_entries(block, None):
        if tag == _ORIENTATION and isinstance(value, int):
            little = block.startswith(b"II")
            kind = _SHORT.to_bytes(2, "little" if little else "big")
            one = b"\1\0\0\0" if little else b"\0\1\0\0"
            block = block[:place] + kind + block[place + 2 : place + 6] + one + block[place + 10 :]
    return block


def _entries(block: bytes, directory: int | None, *, at: bool = False) -> Iterator[tuple[int, int | bytes]]:
    for tag, value, _ in _placed_entries(block, directory, at=at):
        yield tag, value


def _placed_entries(block: bytes, directory: int | None, *, at: bool = False) -> Iterator[tuple[int, int | bytes, int]]:
    """Tags of a directory with their values, whole numbers or the four bytes of others, and where their types stand.

    The first directory for None; else the one that the first names by this tag, or that starts `at` this place.
    """
    order = {b"II": "little", b"MM": "big"}.get(block[:2])
    if order is None:
        return

    def number(start: int, size: int) -> int:
        return int.from_bytes(block[start : start + size], "little" if order == "little" else "big")

    place = directory if at and directory is not None else number(4, 4)
    if directory is not None and not at:
        found = dict(_entries(block, None)).get(directory)
        if not isinstance(found, int):
            return
        place = found
    for entry in range(place + 2, place + 2 + 12 * number(place, 2), 12):
        if entry + 12 > len(block):
            return
        kind, count = number(entry + 2, 2), number(entry + 4, 4)
        if count == 1 and kind in (_SHORT, _LONG):
            yield number(entry, 2), number(entry + 8, 2 if kind == _SHORT else 4), entry + 2
        else:
            yield number(entry, 2), block[entry + 8 : entry + 12], entry + 2
