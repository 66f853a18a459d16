"""Pictures named by a table: CSV, JSON Lines or Parquet. A URL in it is read through fsspec."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from semblant_search.collection import canonical_uri, uri_path
from semblant_search.errors import InvalidInput, MetadataError

from semblant_indexer.losses import Losses
from semblant_indexer.matching import FileFinder
from semblant_indexer.tables import infer_types, read_rows, row_uri
from semblant_indexer.uris import UriBase, UrlBase
from semblant_indexer.url_reading import unsigned

from .base import Item, Problem
from .behind_urls import Fetched

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from semblant_search.collection import FieldType

    from semblant_indexer.tables import Row

__all__ = ["ListSource"]


class ListSource:
    """One picture a row; all columns but the one that names it are metadata.

    Args:
        place: path or URL of a `.csv`, `.tsv`, `.jsonl` or `.parquet` file. Relative names in it are relative to its folder.
        declared: types of columns that are not to be inferred.
        file_column: the column that names the picture, if it is none of the usual ones.

    Raises:
        MetadataError: not a table that names pictures.
        InvalidInput: a URL that cannot be read.
    """

    def __init__(
        self, place: Path | str, declared: Mapping[str, FieldType] | None = None, file_column: str | None = None
    ) -> None:
        self._base: UriBase | UrlBase
        if isinstance(place, str):
            self._copy = Fetched(place)
            self._path, self._scope, self._base = self._copy.path, place, UrlBase(place.rpartition("/")[0])
        else:
            self._path = place.absolute()
            self._scope, self._base = canonical_uri(self._path), UriBase(self._path.parent)
        self._file_column = file_column
        self._finder = FileFinder()
        self._read, self._unfit = Losses(), Losses()
        try:
            self._inference = infer_types(self._path, declared or {}, self._read, file_column)
        except MetadataError as error:
            raise MetadataError(str(error).replace(str(self._path), str(place))) from error

    @property
    def scope(self) -> str:
        """The list's URI."""
        return self._scope

    @property
    def fields(self) -> dict[str, FieldType]:
        """The types of all columns but the one that names the picture."""
        return self._inference.fields

    def adopt_types(self, known: Mapping[str, FieldType]) -> None:
        """See `Source`."""
        self._inference.adopt(known)

    @property
    def tables(self) -> Sequence[str]:
        """None: it is a table itself."""
        return ()

    @property
    def second_names(self) -> Mapping[str, Sequence[str]]:
        """None."""
        return {}

    @property
    def notes(self) -> list[str]:
        """Rows and values that were left out, and columns that are not what they look like."""
        return [*self._read.notes, *self._unfit.notes, *self._inference.notes]

    @property
    def incomplete(self) -> tuple[str, ...]:
        """Nothing: what cannot be read as a whole is no source."""
        return ()

    def items(self) -> Iterator[Item]:
        """One item a row, in the order of the rows."""
        self._unfit.clear()
        for row in read_rows(self._path, file_column=self._file_column):
            try:
                uri = row_uri(row.file, self._base)
                path = uri_path(uri)
            except (InvalidInput, ValueError) as error:
                self._unfit.add("rows whose picture's name cannot be one", f"{self._path.name}, line {row.line}: {error}")
                continue
            yield self._item(uri, path, row)

    def _item(self, uri: str, path: Path | None, row: Row) -> Item:
        where = f"{self._path.name}, line {row.line}"
        metadata = self._inference.convert(
            row.record, lambda field, problem: self._unfit.add(f"values of metadata field {field!r}", f"{where}: {problem}")
        )
        if path is None:
            name = unsigned(uri)
            return Item(name, metadata=metadata, place=None if name == uri else uri)
        try:
            facts = _facts(path)
            if facts is None:
                meant = self._finder.meant(path)
                facts = None if meant is None else _facts(meant)
                if meant is None or facts is None:
                    problem = Problem("failed", "missing", f"{str(path)!r} (line {row.line}): no such file")
                    return Item(uri, problem=problem)
                uri = canonical_uri(meant)
            if not stat.S_ISREG(facts.st_mode):
                problem = Problem("skipped", "special-file", f"{str(path)!r} (line {row.line}): is not a regular file")
                return Item(uri, problem=problem)
        except (OSError, ValueError) as error:
            text = error.strerror if isinstance(error, OSError) else str(error)
            return Item(uri, problem=Problem("failed", "unreadable", f"{str(path)!r} (line {row.line}): {text}"))
        return Item(uri, facts.st_size, facts.st_mtime_ns, metadata)


def _facts(path: Path) -> os.stat_result | None:
    """None where there is no such file."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
