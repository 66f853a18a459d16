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
from pathlib import Path
from typing import TYPE_CHECKING

from semblant_search.collection import check_collection_name
from semblant_search.errors import CollectionNotFound, NotADatabase, StoreError
from semblant_search.store.checks import check_generation, is_generation, not_found
from semblant_search.store.files import exclusive, make_directory, sync_directory, write_atomic

from .store import MANIFEST, EdgeStore, create_generation

if TYPE_CHECKING:
    import os

    from semblant_search.collection import Manifest

__all__ = ["DirectoryDatabase"]

POINTER = "semblant.json"
_LOCK = ".semblant.lock"
_FORMAT_VERSION = 1


class DirectoryDatabase:
    """Collections in a directory on Qdrant Edge; see `Database`.

    Args:
        path: the directory.
        create: accept a directory that does not exist or is empty; it becomes a database when something is created in it.

    Raises:
        NotADatabase: not there, not a directory, or a directory that holds something else, which stays untouched.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool = False) -> None:
        self._path = Path(path)
        if self._is_database():
            self._serving()
        elif not create:
            raise NotADatabase(
                f"{self.location!r} is not a Semblant database (it has no {POINTER})"
                if self._path.exists()
                else f"database {self.location!r} does not exist; make it with: semblant index PICTURES --encoder encoder.onnx "
                f"--db {self.location}"
            )

    def __enter__(self) -> DirectoryDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"DirectoryDatabase({self.location!r})"

    @property
    def location(self) -> str:
        """The directory, for messages."""
        return str(self._path)

    def collections(self) -> dict[str, str]:
        """Names of published collections, each with the name of its serving generation."""
        return self._serving() if self._is_database() else {}

    def generations(self, collection: str) -> list[str]:
        """All generations on disk, oldest first, published or not."""
        folder = self._path / check_collection_name(collection)
        try:
            names = [entry.name for entry in folder.iterdir() if (entry / MANIFEST).is_file()]
        except OSError:
            return []
        return sorted((name for name in names if is_generation(name)), key=lambda name: int(name[1:]))

    def open(self, collection: str, generation: str | None = None) -> EdgeStore:
        """Open the serving generation, or a named one. Raises `CollectionNotFound` or `StoreLocked`."""
        check_collection_name(collection)
        serving = self.collections()
        if generation is None:
            if collection not in serving:
                raise CollectionNotFound(not_found(self.location, collection, serving))
            generation = serving[collection]
        if generation not in self.generations(collection):
            there = ", ".join(self.generations(collection)) or "none"
            raise CollectionNotFound(
                f"collection {collection!r} in {self.location!r} has no generation {generation!r}; there: {there}"
            )
        return EdgeStore(self._path / collection / generation)

    def create(self, manifest: Manifest) -> EdgeStore:
        """Make a new, empty, unpublished generation; `manifest.generation` must be new."""
        folder = self._path / check_collection_name(manifest.collection) / check_generation(manifest.generation)
        if not self._is_database():
            make_directory(self._path)
            self._write({})
        if manifest.generation in self.generations(manifest.collection):
            raise StoreError(f"collection {manifest.collection!r} already has a generation {manifest.generation!r}")
        try:
            shutil.rmtree(folder)  # left by a process that was killed before it wrote the manifest
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StoreError(f"{str(folder)!r} cannot be removed: {error.strerror or error}") from error
        create_generation(folder, manifest)
        return EdgeStore(folder)

    def publish(self, collection: str, generation: str) -> None:
        """Make a generation the serving one, atomically."""
        if generation not in self.generations(collection):
            raise CollectionNotFound(
                f"collection {collection!r} in {self.location!r} has no generation {generation!r} to publish"
            )
        with exclusive(self._path / _LOCK):
            self._write({**self._serving(), collection: generation})

    def drop(self, collection: str, generation: str) -> None:
        """Delete a generation that is not serving."""
        check_collection_name(collection)
        check_generation(generation)
        with exclusive(self._path / _LOCK):
            if self._serving().get(collection) == generation:
                raise StoreError(
                    f"generation {generation!r} of {collection!r} is serving; publish another one before dropping it"
                )
            if generation not in self.generations(collection):
                return
            folder = self._path / collection / generation
            EdgeStore(folder).close()  # raises StoreLocked while somebody reads or builds it
            try:
                (folder / MANIFEST).unlink()  # from here on it does not count, also if the rest is interrupted
                sync_directory(folder)
                shutil.rmtree(folder)
            except OSError as error:
                raise StoreError(f"{str(folder)!r} cannot be removed: {error.strerror or error}") from error

    def close(self) -> None:
        """Nothing to release: each store holds its own files."""

    def _is_database(self) -> bool:
        """True: it is one. False: not there or empty. Raises `NotADatabase` for anything else."""
        try:
            if (self._path / POINTER).is_file():
                return True
            if not self._path.exists():
                return False
            if not self._path.is_dir():
                raise NotADatabase(f"{self.location!r} is a file; a database is a directory or a server's URL")
            # What an interrupted first write of the pointer file left is no stranger.
            strangers = sorted(entry.name for entry in self._path.iterdir() if not entry.name.startswith(f".{POINTER}."))
        except OSError as error:
            raise NotADatabase(f"{self.location!r} cannot be read: {error.strerror or error}") from error
        if strangers:
            raise NotADatabase(
                f"{self.location!r} is not a Semblant database: it has no {POINTER}, but holds {', '.join(strangers[:3])}"
                f"{' and more' if len(strangers) > 3 else ''}; give an empty directory or a new name (nothing was touched)"
            )
        return False

    def _serving(self) -> dict[str, str]:
        try:
            data = json.loads((self._path / POINTER).read_bytes())
            if data["format_version"] != _FORMAT_VERSION:
                raise NotADatabase(
                    f"{self.location!r}: database format version {data['format_version']!r}; this Semblant reads version "
                    f"{_FORMAT_VERSION}; use the Semblant that wrote it, or index again into a new directory"
                )
            return {str(name): str(generation) for name, generation in data["serving"].items()}
        except OSError as error:
            raise NotADatabase(f"{str(self._path / POINTER)!r} cannot be read: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NotADatabase(f"{str(self._path / POINTER)!r} is damaged; index again into a new directory") from error

    def _write(self, serving: dict[str, str]) -> None:
        data = {"format_version": _FORMAT_VERSION, "serving": serving}
        write_atomic(self._path / POINTER, json.dumps(data, indent=1).encode())
