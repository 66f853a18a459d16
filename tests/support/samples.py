"""Small collections for tests of the store: a manifest, and points whose neighbours are known."""

from __future__ import annotations

from typing import Any

import numpy as np
from semblant_search.collection import FieldType, Manifest, point_id
from semblant_search.encoder import EncoderCard
from semblant_search.images import Fit
from semblant_search.store import Point

DIM, WIDTH, CELLS = 8, 8, (2, 3)
FIELDS = {
    "label": FieldType.KEYWORD,
    "number": FieldType.INTEGER,
    "price": FieldType.FLOAT,
    "on_sale": FieldType.BOOL,
    "taken": FieldType.DATETIME,
    "gps": FieldType.GEO,
    "odd name": FieldType.KEYWORD,
}


def manifest(collection: str = "images", generation: str = "g0001", **changes: Any) -> Manifest:
    card = EncoderCard("test", "test", Fit(4, 4, 1), DIM, "none", cells=CELLS)
    facts: dict[str, Any] = {
        "encoder": card,
        "fields": {"number": FieldType.INTEGER},
        "orb": {"feature_bytes": WIDTH},
        "created_at": "2024-01-01T00:00:00Z",
    }
    return Manifest(collection, generation, "0" * 64, **{**facts, **changes})


def points(count: int, **payload: Any) -> list[Point]:
    """Point n holds `number` n and whatever else; vectors, features and cells are random and the same in every run."""
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(count, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    features = rng.integers(0, 128, size=(count, 2, WIDTH), dtype=np.uint8)
    features[..., 3::4] = 0  # no float32 of these bits is NaN
    cells = rng.normal(size=(count, *CELLS)).astype(np.float32)
    return [
        Point(point_id(str(n)), vectors[n], {"number": n, **payload}, features=features[n], cells=cells[n])
        for n in range(count)
    ]
