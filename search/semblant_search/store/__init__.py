"""The store: where collections live, embedded in a directory (Qdrant Edge) or on a Qdrant server, behind one protocol."""

from __future__ import annotations

from .base import Database, Point, Record, ScoredRecord, SparseVector, Store, VectorQuery
from .open import open_database

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
