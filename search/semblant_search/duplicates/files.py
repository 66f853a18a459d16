"""Pictures of a collection as the files that they are now: which names are one file, and what is in it."""

from __future__ import annotations

import hashlib
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from semblant_search.collection import uri_path
from semblant_search.errors import ImageError
from semblant_search.file_access import file_rule
from semblant_search.images import read_file

from .signatures import Signature, signature_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from semblant_search.store import Record

__all__ = ["Content", "FilesRead", "Name", "is_unchanged"]


@dataclass(frozen=True)
class Name:
    """A picture of the collection: a name of a file.

    Attributes:
        id, uri, payload: as stored.
        path: the local file; None behind a URL.
        file: device, inode, size and time of last change (ns), all of it as read in this run; None where it was not read.
        link: the name itself is a symbolic link.
        sha256: of its bytes now, or as they were indexed where it cannot be read now.
    """

    id: str
    uri: str
    payload: dict[str, Any] = field(repr=False)
    path: Path | None
    file: tuple[int, int, int, int] | None
    link: bool
    sha256: str


@dataclass
class Content:
    """All pictures of the same bytes.

    Attributes:
        sha256: of these bytes.
        files: the names of each file, the one that stands for it first.
        signature: what it looks like; None where no file is at hand or none can be decoded.
    """

    sha256: str
    files: list[list[Name]]
    signature: Signature | None

    @property
    def first(self) -> Name:
        """The name that stands for it: of a file that is no link, if there is one."""
        return self.files[0][0]

    @property
    def at_hand(self) -> bool:
        """A file of it was read just now."""
        return self.first.file is not None

    @property
    def worth(self) -> tuple[int, ...]:
        """What makes it worth keeping: most pixels, transparency, most bits, no loss, most bytes; more is better."""
        facts, seen = self.first.payload, self.signature
        size = seen.size if seen is not None else (int(facts.get("_width", 0)), int(facts.get("_height", 0)))
        length = self.first.file[2] if self.first.file is not None else int(facts.get("_bytes", 0))
        extra = (0, 0, 0) if seen is None else (int(seen.alpha), int(seen.deep), int(seen.lossless))
        return (int(self.at_hand), size[0] * size[1], *extra, length)


class FilesRead:
    """What was read of the files of a collection. It grows while `read` works, and holds on where that is broken off."""

    def __init__(self) -> None:
        self.pictures = 0
        self._names: dict[str, list[Name]] = {}
        self._seen: dict[str, Signature | None] = {}

    def read(
        self, records: Iterable[Record], batch: int, max_pixels: int, on_progress: Callable[[int], None] | None = None
    ) -> None:
        """Read every file of these records once, and decode each content once; `on_progress` is called after each batch."""
        read = partial(_read_all, seen=self._seen, max_pixels=max_pixels, may_open=file_rule())
        left = iter(records)
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            while chunk := list(itertools.islice(left, batch)):
                for found in pool.map(read, chunk):
                    for name in found:
                        self._names.setdefault(name.sha256, []).append(name)
                    self.pictures += 1
                if on_progress is not None:
                    on_progress(self.pictures)

    def contents(self) -> list[Content]:
        """What has the same bytes, put together; the one most worth keeping first.

        Local files that are gone are left out where another file of the same bytes is at hand: a renamed folder leaves such
        names behind. Where none is, as in a collection of another machine, all of them stay.
        """
        contents = [Content(sha256, _files(group), self._seen.get(sha256)) for sha256, group in self._names.items()]
        contents.sort(key=lambda content: content.first.uri)
        contents.sort(key=lambda content: content.worth, reverse=True)
        return contents


def _read_all(
    record: Record, seen: dict[str, Signature | None], max_pixels: int, may_open: Callable[[Path], bool]
) -> list[Name]:
    """A point stands for several files where pictures of the same bytes were merged when they were indexed (`_uris`)."""
    merged = record.payload.get("_uris")
    uris = [str(record.payload["_uri"]), *(map(str, merged) if isinstance(merged, list) else ())]
    return [_read(record, uri, seen, max_pixels, may_open) for uri in dict.fromkeys(uris)]


def _read(
    record: Record, uri: str, seen: dict[str, Signature | None], max_pixels: int, may_open: Callable[[Path], bool]
) -> Name:
    path, stored = uri_path(uri), str(record.payload.get("_sha256", record.id))
    payload = {**record.payload, "_uri": uri}
    if path is None or not may_open(path):
        return Name(record.id, uri, payload, path, None, False, stored)
    try:
        data, facts = read_file(path)
    except ImageError:
        return Name(record.id, uri, payload, path, None, False, stored)
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 not in seen:  # two threads may both decode it: no harm
        try:
            seen[sha256] = signature_of(data, max_pixels)
        except ImageError:
            seen[sha256] = None
    file = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)
    return Name(record.id, uri, payload, path, file, path.is_symlink(), sha256)


def _files(names: list[Name]) -> list[list[Name]]:
    """Names put together by the file they are of, files that are at hand and no links first."""
    here = [name for name in names if name.file is not None]
    away = [name for name in names if name.file is None and (name.path is None or not here)]
    files: dict[tuple[int, int], list[Name]] = {}
    for name in sorted(here, key=lambda name: (name.link, len(name.uri), name.uri)):
        assert name.file is not None
        files.setdefault(name.file[:2], []).append(name)
    # Of equal files, the one that links lead to, then the shortest name: `a.png` rather than `a (1).png`.
    read = sorted(files.values(), key=lambda group: (group[0].link, -len(group), len(group[0].uri), group[0].uri))
    return [*read, *([name] for name in sorted(away, key=lambda name: name.uri))]


def is_unchanged(name: Name) -> bool:
    """Whether a file, read again, still is the one that was compared."""
    if name.path is None or name.file is None or name.link or name.path.is_symlink():
        return False
    try:
        data, facts = read_file(name.path)
    except ImageError:
        return False
    return (facts.st_dev, facts.st_ino) == name.file[:2] and hashlib.sha256(data).hexdigest() == name.sha256
