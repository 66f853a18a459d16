"""Running a job from the command line: progress, the account at the end, and what a signal does."""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from semblant_search.cli.output import print_json
from semblant_search.errors import SemblantError
from semblant_search.shown import shown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from semblant_indexer.job import IndexJob
    from semblant_indexer.report import IndexReport

__all__ = ["Output", "job_options"]

LOOPBACK = "127.0.0.1"
_GRACE = 1.2
"""Seconds that an interrupted job has for saving what it has in hand."""
_STOPPING = threading.Lock()


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says how a job is watched and reported; the command gets it as one `output: Output`."""

    @click.option("--report", metavar="FILE", help="Write the report as JSON here as well.")
    @click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")
    @click.option("--quiet", is_flag=True, help="No progress.")
    @click.option("--json-log", is_flag=True, help="Progress, failures and report as JSON lines on stderr.")
    @click.option("--metrics-port", type=int, metavar="N", help="Serve Prometheus metrics at this port.")
    @click.option(
        "--metrics-host",
        default=LOOPBACK,
        show_default=True,
        metavar="ADDRESS",
        help="Address that --metrics-port is of; 0.0.0.0: of all networks, without a key.",
    )
    @functools.wraps(command)
    def wrapper(
        *,
        report: str | None,
        as_json: bool,
        quiet: bool,
        json_log: bool,
        metrics_port: int | None,
        metrics_host: str,
        **others: Any,
    ) -> Any:
        if metrics_port is None and metrics_host != LOOPBACK:
            raise click.UsageError(f"--metrics-host {metrics_host!r}: there are no metrics without --metrics-port")
        return command(output=Output(report, as_json, quiet, json_log, metrics_port, metrics_host), **others)

    return wrapper


@dataclass(frozen=True)
class Output:
    """How a job is watched and reported."""

    report: str | None
    as_json: bool
    quiet: bool
    json_log: bool
    metrics_port: int | None
    metrics_host: str

    def run(self, *jobs: IndexJob, watch: bool = False, least_code: int = 0, export: Path | None = None) -> NoReturn:
        """Run, print, and end the command with the worst exit code of the reports, or `least_code` where that is worse.

        Of several jobs, one that fails does not keep the others from running.
        """
        from semblant_indexer.display import ProgressDisplay
        from semblant_indexer.observers import JsonLog, Metrics, tee
        from semblant_indexer.running import run
        from semblant_indexer.watching import watch as keep_watching

        if self.report is not None and not Path(self.report).absolute().parent.is_dir():
            raise click.UsageError(f"--report {self.report!r}: there is no such folder")
        listeners: list[JsonLog | Metrics] = []
        if self.json_log:
            listeners.append(JsonLog())
        if self.metrics_port is not None:
            listeners.append(Metrics(self.metrics_port, self.metrics_host))
        codes: list[int] = []
        job: IndexJob | None = None

        def finish(result: IndexReport) -> None:
            for listener in listeners:
                listener.finish(result)
            if export is not None:
                _export(jobs[0], export)
            self._print(result, more=bool(codes) and not watch)
            codes.append(result.exit_code)

        def tell(problem: SemblantError) -> None:
            for listener in listeners:
                listener.problem(problem)
            if not self.json_log:
                click.echo(f"{problem}; still watching {jobs[0].source!r}", err=True)

        try:
            for job in jobs:
                with _ending_in_time(_saved(job)), ProgressDisplay(quiet=self.quiet or self.json_log) as display:
                    progress = tee(display, *listeners)
                    if watch:
                        own = tuple(place for place in (self.report, export) if place is not None)
                        keep_watching(job, finish, progress, on_problem=tell, own_files=own)
                        continue
                    try:
                        finish(run(job, progress))
                    except SemblantError as error:
                        if len(jobs) == 1:
                            raise
                        click.echo(f"Error: {shown_name(job.source)}: {error}", err=True)
                        codes.append(error.exit_code)
        except KeyboardInterrupt:
            assert job is not None
            _stop(_saved(job))
        wrong = [code for code in codes if code not in (0, 3)]
        click.get_current_context().exit(wrong[0] if wrong else max([least_code, *codes]))

    def encode(self, job: IndexJob) -> NoReturn:
        """Write files instead of a collection, print, and end the command with the exit code of the report."""
        from semblant_indexer.display import ProgressDisplay
        from semblant_indexer.encoding_only import encode_only
        from semblant_indexer.observers import JsonLog, Metrics, tee

        listeners: list[JsonLog | Metrics] = [JsonLog()] if self.json_log else []
        if self.metrics_port is not None:
            listeners.append(Metrics(self.metrics_port, self.metrics_host))
        stopped = f"What there is in {shown_name(job.db)} is as it was."
        try:
            with _ending_in_time(stopped), ProgressDisplay(quiet=self.quiet or self.json_log) as display:
                result = encode_only(job, tee(display, *listeners))
        except KeyboardInterrupt:
            _stop(stopped)
        for listener in listeners:
            listener.finish(result)
        self._print(result, more=False)
        click.get_current_context().exit(result.exit_code)

    def preview(self, job: IndexJob) -> None:
        """Print what the job would do."""
        from semblant_indexer.previewing import preview

        found = preview(job)
        if self.as_json:
            print_json(found.to_json())
            return
        for uri in found.gone:
            click.echo(f"gone\t{uri}")
        for note in found.notes:
            click.echo(f"Note: {note}", err=True)
        click.echo(found.account)

    def _print(self, result: IndexReport, *, more: bool) -> None:
        from semblant_indexer.display import print_report

        if self.report is not None:
            try:
                with Path(self.report).open("a" if more else "w", encoding="utf-8") as file:
                    file.write(json.dumps(result.to_json(), indent=2) + "\n")
            except OSError as error:
                raise click.FileError(self.report, f"{error.strerror or error}; everything is indexed") from error
        if self.as_json:
            print_json(result.to_json())
            return
        if not self.json_log:
            print_report(result)
        click.echo(result.account)


def _export(job: IndexJob, folder: Path) -> None:
    """Write what the collection holds by now."""
    from semblant_search.store import open_database

    from semblant_indexer.exporting import export_vectors

    with (
        closing(open_database(job.db, api_key=job.api_key, timeout=job.timeout)) as database,
        closing(database.open(job.collection)) as store,
    ):
        export_vectors(store, folder)


@contextmanager
def _ending_in_time(stopped: str) -> Iterator[None]:
    """Let SIGTERM stop the job as Ctrl-C does, and end the process soon after either, whatever holds up the main thread.

    Python raises `KeyboardInterrupt` only between two of its own steps: not while a server stalls or the engine works. The
    signal's number reaches a pipe at once, and what a job has written is safe at any moment. `stopped` is told then.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def guard() -> None:
        while received := os.read(reader, 1):
            if received[0] in (signal.SIGINT, signal.SIGTERM):
                time.sleep(_GRACE)
                _stop(stopped)

    thread = threading.Thread(target=guard, name="semblant-signals", daemon=True)
    thread.start()
    interrupted = False
    try:
        yield
    except KeyboardInterrupt:
        interrupted = True  # the guard stays: closing what is open may take a while, too
        raise
    finally:
        if not interrupted:
            signal.set_wakeup_fd(before)
            os.close(writer)
            thread.join()
            os.close(reader)


def _saved(job: IndexJob) -> str:
    return f"What was indexed of {shown_name(job.source)} is saved; the same command goes on from there."


def _stop(what_is_left: str) -> NoReturn:
    """Say how to go on, and leave at once: the engine may still be building its search graph, and would hold the process."""
    with _STOPPING:
        click.echo(f"\nStopped. {what_is_left}", err=True)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(130)
