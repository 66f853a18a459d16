"""Tables of pictures: CSV, JSON Lines and Parquet with a column that names the picture, everything else metadata."""

from __future__ import annotations

import csv
import json
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from semblant_search.collection import FieldType, canonical_uri, check_field_name
from semblant_search.errors import MetadataError, MissingExtra
from semblant_search.writing.metadata import TypeInference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .uris import UriBase, UrlBase

__all__ = ["FILE_COLUMNS", "LIST_SUFFIXES", "Row", "infer_types", "read_rows", "row_uri"]

FILE_COLUMNS = ("file", "path", "filename", "uri", "url")
"""Names of the column that says which picture a row is about; the first that is there counts."""

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
