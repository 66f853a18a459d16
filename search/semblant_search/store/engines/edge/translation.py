"""How Qdrant Edge is spoken to: loading it, its errors, filters, queries, vectors, indexes and records."""

from __future__ import annotations

import uuid
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
from semblant_search.errors import MissingExtra, StoreError, StoreLocked
from semblant_search.store.engines.feature_numbers import NUMBER_BYTES, from_numbers
from semblant_search.store.engines.payload_indexes import in_graph
from semblant_search.store.engines.quantization import OVERSAMPLING, QUANTILE
from semblant_search.store.queries import Cells, Discover, Mmr, Nearest, Recommend, Sparse
from semblant_search.store.records import Record, ScoredRecord
from semblant_search.where.compiler import Dialect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import ModuleType

    from semblant_search.store.engines.base import Search
    from semblant_search.store.queries import Query

__all__ = [
    "NotWritableError",
    "Searches",
    "call",
    "config",
    "dialect",
    "index_params",
    "load_engine",
    "not_writable",
    "record_of",
    "scored",
]


class NotWritableError(StoreError):
    """Files of a database may only be read."""


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
                "process at a time: close the other one; ask it, where it is `semblant serve` or `semblant open` (give "
                "semblant://localhost:8765 in place of the directory); or use a Qdrant server (give its URL)"
            ) from error
        if "Permission denied" in text or "Read-only file system" in text:
            raise not_writable(path, text) from error
        if "No space left" in text or "Disk quota exceeded" in text:
            raise StoreError(f"database {str(path)!r}: the disk is full; make room and run it again") from error
        if "File too large" in text:
            raise StoreError(
                f"database {str(path)!r}: a file would become larger than this process may make one; raise the limit (ulimit "
                "-f unlimited; the engine needs files of 32 MB), or choose a file system for large files, and run it again"
            ) from error
        raise StoreError(f"database {str(path)!r}: {text}") from error


def not_writable(path: Path, text: str) -> NotWritableError:
    """What is raised where a database may only be read and was to be changed."""
    return NotWritableError(
        f"database {str(path)!r} is not writable: it can be searched, and not changed; give this user the right to write "
        f"there, or copy the directory to where you may write (cp -r --sparse=always) ({text})"
    )


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


def index_params(edge: ModuleType, name: str, kind: FieldType, *, on_disk: bool) -> Any:
    """The payload index of a field."""
    memory = edge.Memory.Cold if on_disk else None
    graph = None if in_graph(name) else False
    if kind is FieldType.KEYWORD:
        return edge.KeywordIndexParams(prefix=True, memory=memory, enable_hnsw=graph)
    return {
        FieldType.INTEGER: edge.IntegerIndexParams,
        FieldType.FLOAT: edge.FloatIndexParams,
        FieldType.BOOL: edge.BoolIndexParams,
        FieldType.DATETIME: edge.DatetimeIndexParams,
        FieldType.GEO: edge.GeoIndexParams,
    }[kind](memory=memory, enable_hnsw=graph)


class Searches:
    """Requests of one generation; what does not change from one to the next is made once."""

    def __init__(self, edge: ModuleType, quantize: str | None) -> None:
        self._edge = edge
        self._quantize = quantize
        self._params: dict[tuple[bool, int | None], Any] = {(False, None): self._new_params(exact=False, ef_search=None)}

    def request(self, search: Search) -> Any:
        """The `QueryRequest` of a search."""
        key = (search.exact, search.ef_search)
        params = self._params[key] if key in self._params else self._new_params(*key)
        return self._edge.QueryRequest(
            search.limit,
            search.offset,
            self._query(search.query),
            with_payload=search.paths,
            filter=search.filter,
            score_threshold=search.score_threshold,
            params=params,
        )

    def _query(self, query: Query) -> Any:
        edge = self._edge
        if isinstance(query, Nearest):
            return edge.Query.Nearest(query.vector.tolist(), using=IMAGE_VECTOR)
        if isinstance(query, Sparse):
            return edge.Query.Nearest(
                edge.SparseVector(query.words.indices.tolist(), query.words.values.tolist()), using=ORB_VECTOR
            )
        if isinstance(query, Cells):
            return edge.Query.Nearest(query.cells.tolist(), using=CELLS_VECTOR)
        if isinstance(query, Recommend):
            positive, negative = ([vector.tolist() for vector in each] for each in (query.positive, query.negative))
            return edge.Query.RecommendBestScore(edge.RecommendQuery(positive, negative), using=IMAGE_VECTOR)
        if isinstance(query, Discover):
            pairs = [edge.ContextPair(positive.tolist(), negative.tolist()) for positive, negative in query.context]
            return edge.Query.Discover(edge.DiscoverQuery(query.target.tolist(), pairs), using=IMAGE_VECTOR)
        assert isinstance(query, Mmr)
        return edge.Mmr(query.vector.tolist(), 1 - query.diversity, query.candidates, using=IMAGE_VECTOR)

    def _new_params(self, exact: bool, ef_search: int | None) -> Any:
        if not exact and ef_search is None and self._quantize is None:
            return None
        quantization = None
        if self._quantize is not None:
            quantization = self._edge.QuantizationSearchParams(
                ignore=exact, rescore=True, oversampling=OVERSAMPLING[self._quantize]
            )
        return self._edge.SearchParams(hnsw_ef=ef_search, exact=exact, quantization=quantization)


def scored(hits: Sequence[Any], scale: int) -> list[ScoredRecord]:
    """Hits from what a query returns; their ids and payloads become Python's when they are looked at."""
    found = ScoredRecord.late_scored(hits)
    if scale != 1:
        for one in found:
            one.__dict__["score"] /= scale
    return found


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
