"""Copying a collection from one database to another: what it holds, how it is searched, and that nothing was lost."""

from __future__ import annotations

import hashlib
import time
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from semblant_search.collection import check_collection_name
from semblant_search.errors import InvalidInput, StoreError
from semblant_search.feature_reader import VOCABULARY_ASSET
from semblant_search.lazy_encoder import ENCODER_ASSET
from semblant_search.orb import Vocabulary, unpack
from semblant_search.store import SERVED_ASSET, Point

from .comparing import compare, equal, records_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_search.collection import Manifest
    from semblant_search.store import Database, Record, Store

__all__ = ["CopyReport", "copy_collection"]


@dataclass(frozen=True)
class CopyReport:
    """What a copy came to.

    Attributes:
        collection, generation: where it is now.
        points: pictures.
        copied: those that were written; the others were there already, from a copy that was interrupted.
        assets: names of the files that went along: the encoder, the visual words, what was measured.
        sha256: over ids, metadata and features of all pictures, the same of both.
        queries: of pictures of the collection, that both databases answered alike.
        seconds: all of it.
    """

    collection: str
    generation: str
    points: int
    copied: int
    assets: tuple[str, ...]
    sha256: str
    queries: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def copy_collection(
    source: Database,
    target: Database,
    collection: str = "images",
    *,
    name: str | None = None,
    replace_existing: bool = False,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> CopyReport:
    """Copy the serving generation of a collection into another database, compare all of it, and let it serve there.

    Ids, vectors of all kinds, metadata, indexes and kept files go along; visual words are made again of the stored features, as
    the index job made them. It serves only once it is whole: until then, what the target served stays. A copy that was
    interrupted goes on where it stopped.

    Args:
        source: where it is.
        target: where it goes; a database of any kind.
        collection: its name.
        name: what it is called in the target; None keeps the name.
        replace_existing: where the target serves a collection of that name already, put the copy in its place; the old one
            stays as an earlier generation.
        on_progress: called with what is done (`copy`, `optimize`, `compare`), pictures done, and pictures in all.

    Raises:
        CollectionNotFound: the source serves no such collection.
        InvalidInput: the target serves one of that name already, and it is not to be replaced.
        StoreLocked: another job is at work on the target's collection of that name.
        StoreError: the source was written to meanwhile, or a database fails; what was copied stays for the next try.
    """
    began, tell = time.perf_counter(), on_progress or (lambda *_: None)
    name = check_collection_name(collection if name is None else name)
    with target.claim(name), closing(source.open(collection)) as old:
        if name in target.collections() and not replace_existing:
            raise InvalidInput(
                f"{target.location!r} serves a collection {name!r} already; give another name (--as, name=…), or put the copy "
                "in its place (--replace, replace_existing=True)"
            )
        with closing(_begin(target, old.manifest, name)) as new:
            copied = _copy(old, new, lambda done, total: tell("copy", done, total))
            assets = tuple(sorted(old.assets()))
            for asset in assets:
                data = old.asset(asset)
                if asset != SERVED_ASSET and data is not None and data != new.asset(asset):
                    new.put_asset(asset, data)
            _check_encoder(new)
            tell("optimize", 0, 0)
            new.optimize()
            contents = compare(old, new, lambda done, total: tell("compare", done, total))
            target.publish(name, new.manifest.generation)
            new.put_asset(SERVED_ASSET, new.manifest.created_at.encode())
            return CopyReport(
                name,
                new.manifest.generation,
                contents.points,
                copied,
                assets,
                contents.sha256,
                contents.queries,
                round(time.perf_counter() - began, 3),
            )


def _begin(target: Database, manifest: Manifest, name: str) -> Store:
    """The generation that an interrupted copy left, or a new one."""
    serving, there = target.collections().get(name), target.generations(name)
    for generation in there:
        if generation != serving:
            store = target.open(name, generation)
            if _is_copy(store.manifest, manifest) and store.asset(SERVED_ASSET) is None:
                store.add_fields(manifest.fields)
                return store
            store.close()
    number = max((int(generation[1:]) for generation in there), default=0) + 1
    return target.create(replace(manifest, collection=name, generation=f"g{number:04d}"))


def _is_copy(begun: Manifest, manifest: Manifest) -> bool:
    """Whether it may have become a copy of this generation, which got more fields since, but has lost none."""
    facts = replace(
        begun, collection=manifest.collection, generation=manifest.generation, fields={**manifest.fields, **begun.fields}
    )
    return facts == manifest


def _check_encoder(store: Store) -> None:
    data = store.asset(ENCODER_ASSET)
    if data is not None and hashlib.sha256(data).hexdigest() != store.manifest.encoder_fingerprint:
        raise StoreError(
            f"the encoder that {store.manifest.collection!r} keeps is not the one that made its vectors (its SHA-256 differs); "
            "index it again, or restore it from another snapshot"
        )


def _copy(old: Store, new: Store, tell: Callable[[int, int], None]) -> int:
    """Make the points of the new one those of the old one; returns how many were written."""
    data = old.asset(VOCABULARY_ASSET) if old.manifest.orb is not None else None
    vocabulary = None if data is None else Vocabulary.from_bytes(data)
    written, done, total = 0, 0, old.count()
    begun = new.count() > 0
    for records in records_of(old):
        there: dict[str, Record] = {}
        if begun:
            ids = [record.id for record in records]
            there = {record.id: record for record in new.retrieve(ids, with_image=True, with_features=True, with_cells=True)}
        points = [
            _point(record, vocabulary) for record in records if record.id not in there or not equal(record, there[record.id])
        ]
        new.upsert(points)
        written, done = written + len(points), done + len(records)
        tell(done, total)
    if begun:
        known = {record.id for record in old.scroll(fields=())}
        new.delete([record.id for record in new.scroll(fields=()) if record.id not in known])
    return written


def _point(record: Record, vocabulary: Vocabulary | None) -> Point:
    if record.image is None:
        raise StoreError(f"point {record.id}: it has no embedding; index {record.payload.get('_uri')!r} again")
    words = None if record.features is None or vocabulary is None else vocabulary.sparse(unpack(record.features))
    return Point(record.id, record.image, record.payload, words, record.features, record.cells)
