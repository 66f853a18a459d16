"""A watch at work beside a test."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from semblant_indexer.watching import watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_indexer import IndexJob, IndexReport, Progress
    from semblant_search.errors import SemblantError

__all__ = ["Watching"]


class Watching:
    """A folder being watched in another thread."""

    def __init__(self, job: IndexJob, on_progress: Callable[[Progress], None] | None = None) -> None:
        self.reports: list[IndexReport] = []
        self.problems: list[SemblantError] = []
        self.on_progress = on_progress
        self.error: BaseException | None = None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch, args=(job,), daemon=True)
        self.thread.start()

    def _watch(self, job: IndexJob) -> None:
        try:
            watch(job, self.reports.append, self.on_progress, self.stop, on_problem=self.problems.append)
        except BaseException as error:
            self.error = error

    def until(self, reached: Callable[[], object]) -> None:
        deadline = time.monotonic() + 120
        while not reached():
            assert self.error is None, self.error
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def close(self) -> None:
        self.stop.set()
        self.thread.join(60)
