"""A generation that was made of another one has the pictures of that: its rows are theirs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from .schema import VERSION
from .troubles import is_damaged, unusable

if TYPE_CHECKING:
    from pathlib import Path

    from semblant_search.collection import Manifest

__all__ = ["copy_generation"]


def copy_generation(path: Path, generation: str, manifest: Manifest) -> None:
    """Give the generation of a manifest the rows of another one. Without a ledger nothing is done: the next run makes one.

    Args:
        path: of the SQLite file.
        generation: whose rows to take.
        manifest: of the generation that gets them.

    Raises:
        StoreError: the ledger cannot be written, or a job holds it.
    """
    if not path.is_file():
        return
    try:
        with closing(sqlite3.connect(path)) as connection, connection:
            if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                return  # of another Semblant: the next run begins it anew
            for table in ("items", "sources"):
                names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
                columns = ", ".join(name for name in names if name != "generation")
                connection.execute(f"DELETE FROM {table} WHERE generation = ?", (manifest.generation,))
                connection.execute(
                    f"INSERT INTO {table} (generation, {columns}) SELECT ?, {columns} FROM {table} WHERE generation = ?",
                    (manifest.generation, generation),
                )
            connection.execute(
                "REPLACE INTO generations (name, created_at, encoder) VALUES (?, ?, ?)",
                (manifest.generation, manifest.created_at, manifest.encoder_fingerprint),
            )
    except sqlite3.Error as error:
        if not is_damaged(error):  # the next run puts it aside
            raise unusable(path, error) from error
