"""The bytes of one picture, wherever it lies: a file, a member of a tar, or anything that fsspec opens."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from semblant_search.errors import ImageError
from semblant_search.images import read_file
from semblant_search.shown import shown_error, shown_name, without_users

from .url_reading import is_web_url, read_web_url, unsigned

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    """A place as a user knows it: without the signature of a URL, which is a secret while it lasts."""
    return unsigned(place.split(":", 3)[3] if place.startswith(_TAR) else place)


def read_content(place: str, limit: int) -> Content:
    """Read a picture from a local path, a URL or a place that `tar_member` made.

    Raises:
        ImageError: not there, not readable, empty, or of more than `limit` bytes.
    """
    if place.startswith(_TAR):
        _, offset, size, path = place.split(":", 3)
        _check_size(path, int(size), limit)
        return Content(_read_part(path, int(offset), int(size)), -1)
    if is_web_url(place):
        return Content(read_web_url(place, limit), -1)
    if "://" in place:
        return Content(_read_url(place, limit), -1)
    data, facts = read_file(place, limit=limit)
    return Content(data, facts.st_mtime_ns)


def _read_part(path: str, offset: int, size: int) -> bytes:
    """A part of a local file or a URL."""
    with _reading(path):
        if "://" not in path:
            with open(path, "rb") as file:  # noqa: PTH123 - the same name for both kinds of files
                file.seek(offset)
                return _complete(path, file.read(size), size)
        import fsspec

        files, inner = fsspec.core.url_to_fs(path)
        data = bytes(files.cat_file(inner, start=offset, end=offset + size))
        # A web server that knows no ranges sends everything.
        return _complete(path, data if len(data) <= size else data[offset : offset + size], size)


def _read_url(url: str, limit: int) -> bytes:
    with _reading(url):
        import fsspec

        with fsspec.open(url, "rb").open() as file:
            data: bytes = file.read(limit + 1)
    _check_size(url, len(data), limit)
    return _complete(url, data, 1)


def _complete(path: str, data: bytes, size: int) -> bytes:
    if not data:
        raise ImageError(f"{shown_name(path)}: is empty (0 bytes)", reason="empty")
    if len(data) < size:
        raise ImageError(f"{shown_name(path)}: ends {size - len(data)} bytes early", reason="truncated")
    return data


def _check_size(path: str, size: int, limit: int) -> None:
    if size > limit:
        raise ImageError(f"{shown_name(path)}: has more than {limit:,} bytes, the limit", reason="too-large")


@contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{shown_name(path)}: no such file", reason="missing") from error
    except ImportError as error:
        raise ImageError(f"{shown_name(path)}: needs another package: {error}", reason="unsupported") from error
    except Exception as error:  # each of fsspec's file systems has errors of its own
        raise ImageError(
            f"{shown_name(path)}: cannot be read: {without_users(shown_error(error))}", reason="unreadable"
        ) from error
