"""Semblant's batch indexing job: pictures in, vectors and metadata in Qdrant.

>>> from semblant_indexer import IndexJob, run
>>> report = run(IndexJob("pictures/", "encoder.onnx", "pictures.db"))  # doctest: +SKIP
>>> print(report.account)  # doctest: +SKIP
found 60,000 = 60,000 indexed + 0 unchanged + 0 duplicate + 0 failed + 0 skipped
"""

from __future__ import annotations

from .job import Duplicates, IndexJob
from .report import Failure, IndexReport, Progress
from .running import run

__all__ = ["Duplicates", "Failure", "IndexJob", "IndexReport", "Progress", "run"]
