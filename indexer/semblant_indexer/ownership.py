"""Whose pictures are whose: a job writes its source's id into its points, and takes away no other source's.

A picture that several sources hold carries all their ids, and the metadata of all: where two name the same field, the value of
the job that wrote the picture last counts, and a field goes with the last source that says it. The picture goes with the last
of its sources.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from semblant_search.collection import SOURCES_FIELD, point_id
from semblant_search.sources import owners, pictures_of
from semblant_search.writing.shared_pictures import joined, owned_payload

from .ledger import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from semblant_search.sources import SourceRecord
    from semblant_search.store import Point, Record, Store

    from .ledger import Ledger
    from .sources.kept_tables import KeptTables

__all__ = ["accounted", "owned", "reconcile", "strike_out_lenders"]

_TOGETHER = 1000


def accounted(store: Store, ledger: Ledger, source: str, *, patience: float = 0.0) -> bool:
    """Whether the store holds as many pictures of a source as the ledger says.

    Asked again for `patience` seconds: a replica of a cluster may lag behind what was written.
    """
    end = time.monotonic() + patience
    while store.count(pictures_of(source)) != ledger.points():
        if time.monotonic() >= end:
            return False
        time.sleep(0.2)
    return True


def owned(store: Store, points: Sequence[Point], source: str, kept: KeptTables | None = None) -> list[Point]:
    """The points of a source's job as they are to be written: those that other sources hold, too, stay theirs.

    `kept` says which pictures keep what nothing says any more.
    """
    if not points:
        return []
    known = {record.id: record.payload for record in store.retrieve([point.id for point in points])}
    return [
        replace(
            point,
            payload=owned_payload(
                known.get(point.id, {}),
                point.payload,
                source,
                keep=kept is not None and point.id in known and kept.keeps(str(point.payload.get("_uri", ""))),
            ),
        )
        for point in points
    ]


def reconcile(store: Store, ledger: Ledger, source: SourceRecord, *, write: bool = True) -> None:
    """Make the ledger say what the store holds of a source, and take in pictures of its scan that are there already.

    The ledger may be lost, or another machine's job may have written since; a crash may have come between point and row; points
    may have been deleted by hand. Reads points only where there is a sign of that. Without `write`, only the ledger is changed.
    """
    known = ledger.revision == source.revision
    if not known or not accounted(store, ledger, source.id):
        _compare(store, ledger, source.id, write=write)
    if not known:
        ledger.forget_metadata()
    ledger.note_arrivals()
    _adopt(store, ledger, source.id, write=write)


def strike_out_lenders(store: Store, ledger: Ledger) -> None:
    """Of other sources' pictures that may lend their vectors, leave those that are in the store as the ledger says."""
    for part in ledger.lenders():
        found = store.retrieve([point_id(uri) for uri, _ in part], fields=["_sha256"])
        there = {record.id: record.payload for record in found}
        ledger.no_lenders([uri for uri, sha256 in part if there.get(point_id(uri), {}).get("_sha256") != sha256])


def _compare(store: Store, ledger: Ledger, source: str, *, write: bool) -> None:
    known = ledger.contents()
    found: list[Entry] = []
    for record in store.scroll(where=pictures_of(source), fields=["_uri", "_sha256", "_bytes"]):
        uri = record.payload.get("_uri")
        if uri is None or record.id != point_id(uri):
            continue
        if uri not in known or known.pop(uri) != record.payload.get("_sha256"):
            found.append(_entry(record))
    ledger.record(found, seen=False)
    # What an older Semblant indexed names no source; that this ledger knows it says whose it is.
    for part in _parts(known):
        with store.writing:
            unmarked = [record for record in store.retrieve([point_id(uri) for uri in part]) if not owners(record.payload)]
            if write:
                store.set_payloads({record.id: {**record.payload, SOURCES_FIELD: [source]} for record in unmarked})
        found = [_entry(record) for record in unmarked]
        ledger.record([entry for entry in found if entry.sha256 != known[entry.uri]], seen=False)
        ledger.forget(sorted(set(part) - {entry.uri for entry in found}))


def _adopt(store: Store, ledger: Ledger, source: str, *, write: bool) -> None:
    """Points that this source holds as well now: other sources', and those of nobody, from before there were sources."""
    if store.count() == ledger.points():  # there are no others
        return
    for uris in ledger.unknown():
        with store.writing:
            found = store.retrieve([point_id(uri) for uri in uris])
            if write:
                store.set_payloads({one.id: joined(one.payload, source) for one in found})
        ledger.record([_entry(record) for record in found], seen=False)


def _entry(record: Record) -> Entry:
    size, sha256 = int(record.payload.get("_bytes", -1)), record.payload.get("_sha256")
    return Entry(str(record.payload["_uri"]), size, -1, sha256, None, "indexed")


def _parts(items: Iterable[str]) -> Iterator[list[str]]:
    every = list(items)
    return (every[start : start + _TOGETHER] for start in range(0, len(every), _TOGETHER))
