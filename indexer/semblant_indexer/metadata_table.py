"""A metadata table by the pictures that its rows are about. It waits in a temporary file: a million rows fill no memory."""

from __future__ import annotations

import json
import sqlite3
import weakref
from typing import TYPE_CHECKING, Any

from semblant_search.errors import MetadataError, StoreError
from semblant_search.writing.metadata import TypeInference, convert_record

from .tables import read_rows, row_uri
from .uris import UriBase, UrlBase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from semblant_search.collection import FieldType

    from .tables import Row

__all__ = ["MetadataTable", "load_metadata"]

_REMEMBERED = 1024
"""Different rows whose payload, or whose types, are remembered: rows often say the same (a label, a split)."""


class MetadataTable:
    """The rows of a table by canonical URI; `load_metadata` reads them.

    Args:
        declared: types of columns that are not to be inferred.
        text: the table is of a text format, where `12` may be a number.
        name: of the file, for messages.
    """

    def __init__(self, declared: Mapping[str, FieldType] | None = None, *, text: bool = False, name: str = "the table") -> None:
        self._name = name
        self._repeated = 0
        self._types = TypeInference(text=text, declared=declared)
        self._payloads: dict[str, dict[str, Any]] = {}
        self._alike: set[str] = set()
        # An unnamed SQLite database lives in memory and moves to a temporary file when it grows.
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._connection.execute("CREATE TABLE rows (uri TEXT NOT NULL UNIQUE, line INTEGER NOT NULL, record TEXT NOT NULL)")
        self._connection.execute("PRAGMA journal_mode = OFF")
        weakref.finalize(self, self._connection.close)
        self._count = 0
        self._last: tuple[str, str | None] = "", None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        return (str(row[0]) for row in self._connection.execute("SELECT uri FROM rows ORDER BY rowid"))

    def __contains__(self, uri: object) -> bool:
        return self._row(str(uri)) is not None

    @property
    def notes(self) -> list[str]:
        """What a user should know: columns that mix types, rows that repeat."""
        rows = "1 row" if self._repeated == 1 else f"{self._repeated} rows"
        repeated = f"{rows} of {self._name.rpartition('/')[2]} repeated another one"
        return [*self._types.notes, *([repeated] if self._repeated else [])]

    @property
    def fields(self) -> dict[str, FieldType]:
        """The type of each column."""
        return self._types.fields

    def add(self, uri: str, row: Row) -> None:
        """Take in a row. Raises `MetadataError` where another one says something else about this picture."""
        said = json.dumps({name: value for name, value in row.record.items() if value is not None}, sort_keys=True, default=str)
        if self._ask("INSERT OR IGNORE INTO rows VALUES (?, ?, ?)", uri, row.line, said).rowcount == 0:
            line, known = self._ask("SELECT line, record FROM rows WHERE uri = ?", uri).fetchone()
            if known != said:
                raise MetadataError(
                    f"{self._name!r}: lines {line} and {row.line} say different things about {row.file!r}; keep one of them"
                )
            self._repeated += 1
            return
        self._count += 1
        if said not in self._alike:
            self._types.add(row.record, row.line)
            if len(self._alike) < _REMEMBERED:
                self._alike.add(said)

    def adopt(self, known: Mapping[str, FieldType]) -> None:
        """Take the types of a collection's fields that are wider than those of the columns."""
        self._types.adopt(known)
        self._payloads.clear()

    def record(self, uri: str) -> dict[str, Any] | None:
        """The row of a picture as it was read, or None; without its empty values."""
        said = self._row(uri)
        return None if said is None else dict(json.loads(said))

    def payload(self, uri: str) -> Mapping[str, Any]:
        """The row of a picture as payload; empty without one. Raises `MetadataError` where a value does not fit its type."""
        said = self._row(uri)
        if said is None:
            return {}
        payload = self._payloads.get(said)
        if payload is None:
            if len(self._payloads) >= _REMEMBERED:
                self._payloads.clear()
            payload = self._payloads[said] = convert_record(json.loads(said), self.fields)
        return payload

    def below(self, prefix: str) -> int:
        """How many rows are about pictures whose URI begins like this."""
        (count,) = self._ask("SELECT count(*) FROM rows WHERE substr(uri, 1, ?) = ?", len(prefix), prefix).fetchone()
        return int(count)

    def _row(self, uri: str) -> str | None:
        if not self._count:
            return None
        if self._last[0] != uri:  # one picture is asked about several times
            found = self._ask("SELECT record FROM rows WHERE uri = ?", uri).fetchone()
            self._last = uri, None if found is None else str(found[0])
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
    path: Path, declared: Mapping[str, FieldType] | None = None, base: UriBase | UrlBase | None = None
) -> MetadataTable:
    """Read a metadata table.

    Args:
        path: the table.
        declared: types of columns that are not to be inferred.
        base: what relative names in it are relative to; None takes its folder.

    Raises:
        MetadataError: not a table, a column that cannot be used, or two rows that say different things about one picture.
        StoreError: there is no room for a temporary file.
    """
    table = MetadataTable(declared, text=path.suffix.lower() in (".csv", ".tsv"), name=str(path))
    base = base or UriBase(path.parent)
    for row in read_rows(path):
        table.add(row_uri(row.file, base), row)
    return table
