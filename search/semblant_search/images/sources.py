"""What a picture may be given as, and the bytes that it is read from."""

from __future__ import annotations

import io
import os
from typing import IO, TYPE_CHECKING, Any, cast

from semblant_search.errors import ImageError
from semblant_search.shown import shown, shown_error, shown_name

from .files import most_bytes, read_file

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    ImageSource = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image | np.ndarray

__all__ = ["ImageSource", "buffered", "bytes_of", "describe", "is_single"]

_PIECE = 1 << 20


def bytes_of(source: str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes], max_pixels: int) -> bytes:
    """The bytes of a picture file that is given by its path, by its bytes or open.

    An open file is read from its beginning, wherever it stands, and left where it stood; one without a beginning to go back to,
    such as a pipe, is read on.

    Raises:
        ImageError: it cannot be read, has more bytes than so many pixels can have, or is none of these.
    """
    if isinstance(source, bytes):
        return source
    if isinstance(source, (bytearray, memoryview)):
        try:
            return bytes(source)
        except ValueError as error:  # released
            raise ImageError(f"{type(source).__name__}: cannot be read: {error}", reason="unreadable") from error
    if isinstance(source, (str, os.PathLike)):
        return read_file(source, limit=most_bytes(max_pixels))[0]
    if _is_open_file(source):
        return _read_open_file(source, most_bytes(max_pixels))
    raise ImageError(
        f"{type(source).__name__}: expected a picture: a path, the bytes of a file, an open binary file, a Pillow image, "
        "or an array",
        reason="unsupported",
    )


def buffered(source: ImageSource, max_pixels: int) -> ImageSource:
    """The same; of an open file its bytes, so that it can be looked at more than once. Errors of `bytes_of`."""
    return bytes_of(cast("IO[bytes]", source), max_pixels) if _is_open_file(source) else source


def describe(source: object) -> str:
    """What error messages call it."""
    if isinstance(source, (bytes, bytearray)):
        return f"picture of {len(source)} bytes"
    if isinstance(source, memoryview):
        return "picture in a memoryview"
    if isinstance(source, (str, os.PathLike)):
        return shown_name(source)
    if _is_open_file(source):
        name = getattr(source, "name", None)
        return f"open file {shown_name(name)}" if isinstance(name, str) else f"open {type(source).__name__}"
    return "picture"


def is_single(source: object) -> bool:
    """Whether it is one picture, or cannot be a list of them: open files and bytes can be gone through, too."""
    if isinstance(source, (str, bytes, bytearray, memoryview)) or _is_open_file(source):
        return True
    try:
        iter(cast("Any", source))
    except TypeError:  # also an array without dimensions, which only looks as if it could be gone through
        return True
    return False


def _is_open_file(source: Any) -> bool:
    return callable(getattr(source, "read", None))


def _read_open_file(file: IO[bytes], limit: int) -> bytes:
    name = describe(file)
    if isinstance(file, io.TextIOBase):
        raise _is_text(name)
    try:
        start = file.tell() if file.seekable() else None
    except Exception:  # it does not know, or is closed: which `read` will say
        start = None
    pieces: list[bytes] = []
    size = 0
    try:
        if start is not None:
            file.seek(0)
        while (piece := file.read(_PIECE)) != b"":
            if isinstance(piece, str):
                raise _is_text(name)
            if not isinstance(piece, (bytes, bytearray, memoryview)):
                raise ImageError(f"{name}: cannot be read: its read() returns {shown(piece)}, not bytes", reason="unreadable")
            pieces.append(bytes(piece))
            size += len(pieces[-1])
            if size > limit:
                raise ImageError(f"{name}: has more bytes than the limit of {limit:,}", reason="too-large")
        if start is not None:
            file.seek(start)
    except UnicodeDecodeError as error:
        raise _is_text(name) from error
    except ImageError:
        raise
    except Exception as error:  # it is closed, or a stranger's own kind of file, which may raise anything
        raise ImageError(f"{name}: cannot be read: {shown_error(error)}", reason="unreadable") from error
    return b"".join(pieces)


def _is_text(name: str) -> ImageError:
    return ImageError(f"{name}: is open for text; open it for bytes, with mode 'rb'", reason="unsupported")
