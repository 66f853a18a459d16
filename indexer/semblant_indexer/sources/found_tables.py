"""Metadata tables that a folder comes with: `metadata.csv`, `.jsonl` or `.parquet` in it, in folders below, or beside it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from semblant_search.errors import InvalidInput, MetadataError, MissingExtra
from semblant_search.shown import shown_name

from semblant_indexer.uris import UriBase

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from semblant_indexer.metadata_table import MetadataTable
    from semblant_indexer.uris import MemberBase, UrlBase

__all__ = ["TABLE_NAMES", "FoundTables", "NamedTable", "read_tables", "tables_among", "tables_beside"]

TABLE_NAMES = ("metadata.csv", "metadata.tsv", "metadata.jsonl", "metadata.ndjson", "metadata.parquet")
"""In any case of letters. Of several in one folder the first that can be read counts."""
_OTHERS = ("metadata.json", *(f"metadata.{suffix}" for suffix in ("xlsx", "xls", "ods", "numbers", "csv.gz", "jsonl.gz")))
"""What may hold a table as well, and is not looked into."""
_LOOKED_FOR = "a table is looked for as metadata.csv, .tsv, .jsonl, .ndjson or .parquet"
_NONE = "--no-metadata looks for no table"


class NamedTable(NamedTuple):
    """A table that was found.

    Attributes:
        told: its path, address or name for messages.
        fetched: brings it onto this machine; raises what is wrong with it.
        base: what names in it are relative to.
    """

    told: str
    fetched: Callable[[], Path]
    base: UriBase | UrlBase | MemberBase


def tables_among(names: Iterable[str], wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """Of the files of one folder those that are tables, the one that counts first, and those that may be, but are not read."""
    if not wanted:
        return [], []
    folded = {name: name.lower() for name in names if name[:1] in "mM"}
    tables = [name for name, low in folded.items() if low in wanted]
    others = sorted(name for name, low in folded.items() if low in _OTHERS)
    return sorted(tables, key=lambda name: (wanted.index(folded[name]), name != folded[name], name)), others


def read_tables(
    table: MetadataTable, found: Sequence[NamedTable], others: Iterable[str], file_column: str | None, notes: list[str]
) -> list[str]:
    """Add the rows of the first of a folder's tables that can be read; what becomes of the rest is said in `notes`.

    Args:
        table: takes the rows.
        found: the tables.
        others: what may be tables and is not read, as `NamedTable.told`.
        file_column: the column that names the picture, if it is none of the usual ones.
        notes: hears of each that is not used, and why.

    Returns:
        What was read to its end, as `NamedTable.told`: one, or none.

    Raises:
        StoreError: there is no room for the rows.
    """
    for number, one in enumerate(found):
        before, whole = len(table), True
        path = Path(one.told)
        try:
            path = one.fetched()
            table.add_table(path, one.base, file_column, name=one.told)
        except (MetadataError, MissingExtra, InvalidInput, OSError) as error:
            why = str(error) if not isinstance(error, OSError) else f"{str(path)!r}: cannot be read: {error.strerror or error}"
            why = why.replace(repr(str(path)), shown_name(one.told)).replace(str(path), one.told)
            rows = len(table) - before
            if not rows:
                notes.append(f"left alone: {why}; {_NONE}")
                continue
            notes.append(f"left alone: what comes behind the first {rows:,} rows of a table: {why}; {_NONE}")
            whole = False
        for other in found[number + 1 :]:
            notes.append(
                f"left alone: {shown_name(other.told)}: lies beside {Path(one.told).name}, which was read in its place; "
                f"make one table of both, or remove one"
            )
        return [one.told] if whole else []
    notes += [f"left alone: {shown_name(other)}: {_LOOKED_FOR}; save it as one of these to have it read" for other in others]
    return []


def tables_beside(folder: Path, names: Sequence[str], base: UriBase | MemberBase) -> list[NamedTable]:
    """The tables of these names in a folder of this machine."""
    found, _ = tables_among(_listed(folder, names), names)
    return [NamedTable(str(folder / name), _Regular(folder / name), base) for name in found]


class FoundTables:
    """Looks for tables along a walk, and reads them: one in a folder below has the last word on that folder's pictures.

    A table in which nothing names a picture is about something else: it is told of, and left alone; so is one that cannot be
    read.

    Args:
        root: the folder.
        names: of tables; none finds none.
        file_column: the column that names the picture, if it is none of the usual ones.
    """

    def __init__(self, root: Path, names: Iterable[str] = TABLE_NAMES, file_column: str | None = None) -> None:
        self._root = root.absolute()
        self._names = tuple(names)
        self._file_column = file_column
        self._found: dict[Path, tuple[list[str], list[str]]] = {}
        self._used: dict[str, None] = {}
        self.notes: list[str] = []

    def note(self, folder: str, files: Iterable[str]) -> None:
        """Remember the tables in a folder of the walk, if there are some."""
        place = Path(folder)
        if place.name.lower() in self._names and place != self._root:
            self.notes.append(f"left alone: {folder!r}: is a folder, and no table; {_NONE}")
        tables, others = tables_among(files, self._names)
        if tables or others:
            self._found[place] = tables, others

    def read(self, table: MetadataTable, but: Collection[str] = ()) -> None:
        """Add the rows of all that was found, those of the deepest folders first; of two rows the first counts.

        Args:
            table: takes the rows.
            but: paths of files that are something else than tables.

        Raises:
            StoreError: there is no room for the rows.
        """
        if self._names and not self._found.get(self._root, ([], []))[0]:
            beside = tables_beside(self._root.parent, self._names, UriBase(self._root.parent))
        else:
            beside = []
        for folder, (tables, others) in sorted(self._found.items(), key=lambda each: -len(each[0].parts)):
            base = UriBase(folder)
            found = [NamedTable(str(folder / name), _Regular(folder / name), base) for name in tables]
            rest = [path for path in (str(folder / name) for name in others) if path not in but]
            self._used.update(dict.fromkeys(read_tables(table, found, rest, self._file_column, self.notes)))
        self._used.update(dict.fromkeys(read_tables(table, beside, (), self._file_column, self.notes)))

    def uses(self, folder: str, name: str) -> bool:
        """Whether a file is a table that was read."""
        return name[:1] in "mM" and str(Path(folder, name)) in self._used

    @property
    def used(self) -> list[str]:
        """Paths of the tables that were read."""
        return list(self._used)


class _Regular:
    """A file of this machine that is read where it lies. Raises `MetadataError` where it is none: a FIFO is not waited for."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> Path:
        if not stat.S_ISREG(self._path.stat().st_mode):
            raise MetadataError(f"{str(self._path)!r}: is not a regular file")
        return self._path


def _listed(folder: Path, names: Iterable[str]) -> list[str]:
    """The files of a folder; of one that cannot be listed those of some names."""
    try:
        with os.scandir(folder) as listing:
            return [entry.name for entry in listing if entry.name[:1] in "mM" and not entry.is_dir()]
    except OSError:
        return [name for name in names if os.path.lexists(folder / name)]
