"""The last stage: results become points in the store, then lines in the ledger."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from semblant_search.collection import SOURCES_FIELD, point_id
from semblant_search.store import Point, SparseVector
from semblant_search.writing.exif import EXIF_FIELDS
from semblant_search.writing.points import PictureFacts, as_kept, now, payload_of, point_of, words_of
from semblant_search.writing.shared_pictures import FIELDS_OF, owned_payload, says_the_same

from .ledger import Entry, Todo
from .ownership import owned
from .report import Failure
from .sources.kept_tables import KeptTables
from .worker import Decoded, Rejected, Unchanged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from semblant_search.encoder import Vectors
    from semblant_search.orb import Vocabulary
    from semblant_search.store import Record, Store

    from .ledger import Ledger

__all__ = ["Counts", "Outcome", "Writer", "settle", "with_exif"]


UNSUPPORTED = "unsupported"
_MOST = 2048
_OF_THE_OLD_NAME = (SOURCES_FIELD, FIELDS_OF, "_uris", "_names", "_duplicate_of")
_LONGEST = 1.0
"""Pictures, and seconds, between two writes at most."""


@dataclass
class Counts:
    """What the pipeline did so far."""

    encoded: int = 0
    failed: int = 0
    other: int = 0
    """Pictures that only got new metadata, were moved, or turned out to be as they were."""

    @property
    def done(self) -> int:
        """Pictures that are finished."""
        return self.encoded + self.failed + self.other


class Outcome(NamedTuple):
    """What a batch comes to.

    Attributes:
        points: to be written.
        entries: lines of the ledger, true once the points are written.
        kept: pictures whose vectors are in the store already.
    """

    points: list[Point]
    entries: list[Entry]
    kept: list[tuple[Todo, Unchanged]]


def settle(
    todos: Sequence[Todo],
    results: Sequence[Decoded | Unchanged | Rejected],
    vectors: Vectors | None,
    fits: Callable[[Mapping[str, Any]], bool] | None = None,
) -> Outcome:
    """What becomes of a batch; `vectors` belong to the `Decoded` results in their order, `fits` is `Store.payload_fits`."""
    outcome = Outcome([], [], [])
    moment, row = now(), 0
    for todo, result in zip(todos, results, strict=True):
        if isinstance(result, Decoded):
            assert vectors is not None
            point = _point(todo, result, vectors, row, moment)
            row += 1
            if fits is None or fits(point.payload):
                outcome.points.append(point)
                outcome.entries.append(_indexed(todo, result))
            else:
                outcome.entries.append(_failed(todo, _too_much(todo), todo.sha256))
        elif isinstance(result, Rejected):
            # The point stays as it was indexed: a file out of reach may come back, and of a bad one `--prune` decides.
            outcome.entries.append(_failed(todo, result, todo.sha256))
        else:
            outcome.kept.append((todo, result))
    return outcome


class Writer:
    """Writes batches: first the store, then the ledger, so that the ledger never claims what the store does not hold.

    Args:
        store: takes the points.
        ledger: takes a line for each picture.
        source: id of the source that the pictures are from.
        vocabulary: makes visual words of the stored features of moved pictures; None without ORB.
        on_failure: is told of each picture that cannot be used.
        kept: whose words stay though nothing says them any more.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        source: str,
        vocabulary: Vocabulary | None = None,
        on_failure: Callable[[Failure], None] | None = None,
        kept: KeptTables | None = None,
    ) -> None:
        self._kept = kept or KeptTables()
        self._on_failure = on_failure
        self._store = store
        self._ledger = ledger
        self._source = source
        self._vocabulary = vocabulary
        self._points: list[Point] = []
        self._entries: list[Entry] = []
        self._flushed = time.monotonic()
        self.counts = Counts()

    def write(self, todos: Sequence[Todo], results: Sequence[Decoded | Unchanged | Rejected], vectors: Vectors | None) -> None:
        """Take in a batch; `vectors` belong to the `Decoded` results in their order."""
        self.take(settle(todos, results, vectors, self._store.payload_fits))

    def take(self, outcome: Outcome) -> None:
        """Take in what became of a batch."""
        self._points += [as_kept(point, self._store.manifest) for point in outcome.points]
        self._entries += outcome.entries
        failed = self._told([entry for entry in outcome.entries if entry.outcome == "failed"])
        skipped = sum(entry.outcome == "skipped" for entry in outcome.entries)
        self.counts.failed += failed
        self.counts.other += skipped
        self.counts.encoded += len(outcome.entries) - failed - skipped
        if outcome.kept:
            self.keep(outcome.kept)
        if len(self._entries) >= _MOST or time.monotonic() - self._flushed > _LONGEST:
            self.flush()

    def _told(self, failed: Sequence[Entry]) -> int:
        """How many they are, of which whoever listens is told now."""
        if self._on_failure is not None:
            for entry in failed:
                self._on_failure(Failure(entry.uri, entry.reason or "", entry.message or ""))
        return len(failed)

    def flush(self) -> None:
        """Write what was taken in. A write costs the disk a few milliseconds whatever its size, so batches are collected."""
        if self._points:
            with self._store.writing:
                self._store.upsert(owned(self._store, self._points, self._source, self._kept))
        self._ledger.record(self._entries)
        self._points, self._entries = [], []
        self._flushed = time.monotonic()

    def keep(self, kept: Sequence[tuple[Todo, Unchanged]]) -> None:
        """Enter pictures whose vectors are there already: under their own name, or under that of a file that is gone."""
        self._ledger.record([_indexed(todo, file, written=False) for todo, file in kept if _settled(todo)])
        with self._store.writing:
            self._update_metadata([(todo, file) for todo, file in kept if todo.sha256 is not None and not todo.same_metadata])
            self._move([(todo, file) for todo, file in kept if todo.sha256 is None])
        self.counts.other += len(kept)

    def _update_metadata(self, changed: Sequence[tuple[Todo, Unchanged]]) -> None:
        records = self._retrieve([todo.uri for todo, _ in changed])
        entries, payloads = [], {}
        for todo, file in changed:
            record = records.get(point_id(todo.uri))
            if record is None:
                entries.append(_failed(todo, Rejected("missing", f"{todo.uri}: its point was deleted meanwhile"), None))
                continue
            facts = with_exif({name: value for name, value in record.payload.items() if name.startswith("_")}, file.exif)
            told = {**json.loads(todo.payload), **facts}
            keep = self._kept.keeps(todo.uri, unknown=todo.unknown_metadata)
            payload = owned_payload(record.payload, told, self._source, keep=keep)
            different = payload != record.payload
            if different and not self._store.payload_fits(payload):
                entries.append(_failed(todo, _too_much(todo), todo.sha256))
                continue
            if different:
                payloads[record.id] = payload
            entries.append(_indexed(todo, file, written=not says_the_same(payload, record.payload)))
        self._store.set_payloads(payloads)
        self._ledger.record(entries)

    def _move(self, moved: Sequence[tuple[Todo, Unchanged]]) -> None:
        homes = {file.sha256: self._ledger.vanished(file.sha256) for _, file in moved}
        records = self._retrieve([uri for uris in homes.values() for uri in uris], vectors=True)
        points, entries = [], []
        for todo, file in moved:
            record = next((records[point_id(uri)] for uri in homes[file.sha256] if point_id(uri) in records), None)
            if record is None or record.image is None:
                entries.append(_failed(todo, Rejected("missing", f"{todo.uri}: the point it moved from is gone"), None))
                continue
            # Whose it was, and what it was a duplicate of, is no matter of its content.
            facts = {name: value for name, value in record.payload.items() if name[0] == "_" and name not in _OF_THE_OLD_NAME}
            payload = {**json.loads(todo.payload), **with_exif(facts, file.exif), "_uri": todo.uri}
            if not self._store.payload_fits(payload):
                entries.append(_failed(todo, _too_much(todo), None))
                continue
            words = words_of(record.features, self._vocabulary)
            points.append(Point(point_id(todo.uri), record.image, payload, words, record.features, record.cells))
            entries.append(_indexed(todo, file))
        self._store.upsert(owned(self._store, points, self._source))
        self._ledger.record(entries)

    def _retrieve(self, uris: Sequence[str], *, vectors: bool = False) -> dict[str, Record]:
        if not uris:
            return {}
        ids = [point_id(uri) for uri in uris]
        found = self._store.retrieve(ids, with_image=vectors, with_features=vectors, with_cells=vectors)
        return {record.id: record for record in found}


def with_exif(facts: Mapping[str, Any], exif: Mapping[str, Any] | None) -> dict[str, Any]:
    """Facts of a picture with those of a camera in place of earlier ones; None leaves what is there."""
    if exif is None:
        return dict(facts)
    return {**{name: value for name, value in facts.items() if name not in EXIF_FIELDS}, **exif}


def _settled(todo: Todo) -> bool:
    return todo.sha256 is not None and todo.same_metadata


def _indexed(todo: Todo, file: Decoded | Unchanged, *, written: bool = True) -> Entry:
    mtime_ns = file.mtime_ns if file.mtime_ns >= 0 else todo.mtime_ns  # of what is no local file only its listing tells
    return Entry(todo.uri, file.size, mtime_ns, file.sha256, todo.metadata, "indexed", written=written)


def _failed(todo: Todo, why: Rejected, sha256: str | None) -> Entry:
    """What another library would read is skipped: it is no fault of the file's, and the next run may have the library."""
    metadata = todo.metadata if sha256 is not None and todo.same_metadata else None
    outcome = "skipped" if why.reason == UNSUPPORTED else "failed"
    known = sha256 is not None
    return Entry(todo.uri, todo.size, todo.mtime_ns, sha256, metadata, outcome, why.reason, why.message, point=known)


def _too_much(todo: Todo) -> Rejected:
    """As `Store.payload_fits` says."""
    size = f"{len(todo.payload.encode(errors='surrogatepass')) / 1e6:,.0f} MB"
    return Rejected("metadata", f"{todo.uri}: its metadata takes {size}, more than a server takes in one request: shorten it")


def _point(todo: Todo, result: Decoded, vectors: Vectors, row: int, moment: str) -> Point:
    metadata: dict[str, Any] = json.loads(todo.payload) if todo.payload != "{}" else {}
    facts = PictureFacts(result.sha256, result.size, result.width, result.height, result.format, result.exif)
    words = SparseVector(*result.words) if result.words is not None else None
    return point_of(todo.uri, payload_of(todo.uri, metadata, facts, moment), vectors, row, words, result.features)
