"""Which payload fields shape the HNSW graph, on every engine.

All fields of a collection are indexed as soon as they are known: a server that is strict refuses filters on others, and to make
those of Semblant's own fields at the end of a job instead saves nothing that can be measured (20,000 pictures: 40.1 s at once,
41.5 s at the end, of which 35 s are the graph).
"""

from __future__ import annotations

from semblant_search.collection import RESERVED_FIELDS, SOURCES_FIELD

__all__ = ["filtered_first", "in_graph"]

_FILTERED = (SOURCES_FIELD, "_width", "_height")


def in_graph(field: str) -> bool:
    """Whether pictures that share a value of a field are linked in the graph, so that filtered searches find their way.

    Not for the seven facts of every picture: that more than doubles the time of building the graph, and they hardly narrow a
    search, for nearly all pictures have one format, and each its own URI.
    """
    return field not in RESERVED_FIELDS


def filtered_first(field: str) -> int:
    """A sort key for servers that have room for some indexes only: what Semblant itself filters by comes first."""
    return _FILTERED.index(field) if field in _FILTERED else len(_FILTERED)
