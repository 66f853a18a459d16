"""The ledger as a file, and the scan of one run beside it: opened, filled, asked and closed."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from semblant_search.errors import StoreError
from semblant_search.writing.points import now

from .opening import open_file
from .schema import EXIF_MARK, SCAN
from .troubles import is_damaged, put_aside, unusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from semblant_search.collection import Manifest
    from semblant_search.sources import SourceRecord

    from semblant_indexer.sources import Item

_ROOM = "make room in the folder for temporary files, or choose another one (TMPDIR)"


class LedgerFile:
    """The file of one collection, and the scan of one run. One writer at a time; methods may be called from any thread."""

    def __init__(self) -> None:
        # An unnamed SQLite database lives in memory and moves to a temporary file when it grows.
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()
        self._connection.executescript(SCAN)
        self._values: dict[str, Any] = {
            "generation": "",
            "source": "",
            "run": 0,
            "retry": False,
            "merge": False,
            "verify": False,
            "exif": False,
        }
        self.found = self.repeated = 0
        self._path: Path | None = None
        self._damaged = False

    def scan(self, items: Iterable[Item], *, exif: bool = False) -> int:
        """Note what the source holds; returns how many items it yielded. A URI that comes twice counts once in `repeated`.

        With `exif` what cameras wrote into pictures is wanted, too: where it was never read, the file is looked at again.
        """
        found = 0
        mark = EXIF_MARK if exif else ""
        self._values["exif"] = exif
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
                    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest() + mark
                yield (item.uri, item.size, item.mtime_ns, text, digest, *(item.problem or (None, None, None)), item.place)

        statement = (
            "INSERT OR IGNORE INTO scan (uri, size, mtime_ns, payload, metadata, outcome, reason, message, place) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        try:
            connection.executemany(statement, rows())
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(f"the list of pictures cannot be kept in a temporary file: {error}; {_ROOM}") from error
        self.found = found
        self.repeated = found - int(connection.execute("SELECT count(*) FROM scan").fetchone()[0])
        return found

    def problems(self) -> dict[str, int]:
        """Items of the scan that the source itself found to be no pictures to be tried, by outcome."""
        rows = self._execute("SELECT outcome, count(*) FROM scan WHERE outcome IS NOT NULL GROUP BY 1")
        counts = {str(outcome): int(count) for outcome, count in rows}
        return {**counts, "skipped": counts.get("skipped", 0) + self.repeated}

    def first_problem(self) -> str:
        """What is wrong with the first item that the source itself found to be no picture to be tried."""
        rows = self._execute("SELECT message FROM scan WHERE outcome IS NOT NULL ORDER BY seq LIMIT 1")
        return str(rows[0][0]) if rows else ""

    def attach(
        self,
        path: Path,
        manifest: Manifest,
        source: SourceRecord,
        *,
        job: str = "{}",
        retry: bool = False,
        merge: bool = False,
        verify: bool = False,
    ) -> str | None:
        """Open the file for one generation, making it where it is missing. A generation made anew begins with no rows.

        Returns a note where the file was of no use and is put aside.

        Args:
            path: of the SQLite file.
            manifest: of the generation.
            source: whose pictures were scanned; rows of others are left alone.
            job: the job's settings as JSON, kept with the run.
            retry: failures that lie in a file's content are not settled.
            merge: pictures that are byte for byte another one are settled without a point.
            verify: no picture is settled by size and time of its file.

        Raises:
            StoreError: the file cannot be read or written.
        """
        generation = manifest.generation
        try:
            note = open_file(self._connection, path, manifest, source)
            cursor = self._connection.execute(
                "INSERT INTO ledger.runs (generation, started_at, job) VALUES (?, ?, ?)", (generation, now(), job)
            )
        except (sqlite3.Error, OSError) as error:
            raise unusable(path, error) from error
        self._path = path
        run = {"source": source.id, "run": cursor.lastrowid, "retry": retry, "merge": merge, "verify": verify}
        self._values |= {"generation": generation, **run}
        return note

    def close(self) -> None:
        """Close the file; the scan is gone with it."""
        with self._lock:
            self._connection.close()
        if self._damaged and self._path is not None:
            self._damaged = False
            with suppress(OSError):
                put_aside(self._path)

    def _execute(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._connection.execute(statement, {**self._values, **values}).fetchall()
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        try:
            with self._lock, _transaction(self._connection):
                self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: sqlite3.Error) -> StoreError:
        path = self._path
        if path is None:  # the scan alone
            return StoreError(f"the list of pictures cannot be kept in a temporary file: {error}; {_ROOM}")
        if not is_damaged(error):
            return unusable(path, error)
        self._damaged = True  # it cannot be renamed while it is open
        return StoreError(
            f"ledger {str(path)!r} is damaged ({error}), and is put aside; run the same command again, which makes a new one "
            "of what the database holds"
        )


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
