"""What every source behind a URL needs of fsspec: finding, fetching and describing files."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from semblant_search.errors import InvalidInput, MissingExtra, SemblantError
from semblant_search.shown import shown_error, shown_name, without_users

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Fetched", "changed_at", "file_system", "listing_errors"]


@contextmanager
def listing_errors(url: str) -> Iterator[None]:
    """Errors of fsspec and of its many file systems, as a user's. Raises `InvalidInput`, `MissingExtra`."""
    try:
        yield
    except SemblantError:
        raise
    except ImportError as error:
        raise MissingExtra(f"a source such as {shown_name(url)} ({shown_error(error)})", "semblant-indexer[remote]") from error
    except FileNotFoundError as error:
        raise InvalidInput(f"source {shown_name(url)}: no such file or folder") from error
    except Exception as error:  # each of fsspec's file systems has errors of its own
        raise InvalidInput(f"source {shown_name(url)} cannot be read: {without_users(shown_error(error))}") from error


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path that it has there. Errors as `listing_errors`."""
    with listing_errors(url):
        import fsspec

        files, path = fsspec.core.url_to_fs(url)
        return files, str(path)


class Fetched:
    """A copy of a small file behind a URL, on this machine as long as this object lives. Errors as `listing_errors`."""

    def __init__(self, url: str) -> None:
        files, path = file_system(url)
        folder = tempfile.mkdtemp(prefix="semblant-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.path = Path(folder, PurePosixPath(urlsplit(url).path).name)
        with listing_errors(url):
            files.get_file(path, str(self.path))


def changed_at(facts: Mapping[str, Any]) -> int:
    """Nanoseconds of the last change, by whatever name a file system tells it; -1 where it does not."""
    for name in ("LastModified", "mtime", "last_modified", "updated", "created"):
        value = facts.get(name)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value.replace("Z", "+00:00"))
            except ValueError:
                continue
        if isinstance(value, datetime):
            value = value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)
            value = value.timestamp()
        if isinstance(value, (int, float)):
            return int(value * 1e9)
    return -1
