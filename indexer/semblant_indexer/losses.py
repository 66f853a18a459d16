"""What of metadata could not be kept: one note for each kind of loss, with how often it came and where first."""

from __future__ import annotations

__all__ = ["Losses"]

_MOST = 30
"""Kinds of losses that are told one by one."""


class Losses:
    """Counts what is left out."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def add(self, what: str, where: str, *, told: str = "left out") -> None:
        """Count a loss.

        Args:
            what: its kind, in the plural, such as `rows that name no picture`.
            where: this one, with file and line.
            told: what became of it.
        """
        what = f"{told}: {what}"
        self._counts[what] = self._counts.get(what, 0) + 1
        self._first.setdefault(what, where)

    def clear(self) -> None:
        """Forget all: the source is read again."""
        self._counts.clear()
        self._first.clear()

    @property
    def notes(self) -> list[str]:
        """One line for each kind, in the order in which they came first."""
        told = list(self._counts)[:_MOST]
        lines = [f"{what} ({self._counts[what]:,}; the first: {self._first[what]})" for what in told]
        rest = len(self._counts) - len(told)
        return [*lines, f"left out: {rest:,} more kinds of what cannot be kept"] if rest > 0 else lines
