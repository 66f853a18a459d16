"""Failures that somebody has looked at: they are counted apart, as long as their files stay as they are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from semblant_search.errors import InvalidInput, StoreError

from .schema import ACCEPTED, ACCEPTED_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["Choice", "KnownFailure", "accept", "failures", "reopen"]

_PATIENCE = 30.0
"""Seconds that a job may hold the file."""
_NEWEST = "i.outcome = 'failed' AND i.generation = (SELECT max(name) FROM generations)"


class KnownFailure(NamedTuple):
    """A failure of the newest generation."""

    uri: str
    source: str
    reason: str
    message: str
    accepted: bool


@dataclass(frozen=True)
class Choice:
    """Which failures are meant; without URIs and reasons all.

    Attributes:
        uris: of pictures.
        reasons: codes, such as `not-an-image`.
        source: the name of a source, or None for every one.
    """

    uris: Sequence[str] = ()
    reasons: Sequence[str] = ()
    source: str | None = None


def failures(ledger: Path, choice: Choice = Choice()) -> list[KnownFailure]:
    """The failures of a ledger, by URI. Raises `StoreError`, and `InvalidInput` for a URI that has not failed."""
    with closing(_open(ledger)) as connection:
        return [failure for _, failure in _chosen(connection, choice)]


def accept(ledger: Path, choice: Choice) -> int:
    """Count failures apart from now on, until their files change; how many were not accepted before."""
    with closing(_open(ledger)) as connection, connection:
        rows = [row for row, failure in _chosen(connection, choice) if not failure.accepted]
        connection.executemany("REPLACE INTO accepted VALUES (?, ?, ?, ?)", rows)
        return len(rows)


def reopen(ledger: Path, choice: Choice) -> int:
    """Count accepted failures as failures again; how many there were."""
    with closing(_open(ledger)) as connection, connection:
        rows = [row[:2] for row, failure in _chosen(connection, choice) if failure.accepted]
        connection.executemany("DELETE FROM accepted WHERE source = ? AND uri = ?", rows)
        return len(rows)


def _chosen(connection: sqlite3.Connection, choice: Choice) -> Iterator[tuple[tuple[str, str, int, int], KnownFailure]]:
    query = (
        "SELECT i.source, i.uri, i.size, i.mtime_ns, coalesce(s.name, i.source), coalesce(i.reason, ''), "
        f"coalesce(i.message, ''), {ACCEPTED.format(schema='main')} FROM items i "
        f"LEFT JOIN sources s ON s.generation = i.generation AND s.id = i.source WHERE {_NEWEST} ORDER BY i.uri"
    )
    wanted, reasons = set(choice.uris), set(choice.reasons)
    found, named = [], set[str]()
    for source, uri, size, mtime_ns, name, reason, message, accepted in connection.execute(query):
        if choice.source is not None and choice.source not in (name, source):
            continue
        if (uri in wanted or not wanted) and (reason in reasons or not reasons):
            named.add(uri)
            found.append(((source, uri, size, mtime_ns), KnownFailure(uri, name, reason, message, bool(accepted))))
    if missing := sorted(wanted - named):
        raise InvalidInput(f"{missing[0]!r}: there is no failure of it; `semblant failures` lists those that there are")
    return iter(found)


def _open(ledger: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=rw", uri=True, timeout=_PATIENCE)
        try:
            connection.execute("SELECT 1 FROM items LIMIT 1")
            connection.execute(ACCEPTED_TABLE.format(schema="main"))
        except sqlite3.Error:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise StoreError(f"ledger {str(ledger)!r} cannot be used: {error}; index pictures first, or give --state") from error
    return connection
