"""The bare engine beside the client: the same request of the same open shard, in turns, and the same answers."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import qdrant_edge as edge
from semblant_search.open_collection import LocalCollection

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from semblant_search.client import SearchClient

__all__ = ["LIMIT", "PRICE_BELOW", "WARM_UP", "bare_request", "shard_of", "take_turns"]

LIMIT = 10
PRICE_BELOW = 50.0
WARM_UP = 50


def bare_request(vector: np.ndarray, *, label: str | None = None) -> Any:
    """What one would write without Semblant; with a label, only pictures of it that cost less than `PRICE_BELOW`."""
    chosen = None
    if label is not None:
        own = edge.FieldCondition(key="label", match=edge.MatchValue(value=label))
        chosen = edge.Filter(must=[own, edge.FieldCondition(key="price", range=edge.RangeFloat(lt=PRICE_BELOW))])
    nearest = edge.Query.Nearest(vector.tolist(), using="image")
    return edge.QueryRequest(limit=LIMIT, query=nearest, with_payload=True, filter=chosen)


def shard_of(client: SearchClient) -> Any:
    """The engine under a client, to ask it directly."""
    assert isinstance(client._collection, LocalCollection)
    with client._collection.serving.current() as generation:
        engine: Any = generation.store._opened
        return engine._shard


def take_turns(count: int, client: Callable[[int], list[Any]], bare: Callable[[int], list[Any]]) -> dict[str, float]:
    """Medians in milliseconds of both ways to answer each query, and their ratio. Their answers must be the same."""
    times: dict[str, list[float]] = {"client": [], "bare": []}
    for turn in range(WARM_UP + count):
        number = turn % count
        answers: dict[str, list[str]] = {}
        # Whoever asks second finds the graph's nodes in the cache, so that they take turns at going first.
        for name in ("client", "bare") if turn % 2 else ("bare", "client"):
            begin = time.perf_counter()
            found = client(number) if name == "client" else bare(number)
            taken = time.perf_counter() - begin
            answers[name] = [str(hit.id) for hit in found]
            if turn >= WARM_UP:
                times[name].append(taken)
        assert answers["client"] == answers["bare"], f"query {number}: {answers}"
    client_ms, bare_ms = (statistics.median(times[name]) * 1000 for name in ("client", "bare"))
    return {
        "client_p50_ms": round(client_ms, 4),
        "bare_p50_ms": round(bare_ms, 4),
        "ratio": round(client_ms / bare_ms, 3),
    }
