"""Which source a user means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from semblant_search.collection import canonical_uri, uri_path
from semblant_search.errors import InvalidInput

from semblant_indexer.tables import load_metadata

from .folder import FolderSource
from .listing import ListSource
from .remote import RemoteFolderSource
from .webdataset import WebDatasetSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from semblant_search.collection import FieldType

    from .base import Source

__all__ = ["open_source"]


def open_source(source: str, *, metadata: Path | None = None, declared: Mapping[str, FieldType] | None = None) -> Source:
    """A folder, a list of pictures, tar files, or a URL.

    Args:
        source: a folder, a `.csv`, `.tsv`, `.jsonl` or `.parquet` list, a `.tar` file or a pattern for several, or the URL of a
            folder that fsspec can list.
        metadata: table about the pictures of a folder; None takes `metadata.csv` in the folder or beside it, if any.
        declared: types of metadata fields that are not to be inferred.

    Raises:
        InvalidInput: there is no such source.
        MetadataError: a table that cannot be used.
    """
    if "://" in source and not source.startswith("file://"):
        if metadata is not None:
            raise InvalidInput(
                f"{source!r} is a URL: --metadata is for folders on this machine; give a list with columns instead"
            )
        return RemoteFolderSource(source)
    path = uri_path(source) if source.startswith("file://") else Path(source)
    if path is None:
        raise InvalidInput(f"source {source!r}: not a path")
    shards = _shards(path)
    if shards:
        if metadata is not None:
            raise InvalidInput(f"{source!r} holds tar files with metadata of their own; leave --metadata away")
        return WebDatasetSource(shards, canonical_uri(path), declared)
    if path.is_dir():
        if metadata is None:
            candidates = (path.absolute() / "metadata.csv", path.absolute().parent / "metadata.csv")
            metadata = next((candidate for candidate in candidates if candidate.is_file()), None)
        elif not metadata.is_file():
            raise InvalidInput(f"metadata file {str(metadata)!r}: no such file")
        table = load_metadata(metadata.absolute(), declared) if metadata is not None else None
        return FolderSource(path, table)
    if path.is_file():
        if metadata is not None:
            raise InvalidInput(f"{source!r} is a list with metadata of its own; leave --metadata away or give the folder")
        return ListSource(path, declared)
    if not path.exists():
        raise InvalidInput(f"source {source!r}: no such folder or list")
    raise InvalidInput(f"source {source!r}: expected a folder, a list of pictures or tar files")


def _shards(path: Path) -> list[Path]:
    """The tar files that a path means: itself, or what a pattern such as `shards/*.tar` matches."""
    if path.suffix.lower() != ".tar" or path.is_dir():
        return []
    if path.is_file():
        return [path]
    return sorted(path.parent.glob(path.name)) if any(character in path.name for character in "*?[") else []
