"""The store: where collections live, embedded in a directory (Qdrant Edge) or on a Qdrant server.

`Database` finds, makes and publishes generations; `Store` reads and writes one; what it is asked for is a `SearchRequest`.
"""

from __future__ import annotations

from .database import Database
from .engines.qdrant.connection import RetryPolicy
from .names import SERVED_ASSET
from .open import open_database
from .ordering import Position
from .queries import (
    Cells,
    Discover,
    Mmr,
    Nearest,
    OrderBy,
    Query,
    Recommend,
    SearchRequest,
    Sparse,
)
from .records import Group, Point, Record, ScoredRecord, SparseVector
from .store import Store

__all__ = [
    "SERVED_ASSET",
    "Cells",
    "Database",
    "Discover",
    "Group",
    "Mmr",
    "Nearest",
    "OrderBy",
    "Point",
    "Position",
    "Query",
    "Recommend",
    "Record",
    "RetryPolicy",
    "ScoredRecord",
    "SearchRequest",
    "Sparse",
    "SparseVector",
    "Store",
    "open_database",
]
