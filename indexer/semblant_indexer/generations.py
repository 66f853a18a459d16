"""Which generation of a collection a job writes to, how a new one begins, and when it starts to serve."""

from __future__ import annotations

import contextlib
import itertools
import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Any

from semblant_search.collection import RESERVED_FIELDS, SOURCES_FIELD, FieldType, Manifest, StorageOptions
from semblant_search.errors import CollectionNotFound, EncoderMismatch, InvalidInput, StoreError, StoreLocked
from semblant_search.feature_reader import VOCABULARY_ASSET
from semblant_search.lazy_encoder import ENCODER_ASSET
from semblant_search.orb import FEATURE_BYTES, OrbSettings, Vocabulary
from semblant_search.sources import IDENTITY_ASSET, identity_of
from semblant_search.store import SERVED_ASSET, Nearest, SearchRequest
from semblant_search.writing.points import now

if TYPE_CHECKING:
    from semblant_search.encoder import Encoder
    from semblant_search.store import Database, Store

    from .job import IndexJob

__all__ = [
    "begin",
    "describe",
    "drop_old",
    "generations",
    "identify",
    "open_current",
    "orb_of",
    "publish",
    "recall",
    "roll_back",
]

_SAMPLES = 16
_RECALL_SAMPLES = 64


def generations(db: Database, collection: str) -> list[str]:
    """All generations, oldest first; none where the collection does not exist."""
    try:
        return db.generations(collection)
    except CollectionNotFound:
        return []


def describe(db: Database, collection: str) -> list[dict[str, Any]]:
    """Name, `serving`, `created_at`, `encoder` (its name) and `points` of each generation, oldest first.

    Raises:
        CollectionNotFound: there is no such collection.
    """
    serving = db.collections().get(collection)
    rows = []
    for name in generations(db, collection):
        with closing(db.open(collection, name)) as store:
            manifest = store.manifest
            rows.append(
                {
                    "name": name,
                    "serving": name == serving,
                    "created_at": manifest.created_at,
                    "encoder": manifest.encoder.name,
                    "encoder_fingerprint": manifest.encoder_fingerprint,
                    "points": store.count(),
                }
            )
    if not rows:
        raise _no_collection(db, collection)
    return rows


def open_current(db: Database, job: IndexJob, encoder: Encoder) -> Store | None:
    """The generation that a job goes on with, or None where a new one has to begin.

    Raises:
        EncoderMismatch: the serving generation was built with another encoder, and the job is not to build a new one.
    """
    serving = db.collections().get(job.collection)
    if serving is None or job.rebuild:
        return _unfinished(db, job, encoder, serving)
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
    if job.storage is not None and not job.storage.is_met_by(manifest.storage):
        store.close()
        raise InvalidInput(
            f"collection {job.collection!r} keeps its vectors as {manifest.storage.to_json()}, not as {job.storage.to_json()}; "
            "use --rebuild to build a new generation that does"
        )
    return store


def begin(db: Database, job: IndexJob, encoder: Encoder, vocabulary: Vocabulary | None) -> Store:
    """A new, empty generation with all that it needs to be read: its encoder and its visual words."""
    number = max((int(name[1:]) for name in generations(db, job.collection)), default=0) + 1
    orb: dict[str, Any] | None = None
    if job.orb is not None and vocabulary is not None:
        orb = {"settings": job.orb.to_json(), "vocabulary": vocabulary.fingerprint, "feature_bytes": FEATURE_BYTES}
    store = db.create(
        Manifest(
            collection=job.collection,
            generation=f"g{number:04d}",
            encoder_fingerprint=encoder.fingerprint,
            encoder=encoder.card,
            fields={**RESERVED_FIELDS, SOURCES_FIELD: FieldType.KEYWORD},
            orb=orb,
            created_at=now(),
            storage=_storage(db, job),
        )
    )
    try:
        store.put_asset(ENCODER_ASSET, encoder.to_bytes())
        if vocabulary is not None:
            store.put_asset(VOCABULARY_ASSET, vocabulary.to_bytes())
    except BaseException:
        store.close()
        raise
    return store


def identify(db: Database, store: Store) -> str:
    """The identity of the collection, which a generation gets where it has none yet."""
    known = store.asset(IDENTITY_ASSET)
    if known is not None:
        return known.decode("ascii", "replace")
    identity = identity_of(db, store.manifest.collection) or uuid.uuid4().hex
    store.put_asset(IDENTITY_ASSET, identity.encode())
    return identity


def orb_of(store: Store) -> tuple[OrbSettings | None, bytes | None]:
    """How a generation extracts ORB features, and its vocabulary as bytes; twice None without ORB."""
    orb = store.manifest.orb
    if orb is None:
        return None, None
    vocabulary = store.asset(VOCABULARY_ASSET)
    if vocabulary is None:
        raise StoreError(f"the collection's {VOCABULARY_ASSET} is missing; build it anew with --rebuild")
    return OrbSettings.from_json(orb.get("settings")), vocabulary


def publish(db: Database, store: Store) -> None:
    """Let searches see this generation, once samples of it find themselves. Raises `StoreError` if they do not."""
    manifest = store.manifest
    # Few bits a number may miss a picture; `recall` tells how many. Where a server forbids exact searches, some are looked at.
    coarse = manifest.storage.quantize is not None
    exact, limit = (True, 1) if coarse and store.allows_exact() else (False, _SAMPLES if coarse else 1)
    for record in itertools.islice(store.scroll(fields=["_uri"], with_image=True, batch=_SAMPLES), _SAMPLES):
        hits = store.query(SearchRequest(Nearest(record.image), limit, exact=exact)) if record.image is not None else []
        if not hits or hits[0].score < 0.999:
            raise StoreError(
                f"generation {manifest.generation} of {manifest.collection!r} is not sound: {record.payload.get('_uri')!r} "
                "does not find itself. The old generation keeps serving; run the job again with --rebuild"
            )
    db.publish(manifest.collection, manifest.generation)
    store.put_asset(SERVED_ASSET, manifest.created_at.encode())


def recall(store: Store) -> float | None:
    """Share of the 10 exact neighbours that a plain search finds, over a sample of the collection.

    None for an empty one, and where a server allows no exact searches.
    """
    if not store.allows_exact():
        return None
    # Ids are hashes, so that the first ones are a sample of all.
    sample = list(itertools.islice(store.scroll(fields=["_uri"], with_image=True, batch=_RECALL_SAMPLES), _RECALL_SAMPLES))
    vectors = [record.image for record in sample if record.image is not None]
    if not vectors:
        return None
    truth = store.query_batch([SearchRequest(Nearest(vector), limit=10, fields=["_uri"], exact=True) for vector in vectors])
    found = store.query_batch([SearchRequest(Nearest(vector), limit=10, fields=["_uri"]) for vector in vectors])
    shares = []
    for exact, plain in zip(truth, found, strict=True):
        # Equal scores may come in any order: a hit that scores as high as the last exact one is as good.
        shares.append(sum(hit.score >= exact[-1].score - 1e-6 for hit in plain) / len(exact))
    return round(sum(shares) / len(shares), 4)


def drop_old(db: Database, collection: str, keep: int) -> list[str]:
    """Delete all generations older than the serving one but the last `keep`; returns the names of the deleted ones.

    One that a client has open stays: the client goes on to the serving one, and the next job deletes it.
    """
    serving = db.collections().get(collection)
    older = [name for name in generations(db, collection) if serving is not None and name < serving]
    dropped = []
    for name in older[: len(older) - keep] if keep else older:
        with contextlib.suppress(StoreLocked):
            db.drop(collection, name)
            dropped.append(name)
    return dropped


def roll_back(db: Database, collection: str, to: str | None = None) -> tuple[str, str]:
    """Serve an earlier generation again: `to`, or the newest one before the serving one. Returns the old and the new name.

    Raises:
        CollectionNotFound: there is no such collection or generation, or none before the serving one.
        StoreLocked: a job is at work on the collection.
    """
    with db.claim(collection):
        return _roll_back(db, collection, to)


def _roll_back(db: Database, collection: str, to: str | None) -> tuple[str, str]:
    serving = db.collections().get(collection)
    if serving is None:
        raise _no_collection(db, collection)
    names = generations(db, collection)
    earlier = [name for name in names if name < serving]
    if to is None and not earlier:
        raise CollectionNotFound(f"collection {collection!r} has no generation before {serving}; nothing to go back to")
    target = to or earlier[-1]
    if target not in names:
        raise CollectionNotFound(f"collection {collection!r} has no generation {target!r}; there: {', '.join(names)}")
    db.publish(collection, target)
    return serving, target


def _no_collection(db: Database, collection: str) -> CollectionNotFound:
    there = ", ".join(sorted(db.collections())) or "none"
    return CollectionNotFound(f"database {db.location!r} serves no collection {collection!r}; there: {there}")


def _storage(db: Database, job: IndexJob) -> StorageOptions:
    """As the job says, and where it says nothing of shards and replicas, as the serving generation has them."""
    wanted, serving = job.storage or StorageOptions(), db.collections().get(job.collection)
    manifest = None if serving is None else db.manifest(job.collection, serving)
    return wanted if manifest is None else wanted.spread_as(manifest.storage)


def _unfinished(db: Database, job: IndexJob, encoder: Encoder, serving: str | None) -> Store | None:
    """A build of the same kind that was interrupted; others that never served are dropped."""
    for name in reversed([name for name in generations(db, job.collection) if serving is None or name > serving]):
        store = db.open(job.collection, name)
        if store.asset(SERVED_ASSET) is not None:
            store.close()
            continue
        manifest = store.manifest
        settings = manifest.orb["settings"] if manifest.orb is not None else None
        kind = manifest.encoder_fingerprint, settings, manifest.storage
        if kind == (encoder.fingerprint, job.orb.to_json() if job.orb else None, _storage(db, job)):
            complete = manifest.orb is None or store.asset(VOCABULARY_ASSET) is not None
            if complete and store.asset(ENCODER_ASSET) is not None:
                return store
        store.close()
        db.drop(job.collection, name)
    return None
