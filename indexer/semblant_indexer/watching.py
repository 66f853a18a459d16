"""Keeping a folder indexed as it changes."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from semblant_search.errors import InvalidInput, MissingExtra, StoreLocked, StoreUnavailable

from .cancelling import JobCancelled
from .running import run
from .state import all_states

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Sequence

    from semblant_search.errors import SemblantError
    from semblant_search.store import Database

    from .job import IndexJob
    from .report import Failure, IndexReport, Progress

__all__ = ["watch"]

SETTLE_MS = 1_600
"""Changes are collected until nothing more happens for a moment, but no longer than this."""
QUIET_MS = 400
AGAIN_S = 3.0
"""Seconds until a database is asked for again that somebody else has open, or that does not answer."""


def watch(
    job: IndexJob,
    on_report: Callable[[IndexReport], None],
    on_progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
    *,
    on_problem: Callable[[SemblantError], None] | None = None,
    on_failure: Callable[[Failure], None] | None = None,
    database: Database | None = None,
    within: Sequence[Path] = (),
    own_files: Iterable[str | os.PathLike[str]] = (),
) -> None:
    """Run a job, and again after every burst of changes below its folder, until `stop` is set or the caller interrupts.

    Between runs the database is closed, so that others may read it; where one of them has it open when a run begins, that run
    waits. A run looks at the whole folder: what was missed while nobody watched is noticed, too, and costs a second or two for
    a hundred thousand files. What a job writes itself (its database, ledger and report) is no change, wherever it lies.

    Args:
        job: what to do; only the first run builds anew (`rebuild`).
        on_report: called after every run that came to its end.
        on_progress: as in `run`.
        stop: ends the watching, and the run that is going on.
        on_problem: called with what kept a run from its end and may pass: somebody has the database open, a server does not
            answer (both are tried again), the folder holds no pictures, or a metadata table cannot be read (the next change may
            mend them). The same problem is told once.
        on_failure, database, within: as in `run`.
        own_files: others that the caller writes after a run, and that are no changes either.

    Raises:
        InvalidInput: the source is no local folder, or is gone; also what the first run raises.
        MissingExtra: watchfiles is not installed.
        SemblantError: whatever else a run raises, and of the first one everything but `StoreLocked`.
    """
    try:
        from watchfiles import watch as changes
    except ImportError as error:
        raise MissingExtra("watching a folder", "semblant-indexer[watch]") from error
    if not Path(job.source).is_dir():
        raise InvalidInput(f"source {job.source!r}: only a folder on this machine can be watched")
    # Listening begins before the first run, so that nothing that happens meanwhile is missed.
    bursts = changes(
        job.source,
        watch_filter=_by_others(job, own_files),
        step=QUIET_MS,
        debounce=SETTLE_MS,
        stop_event=stop,
        yield_on_timeout=True,
        rust_timeout=100,
    )
    next(bursts, None)
    told, first, due = "", True, time.monotonic()
    while True:
        if time.monotonic() >= due:
            try:
                report = run(job, on_progress, database=database, cancel=stop, on_failure=on_failure, within=within)
            except JobCancelled:
                return
            except (StoreLocked, StoreUnavailable, InvalidInput) as error:
                busy = isinstance(error, (StoreLocked, StoreUnavailable))
                if (first and not isinstance(error, StoreLocked)) or not Path(job.source).is_dir():
                    raise
                due = time.monotonic() + AGAIN_S if busy else float("inf")
                if on_problem is not None and str(error) != told:
                    on_problem(error)
                told = str(error)
            else:
                told, first, due = "", False, float("inf")
                job = dataclasses.replace(job, rebuild=False)
                on_report(report)
        burst = next(bursts, None)
        if burst is None:
            return
        if burst:
            due = time.monotonic()


def _by_others(job: IndexJob, own_files: Iterable[str | os.PathLike[str]]) -> Callable[..., bool]:
    """What counts as a change: what watchfiles takes for one (no editor's swap files, say) and the job did not write."""
    from watchfiles import DefaultFilter

    places = [all_states(job), *map(Path, own_files)]
    if "://" not in job.db:
        places.append(Path(job.db))
    own = {Path(spelled) for place in places for spelled in (place.absolute(), os.path.realpath(place))}
    usual = DefaultFilter()

    def counts(change: object, path: str) -> bool:
        place = Path(path).absolute()
        return usual(change, path) and own.isdisjoint((place, *place.parents))  # type: ignore[arg-type]

    return counts
