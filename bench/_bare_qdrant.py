"""A service beside the bare server that it stands on: the same questions to both over HTTP, in turns."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from qdrant_client import QdrantClient
from semblant_search.moving import copy_collection
from semblant_search.store import open_database
from semblant_search.store.engines.qdrant.lease import LEASE
from semblant_search.store.engines.qdrant.translation import ASSETS, physical_name
from serve import CONNECTIONS, ask_together, in_ms, post, question, serving

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["beside_qdrant"]

_TURNS, _REQUESTS = 8, 250
_FILTER = {"must": [{"key": "label", "match": {"value": "Sneaker"}}, {"key": "price", "range": {"lt": 50}}]}
"""What `serve.WHERE` asks for, as a program would write it without Semblant."""


def beside_qdrant(db: Path, name: str, ids: Sequence[str], url: str) -> dict[str, Any]:
    """Requests a second, every second one filtered: of Qdrant alone, of a service over it, and of one over the directory.

    Args:
        db: the directory.
        name: of its collection, which is copied to the server under a name of its own, and dropped again.
        ids: pictures that are asked for, 250 or more.
        url: of a Qdrant server without a key.
    """
    copy, port = f"bench-{uuid.uuid4().hex[:8]}", urlsplit(url).port or 6333
    with closing(open_database(str(db))) as directory, closing(open_database(url)) as server:
        generation = copy_collection(directory, server, name, name=copy).generation
        try:
            where = f"/collections/{physical_name(copy, generation)}/points/query"
            asked = [(id, number % 2 == 1) for number, id in enumerate(ids[:_REQUESTS])]
            bare = [post(where, _bare(id, filtered=filtered)) for id, filtered in asked]
            with serving(str(url), copy) as (_, over_server), serving(str(db), name) as (_, over_directory):
                ways = {
                    "bare": (port, bare),
                    "over_server": (over_server, [question(copy, id, filtered=filtered) for id, filtered in asked]),
                    "over_directory": (over_directory, [question(name, id, filtered=filtered) for id, filtered in asked]),
                }
                return _in_turns(ways)
        finally:
            with closing(QdrantClient(url)) as qdrant:  # aliases go with their collections
                stored = physical_name(copy, generation)
                for part in (stored, stored + ASSETS, copy + LEASE):
                    qdrant.delete_collection(part)


def _bare(id: str, *, filtered: bool) -> dict[str, Any]:
    asked = {"query": id, "using": "image", "limit": 10, "with_payload": True}
    return {**asked, "filter": _FILTER} if filtered else asked


def _in_turns(ways: dict[str, tuple[int, list[bytes]]]) -> dict[str, Any]:
    seconds: dict[str, float] = dict.fromkeys(ways, 0.0)
    taken: dict[str, list[float]] = {way: [] for way in ways}
    errors = 0
    for turn in range(_TURNS + 1):
        for way, (port, questions) in ways.items():
            each, wrong, whole = asyncio.run(ask_together(port, questions, CONNECTIONS))
            errors += wrong
            if turn:  # the first one warms up
                taken[way] += each
                seconds[way] += whole
    numbers: dict[str, Any] = {
        way: {"requests_per_s": round(len(taken[way]) / seconds[way], 1), **in_ms(taken[way])} for way in ways
    }
    rates = {way: numbers[way]["requests_per_s"] for way in ways}
    ratios = {f"{way}_ratio": round(rates[way] / rates["bare"], 3) for way in ways if way != "bare"}
    return {**numbers, **ratios, "errors": errors}
