"""Ledgers that a test fills by hand: runs over a source, without pictures and without a store."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from semblant_indexer.ledger import Entry, Ledger
from semblant_indexer.sources import Item
from semblant_search.sources import SourceRecord

from support.small_stores import FOLDER, manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from semblant_search.store import Store

LIST = "file:///lists/list.csv"


def source_of(root: str) -> SourceRecord:
    """A source whose id and name are its root."""
    return SourceRecord(root, root, root)


@contextmanager
def run_over(
    path: Path, items: Sequence[Item], *, scope: str = FOLDER, generation: str = "g0001", **options: Any
) -> Iterator[Ledger]:
    """A run up to the point where pictures are looked at."""
    ledger = Ledger()
    try:
        ledger.scan(items)
        ledger.attach(path, manifest(generation), source_of(scope), **options)
        ledger.note_arrivals()
        ledger.settle_problems()
        ledger.note_vanished()
        yield ledger
    finally:
        ledger.close()


def indexed(ledger: Ledger, **contents: str) -> None:
    """Enter that all that is to do has been indexed: by name without folder and suffix, the first letter of the SHA-256."""
    entries = []
    for todo in ledger.todo():
        name = todo.uri.rpartition("/")[2].removesuffix(".png")
        sha256 = contents.get(name, name[-1]) * 64
        entries.append(Entry(todo.uri, todo.size, todo.mtime_ns, sha256, todo.metadata, "indexed", written=True))
    ledger.record(entries)


def todo(ledger: Ledger) -> list[str]:
    """The names of the pictures that are to be looked at."""
    return [one.uri.rpartition("/")[2].removesuffix(".png") for one in ledger.todo()]


class Desk(NamedTuple):
    """A store, and the path of the ledger that goes with it."""

    store: Store
    path: Path

    def run(self, *names: str, **options: Any) -> AbstractContextManager[Ledger]:
        """A run over pictures of these names."""
        return run_over(self.path, [Item(f"{FOLDER}{name}.png", 10, 20) for name in names], **options)

    def payloads(self) -> dict[str, dict[str, Any]]:
        """What the store holds, by name."""
        found = {record.payload["_uri"]: record.payload for record in self.store.scroll()}
        return {uri[len(FOLDER) : -4]: payload for uri, payload in found.items()}
