"""How a generation lies in its directory, beside the engine's own files: the manifest, and the files that it keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semblant_search.collection import Manifest
from semblant_search.errors import NotADatabase, StoreError
from semblant_search.store.files import make_directory, require_space, write_atomic
from semblant_search.where.compiler import json_path

from .shard_copy import SHARD
from .translation import call, config, index_params, load_engine

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "ASSETS",
    "MANIFEST",
    "WRITING_SPACE",
    "create_generation",
    "list_assets",
    "read_asset",
    "read_manifest",
    "write_manifest",
]

MANIFEST = "manifest.json"
ASSETS = "assets"
# The engine writes through memory maps of files with holes: on a full disk the system ends the process (SIGBUS) where another
# program would get an error. So room is asked for first, here and where a shard is opened.
WRITING_SPACE = 256_000_000


def create_generation(path: Path, manifest: Manifest) -> None:
    """Lay out an empty generation in the directory `path`; its manifest is written last and makes it count as one."""
    edge = load_engine()
    make_directory(path / ASSETS)
    require_space(path, WRITING_SPACE, "a new collection")
    shard = call(path, edge.EdgeShard.create, str(path / SHARD), config(edge, manifest))
    try:
        for name, kind in manifest.fields.items():
            params = index_params(edge, name, kind, on_disk=manifest.storage.on_disk)
            call(path, shard.update, edge.UpdateOperation.create_field_index(json_path(name), params))
        call(path, shard.flush)
    finally:
        shard.close()
    write_manifest(path, manifest)


def read_manifest(path: Path) -> Manifest:
    """The manifest of the generation in `path`. Raises `NotADatabase` if it is not there or not readable."""
    try:
        data = (path / MANIFEST).read_bytes()
    except OSError as error:
        raise NotADatabase(f"{str(path / MANIFEST)!r} cannot be read: {error.strerror or error}") from error
    return Manifest.from_bytes(data, repr(str(path / MANIFEST)))


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Replace the manifest of the generation in `path`, atomically."""
    write_atomic(path / MANIFEST, manifest.to_bytes())


def read_asset(generation: Path, name: str) -> bytes | None:
    """A file kept with the generation in a directory, or None; whoever has it open."""
    path = generation / ASSETS / name
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error


def list_assets(generation: Path) -> list[str]:
    """Names of the files that are kept with the generation in a directory; one that begins with a dot is being written."""
    folder = generation / ASSETS
    try:
        return [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise StoreError(f"{str(folder)!r} cannot be read: {error.strerror or error}") from error
