"""What pictures within a file are called: frames of an animation, pages of a document, moments of a film.

The first picture of a file is the file's own. Another one is named by a fragment of the file's URI, `…/scan.tif#frame=3`,
`…/book.pdf#page=12` (RFC 8118) and `…/film.mp4#t=40` (W3C Media Fragments, in seconds); frames and pages count from 1. Its
bytes are a line with that name and then those of the file, so that wherever bytes stand for a picture they tell which one, and
the SHA-256 of two frames of a file differ.
"""

from __future__ import annotations

import re

__all__ = ["frame_bytes", "split_bytes", "split_uri"]

_FRAGMENT = re.compile(r"(?:frame|page)=[1-9][0-9]{0,8}|t=[0-9]{1,6}(?:\.[0-9]{1,3})?", re.ASCII)
_MARK = b"semblant:frame "
_LONGEST_MARK = 64


def split_uri(uri: str) -> tuple[str, str | None]:
    """URI of the file, and the fragment that names one of its pictures; None for the first one."""
    file, mark, fragment = uri.rpartition("#")
    return (file, fragment) if mark and _FRAGMENT.fullmatch(fragment) else (uri, None)


def frame_bytes(data: bytes, fragment: str | None) -> bytes:
    """What stands for one picture of a file: of the first one the file's own bytes."""
    return data if fragment is None else b"".join((_MARK, fragment.encode(), b"\n", data))


def split_bytes(data: bytes) -> tuple[bytes, str | None]:
    """The inverse of `frame_bytes`."""
    if not data.startswith(_MARK):
        return data, None
    end = data.find(b"\n", len(_MARK), _LONGEST_MARK)
    fragment = data[len(_MARK) : max(end, 0)].decode("ascii", "replace")
    return (data[end + 1 :], fragment) if _FRAGMENT.fullmatch(fragment) else (data, None)
