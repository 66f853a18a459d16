"""Requests to a store as short as tests like them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semblant_search.store import Cells, Nearest, SearchRequest, Sparse, SparseVector

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from semblant_search.store import Query
    from semblant_search.where import Where

__all__ = ["request_for"]


def request_for(
    vector: np.ndarray | SparseVector,
    limit: int,
    offset: int = 0,
    where: Where | None = None,
    fields: Sequence[str] | None = None,
    exact: bool = False,
    ef_search: int | None = None,
    score_threshold: float | None = None,
) -> SearchRequest:
    """The request for a bare vector, by its shape: `[D]` is `Nearest`, `[R, d]` is `Cells`, a `SparseVector` is `Sparse`."""
    if isinstance(vector, SparseVector):
        query: Query = Sparse(vector)
    else:
        query = Cells(vector) if vector.ndim == 2 else Nearest(vector)
    return SearchRequest(query, limit, offset, where, fields, exact, ef_search, score_threshold)
