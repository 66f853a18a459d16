"""Progress on stderr, in the form in which the library reports it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["progress_bar"]


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar for each step; the callback takes what is being done, how much is done, and how much there is (None: unknown).

    Nothing is drawn where stderr is not a terminal.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        steps: dict[str, object] = {}

        def update(step: str, done: int, total: int | None) -> None:
            if step not in steps:
                steps.clear()
                for task in progress.task_ids:
                    progress.remove_task(task)
                steps[step] = progress.add_task(step, total=total)
            progress.update(progress.task_ids[-1], completed=done, total=total)

        yield update
