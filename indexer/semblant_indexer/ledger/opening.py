"""Opening a ledger's file: making it, taking over an older version's, and beginning a generation that was made anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .schema import ACCEPTED_TABLE, FROM_2, SCHEMA, VERSION

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from semblant_search.collection import Manifest
    from semblant_search.sources import SourceRecord

__all__ = ["open_file"]


def open_file(connection: sqlite3.Connection, path: Path, manifest: Manifest, source: SourceRecord) -> None:
    """Attach the file as `ledger`. Raises errors of SQLite and of the system."""
    generation, created = manifest.generation, manifest.created_at
    path.parent.mkdir(parents=True, exist_ok=True)
    connection.execute("ATTACH ? AS ledger", (str(path),))
    connection.execute("PRAGMA ledger.journal_mode = WAL")
    connection.execute("PRAGMA ledger.synchronous = NORMAL")
    version = connection.execute("PRAGMA ledger.user_version").fetchone()[0]
    if version == 2:
        connection.executescript(f"BEGIN; {FROM_2.format(schema=SCHEMA)} PRAGMA ledger.user_version = {VERSION}; COMMIT;")
    elif version not in (0, VERSION):  # written by another Semblant; what matters is found again in the store
        for table in ("items", "generations", "runs", "sources", "arrivals"):
            connection.execute(f"DROP TABLE IF EXISTS ledger.{table}")
    connection.execute(f"PRAGMA ledger.user_version = {VERSION}")
    connection.executescript(SCHEMA)
    connection.executescript(ACCEPTED_TABLE.format(schema="ledger"))
    known = connection.execute("SELECT created_at FROM ledger.generations WHERE name = ?", (generation,)).fetchone()
    if known is None or known[0] != created:
        for table in ("items", "sources", "arrivals"):
            connection.execute(f"DELETE FROM ledger.{table} WHERE generation = ?", (generation,))
        connection.execute(
            "REPLACE INTO ledger.generations VALUES (?, ?, ?)", (generation, created, manifest.encoder_fingerprint)
        )
    # Version 2 called a source by its root.
    connection.execute(
        "UPDATE OR IGNORE ledger.items SET source = ? WHERE generation = ? AND source = ?",
        (source.id, generation, source.root),
    )
