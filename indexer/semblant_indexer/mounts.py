"""What is mounted where, as far as it matters to a folder."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

__all__ = ["Mounts"]


class Mounts:
    """What is mounted at, above or below a folder, on Linux; elsewhere the system tells of it.

    A disk that is taken out and put in again is the same device, and its folders are the same.
    """

    def __init__(self, folder: str) -> None:
        self._folder = os.path.realpath(folder) + os.sep
        self._poll: select.poll | None = None
        if sys.platform == "linux":
            try:
                self._table = Path("/proc/self/mountinfo").open("rb")  # noqa: SIM115 - open as long as it is asked
            except OSError:
                return
            self._poll = select.poll()
            self._poll.register(self._table, select.POLLPRI | select.POLLERR)
        self._before = self._around()

    def close(self) -> None:
        """Ask no more."""
        if self._poll is not None:
            self._poll = None
            self._table.close()

    def changed(self) -> bool:
        """Whether something was mounted or taken away since this was asked last."""
        if self._poll is None or not self._poll.poll(0):
            return False
        before, self._before = self._before, self._around()
        return before != self._before or bool(self._before)

    def _around(self) -> list[bytes]:
        """The mounts below the folder, and the one that it lies in where that is not the system's own."""
        if self._poll is None:
            return []
        self._table.seek(0)
        below, above = [], (0, b"")
        for line in self._table.read().splitlines():
            place = os.fsdecode(_unescaped(line.split(b" ")[4])).rstrip(os.sep) + os.sep
            if place.startswith(self._folder):
                below.append(line)
            if self._folder.startswith(place) and len(place) >= above[0]:
                above = len(place), line
        return [*below, *([above[1]] if above[0] > 1 else [])]


def _unescaped(place: bytes) -> bytes:
    """A path of the mount table: spaces and the like are octal there."""
    for code in (b"\\040", b"\\011", b"\\012", b"\\134"):
        place = place.replace(code, bytes([int(code[1:], 8)]))
    return place
