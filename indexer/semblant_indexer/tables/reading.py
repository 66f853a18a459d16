"""The rows of a table, whatever its format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semblant_search.collection import FieldType, canonical_uri
from semblant_search.errors import MetadataError
from semblant_search.writing.metadata import TypeInference

from semblant_indexer.losses import Losses

from .columns import FILE_COLUMNS, Row
from .objects import read_json_file, read_json_lines
from .parquet import read_parquet
from .separated import read_separated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from semblant_indexer.uris import MemberBase, UriBase, UrlBase

__all__ = ["LIST_SUFFIXES", "TEXT_SUFFIXES", "infer_types", "read_rows", "row_uri"]

TEXT_SUFFIXES = (".csv", ".tsv")
"""Formats in which everything is text, and `12` may be a number."""
LIST_SUFFIXES = (*TEXT_SUFFIXES, ".jsonl", ".ndjson", ".parquet")
_READERS = {
    ".csv": read_separated,
    ".tsv": read_separated,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json_file,
    ".parquet": read_parquet,
}


def read_rows(path: Path, losses: Losses | None = None, file_column: str | None = None) -> Iterator[Row]:
    """The rows of a `.csv`, `.tsv`, `.jsonl`, `.json` or `.parquet` file.

    Args:
        path: the table.
        losses: hears of rows, columns and values that cannot be kept, with their lines.
        file_column: the column that names the picture; None takes the first of `FILE_COLUMNS`.

    Raises:
        NoFileColumnError: nothing in it names a picture.
        MetadataError: it cannot be read, or is no table.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise MetadataError(
            f"{str(path)!r}: expected a .csv, .tsv, .jsonl, .json or .parquet file with a column {FILE_COLUMNS[0]!r}"
        )
    return reader(path, losses if losses is not None else Losses(), file_column)


def infer_types(
    path: Path, declared: Mapping[str, FieldType], losses: Losses | None = None, file_column: str | None = None
) -> TypeInference:
    """Read a table once to learn the types of its columns. Arguments and errors as `read_rows`."""
    inference = TypeInference(text=path.suffix.lower() in TEXT_SUFFIXES, declared=declared)
    for row in read_rows(path, losses, file_column):
        inference.add(row.record, row.line)
    return inference


def row_uri(file: str, base: UriBase | UrlBase | MemberBase) -> str:
    """The canonical URI of what a row names: a URL as it is, a path relative to the table."""
    return canonical_uri(file) if "://" in file else base.join(file)
