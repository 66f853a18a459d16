"""Where a job keeps what it knows beside the collection: the ledger, the last report, the failures."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from semblant_search.errors import StoreError
from semblant_search.store.names import node_urls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .job import IndexJob
    from .report import IndexReport

__all__ = ["ledger_path", "state_folder", "write_state"]


def state_folder(db: str, collection: str, state: Path | None = None) -> Path:
    """The folder: as told, else in the database directory, or for a server in the user's state folder."""
    if state is not None:
        return state
    if "://" not in db:
        return Path(db) / collection
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    parts = urlsplit(node_urls(db)[0])
    return home / "semblant" / f"{parts.hostname or 'server'}-{parts.port or 6333}" / collection


def ledger_path(job: IndexJob) -> Path:
    """The SQLite file of a job's ledger."""
    return state_folder(job.db, job.collection, job.state) / "ledger.sqlite"


def write_state(job: IndexJob, report: IndexReport, failures: Iterable[tuple[str, str, str]]) -> None:
    """Write `report.json` and `failures.jsonl` (uri, reason, message), each whole or not at all. Raises `StoreError`."""
    folder = state_folder(job.db, job.collection, job.state)
    lines = (json.dumps({"uri": uri, "reason": reason, "message": message}) for uri, reason, message in failures)
    _write(folder / "failures.jsonl", lines)
    _write(folder / "report.json", [json.dumps(report.to_json(), indent=2)])


def _write(path: Path, lines: Iterable[str]) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        temporary.replace(path)
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be written: {error.strerror or error}; everything is indexed") from error
