"""Between an index job and the record that its collection keeps of the job's source."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semblant_search.collection import FieldType
from semblant_search.errors import InvalidInput
from semblant_search.shown import without_users
from semblant_search.sources import check_source_name, new_source

from .opening import open_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from semblant_search.sources import SourceRecord

    from semblant_indexer.job import IndexJob

    from .base import Source

__all__ = ["SELECTION", "job_for", "open_job_source", "record_for", "settings_of", "with_last_table"]

SELECTION = ("include", "exclude", "hidden", "include_system", "frames")
"""Settings that say which files of a folder, and which pictures in them, are pictures of its source."""


def open_job_source(job: IndexJob) -> Source:
    """The source of a job. Raises as `open_source`."""
    return open_source(
        job.source,
        metadata=job.metadata,
        declared=job.fields,
        selection=job.selection,
        find_metadata=job.find_metadata,
        file_column=job.file_column,
        frames=job.frames,
    )


def with_last_table(job: IndexJob, record: SourceRecord) -> IndexJob | None:
    """The same job with the metadata table that was given the last time, where it is given none; else None.

    Raises:
        InvalidInput: that table is gone.
    """
    last = record.settings.get("metadata")
    if last is None or job.metadata is not None or not job.find_metadata:
        return None
    if not Path(last).is_file():
        raise InvalidInput(
            f"metadata file {last!r}, which source {record.name!r} was indexed with the last time, is gone; give it anew "
            "(--metadata FILE), or take away what it said (--no-metadata)"
        )
    column = job.file_column or record.settings.get("file_column")
    return dataclasses.replace(job, metadata=Path(last), file_column=column)


def settings_of(job: IndexJob) -> dict[str, Any]:
    """What matters of a job for indexing its source again, as JSON values."""
    return {
        "include": list(job.include),
        "exclude": list(job.exclude),
        "hidden": job.hidden,
        "include_system": job.include_system,
        "frames": job.frames,
        "metadata": None if job.metadata is None else str(job.metadata.absolute()),
        "find_metadata": job.find_metadata,
        "file_column": job.file_column,
        "fields": {name: kind.value for name, kind in job.fields.items()},
        "exif": job.exif,
        "duplicates": job.duplicates.value,
    }


def record_for(job: IndexJob, scope: str, known: Iterable[SourceRecord]) -> SourceRecord:
    """The record of a job's source among those that the collection has, or a new one.

    Args:
        job: what to do.
        scope: the source's own URI.
        known: the records of the collection.

    Raises:
        InvalidInput: the name belongs to another source, or the source has another name.
    """
    records, root, name = list(known), without_users(scope), job.source_name
    of_root = next((record for record in records if record.root == root), None)
    of_name = next((record for record in records if record.name == name), None) if name is not None else None
    if of_name is not None and of_name.root != root:
        raise InvalidInput(
            f"source {name!r} of collection {job.collection!r} is {of_name.root}, not {root}; if its pictures moved: "
            f"semblant sources relocate {name!r} {job.source!r} (vectors stay), else choose another name"
        )
    if of_root is not None and name not in (None, of_root.name):
        raise InvalidInput(
            f"{root} is source {of_root.name!r} of collection {job.collection!r} already, not {name!r}; leave the name out"
        )
    return of_root or new_source(root, None if name is None else check_source_name(name), settings_of(job), records)


def job_for(record: SourceRecord, job: IndexJob) -> IndexJob:
    """The job that indexes another source of the collection by that source's own settings, and else as this job does.

    Raises:
        InvalidInput: settings that this Semblant cannot read.
    """
    said: Mapping[str, Any] = record.settings
    try:
        return dataclasses.replace(
            job,
            source=record.root,
            source_name=record.name,
            include=tuple(said.get("include", ())),
            exclude=tuple(said.get("exclude", ())),
            hidden=bool(said.get("hidden", False)),
            include_system=bool(said.get("include_system", False)),
            frames=said.get("frames", "first"),
            metadata=None if said.get("metadata") is None else Path(said["metadata"]),
            find_metadata=bool(said.get("find_metadata", True)),
            file_column=said.get("file_column"),
            fields={name: FieldType(kind) for name, kind in said.get("fields", {}).items()},
            exif=bool(said.get("exif", False)),
            duplicates=said.get("duplicates", "keep"),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidInput(
            f"the settings of source {record.name!r} cannot be read ({error}); index it once by itself: "
            f"semblant index {record.root}"
        ) from error
