"""Semblant's batch indexing job: pictures in, vectors and metadata in Qdrant.

>>> from semblant_indexer import IndexJob, run
>>> report = run(IndexJob("pictures/", "encoder.onnx", "pictures.db"))  # doctest: +SKIP
>>> print(report.account)  # doctest: +SKIP
found 60,000 = 60,000 indexed + 0 unchanged + 0 duplicate + 0 failed + 0 skipped

Names load on first use: decode workers import from this package, too, and need little of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cancelling import JobCancelled
    from .job import Duplicates, IndexJob
    from .previewing import IndexPreview, preview
    from .report import Failure, IndexReport, Progress
    from .running import run

__all__ = ["Duplicates", "Failure", "IndexJob", "IndexPreview", "IndexReport", "JobCancelled", "Progress", "preview", "run"]

_HOME = {
    "Duplicates": "job",
    "Failure": "report",
    "IndexJob": "job",
    "IndexPreview": "previewing",
    "IndexReport": "report",
    "JobCancelled": "cancelling",
    "Progress": "report",
    "preview": "previewing",
    "run": "running",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
