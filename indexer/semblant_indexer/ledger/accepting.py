"""Failures that somebody has looked at: they are counted apart, as long as their files stay as they are."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from semblant_search.accepted_failures import AcceptedFailures, accepted_asset
from semblant_search.collection import canonical_uri, uri_path
from semblant_search.errors import InvalidInput
from semblant_search.shown import shown_name

from .reading import note_removed, open_to_read
from .schema import ACCEPTED, ACCEPTED_TABLE, THERE
from .troubles import unusable

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from semblant_search.store import Database

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


class _Row(NamedTuple):
    """A failure as the ledger has it, and the root of its source."""

    source: str
    uri: str
    size: int
    mtime_ns: int
    root: str


@dataclass(frozen=True)
class Choice:
    """Which failures are meant; without URIs and reasons all.

    Attributes:
        uris: of pictures, or their paths; the path of an archive means all of its parts.
        reasons: codes, such as `not-an-image`.
        source: the name, id or root of a source, or None for every one.
    """

    uris: Sequence[str] = ()
    reasons: Sequence[str] = ()
    source: str | None = None


def failures(ledger: Path, choice: Choice = Choice(), *, known: Container[str] | None = None) -> list[KnownFailure]:
    """The failures of a ledger, by URI; also where nothing can be written.

    With `known`, the ids of the collection's sources, those of sources that were removed are left out.

    Raises:
        CollectionNotFound: there is no ledger.
        StoreError: it cannot be read.
        InvalidInput: a URI, or path, that has not failed.
    """
    with _told(ledger), closing(open_to_read(ledger, known=known)) as connection:
        return [failure for _, failure in _chosen(connection, choice)]


def accept(ledger: Path, choice: Choice, db: Database, collection: str, *, known: Container[str] | None = None) -> int:
    """Count failures apart from now on, until their files change; how many were not accepted before.

    Kept in the collection, where every machine finds them, and in this ledger. Errors as `failures`, where nothing can be
    written as well.
    """
    with _told(ledger), closing(_open(ledger, known)) as connection, connection:
        rows = [row for row, failure in _chosen(connection, choice) if not failure.accepted]
        connection.executemany("REPLACE INTO accepted VALUES (?, ?, ?, ?)", [row[:4] for row in rows])
        _keep(db, collection, rows, accepted=True)
        return len(rows)


def reopen(ledger: Path, choice: Choice, db: Database, collection: str, *, known: Container[str] | None = None) -> int:
    """Count accepted failures as failures again; how many there were."""
    with _told(ledger), closing(_open(ledger, known)) as connection, connection:
        rows = [row for row, failure in _chosen(connection, choice) if failure.accepted]
        connection.executemany("DELETE FROM accepted WHERE source = ? AND uri = ?", [row[:2] for row in rows])
        _keep(db, collection, rows, accepted=False)
        return len(rows)


def _keep(db: Database, collection: str, rows: list[_Row], *, accepted: bool) -> None:
    """Write them into every generation: one that a job builds now will serve, and one before may do so again."""
    for source, root in sorted({(row.source, row.root) for row in rows}):
        name = accepted_asset(source)
        for generation in db.generations(collection):
            data = db.asset(collection, generation, name)
            known = None if data is None else AcceptedFailures.from_bytes(data)
            files = {} if known is None else known.under(root)
            for row in rows:
                if row.source == source:
                    files.pop(row.uri, None)
                    files |= {row.uri: (row.size, row.mtime_ns)} if accepted else {}
            db.put_asset(collection, generation, name, AcceptedFailures.of(files, root).to_bytes())


def _chosen(connection: sqlite3.Connection, choice: Choice) -> list[tuple[_Row, KnownFailure]]:
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'accepted'").fetchone()
    query = (
        "SELECT i.source, i.uri, i.size, i.mtime_ns, coalesce(s.root, ''), coalesce(s.name, i.source), "
        "coalesce(i.reason, ''), coalesce(i.message, ''), "
        f"{ACCEPTED.format(schema='main') if known is not None else '0'} FROM items i "
        f"LEFT JOIN sources s ON s.generation = i.generation AND s.id = i.source WHERE {_NEWEST} AND {THERE} ORDER BY i.uri"
    )
    found = []
    for *facts, name, reason, message, accepted in connection.execute(query):
        row = _Row(*facts)
        found.append((row, KnownFailure(row.uri, name, reason, message, bool(accepted))))
    if choice.source is not None:
        source = _source(connection, choice.source)
        found = [one for one in found if one[0].source == source]
    wanted = _named(choice.uris, {row.uri for row, _ in found})
    return [
        (row, failure)
        for row, failure in found
        if (row.uri in wanted or not choice.uris) and (failure.reason in choice.reasons or not choice.reasons)
    ]


def _source(connection: sqlite3.Connection, given: str) -> str:
    """The id of a source that is named by its name, id, root or path. Raises `InvalidInput`."""
    query = "SELECT id, name, root FROM sources WHERE generation = (SELECT max(name) FROM generations) ORDER BY name"
    known = connection.execute(query).fetchall()
    spelled = {one.rstrip("/") for one in (given, *_spellings(given))}
    for id, name, root in known:
        if given in (id, name) or root.rstrip("/") in spelled:
            return str(id)
    there = ", ".join(repr(name) for _, name, _ in known) or "none"
    raise InvalidInput(f"source {shown_name(given)}: this ledger knows no such source; there: {there}")


def _named(given: Sequence[str], failed: set[str]) -> set[str]:
    """The URIs of those that are named by URIs or paths, as lists and reports print them. Raises `InvalidInput`."""
    wanted = set[str]()
    real: dict[str, str] | None = None
    for text in given:
        spelled = [text, *_spellings(text)]
        named = {one for one in spelled if one in failed}
        if not named:  # an archive is named where its parts are told, and a folder has a slash at its end
            named = {uri for uri in failed for one in spelled if uri == f"{one}/" or uri.startswith(f"{one}#")}
        if not named and "://" not in text:  # maybe by another path, through a link
            if real is None:
                real = {os.path.realpath(place): uri for uri in failed if (place := uri_path(uri)) is not None}
            path = os.path.realpath(text)
            named = {real[path]} if path in real else set()
        if not named:
            raise InvalidInput(f"{shown_name(text)}: there is no failure of it; `semblant failures` lists those that there are")
        wanted |= named
    return wanted


def _spellings(text: str) -> list[str]:
    """How a URI, or a path, may be written in a ledger; a part of an archive has its name behind a #."""
    if "\0" in text:
        return []
    if "://" in text:
        return [canonical_uri(text)]
    file, mark, part = text.partition("#")
    return [canonical_uri(Path(text)), *([f"{canonical_uri(Path(file))}#{part}"] if mark else [])]


@contextmanager
def _told(ledger: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise unusable(ledger, error) from error


def _open(ledger: Path, known: Container[str] | None) -> sqlite3.Connection:
    open_to_read(ledger).close()  # which says what is wrong with it
    connection = sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=rw", uri=True, timeout=_PATIENCE)
    try:
        connection.execute(ACCEPTED_TABLE.format(schema="main"))
        note_removed(connection, known)
    except BaseException:
        connection.close()
        raise
    return connection
