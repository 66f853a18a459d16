"""Ledgers that a test fills by hand: runs over a source, without pictures and without a store."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from semblant_indexer.ledger import Entry, Ledger
from support.small_stores import FOLDER, manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from semblant_indexer.sources import Item

LIST = "file:///lists/list.csv"


@contextmanager
def run_over(
    path: Path, items: Sequence[Item], *, scope: str = FOLDER, generation: str = "g0001", **options: Any
) -> Iterator[Ledger]:
    """A run up to the point where pictures are looked at."""
    ledger = Ledger()
    try:
        ledger.scan(items, scope)
        ledger.attach(path, manifest(generation), **options)
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
