"""Generations in a directory without pictures: real stores that a test fills by hand, in a fraction of a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from semblant_search import EncoderCard, Fit, Manifest
from semblant_search.collection import RESERVED_FIELDS, StorageOptions, point_id
from semblant_search.store import Point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.store import Database

FOLDER = "file:///pictures/"
MOMENT = "2024-05-01T12:00:00Z"


def manifest(generation: str = "g0001", *, dim: int = 8, created_at: str = MOMENT, **changes: Any) -> Manifest:
    """What a generation of `images` remembers."""
    card = EncoderCard("pixels", "pixels", Fit(28, 28, 1), dim, "none")
    facts = {"encoder": card, "fields": RESERVED_FIELDS, "storage": StorageOptions(), **changes}
    return Manifest("images", generation, "0" * 64, created_at=created_at, **facts)


def unit_vectors(count: int, dim: int = 8, seed: int = 0) -> np.ndarray:
    """float32 `[count, dim]`, in random directions."""
    vectors = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def uris(count: int) -> list[str]:
    """Names of pictures."""
    return [f"{FOLDER}{number:04d}.png" for number in range(count)]


def as_points(vectors: np.ndarray, names: Sequence[str] | None = None) -> list[Point]:
    """A point for each vector, with nothing but its URI as payload."""
    names = uris(len(vectors)) if names is None else names
    return [Point(point_id(uri), vector, {"_uri": uri}) for uri, vector in zip(names, vectors, strict=True)]


def add_generation(db: Database, generation: str, vectors: np.ndarray | None = None, **changes: Any) -> None:
    """Make a generation, not yet published."""
    store = db.create(manifest(generation, **changes))
    store.upsert(as_points(unit_vectors(3) if vectors is None else vectors))
    store.close()
