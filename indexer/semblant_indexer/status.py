"""What a ledger says, read without the database: safe while a job is running."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semblant_search.collection import canonical_uri, uri_path
from semblant_search.errors import CollectionNotFound, InvalidInput
from semblant_search.store.names import without_password
from semblant_search.store.open import DEFAULT_TIMEOUT

from .job import IndexJob
from .ledger.reading import open_to_read
from .ledger.schema import ACCEPTED, THERE
from .ledger.troubles import unusable
from .state import find_state, known_sources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from semblant_search.sources import SourceRecord

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
    path = find_state(db, collection, state, api_key, timeout) / "ledger.sqlite"
    known = known_sources(path, db, collection, state, api_key, timeout)
    connection = _open(path, db, collection, known)
    try:
        accepted = _accepted(connection)
        names = connection.execute("SELECT name, created_at, encoder FROM generations ORDER BY name").fetchall()
        generations = [_generation(connection, *row) for row in names]
        rows = connection.execute(
            "SELECT i.uri, i.reason, i.message FROM items i WHERE i.generation = ? AND i.outcome = 'failed' "
            f"AND {THERE} AND NOT {accepted} ORDER BY i.uri LIMIT ?",
            (names[-1][0] if names else "", failures),
        ).fetchall()
        run = connection.execute("SELECT started_at, job, report FROM runs ORDER BY number DESC LIMIT 1").fetchone()
    except sqlite3.Error as error:
        raise unusable(path, error) from error
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
    path = find_state(db, collection, state, api_key, timeout) / "ledger.sqlite"
    known = known_sources(path, db, collection, state, api_key, timeout)
    connection = _open(path, db, collection, known)
    try:
        row = connection.execute("SELECT job FROM runs ORDER BY number DESC LIMIT 1").fetchone()
    except sqlite3.Error as error:
        raise unusable(path, error) from error
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
            all, unless its source was removed.
        unknown: failures by the URI of their source, for sources of which no job is known any more (a ledger keeps the last
            hundred), or none of this version.
        away: failures by the name of their source, for folders and lists that are not there.
    """

    jobs: list[IndexJob]
    unknown: dict[str, int]
    away: dict[str, int] = field(default_factory=dict)


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
    path = find_state(db, collection, state, api_key, timeout) / "ledger.sqlite"
    known = known_sources(path, db, collection, state, api_key, timeout)
    connection = _open(path, db, collection, known)
    try:
        accepted = _accepted(connection)
        settings = [json.loads(row[0]) for row in connection.execute("SELECT job FROM runs ORDER BY number DESC")]
        rows = connection.execute(
            "SELECT i.source, coalesce(s.root, i.source), count(*) FROM items i "
            "LEFT JOIN sources s ON s.generation = i.generation AND s.id = i.source WHERE i.outcome = 'failed' "
            f"AND {THERE} AND NOT {accepted} AND i.generation = (SELECT max(name) FROM generations) GROUP BY 1, 2"
        ).fetchall()
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    finally:
        connection.close()
    failed = {root: count for _, root, count in rows}
    records = {root: None if known is None else known.get(id) for id, root, _ in rows}
    found: list[IndexJob] = []
    away: dict[str, int] = {}
    for data in settings:
        # A folder's URI ends with a slash in the ledger, and may do so in the settings.
        uri = _root_of(str(data.get("source")))
        held = [name for name in (uri, f"{uri}/") if name in failed]
        if held:
            try:
                job = IndexJob.from_json(data, db=db, collection=collection, state=state, **changes)
            except InvalidInput:  # of another version: as good as unknown
                continue
            record = records[held[0]]
            job = _as_it_is_now(job, held[0], record)
            count = sum(failed.pop(name) for name in held)
            if record is not None and "://" not in job.source and not Path(job.source).exists():
                away[record.name] = count
            else:
                found.append(job)
    jobs = found[::-1]
    if not (jobs or failed or away):
        last = last_job(db, collection, state=state, **changes)
        if known is None or _root_of(last.source) in {record.root.rstrip("/") for record in known.values() if record}:
            jobs = [last]
    return FailedJobs(jobs, failed, away)


def _root_of(source: str) -> str:
    """A source's URI, as far as a job's settings tell it: that of a folder without its slash."""
    return canonical_uri(source if "://" in source else Path(source)).rstrip("/")


def _as_it_is_now(job: IndexJob, root: str, record: SourceRecord | None) -> IndexJob:
    """The job of a source that was relocated since, of its new root."""
    if record is None or record.root == root:
        return job
    path = uri_path(record.root)
    metadata = record.settings.get("metadata") if job.metadata is not None else None
    return dataclasses.replace(
        job, source=record.root if path is None else str(path), metadata=Path(metadata) if metadata else job.metadata
    )


def _generation(connection: sqlite3.Connection, name: str, created_at: str, encoder: str) -> GenerationStatus:
    def count(column: str, condition: str = "1") -> dict[str, int]:
        query = f"SELECT {column}, count(*) FROM items i WHERE generation = ? AND {THERE} AND {condition} GROUP BY 1 ORDER BY 1"
        return {str(value): int(number) for value, number in connection.execute(query, (name,))}

    # Two sources may hold the same picture, which has one point.
    points = connection.execute(
        f"SELECT count(DISTINCT uri) FROM items i WHERE generation = ? AND point AND {THERE}", (name,)
    ).fetchone()[0]
    names = dict(connection.execute("SELECT id, name FROM sources WHERE generation = ?", (name,)).fetchall())
    sources = {names.get(id, id): number for id, number in count("source").items()}
    accepted = _accepted(connection)
    outcomes = count(f"CASE WHEN outcome = 'failed' AND {accepted} THEN 'accepted' ELSE outcome END")
    reasons = count("reason", f"outcome = 'failed' AND NOT {accepted}")
    return GenerationStatus(name, created_at, encoder, int(points), outcomes, reasons, sources)


def _open(path: Path, db: str, collection: str, known: Mapping[str, SourceRecord | None] | None) -> sqlite3.Connection:
    return open_to_read(path, f"collection {collection!r} of {without_password(db)!r}", known)


def _accepted(connection: sqlite3.Connection) -> str:
    """The condition that a failure `i` was accepted; ledgers of an older Semblant know of none."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'accepted'").fetchone()
    return "0" if known is None else ACCEPTED.format(schema="main")
