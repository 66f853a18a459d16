"""What a person sees of a run: a live line on a terminal, plain lines elsewhere, and a table at the end. All on stderr."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from .report import IndexReport, Progress

__all__ = ["ProgressDisplay", "print_report"]

_PHASES = {
    "scan": "Looking at what is there",
    "vocabulary": "Learning visual words",
    "index": "Indexing",
    "words": "Writing visual words",
    "optimize": "Building the search graph",
    "calibrate": "Measuring how alike unlike pictures are",
    "background": "Measuring how alike chance looks",
    "done": "Done",
}
_PLAIN_EVERY = 10.0
_SHOWN_FAILURES = 20


class ProgressDisplay:
    """Shows `Progress` as it comes. A context manager; the object itself is the callback."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._live = not quiet and sys.stderr.isatty()
        self._quiet = quiet
        self._phase = ""
        self._said = 0.0
        if self._live:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            self._bars = Bars(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[details]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bars.add_task("", total=None, details="")

    def __enter__(self) -> ProgressDisplay:
        if self._live:
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._bars.stop()

    def __call__(self, progress: Progress) -> None:
        """Show where the run is."""
        if self._live:
            self._bars.update(
                self._task,
                description=_PHASES.get(progress.phase, progress.phase),
                completed=progress.done,
                total=progress.total or None,
                details=_details(progress),
            )
        elif not self._quiet:
            self._plain(progress)

    def _plain(self, progress: Progress) -> None:
        moment = time.monotonic()
        if progress.phase == self._phase and moment - self._said < _PLAIN_EVERY:
            return
        if progress.phase != self._phase:
            self._phase = progress.phase
            if progress.phase == "done":
                return
            line = _PHASES.get(progress.phase, progress.phase)
        else:
            line = f"{progress.done:,} of {progress.total:,}"
        details = _details(progress)
        self._said = moment
        print(f"{line}{', ' + details if details else ''}", file=sys.stderr, flush=True)


def print_report(report: IndexReport) -> None:
    """The account of a run: what became of every item, what went wrong, where the time went."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{report.collection} in {report.db}" if report.generation else report.db,
        title_justify="left",
    )
    table.add_column("pictures")
    table.add_column("", justify="right")
    for name in ("found", "indexed", "unchanged", "duplicate", "failed", "skipped"):
        value = getattr(report, name)
        style = "red" if name == "failed" and value else "bold" if name == "indexed" and value else ""
        table.add_row(name, f"{value:,}", style=style)
    table.add_section()
    for name in ("accepted", "moved", "pruned"):
        if value := getattr(report, name):
            table.add_row(name, f"{value:,}")
    table.add_row("in the collection" if report.generation else "in the files", f"{report.points:,}")
    rate = report.encoded / report.stages["index"] if report.encoded and report.stages.get("index") else 0.0
    if report.recall_at_10 is not None:
        table.add_row("recall@10 of searches", f"{report.recall_at_10:.3f}")
    table.add_row("seconds", f"{report.seconds:,.1f}" + (f"  ({rate:,.0f} pictures/s)" if rate else ""))
    console.print(table)
    for failure in report.failures[:_SHOWN_FAILURES]:
        console.print(f"[red]{failure.reason}[/] {escape(_printable(failure.message))}")
    if report.failed > _SHOWN_FAILURES:
        kinds = ", ".join(f"{count:,} {reason}" for reason, count in sorted(report.reasons.items()))
        console.print(f"… {report.failed:,} failed in all: {kinds}")
    for note in report.notes:
        console.print(f"[yellow]Note:[/] {escape(_printable(note))}")
    if report.removed > report.pruned and report.unpruned is None:
        console.print(
            f"[yellow]Note:[/] {report.removed - report.pruned:,} indexed pictures are gone from the source; "
            "--prune removes them from the collection"
        )


def _details(progress: Progress) -> str:
    parts = []
    if progress.rate:
        parts.append(f"{progress.rate:,.0f}/s")
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    parts += [f"{stage} {share:.0%}" for stage, share in progress.busy.items()]
    return ", ".join(parts)


def _printable(text: str) -> str:
    """One line, whatever a file name holds."""
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)
