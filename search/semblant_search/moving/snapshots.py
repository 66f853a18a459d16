"""A collection as one file, from a database of any kind, and back into one of any kind."""

from __future__ import annotations

import errno
import json
import os
import tarfile
import tempfile
import uuid
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from semblant_search.errors import InvalidInput, NotADatabase, SemblantError, StoreError
from semblant_search.json_models import parse_object, read_model, write_model
from semblant_search.store import open_database
from semblant_search.store.files import sha256_of

from .copying import copy_collection
from .unpacking import unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from semblant_search.store import Database

    from .copying import CopyReport

__all__ = ["restore", "snapshot"]

_FOLDER = "database"
_CONTENTS = "snapshot.json"
_FORMAT_VERSION = 1


@dataclass(frozen=True)
class _Contents:
    """Content of `snapshot.json`, the first in the tar.

    Attributes:
        format_version: of the snapshot.
        sha256: of each file of the database, by its path in it.
    """

    format_version: int
    sha256: dict[str, str]


def snapshot(
    source: Database,
    file: str | os.PathLike[str],
    collection: str = "images",
    *,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> CopyReport:
    """Write a collection into one file: a tar of a database in a directory that holds it, compared with the original.

    The file is there whole or not at all. Room is needed for it twice.

    Raises:
        InvalidInput: there is such a file already.
        CollectionNotFound, StoreError: as `copy_collection`; the file cannot be written.
    """
    path = Path(file)
    if path.exists():
        raise InvalidInput(f"{str(path)!r} exists; give a new name, or remove it first")
    if not path.parent.is_dir():
        raise InvalidInput(f"{str(path.parent)!r} is no directory to write {path.name!r} into; make it first")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as work, _by_member(work, path):
        folder = Path(work) / _FOLDER
        with closing(open_database(folder, create=True)) as target:
            report = copy_collection(source, target, collection, on_progress=on_progress)
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        contents = _Contents(_FORMAT_VERSION, _hashes(folder))
        (Path(work) / _CONTENTS).write_text(json.dumps(write_model(contents)))
        try:
            with tarfile.open(part, "x") as tar:
                tar.add(Path(work) / _CONTENTS, _CONTENTS)
                tar.add(folder, _FOLDER)
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise StoreError(f"{str(path)!r} cannot be written: {error.strerror or error}") from error
    return report


def restore(
    file: str | os.PathLike[str],
    target: Database,
    *,
    name: str | None = None,
    replace_existing: bool = False,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> CopyReport:
    """Copy the collection of a snapshot into a database.

    Args:
        file: what `snapshot` wrote.
        target, name, replace_existing, on_progress: as in `copy_collection`.

    Raises:
        NotADatabase: not a snapshot, or a damaged one.
        InvalidInput, StoreError: as `copy_collection`.
    """
    path = Path(file)
    with tempfile.TemporaryDirectory(prefix="semblant-") as work, _by_member(work, path):
        try:
            with tarfile.open(path, "r:") as tar:
                unpack(tar, Path(work))
            contents = _read_contents((Path(work) / _CONTENTS).read_bytes(), path)
            whole = contents.sha256 == _hashes(Path(work) / _FOLDER)
        except (OSError, tarfile.TarError, EOFError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreError(
                    f"{str(path)!r} cannot be unpacked: no room in {tempfile.gettempdir()!r}, which TMPDIR says where to have"
                ) from error
            raise NotADatabase(f"{str(path)!r} is no snapshot of a collection, or a damaged one: {error}") from error
        if not whole:
            raise NotADatabase(f"{str(path)!r} is damaged: its files are not those that were written; take another snapshot")
        with closing(open_database(Path(work) / _FOLDER)) as source:
            names = list(source.collections())
            if len(names) != 1:
                raise NotADatabase(f"{str(path)!r} is no snapshot: it holds {len(names)} collections, expected 1")
            return copy_collection(
                source,
                target,
                names[0],
                name=name,
                replace_existing=replace_existing,
                on_progress=on_progress,
            )


def _read_contents(data: bytes, snapshot: Path) -> _Contents:
    what, advice = f"'{snapshot}#{_CONTENTS}'", "take another snapshot"
    facts = parse_object(data, what=what, error=NotADatabase, advice=advice)
    version = facts.get("format_version", _FORMAT_VERSION)
    if version != _FORMAT_VERSION:
        raise NotADatabase(
            f"{str(snapshot)!r}: snapshot format version {version!r}; this Semblant reads version {_FORMAT_VERSION}; use the "
            "Semblant that wrote it, or take another snapshot"
        )
    return read_model(_Contents, facts, what=what, error=NotADatabase, advice=advice)


@contextmanager
def _by_member(work: str, snapshot: Path) -> Iterator[None]:
    """Errors name members of the snapshot, as `images.tar#database/…`, and not the folder that is gone when they are read."""
    try:
        yield
    except SemblantError as error:
        if work not in str(error):
            raise
        text = str(error).replace(f"{work}{os.sep}", f"{snapshot}#").replace(work, str(snapshot))
        raise type(error)(text) from error


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file, by its path in the folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = sha256_of(path)
    return found
