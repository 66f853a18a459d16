"""How a Qdrant server is spoken to: names, filters, vectors, indexes and records in qdrant-client's terms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from semblant_search.collection import (
    CELLS_VECTOR,
    FEATURES_VECTOR,
    IMAGE_VECTOR,
    ORB_VECTOR,
    FieldType,
    Manifest,
)
from semblant_search.store.engines.feature_numbers import NUMBER_BYTES, from_numbers
from semblant_search.store.engines.payload_indexes import in_graph
from semblant_search.store.engines.quantization import OVERSAMPLING, QUANTILE
from semblant_search.store.queries import Cells, Discover, Mmr, Nearest, Recommend, Sparse
from semblant_search.store.records import Record, ScoredRecord
from semblant_search.where.compiler import Dialect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.collection import StorageOptions
    from semblant_search.store.engines.base import Search
    from semblant_search.store.queries import Query

__all__ = [
    "ASSETS",
    "METADATA",
    "Searches",
    "config",
    "dialect",
    "index_params",
    "manifest_of",
    "physical_name",
    "record_of",
    "scored",
    "spread",
]

METADATA = "semblant"
_SPREAD = {
    "shards": "shard_number",
    "replicas": "replication_factor",
    "write_consistency": "write_consistency_factor",
}
ASSETS = "__assets"


def physical_name(collection: str, generation: str) -> str:
    """The name of a generation's collection on the server."""
    return f"{collection}__{generation}"


def dialect() -> Dialect:
    """How qdrant-client spells filters."""
    from qdrant_client import models

    return Dialect(
        models=models,
        number_range=models.Range,
        time_range=models.DatetimeRange,
        is_empty=lambda path: models.IsEmptyCondition(is_empty=models.PayloadField(key=path)),
        boolean=bool,
    )


def config(manifest: Manifest) -> dict[str, Any]:
    """Arguments of `create_collection`: the vectors and how they are kept."""
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
            size=int(manifest.orb["feature_bytes"]) // NUMBER_BYTES,
            distance=models.Distance.DOT,
            multivector_config=multivector,
            hnsw_config=never,  # stored, never searched
            on_disk=True,
        )
    if manifest.encoder.cells is not None:
        vectors[CELLS_VECTOR] = models.VectorParams(
            size=manifest.encoder.cells[1],
            distance=models.Distance.COSINE,
            multivector_config=multivector,
            hnsw_config=never,  # compared with every picture, never by a graph
        )
    return {"vectors_config": vectors, "sparse_vectors_config": sparse or None}


def spread(storage: StorageOptions) -> dict[str, Any]:
    """Arguments of `create_collection`: over how many nodes it is spread."""
    return {_SPREAD[name]: value for name, value in storage.spread.items()}


def manifest_of(info: Any) -> Manifest | None:
    """What a collection's metadata say, None where there is none; of what was said of its replicas, what they are now."""
    metadata, params = info.config.metadata or {}, info.config.params
    if METADATA not in metadata:
        return None
    manifest = Manifest.from_json(metadata[METADATA])
    now: dict[str, Any] = {
        name: getattr(params, _SPREAD[name], None) or value for name, value in manifest.storage.spread.items()
    }
    return replace(manifest, storage=replace(manifest.storage, **now))


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


def index_params(name: str, kind: FieldType, *, on_disk: bool) -> Any:
    """The payload index of a field."""
    from qdrant_client import models

    options: dict[str, Any] = {"on_disk": on_disk or None, "enable_hnsw": None if in_graph(name) else False}
    if kind is FieldType.KEYWORD:
        return models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, prefix=True, **options)
    params: dict[FieldType, tuple[Any, Any]] = {
        FieldType.INTEGER: (models.IntegerIndexParams, models.IntegerIndexType.INTEGER),
        FieldType.FLOAT: (models.FloatIndexParams, models.FloatIndexType.FLOAT),
        FieldType.BOOL: (models.BoolIndexParams, models.BoolIndexType.BOOL),
        FieldType.DATETIME: (models.DatetimeIndexParams, models.DatetimeIndexType.DATETIME),
        FieldType.GEO: (models.GeoIndexParams, models.GeoIndexType.GEO),
    }
    make, type_ = params[kind]
    return make(type=type_, **options)


class Searches:
    """Requests of one generation, as arguments of `query_points` and as models for a batch."""

    def __init__(self, quantize: str | None) -> None:
        self._quantize = quantize

    def options(self, search: Search, oversampling: float | None = None) -> dict[str, Any]:
        """Arguments of `query_points`; `oversampling` is the most that the server allows."""
        query, using = _query(search.query)
        return {
            "query": query,
            "using": using,
            "limit": search.limit,
            "offset": search.offset,
            "query_filter": search.filter,
            "with_payload": search.paths,
            "score_threshold": search.score_threshold,
            "search_params": self._params(search, oversampling),
        }

    def request(self, search: Search, oversampling: float | None = None) -> Any:
        """The `QueryRequest` of a search."""
        from qdrant_client import models

        query, using = _query(search.query)
        return models.QueryRequest(
            query=query,
            using=using,
            limit=search.limit,
            offset=search.offset,
            filter=search.filter,
            with_payload=search.paths,
            score_threshold=search.score_threshold,
            params=self._params(search, oversampling),
        )

    def _params(self, search: Search, most: float | None) -> Any:
        from qdrant_client import models

        if not search.exact and search.ef_search is None and self._quantize is None:
            return None
        quantization = None
        if self._quantize is not None:
            wanted = OVERSAMPLING[self._quantize]
            quantization = models.QuantizationSearchParams(
                ignore=search.exact, rescore=True, oversampling=wanted if most is None else min(wanted, most)
            )
        return models.SearchParams(hnsw_ef=search.ef_search, exact=search.exact, quantization=quantization)


def _query(query: Query) -> tuple[Any, str]:
    """A query, and the name of the vector that it is about."""
    from qdrant_client import models

    if isinstance(query, Nearest):
        return query.vector.tolist(), IMAGE_VECTOR
    if isinstance(query, Sparse):
        words = query.words
        return models.SparseVector(indices=words.indices.tolist(), values=words.values.tolist()), ORB_VECTOR
    if isinstance(query, Cells):
        return query.cells.tolist(), CELLS_VECTOR
    if isinstance(query, Recommend):
        positive, negative = ([vector.tolist() for vector in each] for each in (query.positive, query.negative))
        examples = models.RecommendInput(positive=positive, negative=negative, strategy=models.RecommendStrategy.BEST_SCORE)
        return models.RecommendQuery(recommend=examples), IMAGE_VECTOR
    if isinstance(query, Discover):
        pairs = [models.ContextPair(positive=good.tolist(), negative=bad.tolist()) for good, bad in query.context]
        return models.DiscoverQuery(discover=models.DiscoverInput(target=query.target.tolist(), context=pairs)), IMAGE_VECTOR
    assert isinstance(query, Mmr)
    mmr = models.Mmr(diversity=query.diversity, candidates_limit=query.candidates)
    return models.NearestQuery(nearest=query.vector.tolist(), mmr=mmr), IMAGE_VECTOR


def scored(points: Sequence[Any], scale: int) -> list[ScoredRecord]:
    """Hits from what a query returns."""
    return [ScoredRecord(str(point.id), point.score / scale, point.payload or {}) for point in points]


def record_of(point: Any) -> Record:
    """A `Record` from what a scroll or a retrieve returns."""
    vectors = point.vector or {}
    image, features, cells = (vectors.get(name) for name in (IMAGE_VECTOR, FEATURES_VECTOR, CELLS_VECTOR))
    return Record(
        id=str(point.id),
        payload=point.payload or {},
        image=None if image is None else np.asarray(image, dtype=np.float32),
        features=None if features is None else from_numbers(features),
        cells=None if cells is None else np.asarray(cells, dtype=np.float32),
    )
