"""Reading picture files without being held up or misled by what else lies in a folder."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from semblant_search.errors import ImageError
from semblant_search.frame_names import frame_bytes
from semblant_search.shown import shown_name

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["most_bytes", "picture_source", "read_bytes", "read_file"]


def most_bytes(max_pixels: int) -> int:
    """Bytes of a file of so many pixels at most: 16 bits for each of four channels, not compressed; never less than 64 MB."""
    return max(8 * max_pixels, 64_000_000)


def picture_source(place: tuple[Path, str | None]) -> Path | bytes:
    """What to open for a picture at a place (`collection.picture_place`). Errors of `read_bytes`."""
    path, fragment = place
    return path if fragment is None else frame_bytes(read_bytes(path), fragment)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a picture file. `ImageError`: missing, empty, unreadable, or no regular file (a FIFO would block)."""
    return read_file(path)[0]


def read_file(path: str | os.PathLike[str], *, limit: int | None = None) -> tuple[bytes, os.stat_result]:
    """The bytes of a picture file and the facts of the very file that they came from.

    Same errors as `read_bytes`, and `too-large` for a file of more than `limit` bytes: such a one fills the memory.
    """
    name = shown_name(path)
    try:
        # Without O_NONBLOCK, opening a FIFO waits for a writer that may never come.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise ImageError(f"{name}: is not a regular file", reason="unreadable")
            if limit is not None and facts.st_size > limit:
                raise ImageError(f"{name}: has {facts.st_size:,} bytes, more than the limit of {limit:,}", reason="too-large")
            data = file.read()
    except FileNotFoundError as error:
        raise ImageError(f"{name}: no such file", reason="missing") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        text = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise ImageError(f"{name}: cannot be read: {text}", reason="unreadable") from error
    if not data:
        raise ImageError(f"{name}: is empty (0 bytes)", reason="empty")
    return data, facts
