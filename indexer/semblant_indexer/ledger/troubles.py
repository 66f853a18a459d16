"""What is wrong with a ledger's file, in one line with one way out."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

from semblant_search.errors import StoreError

from .schema import VERSION

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["AGAIN", "is_damaged", "of_another_version", "put_aside", "unusable"]

AGAIN = "index again: the job puts it aside, and makes a new one of what the database holds"
_LOGS = "-wal", "-shm"


def is_damaged(error: Exception) -> bool:
    """Whether a file is no ledger at all, or part of one: nothing that waiting, room on the disk or more rights would mend."""
    # SQLite says both "file is not a database" and "malformed" by this class itself, and the rest by others below it.
    return type(error) is sqlite3.DatabaseError or str(error).startswith(("no such table", "no such column"))


def unusable(path: Path, error: Exception) -> StoreError:
    """The error of a ledger that cannot be read or written."""
    why = str(error)
    if is_damaged(error):
        return StoreError(f"ledger {str(path)!r} is damaged ({why}); {AGAIN}")
    if "locked" in why:
        return StoreError(f"ledger {str(path)!r} is held by a job; try again when that has ended")
    if "full" in why:
        return StoreError(f"ledger {str(path)!r} cannot be written: {why}; make room and try again, nothing is lost")
    if isinstance(error, OSError):
        return StoreError(
            f"ledger {str(path)!r} cannot be written: {error.strerror or error}; see that its folder can be, or choose another "
            "one (--state DIR)"
        )
    if "readonly" in why or "unable to open" in why:
        return StoreError(
            f"ledger {str(path)!r} cannot be written: its disk is read-only, or it is another user's; run the command where it "
            "may be written"
        )
    return StoreError(f"ledger {str(path)!r} cannot be read or written: {why}; what was indexed is kept, run the command again")


def of_another_version(path: Path, version: int) -> StoreError:
    """The error of a ledger that another Semblant wrote."""
    if version < VERSION:
        return StoreError(f"ledger {str(path)!r} is of an older Semblant; index again, and the job takes it over")
    return StoreError(
        f"ledger {str(path)!r} is of a newer Semblant (version {version}, not {VERSION}): use that one, or {AGAIN}"
    )


def put_aside(path: Path) -> Path:
    """Give a ledger that cannot be used another name, and its logs with it; returns the name. Raises `OSError`."""
    aside = path.with_name(f"{path.name}.damaged")
    path.replace(aside)
    for log in _LOGS:  # or they would be taken for those of the new one
        with suppress(FileNotFoundError):
            path.with_name(path.name + log).replace(aside.with_name(aside.name + log))
    return aside
