"""Ending a job from elsewhere in its process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semblant_search.errors import SemblantError

if TYPE_CHECKING:
    import threading

    from .report import Progress

__all__ = ["JobCancelled", "check_cancelled"]


class JobCancelled(SemblantError):  # noqa: N818 - as all of Semblant's
    """A job was told to end before it was done. What it wrote is kept, and the next run goes on from there.

    Attributes:
        progress: where it was.
    """

    def __init__(self, message: str, progress: Progress) -> None:
        super().__init__(message)
        self.progress = progress


def check_cancelled(cancel: threading.Event | None, progress: Progress) -> None:
    """Raise `JobCancelled` where the event is set."""
    if cancel is None or not cancel.is_set():
        return
    where = f"at {progress.done:,} of {progress.total:,} pictures" if progress.total else f"during {progress.phase!r}"
    raise JobCancelled(f"cancelled {where}; what was written is kept, and the same job goes on from there", progress)
