"""What programs added through a client: an index job leaves it alone, and takes it along when it builds a new generation.

Such a point says so by itself (`collection.SOURCES_FIELD`). Where the job's own source holds the same picture, the point is
both: the job writes it, with the client's mark and metadata kept, and never deletes it.
"""

from __future__ import annotations

import hashlib
import itertools
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from semblant_search.collection import ADDED, SOURCES_FIELD, uri_path
from semblant_search.encoder import ENCODED_AT_ONCE
from semblant_search.errors import ImageError, InvalidInput, StoreError, StoreLocked
from semblant_search.images import most_bytes, read_file
from semblant_search.orb import Vocabulary
from semblant_search.where import F
from semblant_search.writing.adding import Named, points_of, read_named, recipe_for

from . import generations
from .retraining import copied_point

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from semblant_search.encoder import Encoder
    from semblant_search.store import Database, Point, Record, Store

    from .job import IndexJob
    from .ledger import Ledger

__all__ = ["Carrying", "accounted", "both", "deletable", "is_added", "keep_marks"]

_BATCH = 256
_MARKED = F(SOURCES_FIELD) == ADDED


def is_added(payload: Mapping[str, Any]) -> bool:
    """Whether a client added it."""
    return ADDED in payload.get(SOURCES_FIELD, ())


def accounted(store: Store, ledger: Ledger) -> bool:
    """Whether the store holds what the ledger says, and beside it what clients added only."""
    if not _any(store):
        return store.count() == ledger.points()
    marked = {str(record.payload["_uri"]) for record in store.scroll(where=_MARKED, fields=["_uri"])}
    both = len(marked & ledger.uris_with_point()) if marked else 0
    return store.count(~_MARKED) + both == ledger.points()


def deletable(store: Store, ids: Sequence[str]) -> list[str]:
    """Those of some points that no client added."""
    if not ids or not _any(store):
        return list(ids)
    kept = {record.id for record in store.retrieve(ids, fields=[SOURCES_FIELD]) if is_added(record.payload)}
    return [id for id in ids if id not in kept]


def keep_marks(store: Store, points: Sequence[Point]) -> list[Point]:
    """The points of a job as they are to be written: those that a client added, too, stay marked, with its metadata."""
    if not points or SOURCES_FIELD not in store.manifest.fields:
        return list(points)
    known = {record.id: record.payload for record in store.retrieve([point.id for point in points])}
    return [
        replace(point, payload=both(known[point.id], point.payload)) if is_added(known.get(point.id, {})) else point
        for point in points
    ]


def both(added: Mapping[str, Any], indexed: Mapping[str, Any]) -> dict[str, Any]:
    """The payload of a picture that a client added and a job indexed: the job's values come over the client's."""
    metadata = {name: value for name, value in added.items() if not name.startswith("_")}
    return {**metadata, **indexed, SOURCES_FIELD: added[SOURCES_FIELD]}


def _any(store: Store) -> bool:
    if SOURCES_FIELD not in store.manifest.fields:
        store.refresh()  # on a server, a client may have added the first one just now
    return SOURCES_FIELD in store.manifest.fields


@dataclass
class Carrying:
    """Takes what clients added from the serving generation into the one that a job builds.

    Attributes:
        db, job, encoder: the job's.
        before: the serving generation.

    What was seen is kept with its payload, and which of it the job's own source holds, too.
    """

    db: Database
    job: IndexJob
    encoder: Encoder
    before: str
    _seen: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _own: set[str] = field(default_factory=set)

    def check(self) -> None:
        """Raise `InvalidInput` where a picture can be neither copied nor encoded again. Before anything is built."""
        if not self._has_any():
            return
        with closing(self._open()) as old:
            if old.manifest.encoder_fingerprint == self.encoder.fingerprint:
                return
            lost = [str(record.payload["_uri"]) for record in old.scroll(where=_MARKED) if _bytes_of(record, self.job) is None]
        if lost:
            raise InvalidInput(
                f"collection {self.job.collection!r} cannot be rebuilt with encoder {self.encoder.card.name!r}: {len(lost):,} "
                f"pictures that a client added have no file to encode again, such as {lost[0]!r}. Build another collection "
                "(--collection NAME) and add them to it, or delete them first (client.delete)"
            )

    def bring(self, new: Store) -> None:
        """Make the new generation hold what clients added, as it is now; may be called again, and then brings changes only.

        Raises:
            StoreError: one of them cannot be encoded again any more.
        """
        if not self._has_any():
            return
        with closing(self._open()) as old:
            fields = {name: kind for name, kind in old.manifest.fields.items() if name not in new.manifest.fields}
            records = old.scroll(where=_MARKED)
            present: set[str] = set()
            while batch := list(itertools.islice(records, _BATCH)):
                present |= {record.id for record in batch}
                changed = [record for record in batch if self._seen.get(record.id) != record.payload]
                if changed:
                    new.add_fields(fields)
                    self._bring(old, new, changed)
                    self._seen |= {record.id: record.payload for record in changed}
            gone = self._seen.keys() - present
            new.delete(sorted(gone - self._own))
            for id in gone:
                del self._seen[id]

    def _bring(self, old: Store, new: Store, records: Sequence[Record]) -> None:
        indexed = {record.id: record.payload for record in new.retrieve([record.id for record in records])}
        own = {id: payload for id, payload in indexed.items() if id not in self._seen or id in self._own}
        self._own |= own.keys()
        new.set_payloads({one.id: both(one.payload, own[one.id]) for one in records if one.id in own})
        rest = [record for record in records if record.id not in own]
        settings, vocabulary = generations.orb_of(new)
        words = None if vocabulary is None else Vocabulary.from_bytes(vocabulary)
        same_encoder = old.manifest.encoder_fingerprint == new.manifest.encoder_fingerprint
        same_details = _details(old) == _details(new)
        recipe = recipe_for(new.manifest, settings, self.job.max_pixels)
        again: list[tuple[Named, Mapping[str, Any]]] = []
        copied: list[str] = []
        for record in rest:
            if same_encoder and (same_details or settings is None):
                copied.append(record.id)
                continue
            data = _bytes_of(record, self.job)
            if data is not None:
                try:
                    again.append((read_named(recipe, data, str(record.payload["_uri"])), record.payload))
                    continue
                except ImageError:
                    data = None
            if not same_encoder:
                raise StoreError(
                    f"{record.payload['_uri']!r}, which a client added, has no file any more to be encoded again; the old "
                    "generation keeps serving"
                )
            copied.append(record.id)
        with_details = same_details and settings is not None
        found = old.retrieve(copied, with_image=True, with_features=with_details, with_cells=True)
        new.upsert([copied_point(record, words) for record in found])
        for part in _parts(again):
            new.upsert(points_of([one for one, _ in part], [said for _, said in part], self.encoder, words, new.manifest))

    def _open(self) -> Store:
        try:
            return self.db.open(self.job.collection, self.before)
        except StoreLocked as error:
            raise StoreLocked(
                f"collection {self.job.collection!r} holds pictures that a client added, which a rebuild takes along, but "
                f"generation {self.before} is open elsewhere: close the client, and run the job again ({error})"
            ) from error

    def _has_any(self) -> bool:
        manifest = self.db.manifest(self.job.collection, self.before)
        return manifest is not None and SOURCES_FIELD in manifest.fields


def _bytes_of(record: Record, job: IndexJob) -> bytes | None:
    """The bytes of a picture's file where they are those that were added."""
    path = uri_path(str(record.payload["_uri"]))
    if path is None:
        return None
    try:
        data, _ = read_file(path, limit=most_bytes(job.max_pixels))
    except ImageError:
        return None
    return data if hashlib.sha256(data).hexdigest() == record.payload.get("_sha256") else None


def _details(store: Store) -> tuple[Any, Any] | None:
    orb = store.manifest.orb
    return None if orb is None else (orb.get("settings"), orb["feature_bytes"])


def _parts(items: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(items)
    while part := list(itertools.islice(left, ENCODED_AT_ONCE)):
        yield part
