"""What a job would do, without doing it."""

from __future__ import annotations

import dataclasses
import itertools
import json
import sqlite3
import tempfile
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semblant_search.collection import point_id, uri_path
from semblant_search.encoder import Encoder
from semblant_search.errors import InvalidInput, NotADatabase, StoreError
from semblant_search.shown import shown_name, without_users
from semblant_search.sources import damaged_sources, identity_of, read_source, read_sources
from semblant_search.store import open_database
from semblant_search.store.files import sha256_of
from semblant_search.store.names import without_password
from semblant_search.writing.exif import exif_facts_of
from semblant_search.writing.shared_pictures import joined, owned_payload, says_the_same

from . import generations
from .job import Duplicates, patient
from .ledger import Ledger
from .ledger.reading import open_to_read
from .ledger.troubles import is_damaged, unusable
from .moved_roots import as_known, check_not_moved
from .notes import leads_to, of_damaged
from .ownership import reconcile, strike_out_lenders
from .pruning import incomplete, kept_though_bad, unprunable
from .rebuilding import Rebuild
from .sources.kept_tables import KeptTables, kept_tables
from .sources.remembered import open_job_source, record_for, with_last_table
from .state import state_folder
from .writer import with_exif

if TYPE_CHECKING:
    from collections.abc import Iterator

    from semblant_search.sources import SourceRecord
    from semblant_search.store import Database, Store

    from .job import IndexJob
    from .ledger import Todo
    from .sources import Source

__all__ = ["IndexPreview", "preview"]

_TOGETHER = 500


@dataclass(frozen=True)
class IndexPreview:
    """What a job would do: `found` = `new` + `changed` + `metadata` + `moved_here` + `unchanged` + `failed` + `skipped`.

    Attributes:
        source, source_name, db, collection: what would be indexed into what.
        found: items that the source yields.
        new, changed: pictures that would be decoded and encoded; some may turn out not to be usable.
        metadata: pictures that would only get new metadata.
        moved_here: new names of files that are in the collection under another one; their vectors would be taken over.
        unchanged: pictures that are as they were, duplicates without a point included.
        failed, skipped: what would fail (again, or for it is empty), and what is no picture to be tried.
        moved: old names that would be removed, because the content is there under another one.
        removed: pictures that the source holds no longer, and, with `prune`, those known to have turned bad; `pruned` of them
            would be deleted.
        gone: URIs of `removed`.
        notes: what else a user should know, such as why nothing would be pruned.
    """

    source: str
    source_name: str
    db: str
    collection: str
    found: int
    new: int
    changed: int
    metadata: int
    moved_here: int
    unchanged: int
    failed: int
    skipped: int
    moved: int
    removed: int
    pruned: int
    gone: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def account(self) -> str:
        """All of it, as one line."""
        return (
            f"found {self.found:,} = {self.new:,} new + {self.changed:,} changed + {self.metadata:,} with other metadata + "
            f"{self.moved_here:,} moved + {self.unchanged:,} unchanged + {self.failed:,} failed + {self.skipped:,} skipped; "
            f"{self.removed:,} gone, {self.pruned:,} of them to be removed"
        )

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return dataclasses.asdict(self)


def preview(job: IndexJob) -> IndexPreview:
    """Say what `run` would do. Nothing is written, neither to the collection nor to the ledger.

    It reads what the job would read to tell what changed: names, sizes and times, and the content of files that may have moved.

    Raises:
        SemblantError: what `run` raises before it begins to index.
    """
    with ExitStack() as stack:
        source = open_job_source(job)
        ledger = stack.enter_context(closing(Ledger()))
        store, db = _opened(stack, job)
        known = [] if store is None else read_sources(store)
        notes = []
        if (by_its_root := as_known(job, source.scope, known)) is not None:
            notes.append(leads_to(job, by_its_root))
            job, source = by_its_root, open_job_source(by_its_root)
        damaged = {} if store is None else damaged_sources(store)
        record = record_for(job, source.scope, known)
        notes += of_damaged(damaged, record.id)
        if (again := with_last_table(job, record)) is not None:
            job, source = again, open_job_source(again)
        if store is not None:
            source.adopt_types(store.manifest.fields)
        found = ledger.scan(source.items(), exif=job.exif)
        if found == 0:
            raise InvalidInput(f"{shown_name(job.source)} holds no pictures")
        if store is None or db is None:
            return _all_new(job, source, ledger, record, found)
        if job.rebuild:
            kept_tables(job, record, source).check_rebuild(record)
            return _noted(notes, _rebuilt(job, source, ledger, store, db, record, known, damaged, found))
        notes += check_not_moved(job, record, known, store, ledger)
        identity = identity_of(db, job.collection)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="semblant-")))
        path = _copied(state_folder(job.db, job.collection, job.state, identity) / "ledger.sqlite", folder, notes)
        merge = job.duplicates is Duplicates.MERGE
        ledger.attach(path, store.manifest, record, retry=job.retry, merge=merge, verify=job.verify)
        there = read_source(store, record.id)
        reconcile(store, ledger, dataclasses.replace(record, revision="" if there is None else there.revision), write=False)
        before = ledger.points()
        ledger.settle_problems()
        ledger.note_vanished()
        strike_out_lenders(store, ledger)
        return _noted(notes, _compared(job, source, ledger, store, record, found, before))


def _noted(notes: list[str], found: IndexPreview) -> IndexPreview:
    return dataclasses.replace(found, notes=(*notes, *found.notes))


def _opened(stack: ExitStack, job: IndexJob) -> tuple[Store | None, Database | None]:
    """The serving generation and its database; twice None where the job would begin."""
    try:
        db = stack.enter_context(
            closing(open_database(job.db, api_key=job.api_key, timeout=job.timeout, retry=patient(job.timeout)))
        )
    except NotADatabase:
        path = Path(job.db)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise
        return None, None
    if job.collection not in db.collections():
        return None, None
    if job.encoder is not None and not job.rebuild:
        store = generations.open_current(db, job, Encoder(job.encoder, threads=1))
        assert store is not None  # it serves
    else:
        store = db.open(job.collection)
    return stack.enter_context(closing(store)), db


def _copied(path: Path, folder: Path, notes: list[str]) -> Path:
    """A copy of a ledger, so that the real one is left alone. Of one that a job would put aside there is none, but a note."""
    copy = folder / "ledger.sqlite"
    if not path.is_file():
        return copy
    try:
        with closing(open_to_read(path)) as before, closing(sqlite3.connect(copy)) as after:
            before.backup(after)
    except (sqlite3.Error, StoreError) as error:
        cause = error if isinstance(error, sqlite3.Error) else error.__cause__
        if isinstance(cause, sqlite3.Error) and not is_damaged(cause):
            raise unusable(path, cause) from error
        notes.append(str(unusable(path, error)) if isinstance(error, sqlite3.Error) else str(error))
        copy.unlink(missing_ok=True)
    return copy


def _all_new(job: IndexJob, source: Source, ledger: Ledger, record: SourceRecord, found: int) -> IndexPreview:
    counts = Counter(ledger.problems())
    counts["new"] = found - counts.total()
    return _preview(job, source, record, found, counts, moved=0, gone=[], pruned=0, notes=[])


def _rebuilt(
    job: IndexJob,
    source: Source,
    ledger: Ledger,
    store: Store,
    db: Database,
    record: SourceRecord,
    known: list[SourceRecord],
    damaged: dict[str, str],
    found: int,
) -> IndexPreview:
    encoder = Encoder(job.encoder, threads=1) if job.encoder is not None else None
    generation = store.manifest.generation
    store.close()  # a rebuild looks into it by itself
    notes = []
    if encoder is not None:
        rebuild = Rebuild(db, job, encoder, generation, known, damaged)
        others = rebuild.others(record)
        with ExitStack() as stack:
            ledgers = [stack.enter_context(closing(Ledger())) for _ in others]
            for other, scan in zip(others, ledgers, strict=True):
                scan.scan(other.source.items(), exif=other.job.exif)
            rebuild.check_seen([(other.record, scan) for other, scan in zip(others, ledgers, strict=True)])
        notes = [f"source {other.record.name!r} ({other.record.root}) would be rebuilt as well" for other in others]
    return dataclasses.replace(
        (plain := _all_new(job, source, ledger, record, found)), notes=(*plain.notes, "all of it anew (--rebuild)", *notes)
    )


def _compared(
    job: IndexJob, source: Source, ledger: Ledger, store: Store, record: SourceRecord, found: int, before: int
) -> IndexPreview:
    counts = Counter[str]()
    contents: set[str] = set()
    kept = kept_tables(job, record, source)
    for about in kept.over:
        ledger.forget_metadata(about)
    todo, bad = ledger.todo(), set(ledger.turned_bad())
    while part := list(itertools.islice(todo, _TOGETHER)):
        bad -= {one.uri for one in part}  # they are looked at again
        bad |= {one.uri for one in part if one.sha256 is not None and _is_empty(one)}
        for kind, content in _kinds(part, store, record.id, kept, exif=job.exif):
            counts[kind] += 1
            if kind == "moved_here" and content is not None:
                contents.add(content)
    settled = ledger.settled()
    counts["unchanged"] += settled.pop("indexed", 0) + settled.pop("duplicate", 0)
    counts.update(settled)
    moved = set(ledger.moved()) | {uri for content in contents for uri in ledger.vanished(content)}
    if incomplete(source, record, job) is not None:  # what may be there all the same has not moved
        moved = set()
    removed = dict(ledger.removed())
    gone = [uri for uri, has_point in removed.items() if has_point and uri not in moved]
    notes = [*kept.notes, *([] if job.prune else kept_though_bad(sorted(bad)))]
    pruned = 0
    if job.prune:
        gone += sorted(bad)
        reason = unprunable(source, record, job, removed=len(gone), bad=len(bad), before=before)
        notes, pruned = (notes, len(gone)) if reason is None else ([*notes, reason], 0)
    return _preview(
        job, source, record, found, counts, moved=len(moved & removed.keys()), gone=gone, pruned=pruned, notes=notes
    )


def _kinds(part: list[Todo], store: Store, source: str, kept: KeptTables, *, exif: bool) -> Iterator[tuple[str, str | None]]:
    """What would become of each, and for a file under a new name its content."""
    maybe: list[Todo] = []
    for todo in part:
        content = None if todo.same_file else _content(todo)
        if _is_empty(todo):
            yield "failed", None
        elif todo.sha256 is None:
            yield ("moved_here", content) if content is not None else ("new", None)
        elif not todo.same_file and content is None:
            yield "changed", None
        elif todo.same_metadata:
            yield "unchanged", None
        else:
            maybe.append(todo)
    there = {record.id: record.payload for record in store.retrieve([point_id(todo.uri) for todo in maybe])}
    for todo in maybe:
        before = joined(there.get(point_id(todo.uri), {}), source)
        facts = {name: value for name, value in before.items() if name.startswith("_")}
        if exif and (path := uri_path(todo.uri)) is not None and not todo.same_file:
            facts = with_exif(facts, exif_facts_of(path.read_bytes()))
        keep = kept.keeps(todo.uri, unknown=todo.unknown_metadata)
        after = owned_payload(before, {**json.loads(todo.payload), **facts}, source, keep=keep)
        yield ("unchanged" if says_the_same(after, before) else "metadata"), None


def _is_empty(todo: Todo) -> bool:
    """Whether it is no picture, whatever it was; of what a URL's server says reading decides."""
    return todo.size == 0 and "://" not in todo.where


def _content(todo: Todo) -> str | None:
    """The SHA-256 of a local file, where it is one of those that the collection has."""
    path = uri_path(todo.uri) if todo.known and todo.place is None else None
    if path is None:
        return None
    try:
        found = sha256_of(path)
    except OSError:
        return None
    return found if found in todo.known else None


def _preview(
    job: IndexJob,
    source: Source,
    record: SourceRecord,
    found: int,
    counts: Counter[str],
    *,
    moved: int,
    gone: list[str],
    pruned: int,
    notes: list[str],
) -> IndexPreview:
    names = ("new", "changed", "metadata", "moved_here", "unchanged", "failed", "skipped")
    return IndexPreview(
        source=without_users(job.source),
        source_name=record.name,
        db=without_password(job.db),
        collection=job.collection,
        found=found,
        **{name: counts[name] for name in names},
        moved=moved,
        removed=len(gone),
        pruned=pruned,
        gone=tuple(gone),
        notes=(*source.notes, *notes),
    )
