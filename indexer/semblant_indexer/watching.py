"""Keeping a folder indexed as it changes."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from semblant_search.errors import (
    EncoderError,
    InvalidInput,
    MissingExtra,
    SemblantError,
    StoreDenied,
    StoreLocked,
    StoreUnavailable,
)
from semblant_search.shown import shown_name
from semblant_search.store import open_database

from .cancelling import JobCancelled
from .folder_changes import FolderChanges
from .running import run
from .state import all_states

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Sequence

    from semblant_search.store import Database

    from .job import IndexJob
    from .report import Failure, IndexReport, Progress

__all__ = ["watch"]

AGAIN_S = 3.0
"""Seconds until a database is asked for again that somebody else has open, or that does not answer."""
SELDOM_S = 60.0
"""Those until a run is tried again that failed for another reason again and again, as on a full disk."""
_FOR_GOOD = (EncoderError, MissingExtra, StoreDenied)
"""What neither time nor a change of the folder mends."""


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
    a hundred thousand files. A folder that is away for a while is waited for, and so is one that may not be read: nothing of it
    is removed. What a job writes itself (its database, ledger and report) is no change, wherever it lies.

    Args:
        job: what to do; only the first run builds anew (`rebuild`).
        on_report: called after every run that came to its end.
        on_progress: as in `run`.
        stop: ends the watching, and the run that is going on.
        on_problem: called with what kept a run from its end and may pass: somebody has the database open, a server does not
            answer, a disk is full (all of these are tried again), the folder is away (it is waited for), it holds no pictures,
            or a metadata table cannot be read (the next change may mend them). The same problem is told once.
        on_failure, database, within: as in `run`.
        own_files: others that the caller writes after a run, and that are no changes either.

    Raises:
        InvalidInput: the source is no local folder, is not there at the beginning, or the system does not listen to it.
        MissingExtra: watchfiles is not installed.
        EncoderError, StoreDenied: of any run.
        SemblantError: whatever else the first run raises, but for `StoreLocked`, while the folder is there.
    """
    source = Path(job.source)
    if not source.exists():
        raise InvalidInput(f"source {shown_name(job.source)}: there is no such folder")
    if not source.is_dir():
        raise InvalidInput(f"source {shown_name(job.source)}: only a folder on this machine can be watched")
    with FolderChanges(source, _by_others(job, own_files), stop) as changes:
        changes.begin()  # before the first run, so that nothing that happens meanwhile is missed
        told, first, due, pause = "", True, time.monotonic(), AGAIN_S

        def tell(problem: SemblantError) -> None:
            nonlocal told
            if on_problem is not None and str(problem) != told:
                on_problem(problem)
            told = str(problem)

        while True:
            if (why := changes.away) is not None:
                tell(_is_away(job, why))
                due = float("inf")
            elif time.monotonic() >= due:
                try:
                    if not first and database is None:
                        _check_database(job)
                    report = run(job, on_progress, database=database, cancel=stop, on_failure=on_failure, within=within)
                except JobCancelled:
                    return
                except SemblantError as error:
                    if changes.away is not None:
                        continue  # whatever the run said of it
                    if isinstance(error, _FOR_GOOD) or (first and not isinstance(error, StoreLocked)):
                        raise
                    if isinstance(error, InvalidInput):  # of the folder: the next change may mend it
                        due = float("inf")
                    else:
                        due = time.monotonic() + pause
                        pause = AGAIN_S if isinstance(error, (StoreLocked, StoreUnavailable)) else min(2 * pause, SELDOM_S)
                    tell(error)
                else:
                    told, first, due, pause = "", False, float("inf"), AGAIN_S
                    job = dataclasses.replace(job, rebuild=False)
                    on_report(report)
            happened = changes.wait()
            if happened is None:
                return
            if happened:
                due = time.monotonic()


def _is_away(job: IndexJob, why: str) -> InvalidInput:
    return InvalidInput(
        f"source {shown_name(job.source)} is away ({why}); what is indexed of it stays, and it is indexed again once it is back"
    )


def _check_database(job: IndexJob) -> None:
    """Raise `NotADatabase` where the directory is away: a run would begin a new one, on another disk maybe."""
    if "://" not in job.db:
        open_database(job.db).close()


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
