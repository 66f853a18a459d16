"""Who else listens to a run: a log of JSON lines, and Prometheus."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, TextIO

from semblant_search.errors import InvalidInput, MissingExtra
from semblant_search.shown import shown
from semblant_search.writing.points import now

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_search.errors import SemblantError

    from .report import IndexReport, Progress

__all__ = ["JsonLog", "Metrics", "tee"]

_EVERY = 5.0


def tee(*listeners: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """One callback that calls several."""

    def call(progress: Progress) -> None:
        for listener in listeners:
            listener(progress)

    return call


class JsonLog:
    """One JSON object a line on stderr: every new phase, progress every five seconds, and the report at the end."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._phase, self._said = "", 0.0

    def __call__(self, progress: Progress) -> None:
        """Write a line, if it is time for one."""
        moment = time.monotonic()
        if progress.phase == self._phase and moment - self._said < _EVERY:
            return
        self._phase, self._said = progress.phase, moment
        self._write(
            "progress",
            phase=progress.phase,
            total=progress.total,
            done=progress.done,
            failed=progress.failed,
            pictures_per_s=round(progress.rate, 1),
            busy={stage: round(share, 3) for stage, share in progress.busy.items()},
        )

    def finish(self, report: IndexReport) -> None:
        """Write the failures and the report."""
        for failure in report.failures:
            self._write("failure", uri=failure.uri, reason=failure.reason, message=failure.message)
        self._write("report", **{name: value for name, value in report.to_json().items() if name != "failures"})

    def problem(self, problem: SemblantError) -> None:
        """Write what kept a run from its end."""
        self._write("problem", message=str(problem))

    def _write(self, event: str, **values: object) -> None:
        print(json.dumps({"at": now(), "event": event, **values}), file=self._stream, flush=True)


class Metrics:
    """The run as Prometheus metrics at `http://HOST:PORT/metrics`.

    Args:
        port: 1–65535, or 0 for any free one.
        host: address to listen at; any other than this machine's is open to who reaches it.

    Raises:
        MissingExtra: prometheus-client is not installed.
        InvalidInput: the port cannot be used, or the address is none of this machine's.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server
        except ImportError as error:
            raise MissingExtra("metrics for Prometheus", "semblant-indexer[metrics]") from error
        registry = CollectorRegistry()
        self._phase = Gauge("semblant_index_phase", "1 for the phase that the job is in.", ["phase"], registry=registry)
        self._total = Gauge("semblant_index_pictures_total", "Pictures that this run looks at.", registry=registry)
        self._done = Gauge("semblant_index_pictures_done", "Pictures that this run is done with.", registry=registry)
        self._failed = Gauge("semblant_index_pictures_failed", "Pictures of this run that failed.", registry=registry)
        self._busy = Gauge("semblant_index_stage_busy", "Share of time that a stage works.", ["stage"], registry=registry)
        self._runs = Counter("semblant_index_runs", "Finished runs.", registry=registry)
        self._problems = Counter("semblant_index_problems", "Runs of a watched folder that could not end.", registry=registry)
        self._outcome = Gauge("semblant_index_outcome", "Pictures by outcome, last run.", ["outcome"], registry=registry)
        self._points = Gauge("semblant_index_points", "Points in the collection.", registry=registry)
        try:
            self._server, self._thread = start_http_server(port, addr=host, registry=registry)
        except (OSError, OverflowError, UnicodeError) as error:
            at = f"metrics port {port} of {shown(host)}"
            raise InvalidInput(f"{at}: cannot be listened at ({error}); choose another one") from error

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return int(self._server.server_port)

    def __call__(self, progress: Progress) -> None:
        """Take in where the run is."""
        self._phase.clear()
        self._phase.labels(progress.phase).set(1)
        self._total.set(progress.total)
        self._done.set(progress.done)
        self._failed.set(progress.failed)
        for stage, share in progress.busy.items():
            self._busy.labels(stage).set(share)

    def finish(self, report: IndexReport) -> None:
        """Take in what became of it all."""
        self._runs.inc()
        for outcome in ("indexed", "unchanged", "duplicate", "failed", "accepted", "skipped"):
            self._outcome.labels(outcome).set(getattr(report, outcome))
        self._points.set(report.points)

    def problem(self, _: SemblantError) -> None:
        """Count a run that did not come to its end."""
        self._problems.inc()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
