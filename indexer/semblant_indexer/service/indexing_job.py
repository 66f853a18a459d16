"""A job of a service that indexes a source: once, or again after every change."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from semblant_search.web import problems

from semblant_indexer.report import Progress
from semblant_indexer.running import run
from semblant_indexer.watching import watch

from .models import JobAccount, JobFailure
from .running_job import RunningJob

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from semblant_search.errors import SemblantError
    from semblant_search.store import Database

    from semblant_indexer.job import IndexJob
    from semblant_indexer.report import Failure, IndexReport

    from .models import Kind, State

__all__ = ["IndexingJob"]

_KEPT_FAILURES = 1000


class IndexingJob(RunningJob):
    """An index job at work, or a watch.

    Args:
        job: what to do.
        kind: once, or again after every change.
        database: the service's.
        within: folders that files must lie in.
    """

    def __init__(self, job: IndexJob, kind: Kind, database: Database, within: Sequence[Path]) -> None:
        super().__init__(kind, job.source, job.collection, "scan")
        self.job = job
        self._database = database
        self._within = tuple(within)
        self._working = True
        self._between = False

    @property
    def writing(self) -> bool:
        """Whether a run is going on: between those of a watch, others may write."""
        return self._working and not self.ended

    def _do(self) -> State:
        told: dict[str, Any] = {
            "on_progress": self._on_progress,
            "on_failure": self._on_failure,
            "database": self._database,
            "within": self._within,
        }
        if self.kind == "watch":
            watch(self.job, self._on_report, stop=self._cancel, on_problem=self._on_problem, **told)
            return "cancelled"
        self._on_report(run(self.job, cancel=self._cancel, **told))
        return "done"

    def _on_progress(self, progress: Progress) -> None:
        with self._lock:
            if self._between:  # a run of a watch begins
                self._failures, self._between, self._problem = {}, False, None
            self._working = True
            self._set_progress(progress)

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
        self._between, self._working = True, False
        if self.kind == "watch":
            self._set_progress(Progress("waiting"))

    def _fail(self, failure: Failure) -> None:
        if len(self._failures) < _KEPT_FAILURES:
            told = JobFailure(uri=failure.uri, reason=failure.reason, message=failure.message)
            self._failures[failure.uri] = told
            self._tell("failure", told)


def _account(report: IndexReport) -> JobAccount:
    told = dataclasses.asdict(report)
    return JobAccount(account=report.account, **{name: told[name] for name in JobAccount.model_fields if name != "account"})
