"""One job in a thread of the service, and what it has told so far."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from semblant_search.errors import SemblantError
from semblant_search.web import problems
from semblant_search.writing.points import now

from semblant_indexer.cancelling import JobCancelled
from semblant_indexer.report import Progress

from .models import Job, JobAccount, JobFailure, JobProgress

if TYPE_CHECKING:
    from semblant_search.web.problems import Problem

    from .models import JobKind, State

__all__ = ["Event", "RunningJob"]

_logger = logging.getLogger(__name__)
_KEPT_EVENTS = 4000
_TELL_EVERY = 0.5
"""Seconds between two events about the progress of one phase."""


class Event(NamedTuple):
    """Something that a job told: `progress`, `failure`, `report`, `problem` or `end`, and its model."""

    number: int
    name: str
    data: JobProgress | JobFailure | JobAccount | Problem | Job


class RunningJob(ABC):
    """A job, from its start to long after its end. Thread-safe.

    Args:
        kind: what it does.
        source: what it reads.
        collection: what it is for.
        phase: its first one.
    """

    def __init__(self, kind: JobKind, source: str, collection: str, phase: str) -> None:
        self.id = secrets.token_hex(8)
        self.kind = kind
        self.source = source
        self.collection = collection
        self._cancel = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"semblant-job-{self.id}", daemon=True)
        self._lock = threading.Lock()
        self._events: deque[Event] = deque(maxlen=_KEPT_EVENTS)
        self._last = 0
        self._told = ("", 0.0)
        self._state: State = "running"
        self._created = now()
        self._ended: str | None = None
        self._progress = self._shown(Progress(phase))
        self._failures: dict[str, JobFailure] = {}
        self._runs = 0
        self._report: JobAccount | None = None
        self._problem: Problem | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self._ended is not None

    @property
    def state(self) -> Job:
        """What there is to say of it now."""
        with self._lock:
            return self._describe()

    def cancel(self) -> None:
        """Tell it to end, which takes a second or two. Nothing where it has ended."""
        with self._lock:
            if self._state == "running":
                self._state = "cancelling"
        self._cancel.set()

    def join(self, timeout: float) -> bool:
        """Wait for its end; whether it has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def since(self, number: int) -> list[Event] | None:
        """The events after one, oldest first; None where some of them are not kept any more."""
        with self._lock:
            if number > self._last or (self._last > number and self._events[0].number > number + 1):
                return None
            return [event for event in self._events if event.number > number]

    @abstractmethod
    def _do(self) -> State:
        """Do it, in a thread of its own, and say how it ended. Raises `JobCancelled` where it was told to end."""

    def _work(self) -> None:
        try:
            state = self._do()
        except JobCancelled:
            state = "cancelled"
        except SemblantError as error:
            state, self._problem = "failed", problems.of_error(error)
        except Exception:
            _logger.exception("job %s failed", self.id)
            what = f"the service's log says why, under the job {self.id}"
            state, self._problem = "failed", problems.of_fault("internal-error", what)
        with self._lock:
            self._state, self._ended = state, now()
            self._last += 1
            self._events.append(Event(self._last, "end", self._describe()))
        _logger.info("job %s on %r: %s", self.id, self.collection, state)

    def _on_progress(self, progress: Progress) -> None:
        with self._lock:
            self._set_progress(progress)

    def _set_progress(self, progress: Progress) -> None:
        self._progress = self._shown(progress)
        phase, at = self._told
        if progress.phase != phase or time.monotonic() - at >= _TELL_EVERY:
            self._told = progress.phase, time.monotonic()
            self._tell("progress", self._progress)

    def _shown(self, progress: Progress) -> JobProgress:
        return JobProgress(
            phase=progress.phase,
            total=progress.total,
            done=progress.done,
            failed=progress.failed,
            seconds=round(progress.seconds, 3),
            pictures_per_s=round(progress.rate, 1),
        )

    def _tell(self, name: str, data: JobProgress | JobFailure | JobAccount | Problem) -> None:
        self._last += 1
        self._events.append(Event(self._last, name, data))

    def _describe(self) -> Job:
        return Job(
            id=self.id,
            kind=self.kind,
            state=self._state,
            source=self.source,
            collection=self.collection,
            created_at=self._created,
            ended_at=self._ended,
            progress=self._progress,
            runs=self._runs,
            report=self._report,
            failures=list(self._failures.values()),
            problem=self._problem,
            last_event=self._last,
        )
