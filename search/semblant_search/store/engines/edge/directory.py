"""A database in a directory.

    DIR/semblant.json                           which generation of each collection serves: the pointer file
    DIR/<collection>/<generation>/manifest.json what the generation is; written last, so that only whole generations count
    DIR/<collection>/<generation>/shard/        Qdrant Edge's files
    DIR/<collection>/<generation>/assets/       the encoder, the vocabulary

Every file of Semblant's own is replaced atomically, and switching generations is replacing the pointer file.
"""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from semblant_search.errors import JobAtWork, NotADatabase, StoreError
from semblant_search.fork_safe import ForkSafeLock
from semblant_search.json_models import parse_object, read_model, write_model
from semblant_search.store.database import Database
from semblant_search.store.engines.base import Claim
from semblant_search.store.files import claimed, exclusive, make_directory, sync_directory, write_atomic
from semblant_search.store.names import is_generation

from .engine import EdgeEngine
from .layout import ASSETS, MANIFEST, create_generation, list_assets, read_asset, read_manifest

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from semblant_search.collection import Manifest

__all__ = ["Directory", "DirectoryDatabase"]

POINTER = "semblant.json"
_LOCK = ".semblant.lock"
_OWN = (".semblant.", "..semblant.")
_FORMAT_VERSION = 1


@dataclass(frozen=True)
class _Pointer:
    """Content of the pointer file: which generation of each collection serves."""

    format_version: int
    serving: dict[str, str]


class DirectoryDatabase(Database):
    """Collections in a directory on Qdrant Edge.

    Args:
        path: the directory.
        create: accept a directory that does not exist or is empty; it becomes a database when something is created in it.

    Raises:
        NotADatabase: not there, not a directory, or a directory that holds something else, which stays untouched.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool = False) -> None:
        super().__init__(Directory(Path(path), create=create))


class Directory:
    """A directory of Semblant's; see `Backend`. What it has open is shared by all who open it here, on any thread."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self._path = path
        self._opened: WeakValueDictionary[Path, EdgeEngine] = WeakValueDictionary()
        self._opening = ForkSafeLock()
        self._claimed: set[str] = set()
        if self._is_database():
            self._read()
        elif not create:
            raise NotADatabase(
                f"{self.location!r} is not a Semblant database (it has no {POINTER})"
                if self._path.exists()
                else f"database {self.location!r} does not exist; make it with: semblant index PICTURES --encoder encoder.onnx "
                f"--db {self.location}"
            )

    @property
    def location(self) -> str:
        """The directory, for messages."""
        return str(self._path)

    def check(self) -> None:
        """Nothing: the engine comes with the package."""

    def serving(self) -> dict[str, str]:
        """What the pointer file says; nothing before there is one."""
        return self._read() if self._is_database() else {}

    def generations(self, collection: str) -> list[str]:
        """Those that have a manifest."""
        try:
            names = [entry.name for entry in (self._path / collection).iterdir() if (entry / MANIFEST).is_file()]
        except OSError:
            return []
        return [name for name in names if is_generation(name)]

    def manifest(self, collection: str, generation: str) -> Manifest | None:
        """What `manifest.json` says, None where there is none."""
        folder = self._folder(collection, generation)
        return read_manifest(folder) if (folder / MANIFEST).is_file() else None

    def asset(self, collection: str, generation: str, name: str) -> bytes | None:
        """A file kept with a generation, whoever has it open."""
        return read_asset(self._folder(collection, generation), name)

    def assets(self, collection: str, generation: str) -> list[str]:
        """Names of the files kept with a generation."""
        return list_assets(self._folder(collection, generation))

    def put_asset(self, collection: str, generation: str, name: str, data: bytes) -> None:
        """Keep a file with a generation, whoever has it open."""
        folder = self._folder(collection, generation)
        if (folder / MANIFEST).is_file():
            write_atomic(folder / ASSETS / name, data)

    def open(self, collection: str, generation: str, manifest: Manifest) -> EdgeEngine:
        """Open a generation, or share the engine that has it open. Raises `StoreLocked` where that is not this database's."""
        folder = self._folder(collection, generation)
        with self._opening:
            engine = self._opened.get(folder)
            if engine is None or not engine.share():
                engine = self._opened[folder] = EdgeEngine(folder, manifest)
            return engine

    def create(self, manifest: Manifest) -> EdgeEngine:
        """Make an empty generation."""
        folder = self._folder(manifest.collection, manifest.generation)
        if not self._is_database():
            make_directory(self._path)
            self._write({})
        try:
            shutil.rmtree(folder)  # left by a process that was killed before it wrote the manifest
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StoreError(f"{str(folder)!r} cannot be removed: {error.strerror or error}") from error
        create_generation(folder, manifest)
        return self.open(manifest.collection, manifest.generation, manifest)

    def check_name(self, collection: str) -> None:
        """Nothing: whoever else keeps something in the directory, it is no database, and refused."""

    def publish(self, collection: str, generation: str) -> None:
        """Replace the pointer file."""
        self._write({**self._read(), collection: generation})

    def drop(self, collection: str, generation: str) -> None:
        """Remove a generation's folder. Raises `StoreLocked` while somebody reads or builds it."""
        manifest = self.manifest(collection, generation)
        if manifest is None:
            return
        folder = self._folder(collection, generation)
        EdgeEngine(folder, manifest).close()
        try:
            (folder / MANIFEST).unlink()  # from here on it does not count, also if the rest is interrupted
            sync_directory(folder)
            shutil.rmtree(folder)
        except OSError as error:
            raise StoreError(f"{str(folder)!r} cannot be removed: {error.strerror or error}") from error

    @contextmanager
    def claim(self, collection: str, wait: float) -> Iterator[Claim]:
        """A lock file beside the pointer file. A directory that is made for it goes again, where nothing came of it."""
        made = [folder for folder in (self._path, *self._path.parents) if not folder.exists()]
        make_directory(self._path)
        what = f"collection {collection!r} of {self.location!r}"
        with claimed(self._path / f".semblant.{collection}.job", what, wait):
            self._claimed.add(collection)
            try:
                yield Claim()
            finally:
                self._claimed.discard(collection)
                if not (self._path / POINTER).is_file():
                    with suppress(OSError):
                        for entry in self._path.glob(".semblant.*"):
                            entry.unlink()
                        for folder in made:
                            folder.rmdir()

    def claim_opened(self, collection: str) -> AbstractContextManager[object]:
        """Nothing: opening it does. Raises `JobAtWork` while a job of this very process has it open as well."""
        if collection in self._claimed:
            raise JobAtWork(
                f"collection {collection!r} of {self.location!r} has a job at work in this process; do it again when that is "
                "done, or cancel the job"
            )
        return nullcontext()

    def exclusive(self) -> AbstractContextManager[object]:
        """Other processes and threads wait."""
        return exclusive(self._path / _LOCK)

    def close(self) -> None:
        """Nothing to release: each store holds its own files."""

    def _folder(self, collection: str, generation: str) -> Path:
        return self._path / collection / generation

    def _is_database(self) -> bool:
        """True: it is one. False: not there or empty. Raises `NotADatabase` for anything else."""
        try:
            if (self._path / POINTER).is_file():
                return True
            if not self._path.exists():
                return False
            if not self._path.is_dir():
                raise NotADatabase(f"{self.location!r} is a file; a database is a directory or a server's URL")
            # What an interrupted first write of the pointer file, or a job that is still at its scan, left is no stranger.
            strangers = sorted(entry.name for entry in self._path.iterdir() if not entry.name.startswith(_OWN))
        except OSError as error:
            raise NotADatabase(f"{self.location!r} cannot be read: {error.strerror or error}") from error
        if strangers:
            raise NotADatabase(
                f"{self.location!r} is not a Semblant database: it has no {POINTER}, but holds {', '.join(strangers[:3])}"
                f"{' and more' if len(strangers) > 3 else ''}; give an empty directory or a new name (nothing was touched)"
            )
        return False

    def _read(self) -> dict[str, str]:
        try:
            data = (self._path / POINTER).read_bytes()
        except OSError as error:
            raise NotADatabase(f"{str(self._path / POINTER)!r} cannot be read: {error.strerror or error}") from error
        told: dict[str, Any] = {
            "what": repr(str(self._path / POINTER)),
            "error": NotADatabase,
            "advice": "index again into a new directory",
        }
        facts = parse_object(data, **told)
        if facts.get("format_version", _FORMAT_VERSION) != _FORMAT_VERSION:
            raise NotADatabase(
                f"{self.location!r}: database format version {facts['format_version']!r}; this Semblant reads version "
                f"{_FORMAT_VERSION}; use the Semblant that wrote it, or index again into a new directory"
            )
        return read_model(_Pointer, facts, **told).serving

    def _write(self, serving: dict[str, str]) -> None:
        pointer = _Pointer(_FORMAT_VERSION, serving)
        write_atomic(self._path / POINTER, json.dumps(write_model(pointer), indent=1).encode())
