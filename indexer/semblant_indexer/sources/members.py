"""The members of one archive: which are pictures, and what others say about them."""

from __future__ import annotations

import re
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any

from semblant_search.writing.metadata import clean_text

from semblant_indexer.picture_names import has_picture_suffix
from semblant_indexer.records import kept_record, read_json
from semblant_indexer.tables.texts import decoded

from .accounting import file_kind
from .system_files import system_kind

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable, Iterator

    from semblant_indexer.losses import Losses

    from .packed_tables import PackedTables
    from .walking import LeftOut
    from .zips import ZipArchive, ZipMember

__all__ = ["Members"]

_LARGEST_FACTS = 100_000_000
_FACTS = ("json", "cls", "txt")
_WHOLE = re.compile(r"-?\d+", re.ASCII)


class Members:
    """The members of one archive: pictures, and what is said of them."""

    def __init__(
        self, place: str, losses: Losses, left: LeftOut, tables: PackedTables, *, include_system: bool, unpack: bool
    ) -> None:
        self._tables = tables
        self._unpack = unpack
        self._place = place
        self._losses = losses
        self._left = left
        self._include_system = include_system
        self._pictures: dict[str, tarfile.TarInfo | ZipMember] = {}
        self._facts: dict[str, dict[str, dict[str, Any]]] = {}
        """By the names of members without their last suffix, and by that suffix."""
        self.others: list[str] = []
        self.used = 0

    def add(self, archive: tarfile.TarFile | ZipArchive, member: tarfile.TarInfo | ZipMember) -> None:
        """Take in a member; of two of one name the later counts, as when the tar is unpacked."""
        name = member.name
        if member.isdir():
            return
        kind = None if self._include_system else next(filter(None, map(system_kind, name.split("/"))), None)
        stem, dot, suffix = name.rpartition(".")
        if kind is not None:
            self._left.system[kind] += 1
        elif has_picture_suffix(name):
            self._add_picture(member)
        elif self._tables.named(name) and member.isfile():
            if self._unpack:
                self._read_member(
                    archive, member, self._tables.losses, lambda opened: self._tables.add(name, member.size, opened)
                )
        elif dot and suffix.lower() in _FACTS and member.isfile():
            self._add_facts(archive, member, stem, suffix.lower())
        else:
            self.others.append(file_kind(name))

    def _add_picture(self, member: tarfile.TarInfo | ZipMember) -> None:
        name = member.name
        if member.islnk() or member.issym():
            there = member.islnk() and member.linkname in self._pictures
            self._left.names += there
            if not there:
                self._losses.add("members that are links", f"{self._place}, {name!r} to {member.linkname!r}")
            return
        if not member.isfile():
            self._losses.add("members that are no files", f"{self._place}, {name!r}")
            return
        if self._pictures.pop(name, None) is not None:
            self._losses.add("members that a later one of the same name replaces", f"{self._place}, {name!r}")
        self._pictures[name] = member

    def _add_facts(self, archive: Any, member: tarfile.TarInfo | ZipMember, stem: str, kind: str) -> None:
        where = f"{self._place}, {member.name!r}"

        def read(opened: IO[bytes]) -> None:
            of_name = self._facts.setdefault(stem, {})
            if kind in of_name:
                self._losses.add("members that a later one of the same name replaces", where)
            of_name[kind] = {}
            of_name[kind] = _facts(kind, opened.read(_LARGEST_FACTS), where, self._losses)

        self._read_member(archive, member, self._losses, read)

    def _read_member(
        self, archive: Any, member: tarfile.TarInfo | ZipMember, losses: Losses, read: Callable[[IO[bytes]], None]
    ) -> None:
        """Read a member that is no picture; one that needs a password, is damaged or says nothing useful is told of."""
        try:
            opened = archive.extractfile(member)
            if opened is not None:
                read(opened)
        except (RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error, ValueError) as error:
            losses.add("members that cannot be used", f"{self._place}, {member.name!r}: {error}")

    def samples(self) -> Iterator[tuple[tarfile.TarInfo | ZipMember, dict[str, Any]]]:
        """Each picture with what is said of its sample, and then of itself."""
        used: set[str] = set()
        stems = {name.rpartition(".")[0] for name in self._pictures}
        for name, member in self._pictures.items():
            folder, slash, last = name.rpartition("/")
            key, stem = folder + slash + last.partition(".")[0], name.rpartition(".")[0]
            record: dict[str, Any] = {}
            for about in dict.fromkeys((key, stem, name)):
                # What has a picture of its very name is said of that one only.
                if about in self._facts and (about in (stem, name) or about not in stems):
                    used.add(about)
                    for kind in _FACTS:
                        record.update(self._facts[about].get(kind, {}))
            yield member, record
        self.used = sum(len(self._facts[about]) for about in used)
        for about in self._facts.keys() - used:
            for kind in self._facts[about]:
                self._losses.add("members that are about no picture", f"{self._place}, {f'{about}.{kind}'!r}")


def _facts(kind: str, data: bytes, where: str, losses: Losses) -> dict[str, Any]:
    """Raises `ValueError` on what is no JSON object."""
    text = decoded(data).lstrip("\ufeff").strip()
    if kind == "cls":
        return {"class": int(text) if _WHOLE.fullmatch(text) and len(text) < 1000 else clean_text(text)}
    if kind == "txt":
        return {"text": clean_text(text)}
    record = read_json(text)
    if not isinstance(record, dict):
        raise ValueError("expected a JSON object")
    return kept_record(record, where, losses)
