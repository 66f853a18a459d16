"""Where tests keep their files: in memory where there is room for them.

A database flushes to the disk at every step, so that a kill loses nothing. On a disk that is most of the time of a test;
a kill of a process, which is all that tests can do, loses nothing of what is in memory either.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["choose_scratch"]

MEMORY = Path("/dev/shm")
# The most that the suite was seen to hold at once, and what its processes take themselves.
FILES_BYTES = 10 << 30
PROCESSES_BYTES = 5 << 30


def choose_scratch() -> None:
    """Put pytest's folders and `tempfile`'s in memory, unless the environment says where."""
    if "PYTEST_DEBUG_TEMPROOT" in os.environ or "TMPDIR" in os.environ or not has_room(MEMORY):
        return
    os.environ["PYTEST_DEBUG_TEMPROOT"] = os.environ["TMPDIR"] = str(MEMORY)


def has_room(folder: Path) -> bool:
    """Whether `folder` is in memory and there is memory enough (Linux; elsewhere never)."""
    if sys.platform != "linux" or not os.access(folder, os.W_OK):
        return False
    free = os.statvfs(folder)
    return free.f_bavail * free.f_frsize >= FILES_BYTES and _available_memory() >= FILES_BYTES + PROCESSES_BYTES


def _available_memory() -> int:
    """Bytes, as the kernel estimates them; those of a container's limit are not known to it."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0
