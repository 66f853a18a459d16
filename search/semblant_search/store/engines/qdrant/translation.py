"""How a Qdrant server is spoken to: names, filters, vectors, indexes and records in qdrant-client's terms."""

from __future__ import annotations

from typing import Any

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
from semblant_search.store.engines.quantization import QUANTILE
from semblant_search.store.records import Record, ScoredRecord
from semblant_search.where.compiler import Dialect

__all__ = ["ASSETS", "METADATA", "config", "dialect", "hit_of", "index_params", "physical_name", "record_of"]

METADATA = "semblant"
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


def index_params(kind: FieldType, manifest: Manifest) -> Any:
    """The payload index of a field."""
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


def hit_of(point: Any, cells: int) -> ScoredRecord:
    """A `ScoredRecord` from what a query returns; `cells` as `checks.cells_asked` has it."""
    return ScoredRecord(str(point.id), point.score / cells, point.payload or {})


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
