"""Building a shard's search graph in another process: the engine lets no other thread of its own run meanwhile.

The shard is copied as it is on disk, the copy is optimized by a child process, and what was changed meanwhile is done again to
it; then it takes the shard's place. A process that dies on the way leaves the shard as it was, and leftovers that the next one
removes:

    GENERATION/shard/           what serves
    GENERATION/shard.building/  the copy
    GENERATION/shard.before/    what served, while the copy takes its place
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from semblant_search.errors import StoreError
from semblant_search.store.files import bytes_on_disk, copy_sparse, exclusive, require_space, sync_directory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["SHARD", "build", "copy", "recover", "remove_leftovers", "replace", "shard_of"]

SHARD = "shard"
_BUILDING, _BEFORE, _LOCK = "shard.building", "shard.before", ".shard.lock"
_POLL = 0.1
_SPARE = 256_000_000
# It ends with the process that waits for it, also where that is killed: nobody would take its work over.
_CHILD = """
import sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 9)
import qdrant_edge
shard = qdrant_edge.EdgeShard.load(sys.argv[1])
shard.optimize()
shard.flush()
shard.close()
"""


def copy(generation: Path) -> Path:
    """Copy a shard that was flushed, and is not changed meanwhile. Raises `StoreError`, also where the disk lacks room."""
    # Of the copy its new segments are complete before its old ones go, as in any optimization.
    require_space(generation, 2 * bytes_on_disk(generation / SHARD) + _SPARE, "building the search index beside the old one")
    building = generation / _BUILDING
    try:
        shutil.rmtree(building, ignore_errors=True)
        copy_sparse(generation / SHARD, building)
    except OSError as error:
        shutil.rmtree(building, ignore_errors=True)
        raise StoreError(f"{str(building)!r} cannot be written: {error.strerror or error}") from error
    return building


def build(building: Path, waiting: Callable[[], object]) -> None:
    """Optimize a copy in a process of its own, and wait for it.

    Args:
        building: as `copy` returned it.
        waiting: called once it has begun, and again and again meanwhile; what it raises ends the process.

    Raises:
        StoreError: it failed.
    """
    paths = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)  # noqa: PTH100 - an empty one is the folder here
    try:
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(building)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
        )
    except OSError as error:
        raise StoreError(f"{sys.executable!r}, which builds the search index, cannot be started: {error.strerror}") from error
    said = b""
    try:
        waiting()
        while True:
            try:
                said = child.communicate(timeout=_POLL)[1]
                break
            except subprocess.TimeoutExpired:
                waiting()
    finally:
        if child.poll() is None:
            child.kill()
            child.communicate()
    if child.returncode:
        lines = said.decode(errors="replace").strip().splitlines() or [f"exit code {child.returncode}"]
        raise StoreError(f"database {str(building.parent)!r}: the search index cannot be built: {lines[-1][:500]}")


def replace(generation: Path) -> None:
    """Put the copy in the place of the shard; neither may be open. Raises `StoreError`; then the shard is what it was."""
    shard, building, before = generation / SHARD, generation / _BUILDING, generation / _BEFORE
    with exclusive(generation / _LOCK):
        try:
            shard.rename(before)
            try:
                building.rename(shard)
            except OSError:
                before.rename(shard)
                raise
            sync_directory(generation)
        except OSError as error:
            raise StoreError(f"{str(shard)!r} cannot be replaced: {error.strerror or error}") from error


def shard_of(generation: Path) -> Path:
    """Where the shard is, also one whose process died between the two steps of `replace`, and which may only be read."""
    shard, before = generation / SHARD, generation / _BEFORE
    return before if before.exists() and not shard.exists() else shard


def recover(generation: Path) -> None:
    """Bring back a shard whose process died between the two steps of `replace`."""
    shard, before = generation / SHARD, generation / _BEFORE
    if shard.exists() or not before.exists():
        return
    with exclusive(generation / _LOCK), contextlib.suppress(OSError):
        if not shard.exists():
            before.rename(shard)


def remove_leftovers(generation: Path) -> None:
    """Remove what other processes left. The shard must be open here: then nobody else builds."""
    for name in (_BUILDING, _BEFORE):
        if (generation / name).exists():
            shutil.rmtree(generation / name, ignore_errors=True)
