"""Keeping a folder indexed as it changes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from semblant_search.errors import InvalidInput, MissingExtra

from .running import run

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from .job import IndexJob
    from .report import IndexReport, Progress

__all__ = ["watch"]

SETTLE_MS = 1_600
"""Changes are collected until nothing more happens for a moment, but no longer than this."""
QUIET_MS = 400


def watch(
    job: IndexJob,
    on_report: Callable[[IndexReport], None],
    on_progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Run a job, and again after every burst of changes below its folder, until `stop` is set or the caller interrupts.

    Between runs the database is closed, so that others may read it. A run looks at the whole folder: what was missed while
    nobody watched is noticed, too, and costs a second or two for a hundred thousand files.

    Raises:
        InvalidInput: the source is no local folder.
        MissingExtra: watchfiles is not installed.
        SemblantError: whatever the first run raises; later ones too.
    """
    try:
        from watchfiles import watch as changes
    except ImportError as error:
        raise MissingExtra("watching a folder", "semblant-indexer[watch]") from error
    if not Path(job.source).is_dir():
        raise InvalidInput(f"source {job.source!r}: only a folder on this machine can be watched")
    # Listening begins before the first run, so that nothing that happens meanwhile is missed.
    bursts = changes(job.source, step=QUIET_MS, debounce=SETTLE_MS, stop_event=stop, yield_on_timeout=True, rust_timeout=100)
    next(bursts, None)
    on_report(run(job, on_progress))
    again = dataclasses.replace(job, rebuild=False)
    for burst in bursts:
        if burst:
            on_report(run(again, on_progress))
