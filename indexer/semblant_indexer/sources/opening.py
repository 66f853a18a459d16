"""Which source a user means."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, overload
from urllib.parse import urlsplit

from semblant_search.collection import canonical_uri, uri_path
from semblant_search.errors import InvalidInput
from semblant_search.shown import shown_name

from semblant_indexer.metadata_table import load_metadata
from semblant_indexer.tables import LIST_SUFFIXES

from .accounting import packed_kind
from .behind_urls import file_system, listing_errors
from .folder import FolderSource
from .found_tables import TABLE_NAMES, FoundTables
from .listing import ListSource
from .packed_tables import PackedTables
from .remote import RemoteFolderSource
from .selection import Selection
from .several import FramesSource
from .webdataset import ARCHIVE_SUFFIXES, WebDatasetSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from semblant_search.collection import FieldType

    from .base import Source

__all__ = ["open_source"]


def open_source(
    source: str,
    *,
    metadata: Path | None = None,
    declared: Mapping[str, FieldType] | None = None,
    selection: Selection | None = None,
    find_metadata: bool = True,
    file_column: str | None = None,
    frames: str | int = "first",
) -> Source:
    """A folder, a list of pictures, or archives: here, or behind a URL that fsspec opens.

    Args:
        source: a folder, a `.csv`, `.tsv`, `.jsonl` or `.parquet` list, a `.tar` or `.zip` file or a pattern for several, or
            the URL of one of these.
        metadata: table about the pictures of a folder or of one archive; None takes what `FoundTables` and `PackedTables` find.
        declared: types of metadata fields that are not to be inferred.
        selection: which files of a folder to take.
        find_metadata: look for metadata tables in a folder or an archive, and beside it, where none is given.
        file_column: the column of a table that names the picture, if it is none of the usual ones.
        frames: which pictures of a file that has several; see `FramesSource`.

    Raises:
        InvalidInput: there is no such source.
        MetadataError: a table that cannot be used.
    """
    files = _of_files(source, metadata, declared, selection, find_metadata, file_column)
    return files if frames in ("first", 1) else FramesSource(files, None if frames == "all" else int(frames))


def _of_files(
    source: str,
    metadata: Path | None,
    declared: Mapping[str, FieldType] | None,
    selection: Selection | None,
    find_metadata: bool,
    file_column: str | None,
) -> Source:
    if "://" in source and not source.startswith("file://"):
        return _behind_url(source, metadata, declared, selection, TABLE_NAMES if find_metadata else (), file_column)
    path = uri_path(source) if source.startswith("file://") else Path(source)
    if path is None:
        raise InvalidInput(f"source {shown_name(source)}: not a path")
    names = TABLE_NAMES if find_metadata and metadata is None else ()
    shards = _shards(path)
    if not path.is_dir():
        _refuse_patterns(source, selection)
    if shards:
        if metadata is not None and len(shards) > 1:
            raise InvalidInput(f"{shown_name(source)} are several archives; leave --metadata away, or index them one by one")
        return WebDatasetSource(
            shards,
            canonical_uri(path),
            declared,
            include_system=_with_system(selection),
            tables=PackedTables(declared, names, file_column, _existing(metadata), beside=len(shards) == 1),
        )
    if path.is_dir():
        table = None if metadata is None else load_metadata(_existing(metadata), declared, file_column=file_column)
        return FolderSource(path, table, selection, declared, FoundTables(path, names, file_column))
    if path.is_file():
        _refuse_packed(source)
        if metadata is not None:
            raise InvalidInput(
                f"{shown_name(source)} is a list with metadata of its own; leave --metadata away or give the folder"
            )
        return ListSource(path, declared, file_column)
    if not path.exists():
        raise InvalidInput(f"source {shown_name(source)}: no such folder or list")
    raise InvalidInput(f"source {shown_name(source)}: expected a folder, a list of pictures or archives")


def _refuse_packed(place: str) -> None:
    """Archives that would have to be unpacked for each picture anew."""
    name = PurePosixPath(urlsplit(place).path if "://" in place else place.replace("\\", "/")).name
    if (kind := packed_kind(name)) is not None:
        raise InvalidInput(
            f"source {shown_name(place)}: is a {kind} archive, in which no picture can be read by itself; unpack it and index "
            "the folder, or pack it anew as ZIP, or as a TAR that is not compressed"
        )


def _behind_url(
    url: str,
    metadata: Path | None,
    declared: Mapping[str, FieldType] | None,
    selection: Selection | None,
    tables: Iterable[str],
    file_column: str | None,
) -> Source:
    if metadata is not None:
        raise InvalidInput(
            f"{shown_name(url)} is a URL: --metadata is for folders on this machine; put metadata.csv into the "
            "folder, or give a list"
        )
    _refuse_packed(url)
    # A question mark begins a query (a signature, say), or stands for any character of a shard's name.
    suffixes = {PurePosixPath(text).suffix.lower() for text in (url, urlsplit(url).path)}
    if suffixes.isdisjoint((*ARCHIVE_SUFFIXES, *LIST_SUFFIXES)):
        return RemoteFolderSource(url, declared, selection, tables, file_column)
    _refuse_patterns(url, selection)
    if not suffixes.isdisjoint(LIST_SUFFIXES):
        return ListSource(url, declared, file_column)
    if not any(character in url.partition(".tar")[0].partition(".zip")[0] for character in "*?["):
        return WebDatasetSource(
            [url], url, declared, include_system=_with_system(selection), tables=PackedTables(declared, tables, file_column)
        )
    files, path = file_system(url)
    with listing_errors(url):
        found = sorted(files.glob(path))
        shards = [name if "://" in name else f"{url.partition('://')[0]}://{name}" for name in found]
    if not shards:
        raise InvalidInput(f"source {shown_name(url)}: no such tar files")
    return WebDatasetSource(
        shards, url, declared, include_system=_with_system(selection), tables=PackedTables(declared, tables, file_column)
    )


@overload
def _existing(metadata: Path) -> Path: ...


@overload
def _existing(metadata: None) -> None: ...


def _existing(metadata: Path | None) -> Path | None:
    if metadata is not None and not metadata.is_file():
        raise InvalidInput(f"metadata file {str(metadata)!r}: no such file")
    return None if metadata is None else metadata.absolute()


def _refuse_patterns(source: str, selection: Selection | None) -> None:
    if selection is not None and selection != Selection(include_system=selection.include_system):
        raise InvalidInput(
            f"source {shown_name(source)}: --include, --exclude and --hidden are for folders; this one names each picture"
        )


def _with_system(selection: Selection | None) -> bool:
    return selection is not None and selection.include_system


def _shards(path: Path) -> list[Path]:
    """The archives that a path means: itself, or what a pattern such as `shards/*.tar` matches."""
    if path.suffix.lower() not in ARCHIVE_SUFFIXES or path.is_dir():
        return []
    if path.is_file():
        return [path]
    return sorted(path.parent.glob(path.name)) if any(character in path.name for character in "*?[") else []
