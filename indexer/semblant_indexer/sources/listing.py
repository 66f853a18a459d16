"""Pictures named by a table: CSV, JSON Lines or Parquet. A URL in it is read through fsspec."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from semblant_search.collection import canonical_uri, uri_path
from semblant_search.errors import MetadataError
from semblant_search.writing.metadata import convert_record

from semblant_indexer.tables import infer_types, read_rows, row_uri
from semblant_indexer.uris import UriBase, UrlBase

from .base import Item, Problem
from .behind_urls import Fetched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from semblant_search.collection import FieldType

__all__ = ["ListSource"]


class ListSource:
    """One picture a row; all columns but the one that names it are metadata.

    Args:
        place: path or URL of a `.csv`, `.tsv`, `.jsonl` or `.parquet` file. Relative names in it are relative to its folder.
        declared: types of columns that are not to be inferred.

    Raises:
        MetadataError: not a table that names pictures.
        InvalidInput: a URL that cannot be read.
    """

    def __init__(self, place: Path | str, declared: Mapping[str, FieldType] | None = None) -> None:
        self._base: UriBase | UrlBase
        if isinstance(place, str):
            self._copy = Fetched(place)
            self._path, self._scope, self._base = self._copy.path, place, UrlBase(place.rpartition("/")[0])
        else:
            self._path = place.absolute()
            self._scope, self._base = canonical_uri(self._path), UriBase(self._path.parent)
        try:
            self._inference = infer_types(self._path, declared or {})
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
    def notes(self) -> list[str]:
        """Columns that mix types."""
        return self._inference.notes

    @property
    def incomplete(self) -> tuple[str, ...]:
        """Nothing: what cannot be read as a whole is no source."""
        return ()

    def items(self) -> Iterator[Item]:
        """One item a row, in the order of the rows."""
        fields = self._inference.fields
        for row in read_rows(self._path):
            uri = row_uri(row.file, self._base)
            path = uri_path(uri)
            if path is None:
                try:
                    yield Item(uri, metadata=convert_record(row.record, fields))
                except MetadataError as error:
                    yield Item(uri, problem=Problem("failed", "metadata", f"{uri} (line {row.line}): {error}"))
                continue
            where = f"{str(path)!r} (line {row.line})"
            try:
                facts = path.stat()
                if not stat.S_ISREG(facts.st_mode):
                    yield Item(uri, problem=Problem("skipped", "special-file", f"{where}: is not a regular file"))
                    continue
                yield Item(uri, facts.st_size, facts.st_mtime_ns, convert_record(row.record, fields))
            except FileNotFoundError:
                yield Item(uri, problem=Problem("failed", "missing", f"{where}: no such file"))
            except (OSError, ValueError) as error:
                if isinstance(error, MetadataError):
                    yield Item(uri, problem=Problem("failed", "metadata", f"{where}: {error}"))
                    continue
                text = error.strerror if isinstance(error, OSError) else str(error)
                yield Item(uri, problem=Problem("failed", "unreadable", f"{where}: {text}"))
