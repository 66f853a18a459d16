"""Which column names the picture, and which others can be fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from semblant_search.errors import MetadataError

from semblant_indexer.field_names import field_name, unlike

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from semblant_indexer.losses import Losses

__all__ = ["FILE_COLUMNS", "NoFileColumnError", "Row", "field_names", "file_column", "picture_named"]

FILE_COLUMNS = (
    *("file", "path", "filename", "file_name", "image", "uri", "url"),
    *("filepath", "file_path", "image_path", "image_file_name", "sourcefile"),
)
"""Names of the column that says which picture a row is about; the first that is there counts, in any case of letters."""


class NoFileColumnError(MetadataError):
    """A table in which nothing names a picture."""


class Row(NamedTuple):
    """One row: its line in the file (from 1), the picture as written there, and the other columns."""

    line: int
    file: str
    record: dict[str, Any]


def file_column(columns: Sequence[str], path: Path, wanted: str | None = None, line: int = 1) -> int:
    """The position of the column that names the picture: `wanted`, or one of `FILE_COLUMNS`. Raises `NoFileColumnError`."""
    if wanted is not None:
        if wanted in columns:
            return columns.index(wanted)
        raise NoFileColumnError(
            f"{str(path)!r}, line {line}: no column {wanted!r}, which is to name the picture; found {_listed(columns)}"
        )
    folded = [column.strip().lower() for column in columns]
    for names in (columns, folded):
        for name in FILE_COLUMNS:
            if name in names:
                return names.index(name)
    raise NoFileColumnError(
        f"{str(path)!r}, line {line}: no column names the picture; expected one of {', '.join(FILE_COLUMNS)} (or say which: "
        f"--file-column NAME), found {_listed(columns)}"
    )


def field_names(columns: Sequence[str], position: int, path: Path, losses: Losses) -> list[str | None]:
    """The field of each column, of a key within another one with a dot.

    None for the column that names the picture, and for those that can be none.
    """
    names: list[str | None] = []
    for number, column in enumerate(columns):
        name: str | None = None
        if number != position:
            try:
                name = field_name(column, [other for other in (*columns, *names) if other])
            except MetadataError as error:
                if column:  # one without a name is told of where it has values
                    losses.add("columns whose names cannot be a field's", f"{path.name}: {error}")
            else:
                if unlike(name, column):
                    losses.add("columns", f"{path.name}: {column!r} as {name!r}", told="kept under other names")
        if name is not None and (name in names or any((other or "").startswith(f"{name}.") for other in names)):
            losses.add("columns that have the name of another one", f"{path.name}: {column!r} (column {number + 1})")
            name = None
        names.append(name)
    return names


def picture_named(value: Any) -> str | None:
    """The name in a cell: text, or the path in a picture of a data set (`{"bytes": …, "path": …}`); None for no name."""
    if isinstance(value, dict):
        value = value.get("path")
    if isinstance(value, bytes):  # as Spark and Hive write text to Parquet
        value = value.decode("utf-8", "replace")
    return value.strip() if isinstance(value, str) and value.strip() else None


def _listed(columns: Sequence[str]) -> str:
    names = ", ".join(map(repr, columns[:20]))
    return (f"{names}, …" if len(columns) > 20 else names) or "nothing"
