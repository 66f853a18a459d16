"""Progress of work in several stages, as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Stages"]

_PARTS = 1000


class Stages:
    """Tells how much of all stages is done.

    Args:
        on_progress: called with what is done, and all.
        weights: of each stage, in their order: what share of the time it takes, about.
    """

    def __init__(self, on_progress: Callable[[int, int], None] | None, **weights: float) -> None:
        self._tell = on_progress
        whole, before = sum(weights.values()), 0.0
        self._spans: dict[str, tuple[float, float]] = {}
        for name, weight in weights.items():
            self._spans[name] = (before / whole, weight / whole)
            before += weight

    def within(self, name: str) -> Callable[[int, int], None] | None:
        """What a stage tells its own progress."""
        tell = self._tell
        if tell is None:
            return None
        begins, share = self._spans[name]
        return lambda done, total: tell(round(_PARTS * (begins + share * done / max(total, 1))), _PARTS)

    def end(self) -> None:
        """Tell that all is done, also of stages that were not needed."""
        if self._tell is not None:
            self._tell(_PARTS, _PARTS)
