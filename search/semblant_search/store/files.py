"""Files that are there whole or not at all, also after a power cut."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import shutil
import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from semblant_search.errors import JobAtWork, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "WAITING",
    "bytes_on_disk",
    "claimed",
    "copy_sparse",
    "exclusive",
    "make_directory",
    "require_space",
    "sha256_of",
    "sync_contents",
    "sync_directory",
    "write_atomic",
]


def write_atomic(path: Path, data: bytes) -> None:
    """Write beside, sync, rename, sync the directory. Raises `StoreError`; the old content stays if anything fails."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StoreError(f"{str(path)!r} cannot be written: {error.strerror or error}") from error


def make_directory(path: Path) -> None:
    """Make a directory and its parents. Raises `StoreError`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be made: {error.strerror or error}") from error


def sync_directory(path: Path) -> None:
    """Make a rename in a directory last through a power cut, where the system can."""
    with contextlib.suppress(OSError):  # not every system opens directories
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_contents(path: Path) -> None:
    """Write what is still only in memory of the files in a directory, also through a memory map, to disk. Raises `OSError`."""
    for entry in path.iterdir():
        try:
            descriptor = os.open(entry, os.O_RDWR)
        except (FileNotFoundError, IsADirectoryError):  # a log that was just replaced needs no sync any more
            continue
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    sync_directory(path)


def require_space(path: Path, needed: int, purpose: str) -> None:
    """Raise `StoreError` unless `needed` bytes are free where `path` is."""
    try:
        free = shutil.disk_usage(path).free
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error
    if free < needed:
        raise StoreError(
            f"{str(path)!r}: the disk is almost full: {free / 1e6:,.0f} MB are free, {purpose} needs {needed / 1e6:,.0f} MB; "
            "make room and run it again (what was written before is kept)"
        )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits. Raises `OSError`, also for a pipe, which nobody may ever write to."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a file", str(path))
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def bytes_on_disk(path: Path) -> int:
    """What the files below a directory really take; holes in them take nothing."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512  # noqa: PTH118 - hot on large shards
    return total


def copy_sparse(source: Path, target: Path, *, sync: bool = True) -> None:
    """Copy a directory tree, and leave the holes in its files holes. Synced to disk on return. Raises `OSError`.

    Args:
        source, target: directories; the second is made.
        sync: False for what need not last.
    """
    target.mkdir()
    for entry in source.iterdir():
        if entry.is_dir():
            copy_sparse(entry, target / entry.name, sync=sync)
        else:
            _copy_file(entry, target / entry.name, sync=sync)
    if sync:
        sync_directory(target)


def _copy_file(source: Path, target: Path, *, sync: bool) -> None:
    with source.open("rb", buffering=0) as old, target.open("xb", buffering=0) as new:
        size = os.fstat(old.fileno()).st_size
        new.truncate(size)
        at = 0
        while at < size:
            try:
                at = os.lseek(old.fileno(), at, os.SEEK_DATA)
                end = os.lseek(old.fileno(), at, os.SEEK_HOLE)
            except (AttributeError, OSError) as error:
                if isinstance(error, OSError) and error.errno == errno.ENXIO:  # nothing but a hole is left
                    break
                end = size  # this system knows no holes
            old.seek(at)
            new.seek(at)
            while at < end:
                block = old.read(min(1 << 20, end - at))
                if not block:
                    return  # it became shorter
                new.write(block)
                at += len(block)
        if sync:
            os.fsync(new.fileno())


WAITING = (
    "run this one again when it is done: `semblant index`, `map`, `cluster` and `outliers` wait for that with --wait SECONDS"
)
"""What whoever comes second can do."""


@contextlib.contextmanager
def claimed(path: Path, what: str, wait: float = 0.0) -> Iterator[None]:
    """Hold a lock file; whoever comes second is told who has it, after `wait` seconds. It ends with the process at the latest.

    Raises:
        JobAtWork: somebody holds it; `what` says what of.
    """
    from filelock import FileLock, Timeout

    owner = path.with_name(f"{path.name}.owner")
    lock = FileLock(path, timeout=max(0.0, wait))
    try:
        lock.acquire()
    except Timeout as error:
        raise JobAtWork(f"{what} has another job at work ({_read_owner(owner)}); {WAITING}") from error
    except OSError as error:
        raise _unlockable(path, error) from error
    try:
        since = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        write_atomic(owner, f"process {os.getpid()} on {platform.node()}, since {since}".encode())
        yield
    finally:
        with contextlib.suppress(OSError):
            owner.unlink(missing_ok=True)
        lock.release()


def _unlockable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{str(path)!r} cannot be locked: {error.strerror or error}; what changes a database needs the right to write in "
        f"{str(path.parent)!r}"
    )


def _read_owner(path: Path) -> str:
    try:
        return path.read_text(errors="replace")[:200] or "it has just begun"
    except OSError:
        return "it has just begun"


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file while reading and rewriting a shared file; other processes and threads wait. Raises `StoreError`."""
    from filelock import FileLock

    lock = FileLock(path)
    try:
        lock.acquire()
    except OSError as error:
        raise _unlockable(path, error) from error
    try:
        yield
    finally:
        lock.release()
