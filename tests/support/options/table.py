"""The form of the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["CommandTable", "Row"]

Received = Mapping[str, object]
"""What the library received, such as `{"search.limit": 10}`: function and parameter, fields of dataclasses by their names."""


@dataclass(frozen=True)
class Row:
    """An option or argument of a command.

    Attributes:
        words: as a user types them.
        sets: what the library receives otherwise than without them. Nothing else may change.
        replaces: the beginning of names that are no longer received, where another function is called.
    """

    words: Sequence[str]
    sets: Received
    replaces: str | None = None


@dataclass(frozen=True)
class CommandTable:
    """A command.

    Attributes:
        name: its words, such as `data clipart`.
        required: what has to be given, by the option or argument that it belongs to.
        seams: the functions that it calls, as `module.function`, with what they answer; an exception ends the command.
        defaults: what the library receives where nothing but `required` is given.
        rows: by option, as typed (`-k` and `--limit` are two), or argument, as the help calls it.
        shown: options that the command line itself sees to; what they do is tested where it shows.
        unused: options that are taken for the sake of scripts that give them to all commands.
    """

    name: str
    required: Mapping[str, Sequence[str]]
    seams: Mapping[str, object]
    defaults: Received
    rows: Mapping[str, Row]
    shown: frozenset[str] = field(default_factory=frozenset)
    unused: frozenset[str] = field(default_factory=frozenset)

    def words(self, option: str | None = None) -> list[str]:
        """The words of the command line, with those of one row, if any."""
        given = self.rows[option].words if option is not None else ()
        required = [word for name, words in self.required.items() for word in (given if name == option else words)]
        return [*self.name.split(), *required, *(given if option not in self.required else ())]

    def expected(self, option: str) -> dict[str, object]:
        """What the library receives with one row's words."""
        row = self.rows[option]
        kept = {
            name: value for name, value in self.defaults.items() if row.replaces is None or not name.startswith(row.replaces)
        }
        return {**kept, **row.sets}
