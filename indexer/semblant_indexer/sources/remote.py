"""Pictures below a URL that fsspec can list: `s3://`, `gs://`, `memory://`, …"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from semblant_search.collection import FieldType
from semblant_search.errors import InvalidInput
from semblant_search.shown import shown_name
from semblant_search.writing.metadata import TypeInference

from semblant_indexer.losses import Losses
from semblant_indexer.metadata_table import MetadataTable
from semblant_indexer.picture_names import has_picture_suffix
from semblant_indexer.uris import UrlBase

from .accounting import file_kind, rows_unseen, told
from .base import Item
from .behind_urls import Fetched, changed_at, file_system, listing_errors
from .found_tables import TABLE_NAMES, NamedTable, read_tables, tables_among
from .selection import Selection
from .sidecar_names import sidecars_of
from .sidecars import sidecar_record
from .walking import LeftOut

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["RemoteFolderSource"]

_TOGETHER = 256


class _File(NamedTuple):
    name: str
    size: int
    mtime_ns: int


class RemoteFolderSource:
    """Every file below a URL that has a picture's name, in the order of names; its folder is its `label`.

    `metadata.csv` in the folder and sidecars beside pictures are metadata, as on this machine's disk.

    Args:
        url: of the folder.
        declared: types of metadata fields that are not to be inferred.
        selection: which files and folders are looked at.
        tables: names of metadata tables to look for.
        file_column: the column that names the picture in them, if it is none of the usual ones.

    Raises:
        InvalidInput: the URL cannot be listed.
        MissingExtra: fsspec, or its package for this kind of URL, is not installed.
    """

    def __init__(
        self,
        url: str,
        declared: Mapping[str, FieldType] | None = None,
        selection: Selection | None = None,
        tables: Iterable[str] = TABLE_NAMES,
        file_column: str | None = None,
    ) -> None:
        self._url = url.rstrip("/") + "/"
        self._selection = selection or Selection()
        self._left, self._others = LeftOut(), Counter[str]()
        self._read, self._unfit = Losses(), Losses()
        self._files, self._root = file_system(url)
        with listing_errors(url):
            if not self._files.isdir(self._root):
                raise InvalidInput(f"source {shown_name(url)}: no such folder")
            self._pictures, files = self._list()
        self._metadata = MetadataTable(declared)
        self._alone: list[str] = []
        self._sidecars_of = _sidecars([file.name for file in self._pictures], files)
        sidecars = list(dict.fromkeys(name for names in self._sidecars_of.values() for name in names))
        self._used = len(sidecars)
        files = [name for name in files if name not in self._sidecars_of.keys() | set(sidecars)]
        self._tables = self._read_tables(files, tuple(tables), file_column)
        uris = (self._url + file.name for file in self._pictures)
        self._unseen = rows_unseen(self._metadata, uris, self._url, self._url)
        self._others.update(file_kind(name) for name in files if self._url + name not in self._tables)
        self._types = TypeInference(text=False)
        self._sidecars = self._read_all(sidecars)
        self._label_from_folder = "label" not in self._metadata.columns
        for name, record in self._sidecars.items():
            self._types.add(record, name)
            label = record.get("label")
            self._label_from_folder &= label in (None, "", []) or isinstance(label, dict)
        self._types.declare({**(declared or {}), **self._metadata.fields})

    @property
    def scope(self) -> str:
        """The URL, with a slash at the end."""
        return self._url

    @property
    def fields(self) -> dict[str, FieldType]:
        """`label`, and what the metadata says."""
        return {"label": FieldType.KEYWORD, **self._types.fields}

    def adopt_types(self, known: Mapping[str, FieldType]) -> None:
        """See `Source`."""
        self._metadata.adopt(known)
        self._types.declare(self._metadata.fields)
        self._types.adopt(known)

    @property
    def tables(self) -> Sequence[str]:
        """Addresses."""
        return [table for table in self._tables if table in self._metadata.places]

    @property
    def second_names(self) -> Mapping[str, Sequence[str]]:
        """None."""
        return {}

    @property
    def notes(self) -> list[str]:
        """About metadata, and about every file that is no picture of the source."""
        notes = [*self._alone, *self._metadata.notes, *self._read.notes, *self._unfit.notes, *self._types.notes]
        return [*notes, *([self._unseen] if self._unseen else []), *told(self._used, self._others, self._left)]

    @property
    def incomplete(self) -> tuple[str, ...]:
        """Nothing: what cannot be read as a whole is no source."""
        return ()

    def items(self) -> Iterator[Item]:
        """One item a file."""
        self._unfit.clear()
        self._metadata.begin()
        for file in self._pictures:
            uri = self._url + file.name
            folder = file.name.rpartition("/")[0].rpartition("/")[2]
            metadata = self._metadata.payload(uri)
            for name in self._sidecars_of.get(file.name, ()):
                metadata = {**metadata, **self._sidecar(name)}
            if folder and self._label_from_folder:
                metadata = {"label": folder, **metadata}
            yield Item(uri, file.size, file.mtime_ns, metadata)

    def _list(self) -> tuple[list[_File], list[str]]:
        """The pictures, and the names of all other files."""
        root = self._root.rstrip("/") + "/"
        facts = {path.removeprefix(root): each for path, each in self._files.find(self._root, detail=True).items()}
        pictures, others = [], []
        for name in sorted(facts):
            parts = name.split("/")
            whys = (self._selection.leaves_out(part, before) for before, part in zip(["", *parts], parts, strict=False))
            why = next(filter(None, whys), None)
            if why is not None:
                self._left.hidden += why == "hidden"
                self._left.system.update([why] if why != "hidden" else [])
            elif not self._takes(name):
                self._left.by_patterns += has_picture_suffix(name)
            elif has_picture_suffix(name):
                pictures.append(_File(name, int(facts[name].get("size") or -1), changed_at(facts[name])))
            else:
                others.append(name)
        return pictures, others

    def _takes(self, name: str) -> bool:
        selection = self._selection
        parents = [name[:place] for place, character in enumerate(name) if character == "/"]
        return selection.everything or (selection.takes_file(name) and all(map(selection.takes_folder, parents)))

    def _read_tables(self, files: list[str], names: tuple[str, ...], file_column: str | None) -> dict[str, None]:
        """Addresses of the tables that were read."""
        folders: dict[str, list[str]] = {}
        for name in files:
            folder, _, last = name.rpartition("/")
            folders.setdefault(folder, []).append(last)
        used: dict[str, None] = {}
        for folder in sorted(folders, key=lambda each: -each.count("/") - bool(each)):
            tables, others = tables_among(folders[folder], names)
            before = f"{self._url}{folder}/" if folder else self._url
            found = [NamedTable(before + name, _Fetching(before + name), UrlBase(self._url + folder)) for name in tables]
            rest = [before + name for name in others]
            used.update(dict.fromkeys(read_tables(self._metadata, found, rest, file_column, self._alone)))
        return used

    def _read_all(self, names: list[str]) -> dict[str, dict[str, Any]]:
        root, records = self._root.rstrip("/") + "/", {}
        for start in range(0, len(names), _TOGETHER):
            part = names[start : start + _TOGETHER]
            contents = self._files.cat([root + name for name in part], on_error="return")
            for name in part:
                records[name] = sidecar_record(name, contents[root + name], self._read)
        return records

    def _sidecar(self, name: str) -> dict[str, Any]:
        return self._types.convert(
            self._sidecars[name],
            lambda field, problem: self._unfit.add(f"values of metadata field {field!r}", f"{name!r}: {problem}"),
        )


class _Fetching:
    """Brings a table onto this machine; the copy is there as long as this object."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._copy: Fetched | None = None

    def __call__(self) -> Path:
        self._copy = Fetched(self._url)
        return self._copy.path


def _sidecars(pictures: list[str], files: list[str]) -> dict[str, list[str]]:
    """The sidecars of each picture, by names below the root."""
    folders: dict[str, tuple[list[str], list[str]]] = {}
    for place, names in enumerate((pictures, files)):
        for name in names:
            folder, _, last = name.rpartition("/")
            folders.setdefault(folder, ([], []))[place].append(last)
    found = {}
    for folder, (here, others) in folders.items():
        prefix = f"{folder}/" if folder else ""
        for picture, sidecars in sidecars_of(here, others).items():
            found[prefix + picture] = [prefix + name for name in sidecars]
    return found
