"""What passes through a store: points to be written, records and hits that come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from semblant_search.late import Late

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

__all__ = ["Group", "Point", "Record", "ScoredRecord", "SparseVector"]


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
class ScoredRecord(Late):
    """A hit. What `score` means is said by the kind of query, see `store.queries`."""

    id: str
    score: float
    payload: dict[str, Any]

    def _values_of(self, source: Any) -> Mapping[str, Any]:
        return {"payload": source.payload or {}}


@dataclass(frozen=True)
class Group:
    """Hits that share a value of a field, best first."""

    value: str | int | bool
    hits: list[ScoredRecord]
