"""Semblant's thin client: find the pictures that look alike.

>>> from semblant_search import SearchClient
>>> with SearchClient("pictures.db") as client:  # doctest: +SKIP
...     hits = client.search("query.jpg", limit=10, where='label == "Sneaker"')

Names load on first use, so that importing this package loads neither NumPy nor ONNX Runtime nor OpenCV nor qdrant-client.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # type checkers take it for typing's, which takes longer to load than all of this
if TYPE_CHECKING:
    from typing import Any

    from .async_client import AsyncSearchClient
    from .client import SearchClient
    from .collection import FieldType, Manifest, canonical_uri, point_id
    from .drawing import draw_gallery, draw_groups, draw_matches
    from .duplicates import Duplicate, DuplicateGroup, DuplicatesInterrupted
    from .encoder import Encoder, EncoderCard
    from .errors import (
        CollectionNotFound,
        DataError,
        EncoderError,
        EncoderMismatch,
        ImageError,
        InvalidInput,
        JobAtWork,
        MetadataError,
        MissingExtra,
        NoFeaturesError,
        NotADatabase,
        NotIndexed,
        PointNotFound,
        SemblantError,
        StoreDenied,
        StoreError,
        StoreLocked,
        StoreUnavailable,
        TrainingError,
        WhereError,
    )
    from .images import Fit
    from .jobs import Job, JobEvent, JobFailure, JobProgress
    from .results import FeatureHit, Hit, HitGroup, Picture, PicturePage
    from .where import F, Where, parse_where
    from .writing.adding import NewPicture
    from .writing.relocating import Relocation
    from .writing.shared_pictures import Released
    from .writing.source_changes import SourceSummary

__all__ = [
    "AsyncSearchClient",
    "CollectionNotFound",
    "DataError",
    "Duplicate",
    "DuplicateGroup",
    "DuplicatesInterrupted",
    "Encoder",
    "EncoderCard",
    "EncoderError",
    "EncoderMismatch",
    "F",
    "FeatureHit",
    "FieldType",
    "Fit",
    "Hit",
    "HitGroup",
    "ImageError",
    "InvalidInput",
    "Job",
    "JobAtWork",
    "JobEvent",
    "JobFailure",
    "JobProgress",
    "Manifest",
    "MetadataError",
    "MissingExtra",
    "NewPicture",
    "NoFeaturesError",
    "NotADatabase",
    "NotIndexed",
    "Picture",
    "PicturePage",
    "PointNotFound",
    "Released",
    "Relocation",
    "SearchClient",
    "SemblantError",
    "SourceSummary",
    "StoreDenied",
    "StoreError",
    "StoreLocked",
    "StoreUnavailable",
    "TrainingError",
    "Where",
    "WhereError",
    "canonical_uri",
    "draw_gallery",
    "draw_groups",
    "draw_matches",
    "parse_where",
    "point_id",
]

_HOME = {
    "AsyncSearchClient": "async_client",
    "Duplicate": "duplicates",
    "DuplicateGroup": "duplicates",
    "DuplicatesInterrupted": "duplicates",
    "Encoder": "encoder",
    "EncoderCard": "encoder",
    "F": "where",
    "FeatureHit": "results",
    "FieldType": "collection",
    "Fit": "images",
    "Hit": "results",
    "HitGroup": "results",
    "Job": "jobs",
    "JobEvent": "jobs",
    "JobFailure": "jobs",
    "JobProgress": "jobs",
    "Manifest": "collection",
    "NewPicture": "writing.adding",
    "Picture": "results",
    "PicturePage": "results",
    "Released": "writing.shared_pictures",
    "Relocation": "writing.relocating",
    "SearchClient": "client",
    "SourceSummary": "writing.source_changes",
    "Where": "where",
    "canonical_uri": "collection",
    "draw_gallery": "drawing",
    "draw_groups": "drawing",
    "draw_matches": "drawing",
    "parse_where": "where",
    "point_id": "collection",
}
"""The module of each name that is not an error."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME.get(name, 'errors')}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
