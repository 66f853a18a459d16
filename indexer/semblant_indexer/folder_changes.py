"""Bursts of changes below a folder, also where another folder has taken its path, or that of one below it."""

from __future__ import annotations

import itertools
import os
import time
from typing import TYPE_CHECKING

from semblant_search.errors import InvalidInput, MissingExtra
from semblant_search.shown import shown_name

from .mounts import Mounts

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path
    from types import TracebackType

    from watchfiles import Change

__all__ = ["FolderChanges"]

SETTLE_MS = 1_600
"""Changes are collected until nothing more happens for a moment, but no longer than this."""
QUIET_MS = 400
TICK_MS = 100
_CHECKED = 200
"""Folders whose identity is compared in a tick: so few cost nothing, and a thousand are through in half a second."""

_Identity = tuple[int, int, int]


class FolderChanges:
    """What happens below a folder.

    The system tells what happens in the folders that were there when it was asked, under whatever path they are now. It says
    nothing of another one at the old path, of a disk that is mounted there or taken away, or of where a link leads now. So
    the folders are compared with those that were there, and listened to anew where one is another, or may be read only now.

    Args:
        folder: may be away for a while.
        counts: whether a change (a `watchfiles.Change` and a path) is one. Folders that are none are not compared.
        stop: ends the listening.

    Raises:
        MissingExtra: watchfiles is not installed.
    """

    def __init__(self, folder: Path, counts: Callable[[Change, str], bool], stop: threading.Event | None) -> None:
        try:
            import watchfiles  # noqa: F401
        except ImportError as error:
            raise MissingExtra("watching a folder", "semblant-indexer[watch]") from error
        self._folder = str(folder.absolute())
        self._counts = counts
        self._stop = stop
        self._mounts = Mounts(self._folder)
        self._bursts: Generator[object, None, None] | None = None
        self._folders: dict[str, _Identity] = {}
        self._round: Iterator[tuple[str, _Identity]] = iter(())
        self._ended = False
        """The folder that is listened to was deleted or renamed."""

    @property
    def away(self) -> str | None:
        """Why the folder cannot be looked into now; None where it can."""
        try:
            with os.scandir(self._folder):
                return None
        except OSError as error:
            return error.strerror or str(error)

    def begin(self) -> None:
        """Listen, where the folder is there. Raises `InvalidInput` where the system does not listen to so many folders."""
        from watchfiles import watch

        while self._bursts is None:
            self._mounts.changed()
            self._ended = False
            try:
                root = _identity(self._folder)
                self._folders = dict(_below(self._folder, self._counts))
                self._bursts = watch(
                    self._folder,
                    watch_filter=self._heard,
                    step=QUIET_MS,
                    debounce=SETTLE_MS,
                    stop_event=self._stop,
                    yield_on_timeout=True,
                    rust_timeout=TICK_MS,
                    ignore_permission_denied=True,
                )
                next(self._bursts, None)
                if _identity(self._folder) != root:
                    self._leave_off()
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                self._leave_off()
                return
            except (OSError, RuntimeError) as error:  # watchfiles' own is one
                self._leave_off()
                if self.away is not None:
                    return
                raise InvalidInput(
                    f"source {shown_name(self._folder)} cannot be watched: {error}; let the system listen to more folders "
                    "(fs.inotify.max_user_watches, max_user_instances), or set WATCHFILES_FORCE_POLLING=true, which looks at "
                    "all files again and again"
                ) from error
        self._folders[self._folder] = root
        self._round = itertools.cycle(list(self._folders.items()))

    def wait(self) -> bool | None:
        """Whether something happened, within a tick or until it is over; None at the end of it all."""
        if self._stop is not None and self._stop.is_set():
            return None
        if self._bursts is None:  # it was away
            time.sleep(TICK_MS / 1000)
            self.begin()
            return self._bursts is not None
        burst = next(self._bursts, None)
        if burst is None:
            return None
        if not burst and not self._is_another():
            return False
        # New folders, and those that may be read now, are listened to as well. What happens meanwhile, the next run sees.
        self._leave_off()
        self.begin()
        return True

    def __enter__(self) -> FolderChanges:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._leave_off()
        self._mounts.close()

    def _leave_off(self) -> None:
        if self._bursts is not None:
            self._bursts.close()
            self._bursts = None

    def _heard(self, change: Change, path: str) -> bool:
        self._ended |= path == self._folder and change == change.deleted
        return self._counts(change, path)

    def _is_another(self) -> bool:
        """Whether the folder, or one of the next ones below it, is not the one that was there."""
        if self._ended or self._mounts.changed():
            return True
        some = itertools.islice(self._round, min(_CHECKED, len(self._folders)))
        return any(_found(path) != before for path, before in ((self._folder, self._folders[self._folder]), *some))


def _below(folder: str, counts: Callable[[Change, str], bool]) -> Iterator[tuple[str, _Identity]]:
    """A folder and those below it, through links as well, each once."""
    from watchfiles import Change

    seen: set[_Identity] = set()
    stack = [folder]
    while stack:
        path = stack.pop()
        identity = _found(path)
        if identity is None or identity in seen:
            continue
        seen.add(identity)
        yield path, identity
        try:
            with os.scandir(path) as entries:
                below = [entry.path for entry in entries if _is_folder(entry)]
        except OSError:
            continue
        stack.extend(path for path in below if counts(Change.modified, path))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _found(path: str) -> _Identity | None:
    try:
        return _identity(path)
    except OSError:
        return None


def _identity(path: str) -> _Identity:
    """Which folder it is, and who may read it. Raises `OSError`."""
    facts = os.stat(path)  # noqa: PTH116 - many of them
    return facts.st_dev, facts.st_ino, facts.st_mode
