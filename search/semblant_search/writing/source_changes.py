"""Listing, naming and giving up the sources of a collection; `relocating` follows one whose pictures moved."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from semblant_search.collection import ADDED, SOURCES_FIELD
from semblant_search.errors import InvalidInput, NotADatabase
from semblant_search.sources import (
    check_new_name,
    damaged_sources,
    find_source,
    forget_source,
    pictures_of,
    read_sources,
    write_source,
)

from .shared_pictures import Released, release

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from semblant_search.serving import Generation
    from semblant_search.sources import SourceRecord
    from semblant_search.store import Store

__all__ = ["Released", "SourceSummary", "remove_source", "rename_source", "source_called", "summaries"]


@dataclass(frozen=True)
class SourceSummary:
    """A source of a collection.

    Attributes:
        id: what its pictures carry in `_sources`.
        name: what people call it; `client` is what programs added.
        root: the URI of its folder (with a slash at the end), list or tar files; empty for `client`.
        pictures: how many of it are in the collection now.
        scanned_at: when an index job saw all of it last, RFC 3339 in UTC; None before that.
        damaged: what is wrong with the collection's record of it, whose name is its id then; None for all others.
    """

    id: str
    name: str
    root: str
    pictures: int
    scanned_at: str | None
    damaged: str | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return dataclasses.asdict(self)


def summaries(generation: Generation) -> list[SourceSummary]:
    """The sources, by name; last those whose records are damaged."""
    store = generation.store
    if SOURCES_FIELD not in store.manifest.fields:
        store.refresh()
    if SOURCES_FIELD not in store.manifest.fields:
        return []
    return [
        *(summary_of(store, one) for one in read_sources(store)),
        *(SourceSummary(id, id, "", store.count(pictures_of(id)), None, why) for id, why in damaged_sources(store).items()),
    ]


def summary_of(store: Store, record: SourceRecord) -> SourceSummary:
    """What is told of a source."""
    return SourceSummary(record.id, record.name, record.root, store.count(pictures_of(record.id)), record.scanned_at)


def source_called(store: Store, records: Iterable[SourceRecord], name: str | os.PathLike[str]) -> SourceRecord:
    """`find_source` among the records of a generation. Raises `NotADatabase` for the id of one whose record is damaged."""
    if isinstance(name, str) and (why := damaged_sources(store).get(name)) is not None:
        raise NotADatabase(why)
    return find_source(records, name)


def remove_source(generation: Generation, name: str | os.PathLike[str]) -> Released:
    """Forget a source with its pictures. Raises `InvalidInput` where there is none of that name, id or root."""
    store = generation.store
    with generation.writing:
        known_damaged = isinstance(name, str) and name in damaged_sources(store)
        id = str(name) if known_damaged else find_source(read_sources(store), name).id
        released = release(store, [one.id for one in store.scroll(where=pictures_of(id), fields=())], id)
        forget_source(store, id)
        return released


def rename_source(generation: Generation, name: str | os.PathLike[str], new: str) -> SourceSummary:
    """Call a source otherwise. Raises `InvalidInput` for a name that cannot be one or is taken, or where there is no source."""
    store = generation.store
    with generation.writing:
        records = read_sources(store)
        record = source_called(store, records, name)
        if record.id == ADDED:
            raise InvalidInput(f"source {ADDED!r} is what programs add through a client, and keeps its name")
        check_new_name(new, (one for one in records if one.id != record.id))
        record = replace(record, name=new)
        write_source(store, record)
        return summary_of(store, record)
