"""Metadata tables that a folder comes with: `metadata.csv`, `.jsonl` or `.parquet` in it, in folders below, or beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from semblant_search.errors import MetadataError, MissingExtra

from semblant_indexer.tables import NoFileColumnError
from semblant_indexer.uris import UriBase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from semblant_indexer.metadata_table import MetadataTable

__all__ = ["TABLE_NAMES", "FoundTables"]

TABLE_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""Of several in one folder the first that is there counts."""


class FoundTables:
    """Looks for tables along a walk, and reads them: one in a folder below has the last word on that folder's pictures.

    A table in which nothing names a picture is about something else: it is told of, and left alone.

    Args:
        root: the folder.
        names: of tables; none finds none.
        file_column: the column that names the picture, if it is none of the usual ones.
    """

    def __init__(self, root: Path, names: Iterable[str] = TABLE_NAMES, file_column: str | None = None) -> None:
        self._root = root.absolute()
        self._names = tuple(names)
        self._file_column = file_column
        self._found: list[Path] = []
        self._used: set[Path] = set()
        self.notes: list[str] = []

    def note(self, folder: str, files: Iterable[str]) -> None:
        """Remember the table in a folder of the walk, if there is one."""
        there = set(files).intersection(self._names)
        paths = (Path(folder, name) for name in self._names if name in there)
        self._found += [path for path in paths if path.is_file()][:1]

    def read(self, table: MetadataTable) -> None:
        """Add the rows of all that was found, those of the deepest folders first; of two rows the first counts.

        Raises `MetadataError` where a table cannot be read.
        """
        if self._names and not any(path.parent == self._root for path in self._found):
            beside = (self._root.parent / name for name in self._names)
            self._found += [path for path in beside if path.is_file()][:1]
        for path in sorted(self._found, key=lambda each: -len(each.parts)):
            try:
                table.add_table(path, UriBase(path.parent), self._file_column)
                self._used.add(path)
            except (NoFileColumnError, MissingExtra) as error:
                self.notes.append(f"left alone: {error}; --no-metadata looks for no table")
            except MetadataError as error:
                raise MetadataError(f"{error}; --no-metadata goes without it") from error

    def uses(self, folder: str, name: str) -> bool:
        """Whether a file is a table that was read."""
        return name in self._names and Path(folder, name) in self._used
