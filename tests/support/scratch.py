"""Where tests keep their files: in memory where there is room for them.

A database flushes to the disk at every step, so that a kill loses nothing. On a disk that is most of the time of a test;
a kill of a process, which is all that tests can do, loses nothing of what is in memory either.
"""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

__all__ = ["FolderKeeper", "choose_scratch"]

MEMORY = Path("/dev/shm")
# The most that the suite was seen to hold at once, and what its processes take themselves.
FILES_BYTES = 6 << 30
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


def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


class FolderKeeper:
    """Takes folders of `tmp_path_factory` away with the fixture of a module that made them; pytest keeps them to the end."""

    def __init__(self) -> None:
        self._claimed: set[Path] = set()
        """Folders of fixtures that are ready."""

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """Notes what is new; a finalizer that is added first runs last, when the fixture itself has let go."""
        base = Path(request.config._tmp_path_factory.getbasetemp())  # type: ignore[attr-defined]
        made: set[Path] = set()
        if fixturedef.scope == "module":
            fixturedef.addfinalizer(partial(_remove, made))
        before = set(base.iterdir()) | self._claimed
        try:
            return (yield)
        finally:
            made |= {folder for folder in base.iterdir() if folder not in before and folder not in self._claimed}
            self._claimed |= made

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """In memory nothing is left behind but what a failed test may have to be looked at for."""
        chosen = "PYTEST_DEBUG_TEMPROOT" in os.environ and os.environ["PYTEST_DEBUG_TEMPROOT"] == str(MEMORY)
        if chosen and exitstatus == 0 and not hasattr(session.config, "workerinput"):
            shutil.rmtree(session.config._tmp_path_factory.getbasetemp(), ignore_errors=True)  # type: ignore[attr-defined]
