"""The members of one archive: which are pictures, and what others say about them."""

from __future__ import annotations

import re
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any

from semblant_search.shown import shown_error
from semblant_search.writing.metadata import clean_text

from semblant_indexer.picture_names import has_picture_suffix
from semblant_indexer.tables.texts import decoded

from .accounting import file_kind
from .sidecar_names import SPELLINGS, sidecars_of
from .sidecars import sidecar_content
from .system_files import kind_in

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from semblant_indexer.losses import Losses

    from .packed_tables import PackedTables
    from .walking import LeftOut
    from .zips import ZipArchive, ZipMember

__all__ = ["Members"]

_LARGEST_FACTS = 100_000_000
_SAMPLES = ("json", "cls", "txt")
_FACTS = ("caption", "xmp", *_SAMPLES)
"""The last has the last word."""
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
        self.maybe_tables: list[str] = []
        """Names of members that may be metadata tables, and are not read."""
        self.used = 0
        self.last: str | None = None
        """The name of the member that was taken in last."""

    def add(self, archive: tarfile.TarFile | ZipArchive, member: tarfile.TarInfo | ZipMember) -> None:
        """Take in a member; of two of one name the later counts, as when the tar is unpacked."""
        name = self.last = member.name
        if member.isdir():
            return
        kind = None if self._include_system else kind_in(name)
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
            if self._tables.may_be(name):
                self.maybe_tables.append(name)

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
        said = self._of_samples()
        used = {about for those in said.values() for about in those}
        rest = [(about, kind) for about in self._facts.keys() - used for kind in self._facts[about]]
        beside = self._beside({f"{about}.{kind}": (about, kind) for about, kind in rest})
        taken = {fact for facts in beside.values() for fact in facts}
        for name, member in self._pictures.items():
            record: dict[str, Any] = {}
            for about, kind in beside.get(name, ()):
                record.update(self._facts[about][kind])
            for about in said[name]:
                for kind in _FACTS:
                    record.update(self._facts[about].get(kind, {}))
            yield member, record
        self.used = sum(len(self._facts[about]) for about in used) + len(taken)
        for about, kind in sorted(set(rest) - taken):
            if self._tables.may_be(f"{about}.{kind}"):
                self.maybe_tables.append(f"{about}.{kind}")
                self.others.append(file_kind(f"{about}.{kind}"))
            elif kind in _SAMPLES:
                self._losses.add("members that are about no picture", f"{self._place}, {f'{about}.{kind}'!r}")
            else:
                self.others.append(file_kind(f"{about}.{kind}"))

    def _of_samples(self) -> dict[str, list[str]]:
        """For each picture the names, without suffixes, of the members that are about its sample or itself."""
        stems = {name.rpartition(".")[0] for name in self._pictures}
        ways: dict[str, dict[str, None]] = {}
        for name in self._pictures:
            folder, slash, last = name.rpartition("/")
            key, stem = folder + slash + last.partition(".")[0], name.rpartition(".")[0]
            # What has a picture of its very name is said of that one only.
            ways[name] = dict.fromkeys(way for way in (key, stem, name) if way in (stem, name) or way not in stems)
        meant = self._meant({way for those in ways.values() for way in those})
        return {name: [meant[way] for way in those if way in meant] for name, those in ways.items()}

    def _meant(self, ways: set[str]) -> dict[str, str]:
        """By ways to name pictures, the names of facts that are the same, or can only be the same, spelled otherwise."""
        meant = {way: way for way in ways if way in self._facts}
        for spelling in SPELLINGS[1:]:
            rest = self._facts.keys() - meant.values()
            if not rest:
                break
            named, about = _by_spelling(ways, spelling), _by_spelling(rest, spelling)
            meant = {**{named[spelled]: about[spelled] for spelled in named.keys() & about.keys()}, **meant}
        return meant

    def _beside(self, rest: Mapping[str, tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
        """For each picture the other facts, by names of members, that would be about it if the archive was unpacked."""
        folders: dict[str, list[str]] = {}
        for name in rest:
            folders.setdefault(name.rpartition("/")[0], []).append(name.rpartition("/")[2])
        if not folders:
            return {}
        pictures: dict[str, list[str]] = {}
        for name in self._pictures:
            pictures.setdefault(name.rpartition("/")[0], []).append(name.rpartition("/")[2])
        found = {}
        for folder, files in folders.items():
            before = f"{folder}/" if folder else ""
            for picture, sidecars in sidecars_of(pictures.get(folder, ()), files).items():
                found[before + picture] = [rest[before + sidecar] for sidecar in sidecars]
        return found


def _by_spelling(names: Iterable[str], spelling: Callable[[str], str]) -> dict[str, str]:
    """Names by how they are spelled, without those that are the same then."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(spelling(name), []).append(name)
    return {spelled: those[0] for spelled, those in found.items() if len(those) == 1}


def _facts(kind: str, data: bytes, where: str, losses: Losses) -> dict[str, Any]:
    """Raises `ValueError` on what cannot be used."""
    if kind in ("cls", "txt"):
        text = decoded(data).lstrip("\ufeff").strip()
        if kind == "txt":
            return {"text": clean_text(text)}
        return {"class": int(text) if _WHOLE.fullmatch(text) and len(text) < 1000 else clean_text(text)}
    try:
        return sidecar_content(f".{kind}", data, losses, where)
    except (SyntaxError, LookupError) as error:  # XML's
        raise ValueError(shown_error(error)) from error
