"""How much one answer holds, whatever was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semblant_search.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .models import FeaturesQuery, FusedQuery, GetQuery, ListQuery, SingleQuery
    from .settings import ServiceSettings

__all__ = ["check_names", "check_together", "group_limits", "limit_of"]

_TOGETHER = 10_000
"""Hits in the answer to several queries, unless one query may have more."""


def limit_of(query: SingleQuery | FeaturesQuery | FusedQuery | ListQuery, settings: ServiceSettings) -> int:
    """Hits or pictures at most. What was not given is what the service gives. Raises `InvalidInput` for more than that."""
    most = settings.max_limit
    if "limit" not in query.given:
        return min(query.limit, most)
    if query.limit > most:
        raise InvalidInput(
            f"limit {query.limit}: this service gives {most} at most; go on with offset or cursor", argument="limit"
        )
    return query.limit


def group_limits(query: SingleQuery, settings: ServiceSettings) -> tuple[int, int]:
    """Groups, and hits of each, at most: together no more hits than one answer holds. Raises `InvalidInput`.

    Where they were not given there are fewer groups, and where even one is too large, smaller ones.
    """
    most = settings.max_limit
    size, limit = query.group_size, limit_of(query, settings)
    if "group_size" not in query.given:
        size = min(size, most)
    if "limit" not in query.given:
        limit = min(limit, max(1, most // size))
    if limit * size > most:
        raise InvalidInput(
            f"limit {limit} with group_size {size}: this service gives {most} hits at most; ask for fewer groups, or fewer "
            "hits of each, and go on with offset or cursor",
            argument="limit",
        )
    return limit, size


def check_together(queries: Sequence[SingleQuery], settings: ServiceSettings) -> None:
    """Raise `InvalidInput` for more queries, or for more hits of all of them, than one request may ask for."""
    if len(queries) > settings.max_queries:
        raise InvalidInput(f"{len(queries)} queries: this service takes {settings.max_queries} in one request")
    most = max(_TOGETHER, settings.max_limit)
    sizes = (query.limit * (query.group_size if query.group_by is not None else 1) for query in queries)
    hits = sum(min(size, settings.max_limit) for size in sizes)  # more than that is refused for each
    if hits > most:
        raise InvalidInput(
            f"{len(queries)} queries for {hits:,} hits: this service gives {most:,} in one answer; ask in several requests, or "
            "for fewer hits of each",
            argument="queries",
        )


def check_names(query: GetQuery, settings: ServiceSettings) -> None:
    """Raise `InvalidInput` for more embeddings than one answer holds."""
    if query.with_vectors and len(query.pictures) > settings.max_limit:
        raise InvalidInput(
            f"{len(query.pictures):,} pictures with their vectors: this service gives {settings.max_limit:,} at most; ask for "
            "them in parts",
            argument="pictures",
        )
