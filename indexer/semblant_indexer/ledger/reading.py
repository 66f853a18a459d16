"""A ledger that is only read: beside a job, or where nobody may write."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from semblant_search.errors import CollectionNotFound

from .schema import SOUND, VERSION
from .troubles import of_another_version, unusable

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = ["note_removed", "open_to_read"]


def open_to_read(path: Path, of: str = "", known: Container[str] | None = None) -> sqlite3.Connection:
    """The file, as far as it is there at this moment. Also on a disk, or in a folder, where nothing can be written.

    Args:
        path: of the file.
        of: whose it is, for the message where there is none.
        known: ids of the sources that the collection has; what the ledger says of others is left out (`note_removed`).

    Raises:
        CollectionNotFound: there is none.
        StoreError: it cannot be read, is damaged, or another version's.
    """
    if not path.is_file():
        whose = f" of {of}" if of else ""
        raise CollectionNotFound(f"no ledger{whose} at {str(path)!r}; index again, which makes it, or say where it is: --state")
    try:
        connection = _opened(path)
    except (sqlite3.Error, OSError) as error:
        raise unusable(path, error) from error
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version not in (0, VERSION):
            raise of_another_version(path, version)
        note_removed(connection, known)
        connection.execute(SOUND.format(schema="main"))  # 0 has an empty file, or one of another program
    except sqlite3.Error as error:
        connection.close()
        raise unusable(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def note_removed(connection: sqlite3.Connection, known: Container[str] | None) -> None:
    """Make the table `removed`: ids of sources that the ledger knows and the collection no longer."""
    connection.execute("CREATE TEMP TABLE removed (id TEXT PRIMARY KEY)")
    if known is not None:
        ids = [id for (id,) in connection.execute("SELECT DISTINCT id FROM sources") if id not in known]
        connection.executemany("INSERT INTO removed VALUES (?)", [(id,) for id in ids])
        connection.commit()


def _opened(path: Path) -> sqlite3.Connection:
    log = path.with_name(f"{path.name}-wal")
    # Reading beside a writer needs room on the disk, and the right to write there; without a log there is no writer.
    alone = "" if log.exists() else "&immutable=1"
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{alone}", uri=True)
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1")  # opens it at last
    except sqlite3.OperationalError:
        connection.close()
        if alone:
            raise
        return _copy(path, log)  # what a job left that was killed, and its log cannot be read there
    except BaseException:
        connection.close()
        raise
    return connection


def _copy(path: Path, log: Path) -> sqlite3.Connection:
    copy = sqlite3.connect("")  # in a temporary file, where it is large
    try:
        with tempfile.TemporaryDirectory(prefix="semblant-") as folder:
            for file in (path, log):
                shutil.copyfile(file, Path(folder, file.name))
            with closing(sqlite3.connect(Path(folder, path.name))) as whole:
                whole.backup(copy)
    except BaseException:
        copy.close()
        raise
    return copy
