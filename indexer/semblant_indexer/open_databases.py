"""A database that is open already, for a job inside the process that has it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from semblant_search.errors import InvalidInput
from semblant_search.store.names import without_password

if TYPE_CHECKING:
    from semblant_search.store import Database

    from .job import IndexJob

__all__ = ["check_same"]


def check_same(job: IndexJob, database: Database) -> None:
    """Raise `InvalidInput` where the job names another database than the open one: its ledger would lie beside that."""
    there = database.location
    if "://" in job.db or "://" in there:
        same = without_password(job.db) == there or ("://" in job.db and "://" not in there and not Path(there).is_dir())
    else:
        same = os.path.realpath(job.db) == os.path.realpath(there)
    if not same:
        raise InvalidInput(
            f"db {without_password(job.db)!r}: the open database is {there!r}; expected the same one for both, and one ledger"
        )
