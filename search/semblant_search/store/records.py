"""The store: one generation of one collection, behind a protocol with two implementations that answer alike.

`Database` (a directory or a server) finds, makes and publishes generations; `Store` reads and writes one of them.
Both are written for a single job or service; a `Store` may be queried from many threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from typing_extensions import Self

    from semblant_search.collection import FieldType, Manifest
    from semblant_search.where import Where

__all__ = ["Database", "Point", "Record", "ScoredRecord", "SparseVector", "Store", "VectorQuery"]


@dataclass(frozen=True)
class SparseVector:
    """Non-zero dimensions: `indices` uint32 `[n]`, distinct; `values` float32 `[n]`."""

    indices: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Point:
    """One picture to be written.

    Attributes:
        id: `point_id(uri)`.
        image: float32 `[D]`, unit length.
        payload: JSON values: reserved fields and the user's metadata.
        orb: visual words, or None for a picture without features or a collection without ORB.
        features: uint8 `[n, f]`, packed key points and descriptors (`orb.packing`), or None. No four bytes of a row, counted
            from its start, are those of a NaN or infinite float32.
        cells: float32 `[P, d]`, or None.
    """

    id: str
    image: np.ndarray
    payload: Mapping[str, Any]
    orb: SparseVector | None = None
    features: np.ndarray | None = None
    cells: np.ndarray | None = None


@dataclass(frozen=True)
class Record:
    """One picture as stored; `image`, `features` and `cells` (float32 `[P, d]`) only where they were asked for."""

    id: str
    payload: dict[str, Any]
    image: np.ndarray | None = None
    features: np.ndarray | None = None
    cells: np.ndarray | None = None


@dataclass(frozen=True)
class ScoredRecord:
    """A hit as the engine returns it.

    `score` is a cosine in [-1, 1] for `image`, the mean cosine of the asked cells with the best cell of each for `cells`, and a
    sum of IDF-weighted products for `orb`.
    """

    id: str
    score: float
    payload: dict[str, Any]


@dataclass(frozen=True)
class VectorQuery:
    """One kNN request.

    Attributes:
        vector: float32 `[D]` for the dense vector, float32 `[R, d]` for cells, a `SparseVector` for visual words.
        limit: at least 1.
        offset: hits to skip.
        where: a parsed filter, or None.
        fields: payload fields to return; None returns all.
        exact: scan everything instead of walking the HNSW graph.
        ef_search: size of HNSW's candidate list; None leaves it to the engine.
        score_threshold: leave out hits that score lower.
    """

    vector: np.ndarray | SparseVector
    limit: int
    offset: int = 0
    where: Where | None = None
    fields: Sequence[str] | None = None
    exact: bool = False
    ef_search: int | None = None
    score_threshold: float | None = None


class Store(Protocol):
    """One generation of one collection.

    Every method raises a `StoreError` where the database fails, never an exception of the engine.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    @property
    def manifest(self) -> Manifest:
        """What this generation remembers about itself."""
        ...

    def query(self, query: VectorQuery) -> list[ScoredRecord]:
        """Hits, best first."""
        ...

    def query_batch(self, queries: Sequence[VectorQuery]) -> list[list[ScoredRecord]]:
        """Several queries in one request."""
        ...

    def retrieve(
        self, ids: Sequence[str], *, with_image: bool = False, with_features: bool = False, with_cells: bool = False
    ) -> list[Record]:
        """The records of those ids that exist, in no particular order."""
        ...

    def scroll(
        self,
        *,
        where: Where | None = None,
        fields: Sequence[str] | None = None,
        with_image: bool = False,
        batch: int = 1000,
    ) -> Iterator[Record]:
        """All records that match, in the order of their ids."""
        ...

    def count(self, where: Where | None = None) -> int:
        """How many records match, exactly."""
        ...

    def facet(self, field: str, *, where: Where | None = None, limit: int = 100) -> dict[Any, int]:
        """Distinct values of an indexed field with their exact counts, most frequent first, ties by value."""
        ...

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points; an existing id is replaced whole. Durable against `kill -9` on return."""
        ...

    def set_payloads(self, payloads: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace the whole payload of points, given by their ids, and keep their vectors. Durable as `upsert`."""
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points; unknown ids are no error."""
        ...

    def add_fields(self, fields: Mapping[str, FieldType]) -> None:
        """Create payload indexes and remember them in the manifest; raises `MetadataError` where a type changes."""
        ...

    def optimize(self) -> None:
        """Build what makes searches fast (HNSW graphs, merged segments); blocks until done on a directory."""
        ...

    def asset(self, name: str) -> bytes | None:
        """A file kept with this generation (`encoder.onnx`, `vocabulary.npz`), or None."""
        ...

    def put_asset(self, name: str, data: bytes) -> None:
        """Keep a file with this generation, atomically."""
        ...

    def close(self) -> None:
        """Release the engine; further calls raise `StoreError`."""
        ...


class Database(Protocol):
    """Where collections live."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    @property
    def location(self) -> str:
        """The directory or URL, for messages."""
        ...

    def collections(self) -> dict[str, str]:
        """Names of published collections, each with the name of its serving generation."""
        ...

    def generations(self, collection: str) -> list[str]:
        """All generations on disk or server, oldest first, published or not."""
        ...

    def open(self, collection: str, generation: str | None = None) -> Store:
        """Open the serving generation, or a named one. Raises `CollectionNotFound`, `StoreLocked`, `StoreUnavailable`, …"""
        ...

    def create(self, manifest: Manifest) -> Store:
        """Make a new, empty, unpublished generation; `manifest.generation` must be new."""
        ...

    def publish(self, collection: str, generation: str) -> None:
        """Make a generation the serving one, atomically."""
        ...

    def drop(self, collection: str, generation: str) -> None:
        """Delete a generation that is not serving."""
        ...

    def close(self) -> None:
        """Release connections."""
        ...
