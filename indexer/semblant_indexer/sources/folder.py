"""Pictures in a folder and everything below it."""

from __future__ import annotations

import os
import shlex
from collections import Counter, deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semblant_search.collection import FieldType, canonical_uri
from semblant_search.writing.metadata import TypeInference, clean_text

from semblant_indexer.losses import Losses
from semblant_indexer.matching import FileFinder
from semblant_indexer.metadata_table import MetadataTable
from semblant_indexer.uris import UriBase

from .accounting import file_kind, rows_unseen, told
from .base import Item, Problem
from .found_tables import FoundTables
from .labelled import labelled_picture
from .selection import Selection
from .sidecars import read_sidecar
from .walking import Folder, LeftOut, Unlisted, Walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["FolderSource"]


class FolderSource:
    """Walks a folder in the order of names. Links to folders are followed after all real folders, each folder once.

    What lies beside a picture (see `sidecar_names`) is metadata, too, and has the last word; so is what is said of its second
    names, links and hard links, which its own name's outdoes. Where no metadata names a `label`, a
    picture in a subfolder gets that subfolder's name as `label`, the usual way of keeping classes apart.

    Args:
        root: the folder.
        metadata: what is known about its pictures, by URI.
        selection: which files and folders are looked at; without one, all but hidden ones and a system's.
        declared: types of fields in sidecars that are not to be inferred.
        tables: finds the folder's own metadata tables; None looks for none.
    """

    def __init__(
        self,
        root: Path,
        metadata: MetadataTable | None = None,
        selection: Selection | None = None,
        declared: Mapping[str, FieldType] | None = None,
        tables: FoundTables | None = None,
    ) -> None:
        self._root = root.absolute()
        self._walk = Walk(self._root, selection or Selection())
        self._declared = dict(declared or {})
        self._metadata = metadata if metadata is not None else MetadataTable(declared)
        self._tables = tables or FoundTables(Path(), ())
        self._read, self._unfit = Losses(), Losses()
        self._left = LeftOut()
        self._others: Counter[str] = Counter()
        self._used = 0
        self._finder = FileFinder()
        self._labelled: dict[str, str] = {}
        """Of pictures that labelme's files in other folders are about: URIs with the paths of those files."""
        self._second: dict[str, list[tuple[str, list[str]]]] = {}
        """Of pictures with second names: the URIs of those, and the paths of their sidecars, the last word at the end."""
        self._unseen: str | None = None
        says_label = self._look_around()
        self._label_from_folder = not says_label and "label" not in self._metadata.columns

    def _look_around(self) -> bool:
        """Read the sidecars for their types, and the tables; returns whether a sidecar says a `label`."""
        types = TypeInference(text=False)
        says_label = sidecars = False
        for folder in self._walk.folders(LeftOut(), whole=False):
            if not isinstance(folder, Folder):
                continue
            of_pictures = {name for names in folder.sidecars.values() for name in names}
            self._tables.note(folder.path, [name for name in folder.others if name not in of_pictures])
            sidecars |= bool(folder.sidecars)
            for name in dict.fromkeys(name for names in folder.sidecars.values() for name in names):
                record = read_sidecar(Path(folder.path, name), self._read)
                types.add(record, name)
                label = record.get("label")
                says_label |= label not in (None, "", []) and not isinstance(label, dict)
            self._look_for_labelled(folder)
        self._keep_labelled(types)
        self._tables.read(self._metadata, frozenset(self._labelled.values()))
        self._match_rows(sidecars=sidecars or bool(self._labelled))
        self._sidecars = types
        self._sidecars.declare({**self._declared, **self._metadata.fields})
        return says_label

    def _look_for_labelled(self, folder: Folder) -> None:
        used = {name for names in folder.sidecars.values() for name in names}
        for name in folder.others:
            if name.lower().endswith(".json") and name not in used:
                path = Path(folder.path, name)
                about = labelled_picture(path)
                if about is not None:
                    named = Path(os.path.normpath(path.parent / about))
                    self._labelled[canonical_uri(self._finder.meant(named) or named)] = str(path)

    def _keep_labelled(self, types: TypeInference) -> None:
        if not self._labelled:
            return
        there = {uri for uri in self._uris() if uri in self._labelled}
        for uri in self._labelled.keys() - there:
            self._read.add("sidecars that name no picture of the source", f"{self._labelled.pop(uri)!r}")
        for path in self._labelled.values():
            types.add(read_sidecar(Path(path), self._read), path)

    def _match_rows(self, *, sidecars: bool) -> None:
        """Let rows find their pictures, and what is said of second names the first ones. `sidecars`: there are some."""
        if not len(self._metadata) and not sidecars:
            return
        left = LeftOut()
        beside: dict[str, list[str]] = {}
        """Sidecars of second names, by those."""

        def uris() -> Iterator[str]:
            for folder in self._walk.folders(left):
                if isinstance(folder, Folder):
                    yield from (folder.base.join(entry.name) for entry in folder.pictures)
                    for name in folder.second:
                        beside[f"{folder.path}{os.sep}{name}"] = [
                            f"{folder.path}{os.sep}{sidecar}" for sidecar in folder.sidecars.get(name, ())
                        ]

        def second() -> Iterator[str]:
            return (canonical_uri(Path(name)) for names in left.second.values() for name in names)

        if len(self._metadata):
            self._unseen = rows_unseen(self._metadata, uris(), self.scope, str(self._root), second)
        else:
            deque(uris(), maxlen=0)
        for first, names in left.second.items():
            self._second[canonical_uri(Path(first))] = [
                (canonical_uri(Path(name)), [*beside.get(name, ())]) for name in sorted(names, reverse=True)
            ]

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
        self._metadata.adopt(known)
        self._sidecars.declare(self._metadata.fields)
        self._sidecars.adopt(known)

    @property
    def tables(self) -> Sequence[str]:
        """Paths."""
        return [path for path in self._tables.used if path in self._metadata.places]

    @property
    def second_names(self) -> dict[str, list[str]]:
        """Of links, and of hard links but the first."""
        found = self._left.second.items()
        return {canonical_uri(Path(path)): [canonical_uri(Path(name)) for name in names] for path, names in found}

    @property
    def notes(self) -> list[str]:
        """About metadata, and about every file that is no picture of the source."""
        notes = [*self._tables.notes, *self._metadata.notes, *self._read.notes, *self._unfit.notes, *self._sidecars.notes]
        return [*notes, *([self._unseen] if self._unseen else []), *told(self._used, self._others, self._left)]

    @property
    def incomplete(self) -> list[str]:
        """Folders that cannot be listed, and links to nothing that may have led to one."""
        return self._left.incomplete

    def items(self) -> Iterator[Item]:
        """Every picture; folders that cannot be listed and odd files as problems."""
        self._left, self._others, self._used = LeftOut(), Counter(), 0
        self._unfit.clear()
        self._metadata.begin()
        labelled = set(self._labelled.values())
        for folder in self._walk.folders(self._left):
            if isinstance(folder, Unlisted):
                yield Item(folder.base.prefix, problem=Problem("failed", "unreadable", folder.message))
                continue
            used = {name for names in folder.sidecars.values() for name in names}
            self._used += len(used)
            for name in folder.others:
                if name.lower().endswith(".zip"):
                    path = os.path.join(folder.path, name)  # noqa: PTH118 - bytes that are no text pass
                    why = f"{path!r}: is a ZIP archive; index it as a source of its own: semblant index {shlex.quote(path)}"
                    yield Item(folder.base.join(name), problem=Problem("skipped", "unsupported", why))
                elif labelled and f"{folder.path}{os.sep}{name}" in labelled:
                    self._used += 1
                elif name not in used and not self._tables.uses(folder.path, name):
                    self._others[file_kind(name)] += 1
            for entry in folder.pictures:
                yield self._item(entry, folder)

    def _uris(self) -> Iterator[str]:
        for folder in self._walk.folders(LeftOut(), whole=False):
            if isinstance(folder, Folder):
                yield from (folder.base.join(name) for name in (*(entry.name for entry in folder.pictures), *folder.second))

    def _item(self, entry: os.DirEntry[str], folder: Folder) -> Item:
        uri = folder.base.join(entry.name)
        try:
            facts = entry.stat()
            if not entry.is_file():
                return Item(uri, problem=Problem("skipped", "special-file", f"{entry.path!r}: is not a regular file"))
        except FileNotFoundError:
            what = "a link to nothing" if entry.is_symlink() else "gone since the folder was listed"
            return Item(uri, problem=Problem("failed", "missing", f"{entry.path!r}: {what}"))
        except OSError as error:
            return Item(uri, problem=Problem("failed", "unreadable", f"{entry.path!r}: {error.strerror or error}"))
        names = [
            *self._second.get(uri, ()),
            (uri, [f"{folder.path}{os.sep}{name}" for name in folder.sidecars.get(entry.name, ())]),
        ]
        metadata: dict[str, Any] = {}
        for name, _ in names:
            metadata.update(self._metadata.payload(name))
        for name, sidecars in names:
            for path in (*filter(None, [self._labelled.get(name)]), *sidecars):
                metadata.update(self._sidecar(path))
        if self._label_from_folder and folder.path != str(self._root):
            metadata = {"label": clean_text(folder.path.rpartition(os.sep)[2]), **metadata}
        return Item(uri, facts.st_size, facts.st_mtime_ns, metadata)

    def _sidecar(self, path: str) -> dict[str, Any]:
        """The payload in a sidecar; what does not fit its type is left out and noted. What is broken was noted before."""
        return self._sidecars.convert(
            read_sidecar(Path(path), Losses()),
            lambda field, problem: self._unfit.add(
                f"values of metadata field {field!r}", f"{path.rpartition(os.sep)[2]!r}: {problem}"
            ),
        )
