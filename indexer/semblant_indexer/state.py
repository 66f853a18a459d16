"""Where a job keeps what it knows beside the collection: the ledger, the last report, the failures."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from semblant_search.errors import CollectionNotFound, SemblantError, StoreError
from semblant_search.sources import generation_sources, identity_of, source_ids
from semblant_search.store import open_database
from semblant_search.store.names import node_urls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from semblant_search.sources import SourceRecord
    from semblant_search.store import Database

    from .job import IndexJob
    from .report import IndexReport

__all__ = ["all_states", "find_state", "known_sources", "ledger_path", "state_folder", "write_state"]


def state_folder(db: str, collection: str, state: Path | None = None, identity: str | None = None) -> Path:
    """The folder: as told, else in the database directory, or for a server in the user's state folder.

    Args:
        db, collection, state: as in `IndexJob`.
        identity: of the collection (`semblant_search.sources`), which is the same however the server is addressed. None is for
            a server that was indexed before collections had one.
    """
    if state is not None:
        return state
    if "://" not in db:
        return Path(db) / collection
    home = _home()
    if identity is not None:
        return home / identity
    parts = urlsplit(node_urls(db)[0])
    return home / f"{parts.hostname or 'server'}-{parts.port or 6333}" / collection


def ledger_path(job: IndexJob, identity: str | None) -> Path:
    """The SQLite file of a job's ledger. One that an older Semblant kept under the server's address is taken over."""
    folder = state_folder(job.db, job.collection, job.state, identity)
    before = state_folder(job.db, job.collection, job.state)
    if before != folder and not folder.exists() and before.is_dir():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            before.rename(folder)
        except OSError as error:
            raise StoreError(f"{str(before)!r} cannot be renamed to {str(folder)!r}: {error.strerror or error}") from error
    return folder / "ledger.sqlite"


def all_states(job: IndexJob) -> Path:
    """What the folder of a job's ledger lies in, whatever the identity of its collection."""
    return state_folder(job.db, job.collection, job.state) if job.state is not None or "://" not in job.db else _home()


def find_state(db: str, collection: str, state: Path | None, api_key: str | None, timeout: float) -> Path:
    """The folder of a collection's ledger, for whoever has not opened the database. Asks a server who the collection is."""
    if state is not None or "://" not in db:
        return state_folder(db, collection, state)
    with closing(open_database(db, api_key=api_key, timeout=timeout)) as database:
        return state_folder(db, collection, state, identity_of(database, collection))


def known_sources(
    ledger: Path, db: str, collection: str, state: Path | None, api_key: str | None, timeout: float
) -> dict[str, SourceRecord | None] | None:
    """The sources of a collection by their ids, whoever has it open, for whoever reads its ledger.

    A record that cannot be read is None, and so is all where the database cannot be asked now, or is a server's and the ledger
    is named. Where there is no ledger either, what is wrong with the database is raised.
    """
    if "://" in db and state is not None:
        return None
    try:
        with closing(open_database(db, api_key=api_key, timeout=timeout)) as database:
            return _records(database, collection)
    except SemblantError:
        if ledger.is_file():
            return None
        raise


def _records(database: Database, collection: str) -> dict[str, SourceRecord | None]:
    generations = database.generations(collection)
    if not generations:
        there = ", ".join(map(repr, sorted(database.collections()))) or "none"
        raise CollectionNotFound(f"{database.location!r} has no collection {collection!r}; there: {there}")
    serving = database.collections().get(collection)
    names = [*generations, *([] if serving is None else [serving])]  # what that says of a source is so now
    known: dict[str, SourceRecord | None] = {}
    for name in names:
        known |= dict.fromkeys(source_ids(database.assets(collection, name)) - known.keys())
        known |= {one.id: one for one in generation_sources(database, collection, name)}
    return known


def write_state(folder: Path, report: IndexReport, failures: Iterable[tuple[str, str, str]]) -> None:
    """Write `report.json` and `failures.jsonl` (uri, reason, message), each whole or not at all. Raises `StoreError`."""
    lines = (json.dumps({"uri": uri, "reason": reason, "message": message}) for uri, reason, message in failures)
    _write(folder / "failures.jsonl", lines)
    _write(folder / "report.json", [json.dumps(report.to_json(), indent=2)])


def _home() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "semblant"


def _write(path: Path, lines: Iterable[str]) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        temporary.replace(path)
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be written: {error.strerror or error}; everything is indexed") from error
