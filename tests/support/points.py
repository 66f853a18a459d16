"""A small collection for tests of the store: 25 points on random directions, with a number, a label and a price."""

from __future__ import annotations

import numpy as np
from semblant_search import EncoderCard, FieldType, Fit, Manifest, point_id
from semblant_search.store import Point

__all__ = ["CARD", "COUNT", "FIELDS", "IDS", "MANIFEST", "VECTORS", "point"]

DIM, COUNT = 8, 25
_RNG = np.random.default_rng(1)
VECTORS = _RNG.normal(size=(COUNT, DIM)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
IDS = [point_id(str(number)) for number in range(COUNT)]
CARD = EncoderCard("random", "test", Fit(4, 4, 1), DIM, "none", cells=(2, 3))
FIELDS = {"number": FieldType.INTEGER, "label": FieldType.KEYWORD, "price": FieldType.FLOAT}
MANIFEST = Manifest("images", "g0001", "0" * 64, CARD, FIELDS, {"feature_bytes": 36}, "2026-01-01T00:00:00Z")


def point(number: int) -> Point:
    return Point(IDS[number], VECTORS[number], {"number": number, "label": "abc"[number % 3], "price": number / 2})
