"""What a ledger says, read without the database: safe while a job is running."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from semblant_search.collection import canonical_uri
from semblant_search.errors import CollectionNotFound, InvalidInput, StoreError
from semblant_search.store.names import without_password
from semblant_search.store.open import DEFAULT_TIMEOUT

from .job import IndexJob
from .ledger.schema import ACCEPTED
from .state import find_state

__all__ = ["FailedJobs", "GenerationStatus", "Status", "failed_jobs", "last_job", "read_status"]


@dataclass(frozen=True)
class GenerationStatus:
    """The rows of one generation.

    Attributes:
        outcomes: pictures by outcome (`indexed`, `duplicate`, `failed`, `accepted`, `skipped`).
        reasons: failures by reason.
        sources: pictures by the source that brought them.
    """

    name: str
    created_at: str
    encoder: str
    points: int
    outcomes: dict[str, int]
    reasons: dict[str, int]
    sources: dict[str, int]


@dataclass(frozen=True)
class Status:
    """A collection's ledger.

    Attributes:
        generations: oldest first.
        failures: URI, reason and message of failures of the newest generation, as many as were asked for.
        last_run: start, source and account of the newest run; `report` None where it did not finish (or is running).
    """

    collection: str
    generations: list[GenerationStatus]
    failures: list[dict[str, str]] = field(default_factory=list)
    last_run: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return asdict(self)


def read_status(
    db: str,
    collection: str,
    *,
    state: Path | None = None,
    failures: int = 20,
    api_key: str | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> Status:
    """Read a collection's ledger. Only of a server it has to be asked which collection that is (`api_key`, `timeout`).

    Raises:
        CollectionNotFound: there is no ledger for it.
        StoreError: the file is not a ledger.
    """
    connection = _open(db, collection, find_state(db, collection, state, api_key, timeout))
    try:
        accepted = _accepted(connection)
        names = connection.execute("SELECT name, created_at, encoder FROM generations ORDER BY name").fetchall()
        generations = [_generation(connection, *row) for row in names]
        rows = connection.execute(
            "SELECT i.uri, i.reason, i.message FROM items i WHERE i.generation = ? AND i.outcome = 'failed' "
            f"AND NOT {accepted} ORDER BY i.uri LIMIT ?",
            (names[-1][0] if names else "", failures),
        ).fetchall()
        run = connection.execute("SELECT started_at, job, report FROM runs ORDER BY number DESC LIMIT 1").fetchone()
    except sqlite3.Error as error:
        raise _not_a_ledger(db, collection, error) from error
    finally:
        connection.close()
    last = None
    if run is not None:
        report = json.loads(run[2]) if run[2] else None
        last = {"started_at": run[0], "source": json.loads(run[1]).get("source"), "report": report}
    failed = [dict(zip(("uri", "reason", "message"), row, strict=True)) for row in rows]
    return Status(collection, generations, failed, last)


def last_job(
    db: str,
    collection: str,
    *,
    state: Path | None = None,
    api_key: str | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    **changes: Any,
) -> IndexJob:
    """The job that was run last on a collection, with changes. Errors as `read_status`, and `InvalidInput` for old settings."""
    connection = _open(db, collection, find_state(db, collection, state, api_key, timeout))
    try:
        row = connection.execute("SELECT job FROM runs ORDER BY number DESC LIMIT 1").fetchone()
    except sqlite3.Error as error:
        raise _not_a_ledger(db, collection, error) from error
    finally:
        connection.close()
    if row is None:
        shown = without_password(db)
        raise CollectionNotFound(f"no job was run on collection {collection!r} in {shown!r} yet")
    connected = {"api_key": api_key, "timeout": timeout}
    return IndexJob.from_json(json.loads(row[0]), db=db, collection=collection, state=state, **connected, **changes)


@dataclass(frozen=True)
class FailedJobs:
    """Where a ledger's failures came from.

    Attributes:
        jobs: the last job of each source that has failures, in the order of their runs; where nothing failed, the last job of
            all.
        unknown: failures by the URI of their source, for sources of which no job is known any more (a ledger keeps the last
            hundred), or none of this version.
    """

    jobs: list[IndexJob]
    unknown: dict[str, int]


def failed_jobs(
    db: str,
    collection: str,
    *,
    state: Path | None = None,
    api_key: str | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    **changes: Any,
) -> FailedJobs:
    """The jobs whose pictures failed, with changes, in the newest generation. Errors as `last_job`."""
    changes |= {"api_key": api_key, "timeout": timeout}
    changes.setdefault("source_name", None)  # it may be called otherwise by now; its root says which it is
    connection = _open(db, collection, find_state(db, collection, state, api_key, timeout))
    try:
        accepted = _accepted(connection)
        settings = [json.loads(row[0]) for row in connection.execute("SELECT job FROM runs ORDER BY number DESC")]
        failed = dict(
            connection.execute(
                "SELECT coalesce(s.root, i.source), count(*) FROM items i "
                "LEFT JOIN sources s ON s.generation = i.generation AND s.id = i.source WHERE i.outcome = 'failed' "
                f"AND NOT {accepted} AND i.generation = (SELECT max(name) FROM generations) GROUP BY 1"
            )
        )
    except sqlite3.Error as error:
        raise _not_a_ledger(db, collection, error) from error
    finally:
        connection.close()
    found: list[IndexJob] = []
    for data in settings:
        # A folder's URI ends with a slash in the ledger, and may do so in the settings.
        source = str(data.get("source"))
        uri = canonical_uri(source if "://" in source else Path(source)).rstrip("/")
        held = [name for name in (uri, f"{uri}/") if name in failed]
        if held:
            try:
                found.append(IndexJob.from_json(data, db=db, collection=collection, state=state, **changes))
            except InvalidInput:  # of another version: as good as unknown
                continue
            for name in held:
                del failed[name]
    jobs = found[::-1] or ([] if failed else [last_job(db, collection, state=state, **changes)])
    return FailedJobs(jobs, failed)


def _generation(connection: sqlite3.Connection, name: str, created_at: str, encoder: str) -> GenerationStatus:
    def count(column: str, condition: str = "1") -> dict[str, int]:
        query = f"SELECT {column}, count(*) FROM items i WHERE generation = ? AND {condition} GROUP BY 1 ORDER BY 1"
        return {str(value): int(number) for value, number in connection.execute(query, (name,))}

    # Two sources may hold the same picture, which has one point.
    points = connection.execute("SELECT count(DISTINCT uri) FROM items WHERE generation = ? AND point", (name,)).fetchone()[0]
    names = dict(connection.execute("SELECT id, name FROM sources WHERE generation = ?", (name,)).fetchall())
    sources = {names.get(id, id): number for id, number in count("source").items()}
    accepted = _accepted(connection)
    outcomes = count(f"CASE WHEN outcome = 'failed' AND {accepted} THEN 'accepted' ELSE outcome END")
    reasons = count("reason", f"outcome = 'failed' AND NOT {accepted}")
    return GenerationStatus(name, created_at, encoder, int(points), outcomes, reasons, sources)


def _accepted(connection: sqlite3.Connection) -> str:
    """The condition that a failure `i` was accepted; ledgers of an older Semblant know of none."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'accepted'").fetchone()
    return "0" if known is None else ACCEPTED.format(schema="main")


def _open(db: str, collection: str, folder: Path) -> sqlite3.Connection:
    path = folder / "ledger.sqlite"
    if not path.is_file():
        shown = without_password(db)
        raise CollectionNotFound(
            f"no ledger of collection {collection!r} of {shown!r} at {str(path)!r}; index pictures first, or give --state"
        )
    try:
        # Reading beside a writer needs room on the disk, and the right to write there; without a log there is no writer.
        alone = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
        return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{alone}", uri=True)
    except sqlite3.Error as error:
        raise _not_a_ledger(db, collection, error) from error


def _not_a_ledger(db: str, collection: str, error: sqlite3.Error) -> StoreError:
    shown = without_password(db)
    return StoreError(
        f"the ledger of collection {collection!r} of {shown!r} cannot be read: {error}; index again to make a new one"
    )
