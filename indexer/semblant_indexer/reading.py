"""The bytes of one picture, wherever it lies: a file, a member of a tar, or anything that fsspec opens."""

from __future__ import annotations

from typing import NamedTuple

from semblant_search.errors import ImageError
from semblant_search.images import read_file

__all__ = ["Content", "name_of", "read_content", "tar_member"]

_TAR = "tar:"


class Content(NamedTuple):
    """Bytes, and the time of the file's last change where reading told it, else -1."""

    data: bytes
    mtime_ns: int


def tar_member(path: str, offset: int, size: int) -> str:
    """The place of a member of an uncompressed tar: `size` bytes at `offset` of the file or URL `path`."""
    return f"{_TAR}{offset}:{size}:{path}"


def name_of(place: str) -> str:
    """A place as a user knows it."""
    return place.split(":", 3)[3] if place.startswith(_TAR) else place


def read_content(place: str) -> Content:
    """Read a picture from a local path, a URL or a place that `tar_member` made. Raises `ImageError`."""
    if place.startswith(_TAR):
        _, offset, size, path = place.split(":", 3)
        return Content(_read_part(path, int(offset), int(size)), -1)
    if "://" in place:
        return Content(_read_part(place, 0, -1), -1)
    data, facts = read_file(place)
    return Content(data, facts.st_mtime_ns)


def _read_part(path: str, offset: int, size: int) -> bytes:
    try:
        if "://" in path:
            import fsspec

            opened = fsspec.open(path, "rb").open()
        else:
            opened = open(path, "rb")  # noqa: PTH123, SIM115 - one name for both kinds of files
        with opened as file:
            if offset:
                file.seek(offset)
            data: bytes = file.read(size) if size >= 0 else file.read()
    except FileNotFoundError as error:
        raise ImageError(f"{path!r}: no such file", reason="missing") from error
    except ImportError as error:
        raise ImageError(f"{path!r}: needs another package: {error}", reason="unsupported") from error
    except Exception as error:  # each of fsspec's file systems has errors of its own
        raise ImageError(f"{path!r}: cannot be read: {error or type(error).__name__}", reason="unreadable") from error
    if not data:
        raise ImageError(f"{path!r}: is empty (0 bytes)", reason="empty")
    return data
