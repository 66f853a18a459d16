"""The bytes of one picture, wherever it lies: a file, a member of an archive, a frame, or anything that fsspec opens."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from semblant_search.errors import ImageError
from semblant_search.frame_names import frame_bytes
from semblant_search.images import read_file
from semblant_search.shown import shown_error, shown_name, without_users

from .url_reading import is_web_url, read_web_url, unsigned

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Content", "frame_of", "head_of", "name_of", "read_content", "tar_member", "zip_member"]

_TAR, _ZIP, _FRAME = "tar:", "zip:", "frame:"
_HEAD = 4096


class Content(NamedTuple):
    """What was read of a picture.

    Attributes:
        data: what stands for the picture (`frame_names.frame_bytes`).
        mtime_ns: time of the file's last change where reading told it, else -1.
        size: bytes of the file.
    """

    data: bytes
    mtime_ns: int
    size: int


def tar_member(path: str, offset: int, size: int) -> str:
    """The place of a member of an uncompressed tar: `size` bytes at `offset` of the file or URL `path`."""
    return f"{_TAR}{offset}:{size}:{path}"


def zip_member(path: str, name: str) -> str:
    """The place of a member of a ZIP archive, the file or URL `path`."""
    return f"{_ZIP}{len(name)}:{name}:{path}"


def frame_of(place: str, fragment: str) -> str:
    """The place of one of several pictures in a file (`frame_names`)."""
    return f"{_FRAME}{fragment}:{place}"


def name_of(place: str) -> str:
    """A place as a user knows it: without the signature of a URL, which is a secret while it lasts."""
    if place.startswith(_FRAME):
        _, fragment, inner = place.split(":", 2)
        return f"{name_of(inner)}#{fragment}"
    if place.startswith(_ZIP):
        name, path = _in_zip(place)
        return f"{unsigned(path)}#{name}"
    return unsigned(place.split(":", 3)[3] if place.startswith(_TAR) else place)


def _in_zip(place: str) -> tuple[str, str]:
    """Name of the member, and path of the archive."""
    _, length, rest = place.split(":", 2)
    return rest[: int(length)], rest[int(length) + 1 :]


def head_of(place: str) -> bytes:
    """The first bytes of a local file; nothing of what cannot be read so, or lies elsewhere."""
    if place.startswith(_FRAME):
        return head_of(place.split(":", 2)[2])
    if place.startswith((_TAR, _ZIP)) or "://" in place:
        return b""
    try:
        descriptor = os.open(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            return file.read(_HEAD) or b""
    except (OSError, ValueError):
        return b""


def read_content(place: str, limit: int) -> Content:
    """Read a picture from a local path, a URL or a place that `tar_member`, `zip_member` or `frame_of` made.

    Raises:
        ImageError: not there, not readable, empty, or of more than `limit` bytes.
    """
    if place.startswith(_FRAME):
        _, fragment, inner = place.split(":", 2)
        content = _LAST.read(inner, limit)
        return content._replace(data=frame_bytes(content.data, fragment))
    _LAST.forget()
    return _read(place, limit)


def _read(place: str, limit: int) -> Content:
    if place.startswith(_TAR):
        _, offset, size, path = place.split(":", 3)
        _check_size(path, int(size), limit)
        return Content(_read_part(path, int(offset), int(size)), -1, int(size))
    if place.startswith(_ZIP):
        data = _read_zipped(*_in_zip(place), limit)
        return Content(data, -1, len(data))
    if is_web_url(place):
        data = read_web_url(place, limit)
        return Content(data, -1, len(data))
    if "://" in place:
        data = _read_url(place, limit)
        return Content(data, -1, len(data))
    data, facts = read_file(place, limit=limit)
    return Content(data, facts.st_mtime_ns, len(data))


class _LastFile:
    """The file whose frames are being read, so that a film is not read once for each of them."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._content: Content | None = None

    def read(self, place: str, limit: int) -> Content:
        """As `_read`; the same content where the file is the same."""
        try:
            facts = Path(place).stat()
            key: tuple[object, ...] = (place, facts.st_ino, facts.st_size, facts.st_mtime_ns)
        except (OSError, ValueError):  # no local file
            key = (place,)
        if self._content is None or key != self._key:
            self.forget()
            self._key, self._content = key, _read(place, limit)
        return self._content

    def forget(self) -> None:
        """Give its memory back."""
        self._key, self._content = (), None


_LAST = _LastFile()


def _read_zipped(name: str, path: str, limit: int) -> bytes:
    import zipfile

    with _reading(path), ExitStack() as stack:
        if "://" not in path:
            archive = stack.enter_context(zipfile.ZipFile(path))
        else:
            import fsspec

            archive = stack.enter_context(zipfile.ZipFile(stack.enter_context(fsspec.open(path, "rb").open())))
        member = archive.getinfo(name)
        _check_size(path, member.file_size, limit)
        with archive.open(member) as file:
            return _complete(path, file.read(limit + 1), member.file_size)


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
