"""Which source a user means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from semblant_search.errors import InvalidInput

from semblant_indexer.tables import load_metadata

from .folder import FolderSource
from .listing import ListSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from semblant_search.collection import FieldType

    from .base import Source

__all__ = ["open_source"]


def open_source(source: str, *, metadata: Path | None = None, declared: Mapping[str, FieldType] | None = None) -> Source:
    """A folder, or a list of pictures.

    Args:
        source: path of a folder, or of a `.csv`, `.tsv` or `.jsonl` list.
        metadata: table about the pictures of a folder; None takes `metadata.csv` in the folder or beside it, if any.
        declared: types of metadata fields that are not to be inferred.

    Raises:
        InvalidInput: there is no such source.
        MetadataError: a table that cannot be used.
    """
    path = Path(source)
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
    raise InvalidInput(f"source {source!r}: expected a folder, or a .csv, .tsv or .jsonl list of pictures")
