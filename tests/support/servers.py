"""Servers for tests: the stand-in in a process of its own, and the real one that QDRANT_URL names."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from qdrant_client import QdrantClient

if TYPE_CHECKING:
    from collections.abc import Iterator

STAND_IN = Path(__file__).with_name("qdrant_http")
REAL = pytest.param(
    "server",
    marks=pytest.mark.skipif(
        not os.environ.get("QDRANT_URL"),
        reason="needs a Qdrant server: set QDRANT_URL",
    ),
)
"""A parameter of tests that are skipped, visibly, where there is no real server."""


@contextmanager
def server(*options: str) -> Iterator[str]:
    """The URL of a stand-in in another process; `python tests/support/qdrant_http --help` lists the options."""
    process = subprocess.Popen([sys.executable, STAND_IN, *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url, "the stand-in server did not start"
        yield url
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@dataclass(frozen=True)
class Request:
    """A request that a stand-in got: `query` is the query string, `body` the JSON, `size` its bytes."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    size: int


class StandIn:
    """What tests ask a stand-in beside the REST interface, and tell it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def requests(self, method: str = "", ending: str = "") -> list[Request]:
        """What arrived since `forget`, by method and by the end of the path."""
        arrived = [Request(**each) for each in httpx.get(f"{self.url}/_requests").json()]
        return [each for each in arrived if each.method.startswith(method) and each.path.endswith(ending)]

    def forget(self) -> None:
        httpx.delete(f"{self.url}/_requests")

    def answer(self, *answers: int | tuple[int, dict[str, str]]) -> None:
        """How the next requests are answered: a status, or a status and headers."""
        full = [(each, {}) if isinstance(each, int) else each for each in answers]
        httpx.put(f"{self.url}/_answers", json=[{"status": status, "headers": headers} for status, headers in full])

    def restart(self) -> None:
        """Collections that are not optimized yet turn grey."""
        httpx.put(f"{self.url}/_restart")

    def damage(self, collection: str, id: str, payload: dict[str, Any] | None = None) -> None:
        """Change a point's payload behind Semblant's back, or remove the point."""
        httpx.put(f"{self.url}/_damage", json={"collection": collection, "id": id, "payload": payload})

    def info(self, collection: str) -> dict[str, Any]:
        """What the server says about a collection, as JSON."""
        result: dict[str, Any] = httpx.get(f"{self.url}/collections/{collection}").raise_for_status().json()["result"]
        return result


@contextmanager
def own_name(url: str | None, prefix: str = "test") -> Iterator[str]:
    """A collection name that nobody else uses; whatever was made under it is gone afterwards, also after a failure.

    Without a URL there is no server to clean.
    """
    name = f"{prefix}-{uuid.uuid4().hex[:12]}"
    try:
        yield name
    finally:
        if url is not None:
            sweep(url, name)


def sweep(url: str, name: str) -> None:
    """Delete a name's collections, and the aliases that go with them."""
    client = QdrantClient(url=url, api_key=os.environ.get("QDRANT_API_KEY"), timeout=60, check_compatibility=False)
    try:
        for description in client.get_collections().collections:
            if description.name.startswith(name):
                client.delete_collection(description.name)
        assert not [each.name for each in client.get_collections().collections if each.name.startswith(name)]
        assert not [each.alias_name for each in client.get_aliases().aliases if each.alias_name.startswith(name)]
    finally:
        client.close()
