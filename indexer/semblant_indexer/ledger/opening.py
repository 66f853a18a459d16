"""Opening a ledger's file: making it, taking over an older version's, and beginning a generation that was made anew."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

from .schema import ACCEPTED_TABLE, FROM_2, SCHEMA, SOUND, VERSION
from .troubles import is_damaged, put_aside

if TYPE_CHECKING:
    from pathlib import Path

    from semblant_search.collection import Manifest
    from semblant_search.sources import SourceRecord

__all__ = ["open_file"]


def open_file(connection: sqlite3.Connection, path: Path, manifest: Manifest, source: SourceRecord) -> str | None:
    """Attach the file as `ledger`. Raises errors of SQLite and of the system.

    One that is damaged, or of a Semblant that this one does not know, is put aside; returns a note that says so.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _attach(connection, path, manifest, source)
    except sqlite3.DatabaseError as error:
        if not is_damaged(error):
            raise
        why = f"was damaged ({error})"
    except _ForeignVersionError as error:
        why = f"is of another Semblant (version {error})"
    else:
        return None
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    with suppress(sqlite3.OperationalError):  # it could not even be attached
        connection.execute("DETACH ledger")
    aside = put_aside(path)
    _attach(connection, path, manifest, source)
    return f"the ledger {why}, and is {str(aside)!r} now; a new one was made of what the database holds"


class _ForeignVersionError(Exception):
    """The version of a ledger that says nothing to this Semblant."""


def _attach(connection: sqlite3.Connection, path: Path, manifest: Manifest, source: SourceRecord) -> None:
    generation, created = manifest.generation, manifest.created_at
    connection.execute("ATTACH ? AS ledger", (str(path),))
    connection.execute("PRAGMA ledger.journal_mode = WAL")
    connection.execute("PRAGMA ledger.synchronous = NORMAL")
    version = connection.execute("PRAGMA ledger.user_version").fetchone()[0]
    if version == 2:
        connection.executescript(f"BEGIN; {FROM_2.format(schema=SCHEMA)} PRAGMA ledger.user_version = {VERSION}; COMMIT;")
    elif version not in (0, VERSION):
        raise _ForeignVersionError(version)
    connection.execute(f"PRAGMA ledger.user_version = {VERSION}")
    connection.executescript(SCHEMA)
    connection.execute(SOUND.format(schema="ledger"))
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
