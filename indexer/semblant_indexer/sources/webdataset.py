"""WebDataset: tar files whose members come in samples, `key.jpg` beside `key.json`, `key.cls` and `key.txt`. ZIP, too."""

from __future__ import annotations

import os
import re
import tarfile
import zipfile
import zlib
from collections import Counter
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from semblant_search.collection import FieldType, canonical_uri, member_uri
from semblant_search.errors import InvalidInput
from semblant_search.shown import shown_error, shown_name, without_users
from semblant_search.writing.metadata import TypeInference, clean_text

from semblant_indexer.losses import Losses
from semblant_indexer.picture_names import has_picture_suffix
from semblant_indexer.reading import tar_member, zip_member
from semblant_indexer.records import kept_record, read_json
from semblant_indexer.tables.texts import decoded

from .accounting import file_kind, told
from .base import Item, Problem
from .behind_urls import changed_at, file_system
from .system_files import system_kind
from .walking import LeftOut
from .zips import ZipArchive, ZipMember

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["ARCHIVE_SUFFIXES", "WebDatasetSource"]

ARCHIVE_SUFFIXES = (".tar", ".zip")

_LARGEST_FACTS = 100_000_000
_FACTS = ("json", "cls", "txt")
_WHOLE = re.compile(r"-?\d+", re.ASCII)


class _Sample(NamedTuple):
    picture: tarfile.TarInfo | ZipMember
    record: dict[str, Any]
    mtime_ns: int


class _Tar(NamedTuple):
    """An open tar with the facts of its file."""

    file: IO[bytes]
    size: int
    mtime_ns: int


class WebDatasetSource:
    """The pictures in uncompressed tar files and in ZIP archives; workers read them in place. A sample's JSON is its metadata.

    `key.cls` becomes the field `class`, `key.txt` the field `text`. A picture's facts are those of its own name without the
    last suffix; a sample's, whose name ends at its first dot, are those of all its pictures, wherever in the tar they lie.

    Args:
        places: paths, or URLs as text, of the archives.
        scope: what stands for all of them.
        declared: types of metadata fields that are not to be inferred.
        include_system: take members that a system keeps beside a user's files, too.
    """

    def __init__(
        self,
        places: Sequence[Path | str],
        scope: str,
        declared: Mapping[str, FieldType] | None = None,
        *,
        include_system: bool = False,
    ) -> None:
        self._places = [place if isinstance(place, str) else str(place.absolute()) for place in places]
        self._scope = scope
        self._include_system = include_system
        self._inference = TypeInference(text=False, declared=declared)
        self._incomplete: list[str] = []
        self._losses = Losses()
        self._left, self._others, self._used = LeftOut(), Counter[str](), 0
        for path in self._places:
            for number, sample in enumerate(self._samples(path), start=1):
                if isinstance(sample, _Sample):
                    self._inference.add(sample.record, number)

    @property
    def scope(self) -> str:
        """The tar's URI, or the pattern that names several."""
        return self._scope

    @property
    def fields(self) -> dict[str, FieldType]:
        """The types of all that the samples say."""
        return self._inference.fields

    def adopt_types(self, known: Mapping[str, FieldType]) -> None:
        """See `Source`."""
        self._inference.adopt(known)

    @property
    def second_names(self) -> Mapping[str, Sequence[str]]:
        """None."""
        return {}

    @property
    def notes(self) -> list[str]:
        """Members and values that were left out, and fields that are not what they look like."""
        return [*self._losses.notes, *self._inference.notes, *told(self._used, self._others, self._left)]

    @property
    def incomplete(self) -> list[str]:
        """Tars that cannot be read to their end."""
        return self._incomplete

    def items(self) -> Iterator[Item]:
        """One item a picture, `file:///…/shard.tar#member`."""
        self._incomplete = []
        self._losses.clear()
        self._left, self._others, self._used = LeftOut(), Counter(), 0
        for path in self._places:
            base = canonical_uri(path)
            for sample in self._samples(path):
                if isinstance(sample, Problem):
                    self._incomplete.append(sample.message)
                    yield Item(base, problem=sample)
                else:
                    yield self._item(path, base, sample)

    def _item(self, path: str, base: str, sample: _Sample) -> Item:
        picture = sample.picture
        where = f"{shown_name(path)}, {picture.name!r}"
        metadata = self._inference.convert(
            sample.record,
            lambda field, problem: self._losses.add(f"values of metadata field {field!r}", f"{where}: {problem}"),
        )
        if isinstance(picture, ZipMember):
            place = zip_member(path, picture.info.filename)
        else:
            place = tar_member(path, picture.offset_data, picture.size)
        return Item(member_uri(base, picture.name), picture.size, sample.mtime_ns, metadata, place=place)

    def _samples(self, place: str) -> Iterator[_Sample | Problem]:
        members = _Members(shown_name(place), self._losses, self._left, include_system=self._include_system)
        problem: Problem | None = None
        changed = -1
        try:
            with _opened(place) as archive:
                changed = archive.mtime_ns
                if _is_zip(archive.file):
                    zipped = ZipArchive(archive.file)
                    for inner in zipped:
                        members.add(zipped, inner)
                else:
                    self._read_tar(archive, members)
        except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError, InvalidInput, NotImplementedError) as error:
            why = without_users(shown_error(error))
            kind = "a ZIP archive" if place.lower().endswith(".zip") else "an uncompressed tar"
            message = f"{shown_name(place)}: cannot be read to its end as {kind}: {why}"
            problem = Problem("failed", "unreadable", message)
        for picture, record in members.samples():
            yield _Sample(picture, record, changed)
        self._others.update(members.others)
        self._used += members.used
        if problem is not None:
            yield problem

    @staticmethod
    def _read_tar(archive: _Tar, members: _Members) -> None:
        with tarfile.open(fileobj=archive.file, mode="r:") as tar:
            for member in tar:
                members.add(tar, member)
            # A tar ends with blocks of zeros; tarfile takes one that was cut off between two members for a whole one.
            if archive.size < tar.offset + tarfile.BLOCKSIZE:
                raise tarfile.ReadError("unexpected end of data")


def _is_zip(file: IO[bytes]) -> bool:
    start = file.read(4)
    file.seek(0)
    return start in (b"PK\3\4", b"PK\5\6")


class _Members:
    """The members of one archive: pictures, and what is said of them."""

    def __init__(self, place: str, losses: Losses, left: LeftOut, *, include_system: bool) -> None:
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
        try:
            opened = archive.extractfile(member)
            data = opened.read(_LARGEST_FACTS) if opened is not None else b""
        except (RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:  # needs a password, is damaged
            self._losses.add("members that cannot be used", f"{where}: {error}")
            return
        of_name = self._facts.setdefault(stem, {})
        if kind in of_name:
            self._losses.add("members that a later one of the same name replaces", where)
        of_name[kind] = {}
        try:
            of_name[kind] = _facts(kind, data, where, self._losses)
        except ValueError as error:
            self._losses.add("members that cannot be used", f"{where}: {error}")

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


@contextmanager
def _opened(place: str) -> Iterator[_Tar]:
    if "://" in place:
        files, path = file_system(place)
        facts = files.info(path)
        with files.open(path, "rb") as file:
            yield _Tar(file, int(facts["size"]), changed_at(facts))
    else:
        with open(place, "rb") as file:  # noqa: PTH123 - a path and a URL are both text here
            status = os.fstat(file.fileno())
            yield _Tar(file, status.st_size, status.st_mtime_ns)


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
