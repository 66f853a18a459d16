"""WebDataset: tar files whose members come in samples, `key.jpg` beside `key.json`, `key.cls` and `key.txt`."""

from __future__ import annotations

import json
import os
import tarfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from semblant_search.collection import FieldType, canonical_uri, check_field_name, member_uri
from semblant_search.errors import InvalidInput, MetadataError
from semblant_search.shown import shown_error, shown_name, without_users
from semblant_search.writing.metadata import TypeInference, clean_text, convert_record

from semblant_indexer.reading import tar_member

from .base import Item, Problem
from .behind_urls import changed_at, file_system
from .selection import PICTURE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["WebDatasetSource"]


class _Sample(NamedTuple):
    picture: tarfile.TarInfo
    record: dict[str, Any]
    problem: str | None
    mtime_ns: int


class _Tar(NamedTuple):
    """An open tar with the facts of its file."""

    file: IO[bytes]
    size: int
    mtime_ns: int


class WebDatasetSource:
    """The pictures in uncompressed tar files; workers read them in place. A sample's JSON is its metadata.

    `key.cls` becomes the field `class`, `key.txt` the field `text`. A sample with several pictures is several items.

    Args:
        places: paths, or URLs as text, of the tar files.
        scope: what stands for all of them.
        declared: types of metadata fields that are not to be inferred.
    """

    def __init__(self, places: Sequence[Path | str], scope: str, declared: Mapping[str, FieldType] | None = None) -> None:
        self._places = [place if isinstance(place, str) else str(place.absolute()) for place in places]
        self._scope = scope
        self._inference = TypeInference(text=False, declared=declared)
        self._incomplete: list[str] = []
        for path in self._places:
            for number, sample in enumerate(_samples(path), start=1):
                if isinstance(sample, _Sample) and sample.problem is None:
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
    def notes(self) -> list[str]:
        """Fields that mix types."""
        return self._inference.notes

    @property
    def incomplete(self) -> list[str]:
        """Tars that cannot be read to their end."""
        return self._incomplete

    def items(self) -> Iterator[Item]:
        """One item a picture, `file:///…/shard.tar#member`."""
        self._incomplete = []
        for path in self._places:
            base = canonical_uri(path)
            for sample in _samples(path):
                if isinstance(sample, Problem):
                    self._incomplete.append(sample.message)
                    yield Item(base, problem=sample)
                    continue
                picture = sample.picture
                uri = member_uri(base, picture.name)
                name = f"{shown_name(path)}, {picture.name!r}"
                try:
                    if sample.problem is not None:
                        raise MetadataError(sample.problem)
                    metadata = convert_record(sample.record, self._inference.fields)
                except MetadataError as error:
                    yield Item(uri, problem=Problem("failed", "metadata", f"{name}: {error}"))
                    continue
                place = tar_member(path, picture.offset_data, picture.size)
                yield Item(uri, picture.size, sample.mtime_ns, metadata, place=place)


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


def _samples(place: str) -> Iterator[_Sample | Problem]:
    changed = -1
    key: str | None = None
    pictures: list[tarfile.TarInfo] = []
    record: dict[str, Any] = {}
    problem: str | None = None
    try:
        with _opened(place) as opened_tar, tarfile.open(fileobj=opened_tar.file, mode="r:") as tar:
            changed = opened_tar.mtime_ns
            for member in tar:
                if not member.isfile():
                    continue
                folder, slash, name = member.name.rpartition("/")
                stem, _, suffix = name.partition(".")
                if not stem or folder + slash + stem != key:
                    yield from (_Sample(picture, record, problem, changed) for picture in pictures)
                    key, pictures, record, problem = folder + slash + stem, [], {}, None
                kind = suffix.rpartition(".")[2].lower()
                if kind in PICTURE_SUFFIXES:
                    pictures.append(member)
                elif kind in ("json", "cls", "txt"):
                    opened = tar.extractfile(member)
                    try:
                        record.update(_facts(kind, opened.read() if opened is not None else b""))
                    except (ValueError, MetadataError) as error:
                        problem = f"{member.name!r}: {error}"
            # A tar ends with blocks of zeros; tarfile takes one that was cut off between two members for a whole one.
            if opened_tar.size < tar.offset + tarfile.BLOCKSIZE:
                raise tarfile.ReadError("unexpected end of data")
            yield from (_Sample(picture, record, problem, changed) for picture in pictures)
            pictures = []
    except (tarfile.TarError, OSError, EOFError, InvalidInput) as error:
        yield from (_Sample(picture, record, problem, changed) for picture in pictures)
        message = f"{shown_name(place)}: cannot be read to its end as an uncompressed tar: {without_users(shown_error(error))}"
        yield Problem("failed", "unreadable", message)


def _facts(kind: str, data: bytes) -> dict[str, Any]:
    text = data.decode("utf-8").strip()
    if kind == "cls":
        return {"class": int(text) if text.lstrip("-").isdigit() else text}
    if kind == "txt":
        return {"text": clean_text(text)}
    record = json.loads(text)
    if not isinstance(record, dict):
        raise MetadataError("expected a JSON object")
    for name in record:
        check_field_name(name)
    return record
