"""Servers for tests: the stand-in in a process of its own, and the real one that QDRANT_URL names.

Where there is a real one, it does the work behind every stand-in, too (`tests/support/qdrant_http/relay.py`), so that all tests
of servers run against it. QDRANT_URL may be a `grpc://` one, or name several nodes of a cluster; what there is only REST for is
asked at QDRANT_REST_URL then, or at port 6333 of the first.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import urllib.request
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from qdrant_client import QdrantClient
from semblant_search.store.engines.qdrant.server import QdrantDatabase

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
def server(*options: str, alone: bool = False) -> Iterator[str]:
    """The URL of an empty server in another process; `python tests/support/qdrant_http --help` lists the options.

    `alone`: without a real server behind it, for what none can be told to do.
    """
    prefix = f"test-{uuid.uuid4().hex[:12]}-"
    real = [] if alone or not os.environ.get("QDRANT_URL") else ["--to", rest_url(), "--prefix", prefix]
    process = subprocess.Popen([sys.executable, STAND_IN, *options, *real], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url, "the stand-in server did not start"
        yield url
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        if real:
            sweep(os.environ["QDRANT_URL"], prefix)


def rest_url(url: str | None = None) -> str:
    """Where a server's REST interface is; the real one's without a URL."""
    real = os.environ.get("QDRANT_URL", "")
    if url not in (None, real):
        return str(url)
    first = urlsplit(real.split(",")[0].strip())
    by_grpc = f"http{first.scheme.removeprefix('grpc')}://{first.hostname}:6333"
    return os.environ.get("QDRANT_REST_URL") or (by_grpc if first.scheme.startswith("grpc") else first.geturl())


@dataclass(frozen=True)
class Request:
    """A request that a stand-in got: `query` is the query string, `body` the JSON, `size` its bytes."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    size: int


@dataclass(frozen=True)
class Answer:
    """An answer that a stand-in is told to give; `done` says whether it does what it is asked all the same."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    done: bool = False
    message: str = "told to"


PROPER = Answer(done=True)
"""In a row of answers: what it would have answered anyway."""


class StandIn:
    """What tests ask a stand-in beside the REST interface, and tell it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def requests(self, method: str = "", ending: str = "") -> list[Request]:
        """What arrived since `forget`, by method and by the end of the path."""
        arrived = [Request(**each) for each in _ask("GET", f"{self.url}/_requests")]
        return [each for each in arrived if each.method.startswith(method) and each.path.endswith(ending)]

    def forget(self) -> None:
        """What arrived, and what it was told to answer."""
        _ask("DELETE", f"{self.url}/_requests")

    def answer(self, *answers: Answer) -> None:
        """How the next requests are answered."""
        _ask("PUT", f"{self.url}/_answers", [asdict(answer) for answer in answers])

    def version(self, version: str) -> None:
        """Which it says it is; its own again for an empty one."""
        _ask("PUT", f"{self.url}/_version", version)

    def restart(self) -> None:
        """Collections that are not optimized yet turn grey."""
        _ask("PUT", f"{self.url}/_restart")

    def outage(self, *shards: int) -> None:
        """No node answers for these shards; for all again without any."""
        _ask("PUT", f"{self.url}/_outage", list(shards))

    def fail(self, collection: str, why: str) -> None:
        """Its indexes cannot be built: it is red."""
        _ask("PUT", f"{self.url}/_fail", {"collection": collection, "why": why})

    def damage(self, collection: str, id: str, payload: dict[str, Any] | None = None) -> None:
        """Change a point's payload behind Semblant's back, or remove the point."""
        _ask("PUT", f"{self.url}/_damage", {"collection": collection, "id": id, "payload": payload})


@cache
def stand_in() -> StandIn:
    """The stand-in without options that all tests of a process share, each with collections of its own."""
    running = ExitStack()
    atexit.register(running.close)
    return StandIn(running.enter_context(server()))


def url_of(kind: str) -> str:
    """Of the shared stand-in, or of the real server (`REAL`)."""
    return os.environ["QDRANT_URL"] if kind == "server" else stand_in().url


def knows(version: tuple[int, int]) -> bool:
    """Whether the real server is of this version or a later one; also where there is none."""
    if not (url := os.environ.get("QDRANT_URL")):
        return True
    numbers = str(_ask("GET", rest_url(url))["version"]).split("-")[0].split(".")
    return (int(numbers[0]), int(numbers[1])) >= version


def client_of(url: str) -> QdrantClient:
    """A client past Semblant."""
    return QdrantClient(url=rest_url(url), api_key=os.environ.get("QDRANT_API_KEY"), timeout=60, check_compatibility=False)


def database_of(url: str, **options: Any) -> QdrantDatabase:
    """A database on a server, which a busy machine may keep waiting."""
    return QdrantDatabase(url, api_key=os.environ.get("QDRANT_API_KEY"), **{"timeout": 120, **options})


def info(url: str, collection: str) -> dict[str, Any]:
    """What a server says about a collection, as JSON."""
    result: dict[str, Any] = _ask("GET", f"{rest_url(url)}/collections/{collection}")["result"]
    return result


def _ask(method: str, url: str, body: Any = None) -> Any:
    headers = {"api-key": os.environ.get("QDRANT_API_KEY", ""), "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@contextmanager
def own_name(url: str) -> Iterator[str]:
    """A collection name that nobody else uses; whatever was made under it is gone afterwards, also after a failure."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    try:
        yield name
    finally:
        if url == os.environ.get("QDRANT_URL"):  # a stand-in ends with its test
            sweep(url, name)


def sweep(url: str, name: str) -> None:
    """Delete a name's collections, and the aliases that go with them."""
    client = client_of(url)
    try:
        for description in client.get_collections().collections:
            if description.name.startswith(name):
                client.delete_collection(description.name)
        assert not [each.name for each in client.get_collections().collections if each.name.startswith(name)]
        assert not [each.alias_name for each in client.get_aliases().aliases if each.alias_name.startswith(name)]
    finally:
        client.close()
