"""How Qdrant Edge is spoken to: loading it, its errors, filters, vectors, indexes and records."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np

from semblant_search.collection import (
    CELLS_VECTOR,
    FEATURES_VECTOR,
    IMAGE_VECTOR,
    ORB_VECTOR,
    RESERVED_FIELDS,
    FieldType,
    Manifest,
)
from semblant_search.errors import MissingExtra, StoreError, StoreLocked
from semblant_search.store.engines.feature_numbers import NUMBER_BYTES, from_numbers
from semblant_search.store.engines.quantization import QUANTILE
from semblant_search.store.records import Record
from semblant_search.where.compiler import Dialect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType


__all__ = ["call", "config", "dialect", "index_params", "load_engine", "record_of"]


def load_engine() -> ModuleType:
    """The module `qdrant_edge`. Raises `MissingExtra`."""
    try:
        import qdrant_edge
    except ImportError as error:
        raise MissingExtra("a database in a directory", "semblant-search[edge]") from error
    return qdrant_edge


def call(path: Path, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call the engine; it raises plain `Exception` for everything, and a `BaseException` for a Rust panic."""
    try:
        return function(*arguments)
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        text = str(error)
        if "WouldBlock" in text:
            raise StoreLocked(
                f"database {str(path)!r} is open in another process, or twice in this one; an embedded database belongs to one "
                "process at a time: close the other one, or use a Qdrant server (give its URL in place of the directory)"
            ) from error
        if "No space left" in text:
            raise StoreError(f"database {str(path)!r}: the disk is full; make room and run it again ({text})") from error
        raise StoreError(f"database {str(path)!r}: {text}") from error


def dialect(edge: ModuleType) -> Dialect:
    """How Edge spells filters."""
    return Dialect(
        models=edge,
        number_range=edge.RangeFloat,
        time_range=edge.RangeDateTime,
        is_empty=edge.IsEmptyCondition,
        # Edge reads a Python bool as the integer that it also is; NumPy's bool is only a bool.
        boolean=np.bool_,
    )


def config(edge: ModuleType, manifest: Manifest) -> Any:
    """The `EdgeConfig` of a generation: its vectors and how they are kept."""
    multivector = edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim)
    cold = edge.Memory.Cold if manifest.storage.on_disk else None
    vectors = {
        IMAGE_VECTOR: edge.EdgeVectorParams(
            size=manifest.dim,
            distance=edge.Distance.Cosine,
            memory=cold,
            quantization_config=_quantization(edge, manifest.storage.quantize),
            # The engine's own numbers, which it takes only together.
            hnsw_config=edge.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=10_000, memory=cold) if cold else None,
        )
    }
    sparse = {}
    if manifest.orb is not None:
        sparse[ORB_VECTOR] = edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)
        vectors[FEATURES_VECTOR] = edge.EdgeVectorParams(
            size=int(manifest.orb["feature_bytes"]) // NUMBER_BYTES,
            distance=edge.Distance.Dot,
            multivector_config=multivector,
            hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=4, full_scan_threshold=10),  # stored, never searched
        )
    if manifest.encoder.cells is not None:
        vectors[CELLS_VECTOR] = edge.EdgeVectorParams(
            size=manifest.encoder.cells[1],
            distance=edge.Distance.Cosine,
            multivector_config=multivector,
            hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=4, full_scan_threshold=10),  # no graph
        )
    return edge.EdgeConfig(vectors=vectors, sparse_vectors=sparse)


def _quantization(edge: ModuleType, quantize: str | None) -> Any:
    memory = edge.Memory.Pinned
    if quantize == "scalar":
        return edge.ScalarQuantizationConfig(type=edge.ScalarType.Int8, quantile=QUANTILE, memory=memory)
    if quantize == "turbo":
        return edge.TurboQuantQuantizationConfig(bits=edge.TurboQuantBitSize.Bits4, memory=memory)
    if quantize == "binary":
        return edge.BinaryQuantizationConfig(memory=memory)
    return None


def index_params(edge: ModuleType, name: str, kind: FieldType, manifest: Manifest) -> Any:
    """The payload index of a field."""
    memory = edge.Memory.Cold if manifest.storage.on_disk else None
    # Qdrant links pictures that share a value in the HNSW graph. For the seven facts of every picture that more than doubles
    # the time of building it, and they hardly narrow a search: nearly all have one format, and each its own URI.
    graph = None if name not in RESERVED_FIELDS else False
    if kind is FieldType.KEYWORD:
        return edge.KeywordIndexParams(prefix=True, memory=memory, enable_hnsw=graph)
    return {
        FieldType.INTEGER: edge.IntegerIndexParams,
        FieldType.FLOAT: edge.FloatIndexParams,
        FieldType.BOOL: edge.BoolIndexParams,
        FieldType.DATETIME: edge.DatetimeIndexParams,
        FieldType.GEO: edge.GeoIndexParams,
    }[kind](memory=memory, enable_hnsw=graph)


def record_of(point: Any) -> Record:
    """A `Record` from what a scroll or a retrieve returns."""
    vectors = point.vector or {}
    image, features, cells = (vectors.get(name) for name in (IMAGE_VECTOR, FEATURES_VECTOR, CELLS_VECTOR))
    return Record(
        id=str(point.id) if isinstance(point.id, uuid.UUID) else point.id,
        payload=point.payload or {},
        image=None if image is None else np.asarray(image, dtype=np.float32),
        features=None if features is None else from_numbers(features),
        cells=None if cells is None else np.asarray(cells, dtype=np.float32),
    )
