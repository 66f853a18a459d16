"""The store: where collections live, embedded in a directory (Qdrant Edge) or on a Qdrant server, behind one protocol."""

from __future__ import annotations

from .open import open_database
from .records import Database, Point, Record, ScoredRecord, SparseVector, Store, VectorQuery

__all__ = [
    "Database",
    "Point",
    "Record",
    "ScoredRecord",
    "SparseVector",
    "Store",
    "VectorQuery",
    "open_database",
]
