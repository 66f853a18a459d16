"""Running a job from the command line: progress, the account at the end, and what a signal does."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click
from semblant_search.cli.output import print_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer.job import IndexJob
    from semblant_indexer.report import IndexReport

__all__ = ["job_options", "run_and_print"]


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --report, --json and --quiet."""
    for option in (
        click.option("--quiet", is_flag=True, help="No progress."),
        click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document."),
        click.option("--report", metavar="FILE", help="Write the report as JSON here as well."),
    ):
        command = option(command)
    return command


def run_and_print(job: IndexJob, *, report: Path | str | None, as_json: bool, quiet: bool) -> None:
    """Run, print, and end the command with the report's exit code. SIGTERM stops the job as Ctrl-C does."""
    from pathlib import Path

    from semblant_indexer.display import ProgressDisplay
    from semblant_indexer.running import run

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ProgressDisplay(quiet=quiet) as display:
            result = run(job, display)
    except KeyboardInterrupt:
        _stop(job)
    if report is not None:
        Path(report).write_text(json.dumps(result.to_json(), indent=2) + "\n", encoding="utf-8")
    _print(result, as_json)
    click.get_current_context().exit(result.exit_code)


def _print(result: IndexReport, as_json: bool) -> None:
    from semblant_indexer.display import print_report

    if as_json:
        print_json(result.to_json())
    else:
        print_report(result)
        click.echo(result.account)


def _stop(job: IndexJob) -> NoReturn:
    """Say how to go on, and leave at once: the engine may still be building its search graph, and would hold the process."""
    click.echo(f"\nStopped. What was indexed of {job.source!r} is saved; the same command goes on from there.", err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(130)
