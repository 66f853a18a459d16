"""Metadata tables about the pictures in an archive: `metadata.csv`, `.jsonl` or `.parquet` among its members, or beside it."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from semblant_search.collection import FieldType, member_uri
from semblant_search.errors import MetadataError, MissingExtra, StoreError
from semblant_search.shown import shown_name
from semblant_search.writing.metadata import TypeInference

from semblant_indexer.losses import Losses
from semblant_indexer.metadata_table import MetadataTable
from semblant_indexer.tables import NoFileColumnError
from semblant_indexer.uris import MemberBase, UriBase

from .accounting import rows_unseen
from .found_tables import TABLE_NAMES

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
        self.losses = Losses()
        """Of members that cannot be unpacked."""

    def named(self, name: str) -> bool:
        """Whether a member is a table by its name."""
        return name.rpartition("/")[2] in self._names

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

    def read(self, place: str, base: str, pictures: Sequence[str]) -> None:
        """Read the tables of an archive, those of the deepest folders first; of several in one folder the first that is there.

        Args:
            place: of the archive.
            base: its URI.
            pictures: the names of those in it.

        Raises:
            MetadataError: a table that cannot be read.
        """
        first: dict[str, tuple[str, Path]] = {}
        for name, copy in sorted(self._open.items(), key=lambda each: self._names.index(PurePosixPath(each[0]).name)):
            first.setdefault(name.rpartition("/")[0], (name, copy))
        found = sorted(first.items(), key=lambda each: -each[0].count("/") - bool(each[0]))
        tables: list[tuple[str, Path, MemberBase]] = [
            (f"{place}#{name}", copy, MemberBase(base, folder)) for folder, (name, copy) in found
        ]
        if self._given is not None:
            tables = [(str(self._given), self._given, MemberBase(base))]
        elif self._beside and "" not in first:
            paths = [path for path in (Path(place).parent / name for name in self._names) if path.is_file()]
            tables += [(str(path), path, _BesideBase(base, path.parent)) for path in paths[:1]]
        table = MetadataTable()
        for told, path, names in tables:
            try:
                table.add_table(path, names, self._file_column, name=told)
            except MetadataError as error:
                why = str(error).replace(repr(str(path)), shown_name(told))
                if not isinstance(error, NoFileColumnError):
                    raise MetadataError(f"{why}; --no-metadata goes without it") from error
                if self._given is not None:
                    raise
                self._notes.append(f"left alone: {why}; --no-metadata looks for no table")
            except MissingExtra as error:
                self._notes.append(f"left alone: {error}; --no-metadata looks for no table")
        for copy in self._open.values():
            copy.unlink()
        self._open.clear()
        if len(table):
            unseen = rows_unseen(table, (member_uri(base, name) for name in pictures), f"{base}#", place)
            self._notes += [unseen] if unseen else []
            table.share(self._types)
            self._tables[base] = table

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
