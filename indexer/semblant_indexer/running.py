"""`run`: one job from its source to a searchable collection, composed of the stages."""

from __future__ import annotations

import itertools
import json
import os
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
from semblant_search.collection import RESERVED_FIELDS, Manifest, point_id, uri_path
from semblant_search.encoder import Encoder
from semblant_search.errors import CollectionNotFound, EncoderMismatch, InvalidInput, SemblantError, StoreError
from semblant_search.feature_reader import VOCABULARY_ASSET
from semblant_search.kept_encoder import ENCODER_ASSET
from semblant_search.orb import FEATURE_BYTES, OrbSettings, Vocabulary, unpack
from semblant_search.store import open_database
from semblant_search.store.base import VectorQuery

from .job import IndexJob, cores
from .ledger import Entry, Ledger, now
from .pipeline import Pipeline
from .pool import WorkerPool
from .report import Failure, IndexReport, Progress
from .sources import open_source
from .worker import Decoded, Task, WorkerConfig
from .writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_search.store.base import Database, Store

    from .sources import Source

__all__ = ["run", "state_folder"]


_SAMPLE = 2000
"""Pictures whose features train the visual vocabulary."""
_LEAST_DESCRIPTORS = 50_000
"""With fewer, the vocabulary that ships with the package is the better one."""
_REPORTED_FAILURES = 1000


def run(job: IndexJob, on_progress: Callable[[Progress], None] | None = None) -> IndexReport:
    """Index a source into a collection and account for every item.

    Safe to repeat and to kill: what is indexed stays indexed, and the next run goes on from there.

    Args:
        job: what to do.
        on_progress: called from this thread, a few times a second.

    Raises:
        InvalidInput: the source, its metadata or an argument cannot be used; nothing was written.
        EncoderError: not an encoder, or not this collection's; nothing was written.
        StoreError: the database cannot be used or stopped working; what was written before stays.
    """
    return _Run(job, on_progress or (lambda _: None)).run()


def state_folder(job: IndexJob) -> Path:
    """Where the ledger lies: in the collection's folder of a database directory, or for a server in the user's state folder."""
    if job.state is not None:
        return job.state
    if not job.on_server:
        return Path(job.db) / job.collection
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    parts = urlsplit(job.db)
    return home / "semblant" / f"{parts.hostname or 'server'}-{parts.port or 6333}" / job.collection


class _Run:
    def __init__(self, job: IndexJob, on_progress: Callable[[Progress], None]) -> None:
        self.job = job
        self.on_progress = on_progress
        self.stages: dict[str, float] = {}
        self.ledger = Ledger()

    def run(self) -> IndexReport:
        """The whole job, top to bottom."""
        began = time.perf_counter()
        job = self.job
        with ExitStack() as stack:
            stack.callback(self.ledger.close)
            source = open_source(job.source, metadata=job.metadata, declared=job.fields)
            encoder = Encoder(job.encoder, threads=job.threads or cores())
            db = stack.enter_context(closing(open_database(job.db, api_key=job.api_key, create=True)))
            store = self._open_generation(db, encoder)
            with self._stage("scan"):
                found = self.ledger.scan(source.items(), source.scope)
            if found == 0:
                raise InvalidInput(f"{job.source!r} holds no pictures{': ' if source.notes else ''}{'; '.join(source.notes)}")
            if store is None:
                store = self._new_generation(db, encoder)
            stack.callback(store.close)
            manifest = store.manifest
            self.ledger.attach(
                state_folder(job) / "ledger.sqlite", manifest.generation, manifest.created_at, manifest.encoder_fingerprint
            )
            self.ledger.forget_other_generations(db.generations(job.collection))
            self._reconcile(store)
            store.add_fields({**RESERVED_FIELDS, **source.fields})
            return self._index(db, store, encoder, source, found, began)

    def _index(self, db: Database, store: Store, encoder: Encoder, source: Source, found: int, began: float) -> IndexReport:
        job, ledger = self.job, self.ledger
        problems = ledger.settle_problems()
        unchanged, known_failures = ledger.count_unchanged(), ledger.known_failures(retry=job.retry)
        total = ledger.count_todo(retry=job.retry)
        writer = Writer(store, ledger)
        if total:
            self._pipeline(store, encoder, writer, total)
        removed = ledger.removed()
        pruned = self._prune(store, removed) if job.prune else 0
        changed = bool(writer.counts.encoded or writer.counts.metadata_only or pruned)
        serving = db.collections().get(job.collection)
        if changed or serving != store.manifest.generation:
            with self._stage("optimize"):
                store.optimize()
            self._publish(db, store, serving)
        counts = writer.counts
        failures = ledger.failures()
        reasons: dict[str, int] = {}
        for failure in failures:
            reasons[failure.reason or ""] = reasons.get(failure.reason or "", 0) + 1
        report = IndexReport(
            source=job.source,
            db=job.db,
            collection=job.collection,
            generation=store.manifest.generation,
            encoder=encoder.fingerprint,
            found=found,
            indexed=counts.encoded + counts.metadata_only,
            unchanged=unchanged + counts.unchanged,
            duplicate=0,
            failed=problems.get("failed", 0) + known_failures + counts.failed,
            skipped=problems.get("skipped", 0) + ledger.repeated,
            encoded=counts.encoded,
            removed=sum(has_point for _, has_point in removed),
            pruned=pruned,
            points=store.count(),
            reasons=reasons,
            failures=tuple(Failure(f.uri, f.reason or "", f.message or "") for f in failures[:_REPORTED_FAILURES]),
            notes=tuple(source.notes),
            seconds=round(time.perf_counter() - began, 3),
            stages={name: round(seconds, 3) for name, seconds in self.stages.items()},
        )
        if not report.adds_up or report.points != ledger.points():
            raise SemblantError(
                f"the account does not add up: {report.account}; {report.points} points in the store, {ledger.points()} in the "
                "ledger. Nothing is lost, but something else may be writing to this collection; run the job again"
            )
        ledger.add_run(json.dumps(report.to_json()))
        self.on_progress(Progress("done", total, total, counts.failed, report.seconds))
        return report

    def _pipeline(self, store: Store, encoder: Encoder, writer: Writer, total: int) -> None:
        job, fit = self.job, encoder.card.fit
        workers = job.workers or cores()
        batch = job.batch_size(int(np.prod(fit.shape)))
        orb, vocabulary = _orb_of(store)
        config = WorkerConfig(fit, job.max_pixels, orb, vocabulary)
        began = last = time.perf_counter()
        with (
            self._stage("index"),
            closing(WorkerPool(config, workers=workers, slots=2 * workers + 2, batch=batch, patience=job.patience)) as pool,
        ):
            pipeline = Pipeline(pool, encoder, writer, batch=batch)

            def tell() -> None:
                nonlocal last
                moment = time.perf_counter()
                if moment - last >= 0.2:
                    last, seconds = moment, moment - began
                    busy = {name: min(1.0, value / seconds) for name, value in pipeline.busy.items()}
                    self.on_progress(Progress("index", total, writer.counts.done, writer.counts.failed, seconds, busy))

            pipeline.run(self.ledger.todo(retry=job.retry), total, tell)
        self.stages.update({f"{name}_busy": seconds for name, seconds in pipeline.busy.items()})

    def _open_generation(self, db: Database, encoder: Encoder) -> Store | None:
        """The generation that this run writes to, or None where a new one has to be made."""
        job = self.job
        serving = db.collections().get(job.collection)
        if serving is None or job.rebuild:
            return self._unfinished(db, encoder, serving)
        store = db.open(job.collection)
        manifest = store.manifest
        if manifest.encoder_fingerprint != encoder.fingerprint:
            store.close()
            raise EncoderMismatch(
                f"collection {job.collection!r} was built with encoder {manifest.encoder.name!r} "
                f"({manifest.encoder_fingerprint[:12]}…), not with {str(job.encoder)!r} ({encoder.fingerprint[:12]}…): their "
                "vectors do not compare. Use --rebuild to build a new generation beside the old one, or --collection NAME "
                "for a second collection"
            )
        return store

    def _unfinished(self, db: Database, encoder: Encoder, serving: str | None) -> Store | None:
        """A build of the same encoder that was interrupted; others that never served are dropped."""
        job = self.job
        try:
            names = db.generations(job.collection)
        except CollectionNotFound:
            return None
        newer = [name for name in names if serving is None or name > serving]
        for name in reversed(newer):
            store = db.open(job.collection, name)
            manifest = store.manifest
            if manifest.encoder_fingerprint == encoder.fingerprint and (manifest.orb is None) == (job.orb is None):
                return store
            store.close()
            db.drop(job.collection, name)
        return None

    def _new_generation(self, db: Database, encoder: Encoder) -> Store:
        job = self.job
        vocabulary = self._train_vocabulary(encoder) if job.orb is not None else None
        try:
            names = db.generations(job.collection)
        except CollectionNotFound:
            names = []
        number = max((int(name[1:]) for name in names), default=0) + 1
        orb = None
        if job.orb is not None and vocabulary is not None:
            orb = {
                "settings": job.orb.to_json(),
                "vocabulary": vocabulary.fingerprint,
                "feature_bytes": FEATURE_BYTES,
            }
        store = db.create(
            Manifest(
                collection=job.collection,
                generation=f"g{number:04d}",
                encoder_fingerprint=encoder.fingerprint,
                encoder=encoder.card,
                fields=RESERVED_FIELDS,
                orb=orb,
                created_at=now(),
            )
        )
        store.put_asset(ENCODER_ASSET, encoder.to_bytes())
        if vocabulary is not None:
            store.put_asset(VOCABULARY_ASSET, vocabulary.to_bytes())
        return store

    def _train_vocabulary(self, encoder: Encoder) -> Vocabulary:
        """Visual words of the user's own pictures; the general ones where these have too few features."""
        job = self.job
        paths = [str(path) for uri in self.ledger.sample(_SAMPLE, job.seed) if (path := uri_path(uri)) is not None]
        workers, batch = job.workers or cores(), 16
        config = WorkerConfig(encoder.card.fit, job.max_pixels, job.orb)
        descriptors: list[np.ndarray] = []
        with (
            self._stage("vocabulary"),
            closing(WorkerPool(config, workers=workers, slots=workers, batch=batch, patience=job.patience)) as pool,
        ):
            batches = (paths[start : start + batch] for start in range(0, len(paths), batch))
            free = list(range(workers))
            exhausted = False
            answers: dict[int, np.ndarray] = {}
            numbers = itertools.count()
            order: dict[int, int] = {}
            while not exhausted or pool.busy:
                while pool.idle and not exhausted:
                    files = next(batches, None)
                    if files is None:
                        exhausted = True
                    else:
                        slot = free.pop()
                        order[slot] = next(numbers)
                        pool.submit(Task(slot, [(path, None) for path in files]))
                for done in pool.collect(0.1):
                    free.append(done.task.slot)
                    rows = [
                        unpack(result.features).descriptors
                        for result in done.results
                        if isinstance(result, Decoded) and result.features is not None
                    ]
                    if rows:
                        answers[order[done.task.slot]] = np.concatenate(rows)
                self.on_progress(Progress("vocabulary", len(paths), min(len(paths), len(answers) * batch)))
            descriptors = [answers[number] for number in sorted(answers)]
            return _vocabulary(descriptors, job.seed)

    def _reconcile(self, store: Store) -> None:
        """Make ledger and store agree: after a crash, a lost ledger, or points deleted by hand."""
        if store.count() == self.ledger.points():
            return
        known = self.ledger.uris_with_point()
        adopted: list[Entry] = []
        for record in store.scroll(fields=["_uri", "_sha256", "_bytes"]):
            uri = record.payload.get("_uri")
            if uri in known:
                known.discard(uri)
            elif uri is not None and record.id == point_id(uri):
                adopted.append(
                    Entry(uri, int(record.payload.get("_bytes", -1)), -1, record.payload.get("_sha256"), None, "indexed")
                )
        self.ledger.record(adopted)
        self.ledger.forget(sorted(known))

    def _prune(self, store: Store, removed: list[tuple[str, bool]]) -> int:
        uris = [uri for uri, _ in removed]
        for start in range(0, len(uris), 1000):
            part = uris[start : start + 1000]
            store.delete([point_id(uri) for uri in part])
            self.ledger.forget(part)
        return sum(has_point for _, has_point in removed)

    def _publish(self, db: Database, store: Store, serving: str | None) -> None:
        """Let searches see this generation, once samples of it find themselves."""
        generation = store.manifest.generation
        if serving == generation:
            return
        records = list(itertools.islice(store.scroll(fields=["_uri"], with_image=True, batch=16), 16))
        for record in records:
            if record.image is None:
                continue
            hits = store.query(VectorQuery(record.image, limit=1))
            if not hits or hits[0].score < 0.999:
                raise StoreError(
                    f"generation {generation} of {self.job.collection!r} is not sound: {record.payload.get('_uri')!r} does not "
                    "find itself. The old generation keeps serving; run the job again with --rebuild"
                )
        db.publish(self.job.collection, generation)

    def _stage(self, name: str) -> _Stage:
        self.on_progress(Progress(name))
        return _Stage(self.stages, name)


class _Stage:
    """Adds the time inside a `with` block to a stage."""

    def __init__(self, stages: dict[str, float], name: str) -> None:
        self._stages, self._name = stages, name

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._stages[self._name] = self._stages.get(self._name, 0.0) + time.perf_counter() - self._start


def _orb_of(store: Store) -> tuple[OrbSettings | None, bytes | None]:
    orb = store.manifest.orb
    if orb is None:
        return None, None
    vocabulary = store.asset(VOCABULARY_ASSET)
    if vocabulary is None:
        raise StoreError(f"the collection's {VOCABULARY_ASSET} is missing; build it anew with --rebuild")
    return OrbSettings.from_json(orb["settings"]), vocabulary


def _vocabulary(descriptors: list[np.ndarray], seed: int) -> Vocabulary:
    if sum(map(len, descriptors)) < _LEAST_DESCRIPTORS:
        return Vocabulary.general()
    return Vocabulary.train(np.concatenate(descriptors), seed=seed)
