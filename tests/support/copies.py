"""Copies of databases that fixtures made, for tests that change them.

The engine makes files of megabytes that hold a few hundred bytes. Where tests keep their files in memory, each of their pages
has to be found and filled: what is zero stays a hole here, and the copy of a copy is hardly more than making its files.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

__all__ = ["copied"]

_BLOCK = 1 << 16
_ZEROS = bytes(_BLOCK)


def copied(source: Path, target: Path) -> Path:
    """Copy a directory tree to `target`, which must not exist yet; returns it. The database must not be open."""
    if sys.platform != "linux":
        return Path(shutil.copytree(source, target))
    target.mkdir()
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.is_dir():
                copied(Path(entry.path), target / entry.name)
            else:
                _copy_file(Path(entry.path), target / entry.name)
    return target


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb", buffering=0) as old, target.open("xb", buffering=0) as new:
        size = os.fstat(old.fileno()).st_size
        at = 0
        while at < size:
            try:
                at = os.lseek(old.fileno(), at, os.SEEK_DATA)
            except OSError:  # nothing but a hole is left
                break
            block = os.pread(old.fileno(), _BLOCK, at)
            if block != _ZEROS[: len(block)]:
                os.pwrite(new.fileno(), block, at)
            at += len(block)
        new.truncate(size)
