"""Building a collection anew: all its sources, each by its own settings, and what clients added; or nothing at all."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from semblant_search.collection import ADDED, uri_path
from semblant_search.errors import InvalidInput, SemblantError, StoreLocked
from semblant_search.sources import forget_source, generation_damaged, generation_sources, owners, pictures_of, read_sources
from semblant_search.writing.shared_pictures import release

from .added import Carrying
from .analysis.carrying import carry_analyses
from .ledger import TRANSIENT
from .sources.remembered import job_for, open_job_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from semblant_search.encoder import Encoder
    from semblant_search.sources import SourceRecord
    from semblant_search.store import Database, Store

    from .job import IndexJob
    from .ledger import Ledger
    from .source_run import SourceRun
    from .sources import Source

__all__ = ["Other", "Rebuild"]

_ANALYSES = (("map", "analysis-map.json"), ("cluster", "analysis-clusters.json"), ("outliers", "analysis-outliers.json"))
"""What commands leave beside a collection, each by its command."""


class Other(NamedTuple):
    """Another source of the collection than the job's own, open."""

    record: SourceRecord
    job: IndexJob
    source: Source


class Rebuild:
    """What a new generation has to take over of the serving one.

    Args:
        db, job, encoder: the job's.
        serving: the generation.
        known: its sources.
        damaged: what is wrong with the records of those that cannot be read, by id.

    Raises:
        InvalidInput: a picture that a client added can be neither copied nor encoded again.
    """

    def __init__(
        self,
        db: Database,
        job: IndexJob,
        encoder: Encoder,
        serving: str,
        known: Sequence[SourceRecord],
        damaged: Mapping[str, str],
    ) -> None:
        self.carrying = Carrying(db, job, encoder, serving)
        self.carrying.check()
        self._db = db
        self._job = job
        self._serving = serving
        self._known = known
        self._damaged = damaged

    def others(self, own: SourceRecord) -> list[Other]:
        """The other sources, open, each with the job that indexes it.

        Raises:
            InvalidInput: some of them cannot be reached; all are named, and nothing is built.
        """
        found: list[Other] = []
        out_of_reach: list[str] = []
        for record in self._known:
            if record.id in (own.id, ADDED):
                continue
            try:
                job = job_for(record, self._job)
                found.append(Other(record, job, open_job_source(job)))
            except SemblantError as error:
                out_of_reach.append(f"{record.name!r}: {error}")
        out_of_reach += [why for id, why in self._damaged.items() if id not in (own.id, ADDED)]
        self._refuse(out_of_reach)
        return found

    def check_seen(self, seen: Sequence[tuple[SourceRecord, Ledger]]) -> None:
        """Look at what the scans of the other sources found.

        Raises:
            InvalidInput: some of them found no picture that can be read; all are named, and nothing is built.
        """
        self._refuse([f"{record.name!r}: {why}" for record, ledger in seen if (why := self._why_lost(record, ledger))])

    def _why_lost(self, record: SourceRecord, ledger: Ledger) -> str | None:
        found = ledger.found
        if found == 0:
            return f"{record.root} holds no pictures"
        if record.pictures and self._job.prune_limit < 1 and sum(ledger.problems().values()) == found:
            return f"none of the {found:,} pictures in {record.root} can be used now ({ledger.first_problem()})"
        return None

    def _refuse(self, out_of_reach: Sequence[str]) -> None:
        if out_of_reach:
            raise InvalidInput(
                f"collection {self._job.collection!r} cannot be rebuilt: a rebuild takes all its sources, and of these "
                f"{len(out_of_reach)} cannot be reached from here: {'; '.join(out_of_reach)}. Bring them back, say where they "
                "are now (semblant sources relocate NAME NEW), or remove them and their pictures (semblant sources remove NAME)"
            )

    def forget_removed(self, new: Store, own: SourceRecord) -> set[str]:
        """Drop the sources that the serving generation knows no longer: they were removed while this one was built.

        Args:
            new: the generation.
            own: the source that the job is about, which stays.

        Returns:
            Ids of the dropped ones.
        """
        there = self._db, self._job.collection, self._serving
        kept = {own.id, *(one.id for one in generation_sources(*there)), *generation_damaged(*there)}
        if new.count(pictures_of(ADDED)):  # see `Carrying`
            kept.add(ADDED)
        removed = {one.id for one in read_sources(new)} - kept
        for id in sorted(removed):
            release(new, [one.id for one in new.scroll(where=pictures_of(id), fields=())], id)
            forget_source(new, id)
        return removed

    def carry_analyses(self, new: Store) -> list[str]:
        """Take the map and the clusters of the serving generation over; returns notes."""
        try:
            old = self._db.open(self._job.collection, self._serving)
        except StoreLocked:  # somebody searches it
            kinds = [word for word, name in _ANALYSES if self._db.asset(self._job.collection, self._serving, name) is not None]
            commands = " and ".join(f"`semblant {word}`" for word in kinds)
            lost = f"another process has the serving generation, so that its analyses were not kept: run {commands}"
            return [lost] if kinds else []
        with closing(old):
            carry_analyses(old, new)
        return []

    def check_nothing_lost(self, new: Store, parts: Sequence[SourceRun]) -> list[str]:
        """Compare the new generation with the serving one before it takes its place; returns notes.

        Raises:
            InvalidInput: pictures would be lost that are not known to be gone, or more than `prune_limit`; the old one keeps
                serving, and the new one is gone on with when the job is run again.
        """
        try:
            old = self._db.open(self._job.collection, self._serving)
        except StoreLocked:  # somebody searches it; the ledger has to do
            missing = {uri: [part.record.id] for part in parts for uri in part.ledger.only_in(self._serving)}
            total = new.count() + len(missing)
        else:
            with closing(old):
                there = {record.id for record in new.scroll(fields=())}
                ids = [record.id for record in old.scroll(fields=()) if record.id not in there]
                missing = {}
                for start in range(0, len(ids), 1000):
                    for record in old.retrieve(ids[start : start + 1000], fields=["_uri", "_sources"]):
                        missing[str(record.payload["_uri"])] = owners(record.payload)
                total = old.count()
        merged = {uri for part in parts for uri in part.ledger.duplicates()}
        missing = {uri: owned for uri, owned in missing.items() if uri not in merged}
        if not missing:
            return []
        first = next(iter(missing))
        lost = f"{len(missing):,} of {total:,} pictures of generation {self._serving} are not in the new one, such as {first!r}"
        failed = {uri: (reason, words) for part in parts for uri, reason, words in part.ledger.failures() if uri in missing}
        why = self._why_kept(missing, failed, parts)
        if why is None and len(missing) > self._job.prune_limit * total:
            why = f"that is more than {self._job.prune_limit:.0%}"
        if why is not None and self._job.prune_limit < 1:
            away = any(reason in TRANSIENT for reason, _ in failed.values())
            unseen = away or any(part.source.incomplete for part in parts)
            advice = "see to that, and run" if unseen else "if they are to go, run"
            limit = "" if unseen else " with --prune-limit 100"
            raise InvalidInput(f"{lost}: {why}. Generation {self._serving} keeps serving; {advice} the job again{limit}")
        return [f"{lost}: they are gone from their sources{', or their files hold no picture any more' if failed else ''}"]

    def _why_kept(
        self, missing: dict[str, list[str]], failed: dict[str, tuple[str, str]], parts: Sequence[SourceRun]
    ) -> str | None:
        """Why some of them may not be taken for gone; `failed` are those of them that failed, with reason and message."""
        away = {uri: words for uri, (reason, words) in failed.items() if reason in TRANSIENT}
        if away:
            uri = next(iter(away))
            return (
                f"{len(away):,} of them are in their sources, but could not be used now ({failed[uri][0]}: {away[uri]}), "
                "as where what they lie on is not mounted"
            )
        for part in parts:
            if part.source.incomplete:
                return f"source {part.record.name!r} was not seen completely ({part.source.incomplete[0]})"
        for uri, owned in missing.items():
            path = uri_path(uri)
            if path is not None and path.is_file() and uri not in failed:
                return f"{uri!r} is there still, but in no source as it is indexed now; index its folder first"
            if not owned:
                return (
                    f"{uri!r} belongs to no source, being indexed by a Semblant that knew none; first index the folders or "
                    "lists that such pictures came from"
                )
        return None
