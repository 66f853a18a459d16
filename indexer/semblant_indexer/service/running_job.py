"""One job in a thread of the service, and what it has told so far."""

from __future__ import annotations

import dataclasses
import logging
import secrets
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from semblant_search.errors import SemblantError
from semblant_search.web import problems
from semblant_search.writing.points import now

from semblant_indexer.cancelling import JobCancelled
from semblant_indexer.report import Progress
from semblant_indexer.running import run
from semblant_indexer.watching import watch

from .models import Job, JobAccount, JobFailure, JobProgress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from semblant_search.store import Database
    from semblant_search.web.problems import Problem

    from semblant_indexer.job import IndexJob
    from semblant_indexer.report import Failure, IndexReport

    from .models import Kind, State

__all__ = ["Event", "RunningJob"]

_logger = logging.getLogger(__name__)
_KEPT_EVENTS = 4000
_KEPT_FAILURES = 1000
_TELL_EVERY = 0.5
"""Seconds between two events about the progress of one phase."""


class Event(NamedTuple):
    """Something that a job told: `progress`, `failure`, `report`, `problem` or `end`, and its model."""

    number: int
    name: str
    data: JobProgress | JobFailure | JobAccount | Problem | Job


class RunningJob:
    """A job, from its start to long after its end. Thread-safe.

    Args:
        job: what to do.
        kind: once, or again after every change.
        database: the service's.
        within: folders that files must lie in.
    """

    def __init__(self, job: IndexJob, kind: Kind, database: Database, within: Sequence[Path]) -> None:
        self.id = secrets.token_hex(8)
        self.job = job
        self.kind = kind
        self.writing = True
        """Whether a run is going on: between those of a watch, others may write."""
        self._database = database
        self._within = tuple(within)
        self._cancel = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"semblant-job-{self.id}", daemon=True)
        self._lock = threading.Lock()
        self._events: deque[Event] = deque(maxlen=_KEPT_EVENTS)
        self._last = 0
        self._told = ("", 0.0)
        self._state: State = "running"
        self._created = now()
        self._ended: str | None = None
        self._progress = _progress(Progress("scan"))
        self._failures: dict[str, JobFailure] = {}
        self._between = False
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

    def _work(self) -> None:
        told: dict[str, Any] = {
            "on_progress": self._on_progress,
            "on_failure": self._on_failure,
            "database": self._database,
            "within": self._within,
        }
        state: State = "done"
        try:
            if self.kind == "watch":
                watch(self.job, self._on_report, stop=self._cancel, on_problem=self._on_problem, **told)
                state = "cancelled"
            else:
                self._on_report(run(self.job, cancel=self._cancel, **told))
        except JobCancelled:
            state = "cancelled"
        except SemblantError as error:
            state, self._problem = "failed", problems.of_error(error)
        except Exception:
            _logger.exception("job %s failed", self.id)
            what = f"the service's log says why, under the job {self.id}"
            state, self._problem = "failed", problems.of_fault("internal-error", what)
        with self._lock:
            self.writing = False
            self._state, self._ended = state, now()
            self._last += 1
            self._events.append(Event(self._last, "end", self._describe()))
        _logger.info("job %s on %r: %s", self.id, self.job.collection, state)

    def _on_progress(self, progress: Progress) -> None:
        with self._lock:
            if self._between:  # a run of a watch begins
                self._failures, self._between, self._problem = {}, False, None
            self.writing = True
            self._progress = _progress(progress)
            phase, at = self._told
            if progress.phase != phase or time.monotonic() - at >= _TELL_EVERY:
                self._told = progress.phase, time.monotonic()
                self._tell("progress", self._progress)

    def _on_failure(self, failure: Failure) -> None:
        with self._lock:
            self._fail(failure)

    def _on_report(self, report: IndexReport) -> None:
        with self._lock:
            for failure in report.failures:  # those, too, that no decoder saw: of earlier runs, and of the scan
                if failure.uri not in self._failures:
                    self._fail(failure)
            self._runs += 1
            self._report = _account(report)
            self._tell("report", self._report)
            self._rest()

    def _on_problem(self, problem: SemblantError) -> None:
        with self._lock:
            self._problem = problems.of_error(problem)
            self._tell("problem", self._problem)
            self._rest()

    def _rest(self) -> None:
        """Until the next run of a watch."""
        self._between, self.writing = True, False
        if self.kind == "watch":
            self._progress = _progress(Progress("waiting"))
            self._told = "waiting", time.monotonic()
            self._tell("progress", self._progress)

    def _fail(self, failure: Failure) -> None:
        if len(self._failures) < _KEPT_FAILURES:
            told = JobFailure(uri=failure.uri, reason=failure.reason, message=failure.message)
            self._failures[failure.uri] = told
            self._tell("failure", told)

    def _tell(self, name: str, data: JobProgress | JobFailure | JobAccount | Problem) -> None:
        self._last += 1
        self._events.append(Event(self._last, name, data))

    def _describe(self) -> Job:
        return Job(
            id=self.id,
            kind=self.kind,
            state=self._state,
            source=self.job.source,
            collection=self.job.collection,
            created_at=self._created,
            ended_at=self._ended,
            progress=self._progress,
            runs=self._runs,
            report=self._report,
            failures=list(self._failures.values()),
            problem=self._problem,
            last_event=self._last,
        )


def _progress(progress: Progress) -> JobProgress:
    return JobProgress(
        phase=progress.phase,
        total=progress.total,
        done=progress.done,
        failed=progress.failed,
        seconds=round(progress.seconds, 3),
        pictures_per_s=round(progress.rate, 1),
    )


def _account(report: IndexReport) -> JobAccount:
    told = dataclasses.asdict(report)
    return JobAccount(account=report.account, **{name: told[name] for name in JobAccount.model_fields if name != "account"})
