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

from semblant_search.collection import ADDED, SOURCES_FIELD, FieldType, uri_path
from semblant_search.encoder import ENCODED_AT_ONCE
from semblant_search.errors import ImageError, InvalidInput, StoreError, StoreLocked
from semblant_search.images import most_bytes, read_file
from semblant_search.orb import Vocabulary
from semblant_search.sources import generation_damaged, generation_sources, note_added, owners
from semblant_search.store.texts import with_text
from semblant_search.where import F
from semblant_search.writing.adding import Named, points_of, read_named, recipe_for
from semblant_search.writing.shared_pictures import both, claimed, release, said_by

from . import generations
from .retraining import copied_point

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from semblant_search.encoder import Encoder
    from semblant_search.store import Database, Record, Store

    from .job import IndexJob

__all__ = ["Carrying"]

_BATCH = 256
_MARKED = F(SOURCES_FIELD) == ADDED


@dataclass
class Carrying:
    """Takes what clients added from the serving generation into the one that a job builds.

    Attributes:
        db, job, encoder: the job's.
        before: the serving generation.

    What was seen is kept with its payload, and which of it the job's own source holds, too. An attempt at the same generation
    that was interrupted has left what it saw in that generation.
    """

    db: Database
    job: IndexJob
    encoder: Encoder
    before: str
    _seen: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _own: set[str] = field(default_factory=set)
    _began: bool = False

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
        if not self._began:
            self._began = True
            self._take_up(new)
        present = self._bring_changes(new) if self._has_any() else set()
        gone = sorted(self._seen.keys() - present)
        release(new, gone, ADDED)
        for id in gone:
            del self._seen[id]

    def _take_up(self, new: Store) -> None:
        """What an attempt that was interrupted has brought."""
        if SOURCES_FIELD not in new.manifest.fields:
            return
        for record in new.scroll(where=_MARKED):
            shared = owners(record.payload) != [ADDED]
            self._seen[record.id] = {} if shared else record.payload
            if shared:
                self._own.add(record.id)

    def _bring_changes(self, new: Store) -> set[str]:
        """Returns the ids of all that clients added."""
        present: set[str] = set()
        with closing(self._open()) as old:
            fields = {name: kind for name, kind in old.manifest.fields.items() if name not in new.manifest.fields}
            records = old.scroll(where=_MARKED)
            while batch := list(itertools.islice(records, _BATCH)):
                present |= {record.id for record in batch}
                changed = [record for record in batch if self._seen.get(record.id) != record.payload]
                if changed:
                    new.add_fields(fields)
                    note_added(new)
                    self._bring(old, new, changed)
                    self._seen |= {record.id: record.payload for record in changed}
        return present

    def _bring(self, old: Store, new: Store, records: Sequence[Record]) -> None:
        text = FieldType.KEYWORD
        kinds = new.manifest.fields
        texts = [name for name, kind in old.manifest.fields.items() if kind is not text and kinds.get(name) is text]
        indexed = {record.id: record.payload for record in new.retrieve([record.id for record in records])}
        own = {id: payload for id, payload in indexed.items() if id not in self._seen or id in self._own}
        self._own |= own.keys()
        new.set_payloads({one.id: both(_added(one, texts).payload, own[one.id]) for one in records if one.id in own})
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
                    again.append((read_named(recipe, data, str(record.payload["_uri"])), _added(record, texts).payload))
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
        new.upsert([copied_point(_added(record, texts), words) for record in found])
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
        if manifest is None or SOURCES_FIELD not in manifest.fields:
            return False
        there = self.db, self.job.collection, self.before
        known = {*(record.id for record in generation_sources(*there)), *generation_damaged(*there)}
        return not known or ADDED in known  # before there were records, only clients marked


def _added(record: Record, texts: Sequence[str] = ()) -> Record:
    """What of a picture is the client's: whether it is a source's as well is for that source's job to say.

    `texts` are the fields that are text in the new generation only.
    """
    said = said_by(record.payload)
    others = set().union(*said.values()) - said[ADDED] if ADDED in said else set()
    own = {name: value for name, value in record.payload.items() if name not in others}
    return replace(record, payload=with_text(claimed(own, {}, [ADDED]), texts))


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
