"""New visual words for a collection, out of the features that it keeps: no picture is read, no encoder runs."""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from semblant_search.accepted_failures import is_accepted_asset
from semblant_search.errors import InvalidInput, NotIndexed, StoreError
from semblant_search.feature_reader import VOCABULARY_ASSET
from semblant_search.lazy_encoder import ENCODER_ASSET
from semblant_search.orb import CALIBRATION_ASSET, Vocabulary, calibrate, unpack
from semblant_search.querying.background import BACKGROUND_ASSET
from semblant_search.sources import IDENTITY_ASSET, identity_of, is_source_asset
from semblant_search.store import Point, open_database
from semblant_search.writing.points import now, words_of

from . import generations
from .job import cores, patient
from .ledger.copying import copy_generation
from .report import Progress
from .source_run import LAG
from .state import state_folder
from .vocabulary import LEAST_DESCRIPTORS, SAMPLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

from semblant_search.store import Database, Record, Store

__all__ = ["RetrainJob", "RetrainReport", "copied_point", "retrain"]

_BATCH = 256


@dataclass(frozen=True)
class RetrainJob:
    """What to retrain, and how.

    Attributes:
        db: a directory or the URL of a Qdrant server.
        collection: its name.
        sample: pictures whose features the words are learned from, at most.
        seed: of the clustering.
        keep_generations: older generations that are kept for a rollback.
        state: folder of the ledger; None takes the one that the index job takes.
        api_key, timeout: for a server.
    """

    db: str = field(repr=False)  # it may hold a password
    collection: str = "images"
    sample: int = SAMPLE
    seed: int = 0
    keep_generations: int = 1
    state: Path | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout: float = 30.0

    def __post_init__(self) -> None:
        if self.sample < 1:
            raise InvalidInput(f"sample {self.sample}: expected a number of pictures, at least 1")
        if self.keep_generations < 0:
            raise InvalidInput(f"keep_generations {self.keep_generations}: expected 0 or more")


@dataclass(frozen=True)
class RetrainReport:
    """What came of it.

    Attributes:
        collection, generation: what serves now; `before` served until then, and is the same where nothing was to be done.
        points: pictures of the collection.
        pictures, descriptors: what the words were learned from; 0 descriptors stand for the general vocabulary, which
            is the better one below 50,000.
        words: how many there are.
        fingerprint: of the vocabulary.
        seconds: how long it took.
    """

    collection: str
    before: str
    generation: str
    points: int
    pictures: int
    descriptors: int
    words: int
    fingerprint: str
    seconds: float

    @property
    def changed(self) -> bool:
        """Whether there is a new generation."""
        return self.generation != self.before

    def to_json(self) -> dict[str, Any]:
        """JSON values, as `--json` prints them."""
        return {**asdict(self), "changed": self.changed}


def retrain(
    job: RetrainJob, on_progress: Callable[[Progress], None] | None = None, *, database: Database | None = None
) -> RetrainReport:
    """Learn visual words from the collection's stored features, and switch to a new generation that is made of them.

    The serving generation answers until the new one is complete and was checked; a failure leaves it serving. Pictures keep
    their vectors, features and metadata, and the ledger their history: the next index job finds nothing to do. A sample that
    gives the words that the collection has already makes no new generation, and restores assets that were lost or damaged.

    Args:
        job: what to do.
        on_progress: called from this thread, with the phases `vocabulary`, `words`, `optimize`, `calibrate` and `done`; what it
            raises ends the job, and the old generation goes on serving.
        database: the job's, open already, as in `run`; None opens it.

    Raises:
        CollectionNotFound: there is no such collection.
        StoreLocked: another job is at work on the collection.
        NotIndexed: it was indexed without ORB.
        StoreError: it was written to meanwhile, or the database fails.
    """
    tell = on_progress or (lambda _: None)
    began = time.perf_counter()
    options: dict[str, Any] = {"api_key": job.api_key, "timeout": job.timeout, "retry": patient(job.timeout)}
    with ExitStack() as stack:
        db = database or stack.enter_context(closing(open_database(job.db, **options)))
        stack.enter_context(db.claim(job.collection))
        with closing(db.open(job.collection)) as old:
            report = _retrain(db, old, job, tell, began, beside=database is not None)
        if report.changed:
            generations.drop_old(db, job.collection, job.keep_generations)
    tell(Progress("done", report.points, report.points, seconds=report.seconds))
    return report


def _retrain(
    db: Database, old: Store, job: RetrainJob, tell: Callable[[Progress], None], began: float, *, beside: bool
) -> RetrainReport:
    manifest = old.manifest
    if manifest.orb is None:
        raise NotIndexed(
            f"collection {job.collection!r} was indexed without ORB features, so it has no visual words; "
            "index it again with them (semblant index … --rebuild)"
        )
    vocabulary, pictures, descriptors = _learn(old, job, tell)
    generation = manifest.generation
    if vocabulary.fingerprint != manifest.orb["vocabulary"]:
        generation = _build(db, old, vocabulary, job, tell, beside=beside)
    else:  # where they were lost or damaged, this brings them back
        tell(Progress("calibrate"))
        old.put_asset(VOCABULARY_ASSET, vocabulary.to_bytes())
        old.put_asset(CALIBRATION_ASSET, calibrate(old, vocabulary).to_bytes())
    return RetrainReport(
        collection=job.collection,
        before=manifest.generation,
        generation=generation,
        points=old.count(),
        pictures=pictures,
        descriptors=descriptors,
        words=len(vocabulary),
        fingerprint=vocabulary.fingerprint,
        seconds=round(time.perf_counter() - began, 3),
    )


def _learn(store: Store, job: RetrainJob, tell: Callable[[Progress], None]) -> tuple[Vocabulary, int, int]:
    """The words, and from how many pictures and descriptors they were learned."""
    total, began = min(job.sample, store.count()), time.perf_counter()
    found: list[np.ndarray] = []
    for records in _records(store, most=total):
        # Ids are hashes, so that the first ones in their order are a sample of all, and the same one each time.
        found += [unpack(record.features).descriptors for record in records if record.features is not None]
        tell(Progress("vocabulary", total, min(total, len(found)), seconds=time.perf_counter() - began))
    count = sum(map(len, found))
    if count < LEAST_DESCRIPTORS:
        return Vocabulary.general(), len(found), 0
    return Vocabulary.train(np.concatenate(found), seed=job.seed, threads=cores()), len(found), count


def _build(
    db: Database, old: Store, vocabulary: Vocabulary, job: RetrainJob, tell: Callable[[Progress], None], *, beside: bool
) -> str:
    """A generation of the same points with other words, checked and published: its name."""
    number = max(int(name[1:]) for name in db.generations(job.collection)) + 1
    orb = {**(old.manifest.orb or {}), "vocabulary": vocabulary.fingerprint}
    new = db.create(replace(old.manifest, generation=f"g{number:04d}", orb=orb, created_at=now()))
    try:
        encoder = old.asset(ENCODER_ASSET)
        if encoder is not None:
            new.put_asset(ENCODER_ASSET, encoder)
        new.put_asset(VOCABULARY_ASSET, vocabulary.to_bytes())
        _copy(old, new, vocabulary, tell)
        tell(Progress("optimize"))
        new.optimize(beside=beside)
        tell(Progress("calibrate"))
        new.put_asset(CALIBRATION_ASSET, calibrate(new, vocabulary).to_bytes())
        background = old.asset(BACKGROUND_ASSET)
        if background is not None:  # of the vectors, which stay as they are
            new.put_asset(BACKGROUND_ASSET, background)
        end = time.monotonic() + (LAG if "://" in job.db else 0.0)
        while new.count() != old.count():
            if time.monotonic() < end:
                time.sleep(0.2)
                continue
            raise StoreError(
                f"collection {job.collection!r} was written to while its words were learned: {old.count():,} pictures, "
                f"{new.count():,} of them copied; the old generation keeps serving, run the command again"
            )
        for name in old.assets():
            kept = name == IDENTITY_ASSET or is_source_asset(name) or is_accepted_asset(name)
            data = old.asset(name) if kept else None
            if data is not None:
                new.put_asset(name, data)
        identity = identity_of(db, job.collection)
        folder = state_folder(job.db, job.collection, job.state, identity)
        copy_generation(folder / "ledger.sqlite", old.manifest.generation, new.manifest)
        generations.publish(db, new)
    except BaseException:
        new.close()
        db.drop(job.collection, new.manifest.generation)
        raise
    new.close()
    return new.manifest.generation


def _copy(old: Store, new: Store, vocabulary: Vocabulary, tell: Callable[[Progress], None]) -> None:
    total, done, began = old.count(), 0, time.perf_counter()
    for records in _records(old, with_vectors=True):
        new.upsert([copied_point(record, vocabulary) for record in records])
        done += len(records)
        tell(Progress("words", total, done, seconds=time.perf_counter() - began))


def copied_point(record: Record, vocabulary: Vocabulary | None) -> Point:
    """The same picture with the words of another vocabulary; none without one."""
    assert record.image is not None  # every point has one
    words = words_of(record.features, vocabulary)
    return Point(record.id, record.image, record.payload, words, record.features, record.cells)


def _records(store: Store, *, most: int | None = None, with_vectors: bool = False) -> Iterator[list[Record]]:
    """The records with their features, and all other vectors where wanted, in batches in the order of their ids."""
    ids = (record.id for record in itertools.islice(store.scroll(fields=["_uri"]), most))
    while batch := list(itertools.islice(ids, _BATCH)):
        found = store.retrieve(batch, with_image=with_vectors, with_features=True, with_cells=with_vectors)
        yield sorted(found, key=lambda record: record.id)
