"""`run`: one job from its source to a searchable collection, composed of the stages."""

from __future__ import annotations

import itertools
import json
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import numpy as np
from semblant_search.collection import RESERVED_FIELDS, SOURCES_FIELD, FieldType, point_id
from semblant_search.encoder import Encoder
from semblant_search.errors import EncoderError, InvalidInput, SemblantError
from semblant_search.lazy_encoder import LazyEncoder
from semblant_search.orb import CALIBRATION_ASSET, OrbSettings, Vocabulary, calibrate
from semblant_search.querying.background import BACKGROUND_ASSET, measure_background
from semblant_search.store import open_database
from semblant_search.store.names import without_password
from semblant_search.where import F
from semblant_search.writing.exif import EXIF_FIELDS

from . import generations
from .added import Carrying, accounted, deletable, is_added
from .duplicates import settle_duplicates
from .engine_thread import EngineThread
from .job import Duplicates, IndexJob, cores, patient
from .ledger import Entry, Ledger
from .pipeline import Pipeline
from .pool import WorkerPool
from .report import Failure, IndexReport, Progress
from .sources import open_source
from .state import ledger_path, write_state
from .vocabulary import SAMPLE, train_vocabulary
from .worker import WorkerConfig
from .writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from semblant_search.store import Database, Store

    from .ray_engine import RayPipeline
    from .sources import Source

__all__ = ["run"]

_REPORTED_FAILURES = 1000


def run(job: IndexJob, on_progress: Callable[[Progress], None] | None = None) -> IndexReport:
    """Index a source into a collection and account for every item.

    Safe to repeat and to kill: what is indexed stays indexed, and the next run goes on from there. A `KeyboardInterrupt`
    passes through within a second or two, with everything saved; the database is free again as soon as the engine is done.

    Args:
        job: what to do.
        on_progress: called from this thread, a few times a second.

    Raises:
        InvalidInput: the source, its metadata or an argument cannot be used; nothing was written.
        EncoderError: not an encoder, or not this collection's; nothing was written.
        StoreError: the database cannot be used or stopped working; what was written before stays.
    """
    return _Run(job, on_progress or (lambda _: None)).run()


class _Run:
    def __init__(self, job: IndexJob, on_progress: Callable[[Progress], None]) -> None:
        self.job = job
        self.on_progress = on_progress
        self.stages: dict[str, float] = {}
        self.ledger = Ledger()
        self._engine = EngineThread()
        self._wait = self._engine.call
        self.extracted: dict[str, np.ndarray | None] = {}
        """Features of the pictures that the visual words were learned from, by content."""
        self.carrying: Carrying | None = None
        self.notes: list[str] = []

    def run(self) -> IndexReport:
        """The whole job, top to bottom."""
        began = time.perf_counter()
        job, ledger = self.job, self.ledger
        with ExitStack() as stack:
            stack.callback(ledger.close)
            source = open_source(job.source, metadata=job.metadata, declared=job.fields, selection=job.selection)
            db = stack.enter_context(closing(self._open_database()))
            db.check_name(job.collection)
            encoder = self._encoder(db)
            serving = db.collections().get(job.collection)
            if job.rebuild and serving is not None:
                self.carrying = Carrying(db, job, encoder, serving)
                self.carrying.check()
            store = self._wait(generations.open_current, db, job, encoder)
            if store is not None:
                stack.callback(self._close, store)
                source.adopt_types(store.manifest.fields)
            with self._stage("scan"):
                found = ledger.scan(source.items(), source.scope)
            if found == 0:
                raise InvalidInput(f"{job.source!r} holds no pictures{': ' if source.notes else ''}{'; '.join(source.notes)}")
            if store is None:
                store = generations.begin(db, job, encoder, self._vocabulary(encoder))
                stack.callback(self._close, store)
            merge = job.duplicates is Duplicates.MERGE
            settings = json.dumps(job.to_json())
            ledger.attach(ledger_path(job), store.manifest, job=settings, retry=job.retry, merge=merge, verify=job.verify)
            ledger.forget_other_generations(db.generations(job.collection))
            self._reconcile(store)
            before = store.manifest.fields
            self._wait(store.add_fields, {**RESERVED_FIELDS, **(EXIF_FIELDS if job.exif else {}), **source.fields})
            self.notes = _widened(before, store.manifest.fields)
            return self._index(db, store, encoder, source, found, began)

    def _index(self, db: Database, store: Store, encoder: Encoder, source: Source, found: int, began: float) -> IndexReport:
        job, ledger = self.job, self.ledger
        ledger.settle_problems()
        ledger.note_vanished()
        vocabulary = generations.orb_of(store)[1]
        writer = Writer(store, ledger, Vocabulary.from_bytes(vocabulary) if vocabulary is not None else None)
        # More than one round only where a merged duplicate lost the picture that stood for it.
        while total := ledger.count_todo():
            self._pipeline(store, encoder, writer, total)
        moved = ledger.moved()
        self._delete(store, moved)
        if job.duplicates is not Duplicates.KEEP:
            store.add_fields({"_uris": FieldType.KEYWORD, "_duplicate_of": FieldType.KEYWORD})
            settle_duplicates(store, ledger, job.duplicates)
        ledger.forget_without_file()
        removed = ledger.removed()
        pruned = self._delete(store, [uri for uri, _ in removed]) if job.prune else 0
        self._carry(store)
        account = ledger.account()
        recall: float | None = None
        serving = db.collections().get(job.collection)
        changed = account["indexed"] or moved or pruned or ledger.interrupted()
        if changed or serving != store.manifest.generation:
            with self._stage("optimize"):
                self._wait(store.optimize)
            recall = self._wait(generations.recall, store)
            if store.manifest.orb is not None:
                with self._stage("calibrate"):
                    words = Vocabulary.general() if vocabulary is None else Vocabulary.from_bytes(vocabulary)
                    store.put_asset(CALIBRATION_ASSET, self._wait(calibrate, store, words).to_bytes())
        if changed or store.asset(BACKGROUND_ASSET) is None:  # of a collection that an older version indexed
            with self._stage("background"):
                store.put_asset(BACKGROUND_ASSET, self._wait(measure_background, store).to_bytes())
        if serving != store.manifest.generation:
            self._carry(store)  # what was added meanwhile
            self._wait(generations.publish, db, store)
            self._carry(store)
            generations.drop_old(db, job.collection, job.keep_generations)
        report = IndexReport(
            source=job.source,
            db=without_password(job.db),
            collection=job.collection,
            generation=store.manifest.generation,
            encoder=encoder.fingerprint,
            found=found,
            **account,
            encoded=writer.counts.encoded,
            moved=len(moved),
            removed=sum(has_point for _, has_point in removed),
            pruned=sum(has_point for _, has_point in removed) if pruned else 0,
            points=store.count(),
            recall_at_10=recall,
            reasons=ledger.reasons(),
            failures=tuple(itertools.starmap(Failure, itertools.islice(ledger.failures(), _REPORTED_FAILURES))),
            notes=(*source.notes, *self.notes, *_without_details(store, job)),
            seconds=round(time.perf_counter() - began, 3),
            stages={name: round(seconds, 3) for name, seconds in self.stages.items()},
        )
        if not report.adds_up or not accounted(store, ledger):
            raise SemblantError(
                f"the account does not add up: {report.account}; {report.points} points in the store, {ledger.points()} in the "
                "ledger. Nothing is lost, but something else may be writing to this collection; run the job again"
            )
        ledger.finish(json.dumps(report.to_json()))
        write_state(job, report, ledger.failures())
        self.on_progress(Progress("done", report.found, report.found, report.failed, report.seconds))
        return report

    def _pipeline(self, store: Store, encoder: Encoder, writer: Writer, total: int) -> None:
        began = last = time.perf_counter()
        before = writer.counts.done
        with self._stage("index"), closing(self._stages(store, encoder, writer)) as pipeline:

            def tell() -> None:
                nonlocal last
                moment = time.perf_counter()
                if moment - last >= 0.2:
                    last, seconds, counts = moment, moment - began, writer.counts
                    busy = {name: min(1.0, value / seconds) for name, value in pipeline.busy.items()}
                    self.on_progress(Progress("index", total, counts.done - before, counts.failed, seconds, busy))

            pipeline.run(self.ledger.todo(), total, tell)
        for name, seconds in pipeline.busy.items():
            self.stages[f"{name}_busy"] = self.stages.get(f"{name}_busy", 0.0) + seconds

    def _stages(self, store: Store, encoder: Encoder, writer: Writer) -> Pipeline | RayPipeline:
        job, fit = self.job, encoder.card.fit
        batch = job.batch_size(int(np.prod(fit.shape)))
        config = WorkerConfig(fit, job.max_pixels, *generations.orb_of(store), exif=job.exif, extracted=self.extracted)
        if job.engine == "ray":
            from .ray_engine import Plan, RayPipeline

            target = (job.db, job.api_key, job.timeout, job.collection, store.manifest.generation)
            return RayPipeline(Plan(config, job.patience, batch, encoder.to_bytes(), job.workers, job.threads, *target), writer)
        workers = job.workers or cores()
        pool = WorkerPool(config, workers=workers, slots=2 * workers + 2, batch=batch, patience=job.patience)
        return Pipeline(pool, encoder, writer, batch=batch)

    def _open_database(self) -> Database:
        job = self.job
        return open_database(
            job.db,
            api_key=job.api_key,
            timeout=job.timeout,
            retry=patient(job.timeout),
            create=job.encoder is not None,
        )

    def _encoder(self, db: Database) -> Encoder:
        job = self.job
        threads = job.threads or cores()
        if job.encoder is not None:
            return Encoder(job.encoder, threads=threads)
        if job.collection not in db.collections():
            raise EncoderError(
                f"{db.location!r} has no collection {job.collection!r} yet; say which encoder makes it (--encoder FILE)"
            )
        with closing(db.open(job.collection)) as store:
            return Encoder(LazyEncoder(store, None).load().to_bytes(), threads=threads)

    def _vocabulary(self, encoder: Encoder) -> Vocabulary | None:
        job = self.job
        if job.orb is None:
            return None
        paths = self.ledger.sample(SAMPLE, job.seed)
        config = WorkerConfig(encoder.card.fit, job.max_pixels, job.orb)
        with self._stage("vocabulary"):
            learned = train_vocabulary(
                paths,
                config,
                workers=job.workers or cores(),
                patience=job.patience,
                seed=job.seed,
                on_progress=lambda done: self.on_progress(Progress("vocabulary", len(paths), done)),
            )
        self.extracted = learned.features
        return learned.vocabulary

    def _reconcile(self, store: Store) -> None:
        """Make ledger and store agree: after a crash, a lost ledger, or points deleted by hand."""
        if accounted(store, self.ledger):
            return
        known = self.ledger.uris_with_point()
        adopted: list[Entry] = []
        for record in store.scroll(fields=["_uri", "_sha256", "_bytes", SOURCES_FIELD]):
            uri = record.payload.get("_uri")
            if uri in known:
                known.discard(uri)
            elif uri is not None and record.id == point_id(uri) and not is_added(record.payload):
                size, sha256 = int(record.payload.get("_bytes", -1)), record.payload.get("_sha256")
                adopted.append(Entry(uri, size, -1, sha256, None, "indexed"))
        self.ledger.record(adopted, seen=False)
        self.ledger.forget(sorted(known))

    def _delete(self, store: Store, uris: list[str]) -> int:
        for start in range(0, len(uris), 1000):
            part = uris[start : start + 1000]
            store.delete(deletable(store, [point_id(uri) for uri in part]))
            self.ledger.forget(part)
        return len(uris)

    def _carry(self, store: Store) -> None:
        if self.carrying is not None:
            self._wait(self.carrying.bring, store)

    def _close(self, store: Store) -> None:
        self._engine.once_idle(store.close)

    def _stage(self, name: str) -> _Stage:
        self.on_progress(Progress(name))
        return _Stage(self.stages, name)


def _without_details(store: Store, job: IndexJob) -> list[str]:
    """A note where the collection has no details although they were asked for, or its pictures are too small for them."""
    if store.manifest.orb is None:
        ignored = f"collection {job.collection!r} was made without details (--no-orb), and stays so: --rebuild adds them"
        return [] if job.orb is None else [ignored]
    least = OrbSettings.from_json(store.manifest.orb.get("settings")).least_side
    small, points = store.count((F("_width") < least) & (F("_height") < least)), store.count()
    if small == 0:
        return []
    some = f"{small:,} of {points:,} pictures are" if small < points else "all pictures are"
    return [f"{some} smaller than {least} pixels: too small for details, so that only searches by look find them"]


def _widened(before: Mapping[str, FieldType], after: Mapping[str, FieldType]) -> list[str]:
    """A note for each field that became one of a wider type."""
    return [
        f"metadata field {name!r} was {kind.value} in this collection, and is {after[name].value} from now on"
        for name, kind in before.items()
        if after[name] is not kind
    ]


class _Stage:
    """Adds the time inside a `with` block to a stage."""

    def __init__(self, stages: dict[str, float], name: str) -> None:
        self._stages, self._name = stages, name

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._stages[self._name] = self._stages.get(self._name, 0.0) + time.perf_counter() - self._start
