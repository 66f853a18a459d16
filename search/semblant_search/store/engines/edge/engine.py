"""One generation on Qdrant Edge: the Rust engine in this process, over files in a directory."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from semblant_search.collection import CELLS_VECTOR, FEATURES_VECTOR, IMAGE_VECTOR, ORB_VECTOR, FieldType, Manifest
from semblant_search.errors import StoreError
from semblant_search.fork_safe import ForkSafeLock
from semblant_search.store.engines.feature_numbers import to_numbers
from semblant_search.store.files import (
    bytes_on_disk,
    require_space,
    sync_contents,
    sync_directory,
    write_atomic,
)
from semblant_search.where.compiler import compile_where, json_path

from . import shard_copy
from .layout import ASSETS, WRITING_SPACE, list_assets, read_asset, write_manifest
from .reading_copy import load
from .shard_copy import SHARD
from .translation import (
    Searches,
    call,
    dialect,
    index_params,
    load_engine,
    not_writable,
    record_of,
    scored,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from semblant_search.store.engines.base import Paths, Search
    from semblant_search.store.records import Point, Record, ScoredRecord
    from semblant_search.where import Where

__all__ = ["EdgeEngine"]

_LOG = "wal"
_FEW = 1000
"""Points that may change before a graph is built again."""


_opened: WeakSet[EdgeEngine] = WeakSet()


def _abandon_all() -> None:
    for engine in _opened:
        engine.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)


class EdgeEngine:
    """One generation in a directory; see `Engine`.

    Opening it locks the directory for this process until `close`. Several stores may share it: each closes it once. One that
    may only be read is searched in a copy, and shared with other processes that do the same.

    Raises:
        StoreLocked: another process, or another `EdgeEngine` of this one, has it open.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.writing = ForkSafeLock(reentrant=True)
        self._users = 1
        self._closing = ForkSafeLock()
        self._lock = threading.Lock()
        self._turn = threading.Condition(self._lock)
        self._at_work, self._replacing = 0, False
        self._done: list[Any] | None = None
        self._changed = 0
        self._edge = load_engine()
        self._path = path
        self._manifest = manifest
        self._dialect = dialect(self._edge)
        self._searches = Searches(self._edge, manifest.storage.quantize)
        self._process = os.getpid()
        self._shard, self._copy = load(self._edge, path)
        _opened.add(self)

    @property
    def name(self) -> str:
        """The directory."""
        return str(self._path)

    def filter(self, where: Where, fields: Mapping[str, FieldType]) -> Any:
        """An Edge `Filter`."""
        return compile_where(where, self._dialect, fields)

    def search(self, searches: Sequence[Search]) -> list[list[ScoredRecord]]:
        """Hits of each, best first."""
        request = self._searches.request
        if len(searches) == 1:
            return [scored(self._run("query", request(searches[0])), searches[0].scale)]
        batch = self._edge.QueryBatchRequest([request(search) for search in searches])
        answers = self._run("query_batch", batch)
        return [scored(hits, search.scale) for hits, search in zip(answers, searches, strict=True)]

    def retrieve(self, ids: Sequence[str], paths: Paths, vectors: Sequence[str]) -> list[Record]:
        """The records that exist."""
        found = self._run("retrieve", list(ids), paths, list(vectors) or False)
        return [record_of(point) for point in found]

    def scroll(
        self, filter: Any, paths: Paths, vectors: Sequence[str], limit: int, start: Any
    ) -> tuple[list[Record], Any | None]:
        """A page of records in the order of their ids."""
        request = self._edge.ScrollRequest(
            offset=start, limit=limit, filter=filter, with_payload=paths, with_vector=list(vectors) or False
        )
        points, start = self._run("scroll", request)
        return [record_of(point) for point in points], start

    def ordered(
        self, path: str, descending: bool, filter: Any, paths: Paths, vectors: Sequence[str], limit: int
    ) -> tuple[list[tuple[float, Record]], bool]:
        """The first records in the order of a field."""
        direction = self._edge.Direction.Desc if descending else self._edge.Direction.Asc
        request = self._edge.ScrollRequest(
            limit=limit,
            filter=filter,
            with_payload=paths,
            with_vector=list(vectors) or False,
            order_by=self._edge.OrderBy(path, direction),
        )
        points = self._run("scroll", request)[0]
        return [(point.order_value, record_of(point)) for point in points], len(points) == limit

    def count(self, filter: Any) -> int:
        """How many records match, exactly."""
        return int(self._run("count", self._edge.CountRequest(exact=True, filter=filter)))

    def allows_exact(self) -> bool:
        """Always."""
        return True

    def facet(self, path: str, filter: Any, limit: int) -> dict[Any, int] | None:
        """Exact counts; those of values that no point has any more are 0. None where the field has no index (yet)."""
        if not self._has_index(path):
            return None
        request = self._edge.FacetRequest(path, limit=limit, exact=True, filter=filter)
        return {hit.value: hit.count for hit in self._run("facet", request).hits}

    def payload_fits(self, payload: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Always: nothing is sent."""
        return True

    def upsert(self, points: Sequence[Point], images: list[list[float]]) -> None:
        """Write points. In the write-ahead log, and that on disk, on return."""
        edge, batch = self._edge, []
        for point, image in zip(points, images, strict=True):
            vectors: dict[str, Any] = {IMAGE_VECTOR: image}
            if point.orb is not None and len(point.orb.indices):
                vectors[ORB_VECTOR] = edge.SparseVector(point.orb.indices.tolist(), point.orb.values.tolist())
            if point.features is not None and len(point.features):
                vectors[FEATURES_VECTOR] = to_numbers(point.features).tolist()
            if point.cells is not None:
                vectors[CELLS_VECTOR] = point.cells.tolist()
            batch.append(edge.Point(point.id, vectors, dict(point.payload)))
        self._changed += len(batch)
        self._update(edge.UpdateOperation.upsert_points(batch))

    def overwrite(self, payloads: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace whole payloads."""
        change = self._edge.UpdateOperation.overwrite_payload
        self._update(*(change([id], dict(payload)) for id, payload in payloads.items()))

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points."""
        self._changed += len(ids)
        self._update(self._edge.UpdateOperation.delete_points(list(ids)))

    def create_index(self, field: str, kind: FieldType) -> None:
        """Make a payload index."""
        params = index_params(self._edge, field, kind, on_disk=self._manifest.storage.on_disk)
        self._update(self._edge.UpdateOperation.create_field_index(json_path(field), params))

    def unindexed(self, fields: Mapping[str, FieldType]) -> list[str]:  # noqa: ARG002
        """None: there is room for all, and those that are not there yet are made with the graph."""
        return []

    def read_manifest(self) -> Manifest:
        """The one that is known: while it is open here, only who shares this engine writes it."""
        return self._manifest

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace `manifest.json`."""
        write_manifest(self._path, manifest)
        self._manifest = manifest

    def optimize(self, tell: Callable[[int, int], None], *, beside: bool) -> bool:
        """Merge segments, build HNSW graphs and write everything to disk; blocks until done.

        Without `beside` it blocks every thread of this process.
        """
        self._check_writable()
        for name, kind in self._manifest.fields.items():  # a job of an older Semblant left Semblant's own fields for the end
            if not self._has_index(json_path(name)):
                self.create_index(name, kind)
        if beside and sys.executable and not self._is_quick():
            self._optimize_beside(tell)
            self._changed = 0
            return True
        # New segments are complete before old ones go.
        require_space(self._path, bytes_on_disk(self._path / SHARD) + WRITING_SPACE, "building the search index")
        self._run("optimize")
        self._run("flush")
        self._changed = 0
        return True

    def _is_quick(self) -> bool:
        """Whether so little changed that the engine leaves it to searches: it builds no graph of a few thousand vectors."""
        info = self._run("info")
        return bool(max(self._changed, info.points_count - info.indexed_vectors_count) < _FEW)

    def _optimize_beside(self, tell: Callable[[int, int], None]) -> None:
        count = self.count(None)
        with self.writing:
            self._run("flush")
            building = shard_copy.copy(self._path)
            self._done = []
        try:
            shard_copy.build(building, lambda: tell(0, count))
            with self.writing:
                copy = call(building, self._edge.EdgeShard.load, str(building))
                try:
                    for operation in self._done:
                        call(building, copy.update, operation)
                    call(building, copy.flush)
                finally:
                    call(building, copy.close)
                self._replace()
        finally:
            self._done = None
            shard_copy.remove_leftovers(self._path)

    def _replace(self) -> None:
        """Let the copy serve, between two calls."""
        with self._turn:
            self._replacing = True
            try:
                while self._at_work:
                    self._turn.wait()
                call(self._path, self._shard.close)
                try:
                    shard_copy.replace(self._path)
                finally:
                    self._shard = call(self._path, self._edge.EdgeShard.load, str(self._path / SHARD))
            finally:
                self._replacing = False
                self._turn.notify_all()

    def asset(self, name: str) -> bytes | None:
        """A file kept with this generation, or None."""
        return read_asset(self._path, name)

    def assets(self) -> list[str]:
        """Names of the files that are kept."""
        return list_assets(self._path)

    def put_asset(self, name: str, data: bytes) -> None:
        """Keep a file with this generation, atomically."""
        write_atomic(self._path / ASSETS / name, data)

    def drop_asset(self, name: str) -> None:
        """Keep a file no longer."""
        path = self._path / ASSETS / name
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{str(path)!r} cannot be removed: {error.strerror or error}") from error
        sync_directory(path.parent)

    def share(self) -> bool:
        """Take part in it, until one more `close`; False where it is closed, or belongs to the process that was forked."""
        with self._closing:
            mine = self._users > 0 and self._shard is not None
            self._users += mine
            return mine

    def close(self) -> None:
        """Flush and release the directory with the last user; nothing in a process that was forked: it is not its own."""
        with self._closing:
            self._users -= 1
            if self._users == 0 and self._shard is not None:
                try:
                    call(self._path, self._shard.close)
                finally:
                    if self._copy is not None:
                        self._copy.close()

    def abandon(self) -> None:
        """Leave the engine to the process that this one was forked from: its threads are there, and its files.

        Even its destructor would write to them, so it is never run.
        """
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._shard))
        self._shard = None

    def _check_writable(self) -> None:
        if self._copy is not None:
            raise not_writable(self._path, "it was opened as one that may only be read")

    def _run(self, method: str, *arguments: Any) -> Any:
        if self._shard is None:
            raise StoreError(
                f"database {str(self._path)!r} was opened in process {self._process}, before this one was forked; an embedded "
                "database belongs to one process at a time: open it after forking (in gunicorn without --preload), or use a "
                "Qdrant server (give its URL in place of the directory)"
            )
        with self._lock:
            while self._replacing:
                self._turn.wait()
            self._at_work += 1
        try:
            return call(self._path, getattr(self._shard, method), *arguments)
        finally:
            with self._lock:
                self._at_work -= 1
                if self._replacing and not self._at_work:
                    self._turn.notify_all()

    def _update(self, *operations: Any) -> None:
        """Apply changes, and see their entries in the write-ahead log on disk: the engine syncs only when it flushes segments.

        Without this an update survives `kill -9`, but not a power cut.
        """
        self._check_writable()
        require_space(self._path, WRITING_SPACE, "writing")
        with self.writing:
            for operation in operations:
                self._run("update", operation)
                if self._done is not None:
                    self._done.append(operation)
            try:
                sync_contents(self._path / SHARD / _LOG)
            except OSError as error:
                raise StoreError(
                    f"database {str(self._path)!r}: a change cannot be synced to disk: {error.strerror or error}"
                ) from error

    def _has_index(self, path: str) -> bool:
        return path in self._run("info").payload_schema
