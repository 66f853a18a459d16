"""Locks that a forked process finds free: the thread that held one at the fork is not there to let go of it."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["ForkSafeLock"]

_locks: WeakSet[ForkSafeLock] = WeakSet()


class ForkSafeLock:
    """A `threading.Lock`, or an `RLock`, that is a new one after a fork. What it guards must be sound, or be made anew, there.

    Args:
        reentrant: whether the thread that holds it may take it again.
    """

    def __init__(self, *, reentrant: bool = False) -> None:
        self._reentrant = reentrant
        self.renew()
        _locks.add(self)

    def renew(self) -> None:
        """Make it one that nobody holds."""
        self._lock = threading.RLock() if self._reentrant else threading.Lock()

    def acquire(self, blocking: bool = True) -> bool:
        """Take it; without blocking False where another thread holds it."""
        return self._lock.acquire(blocking)

    def release(self) -> None:
        """Let go of it."""
        self._lock.release()

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.release()


def _renew_all() -> None:
    for lock in _locks:
        lock.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
