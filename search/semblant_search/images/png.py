"""PNG chunks: those that matter to a picture, as browsers read them.

Pillow gives a PNG up for a text chunk that is long, or for the bad checksum of a chunk that no picture needs. So it is handed
the file without what is only text, or broken and not critical (PNG specification, third edition, 13.1); and of colour, it does
not tell all.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from .colour import space_of
from .icc import SRGB_PRIMARIES, from_cicp, from_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SIGNATURE", "readable_png", "with_right_sum"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")
_KEPT = (b"tRNS", b"eXIf")
"""Chunks that are not critical, and that Pillow shall see."""
_CLEAR, _PALETTE = {0: 2, 2: 6}, 3
"""Bytes that name the transparent grey or colour, by the kind of colours in the header; and of what has a level an entry."""
_FRAMES = (b"acTL", b"fcTL", b"fdAT")
_TEXTS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0", b"Raw profile type APP1\0")
_MOST_TEXT = 1_000_000
_MOST_PROFILE = 1 << 25
_UNSPECIFIED, _RGB_IN_FULL = 2, b"\0\1"
"""Of cICP: no primaries or no curve; no matrix, and the full range. Browsers pass by the first, and all but the last."""
_INTENTS = (b"\0", b"\1", b"\2", b"\3")
_SRGB_GAMMA = (0.44, 0.47)
"""1/2.2, and how writers round it: what writers of sRGB say, by the specification, of its curve, which is no power."""


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each chunk; the last may end behind the file."""
    place = len(SIGNATURE)
    while place + 8 <= len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        yield data[place + 4 : place + 8], place, end
        place = end


def readable_png(data: bytes) -> tuple[bytes, bytes | None]:
    """What Pillow is handed of a PNG, and the ICC profile of its colours.

    The first is the same picture without the chunks that are none of its pixels, or are broken; the same bytes where there are
    none. The second is by the first that it has, unbroken, of cICP, iCCP, sRGB and gAMA with cHRM; None for sRGB.
    """
    kept: list[tuple[int, int]] = [(0, len(SIGNATURE))]
    colours: dict[bytes, bytes] = {}
    moves = data.find(b"acTL", 0, 4096) >= 0 and _is_animation(data)
    pixels = palette = False
    for name, start, end in _chunks(data):
        is_late = name == b"tRNS" and (pixels or (data[25] == _PALETTE and not palette))  # libpng passes it by
        if not name[0] & 0x20 or (moves if name in _FRAMES else not is_late and _is_wanted(data, name, start, end)):
            if kept[-1][1] == start:
                kept[-1] = (kept[-1][0], end)
            else:
                kept.append((start, end))
            pixels, palette = pixels or name == b"IDAT", palette or name == b"PLTE"
        elif name in _COLOURS and not pixels and name not in colours and _is_sound(data, start, end):
            colours[name] = data[start + 8 : end - 4]
        if name == b"IEND":
            break
    profile = _profile(colours) if colours else None
    if len(kept) == 1:
        return data, profile
    view = memoryview(data)
    return b"".join(view[start:end] for start, end in kept), profile


def with_right_sum(data: bytes) -> bytes | None:
    """The same PNG, its compressed pixels with the checksum that zlib asks for; None where they do not inflate to their end."""
    places = [(start, end) for name, start, end in _chunks(data) if name == b"IDAT"]
    pixels = b"".join(data[start + 8 : end - 4] for start, end in places)
    stream, total, rest = zlib.decompressobj(-zlib.MAX_WBITS), 1, pixels[2:]
    try:
        while not stream.eof:
            part = stream.decompress(rest, _MOST_TEXT)
            if not part and not stream.unconsumed_tail and not stream.eof:
                return None  # cut short
            total, rest = zlib.adler32(part, total), stream.unconsumed_tail
    except zlib.error:
        return None
    if not places or stream.unused_data[:4] == total.to_bytes(4, "big"):
        return None
    content = b"IDAT" + pixels[: len(pixels) - len(stream.unused_data)] + total.to_bytes(4, "big")
    chunk = (len(content) - 4).to_bytes(4, "big") + content + zlib.crc32(content).to_bytes(4, "big")
    return data[: places[0][0]] + chunk + data[places[-1][1] :]


def _is_wanted(data: bytes, name: bytes, start: int, end: int) -> bool:
    if name in (b"iTXt", b"tEXt", b"zTXt"):
        wanted = end - start < _MOST_TEXT and data.startswith(_TEXTS, start + 8) and not _is_long(data, name, start, end)
    elif name == b"tRNS":
        wanted = _says_what_is_clear(data, end - start - 12)
    else:
        wanted = name in _KEPT
    return wanted and _is_sound(data, start, end)


def _says_what_is_clear(data: bytes, length: int) -> bool:
    """Whether transparency of this length is one of the PNG's kind of colours; other ones are passed by, as libpng has it."""
    kind = data[25]
    if kind != _PALETTE:
        return length == _CLEAR.get(kind)
    entries = next(((end - start - 12) // 3 for name, start, end in _chunks(data) if name == b"PLTE"), 0)
    return 0 < length <= entries


def _is_animation(data: bytes) -> bool:
    """Whether its frames are in order and none is broken: else a browser shows the picture that does not move."""
    numbers = []
    for name, start, end in _chunks(data):
        if name in _FRAMES:
            size = {b"acTL": 8, b"fcTL": 26}.get(name, max(end - start - 12, 4))
            if end - start - 12 != size or not _is_sound(data, start, end):
                return False
            if name != b"acTL":
                numbers.append(int.from_bytes(data[start + 8 : start + 12], "big"))
    return len(numbers) > 0 and numbers == list(range(len(numbers)))


def _is_sound(data: bytes, start: int, end: int) -> bool:
    return end <= len(data) and zlib.crc32(memoryview(data)[start + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")


def _is_long(data: bytes, name: bytes, start: int, end: int) -> bool:
    """Whether a text is compressed and longer than Pillow bears."""
    if name == b"tEXt":
        return False
    content = data[start + 8 : end - 4]
    keyword, _, rest = content.partition(b"\0")
    if name == b"iTXt":
        if rest[:1] != b"\1":
            return False
        rest = rest[2:].split(b"\0", 2)[-1]
    else:
        rest = rest[1:]
    return len(keyword) > 79 or _inflated(rest, _MOST_TEXT) is None


def _inflated(content: bytes, limit: int) -> bytes | None:
    """None where it is broken or longer than the limit."""
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(content, limit)
    except zlib.error:
        return None
    return None if stream.unconsumed_tail else found


def _profile(found: dict[bytes, bytes]) -> bytes | None:
    cicp = found.get(b"cICP", b"")
    if len(cicp) == 4 and _UNSPECIFIED not in cicp[:2] and cicp[2:] == _RGB_IN_FULL:
        return from_cicp(cicp[0], cicp[1], of_png=True)
    _, _, profile = found.get(b"iCCP", b"").partition(b"\0")
    if profile[:1] == b"\0" and (icc := _inflated(profile[1:], _MOST_PROFILE)) and space_of(icc) is not None:
        return icc
    if found.get(b"sRGB") in _INTENTS:
        return None
    return _from_chromaticities(found.get(b"gAMA", b""), found.get(b"cHRM", b""))


def _from_chromaticities(gama: bytes, chrm: bytes) -> bytes | None:
    value = int.from_bytes(gama, "big") / 100_000 if len(gama) == 4 else 0.0
    primaries = SRGB_PRIMARIES
    if len(chrm) == 32:
        white_x, white_y, *others = (number / 100_000 for number in struct.unpack(">8I", chrm))
        primaries = (white_x, white_y, *others)
    of_srgb = all(abs(one - other) < 0.002 for one, other in zip(primaries, SRGB_PRIMARIES, strict=True))
    if value <= 0 or (of_srgb and _SRGB_GAMMA[0] <= value <= _SRGB_GAMMA[1]):
        return None  # also of chromaticities alone: browsers heed none without a curve
    return from_numbers(primaries, 1 / value) if 0.1 <= value <= 10 else None
