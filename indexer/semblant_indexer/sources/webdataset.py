"""WebDataset: tar files whose members come in samples, `key.jpg` beside `key.json`, `key.cls` and `key.txt`. ZIP, too."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections import Counter
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from semblant_search.collection import FieldType, canonical_uri, member_uri
from semblant_search.errors import InvalidInput
from semblant_search.shown import shown_error, shown_name, without_users
from semblant_search.writing.metadata import TypeInference

from semblant_indexer.losses import Losses
from semblant_indexer.reading import tar_member, zip_member

from .accounting import told
from .base import Item, Problem
from .behind_urls import changed_at, file_system
from .members import Members
from .packed_tables import PackedTables
from .walking import LeftOut
from .zips import ZipArchive, ZipMember

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["ARCHIVE_SUFFIXES", "WebDatasetSource"]

ARCHIVE_SUFFIXES = (".tar", ".zip")
_SILENT = "names in ZIP archives that do not say which letters theirs are; if these are wrong, pack them with UTF-8 names"


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
        tables: finds metadata tables in the archives, which samples' own facts outdo; None looks for none.

    Raises:
        MetadataError: a table that cannot be read.
    """

    def __init__(
        self,
        places: Sequence[Path | str],
        scope: str,
        declared: Mapping[str, FieldType] | None = None,
        *,
        include_system: bool = False,
        tables: PackedTables | None = None,
    ) -> None:
        self._places = [place if isinstance(place, str) else str(place.absolute()) for place in places]
        self._scope = scope
        self._include_system = include_system
        self._tables = tables or PackedTables(names=())
        self._inference = TypeInference(text=False, declared=declared)
        self._incomplete: list[str] = []
        self._losses = Losses()
        self._left, self._others, self._used = LeftOut(), Counter[str](), 0
        self._maybe_tables: list[str] = []
        for path in self._places:
            names: list[str] = []
            self._maybe_tables = []
            for number, sample in enumerate(self._samples(path, unpack=True), start=1):
                if isinstance(sample, _Sample):
                    self._inference.add(sample.record, number)
                    names.append(sample.picture.name)
            self._tables.read(path, canonical_uri(path), names, self._maybe_tables)
        self._inference.declare({**(declared or {}), **self._tables.fields})

    @property
    def scope(self) -> str:
        """The tar's URI, or the pattern that names several."""
        return self._scope

    @property
    def fields(self) -> dict[str, FieldType]:
        """The types of all that the samples and the tables say."""
        return self._inference.fields

    def adopt_types(self, known: Mapping[str, FieldType]) -> None:
        """See `Source`."""
        self._tables.adopt(known)
        self._inference.declare(self._tables.fields)
        self._inference.adopt(known)

    @property
    def tables(self) -> Sequence[str]:
        """Of all archives."""
        return self._tables.used

    @property
    def second_names(self) -> Mapping[str, Sequence[str]]:
        """None."""
        return {}

    @property
    def notes(self) -> list[str]:
        """Members and values that were left out, and fields that are not what they look like."""
        return [*self._tables.notes, *self._losses.notes, *self._inference.notes, *told(self._used, self._others, self._left)]

    @property
    def incomplete(self) -> list[str]:
        """Tars that cannot be read to their end."""
        return self._incomplete

    def items(self) -> Iterator[Item]:
        """One item a picture, `file:///…/shard.tar#member`."""
        self._incomplete = []
        self._losses.clear()
        self._tables.begin()
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
        uri = member_uri(base, picture.name)
        said = self._inference.convert(
            sample.record,
            lambda field, problem: self._losses.add(f"values of metadata field {field!r}", f"{where}: {problem}"),
        )
        if isinstance(picture, ZipMember):
            place = zip_member(path, picture.info.filename)
        else:
            place = tar_member(path, picture.offset_data, picture.size)
        return Item(uri, picture.size, sample.mtime_ns, {**self._tables.payload(base, uri), **said}, place=place)

    def _samples(self, place: str, *, unpack: bool = False) -> Iterator[_Sample | Problem]:
        members = Members(
            shown_name(place), self._losses, self._left, self._tables, include_system=self._include_system, unpack=unpack
        )
        problem: Problem | None = None
        changed = -1
        try:
            with _opened(place) as archive:
                changed = archive.mtime_ns
                if _is_zip(archive.file):
                    zipped = ZipArchive(archive.file)
                    for name in zipped.names.guessed:
                        told = f"read as {zipped.names.guess}"
                        self._losses.add(_SILENT, f"{shown_name(place)}, {name!r}", told=told)
                    for inner in zipped:
                        members.add(zipped, inner)
                else:
                    self._read_tar(archive, members)
        except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError, InvalidInput, NotImplementedError) as error:
            why = without_users(shown_error(error))
            kind = "a ZIP archive" if place.lower().endswith(".zip") else "an uncompressed tar"
            where = f" (the last member that was found is {members.last!r})" if members.last is not None else ""
            message = f"{shown_name(place)}: cannot be read to its end as {kind}: {why}{where}"
            problem = Problem("failed", "unreadable", message)
        for picture, record in members.samples():
            yield _Sample(picture, record, changed)
        self._others.update(members.others)
        self._maybe_tables += members.maybe_tables
        self._used += members.used
        if problem is not None:
            yield problem

    @staticmethod
    def _read_tar(archive: _Tar, members: Members) -> None:
        with tarfile.open(fileobj=archive.file, mode="r:") as tar:
            for member in tar:
                members.add(tar, member)
            # A tar ends with blocks of zeros; tarfile takes one that was cut off between two members for a whole one.
            if archive.size < tar.offset + tarfile.BLOCKSIZE:
                raise tarfile.ReadError("unexpected end of data")
            # It takes a broken header for the end, too, and all behind it would be lost without a word.
            archive.file.seek(tar.offset)
            if any(archive.file.read(tarfile.BLOCKSIZE)):
                raise tarfile.ReadError(f"a broken header at byte {tar.offset:,}")


def _is_zip(file: IO[bytes]) -> bool:
    start = file.read(4)
    file.seek(0)
    return start in (b"PK\3\4", b"PK\5\6")


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
