"""Pictures in a folder and everything below it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semblant_search.collection import FieldType, check_field_name
from semblant_search.errors import MetadataError
from semblant_search.writing.metadata import TypeInference, clean_text, convert_record

from semblant_indexer.metadata_table import MetadataTable
from semblant_indexer.uris import UriBase

from .base import Item, Problem
from .selection import Selection, has_picture_suffix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["FolderSource", "sidecar_record"]


class FolderSource:
    """Walks a folder in the order of names. Links to folders are followed after all real folders, each folder once.

    A JSON object in a file beside a picture (`picture.png.json` or `picture.json`) is metadata, too, and has the last word.
    Where no metadata names a `label`, a picture in a subfolder gets that subfolder's name as `label`, the usual way of keeping
    classes apart.

    Args:
        root: the folder.
        metadata: what is known about its pictures, by URI.
        selection: which files and folders are looked at; without one, all but hidden ones.
        declared: types of fields in sidecars that are not to be inferred.
    """

    def __init__(
        self,
        root: Path,
        metadata: MetadataTable | None = None,
        selection: Selection | None = None,
        declared: Mapping[str, FieldType] | None = None,
    ) -> None:
        self._root = root.absolute()
        self._selection = selection or Selection()
        self._metadata = metadata if metadata is not None else MetadataTable()
        self._with_sidecars: set[tuple[int, int]] = set()
        self._sidecars = TypeInference(text=False, declared={**(declared or {}), **self._metadata.fields})
        self._label_from_folder = "label" not in self._metadata.fields
        for record in self._sidecar_records():
            if isinstance(record, dict):
                self._sidecars.add(record, 1)
                label = record.get("label")
                self._label_from_folder &= label in (None, "") or isinstance(label, dict)
        self._others = self._left_out = 0
        self._unseen: int | None = None
        self._incomplete: list[str] = []

    @property
    def scope(self) -> str:
        """The folder's URI, with a slash at the end."""
        return UriBase(self._root).prefix

    @property
    def fields(self) -> dict[str, FieldType]:
        """The metadata's fields, and `label`."""
        return {"label": FieldType.KEYWORD, **self._sidecars.fields}

    def adopt_types(self, known: Mapping[str, FieldType]) -> None:
        """See `Source`."""
        self._sidecars.adopt(known)
        self._metadata.adopt(known)

    @property
    def notes(self) -> list[str]:
        """About the metadata table and about files that are no pictures by name."""
        notes = [*self._metadata.notes, *self._sidecars.notes]
        if self._unseen:
            notes.append(
                f"{self._unseen} metadata row{'s name' if self._unseen > 1 else ' names'} no picture in {str(self._root)!r}"
            )
        if self._others:
            notes.append(f"{self._others} file{'s' if self._others > 1 else ''} without a picture's name left alone")
        if self._left_out:
            notes.append(f"{self._left_out} file{'s' if self._left_out > 1 else ''} or folders left out by patterns")
        return notes

    @property
    def incomplete(self) -> list[str]:
        """Folders that cannot be listed, and links to nothing that may have led to one."""
        return self._incomplete

    def items(self) -> Iterator[Item]:
        """Every picture; folders that cannot be listed and odd files as problems."""
        unseen = self._metadata.below(self.scope)
        self._incomplete = []
        self._others = self._left_out = 0
        for item in self._walk():
            unseen -= unseen > 0 and item.uri in self._metadata
            yield item
        self._unseen = unseen

    def _walk(self) -> Iterator[Item]:
        seen: set[tuple[int, int]] = set()
        links: list[str] = []
        hidden, everything = self._selection.hidden, self._selection.everything
        for start_is_link in (False, True):
            stack = [str(self._root)] if not start_is_link else links[::-1]
            while stack:
                folder = stack.pop()
                base = UriBase(Path(folder))
                try:
                    facts = Path(folder).stat()
                    if (facts.st_dev, facts.st_ino) in seen:
                        continue
                    seen.add((facts.st_dev, facts.st_ino))
                    with os.scandir(folder) as listing:
                        entries = sorted(listing, key=lambda entry: entry.name)
                except OSError as error:
                    message = f"{folder!r}: the folder cannot be listed: {error.strerror or error}"
                    self._incomplete.append(message)
                    yield Item(base.prefix, problem=Problem("failed", "unreadable", message))
                    continue
                subfolders: list[str] = []
                for entry in entries:
                    if entry.name.startswith(".") and not hidden:
                        continue
                    is_folder = _is_folder(entry)
                    if not is_folder and entry.is_symlink() and self._may_hide_a_folder(entry):
                        self._incomplete.append(f"{entry.path!r}: a link to nothing (remove it, or leave it out by --exclude)")
                    if not everything and not self._takes(entry, is_folder=is_folder):
                        continue
                    if is_folder:
                        (links if entry.is_symlink() and not start_is_link else subfolders).append(entry.path)
                    elif has_picture_suffix(entry.name):
                        sidecars = (facts.st_dev, facts.st_ino) in self._with_sidecars
                        yield self._item(entry, base, folder, sidecars=sidecars)
                    else:
                        self._others += 1
                stack.extend(reversed(subfolders))

    def _may_hide_a_folder(self, link: os.DirEntry[str]) -> bool:
        """Whether a link to nothing may lead to a folder to look into at other times, on a disk that is not mounted now."""
        return not os.path.exists(link.path) and self._chosen(link.path, is_folder=True)  # noqa: PTH110 - which never raises

    def _takes(self, entry: os.DirEntry[str], *, is_folder: bool) -> bool:
        takes = self._chosen(entry.path, is_folder=is_folder)
        self._left_out += not takes and (is_folder or has_picture_suffix(entry.name))
        return takes

    def _chosen(self, place: str, *, is_folder: bool) -> bool:
        path = place[len(str(self._root)) :].strip(os.sep).replace(os.sep, "/")
        return self._selection.takes_folder(path) if is_folder else self._selection.takes_file(path)

    def _sidecar_records(self) -> Iterator[dict[str, Any] | str]:
        """Every sidecar of a picture that is taken: `picture.png.json` or `picture.json` beside `picture.png`."""
        hidden, everything = self._selection.hidden, self._selection.everything

        def takes(folder: str, name: str, *, is_folder: bool) -> bool:
            seen = hidden or not name.startswith(".")
            return seen and (everything or self._chosen(f"{folder}{os.sep}{name}", is_folder=is_folder))

        seen: set[tuple[int, int]] = set()
        tops = [str(self._root)]
        for top in tops:  # grows: links to folders come after all real folders, as in `_walk`
            for folder, subfolders, names in os.walk(top):
                try:
                    facts = Path(folder).stat()
                except OSError:  # gone since it was listed
                    continue
                if (facts.st_dev, facts.st_ino) in seen:
                    subfolders.clear()
                    continue
                seen.add((facts.st_dev, facts.st_ino))
                subfolders[:] = [name for name in subfolders if takes(folder, name, is_folder=True)]
                below = (f"{folder}{os.sep}{name}" for name in subfolders)
                tops += [path for path in below if os.path.islink(path)]  # noqa: PTH114 - which no path is too long for
                if not any(name.endswith(".json") for name in names):
                    continue
                pictures = {name for name in names if has_picture_suffix(name) and takes(folder, name, is_folder=False)}
                stems = pictures | {name.rpartition(".")[0] for name in pictures}
                for name in names:
                    if name.endswith(".json") and name.removesuffix(".json") in stems:
                        self._with_sidecars.add((facts.st_dev, facts.st_ino))
                        yield _read_sidecar(Path(folder, name))

    def _sidecar(self, picture: str) -> dict[str, Any]:
        """The payload in a picture's sidecar. Raises `MetadataError` where it cannot be used."""
        for path in (Path(f"{picture}.json"), Path(picture).with_suffix(".json")):
            if path.is_file():
                record = _read_sidecar(path)
                if isinstance(record, str):
                    raise MetadataError(record)
                return convert_record(record, self._sidecars.fields)
        return {}

    def _item(self, entry: os.DirEntry[str], base: UriBase, folder: str, *, sidecars: bool) -> Item:
        uri = base.join(entry.name)
        try:
            facts = entry.stat()
            if not entry.is_file():
                return Item(uri, problem=Problem("skipped", "special-file", f"{entry.path!r}: is not a regular file"))
            metadata = self._metadata.payload(uri)
            if sidecars:
                metadata = {**metadata, **self._sidecar(entry.path)}
        except FileNotFoundError:
            what = "a link to nothing" if entry.is_symlink() else "gone since the folder was listed"
            return Item(uri, problem=Problem("failed", "missing", f"{entry.path!r}: {what}"))
        except OSError as error:
            return Item(uri, problem=Problem("failed", "unreadable", f"{entry.path!r}: {error.strerror or error}"))
        except MetadataError as error:
            return Item(uri, problem=Problem("failed", "metadata", f"{entry.path!r}: {error}"))
        if self._label_from_folder and folder != str(self._root):
            metadata = {"label": clean_text(folder.rpartition(os.sep)[2]), **metadata}
        return Item(uri, facts.st_size, facts.st_mtime_ns, metadata)


def sidecar_record(name: str, content: bytes | Exception) -> dict[str, Any] | str:
    """The record in a sidecar, or what is wrong with it."""
    try:
        if isinstance(content, Exception):
            raise content
        record = json.loads(content)
        if not isinstance(record, dict):
            return f"{name!r}: expected a JSON object"
        for key in record:
            check_field_name(key)
    except Exception as error:  # MetadataError, JSON's errors, and whatever kept it from being read
        return f"{name!r} cannot be used: {error}"
    return record


def _read_sidecar(path: Path) -> dict[str, Any] | str:
    try:
        content: bytes | Exception = path.read_bytes()
    except OSError as error:
        content = error
    return sidecar_record(path.name, content)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, say; if it has a picture's name, it is reported as one that cannot be read
        return False
