"""The ledger: for every picture what the job knows of it, so that nothing is lost, done twice or forgotten.

One SQLite file for a collection, with a row for each URI in each generation. A run first notes what its source holds now (the
scan: a temporary table, on disk when it is large), then compares the two in SQL: that takes a second or two for a million
pictures and little memory. Rows are committed after the points they speak of are in the store, so the ledger may know too
little after a crash, and then work is done again to the same result, but never too much.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from semblant_search.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from .sources import Item

__all__ = ["TRANSIENT", "Entry", "Ledger", "Todo", "now"]

TRANSIENT = ("missing", "unreadable", "timeout", "crashed", "too-large", "metadata", "unsupported")
"""Reasons that may be gone next time without the file having changed. Others are a matter of the file's content."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger.items (
    generation TEXT NOT NULL,
    uri TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    sha256 TEXT,
    metadata TEXT,
    outcome TEXT NOT NULL,
    reason TEXT,
    message TEXT,
    source TEXT NOT NULL,
    PRIMARY KEY (generation, uri)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger.generations (name TEXT PRIMARY KEY, created_at TEXT NOT NULL, encoder TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS ledger.runs (finished_at TEXT NOT NULL, report TEXT NOT NULL);
"""
_SCAN = """
CREATE TABLE scan (
    seq INTEGER PRIMARY KEY,
    uri TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    payload TEXT NOT NULL,
    metadata TEXT NOT NULL,
    outcome TEXT,
    reason TEXT,
    message TEXT
);
"""
_SAME = "i.size = s.size AND i.mtime_ns = s.mtime_ns AND s.size >= 0"


class Todo(NamedTuple):
    """A picture that the run has to look at.

    Attributes:
        payload: its metadata, as JSON.
        metadata: a hash of that.
        sha256: of the content that its point was made from, or None if it has no point.
        same_file: size and time are what they were.
        same_metadata: the metadata is what it was.
    """

    uri: str
    size: int
    mtime_ns: int
    payload: str
    metadata: str
    sha256: str | None
    same_file: bool
    same_metadata: bool


class Entry(NamedTuple):
    """A row of the ledger."""

    uri: str
    size: int
    mtime_ns: int
    sha256: str | None
    metadata: str | None
    outcome: str
    reason: str | None = None
    message: str | None = None


class Ledger:
    """The ledger of one collection and the scan of one run. One writer at a time; methods may be called from any thread."""

    def __init__(self) -> None:
        # An unnamed SQLite database lives in memory and moves to a temporary file when it grows.
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()
        self._connection.executescript(_SCAN)
        self._generation = ""
        self._scope = ""
        self.repeated = 0

    def scan(self, items: Iterable[Item], scope: str) -> int:
        """Note what the source holds; returns how many items it yielded. A URI that comes twice counts once in `repeated`.

        Args:
            items: what the source yields.
            scope: the source's name; a folder's URI with a slash at the end stands for all URIs below it.
        """
        found = 0
        self._scope = scope
        connection = self._connection
        connection.execute("BEGIN")

        def rows() -> Iterator[tuple[Any, ...]]:
            nonlocal found
            previous: Any = None
            text = digest = ""
            for found, item in enumerate(items, start=1):
                if item.metadata != previous or found == 1:  # neighbours often have equal metadata
                    previous = item.metadata
                    text = json.dumps(previous, sort_keys=True, ensure_ascii=False)
                    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
                yield (item.uri, item.size, item.mtime_ns, text, digest, *(item.problem or (None, None, None)))

        statement = (
            "INSERT OR IGNORE INTO scan (uri, size, mtime_ns, payload, metadata, outcome, reason, message) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        )
        connection.executemany(statement, rows())
        connection.execute("COMMIT")
        self.repeated = found - int(connection.execute("SELECT count(*) FROM scan").fetchone()[0])
        return found

    def attach(self, path: Path, generation: str, created_at: str, encoder: str) -> None:
        """Open the file for one generation, making it where it is missing. A generation made anew begins with no rows.

        Raises:
            StoreError: the file is not a ledger, or cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection.execute("ATTACH ? AS ledger", (str(path),))
            self._connection.execute("PRAGMA ledger.journal_mode = WAL")
            self._connection.execute("PRAGMA ledger.synchronous = NORMAL")
            self._connection.executescript(_SCHEMA)
            known = self._connection.execute(
                "SELECT created_at FROM ledger.generations WHERE name = ?", (generation,)
            ).fetchone()
            if known is None or known[0] != created_at:
                self._connection.execute("DELETE FROM ledger.items WHERE generation = ?", (generation,))
                self._connection.execute("REPLACE INTO ledger.generations VALUES (?, ?, ?)", (generation, created_at, encoder))
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"ledger {str(path)!r} cannot be used: {error}; make it writable, or delete it: the next run then looks at "
                "every picture again, and encodes only those that changed"
            ) from error
        self._generation = generation

    def forget_other_generations(self, keep: Sequence[str]) -> None:
        """Drop the rows of generations that no longer exist."""
        for table, column in (("items", "generation"), ("generations", "name")):
            marks = ",".join("?" * len(keep))
            self._execute(f"DELETE FROM ledger.{table} WHERE {column} NOT IN ({marks})", tuple(keep))

    def sample(self, count: int, seed: int) -> list[str]:
        """URIs of up to `count` pictures of the scan, the same ones for the same scan and seed."""
        # A multiplicative hash of the position: cheap, seeded, and spread over the whole scan.
        rows = self._execute(
            "SELECT uri FROM scan WHERE outcome IS NULL ORDER BY (seq * 2654435761 + ? * 40503) % 4294967296 LIMIT ?",
            (seed, count),
        )
        return [row[0] for row in rows]

    def settle_problems(self) -> dict[str, int]:
        """Enter the problems that the source itself found; returns their number by outcome."""
        self._execute(
            "REPLACE INTO ledger.items SELECT ?, s.uri, s.size, s.mtime_ns, i.sha256, i.metadata, s.outcome, s.reason, "
            "s.message, ? FROM scan s LEFT JOIN ledger.items i ON i.generation = ? AND i.uri = s.uri "
            "WHERE s.outcome IS NOT NULL",
            (self._generation, self._scope, self._generation),
        )
        rows = self._execute("SELECT outcome, count(*) FROM scan WHERE outcome IS NOT NULL GROUP BY outcome")
        return {str(outcome): int(count) for outcome, count in rows}

    def count_unchanged(self) -> int:
        """Pictures of the scan that are indexed as they are."""
        return int(
            self._execute(
                "SELECT count(*) FROM scan s JOIN ledger.items i ON i.generation = ? AND i.uri = s.uri "
                f"WHERE s.outcome IS NULL AND i.outcome = 'indexed' AND {_SAME} AND i.metadata = s.metadata",
                (self._generation,),
            )[0][0]
        )

    def known_failures(self, *, retry: bool) -> int:
        """Pictures of the scan that failed before for a reason that lies in their unchanged content."""
        if retry:
            return 0
        return int(self._execute(f"SELECT count(*) {_JOIN} WHERE s.outcome IS NULL AND {_HOPELESS}", (self._generation,))[0][0])

    def todo(self, *, retry: bool, chunk: int = 2000) -> Iterator[Todo]:
        """Pictures to look at, in the order of the source."""
        hopeless = "" if retry else f"AND NOT coalesce({_HOPELESS}, 0)"
        query = (
            f"SELECT s.seq, s.uri, s.size, s.mtime_ns, s.payload, s.metadata, i.sha256, coalesce({_SAME}, 0), "
            f"coalesce(i.metadata = s.metadata, 0) {_JOIN} "
            "WHERE s.seq > ? AND s.outcome IS NULL "
            f"AND NOT coalesce(i.outcome = 'indexed' AND {_SAME} AND i.metadata = s.metadata, 0) {hopeless} "
            "ORDER BY s.seq LIMIT ?"
        )
        last = -1
        while rows := self._execute(query, (self._generation, last, chunk)):
            for row in rows:
                known = row[6]
                yield Todo(row[1], row[2], row[3], row[4], row[5], known, bool(row[7]) and known is not None, bool(row[8]))
            last = rows[-1][0]

    def count_todo(self, *, retry: bool) -> int:
        """How many pictures `todo` yields."""
        hopeless = "" if retry else f"AND NOT coalesce({_HOPELESS}, 0)"
        return int(
            self._execute(
                f"SELECT count(*) {_JOIN} WHERE s.outcome IS NULL "
                f"AND NOT coalesce(i.outcome = 'indexed' AND {_SAME} AND i.metadata = s.metadata, 0) {hopeless}",
                (self._generation,),
            )[0][0]
        )

    def record(self, entries: Sequence[Entry]) -> None:
        """Enter what became of some pictures, in one transaction."""
        rows = [(self._generation, *entry, self._scope) for entry in entries]
        with self._lock:
            self._connection.execute("BEGIN")
            self._connection.executemany("REPLACE INTO ledger.items VALUES (?,?,?,?,?,?,?,?,?,?)", rows)
            self._connection.execute("COMMIT")

    def removed(self) -> list[tuple[str, bool]]:
        """URIs that this source held once and holds no longer, and whether each has a point."""
        rows = self._execute(
            "SELECT uri, sha256 IS NOT NULL FROM ledger.items WHERE generation = ? AND uri NOT IN (SELECT uri FROM scan) "
            "AND (source = ? OR (substr(?, -1) = '/' AND substr(uri, 1, length(?)) = ?))",
            (self._generation, *[self._scope] * 4),
        )
        return [(str(uri), bool(has_point)) for uri, has_point in rows]

    def forget(self, uris: Sequence[str]) -> None:
        """Remove rows."""
        with self._lock:
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "DELETE FROM ledger.items WHERE generation = ? AND uri = ?", [(self._generation, uri) for uri in uris]
            )
            self._connection.execute("COMMIT")

    def points(self) -> int:
        """How many pictures have a point, according to the ledger."""
        return int(
            self._execute("SELECT count(*) FROM ledger.items WHERE generation = ? AND sha256 IS NOT NULL", (self._generation,))[
                0
            ][0]
        )

    def uris_with_point(self) -> set[str]:
        """The URIs that have a point, according to the ledger."""
        rows = self._execute("SELECT uri FROM ledger.items WHERE generation = ? AND sha256 IS NOT NULL", (self._generation,))
        return {str(row[0]) for row in rows}

    def failures(self) -> list[Entry]:
        """Rows of pictures of this scan that failed, in the order of their URIs."""
        rows = self._execute(
            "SELECT i.uri, i.size, i.mtime_ns, i.sha256, i.metadata, i.outcome, i.reason, i.message FROM ledger.items i "
            "WHERE i.generation = ? AND i.outcome = 'failed' AND i.uri IN (SELECT uri FROM scan) ORDER BY i.uri",
            (self._generation,),
        )
        return [Entry(*row) for row in rows]

    def add_run(self, report: str) -> None:
        """Keep a run's report."""
        self._execute("INSERT INTO ledger.runs VALUES (?, ?)", (now(), report))

    def close(self) -> None:
        """Close the file; the scan is gone with it."""
        with self._lock:
            self._connection.close()

    def _execute(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()


_JOIN = "FROM scan s LEFT JOIN ledger.items i ON i.generation = ? AND i.uri = s.uri"
_HOPELESS = f"(i.outcome = 'failed' AND {_SAME} AND i.reason NOT IN ({','.join(map(repr, TRANSIENT))}))"


def now() -> str:
    """This moment as RFC 3339 in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
