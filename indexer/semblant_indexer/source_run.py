"""One source, brought into one generation: from its scan to the account of its pictures."""

from __future__ import annotations

import dataclasses
import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Any, Protocol

from semblant_search.accepted_failures import AcceptedFailures, accepted_asset
from semblant_search.collection import ADDED, RESERVED_FIELDS, SOURCES_FIELD, FieldType, point_id
from semblant_search.errors import InvalidInput
from semblant_search.orb import Vocabulary
from semblant_search.shown import counted, shown_name
from semblant_search.sources import note_added, pictures_of, read_source, source_ids, write_source
from semblant_search.writing.exif import EXIF_FIELDS
from semblant_search.writing.points import now
from semblant_search.writing.shared_pictures import release

from . import generations
from .duplicates import settle_duplicates
from .job import Duplicates
from .ledger import Ledger
from .ownership import accounted, reconcile, strike_out_lenders
from .pruning import incomplete, kept_though_bad, unprunable
from .second_names import settle_names
from .sources.kept_tables import KeptTables, kept_tables
from .sources.remembered import settings_of
from .writer import Counts, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from semblant_search.sources import SourceRecord
    from semblant_search.store import Store

    from .job import IndexJob
    from .report import Failure
    from .sources import Item, Source

__all__ = ["LAG", "Host", "SourceRun"]

LAG = 10.0
"""Seconds that a replica of a server may lag behind at the end of a job."""


class Host(Protocol):
    """The job that a source is part of.

    Attributes:
        rebuild: what a new generation takes over of the serving one; None where none is built in place of another.
    """

    @property
    def rebuild(self) -> object:
        """See above."""
        ...

    def stage(self, name: str) -> AbstractContextManager[object]:
        """Measure a stage."""
        ...

    @property
    def on_failure(self) -> Callable[[Failure], None] | None:
        """Who is told of pictures that cannot be used."""
        ...

    def served_asset(self, name: str) -> bytes | None:
        """A file kept with the serving generation, or None."""
        ...

    def wait(self, call: Any, *arguments: Any) -> Any:
        """Call into the engine."""
        ...

    def heeding(self, items: Iterator[Item]) -> Iterator[Item]:
        """The same, less what may not be read, until the job is told to end."""
        ...

    def through_stages(self, part: SourceRun, store: Store, writer: Writer, total: int) -> None:
        """Take all pictures that are to be looked at through the pipeline."""
        ...


class SourceRun:
    """A source of a job.

    Args:
        job: how it is indexed.
        source: open.
        host: the whole job.
    """

    def __init__(self, job: IndexJob, source: Source, host: Host) -> None:
        self.job = job
        self.source = source
        self.ledger = Ledger()
        self.moved = 0
        self.removed = 0
        self.pruned = 0
        self.counts = Counts()
        self.notes: list[str] = []
        self.unpruned: str | None = None
        self.kept = KeptTables()
        self._host = host
        self._record: SourceRecord | None = None
        self._before = 0
        self._writer: Writer | None = None

    @property
    def record(self) -> SourceRecord:
        """What the collection remembers of it, as this run found it."""
        assert self._record is not None, "attach comes first"
        return self._record

    @property
    def changed(self) -> bool:
        """Whether points were written or deleted."""
        return bool(self.ledger.account()["indexed"] or self.moved or self.pruned)

    @property
    def found(self) -> int:
        """How many items the source yielded."""
        return self.ledger.found

    def scan(self, known: Mapping[str, FieldType]) -> None:
        """Note what the source holds; `known` are the types of fields that the collection has, or will have."""
        self.source.adopt_types(known)
        with self._host.stage("scan"):
            self.ledger.scan(self._host.heeding(self.source.items()), exif=self.job.exif)

    def compare_with_last(self, record: SourceRecord) -> None:
        """See which metadata tables are gone since the last run, and what else was asked for then.

        Raises:
            InvalidInput: a new generation is to be built, and would lose what they said.
        """
        self.kept = kept_tables(self.job, record, self.source)
        if self._host.rebuild is not None:
            self.kept.check_rebuild(record)
        self.notes += self.kept.notes
        last, now = record.settings.get("duplicates"), self.job.duplicates
        if record.scanned_at is not None and now is Duplicates.KEEP and last in ("flag", "merge"):
            self.notes.append(
                f"copies were treated by --duplicates {last} the last time, and by --duplicates {now.value} now; give it again "
                "to have it so"
            )

    def check_any(self) -> None:
        """Raise `InvalidInput` where the scan found nothing."""
        if self.found == 0:
            notes = "; ".join(self.source.notes)
            raise InvalidInput(f"{shown_name(self.job.source)} holds no pictures{': ' if notes else ''}{notes}")

    def attach(self, store: Store, record: SourceRecord, path: Path, *, job: str, others: list[str]) -> None:
        """Open the ledger for a generation, and make it say what that holds of this source.

        Args:
            store: the generation.
            record: of the source.
            path: of the ledger.
            job: the settings of the whole job as JSON, kept with the run.
            others: names of all generations that there are.
        """
        merge = self.job.duplicates is Duplicates.MERGE
        how = {"retry": self.job.retry, "merge": merge, "verify": self.job.verify}
        note = self.ledger.attach(path, store.manifest, record, job=job, **how)
        self.notes += [] if note is None else [note]
        self.ledger.forget_other_generations(others)
        self.ledger.forget_removed_sources(source_ids(store.assets()))
        if read_source(store, ADDED) is None and SOURCES_FIELD in store.manifest.fields and store.count(pictures_of(ADDED)):
            note_added(store)  # which older versions did not
        exif = EXIF_FIELDS if self.job.exif else {}
        declared = {name: kind for name, kind in self.source.fields.items() if name in self.job.fields}
        # In this order: a server may have room for some indexes only.
        fields = {**RESERVED_FIELDS, SOURCES_FIELD: FieldType.KEYWORD, **declared, **exif, **self.source.fields}
        before = store.manifest.fields
        self._host.wait(store.add_fields, fields)
        self.notes += _widened(before, store.manifest.fields)
        there = read_source(store, record.id)  # a generation that is being built has its own
        record = dataclasses.replace(record, revision="" if there is None else there.revision)
        reconcile(store, self.ledger, record)
        self._before = self.ledger.points()
        # From here on no other ledger is up to date; one that a crash leaves with another revision is compared, too.
        self._record = dataclasses.replace(record, revision=uuid.uuid4().hex)
        write_source(store, self._record)
        self.ledger.set_revision(self._record)
        self._know_accepted(store)

    def _know_accepted(self, store: Store) -> None:
        """What was accepted of this source is what the collection says; where that says nothing, what this ledger does."""
        name, root, ledger = accepted_asset(self.record.id), self.record.root, self.ledger
        there = store.asset(name)
        data = there or self._host.served_asset(name)  # a new generation begins with what is known of the serving one
        kept = None if data is None else AcceptedFailures.from_bytes(data)
        if kept is not None and kept.under(root) != ledger.accepted():
            ledger.set_accepted(kept.under(root))
        if (there is None or kept is None) and (known := ledger.accepted()):
            store.put_asset(name, AcceptedFailures.of(known, root).to_bytes())

    def index(self, store: Store) -> None:
        """Make the generation hold what the source holds."""
        ledger = self.ledger
        ledger.settle_problems()
        ledger.note_vanished()
        strike_out_lenders(store, ledger)
        words = generations.orb_of(store)[1]
        for about in self.kept.over:
            ledger.forget_metadata(about)
        self._writer = Writer(
            store,
            ledger,
            self.record.id,
            Vocabulary.from_bytes(words) if words is not None else None,
            self._host.on_failure,
            self.kept,
        )
        self.counts = self._writer.counts
        self._write_all(store)
        unseen = incomplete(self.source, self.record, self.job)
        if unseen is None:  # what may be there all the same has not moved
            self.moved = len(self._give_up(store, ledger.moved()))
        ledger.settle_arrivals(complete=unseen is None)
        settle_duplicates(store, ledger, self.job.duplicates, self.record.id)
        settle_names(store, ledger, self.source.second_names, self.record.id)
        ledger.forget_without_file()
        self._prune(store)

    def bring_back(self, store: Store) -> None:
        """Index again what was deleted by others since it was indexed."""
        reconcile(store, self.ledger, self.record)
        self._write_all(store)

    def _write_all(self, store: Store) -> None:
        assert self._writer is not None, "index comes first"
        # More than one round only where a merged duplicate lost the picture that stood for it.
        while total := self.ledger.count_todo():
            self._host.through_stages(self, store, self._writer, total)

    def _prune(self, store: Store) -> None:
        gone, bad = self.ledger.removed(), self.ledger.turned_bad()
        if gone and self._host.rebuild is not None and not self.source.incomplete:
            # Of an attempt that was interrupted. What may not be missing, the serving generation tells.
            self._give_up(store, [uri for uri, _ in gone])
            gone = []
        self.removed = sum(has_point for _, has_point in gone)
        if not self.job.prune:
            self.notes += kept_though_bad(bad)
            return
        self.removed += len(bad)
        self.unpruned = unprunable(self.source, self.record, self.job, removed=self.removed, bad=len(bad), before=self._before)
        if self.unpruned is not None:
            self.notes.append(self.unpruned)
            return
        self._give_up(store, [uri for uri, _ in gone])
        self._give_up(store, bad, forget=self.ledger.drop_points)
        self.pruned = self.removed

    def finish(self, store: Store) -> None:
        """Remember how the source was indexed, and when it was seen completely."""
        pictures, scanned = self.ledger.points(), self.record.scanned_at
        whole = not self.source.incomplete
        settings = {**settings_of(self.job), **self.kept.settings()} if whole else self.record.settings
        record = dataclasses.replace(
            self.record,
            settings=settings,
            scanned_at=now() if whole else scanned,
            pictures=pictures if whole else self.record.pictures,
        )
        write_source(store, record)

    def accounted(self, store: Store) -> bool:
        """Whether the store holds as many pictures of this source as the ledger says."""
        patience = LAG if "://" in self.job.db else 0.0
        return accounted(store, self.ledger, self.record.id, patience=patience)

    def _give_up(self, store: Store, uris: list[str], forget: Callable[[Sequence[str]], None] | None = None) -> list[str]:
        kept = 0
        for start in range(0, len(uris), 1000):
            part = uris[start : start + 1000]
            kept += release(store, [point_id(uri) for uri in part], self.record.id).kept
            (forget or self.ledger.forget)(part)
        if kept:
            self.notes.append(
                f"{counted(kept, 'picture')} gone from this source, and kept, because other sources hold the same"
            )
        return uris

    def close(self) -> None:
        """Close the ledger."""
        with closing(self.ledger):
            pass


def _widened(before: Mapping[str, FieldType], after: Mapping[str, FieldType]) -> list[str]:
    """A note for each field that became one of a wider type."""
    return [
        f"metadata field {name!r} was {kind.value} in this collection, and is {after[name].value} from now on"
        for name, kind in before.items()
        if after[name] is not kind
    ]
