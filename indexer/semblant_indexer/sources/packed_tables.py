"""Metadata tables about the pictures in an archive: `metadata.csv`, `.jsonl` or `.parquet` among its members, or beside it."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from semblant_search.collection import FieldType, member_uri
from semblant_search.errors import StoreError
from semblant_search.writing.metadata import TypeInference

from semblant_indexer.losses import Losses
from semblant_indexer.metadata_table import MetadataTable
from semblant_indexer.uris import MemberBase, UriBase

from .accounting import rows_unseen
from .found_tables import TABLE_NAMES, NamedTable, read_tables, tables_among, tables_beside

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["PackedTables"]

_LARGEST = 2_000_000_000
"""Bytes of a table within an archive, which is unpacked to be read."""
_PART = 1 << 20


class PackedTables:
    """Finds tables in archives, and reads them, as `FoundTables` those of folders; each is about its own archive's pictures.

    Args:
        declared: types of columns that are not to be inferred.
        names: of tables; none finds none.
        file_column: the column that names the picture, if it is none of the usual ones.
        given: a table about the one archive there is, in place of those that it comes with.
        beside: look beside an archive, too, where there is none in its outermost folder.
    """

    def __init__(
        self,
        declared: Mapping[str, FieldType] | None = None,
        names: Iterable[str] = TABLE_NAMES,
        file_column: str | None = None,
        given: Path | None = None,
        *,
        beside: bool = False,
    ) -> None:
        self._names = tuple(names) if given is None else ()
        self._file_column = file_column
        self._given = given
        self._beside = beside
        self._types = TypeInference(text=False, declared=declared)
        self._tables: dict[str, MetadataTable] = {}
        self._open: dict[str, Path] = {}
        self._folder: str | None = None
        self._notes: list[str] = []
        self._read: list[str] = []
        self.used: list[str] = []
        """Paths or addresses of the tables that were found, and of which rows are about pictures."""
        self.losses = Losses()
        """Of members that cannot be unpacked."""

    def named(self, name: str) -> bool:
        """Whether a member is a table by its name."""
        return name.rpartition("/")[2].lower() in self._names

    def may_be(self, name: str) -> bool:
        """Whether a member may be a table by its name, though it is not read."""
        return bool(tables_among([name.rpartition("/")[2]], self._names)[1])

    def add(self, name: str, size: int, content: IO[bytes]) -> None:
        """Unpack a member that is a table.

        Raises `ValueError` on one that is too large, `StoreError` where there is no room for it, and as reading it does.
        """
        if size > _LARGEST:
            raise ValueError(f"has more than {_LARGEST:,} bytes")
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="semblant-")
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        kept = Path(self._folder, str(len(self._open)), PurePosixPath(name).name)  # the ending says how it is read
        copy = self._open.get(name, kept)  # of two members of one name the later counts
        copy.parent.mkdir(exist_ok=True)
        with copy.open("wb") as file:
            while part := content.read(_PART):
                try:
                    file.write(part)
                    file.flush()
                except OSError as error:
                    raise StoreError(
                        f"{name!r} cannot be unpacked into a temporary file: {error.strerror or error}; make room in the "
                        "folder for temporary files, or choose another one (TMPDIR)"
                    ) from error
        self._open[name] = copy

    def read(self, place: str, base: str, pictures: Sequence[str], others: Sequence[str] = ()) -> None:
        """Read the tables of an archive, those of the deepest folders first; of several in one folder the first that is there.

        Args:
            place: of the archive.
            base: its URI.
            pictures: the names of those in it.
            others: the names of members that may be tables, and are not read.

        Raises:
            MetadataError: the given table cannot be read.
            StoreError: there is no room for the rows.
        """
        table = MetadataTable()
        if self._given is not None:
            table.add_table(self._given, MemberBase(base), self._file_column)
        else:
            self._read_found(table, place, base, others)
        for copy in self._open.values():
            copy.unlink()
        self._open.clear()
        if len(table):
            unseen = rows_unseen(table, (member_uri(base, name) for name in pictures), f"{base}#", place)
            self._notes += [unseen] if unseen else []
            self.used += [found for found in self._read if found in table.places]
            table.share(self._types)
            self._tables[base] = table

    def _read_found(self, table: MetadataTable, place: str, base: str, others: Sequence[str]) -> None:
        files: dict[str, list[str]] = {}
        for name in (*self._open, *others):
            folder, _, last = name.rpartition("/")
            files.setdefault(folder, []).append(last)
        for folder in sorted(files, key=lambda each: -each.count("/") - bool(each)):
            names, rest = tables_among(files[folder], self._names)
            before = f"{folder}/" if folder else ""
            found = [
                NamedTable(f"{place}#{before}{name}", partial(Path, self._open[before + name]), MemberBase(base, folder))
                for name in names
            ]
            rest = [f"{place}#{before}{name}" for name in rest]
            self._read += read_tables(table, found, rest, self._file_column, self._notes)
        if self._beside and not any("/" not in name for name in self._open):
            around = Path(place).parent
            beside = tables_beside(around, self._names, _BesideBase(base, around))
            self._read += read_tables(table, beside, (), self._file_column, self._notes)

    @property
    def fields(self) -> dict[str, FieldType]:
        """The types of all columns."""
        return self._types.fields

    @property
    def notes(self) -> list[str]:
        """About the tables, and about what of them was left out."""
        left = [note for table in self._tables.values() for note in table.losses]
        return [*self._notes, *self.losses.notes, *left, *self._types.notes]

    def adopt(self, known: Mapping[str, FieldType]) -> None:
        """Take the types of a collection's fields that are wider than those of the columns."""
        for table in self._tables.values():
            table.adopt(known)

    def begin(self) -> None:
        """All pictures will be asked for from here on."""
        for table in self._tables.values():
            table.begin()

    def payload(self, base: str, uri: str) -> Mapping[str, Any]:
        """What the tables of an archive say about a picture in it."""
        table = self._tables.get(base)
        return {} if table is None else table.payload(uri)


class _BesideBase(MemberBase):
    """Joins names in a table beside an archive: to that, unless there is such a file beside it."""

    def __init__(self, archive: str, folder: Path) -> None:
        super().__init__(archive)
        self._beside = UriBase(folder)
        self._place = folder

    def join(self, path: str) -> str:
        """The URI of a member, or of a file."""
        return self._beside.join(path) if os.path.lexists(self._place / path) else super().join(path)
