"""`run`: one job from its source to a searchable collection, composed of the stages."""

from __future__ import annotations

import itertools
import json
import time
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from semblant_search.encoder import Encoder
from semblant_search.errors import EncoderError, SemblantError
from semblant_search.lazy_encoder import LazyEncoder
from semblant_search.orb import CALIBRATION_ASSET, Vocabulary, calibrate
from semblant_search.querying.background import BACKGROUND_ASSET, measure_background
from semblant_search.shown import without_users
from semblant_search.sources import generation_damaged, generation_sources, pictures_of, read_sources
from semblant_search.store import open_database
from semblant_search.store.names import without_password

from . import generations
from .analysis.keeping import keep_up
from .cancelling import check_cancelled
from .engine_thread import EngineThread
from .job import IndexJob, cores, patient
from .moved_roots import as_known, check_not_moved, note_moved
from .notes import leads_to, of_collection, of_damaged, rebuilt_as_well, skipped
from .open_databases import check_same
from .pipeline import Pipeline
from .pool import WorkerPool
from .rebuilding import Rebuild
from .report import Failure, IndexReport, Progress
from .source_run import SourceRun
from .sources.base import only_within
from .sources.remembered import open_job_source, record_for, with_last_table
from .stage_seconds import StageSeconds
from .state import ledger_path, write_state
from .vocabulary import SAMPLE, train_vocabulary
from .worker import WorkerConfig

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from semblant_search.store import Database, Store

    from .ledger import Ledger
    from .ray_engine import RayPipeline
    from .sources import Item, Source
    from .writer import Writer

__all__ = ["run"]

_REPORTED_FAILURES = 1000


def run(
    job: IndexJob,
    on_progress: Callable[[Progress], None] | None = None,
    *,
    database: Database | None = None,
    cancel: threading.Event | None = None,
    on_failure: Callable[[Failure], None] | None = None,
    within: Sequence[Path] = (),
) -> IndexReport:
    """Index a source into a collection and account for every item.

    Safe to repeat and to kill: what is indexed stays indexed, and the next run goes on from there. A `KeyboardInterrupt`
    passes through within a second or two, with everything saved; the database is free again as soon as the engine is done.

    With `database` it runs inside a process that searches the same directory, from any thread: searches and changes through
    clients of that object go on meanwhile, and follow to a new generation.

    >>> with open_database("pictures.db") as db, SearchClient(db) as client:  # doctest: +SKIP
    ...     threading.Thread(target=run, args=(job,), kwargs={"database": db}).start()
    ...     client.search("query.jpg")

    Args:
        job: what to do.
        on_progress: called from this thread, a few times a second.
        database: the job's, open already; it is used as it is and stays open. None opens it.
        cancel: once set, from any thread, the job ends within a second or two, with everything saved.
        within: folders of this machine that every file must lie in, once links are followed; others are skipped. None is all.
        on_failure: called with each picture that turns out to be unusable, from another thread, while the job goes on.

    Raises:
        JobCancelled: `cancel` was set before the job was done.
        InvalidInput: the source, its metadata or an argument cannot be used; nothing was written.
        EncoderError: not an encoder, or not this collection's; nothing was written.
        StoreLocked: another job is at work on the collection, or took it over because this one stood still for minutes.
        StoreError: the database cannot be used or stopped working; what was written before stays.
    """
    if database is not None:
        check_same(job, database)
    return _Run(job, on_progress or (lambda _: None), database, cancel, on_failure, within).run()


class _Run:
    def __init__(
        self,
        job: IndexJob,
        on_progress: Callable[[Progress], None],
        database: Database | None,
        cancel: threading.Event | None,
        on_failure: Callable[[Failure], None] | None,
        within: Sequence[Path],
    ) -> None:
        self.job = job
        self.on_failure = on_failure
        self._tell = on_progress
        self._database = database
        self._cancel = cancel
        self._within = [root.resolve() for root in within]
        self._at = Progress("scan")
        self.stages: dict[str, float] = {}
        self._engine = EngineThread()
        self.wait = self._engine.call
        self.extracted: dict[str, np.ndarray | None] = {}
        """Features of the pictures that the visual words were learned from, by content."""
        self.rebuild: Rebuild | None = None
        self.encoder: Encoder
        self.served_asset: Callable[[str], bytes | None] = lambda _: None
        self.check: Callable[[], None]
        """Raises `StoreLocked` where another job is at work by now."""

    def run(self) -> IndexReport:
        """The whole job, top to bottom."""
        began = time.perf_counter()
        job = self.job
        with ExitStack() as stack:
            main = self._part(stack, job)
            db = self._database or stack.enter_context(closing(self._open_database()))
            db.check_name(job.collection)
            claim = stack.enter_context(db.claim(job.collection, job.wait))
            self.check = claim.check
            encoder = self.encoder = self._encoder(db)
            serving = db.collections().get(job.collection)
            if serving is not None:
                self.served_asset = partial(db.asset, job.collection, serving)
            known = [] if serving is None else generation_sources(db, job.collection, serving)
            damaged = {} if serving is None else generation_damaged(db, job.collection, serving)
            if job.rebuild and serving is not None:
                self.rebuild = Rebuild(db, job, encoder, serving, known, damaged)
            store = self.wait(generations.open_current, db, job, encoder)
            if store is not None:
                stack.callback(self._engine.once_idle, store.close)
                known = known or read_sources(store)  # a first job that was interrupted has noted its source there
            if (by_its_root := as_known(job, main.source.scope, known)) is not None:
                main = self._part(stack, by_its_root)
                main.notes.append(leads_to(job, by_its_root))
                job = self.job = by_its_root
            record = record_for(job, main.source.scope, known)
            main.notes += of_damaged(damaged, record.id)
            if (again := with_last_table(job, record)) is not None:
                told, main = main.notes, self._part(stack, again)
                main.notes += told
                main.notes.append(
                    f"metadata is that of {str(again.metadata)!r}, as the last time (--no-metadata takes it away)"
                )
            others = [] if self.rebuild is None else self.rebuild.others(record)
            rest = [(self._part(stack, other.job, other.source), other.record) for other in others]
            for part, its_record in ((main, record), *rest):
                part.compare_with_last(its_record)
            fields = {} if store is None else store.manifest.fields
            for part in (main, *(part for part, _ in rest)):  # all of them before anything is built
                part.scan(fields)
                fields = {**fields, **part.source.fields}
            main.check_any()
            if store is not None and self.rebuild is None:
                main.notes += check_not_moved(job, record, known, store, main.ledger)
            if self.rebuild is not None:
                self.rebuild.check_seen([(its_record, part.ledger) for part, its_record in rest])
            if store is None:
                store = generations.begin(db, job, encoder, self._vocabulary(main.ledger))
                stack.callback(self._engine.once_idle, store.close)
            asked, there = json.dumps(job.to_json()), db.generations(job.collection)
            path = ledger_path(job, generations.identify(db, store))
            main.attach(store, record, path, job=asked, others=there)
            main.index(store)
            if self.rebuild is None:
                main.notes += note_moved(job, record, known, store, main.ledger)
            for part, its_record in rest:
                part.attach(store, its_record, path, job=asked, others=there)
                part.index(store)
            return self._finish(db, store, [main, *(part for part, _ in rest)], path.parent, began)

    def on_progress(self, progress: Progress) -> None:
        """Tell where the run is. Raises `JobCancelled`."""
        self._tell(progress)
        if progress.phase != "done":
            self._at = progress
            self.check_cancelled()  # after telling: who is told may be who cancels

    def heeding(self, items: Iterator[Item]) -> Iterator[Item]:
        """The same, less what may not be read, until the job is told to end. Raises `JobCancelled` then."""
        for item in items:
            self.check_cancelled()
            yield only_within(item, self._within) if self._within else item

    def check_cancelled(self) -> None:
        """Raise `JobCancelled` where the job was told to end."""
        check_cancelled(self._cancel, self._at)

    def _finish(self, db: Database, store: Store, parts: list[SourceRun], state: Path, began: float) -> IndexReport:
        job, main, encoder = self.job, parts[0], self.encoder
        parts = self._take_over(store, parts)
        recall, built = None, True
        serving = db.collections().get(job.collection)
        vocabulary = generations.orb_of(store)[1]
        changed = any(part.changed for part in parts) or main.ledger.interrupted()
        kept: list[str] = []
        if self.rebuild is not None and serving != store.manifest.generation:
            kept = self.wait(self.rebuild.carry_analyses, store)
        if changed:
            self.wait(keep_up, store)
        if changed or serving != store.manifest.generation:
            built = self._optimize(store)
            recall = self.wait(generations.recall, store)
            if store.manifest.orb is not None:
                with self.stage("calibrate"):
                    words = Vocabulary.general() if vocabulary is None else Vocabulary.from_bytes(vocabulary)
                    store.put_asset(CALIBRATION_ASSET, self.wait(calibrate, store, words).to_bytes())
        if changed or store.asset(BACKGROUND_ASSET) is None:  # of a collection that an older version indexed
            with self.stage("background"):
                store.put_asset(BACKGROUND_ASSET, self.wait(measure_background, store).to_bytes())
        notes = [*kept, *(note for part in parts for note in (*part.source.notes, *part.notes))]
        if serving != store.manifest.generation:
            parts = self._take_over(store, parts)  # what was changed meanwhile
            if self.rebuild is not None:
                notes += self.wait(self.rebuild.check_nothing_lost, store, parts)
            self.wait(generations.publish, db, store)
            self._carry(store)
            generations.drop_old(db, job.collection, job.keep_generations)
        whole = all(part.accounted(store) for part in parts)
        if not whole:  # clients may delete pictures at any time, which are in their sources all the same
            for part in parts:
                part.bring_back(store)
            whole = all(part.accounted(store) for part in parts)
        account = main.ledger.account()
        report = IndexReport(
            source=without_users(job.source),
            source_name=main.record.name,
            db=without_password(job.db),
            collection=job.collection,
            generation=store.manifest.generation,
            encoder=encoder.fingerprint,
            found=main.found,
            **account,
            encoded=main.counts.encoded,
            moved=main.moved,
            removed=main.removed,
            pruned=main.pruned,
            points=store.count(),
            recall_at_10=recall,
            reasons=main.ledger.reasons(),
            failures=tuple(itertools.starmap(Failure, itertools.islice(main.ledger.failures(), _REPORTED_FAILURES))),
            notes=(
                *notes,
                *skipped(main.ledger.skipped()),
                *map(rebuilt_as_well, parts[1:]),
                *of_collection(store, job, built=built),
            ),
            unpruned=main.unpruned,
            seconds=round(time.perf_counter() - began, 3),
            stages={name: round(seconds, 3) for name, seconds in self.stages.items()},
        )
        if not report.adds_up or not whole:
            stored = store.count(pictures_of(main.record.id))
            raise SemblantError(
                f"the account does not add up: {report.account}; {stored} points of this source in the store, "
                f"{main.ledger.points()} in the ledger. Nothing is lost, but something else may be writing to this collection; "
                "run the job again"
            )
        for part in parts:
            part.finish(store)
            part.ledger.finish(json.dumps(report.to_json()))
        write_state(state, report, main.ledger.failures())
        self.on_progress(Progress("done", report.found, report.found, report.failed, report.seconds))
        return report

    def _part(self, stack: ExitStack, job: IndexJob, source: Source | None = None) -> SourceRun:
        part = SourceRun(job, source or open_job_source(job), self)
        stack.callback(part.close)
        return part

    def through_stages(self, part: SourceRun, store: Store, writer: Writer, total: int) -> None:
        """Take all pictures of a source that are to be looked at through the pipeline."""
        began = last = time.perf_counter()
        before = writer.counts.done
        with self.stage("index"), closing(self._stages(part, store, writer)) as pipeline:

            def tell() -> None:
                nonlocal last
                moment = time.perf_counter()
                seconds, counts = moment - began, writer.counts
                busy = {name: min(1.0, value / seconds) for name, value in pipeline.busy.items()}
                self._at = Progress("index", total, counts.done - before, counts.failed, seconds, busy)
                self.check_cancelled()  # told or not, where it was is known
                if moment - last >= 0.2:
                    self.check()  # those who write may be on other machines
                    last = moment
                    self.on_progress(self._at)

            pipeline.run(part.ledger.todo(), total, tell)
        for name, seconds in pipeline.busy.items():
            self.stages[f"{name}_busy"] = self.stages.get(f"{name}_busy", 0.0) + seconds

    def _stages(self, part: SourceRun, store: Store, writer: Writer) -> Pipeline | RayPipeline:
        job, encoder, fit = part.job, self.encoder, self.encoder.card.fit
        batch = job.batch_size(int(np.prod(fit.shape)))
        config = WorkerConfig(fit, job.max_pixels, *generations.orb_of(store), exif=job.exif, extracted=self.extracted)
        if job.engine == "ray":
            from .ray_engine import Plan, RayPipeline

            target = (job.db, job.api_key, job.timeout, job.collection, store.manifest.generation, part.record.id)
            plan = Plan(config, job.patience, batch, encoder.to_bytes(), job.workers, job.threads, *target, part.kept)
            return RayPipeline(plan, writer)
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

    def _vocabulary(self, ledger: Ledger) -> Vocabulary | None:
        job = self.job
        if job.orb is None:
            return None
        paths = ledger.sample(SAMPLE, job.seed)
        config = WorkerConfig(self.encoder.card.fit, job.max_pixels, job.orb)
        with self.stage("vocabulary"):
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

    def _carry(self, store: Store) -> None:
        if self.rebuild is not None:
            self.wait(self.rebuild.carrying.bring, store)

    def _take_over(self, store: Store, parts: list[SourceRun]) -> list[SourceRun]:
        """What clients added to the serving generation, or removed from it; returns the sources that it still has."""
        if self.rebuild is None:
            return parts
        self._carry(store)
        removed = self.wait(self.rebuild.forget_removed, store, parts[0].record)
        return [part for part in parts if part.record.id not in removed]

    def _optimize(self, store: Store) -> bool:
        """Build the search graph, and tell how far it is; whether it is done."""
        told: list[tuple[int, int]] = []
        began = time.perf_counter()

        def heard(done: int, total: int) -> None:
            self.check_cancelled()  # which ends it at once, where another process builds
            told.append((done, total))

        def tell() -> None:
            self.check_cancelled()
            if told:
                done, total = told[-1]
                told.clear()
                self.on_progress(Progress("optimize", total, min(done, total), seconds=time.perf_counter() - began))

        with self.stage("optimize"):
            # In a process that others search the graph is built by another one: the engine would stop all its threads.
            build = partial(store.optimize, beside=self._database is not None)
            return self._engine.call(build, heard, meanwhile=tell)

    def stage(self, name: str) -> StageSeconds:
        self.on_progress(Progress(name))
        return StageSeconds(self.stages, name)
