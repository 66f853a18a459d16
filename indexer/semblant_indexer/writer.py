"""The last stage: results become points in the store, then lines in the ledger."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from semblant_search.collection import point_id
from semblant_search.store.base import Point, SparseVector

from .ledger import TRANSIENT, Entry, Todo, now
from .worker import Decoded, Rejected, Unchanged

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from semblant_search.store.base import Store

    from .ledger import Ledger

__all__ = ["Counts", "Writer"]


@dataclass
class Counts:
    """What the pipeline did so far."""

    encoded: int = 0
    metadata_only: int = 0
    unchanged: int = 0
    failed: int = 0

    @property
    def done(self) -> int:
        """Pictures that are finished."""
        return self.encoded + self.metadata_only + self.unchanged + self.failed


class Writer:
    """Writes batches: first the store, then the ledger, so that the ledger never claims what the store does not hold."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger
        self.counts = Counts()

    def write(
        self, todos: Sequence[Todo], results: Sequence[Decoded | Unchanged | Rejected], vectors: np.ndarray | None
    ) -> None:
        """Enter a batch; `vectors`, float32 `[n, D]`, belong to the `Decoded` results in their order."""
        points: list[Point] = []
        entries: list[Entry] = []
        metadata_only: list[tuple[Todo, Unchanged]] = []
        stale: list[str] = []
        moment = now()
        for todo, result in zip(todos, results, strict=True):
            uri = todo.uri
            if isinstance(result, Decoded):
                assert vectors is not None
                entries.append(Entry(uri, result.size, result.mtime_ns, result.sha256, todo.metadata, "indexed"))
                points.append(_point(todo, result, vectors[len(points)], moment))
            elif isinstance(result, Rejected):
                # A file whose content turned bad has no picture any more; one that is out of reach may come back.
                keep = todo.sha256 if result.reason in TRANSIENT else None
                if todo.sha256 is not None and keep is None:
                    stale.append(point_id(uri))
                entries.append(Entry(uri, todo.size, todo.mtime_ns, keep, None, "failed", result.reason, result.message))
            elif todo.same_metadata:
                self.counts.unchanged += 1
                entries.append(Entry(uri, result.size, result.mtime_ns, result.sha256, todo.metadata, "indexed"))
            else:
                metadata_only.append((todo, result))
        if points:
            self._store.upsert(points)
        if stale:
            self._store.delete(stale)
        self._ledger.record(entries)
        self.counts.encoded += len(points)
        self.counts.failed += sum(isinstance(result, Rejected) for result in results)
        if metadata_only:
            self.write_metadata(metadata_only)

    def write_metadata(self, changed: Sequence[tuple[Todo, Unchanged]]) -> None:
        """Give pictures that are as they were their new metadata; their vectors stay."""
        records = {record.id: record for record in self._store.retrieve([point_id(todo.uri) for todo, _ in changed])}
        entries = []
        for todo, file in changed:
            record = records.get(point_id(todo.uri))
            if record is None:
                continue  # deleted meanwhile by someone else: no row, so that the next run sees it as new
            facts = {name: value for name, value in record.payload.items() if name.startswith("_")}
            self._store.set_payload(record.id, {**json.loads(todo.payload), **facts})
            entries.append(Entry(todo.uri, file.size, file.mtime_ns, file.sha256, todo.metadata, "indexed"))
        self._ledger.record(entries)
        self.counts.metadata_only += len(changed)


def _point(todo: Todo, result: Decoded, vector: np.ndarray, moment: str) -> Point:
    payload: dict[str, Any] = json.loads(todo.payload) if todo.payload != "{}" else {}
    payload["_uri"] = todo.uri
    payload["_sha256"] = result.sha256
    payload["_width"] = result.width
    payload["_height"] = result.height
    payload["_format"] = result.format
    payload["_bytes"] = result.size
    payload["_indexed_at"] = moment
    words = SparseVector(*result.words) if result.words is not None else None
    return Point(point_id(todo.uri), vector, payload, words, result.features)
