"""One generation on Qdrant Edge: the Rust engine in this process, over files in a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from semblant_search.collection import (
    CELLS_VECTOR,
    FEATURES_VECTOR,
    IMAGE_VECTOR,
    ORB_VECTOR,
    RESERVED_FIELDS,
    FieldType,
    Manifest,
)
from semblant_search.errors import InvalidInput, NotADatabase, StoreError
from semblant_search.store.checks import (
    FACET_TYPES,
    by_count,
    cells_asked,
    check_asset_name,
    check_facet,
    check_found,
    check_ids,
    check_payload,
    check_points,
    check_query,
    count_values,
    payload_paths,
)
from semblant_search.store.engines.feature_numbers import to_numbers
from semblant_search.store.engines.quantization import OVERSAMPLING
from semblant_search.store.files import bytes_on_disk, make_directory, require_space, sync_contents, write_atomic
from semblant_search.store.records import Record, ScoredRecord, SparseVector
from semblant_search.where.compiler import compile_where, json_path

from .translation import call, config, dialect, index_params, load_engine, record_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from semblant_search.store.records import Point, VectorQuery
    from semblant_search.where import Where

__all__ = ["EdgeStore", "create_generation", "read_manifest"]

MANIFEST = "manifest.json"
_SHARD = "shard"
_ASSETS = "assets"
_LOG = "wal"
# The engine writes through memory maps of files with holes: on a full disk the system ends the process (SIGBUS) where another
# program would get an error. So room is asked for first: for the two logs and some chunks of 32 MB that files grow by.
_OPENING_SPACE = 128_000_000
_WRITING_SPACE = 256_000_000
_LARGE_LIMIT = 10_000  # above it, a limit is cut to the points there are: the engine reserves memory for all of it


def create_generation(path: Path, manifest: Manifest) -> None:
    """Lay out an empty generation in the directory `path`; its manifest is written last and makes it count as one."""
    edge = load_engine()
    make_directory(path / _ASSETS)
    require_space(path, _WRITING_SPACE, "a new collection")
    shard = call(path, edge.EdgeShard.create, str(path / _SHARD), config(edge, manifest))
    try:
        for name, kind in manifest.fields.items():
            if name not in RESERVED_FIELDS:  # those come last, see `optimize`
                params = index_params(edge, name, kind, manifest)
                call(path, shard.update, edge.UpdateOperation.create_field_index(json_path(name), params))
        call(path, shard.flush)
    finally:
        shard.close()
    write_manifest(path, manifest)


def read_manifest(path: Path) -> Manifest:
    """The manifest of the generation in `path`. Raises `NotADatabase` if it is not there or not readable."""
    import json

    try:
        data = json.loads((path / MANIFEST).read_bytes())
    except OSError as error:
        raise NotADatabase(f"{str(path / MANIFEST)!r} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise NotADatabase(f"{str(path / MANIFEST)!r} is damaged (not JSON); index again into a new database") from error
    if not isinstance(data, dict):
        raise NotADatabase(f"{str(path / MANIFEST)!r} is not a manifest; index again into a new database")
    return Manifest.from_json(data)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Replace the manifest of the generation in `path`, atomically."""
    import json

    write_atomic(path / MANIFEST, json.dumps(manifest.to_json(), ensure_ascii=False, indent=1).encode())


class EdgeStore:
    """One generation in a directory; see `Store`.

    Opening it locks the directory for this process until `close`. Reads and writes may come from many threads.

    Raises:
        StoreLocked: another process, or another `EdgeStore` of this one, has it open.
    """

    def __init__(self, path: Path) -> None:
        self._edge = load_engine()
        self._path = path
        self._manifest = read_manifest(path)
        self._dialect = dialect(self._edge)
        require_space(path, _OPENING_SPACE, "opening a database")
        self._shard: Any = call(path, self._edge.EdgeShard.load, str(path / _SHARD))

    def __enter__(self) -> EdgeStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"EdgeStore({str(self._path)!r})"

    @property
    def manifest(self) -> Manifest:
        """What this generation remembers about itself."""
        return self._manifest

    def query(self, query: VectorQuery) -> list[ScoredRecord]:
        """Hits, best first."""
        hits = self._run("query", self._request(query))
        return _scored(hits, query)

    def query_batch(self, queries: Sequence[VectorQuery]) -> list[list[ScoredRecord]]:
        """Several queries in one request."""
        if not queries:
            return []
        request = self._edge.QueryBatchRequest([self._request(query) for query in queries])
        return [_scored(hits, query) for hits, query in zip(self._run("query_batch", request), queries, strict=True)]

    def retrieve(
        self, ids: Sequence[str], *, with_image: bool = False, with_features: bool = False, with_cells: bool = False
    ) -> list[Record]:
        """The records of those ids that exist, in no particular order."""
        check_ids(ids)
        vectors = [IMAGE_VECTOR] * with_image
        if with_features and self._manifest.orb is not None:
            vectors.append(FEATURES_VECTOR)
        if with_cells and self._manifest.encoder.cells is not None:
            vectors.append(CELLS_VECTOR)
        found = self._run("retrieve", list(ids), True, vectors or False)
        return [record_of(point) for point in found]

    def scroll(
        self,
        *,
        where: Where | None = None,
        fields: Sequence[str] | None = None,
        with_image: bool = False,
        batch: int = 1000,
    ) -> Iterator[Record]:
        """All records that match, in the order of their ids. Bad filters raise here, not at the first record."""
        if batch < 1:
            raise InvalidInput(f"batch {batch}: expected at least 1")
        request = {
            "limit": batch,
            "filter": self._filter(where),
            "with_payload": payload_paths(fields),
            "with_vector": [IMAGE_VECTOR] if with_image else False,
        }
        return self._pages(request)

    def _pages(self, request: dict[str, Any]) -> Iterator[Record]:
        offset = None
        while True:
            points, offset = self._run("scroll", self._edge.ScrollRequest(offset=offset, **request))
            yield from map(record_of, points)
            if offset is None:
                return

    def count(self, where: Where | None = None) -> int:
        """How many records match, exactly."""
        return int(self._run("count", self._edge.CountRequest(exact=True, filter=self._filter(where))))

    def facet(self, field: str, *, where: Where | None = None, limit: int = 100) -> dict[Any, int]:
        """Distinct values of a field with their exact counts, most frequent first, ties by value."""
        if check_facet(field, limit, self._manifest) not in FACET_TYPES or not self._has_index(field):
            return by_count(count_values(self, field, where), limit)
        request = self._edge.FacetRequest(json_path(field), limit=limit, exact=True, filter=self._filter(where))
        return by_count({hit.value: hit.count for hit in self._run("facet", request).hits}, limit)

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points; an existing id is replaced whole. In the write-ahead log, and that on disk, on return."""
        if not points:
            return
        images = check_points(points, self._manifest).tolist()
        edge, batch = self._edge, []
        for point, image in zip(points, images, strict=True):
            check_payload(point.payload, point.id)
            vectors: dict[str, Any] = {IMAGE_VECTOR: image}
            if point.orb is not None and len(point.orb.indices):
                vectors[ORB_VECTOR] = edge.SparseVector(point.orb.indices.tolist(), point.orb.values.tolist())
            if point.features is not None and len(point.features):
                vectors[FEATURES_VECTOR] = to_numbers(point.features).tolist()
            if point.cells is not None:
                vectors[CELLS_VECTOR] = point.cells.tolist()
            batch.append(edge.Point(point.id, vectors, dict(point.payload)))
        self._update(edge.UpdateOperation.upsert_points(batch))

    def set_payloads(self, payloads: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace the whole payload of points and keep their vectors; all of them have to be there."""
        ids = list(payloads)
        check_ids(ids)
        for id, payload in payloads.items():
            check_payload(payload, id)
        check_found(ids, self._run("retrieve", ids, False, False) if ids else [], self._manifest)
        change = self._edge.UpdateOperation.overwrite_payload
        self._update(*(change([id], dict(payload)) for id, payload in payloads.items()))

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points; unknown ids are no error."""
        check_ids(ids)
        if ids:
            self._update(self._edge.UpdateOperation.delete_points(list(ids)))

    def add_fields(self, fields: Mapping[str, FieldType]) -> None:
        """Create payload indexes and remember them in the manifest; raises `MetadataError` where a type changes."""
        manifest = self._manifest.with_fields(fields)
        for name in manifest.fields.keys() - self._manifest.fields.keys():
            if name not in RESERVED_FIELDS:
                self._create_index(name, manifest)
        if manifest != self._manifest:
            write_manifest(self._path, manifest)
            self._manifest = manifest

    def optimize(self) -> None:
        """Merge segments, build HNSW graphs and write everything to disk; blocks until done."""
        # New segments are complete before old ones go.
        require_space(self._path, bytes_on_disk(self._path / _SHARD) + _WRITING_SPACE, "building the search index")
        self._run("optimize")
        # The graph links pictures that share a value of the user's fields, so their indexes come before it. The graph does not
        # use those of Semblant's own facts, and to build them once at the end takes half the time of keeping them all along.
        for name in RESERVED_FIELDS.keys() & self._manifest.fields.keys():
            if not self._has_index(name):
                self._create_index(name, self._manifest)
        self._run("flush")

    def asset(self, name: str) -> bytes | None:
        """A file kept with this generation, or None."""
        path = self._asset_path(name)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error

    def put_asset(self, name: str, data: bytes) -> None:
        """Keep a file with this generation, atomically."""
        write_atomic(self._asset_path(name), data)

    def close(self) -> None:
        """Flush and release the directory; further calls raise `StoreError`."""
        shard, self._shard = self._shard, None
        if shard is not None:
            call(self._path, shard.close)

    def _asset_path(self, name: str) -> Path:
        check_asset_name(name)
        if self._shard is None:
            raise StoreError(f"{str(self._path)!r} is closed; open it again")
        return self._path / _ASSETS / name

    def _run(self, method: str, *arguments: Any) -> Any:
        if self._shard is None:
            raise StoreError(f"{str(self._path)!r} is closed; open it again")
        return call(self._path, getattr(self._shard, method), *arguments)

    def _update(self, *operations: Any) -> None:
        """Apply changes, and see their entries in the write-ahead log on disk: the engine syncs only when it flushes segments.

        Without this an update survives `kill -9`, but not a power cut.
        """
        require_space(self._path, _WRITING_SPACE, "writing")
        for operation in operations:
            self._run("update", operation)
        try:
            sync_contents(self._path / _SHARD / _LOG)
        except OSError as error:
            raise StoreError(
                f"database {str(self._path)!r}: a change cannot be synced to disk: {error.strerror or error}"
            ) from error

    def _create_index(self, name: str, manifest: Manifest) -> None:
        params = index_params(self._edge, name, manifest.fields[name], manifest)
        self._update(self._edge.UpdateOperation.create_field_index(json_path(name), params))

    def _has_index(self, name: str) -> bool:
        return json_path(name) in self._run("info").payload_schema

    def _filter(self, where: Where | None) -> Any:
        return None if where is None else compile_where(where, self._dialect, self._manifest.fields)

    def _request(self, query: VectorQuery) -> Any:
        check_query(query, self._manifest)
        edge, vector, limit = self._edge, query.vector, query.limit
        if isinstance(vector, SparseVector):
            nearest = edge.Query.Nearest(edge.SparseVector(vector.indices.tolist(), vector.values.tolist()), using=ORB_VECTOR)
        else:
            nearest = edge.Query.Nearest(vector.tolist(), using=IMAGE_VECTOR if vector.ndim == 1 else CELLS_VECTOR)
        if limit > _LARGE_LIMIT:
            limit = max(1, min(limit, self.count()))
        params, quantize = None, self._manifest.storage.quantize
        if query.exact or query.ef_search is not None or quantize is not None:
            quantization = None
            if quantize is not None:
                quantization = edge.QuantizationSearchParams(
                    ignore=query.exact, rescore=True, oversampling=OVERSAMPLING[quantize]
                )
            params = edge.SearchParams(hnsw_ef=query.ef_search, exact=query.exact, quantization=quantization)
        return edge.QueryRequest(
            limit=limit,
            offset=query.offset,
            query=nearest,
            with_payload=payload_paths(query.fields),
            filter=self._filter(query.where),
            score_threshold=None if query.score_threshold is None else query.score_threshold * cells_asked(query),
            params=params,
        )


def _scored(hits: Sequence[Any], query: VectorQuery) -> list[ScoredRecord]:
    cells = cells_asked(query)
    return [ScoredRecord(str(hit.id), hit.score / cells, hit.payload or {}) for hit in hits]
