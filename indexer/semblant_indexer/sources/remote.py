"""Pictures below a URL that fsspec can list: `s3://`, `gs://`, `memory://`, …"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from semblant_search.collection import FieldType
from semblant_search.errors import InvalidInput, MetadataError
from semblant_search.shown import shown_name
from semblant_search.writing.metadata import TypeInference, convert_record

from semblant_indexer.metadata_table import MetadataTable, load_metadata
from semblant_indexer.uris import UrlBase

from .base import Item, Problem
from .behind_urls import Fetched, changed_at, file_system, listing_errors
from .folder import sidecar_record
from .selection import Selection, has_picture_suffix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["RemoteFolderSource"]

_TOGETHER = 256


class _File(NamedTuple):
    name: str
    size: int
    mtime_ns: int


class RemoteFolderSource:
    """Every file below a URL that has a picture's name, in the order of names; its folder is its `label`.

    `metadata.csv` in the folder and JSON sidecars beside pictures are metadata, as on this machine's disk.

    Raises:
        InvalidInput: the URL cannot be listed.
        MissingExtra: fsspec, or its package for this kind of URL, is not installed.
    """

    def __init__(self, url: str, declared: Mapping[str, FieldType] | None = None, selection: Selection | None = None) -> None:
        self._url = url.rstrip("/") + "/"
        self._selection = selection or Selection()
        self._files, self._root = file_system(url)
        with listing_errors(url):
            if not self._files.isdir(self._root):
                raise InvalidInput(f"source {shown_name(url)}: no such folder")
            self._pictures, sidecars, table = self._list()
        self._metadata = MetadataTable()
        if table is not None:
            copy = Fetched(self._url + table)
            self._metadata = load_metadata(copy.path, declared, UrlBase(self._url))
        self._types = TypeInference(text=False, declared={**self._metadata.fields, **(declared or {})})
        self._sidecars = self._read(sidecars)
        self._label_from_folder = "label" not in self._metadata.fields
        for record in self._sidecars.values():
            if isinstance(record, dict):
                self._types.add(record, 1)
                label = record.get("label")
                self._label_from_folder &= label in (None, "") or isinstance(label, dict)

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
        self._types.adopt(known)
        self._metadata.adopt(known)

    @property
    def notes(self) -> list[str]:
        """About the metadata."""
        return [*self._metadata.notes, *self._types.notes]

    @property
    def incomplete(self) -> tuple[str, ...]:
        """Nothing: what cannot be read as a whole is no source."""
        return ()

    def items(self) -> Iterator[Item]:
        """One item a file."""
        for file in self._pictures:
            uri = self._url + file.name
            folder = file.name.rpartition("/")[0].rpartition("/")[2]
            try:
                metadata = {**self._metadata.payload(uri), **self._sidecar(file.name)}
            except MetadataError as error:
                yield Item(uri, problem=Problem("failed", "metadata", f"{uri}: {error}"))
                continue
            if folder and self._label_from_folder:
                metadata = {"label": folder, **metadata}
            yield Item(uri, file.size, file.mtime_ns, metadata)

    def _list(self) -> tuple[list[_File], list[str], str | None]:
        """The pictures, the names of their sidecars, and that of a metadata table."""
        root = self._root.rstrip("/") + "/"
        facts = {path.removeprefix(root): each for path, each in self._files.find(self._root, detail=True).items()}
        pictures = [
            _File(name, int(facts[name].get("size") or -1), changed_at(facts[name]))
            for name in sorted(facts)
            if self._takes(name)
        ]
        likely = {name for file in pictures for name in _sidecar_names(file.name)}
        return pictures, sorted(likely & facts.keys()), "metadata.csv" if "metadata.csv" in facts else None

    def _takes(self, name: str) -> bool:
        selection = self._selection
        if not has_picture_suffix(name) or ("/." in f"/{name}" and not selection.hidden):
            return False
        parents = [name[:place] for place, character in enumerate(name) if character == "/"]
        return selection.everything or (selection.takes_file(name) and all(map(selection.takes_folder, parents)))

    def _read(self, names: list[str]) -> dict[str, dict[str, Any] | str]:
        root, records = self._root.rstrip("/") + "/", {}
        for start in range(0, len(names), _TOGETHER):
            part = names[start : start + _TOGETHER]
            contents = self._files.cat([root + name for name in part], on_error="return")
            for name in part:
                records[name] = sidecar_record(name, contents[root + name])
        return records

    def _sidecar(self, picture: str) -> dict[str, Any]:
        record = next((self._sidecars[name] for name in _sidecar_names(picture) if name in self._sidecars), None)
        if isinstance(record, str):
            raise MetadataError(record)
        return {} if record is None else convert_record(record, self._types.fields)


def _sidecar_names(picture: str) -> tuple[str, str]:
    return f"{picture}.json", f"{picture.rpartition('.')[0]}.json"
