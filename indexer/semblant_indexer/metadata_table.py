"""Metadata tables by the pictures that their rows are about. They wait in a temporary file: a million rows fill no memory."""

from __future__ import annotations

import json
import sqlite3
import weakref
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from semblant_search.errors import InvalidInput, StoreError
from semblant_search.writing.metadata import TypeInference, clean_text

from .losses import Losses
from .matching import Matches, match_rows
from .tables import TEXT_SUFFIXES, read_rows, row_uri
from .uris import UriBase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from semblant_search.collection import FieldType

    from .tables import Row
    from .uris import MemberBase, UrlBase

__all__ = ["MetadataTable", "load_metadata"]

_REMEMBERED = 1024
"""Different rows whose payload, or whose types, are remembered: rows often say the same (a label, a split)."""
_AS_JSON = json.JSONEncoder(sort_keys=True, default=str).encode
_SCHEMA = """
CREATE TABLE rows (
    uri TEXT NOT NULL UNIQUE, line INTEGER NOT NULL, record TEXT NOT NULL, named TEXT NOT NULL, source TEXT NOT NULL,
    place TEXT NOT NULL
);
PRAGMA journal_mode = OFF;
"""


class MetadataTable:
    """The rows of tables by canonical URI; `load_metadata` reads one, `add_table` more.

    Args:
        declared: types of columns that are not to be inferred.
        text: rows are of a text format, where `12` may be a number.
        name: of the file, for messages.
    """

    def __init__(self, declared: Mapping[str, FieldType] | None = None, *, text: bool = False, name: str = "the table") -> None:
        self._name = name
        self._file = PurePath(name).name
        self._text = text
        self._repeated: dict[str, int] = {}
        """Rows that say what an earlier one said, by their tables."""
        self._places: list[str] = []
        self._declared = dict(declared or {})
        self._types = TypeInference(text=text, declared=declared)
        self._read = Losses()
        self._unfit = Losses()
        self._payloads: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {}
        self._alike: set[tuple[bool, str]] = set()
        # An unnamed SQLite database lives in memory and moves to a temporary file when it grows.
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._connection.executescript(_SCHEMA)
        weakref.finalize(self, self._connection.close)
        self._count = 0
        self._last: tuple[str, tuple[str, int, str] | None] = "", None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        return (str(row[0]) for row in self._connection.execute("SELECT uri FROM rows ORDER BY rowid"))

    def __contains__(self, uri: object) -> bool:
        return self._row(str(uri)) is not None

    @property
    def name(self) -> str:
        """Of the file that was read last."""
        return self._name

    @property
    def notes(self) -> list[str]:
        """What a user should know: what was left out, rows that repeat, columns that are not what they look like."""
        return [*self.losses, *self._types.notes]

    @property
    def losses(self) -> list[str]:
        """What was left out, and rows that repeat."""
        several = len(self._places) > 1
        repeated = [
            f"{'1 row' if count == 1 else f'{count} rows'} of {place if several else PurePath(place).name} repeated another one"
            for place, count in self._repeated.items()
        ]
        return [*self._read.notes, *self._unfit.notes, *repeated]

    @property
    def fields(self) -> dict[str, FieldType]:
        """The type of each column."""
        return self._types.fields

    @property
    def columns(self) -> frozenset[str]:
        """The columns that had a value."""
        return self._types.seen

    @property
    def places(self) -> frozenset[str]:
        """Paths or addresses of the tables that have rows."""
        return frozenset(str(row[0]) for row in self._ask("SELECT DISTINCT place FROM rows"))

    def add_table(
        self,
        path: Path,
        base: UriBase | UrlBase | MemberBase,
        file_column: str | None = None,
        *,
        name: str | None = None,
    ) -> None:
        """Read a table; relative names in it are relative to `base`. Raises as `read_rows`, and `StoreError`."""
        self._name, self._text = name or str(path), path.suffix.lower() in TEXT_SUFFIXES
        self._places.append(self._name)
        self._file = self._told(self._name)
        self._ask("BEGIN")  # a transaction for each row takes longer than the row
        try:
            for row in read_rows(path, self._read, file_column):
                try:
                    uri = row_uri(row.file, base)
                except (InvalidInput, ValueError) as error:  # a name that no file can have
                    self._read.add("rows whose picture's name cannot be one", f"{path.name}, line {row.line}: {error}")
                    continue
                self.add(uri, row)
        finally:
            if self._connection.in_transaction:  # which ends where there is no room
                self._ask("COMMIT")

    def add(self, uri: str, row: Row) -> None:
        """Take in a row; of two that say different things about one picture the first counts."""
        said = _AS_JSON({name: value for name, value in row.record.items() if value is not None})
        insert = "INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?, ?, ?)"
        if self._ask(insert, uri, row.line, said, clean_text(row.file), self._file, self._name).rowcount == 0:
            line, known, place = self._ask("SELECT line, record, place FROM rows WHERE uri = ?", uri).fetchone()
            if known != said:
                self._read.add(
                    "rows that say different things about a picture than an earlier one",
                    f"{self._name!r}: lines {line} and {row.line} about {row.file!r}"
                    if place == self._name
                    else f"{self._name!r}, line {row.line}, and {place!r}, line {line}, about {row.file!r}",
                )
            else:
                self._repeated[self._name] = self._repeated.get(self._name, 0) + 1
            return
        self._count += 1
        self._last = "", None
        if (self._text, said) not in self._alike:
            self._types.add(row.record, self._where(self._name, row.line), text=self._text)
            if len(self._alike) < _REMEMBERED:
                self._alike.add((self._text, said))

    def match(self, pictures: Iterable[str], root: str, second: Callable[[], Iterable[str]] = lambda: ()) -> Matches:
        """Give rows to pictures whose names are written otherwise.

        See `matching`. `pictures` are the URIs of all there are, `root` that of their folder, with a slash at the end; rows may
        keep names out of `second`.
        """
        found = match_rows(self._connection, pictures, root, second) if self._count else Matches(0, [], [])
        self._last = "", None
        return found

    def forget(self, places: Iterable[str]) -> None:
        """Drop the rows of some tables with their columns: these are about something else."""
        for place in places:
            self._ask("DELETE FROM rows WHERE place = ?", place)
            self._repeated.pop(place, None)
        (self._count,) = self._ask("SELECT count(*) FROM rows").fetchone()
        self._last = "", None
        self._types = TypeInference(text=self._text, declared=self._declared if self._count else None)
        for said, line, place in self._ask("SELECT record, line, place FROM rows ORDER BY rowid"):
            self._types.add(json.loads(said), self._where(place, line), text=place.lower().endswith(TEXT_SUFFIXES))
        self._payloads.clear()
        self._alike.clear()
        if not self._count:
            self._read.clear()

    def share(self, types: TypeInference) -> None:
        """Let types be inferred together with those of other tables: `types` hears of all rows, and counts from here on."""
        for said, line, source in self._ask("SELECT record, line, source FROM rows"):
            types.add(json.loads(said), f"{source}, line {line}", text=source.lower().endswith(TEXT_SUFFIXES))
        self._types = types
        self._payloads.clear()

    def adopt(self, known: Mapping[str, FieldType]) -> None:
        """Take the types of a collection's fields that are wider than those of the columns."""
        self._types.adopt(known)
        self._payloads.clear()

    def begin(self) -> None:
        """All pictures will be asked for from here on: what does not fit its type is counted anew."""
        self._unfit.clear()

    def record(self, uri: str) -> dict[str, Any] | None:
        """The row of a picture as it was read, or None; without its empty values."""
        row = self._row(uri)
        return None if row is None else dict(json.loads(row[0]))

    def payload(self, uri: str) -> Mapping[str, Any]:
        """The row of a picture as payload; empty without one. Values that do not fit their type are left out and noted."""
        row = self._row(uri)
        if row is None:
            return {}
        said, line, source = row
        known = self._payloads.get(said)
        if known is None:
            if len(self._payloads) >= _REMEMBERED:
                self._payloads.clear()
            misfits: list[tuple[str, str]] = []
            payload = self._types.convert(json.loads(said), lambda name, problem: misfits.append((name, problem)))
            known = self._payloads[said] = payload, misfits
        for name, problem in known[1]:
            keep = f"--field {name}:keyword keeps it, and makes the column text"
            self._unfit.add(f"values of metadata field {name!r}", f"{source}, line {line}: {problem}; {keep}")
        return known[0]

    def _told(self, place: str) -> str:
        """A table as messages name it: the first by its file's name, which says enough where there is no other."""
        return place if self._places and place != self._places[0] else PurePath(place).name

    def _where(self, place: str, line: int) -> int | str:
        """Where a row is, for notes on columns."""
        return f"{place}, line {line}" if self._places and place != self._places[0] else line

    def _row(self, uri: str) -> tuple[str, int, str] | None:
        if not self._count:
            return None
        if self._last[0] != uri:  # one picture is asked about several times
            self._last = uri, self._ask("SELECT record, line, source FROM rows WHERE uri = ?", uri).fetchone()
        return self._last[1]

    def _ask(self, statement: str, *values: object) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise StoreError(
                f"a metadata table cannot be kept in a temporary file: {error}; make room in the folder for temporary files, "
                "or choose another one (TMPDIR)"
            ) from error


def load_metadata(
    path: Path,
    declared: Mapping[str, FieldType] | None = None,
    base: UriBase | UrlBase | None = None,
    file_column: str | None = None,
) -> MetadataTable:
    """Read a metadata table.

    Args:
        path: the table.
        declared: types of columns that are not to be inferred.
        base: what relative names in it are relative to; None takes its folder.
        file_column: the column that names the picture; None takes the first of `FILE_COLUMNS`.

    Raises:
        MetadataError: not a table, or one that names no pictures.
        StoreError: there is no room for a temporary file.
    """
    table = MetadataTable(declared)
    table.add_table(path, base or UriBase(path.parent), file_column)
    return table
