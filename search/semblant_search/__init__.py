"""Semblant's thin client: find the pictures that look alike.

>>> from semblant_search import SearchClient
>>> with SearchClient("pictures.db") as client:  # doctest: +SKIP
...     hits = client.search("query.jpg", limit=10, where='label == "Sneaker"')

Names load on first use, so that importing this package loads neither ONNX Runtime nor OpenCV nor qdrant-client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .collection import FieldType, Manifest, canonical_uri, point_id
    from .encoder import Encoder, EncoderCard
    from .errors import SemblantError
    from .images import Fit

__all__ = ["Encoder", "EncoderCard", "FieldType", "Fit", "Manifest", "SemblantError", "canonical_uri", "point_id"]

_HOME = {
    "Encoder": "encoder",
    "EncoderCard": "encoder",
    "FieldType": "collection",
    "Fit": "images",
    "Manifest": "collection",
    "SemblantError": "errors",
    "canonical_uri": "collection",
    "point_id": "collection",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
