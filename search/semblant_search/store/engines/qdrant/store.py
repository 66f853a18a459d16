"""One generation on a Qdrant server or cluster."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
import warnings
from typing import TYPE_CHECKING, Any

from semblant_search.collection import (
    CELLS_VECTOR,
    FEATURES_VECTOR,
    IMAGE_VECTOR,
    ORB_VECTOR,
    FieldType,
    Manifest,
)
from semblant_search.errors import InvalidInput, StoreError
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
from semblant_search.store.records import Record, ScoredRecord, SparseVector
from semblant_search.where.compiler import compile_where, json_path

from .translation import ASSETS, METADATA, dialect, hit_of, index_params, physical_name, record_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from semblant_search.store.records import Point, VectorQuery
    from semblant_search.where import Where

    from .connection import Connection


__all__ = ["QdrantStore"]

_PART = 4_000_000  # bytes of an asset in one point: servers accept requests of 32 MB, base64 adds a third
_REQUEST = 8_000_000  # estimated bytes of points in one request
_LARGE_LIMIT = 10_000


class QdrantStore:
    """One generation on a server; see `Store`. Closing it leaves the connection to its database."""

    def __init__(self, connection: Connection, manifest: Manifest) -> None:
        self._connection = connection
        self._manifest = manifest
        self._name = physical_name(manifest.collection, manifest.generation)
        self._dialect = dialect()
        self._closed = False

    def __enter__(self) -> QdrantStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"QdrantStore({self._connection.location!r}, {self._name!r})"

    @property
    def manifest(self) -> Manifest:
        """What this generation remembers about itself."""
        return self._manifest

    def query(self, query: VectorQuery) -> list[ScoredRecord]:
        """Hits, best first."""
        cells = cells_asked(query)
        return [hit_of(point, cells) for point in self._run("query_points", **self._request(query)).points]

    def query_batch(self, queries: Sequence[VectorQuery]) -> list[list[ScoredRecord]]:
        """Several queries in one request."""
        from qdrant_client import models

        if not queries:
            return []
        names = {"query_filter": "filter", "search_params": "params", "with_vectors": "with_vector"}
        requests = []
        for query in queries:
            options = self._request(query)
            requests.append(models.QueryRequest(**{names.get(key, key): value for key, value in options.items()}))
        answers = self._run("query_batch_points", requests=requests)
        pairs = zip(answers, queries, strict=True)
        return [[hit_of(point, cells_asked(query)) for point in answer.points] for answer, query in pairs]

    def retrieve(
        self, ids: Sequence[str], *, with_image: bool = False, with_features: bool = False, with_cells: bool = False
    ) -> list[Record]:
        """The records of those ids that exist, in no particular order."""
        check_ids(ids)
        if not ids:
            return []
        vectors = [IMAGE_VECTOR] * with_image
        if with_features and self._manifest.orb is not None:
            vectors.append(FEATURES_VECTOR)
        if with_cells and self._manifest.encoder.cells is not None:
            vectors.append(CELLS_VECTOR)
        found = self._run("retrieve", ids=list(ids), with_payload=True, with_vectors=vectors or False)
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
            "scroll_filter": self._filter(where),
            "with_payload": payload_paths(fields),
            "with_vectors": [IMAGE_VECTOR] if with_image else False,
        }
        return self._pages(request)

    def _pages(self, request: dict[str, Any]) -> Iterator[Record]:
        offset = None
        while True:
            points, offset = self._run("scroll", offset=offset, **request)
            yield from map(record_of, points)
            if offset is None:
                return

    def count(self, where: Where | None = None) -> int:
        """How many records match, exactly."""
        return int(self._run("count", count_filter=self._filter(where), exact=True).count)

    def facet(self, field: str, *, where: Where | None = None, limit: int = 100) -> dict[Any, int]:
        """Distinct values of a field with their exact counts, most frequent first, ties by value."""
        if check_facet(field, limit, self._manifest) not in FACET_TYPES:
            return by_count(count_values(self, field, where), limit)
        answer = self._run("facet", key=json_path(field), facet_filter=self._filter(where), limit=limit, exact=True)
        return by_count({hit.value: hit.count for hit in answer.hits}, limit)

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points; an existing id is replaced whole. Applied on the server on return."""
        from qdrant_client import models

        if not points:
            return
        images = check_points(points, self._manifest).tolist()
        batch: list[models.PointStruct] = []
        size = 0
        for point, image in zip(points, images, strict=True):
            check_payload(point.payload, point.id)
            vectors: dict[str, Any] = {IMAGE_VECTOR: image}
            if point.orb is not None and len(point.orb.indices):
                vectors[ORB_VECTOR] = models.SparseVector(indices=point.orb.indices.tolist(), values=point.orb.values.tolist())
            if point.features is not None and len(point.features):
                vectors[FEATURES_VECTOR] = to_numbers(point.features).tolist()
            if point.cells is not None:
                vectors[CELLS_VECTOR] = point.cells.tolist()
            batch.append(models.PointStruct(id=point.id, vector=vectors, payload=dict(point.payload)))
            size += _estimate(point)
            if size > _REQUEST:
                self._run("upsert", points=batch, wait=True)
                batch, size = [], 0
        if batch:
            self._run("upsert", points=batch, wait=True)

    def set_payloads(self, payloads: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace the whole payload of points and keep their vectors; all of them have to be there."""
        from qdrant_client import models

        ids = list(payloads)
        check_ids(ids)
        for id, payload in payloads.items():
            check_payload(payload, id)
        if not ids:
            return
        check_found(ids, self._run("retrieve", ids=ids, with_payload=False), self._manifest)
        batch: list[models.OverwritePayloadOperation] = []
        size = 0
        for id, payload in payloads.items():
            change = models.SetPayload(payload=dict(payload), points=[id])
            batch.append(models.OverwritePayloadOperation(overwrite_payload=change))
            size += _payload_size(payload)
            if size > _REQUEST:
                self._run("batch_update_points", update_operations=batch, wait=True)
                batch, size = [], 0
        if batch:
            self._run("batch_update_points", update_operations=batch, wait=True)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points; unknown ids are no error."""
        check_ids(ids)
        if ids:
            self._run("delete", points_selector=list(ids), wait=True)

    def add_fields(self, fields: Mapping[str, FieldType]) -> None:
        """Create payload indexes and remember them in the manifest; raises `MetadataError` where a type changes."""
        manifest = self._manifest.with_fields(fields)
        if manifest == self._manifest:
            return
        self.create_indexes({name: kind for name, kind in fields.items() if name not in self._manifest.fields})
        self.write_manifest(manifest)
        self._manifest = manifest

    def optimize(self) -> None:
        """Wait until the server, which builds its indexes by itself, is done, or makes no progress (`RetryPolicy.stall`)."""
        from qdrant_client import models

        before, since, pause, asked = None, time.monotonic(), 0.05, False
        while (state := self._progress())[0] in ("yellow", "grey"):
            if state != before:
                before, since = state, time.monotonic()
            elif state[0] == "grey" and not asked:
                # A restarted server leaves what is pending until something changes, if only its settings to what they are.
                self._run("update_collection", optimizers_config=models.OptimizersConfigDiff())
                asked = True
            elif time.monotonic() - since >= self._connection.retry.stall:
                return
            time.sleep(pause)
            pause = min(2 * pause, 0.5)

    def _progress(self) -> tuple[str, int | None, int]:
        """The collection's colour, indexed vectors, and segments."""
        info = self._run("get_collection")
        return str(getattr(info.status, "value", info.status)), info.indexed_vectors_count, info.segments_count

    def asset(self, name: str) -> bytes | None:
        """A file kept with this generation, or None."""
        check_asset_name(name)
        head = self._assets("retrieve", ids=[_asset_id(name)], with_payload=True)
        if not head:
            return None
        facts = head[0].payload
        parts = []
        for part in range(facts["parts"]):  # one by one: a request for all of them may be too large to answer
            found = self._assets("retrieve", ids=[_asset_id(name, facts["version"], part)], with_payload=True)
            if not found:
                raise StoreError(f"asset {name!r} of {self._name!r} is incomplete: part {part + 1} is missing; index again")
            parts.append(base64.b64decode(found[0].payload["data"]))
        data = b"".join(parts)
        if hashlib.sha256(data).hexdigest() != facts["sha256"]:
            raise StoreError(f"asset {name!r} of {self._name!r} is damaged (its SHA-256 differs); index again")
        return data

    def put_asset(self, name: str, data: bytes) -> None:
        """Keep a file with this generation, atomically: readers see the old parts until the new ones are all there."""
        from qdrant_client import models

        check_asset_name(name)
        version = uuid.uuid4().hex
        parts = [data[start : start + _PART] for start in range(0, len(data), _PART)]
        for number, part in enumerate(parts):
            payload = {"asset": name, "version": version, "data": base64.b64encode(part).decode()}
            point = models.PointStruct(id=_asset_id(name, version, number), vector={}, payload=payload)
            self._assets("upsert", points=[point], wait=True)
        facts = {"name": name, "version": version, "parts": len(parts), "sha256": hashlib.sha256(data).hexdigest()}
        self._assets("upsert", points=[models.PointStruct(id=_asset_id(name), vector={}, payload=facts)], wait=True)
        old = list(self._old_parts(name, version))
        if old:
            self._assets("delete", points_selector=old, wait=True)

    def _old_parts(self, name: str, version: str) -> Iterator[str]:
        """Parts of other versions. All are looked through: strict mode refuses a filter on fields without an index."""
        offset = None
        while True:
            parts, offset = self._assets("scroll", offset=offset, limit=100, with_payload=["asset", "version"])
            for part in parts:
                if part.payload.get("asset") == name and part.payload["version"] != version:
                    yield str(part.id)
            if offset is None:
                return

    def close(self) -> None:
        """Further calls raise `StoreError`; the connection belongs to the database."""
        self._closed = True

    def _run(self, method: str, **options: Any) -> Any:
        if self._closed:
            raise StoreError(f"collection {self._manifest.collection!r} is closed; open it again")
        return self._connection.call(method, self._name, **options)

    def _assets(self, method: str, **options: Any) -> Any:
        if self._closed:
            raise StoreError(f"collection {self._manifest.collection!r} is closed; open it again")
        return self._connection.call(method, self._name + ASSETS, **options)

    def _filter(self, where: Where | None) -> Any:
        return None if where is None else compile_where(where, self._dialect, self._manifest.fields)

    def _request(self, query: VectorQuery) -> dict[str, Any]:
        from qdrant_client import models

        check_query(query, self._manifest)
        vector, limit = query.vector, query.limit
        nearest = (
            models.SparseVector(indices=vector.indices.tolist(), values=vector.values.tolist())
            if isinstance(vector, SparseVector)
            else vector.tolist()
        )
        if limit > _LARGE_LIMIT:
            limit = max(1, min(limit, self.count()))
        params, quantize = None, self._manifest.storage.quantize
        if query.exact or query.ef_search is not None or quantize is not None:
            quantization = None
            if quantize is not None:
                quantization = models.QuantizationSearchParams(
                    ignore=query.exact, rescore=True, oversampling=OVERSAMPLING[quantize]
                )
            params = models.SearchParams(hnsw_ef=query.ef_search, exact=query.exact, quantization=quantization)
        return {
            "query": nearest,
            "using": ORB_VECTOR if isinstance(vector, SparseVector) else IMAGE_VECTOR if vector.ndim == 1 else CELLS_VECTOR,
            "limit": limit,
            "offset": query.offset,
            "query_filter": self._filter(query.where),
            "with_payload": payload_paths(query.fields),
            "score_threshold": None if query.score_threshold is None else query.score_threshold * cells_asked(query),
            "search_params": params,
        }

    def create_indexes(self, fields: Mapping[str, FieldType]) -> None:
        """Make payload indexes; the manifest is not touched."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # qdrant-client's local mode says that it has no indexes
            for name, kind in fields.items():
                self._run(
                    "create_payload_index",
                    field_name=json_path(name),
                    field_schema=index_params(kind, self._manifest),
                    wait=True,
                )

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest in the collection's metadata."""
        self._run("update_collection", metadata={METADATA: manifest.to_json()})


def _asset_id(name: str, version: str = "", part: int = 0) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name}/{version}/{part}"))


def _estimate(point: Point) -> int:
    """Roughly how many bytes a point takes as JSON."""
    features = point.features.size * 5 if point.features is not None else 0
    words = len(point.orb.indices) * 20 if point.orb is not None else 0
    cells = point.cells.size * 20 if point.cells is not None else 0
    return int(point.image.size * 20 + features + words + cells + _payload_size(point.payload))


def _payload_size(payload: Mapping[str, Any]) -> int:
    """How many bytes a payload takes as JSON, at most, with what surrounds it in a request."""
    return len(json.dumps(dict(payload))) + 500
