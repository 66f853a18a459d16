"""What metadata tables said that a source came with, and that are gone or broken: it stays until it is taken away by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from semblant_search.collection import canonical_uri, member_uri
from semblant_search.errors import InvalidInput
from semblant_search.shown import shown_name, without_users

from semblant_indexer.uris import UriBase

if TYPE_CHECKING:
    from semblant_search.sources import SourceRecord

    from semblant_indexer.job import IndexJob

    from .base import Source

__all__ = ["KeptTables", "kept_tables"]


class KeptTables(NamedTuple):
    """The found tables of the last run that this one does not have.

    Attributes:
        read: tables that this run reads.
        missing: tables whose words stay.
        about: beginnings of the URIs of the pictures that these may be about.
        over: the same of tables whose words stayed until now, and no longer do: they are back, or were taken away.
    """

    read: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    over: tuple[str, ...] = ()

    def keeps(self, uri: str, *, unknown: bool = False) -> bool:
        """Whether a picture keeps the fields that nothing says any more; `unknown`: nobody knows who said them."""
        return uri.startswith(self.about) or (unknown and not uri.startswith(self.over))

    @property
    def notes(self) -> list[str]:
        """One for each table that is missing."""
        return [
            f"{shown_name(table)} was read the last time, and is gone or cannot be read now: what it said stays (--no-metadata "
            "takes away what tables said)"
            for table in self.missing
        ]

    def check_rebuild(self, record: SourceRecord) -> None:
        """Raise `InvalidInput` where something is missing: a new generation has nothing that could stay."""
        if self.missing:
            raise InvalidInput(
                f"metadata table {shown_name(self.missing[0])}, which source {record.name!r} was indexed with the last time, "
                "is gone or cannot be read, and a rebuild would lose what it said; bring it back, or take away what it said "
                "(--no-metadata)"
            )

    def settings(self) -> dict[str, Any]:
        """What the next run has to know, as JSON values."""
        return {"tables": [*self.read, *self.missing], "missing_tables": [*self.missing]}


def kept_tables(job: IndexJob, record: SourceRecord, source: Source) -> KeptTables:
    """Compare the tables that a source has with those that its record says it had.

    A table that was given by name takes the place of those that were found, and `--no-metadata` takes away what they said.
    """
    now = tuple(without_users(table) for table in source.tables)
    last = [str(table) for table in record.settings.get("tables", ())]
    wanted = job.metadata is None and job.find_metadata
    missing = tuple(table for table in last if wanted and table not in now and _touches(_about(table), source.scope))
    before = [str(table) for table in record.settings.get("missing_tables", ())]
    over = tuple(_about(table) for table in before if table not in missing)
    return KeptTables(now, missing, tuple(map(_about, missing)), over)


def _about(table: str) -> str:
    """The beginning of the URIs of the pictures that a table may be about: those beside it and below."""
    archive, hash_, member = table.rpartition("#")
    if hash_ and "/" in archive:
        folder = member.rpartition("/")[0]
        uri = archive if "://" in archive else canonical_uri(Path(archive))
        return member_uri(uri, f"{folder}/") if folder else f"{uri}#"
    return f"{table.rpartition('/')[0]}/" if "://" in table else UriBase(Path(os.path.dirname(table))).prefix  # noqa: PTH120


def _touches(about: str, scope: str) -> bool:
    """Whether a source has pictures of these URIs; one that was relocated has others."""
    return about.startswith(scope) or scope.startswith(about)
