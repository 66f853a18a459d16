"""A job of a service that learns: an encoder, or visual words. It indexes nothing, and tells its step in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semblant_search.errors import SemblantError

from .running_job import RunningJob

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from semblant_indexer.report import Progress

    from .models import JobProgress, State

    Making = Callable[[Callable[[Progress], None], threading.Event], None]

__all__ = ["LearningJob"]


class LearningJob(RunningJob):
    """An encoder, or visual words, being made.

    Args:
        source: folder of the pictures that they are made for.
        collection: that will have them.
        step: what it begins with, in words.
        make: makes them; is given whom to tell its steps to, whose phases are words for people, and what ends it once set.
            Raises `SemblantError` where none were made.
    """

    def __init__(self, source: str, collection: str, step: str, make: Making) -> None:
        super().__init__("learn", source, collection, step)
        self._make = make

    def _do(self) -> State:
        try:
            self._make(self._on_progress, self._cancel)
        except SemblantError:
            if self._cancel.is_set():
                return "cancelled"
            raise
        return "cancelled" if self._cancel.is_set() else "done"

    def _shown(self, progress: Progress) -> JobProgress:
        """Without a rate: steps count other things than pictures, too."""
        return super()._shown(progress).model_copy(update={"pictures_per_s": 0.0})
