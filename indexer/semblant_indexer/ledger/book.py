"""The ledger as an object: every statement that reads or changes it."""

from __future__ import annotations

import hashlib
import itertools
import json
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from semblant_search.errors import StoreError
from semblant_search.writing.points import now

from .rows import Todo
from .schema import HELD, IN_SCOPE, JOIN, SAME, SCAN, SCHEMA, TODO, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from semblant_search.collection import Manifest

    from semblant_indexer.sources import Item

    from .rows import Entry


class Ledger:
    """The ledger of one collection and the scan of one run. One writer at a time; methods may be called from any thread."""

    def __init__(self) -> None:
        # An unnamed SQLite database lives in memory and moves to a temporary file when it grows.
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()
        self._connection.executescript(SCAN)
        self._values: dict[str, Any] = {
            "generation": "",
            "scope": "",
            "run": 0,
            "retry": False,
            "merge": False,
            "verify": False,
        }
        self.repeated = 0

    def scan(self, items: Iterable[Item], scope: str) -> int:
        """Note what the source holds; returns how many items it yielded. A URI that comes twice counts once in `repeated`.

        Args:
            items: what the source yields.
            scope: the source's name; a folder's URI with a slash at the end stands for all URIs below it.
        """
        found = 0
        self._values["scope"] = scope
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
                yield (item.uri, item.size, item.mtime_ns, text, digest, *(item.problem or (None, None, None)), item.place)

        statement = (
            "INSERT OR IGNORE INTO scan (uri, size, mtime_ns, payload, metadata, outcome, reason, message, place) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        try:
            connection.executemany(statement, rows())
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(
                f"the list of pictures cannot be kept in a temporary file: {error}; make room in the folder for temporary "
                "files, or choose another one (TMPDIR)"
            ) from error
        self.repeated = found - int(connection.execute("SELECT count(*) FROM scan").fetchone()[0])
        return found

    def attach(
        self,
        path: Path,
        manifest: Manifest,
        *,
        job: str = "{}",
        retry: bool = False,
        merge: bool = False,
        verify: bool = False,
    ) -> None:
        """Open the file for one generation, making it where it is missing. A generation made anew begins with no rows.

        Args:
            path: of the SQLite file.
            manifest: of the generation.
            job: the job's settings as JSON, kept with the run.
            retry: failures that lie in a file's content are not settled.
            merge: pictures that are byte for byte another one are settled without a point.
            verify: no picture is settled by size and time of its file.

        Raises:
            StoreError: the file is not a ledger, or cannot be written.
        """
        generation, created = manifest.generation, manifest.created_at
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection.execute("ATTACH ? AS ledger", (str(path),))
            self._connection.execute("PRAGMA ledger.journal_mode = WAL")
            self._connection.execute("PRAGMA ledger.synchronous = NORMAL")
            version = self._connection.execute("PRAGMA ledger.user_version").fetchone()[0]
            if version not in (0, VERSION):  # written by another Semblant; what matters is found again in the store
                for table in ("items", "generations", "runs"):
                    self._connection.execute(f"DROP TABLE IF EXISTS ledger.{table}")
            self._connection.execute(f"PRAGMA ledger.user_version = {VERSION}")
            self._connection.executescript(SCHEMA)
            known = self._connection.execute(
                "SELECT created_at FROM ledger.generations WHERE name = ?", (generation,)
            ).fetchone()
            if known is None or known[0] != created:
                self._connection.execute("DELETE FROM ledger.items WHERE generation = ?", (generation,))
                self._connection.execute(
                    "REPLACE INTO ledger.generations VALUES (?, ?, ?)", (generation, created, manifest.encoder_fingerprint)
                )
            cursor = self._connection.execute(
                "INSERT INTO ledger.runs (generation, started_at, job) VALUES (?, ?, ?)", (generation, now(), job)
            )
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"ledger {str(path)!r} cannot be used: {error}; make it writable, or delete it: the next run then looks at "
                "every picture again, and encodes only those that changed"
            ) from error
        self._values |= {"generation": generation, "run": cursor.lastrowid, "retry": retry, "merge": merge, "verify": verify}

    def forget_other_generations(self, keep: Sequence[str]) -> None:
        """Drop the rows of generations that no longer exist."""
        marks = ",".join(f"'{name}'" for name in keep)
        for table, column in (("items", "generation"), ("generations", "name")):
            self._execute(f"DELETE FROM ledger.{table} WHERE {column} NOT IN ({marks})")

    def sample(self, count: int, seed: int) -> list[str]:
        """Where to read up to `count` pictures of the scan, the same ones for the same scan and seed."""
        # A multiplicative hash of the position: cheap, seeded, and spread over the whole scan.
        rows = self._execute(
            "SELECT uri, place FROM scan WHERE outcome IS NULL "
            "ORDER BY (seq * 2654435761 + :seed * 2246822519) % 4294967296 LIMIT :count",
            seed=seed,
            count=count,
        )
        return [Todo(uri, -1, -1, "{}", "", place=place).where for uri, place in rows]

    def settle_problems(self) -> None:
        """Enter the problems that the source itself found. A picture that is out of reach keeps its point."""
        self._execute(
            "REPLACE INTO ledger.items SELECT :generation, s.uri, s.size, s.mtime_ns, i.sha256, i.metadata, s.outcome, "
            f"s.reason, s.message, coalesce(i.point, 0), :run, coalesce(i.written, 0), :scope {JOIN} "
            "WHERE s.outcome IS NOT NULL"
        )

    def note_vanished(self) -> None:
        """Find the points whose files the source no longer holds, if there are new files that may be them."""
        new = self._execute(f"SELECT 1 {JOIN} WHERE s.outcome IS NULL AND i.uri IS NULL LIMIT 1")
        if new:
            self._execute(
                "INSERT INTO vanished SELECT uri, size, sha256 FROM ledger.items "
                "WHERE generation = :generation AND point AND sha256 IS NOT NULL AND uri NOT IN (SELECT uri FROM scan)"
            )
            self._execute("CREATE INDEX vanished_size ON vanished (size)")

    def vanished(self, sha256: str) -> list[str]:
        """URIs of vanished files of this content."""
        return [row[0] for row in self._execute("SELECT uri FROM vanished WHERE sha256 = :sha256", sha256=sha256)]

    def count_todo(self) -> int:
        """How many pictures `todo` yields."""
        return int(self._execute(f"SELECT count(*) {JOIN} WHERE {TODO}")[0][0])

    def todo(self, chunk: int = 2000) -> Iterator[Todo]:
        """Pictures to look at, in the order of the source."""
        query = (
            "SELECT s.seq, s.uri, s.size, s.mtime_ns, s.payload, s.metadata, CASE WHEN i.point THEN i.sha256 END, "
            f"coalesce(i.point AND NOT :verify AND {SAME}, 0), coalesce(i.metadata = s.metadata, 0), s.place {JOIN} "
            f"WHERE s.seq > :last AND {TODO} ORDER BY s.seq LIMIT :chunk"
        )
        last, any_vanished = -1, bool(self._execute("SELECT 1 FROM vanished LIMIT 1"))
        while rows := self._execute(query, last=last, chunk=chunk):
            elsewhere = self._vanished_of_size({row[2] for row in rows}) if any_vanished else {}
            for row in rows:
                _, uri, size, mtime_ns, payload, metadata, sha256, same_file, same_metadata, place = row
                same = bool(same_file), bool(same_metadata)
                yield Todo(uri, size, mtime_ns, payload, metadata, sha256, *same, elsewhere.get(size, frozenset()), place)
            last = rows[-1][0]

    def _vanished_of_size(self, sizes: set[int]) -> dict[int, frozenset[str]]:
        marks = ",".join(map(str, sizes))
        found: dict[int, set[str]] = {}
        for size, sha256 in self._execute(f"SELECT size, sha256 FROM vanished WHERE size IN ({marks})"):
            found.setdefault(size, set()).add(sha256)
        return {size: frozenset(contents) for size, contents in found.items()}

    def record(self, entries: Sequence[Entry], *, seen: bool = True) -> None:
        """Enter what became of some pictures, in one transaction; `seen` says that this run is done with them."""
        values = self._values
        rows = [
            (
                values["generation"],
                *entry[:8],
                entry.point,
                values["run"] if seen else 0,
                values["run"] if entry.written else 0,
                values["scope"],
            )
            for entry in entries
        ]
        self._many("REPLACE INTO ledger.items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def forget_without_file(self) -> None:
        """Remove what the ledger says of pictures that this source holds no longer, but for their points.

        That they failed is of no interest any more; a picture whose point is left is looked at again should it come back.
        """
        gone = f"generation = :generation AND uri NOT IN (SELECT uri FROM scan) AND {IN_SCOPE}"
        self._execute(f"DELETE FROM ledger.items WHERE NOT point AND {gone}")
        self._execute(
            "UPDATE ledger.items SET outcome = 'indexed', reason = NULL, message = NULL, size = -1, mtime_ns = -1 "
            f"WHERE outcome = 'failed' AND {gone}"
        )

    def removed(self) -> list[tuple[str, bool]]:
        """URIs that this source held once and holds no longer, and whether each has a point."""
        rows = self._execute(
            "SELECT uri, point FROM ledger.items WHERE generation = :generation AND uri NOT IN (SELECT uri FROM scan) "
            f"AND {IN_SCOPE}"
        )
        return [(str(uri), bool(point)) for uri, point in rows]

    def moved(self) -> list[str]:
        """Of `removed`, those whose content has a point under another URI of the source."""
        rows = self._execute(
            "SELECT uri FROM ledger.items WHERE generation = :generation AND uri NOT IN (SELECT uri FROM scan) "
            f"AND {IN_SCOPE} AND sha256 IN {HELD}"
        )
        return [str(row[0]) for row in rows]

    def groups(self) -> Iterator[list[tuple[str, bool]]]:
        """Pictures that are byte for byte the same: URIs of each group in their order, and whether each has a point."""
        rows = self._execute(
            "SELECT i.sha256, i.uri, i.point FROM scan s JOIN ledger.items i ON i.generation = :generation AND i.uri = s.uri "
            "WHERE s.outcome IS NULL AND i.outcome IN ('indexed', 'duplicate') AND i.sha256 IN ("
            "SELECT j.sha256 FROM scan t JOIN ledger.items j ON j.generation = :generation AND j.uri = t.uri "
            "WHERE j.outcome IN ('indexed', 'duplicate') GROUP BY j.sha256 HAVING count(*) > 1) ORDER BY i.sha256, i.uri"
        )
        for _, group in itertools.groupby(rows, key=lambda row: row[0]):
            yield [(str(uri), bool(point)) for _, uri, point in group]

    def scanned(self, uris: Iterable[str]) -> list[str]:
        """Those of some URIs that the source of this run holds."""
        return [uri for uri in uris if self._execute("SELECT 1 FROM scan WHERE uri = :uri", uri=uri)]

    def set_duplicates(self, uris: Sequence[str]) -> None:
        """Enter that these have no point of their own, because another picture of the same content has one."""
        self._many(
            "UPDATE ledger.items SET outcome = 'duplicate', point = 0 WHERE generation = ? AND uri = ?",
            [(self._values["generation"], uri) for uri in uris],
        )

    def forget(self, uris: Sequence[str]) -> None:
        """Remove rows."""
        self._many(
            "DELETE FROM ledger.items WHERE generation = ? AND uri = ?", [(self._values["generation"], uri) for uri in uris]
        )

    def account(self) -> dict[str, int]:
        """Pictures of the source: `indexed` (written by this run), `unchanged`, `duplicate`, `failed`, `skipped`."""
        rows = self._execute(f"SELECT i.outcome, coalesce(i.written = :run, 0), count(*) {JOIN} GROUP BY 1, 2")
        counts = dict.fromkeys(("indexed", "unchanged", "duplicate", "failed", "skipped"), 0)
        counts["skipped"] = self.repeated
        for outcome, written, count in rows:
            if outcome is not None:  # a picture without a row is missing from the account, which then does not add up
                counts["unchanged" if outcome == "indexed" and not written else outcome] += count
        return counts

    def points(self) -> int:
        """How many pictures have a point, according to the ledger."""
        return int(self._execute("SELECT count(*) FROM ledger.items WHERE generation = :generation AND point")[0][0])

    def uris_with_point(self) -> set[str]:
        """The URIs that have a point, according to the ledger."""
        rows = self._execute("SELECT uri FROM ledger.items WHERE generation = :generation AND point")
        return {str(row[0]) for row in rows}

    def failures(self) -> Iterator[tuple[str, str, str]]:
        """URI, reason and message of the pictures of this source that failed, in the order of their URIs."""
        last = ""
        query = (
            "SELECT i.uri, coalesce(i.reason, ''), coalesce(i.message, '') FROM ledger.items i "
            "WHERE i.generation = :generation AND i.outcome = 'failed' AND i.uri > :last "
            "AND i.uri IN (SELECT uri FROM scan) ORDER BY i.uri LIMIT 1000"
        )
        while rows := self._execute(query, last=last):
            yield from rows
            last = rows[-1][0]

    def reasons(self) -> dict[str, int]:
        """Number of failures of this source by reason."""
        return dict(
            self._execute(
                "SELECT i.reason, count(*) FROM ledger.items i WHERE i.generation = :generation AND i.outcome = 'failed' "
                "AND i.uri IN (SELECT uri FROM scan) GROUP BY 1 ORDER BY 1"
            )
        )

    def interrupted(self) -> bool:
        """Whether the run before this one did not finish: what it wrote may still lack its search graph."""
        rows = self._execute(
            "SELECT report IS NULL FROM ledger.runs WHERE generation = :generation AND number < :run "
            "ORDER BY number DESC LIMIT 1"
        )
        return bool(rows and rows[0][0])

    def finish(self, report: str) -> None:
        """Keep the run's report, and those of the last hundred runs."""
        self._execute("UPDATE ledger.runs SET report = :report WHERE number = :run", report=report)
        self._execute("DELETE FROM ledger.runs WHERE number <= :run - 100")

    def close(self) -> None:
        """Close the file; the scan is gone with it."""
        with self._lock:
            self._connection.close()

    def _execute(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._connection.execute(statement, {**self._values, **values}).fetchall()
        except sqlite3.Error as error:
            raise _unusable(error) from error

    def _many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        try:
            with self._lock, _transaction(self._connection):
                self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            raise _unusable(error) from error


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _unusable(error: sqlite3.Error) -> StoreError:
    return StoreError(
        f"the ledger cannot be read or written: {error}; what was indexed is kept, and the same command goes on once the "
        "disk has room and no other job uses this collection"
    )
