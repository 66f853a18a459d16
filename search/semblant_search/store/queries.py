"""What a store can be asked for: a kind of query, a small frozen class each, and the request around it.

>>> SearchRequest(Nearest(vector), limit=10, where=F("price") < 100)  # doctest: +SKIP

A new kind is a class here, its check in `query_checks`, and its spelling in each engine's `translation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from semblant_search.where import Where

    from .records import SparseVector

__all__ = [
    "Cells",
    "Discover",
    "Mmr",
    "Nearest",
    "OrderBy",
    "Query",
    "Recommend",
    "SearchRequest",
    "Sparse",
]


@dataclass(frozen=True)
class Nearest:
    """Pictures by the cosine of their embeddings with `vector`, float32 `[D]`. The score is the cosine, in [-1, 1]."""

    vector: np.ndarray


@dataclass(frozen=True)
class Sparse:
    """Pictures by the visual words that they share with `words`. The score is a sum of products, weighted by rarity (IDF)."""

    words: SparseVector


@dataclass(frozen=True)
class Cells:
    """Pictures that hold something like a region: `cells` are float32 `[R, d]`, the local vectors in it.

    The score is the mean, over the asked cells, of the cosine with the picture's best cell (MaxSim).
    """

    cells: np.ndarray


@dataclass(frozen=True)
class Recommend:
    """Pictures like the `positive` examples and unlike the `negative` ones, float32 `[D]` each; at least one positive.

    `average_vector` looks once, near `2 * mean(positive) - mean(negative)` (near `mean(positive)` without negatives); the score
    is the cosine with that. `best_score` compares each picture with every example: one that is nearest to a positive, at cosine
    c, scores s(c) in [.25, .75], and one that is nearest to a negative -s(c), with s(c) = (1 + c / (1 + |c|)) / 2. It keeps
    examples of several kinds apart, and walks the graph anew for each.
    """

    positive: Sequence[np.ndarray]
    negative: Sequence[np.ndarray] = ()
    strategy: Literal["average_vector", "best_score"] = "average_vector"


@dataclass(frozen=True)
class Discover:
    """Pictures near `target` in the part of the space that pairs of `(positive, negative)` vectors point out.

    The score is the number of pairs whose positive is nearer than its negative, less that of the others, plus s(c) in [.25,
    .75] of the cosine c with the target (s as in `Recommend`): so a hit that more pairs favour is always before one that fewer
    do.
    """

    target: np.ndarray
    context: Sequence[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Mmr:
    """The nearest pictures to `vector` that also differ among each other (maximal marginal relevance, Carbonell 1998).

    Hits come in the order in which they are chosen: each next one maximizes `(1 - diversity) * cosine with the vector -
    diversity * largest cosine with those chosen before`. The score is still the cosine with the vector.

    Attributes:
        diversity: from 0 (as `Nearest`) to 1.
        candidates: how many nearest pictures are chosen from; at least `offset + limit` are, and no more than 16,384, which
            is all that servers take: there are no hits beyond those.
    """

    vector: np.ndarray
    diversity: float = 0.5
    candidates: int = 100


MOST_CANDIDATES = 16_384
"""Of `Mmr`."""

Query = Nearest | Sparse | Cells | Recommend | Discover | Mmr


@dataclass(frozen=True)
class OrderBy:
    """By the values of a whole number, number or date field, ascending or descending; ties by id.

    A picture without a value is left out. One with several comes once, at its lowest (descending: its highest).
    """

    field: str
    descending: bool = False


@dataclass(frozen=True)
class SearchRequest:
    """One query with what surrounds it.

    Attributes:
        query: what to look for.
        limit: hits at most, at least 1.
        offset: hits to skip.
        where: a parsed filter, or None.
        fields: payload fields to return; None returns all.
        exact: scan everything instead of walking the HNSW graph.
        ef_search: size of HNSW's candidate list; None leaves it to the engine.
        score_threshold: leave out hits that score lower.
    """

    query: Query
    limit: int
    offset: int = 0
    where: Where | None = None
    fields: Sequence[str] | None = None
    exact: bool = False
    ef_search: int | None = None
    score_threshold: float | None = None

    def asking(self, query: Query) -> SearchRequest:
        """The same of another query, quickly."""
        other = object.__new__(SearchRequest)
        other.__dict__.update(self.__dict__, query=query)
        return other
