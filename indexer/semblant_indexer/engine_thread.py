"""Long calls into the engine, which Ctrl-C does not wait for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

from semblant_search.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EngineThread"]

_T = TypeVar("_T")


class EngineThread:
    """Calls the engine from another thread: it may stay there for minutes. One call at a time."""

    def __init__(self) -> None:
        self._busy = False
        self._waiting: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    def call(self, call: Callable[..., _T], *arguments: Any, meanwhile: Callable[[], object] = lambda: None) -> _T:
        """What the call returns or raises. Interrupted, the engine goes on with it; a store that it opens is closed then.

        `meanwhile` is called from this thread, again and again while it waits.
        """
        results: list[_T] = []
        errors: list[BaseException] = []

        def target() -> None:
            try:
                results.append(call(*arguments))
            except BaseException as error:
                errors.append(error)
            with self._lock:
                self._busy = False
            for late in self._waiting:
                late()

        thread = threading.Thread(target=target, name="semblant-engine", daemon=True)
        self._busy = True
        thread.start()
        try:
            while thread.is_alive():
                thread.join(0.2)
                meanwhile()
        except BaseException:
            self.once_idle(lambda: [result.close() for result in results if isinstance(result, Store)])
            raise
        if errors:
            raise errors[0]
        return results[0]

    def once_idle(self, call: Callable[[], object]) -> None:
        """Call now, or, while the engine is at work for a run that was interrupted, as soon as it is done, from its thread.

        The command line's process ends without that, and the write-ahead log has everything; a notebook's lives on, and its
        next run opens the database again.
        """
        with self._lock:
            if self._busy:
                self._waiting.append(call)
                return
        call()
