"""A database on a Qdrant server or cluster, through qdrant-client.

alias       <name>                         → the serving generation, switched atomically
collection  <name>__<generation>           pictures; the manifest is in its metadata
collection  <name>__<generation>__assets   no vectors: the encoder and the vocabulary in parts, so that a client needs
                                           nothing but the URL
"""

from __future__ import annotations

import base64
import hashlib
import time
import uuid
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from semblant_search.collection import (
    CELLS_VECTOR,
    FEATURES_VECTOR,
    IMAGE_VECTOR,
    ORB_VECTOR,
    FieldType,
    Manifest,
    check_collection_name,
)
from semblant_search.errors import CollectionNotFound, InvalidInput, PointNotFound, StoreError
from semblant_search.where.compiler import Dialect, compile_where, json_path

from .base import Record, ScoredRecord, SparseVector
from .checks import (
    FACET_TYPES,
    by_count,
    check_asset_name,
    check_facet,
    check_generation,
    check_ids,
    check_payload,
    check_points,
    check_query,
    count_values,
    is_generation,
    not_found,
    payload_paths,
)
from .connection import Connection, RetryPolicy, connect
from .quantization import OVERSAMPLING, QUANTILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qdrant_client import QdrantClient

    from semblant_search.where import Where

    from .base import Point, VectorQuery

__all__ = ["QdrantDatabase", "QdrantStore"]

_METADATA = "semblant"
_OLDEST_SERVER = (1, 20)  # the first that matches substrings; prefixes came with 1.19, TurboQuant with 1.18
_ASSETS = "__assets"
_PART = 4_000_000  # bytes of an asset in one point: servers accept requests of 32 MB, base64 adds a third
_REQUEST = 8_000_000  # estimated bytes of points in one request
_LARGE_LIMIT = 10_000


class QdrantDatabase:
    """Collections on a server; see `Database`.

    Args:
        url: `http(s)://host:port`, `grpc(s)://host:port`.
        api_key: for a server that asks for one.
        timeout: seconds for one request, at least 1.
        retry: when to try a request again.
        client: a client of one's own in place of a URL; it stays open.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        retry: RetryPolicy | None = None,
        client: QdrantClient | None = None,
    ) -> None:
        if (url is None) == (client is None):
            raise InvalidInput("a Qdrant database is either a URL or a client, not both or neither")
        self._owned = client is None
        if client is None:
            client = connect(str(url), api_key=api_key, timeout=timeout)
        self._connection = Connection(client, url or "client", retry or RetryPolicy())
        self._version_checked = False

    def __enter__(self) -> QdrantDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"QdrantDatabase({self.location!r})"

    @property
    def location(self) -> str:
        """The URL, for messages."""
        return self._connection.location

    def collections(self) -> dict[str, str]:
        """Names of published collections, each with the name of its serving generation."""
        serving = {}
        for alias in self._connection.call("get_aliases").aliases:
            name, _, generation = alias.collection_name.rpartition("__")
            if name == alias.alias_name and is_generation(generation):
                serving[name] = generation
        return serving

    def generations(self, collection: str) -> list[str]:
        """All generations on the server, oldest first, published or not."""
        check_collection_name(collection)
        found = []
        for description in self._connection.call("get_collections").collections:
            name, _, generation = description.name.rpartition("__")
            if name == collection and is_generation(generation) and self._manifest(collection, generation) is not None:
                found.append(generation)
        return sorted(found, key=lambda generation: int(generation[1:]))

    def open(self, collection: str, generation: str | None = None) -> QdrantStore:
        """Open the serving generation, or a named one. Raises `CollectionNotFound`, `StoreUnavailable`, `StoreDenied`."""
        check_collection_name(collection)
        self._check_version()
        if generation is None:
            serving = self.collections()
            if collection not in serving:
                raise CollectionNotFound(not_found(self.location, collection, serving))
            generation = serving[collection]
        manifest = self._manifest(collection, check_generation(generation))
        if manifest is None:
            there = ", ".join(self.generations(collection)) or "none"
            raise CollectionNotFound(
                f"collection {collection!r} on {self.location!r} has no generation {generation!r}; there: {there}"
            )
        return QdrantStore(self._connection, manifest)

    def create(self, manifest: Manifest) -> QdrantStore:
        """Make a new, empty, unpublished generation; `manifest.generation` must be new."""
        name = _physical(check_collection_name(manifest.collection), check_generation(manifest.generation))
        self._check_version()
        if self._manifest(manifest.collection, manifest.generation) is not None:
            raise StoreError(f"collection {manifest.collection!r} already has a generation {manifest.generation!r}")
        for rest in (name, name + _ASSETS):  # left by a process that was killed before it wrote the manifest
            self._connection.call("delete_collection", rest)
        self._create_collection(name + _ASSETS, vectors_config={}, on_disk_payload=True)
        self._create_collection(name, on_disk_payload=True, **_config(manifest))
        store = QdrantStore(self._connection, manifest)
        store._create_indexes(manifest.fields)
        store._write_manifest(manifest)  # last: only with it the collection counts as a generation
        return store

    def publish(self, collection: str, generation: str) -> None:
        """Make a generation the serving one, atomically."""
        from qdrant_client import models

        if self._manifest(collection, check_generation(generation)) is None:
            raise CollectionNotFound(
                f"collection {collection!r} on {self.location!r} has no generation {generation!r} to publish"
            )
        name = _physical(collection, generation)
        operations: list[Any] = []
        if any(alias.alias_name == collection for alias in self._connection.call("get_aliases").aliases):
            operations.append(models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=collection)))
        create = models.CreateAlias(collection_name=name, alias_name=collection)
        operations.append(models.CreateAliasOperation(create_alias=create))
        self._connection.call("update_collection_aliases", change_aliases_operations=operations)

    def drop(self, collection: str, generation: str) -> None:
        """Delete a generation that is not serving."""
        if self.collections().get(check_collection_name(collection)) == check_generation(generation):
            raise StoreError(f"generation {generation!r} of {collection!r} is serving; publish another one before dropping it")
        for name in (_physical(collection, generation), _physical(collection, generation) + _ASSETS):
            self._connection.call("delete_collection", name)

    def close(self) -> None:
        """Release connections; stores that were opened here end with it."""
        if self._owned:
            self._connection.close()

    def _check_version(self) -> None:
        """Older servers would fail later, at the first filter that they do not know."""
        if self._version_checked:
            return
        version = str(self._connection.call("info").version)
        numbers = [int(part) for part in version.split("-")[0].split(".")[:2] if part.isdigit()]
        if tuple(numbers) < _OLDEST_SERVER:
            raise StoreError(
                f"server {self.location!r} is Qdrant {version}; Semblant needs {'.'.join(map(str, _OLDEST_SERVER))} or later: "
                "update the server"
            )
        self._version_checked = True

    def _manifest(self, collection: str, generation: str) -> Manifest | None:
        name = _physical(collection, generation)
        if not self._connection.call("collection_exists", name):
            return None
        metadata = self._connection.call("get_collection", name).config.metadata or {}
        return Manifest.from_json(metadata[_METADATA]) if _METADATA in metadata else None

    def _create_collection(self, name: str, **config: Any) -> None:
        try:
            self._connection.call("create_collection", name, **config)
        except StoreError:
            # A first try whose answer was lost may have made it; nobody else uses this name.
            if not self._connection.call("collection_exists", name):
                raise


class QdrantStore:
    """One generation on a server; see `Store`. Closing it leaves the connection to its database."""

    def __init__(self, connection: Connection, manifest: Manifest) -> None:
        self._connection = connection
        self._manifest = manifest
        self._name = _physical(manifest.collection, manifest.generation)
        self._dialect = _dialect()
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
        return [_hit(point) for point in self._run("query_points", **self._request(query)).points]

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
        return [[_hit(point) for point in answer.points] for answer in answers]

    def retrieve(self, ids: Sequence[str], *, with_image: bool = False, with_features: bool = False) -> list[Record]:
        """The records of those ids that exist, in no particular order."""
        check_ids(ids)
        if not ids:
            return []
        vectors = [IMAGE_VECTOR] * with_image
        if with_features and self._manifest.orb is not None:
            vectors.append(FEATURES_VECTOR)
        found = self._run("retrieve", ids=list(ids), with_payload=True, with_vectors=vectors or False)
        return [_record(point) for point in found]

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
            yield from map(_record, points)
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
                vectors[FEATURES_VECTOR] = point.features.tolist()
            if point.cells is not None:
                vectors[CELLS_VECTOR] = point.cells.tolist()
            batch.append(models.PointStruct(id=point.id, vector=vectors, payload=dict(point.payload)))
            size += _estimate(point)
            if size > _REQUEST:
                self._run("upsert", points=batch, wait=True)
                batch, size = [], 0
        if batch:
            self._run("upsert", points=batch, wait=True)

    def set_payload(self, id: str, payload: Mapping[str, Any]) -> None:
        """Replace the whole payload of one point and keep its vectors."""
        check_payload(payload, id)
        check_ids([id])
        if not self._run("retrieve", ids=[id], with_payload=False):
            raise PointNotFound(f"collection {self._manifest.collection!r} has no point {id}")
        self._run("overwrite_payload", payload=dict(payload), points=[id], wait=True)

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
        self._create_indexes({name: kind for name, kind in fields.items() if name not in self._manifest.fields})
        self._write_manifest(manifest)
        self._manifest = manifest

    def optimize(self) -> None:
        """Wait until the server, which builds its indexes by itself, is done."""
        while str(getattr(status := self._run("get_collection").status, "value", status)) == "yellow":
            time.sleep(0.5)

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
        old = models.Filter(
            must=[models.FieldCondition(key="asset", match=models.MatchValue(value=name))],
            must_not=[models.FieldCondition(key="version", match=models.MatchValue(value=version))],
        )
        self._assets("delete", points_selector=models.FilterSelector(filter=old), wait=True)

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
        return self._connection.call(method, self._name + _ASSETS, **options)

    def _filter(self, where: Where | None) -> Any:
        return None if where is None else compile_where(where, self._dialect, self._manifest.fields)

    def _request(self, query: VectorQuery) -> dict[str, Any]:
        from qdrant_client import models

        check_query(query, self._manifest)
        vector, limit = query.vector, query.limit
        sparse = isinstance(vector, SparseVector)
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
            "using": ORB_VECTOR if sparse else IMAGE_VECTOR,
            "limit": limit,
            "offset": query.offset,
            "query_filter": self._filter(query.where),
            "with_payload": payload_paths(query.fields),
            "score_threshold": query.score_threshold,
            "search_params": params,
        }

    def _create_indexes(self, fields: Mapping[str, FieldType]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # qdrant-client's local mode says that it has no indexes
            for name, kind in fields.items():
                self._run(
                    "create_payload_index",
                    field_name=json_path(name),
                    field_schema=_index_params(kind, self._manifest),
                    wait=True,
                )

    def _write_manifest(self, manifest: Manifest) -> None:
        self._run("update_collection", metadata={_METADATA: manifest.to_json()})


def _physical(collection: str, generation: str) -> str:
    return f"{collection}__{generation}"


def _asset_id(name: str, version: str = "", part: int = 0) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name}/{version}/{part}"))


def _estimate(point: Point) -> int:
    """Roughly how many bytes a point takes as JSON."""
    features = point.features.size * 4 if point.features is not None else 0
    words = len(point.orb.indices) * 20 if point.orb is not None else 0
    cells = point.cells.size * 20 if point.cells is not None else 0
    return int(point.image.size * 20 + features + words + cells + 500)


def _dialect() -> Dialect:
    from qdrant_client import models

    return Dialect(
        models=models,
        number_range=models.Range,
        time_range=models.DatetimeRange,
        is_empty=lambda path: models.IsEmptyCondition(is_empty=models.PayloadField(key=path)),
        boolean=bool,
    )


def _config(manifest: Manifest) -> dict[str, Any]:
    from qdrant_client import models

    multivector = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    never = models.HnswConfigDiff(m=0)
    on_disk = manifest.storage.on_disk or None
    vectors = {
        IMAGE_VECTOR: models.VectorParams(
            size=manifest.dim,
            distance=models.Distance.COSINE,
            on_disk=on_disk,
            quantization_config=_quantization(manifest.storage.quantize),
            hnsw_config=models.HnswConfigDiff(on_disk=True) if on_disk else None,
        )
    }
    sparse = {}
    if manifest.orb is not None:
        sparse[ORB_VECTOR] = models.SparseVectorParams(modifier=models.Modifier.IDF)
        vectors[FEATURES_VECTOR] = models.VectorParams(
            size=int(manifest.orb["feature_bytes"]),
            distance=models.Distance.DOT,
            datatype=models.Datatype.UINT8,
            multivector_config=multivector,
            hnsw_config=never,  # stored, never searched
            on_disk=True,
        )
    if manifest.encoder.cells is not None:
        vectors[CELLS_VECTOR] = models.VectorParams(
            size=manifest.encoder.cells[1],
            distance=models.Distance.COSINE,
            multivector_config=multivector,
            hnsw_config=never,  # re-ranks, never walks a graph
        )
    return {"vectors_config": vectors, "sparse_vectors_config": sparse or None}


def _quantization(quantize: str | None) -> Any:
    from qdrant_client import models

    if quantize == "scalar":
        scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=QUANTILE, always_ram=True)
        return models.ScalarQuantization(scalar=scalar)
    if quantize == "turbo":
        turbo = models.TurboQuantQuantizationConfig(bits=models.TurboQuantBitSize.BITS4, always_ram=True)
        return models.TurboQuantization(turbo=turbo)
    if quantize == "binary":
        return models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True))
    return None


def _index_params(kind: FieldType, manifest: Manifest) -> Any:
    from qdrant_client import models

    on_disk = manifest.storage.on_disk or None
    if kind is FieldType.KEYWORD:
        return models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, prefix=True, on_disk=on_disk)
    params: dict[FieldType, tuple[Any, Any]] = {
        FieldType.INTEGER: (models.IntegerIndexParams, models.IntegerIndexType.INTEGER),
        FieldType.FLOAT: (models.FloatIndexParams, models.FloatIndexType.FLOAT),
        FieldType.BOOL: (models.BoolIndexParams, models.BoolIndexType.BOOL),
        FieldType.DATETIME: (models.DatetimeIndexParams, models.DatetimeIndexType.DATETIME),
        FieldType.GEO: (models.GeoIndexParams, models.GeoIndexType.GEO),
    }
    make, name = params[kind]
    return make(type=name, on_disk=on_disk)


def _hit(point: Any) -> ScoredRecord:
    return ScoredRecord(str(point.id), point.score, point.payload or {})


def _record(point: Any) -> Record:
    vectors = point.vector or {}
    image, features = vectors.get(IMAGE_VECTOR), vectors.get(FEATURES_VECTOR)
    return Record(
        id=str(point.id),
        payload=point.payload or {},
        image=None if image is None else np.asarray(image, dtype=np.float32),
        features=None if features is None else np.asarray(features, dtype=np.uint8),
    )
