"""Opening a shard, also one that may only be read.

The engine opens nearly all files for writing, even where it only searches: three quarters of a shard with details. So one that
may only be read is copied whole, with its holes, to where temporary files go.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semblant_search.errors import StoreError, StoreLocked
from semblant_search.store.files import bytes_on_disk, copy_sparse, require_space

from .shard_copy import SHARD, recover, remove_leftovers, shard_of
from .translation import NotWritableError, call

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["ReadingCopy", "load"]

_logger = logging.getLogger(__name__)
_LOG = "wal"
# For the two logs and some chunks of 32 MB that files grow by, where the engine opens a shard.
_OPENING_SPACE = 128_000_000


def load(edge: ModuleType, generation: Path) -> tuple[Any, ReadingCopy | None]:
    """Open the shard of a generation: the engine's `EdgeShard`, and the copy where it is one.

    Raises:
        StoreLocked: another process has it open.
        StoreError: it cannot be opened.
    """
    if os.access(generation, os.W_OK):  # not so of a file system that is mounted read-only, for root either
        require_space(generation, _OPENING_SPACE, "opening a database")
        recover(generation)
        try:
            shard = call(generation, edge.EdgeShard.load, str(generation / SHARD))
        except NotWritableError:
            pass  # the files in it are those of another user
        else:
            remove_leftovers(generation)
            return shard, None
    copy = ReadingCopy(generation)
    try:
        return call(generation, edge.EdgeShard.load, str(copy.path)), copy
    except BaseException:
        copy.close()
        raise


class ReadingCopy:
    """A copy of the shard of a generation, until `close` or the end of the process.

    It shares a lock with other readers meanwhile, so that whoever may write waits, and no answer is out of date.

    Args:
        generation: the folder of the generation.

    Raises:
        StoreLocked: a process that may write there has it open.
        StoreError: files that may not be read, or no room for the copy.
    """

    def __init__(self, generation: Path) -> None:
        source = shard_of(generation)
        self._lock = _share(source / _LOG, generation)
        try:
            needed = bytes_on_disk(source)
            purpose = "the copy of a database that may only be read (where such copies go is said by TMPDIR)"
            require_space(Path(tempfile.gettempdir()), needed + _OPENING_SPACE, purpose)
            folder = tempfile.mkdtemp(prefix="semblant-reading-")
            self._remove = weakref.finalize(self, _remove, folder, self._lock, os.getpid())
        except OSError as error:
            _unlock(self._lock)
            raise StoreError(f"{tempfile.gettempdir()!r} takes no copy of a database: {error.strerror or error}") from error
        except BaseException:
            _unlock(self._lock)
            raise
        self.path = Path(folder) / source.name
        try:
            copy_sparse(source, self.path, sync=False)
        except OSError as error:
            self.close()
            raise StoreError(
                f"database {str(generation)!r} may only be read, and cannot be copied to {folder!r} to be searched there: "
                f"{error.strerror or error} ({error.filename or 'while it was copied'!r})"
            ) from error
        _logger.info("%s may only be read: it is searched in a copy of %.1f MB, %s", generation, needed / 1e6, folder)

    def close(self) -> None:
        """Remove the copy, and let others write. Closing twice is no error."""
        self._remove()


def _share(log: Path, generation: Path) -> int | None:
    """Take part in the lock that the engine holds of what it has open; None where the system has no such locks."""
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        descriptor = os.open(log, os.O_RDONLY)
    except OSError as error:
        raise StoreError(f"{str(log)!r} cannot be read: {error.strerror or error}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StoreLocked(
            f"database {str(generation)!r} is open in a process that may write there; an embedded database belongs to one "
            "process at a time: close the other one, or use a Qdrant server (give its URL in place of the directory)"
        ) from error
    except OSError:  # a file system without locks, as some that are mounted read-only: nobody writes there
        os.close(descriptor)
        return None
    return descriptor


def _unlock(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


def _remove(folder: str, lock: int | None, process: int) -> None:
    if os.getpid() != process:  # it is that of the process which this one was forked from
        return
    shutil.rmtree(folder, ignore_errors=True)
    _unlock(lock)
