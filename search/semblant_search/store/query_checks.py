"""What is checked of a request before an engine sees it, so that a bad one fails alike on all and says what was expected."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from semblant_search.errors import InvalidInput

from .queries import Cells, Discover, Mmr, Nearest, Recommend, Sparse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.collection import Manifest

    from .queries import SearchRequest
    from .records import SparseVector

__all__ = ["average", "check_request", "check_sparse", "no_cells"]


def check_request(request: SearchRequest, manifest: Manifest) -> None:
    """Raise `InvalidInput` for what no engine could answer."""
    if request.limit < 1:
        raise InvalidInput(f"limit {request.limit}: expected at least 1")
    if request.offset < 0:
        raise InvalidInput(f"offset {request.offset}: expected at least 0")
    if request.ef_search is not None and request.ef_search < 1:
        raise InvalidInput(f"ef_search {request.ef_search}: expected at least 1")
    query = request.query
    if isinstance(query, Nearest):
        _check_dense(query.vector, manifest)
    elif isinstance(query, Sparse):
        if manifest.orb is None:
            raise InvalidInput(
                f"collection {manifest.collection!r} was indexed without ORB features; "
                "index it again with them (semblant index … --rebuild)"
            )
        check_sparse(query.words)
    elif isinstance(query, Cells):
        _check_cells(query.cells, manifest)
    elif isinstance(query, Recommend):
        _check_recommend(query, manifest)
    elif isinstance(query, Discover):
        if len(query.context) == 0:
            raise InvalidInput("discover: expected at least one pair of a positive and a negative vector; or ask for Nearest")
        _check_dense(query.target, manifest)
        for positive, negative in query.context:
            _check_dense(positive, manifest)
            _check_dense(negative, manifest)
    elif isinstance(query, Mmr):
        if not 0 <= query.diversity <= 1:
            raise InvalidInput(f"diversity {query.diversity!r}: expected a number from 0 to 1")
        if query.candidates < 1:
            raise InvalidInput(f"candidates {query.candidates}: expected at least 1")
        _check_dense(query.vector, manifest)
    else:
        raise InvalidInput(f"query {query!r}: expected Nearest, Sparse, Cells, Recommend, Discover or Mmr")


def average(query: Recommend) -> np.ndarray:
    """Where `average_vector` looks, float32 `[D]`. Raises `InvalidInput` where the examples cancel each other out."""
    mean: np.ndarray = np.stack(query.positive).mean(axis=0, dtype=np.float64)
    if len(query.negative):
        mean = 2 * mean - np.stack(query.negative).mean(axis=0, dtype=np.float64)
    if not np.linalg.norm(mean) > 1e-6:
        raise InvalidInput("recommend: the examples cancel each other out; leave one out, or use the strategy 'best_score'")
    return mean.astype(np.float32)


def no_cells(manifest: Manifest) -> str:
    """The message for a search by region in a collection without cells."""
    return (
        f"collection {manifest.collection!r} keeps no cells, which a search by region needs: its encoder "
        f"{manifest.encoder.name!r} has none; export it with --cells and index with it, or search for the region by its "
        "details (--features)"
    )


def check_sparse(vector: SparseVector) -> None:
    """Raise `InvalidInput` unless it is `[n]` distinct indices with as many finite values."""
    if vector.indices.ndim != 1 or vector.indices.shape != vector.values.shape:
        raise InvalidInput(
            f"sparse vector of {list(vector.indices.shape)} indices and {list(vector.values.shape)} values, expected [n] twice"
        )
    if not np.isfinite(vector.values).all():
        raise InvalidInput("sparse vector: holds NaN or infinity")
    if len(np.unique(vector.indices)) != len(vector.indices):
        raise InvalidInput("sparse vector: an index occurs twice")


def _check_dense(vector: np.ndarray, manifest: Manifest) -> None:
    if vector.shape != (manifest.dim,):
        raise InvalidInput(
            f"query vector of shape {list(vector.shape)}: collection {manifest.collection!r} expects [{manifest.dim}]"
        )
    # Its square tells nearly always, in a ninth of the time.
    if not (math.isfinite(vector.dot(vector)) or np.isfinite(vector).all()):
        raise InvalidInput("query vector: holds NaN or infinity")


def _check_cells(cells: np.ndarray, manifest: Manifest) -> None:
    shape = manifest.encoder.cells
    if shape is None:
        raise InvalidInput(no_cells(manifest))
    if cells.ndim != 2 or len(cells) == 0 or cells.shape[1] != shape[1]:
        raise InvalidInput(f"query cells of shape {list(cells.shape)}: expected [1 or more, {shape[1]}]")
    if not np.isfinite(cells).all():
        raise InvalidInput("query cells: hold NaN or infinity")


def _check_recommend(query: Recommend, manifest: Manifest) -> None:
    if query.strategy not in ("average_vector", "best_score"):
        raise InvalidInput(f"strategy {query.strategy!r}: expected 'average_vector' or 'best_score'")
    if len(query.positive) == 0:
        raise InvalidInput("recommend: expected at least one positive example")
    examples: Sequence[np.ndarray] = [*query.positive, *query.negative]
    for vector in examples:
        _check_dense(vector, manifest)
