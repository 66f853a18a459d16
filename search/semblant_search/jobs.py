"""Index jobs of a Semblant service, as its clients see them."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - the types of what is read from JSON are looked up
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Job", "JobEvent", "JobFailure", "JobKind", "JobProgress", "JobState"]

JobKind = Literal["index", "watch"]
"""What a service can be asked for."""
JobState = Literal["running", "cancelling", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class JobProgress:
    """Where a run is.

    Attributes:
        phase: `scan`, `vocabulary`, `index`, `optimize`, …, `done`; `waiting` between the runs of a watch; of a `learn` its
            step, in words.
        total: pictures that the run has to look at.
        done, failed: of them.
        seconds: since the phase began.
        pictures_per_s: of the phase.
    """

    phase: str
    total: int = 0
    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    pictures_per_s: float = 0.0


@dataclass(frozen=True)
class JobFailure:
    """A picture that a job could not use.

    Attributes:
        uri: of the picture.
        reason: short and stable, as `not-an-image`.
        message: what was wrong with it.
    """

    uri: str
    reason: str
    message: str


@dataclass(frozen=True)
class Job:
    """A job of a service, at one moment.

    Attributes:
        id: what the service calls it.
        kind: `index` runs once, `watch` again after every change; `learn` makes an encoder (of `semblant open`).
        state: `running`, `cancelling`, `done`, `failed` or `cancelled`.
        source: what it indexes, on the service's machine.
        collection: what it writes to.
        created_at, ended_at: RFC 3339, in UTC; the second is None while it runs.
        progress: of the present run.
        runs: that came to their end: of a watch, many.
        report: the account of the last of these, by its names (`account`, `found`, `indexed`, `failed`, `points`, …), or None.
        failures: pictures of the last run that could not be used, at most 1,000.
        problem: why it failed, or what its watch waits for (`code`, `title`, `detail`, …), or None.
        last_event: the number of the last event.
    """

    id: str
    kind: Literal["index", "watch", "learn"]
    state: JobState
    source: str
    collection: str
    created_at: str
    ended_at: str | None
    progress: JobProgress
    runs: int
    last_event: int
    report: Mapping[str, Any] | None = field(default=None, hash=False, metadata={"may_be_missing": True})
    failures: tuple[JobFailure, ...] = field(default=(), metadata={"may_be_missing": True})
    problem: Mapping[str, Any] | None = field(default=None, hash=False, metadata={"may_be_missing": True})

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.ended_at is not None


@dataclass(frozen=True)
class JobEvent:
    """Something that a job told.

    Attributes:
        number: counts up from 1; `follow_job(…, after=number)` goes on behind it.
        name: `job` (the whole job: the first event, or where some were missed), `progress`, `failure`, `report`, `problem`,
            and at last `end` (the whole job).
        data: a `Job`, a `JobProgress`, a `JobFailure`, or the report or problem as in `Job`.
    """

    number: int
    name: str
    data: Job | JobProgress | JobFailure | Mapping[str, Any] = field(hash=False)
