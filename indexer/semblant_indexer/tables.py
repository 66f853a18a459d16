"""Tables of pictures: CSV, JSON Lines and Parquet with a column that names the picture, everything else metadata."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from semblant_search.collection import FieldType, canonical_uri, check_field_name
from semblant_search.errors import MetadataError, MissingExtra
from semblant_search.writing.metadata import TypeInference, convert_record

from .uris import UriBase, UrlBase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["FILE_COLUMNS", "LIST_SUFFIXES", "Metadata", "Row", "infer_types", "load_metadata", "read_rows", "row_uri"]

FILE_COLUMNS = ("file", "path", "filename", "uri", "url")
"""Names of the column that says which picture a row is about; the first that is there counts."""

_PAYLOADS = 1024
LIST_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


class Row(NamedTuple):
    """One row: its line in the file (from 1), the picture as written there, and the other columns."""

    line: int
    file: str
    record: dict[str, Any]


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a `.csv`, `.tsv`, `.jsonl` or `.parquet` file. Raises `MetadataError`, with the line, on what is none."""
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return _read_jsonl(path)
    if suffix in (".csv", ".tsv"):
        return _read_csv(path)
    if suffix == ".parquet":
        return _read_parquet(path)
    raise MetadataError(f"{str(path)!r}: expected a .csv, .tsv, .jsonl or .parquet file with a column {FILE_COLUMNS[0]!r}")


def infer_types(path: Path, declared: Mapping[str, FieldType]) -> TypeInference:
    """Read a table once to learn the types of its columns."""
    inference = TypeInference(text=path.suffix.lower() in (".csv", ".tsv"), declared=declared)
    for row in read_rows(path):
        inference.add(row.record, row.line)
    return inference


def row_uri(file: str, base: UriBase | UrlBase) -> str:
    """The canonical URI of what a row names: a URL as it is, a path relative to the table."""
    return canonical_uri(file) if "://" in file else base.join(file)


@dataclass
class Metadata:
    """A metadata table in memory, by canonical URI.

    Attributes:
        fields: the type of each column.
        notes: what a user should know: columns that mix types, rows that repeat.
    """

    fields: dict[str, FieldType] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _columns: tuple[str, ...] = ()
    _rows: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    _text: bool = False
    _payloads: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def adopt(self, known: Mapping[str, FieldType]) -> None:
        """Take the types of a collection's fields that are wider than those of the columns."""
        types = TypeInference(text=self._text, declared=self.fields)
        types.adopt(known)
        self.fields = types.fields
        self._payloads.clear()

    def record(self, uri: str) -> dict[str, Any] | None:
        """The row of a picture as it was read, or None."""
        values = self._rows.get(uri)
        return None if values is None else dict(zip(self._columns, values, strict=False))

    def payload(self, uri: str) -> Mapping[str, Any]:
        """The row of a picture as payload; empty without one. Raises `MetadataError` where a value does not fit its type."""
        values = self._rows.get(uri)
        if values is None:
            return {}
        if not self._text:  # True, 1 and 1.0 are the same key, but not the same value
            return convert_record(self.record(uri) or {}, self.fields)
        # Rows often say the same (a label, a split); converting them takes long over many unchanged files.
        known = self._payloads.get(values)
        if known is None:
            if len(self._payloads) >= _PAYLOADS:
                self._payloads.clear()
            known = self._payloads[values] = convert_record(self.record(uri) or {}, self.fields)
        return known


def load_metadata(
    path: Path, declared: Mapping[str, FieldType] | None = None, base: UriBase | UrlBase | None = None
) -> Metadata:
    """Read a metadata table.

    Args:
        path: the table.
        declared: types of columns that are not to be inferred.
        base: what relative names in it are relative to; None takes its folder.

    Raises:
        MetadataError: not a table, a column that cannot be used, or two rows that say different things about one picture.
    """
    text = path.suffix.lower() in (".csv", ".tsv")
    inference = TypeInference(text=text, declared=declared)
    base = base or UriBase(path.parent)
    columns: dict[str, int] = {}
    rows: dict[str, tuple[Any, ...]] = {}
    lines: dict[str, int] = {}
    shared: dict[Any, Any] = {}
    alike: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    repeated = 0
    for row in read_rows(path):
        if text and columns:  # a CSV row has a cell for every column
            values = tuple(row.record.values())
        else:
            for name in row.record:
                columns.setdefault(name, len(columns))
            values = tuple(row.record.get(name) for name in columns)
        uri = row_uri(row.file, base)
        if uri in rows:
            if rows[uri] != values:
                raise MetadataError(
                    f"{str(path)!r}: lines {lines[uri]} and {row.line} say different things about {row.file!r}; "
                    "keep one of them"
                )
            repeated += 1
            continue
        known = alike.get(values) if text else None
        if known is None:
            inference.add(row.record, row.line)
            # Labels repeat: one object for equal texts keeps a million rows small.
            known = tuple(
                shared.setdefault(value, value) if isinstance(value, str) and len(value) < 64 else value for value in values
            )
            if text and len(alike) < _PAYLOADS:
                alike[known] = known
        rows[uri], lines[uri] = known, row.line
    notes = inference.notes
    if repeated:
        notes.append(f"{repeated} row{'s' if repeated > 1 else ''} of {path.name} repeated another one")
    return Metadata(inference.fields, notes, tuple(columns), rows, text)


def _read_csv(path: Path) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header_line = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=header_line.count)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = [name.strip() for name in next(reader, [])]
            position = _file_column(header, path)
            names = [check_field_name(name) for number, name in enumerate(header) if number != position]
            if len(set(names)) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise MetadataError(f"{str(path)!r}: column {twice!r} appears twice; rename one of them")
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise MetadataError(
                        f"{str(path)!r}, line {reader.line_num}: {len(cells)} cells where the header has {len(header)} columns"
                    )
                file_name = cells.pop(position)
                if not file_name:
                    raise MetadataError(f"{str(path)!r}, line {reader.line_num}: column {header[position]!r} is empty")
                yield Row(reader.line_num, file_name, dict(zip(names, cells, strict=True)))
    except OSError as error:
        raise MetadataError(f"{str(path)!r}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise MetadataError(
            f"{str(path)!r}: is not UTF-8 text (byte {error.start}: {error.reason}); save it as UTF-8"
        ) from error
    except csv.Error as error:
        raise MetadataError(f"{str(path)!r}, line {reader.line_num}: not a CSV row: {error}") from error


def _read_jsonl(path: Path) -> Iterator[Row]:
    number = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise MetadataError(
                        f"{str(path)!r}, line {number}: expected one JSON object a line, found {line.strip()[:60]}"
                    )
                position = _file_column(list(record), path, number)
                column = list(record)[position]
                value = record.pop(column)
                if not isinstance(value, str) or not value:
                    raise MetadataError(f"{str(path)!r}, line {number}: {column!r} must name a picture, found {value!r}")
                for name in record:
                    check_field_name(name)
                yield Row(number, value, record)
    except OSError as error:
        raise MetadataError(f"{str(path)!r}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise MetadataError(
            f"{str(path)!r}: is not UTF-8 text (byte {error.start}: {error.reason}); save it as UTF-8"
        ) from error
    except ValueError as error:
        if isinstance(error, MetadataError):
            raise
        raise MetadataError(f"{str(path)!r}, line {number}: not JSON: {error}") from error


def _read_parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("reading Parquet files", "semblant-indexer[parquet]") from error
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            columns = list(file.schema_arrow.names)
            position = _file_column(columns, path)
            for name in columns:
                check_field_name(name)
            for batch in file.iter_batches(batch_size=4096):
                for record in batch.to_pylist():
                    number += 1
                    value = record.pop(columns[position])
                    if not isinstance(value, str) or not value:
                        raise MetadataError(
                            f"{str(path)!r}, row {number}: {columns[position]!r} must name a picture, found {value!r}"
                        )
                    yield Row(number, value, {name: _plain(cell) for name, cell in record.items()})
    except (pyarrow.ArrowException, OSError) as error:
        raise MetadataError(f"{str(path)!r}: cannot be read as Parquet: {error}") from error


def _plain(cell: Any) -> Any:
    """What JSON has: times as text, numbers of other kinds as floats, bytes as text."""
    if isinstance(cell, (date, datetime)):
        return cell.isoformat()
    if isinstance(cell, Decimal):
        return float(cell)
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    if isinstance(cell, list):
        return [_plain(each) for each in cell]
    if isinstance(cell, dict):
        return {name: _plain(each) for name, each in cell.items()}
    return cell


def _file_column(columns: list[str], path: Path, line: int = 1) -> int:
    for name in FILE_COLUMNS:
        if name in columns:
            return columns.index(name)
    raise MetadataError(
        f"{str(path)!r}, line {line}: no column names the picture; expected one of {', '.join(FILE_COLUMNS)}, "
        f"found {', '.join(map(repr, columns)) or 'nothing'}"
    )
