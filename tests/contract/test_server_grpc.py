"""A server over gRPC: which codes are worth another try, which mean a wrong key, and that a key arrives."""

from __future__ import annotations

import socketserver
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import grpc  # type: ignore[import-untyped]
import httpx
import pytest
from click.testing import CliRunner
from qdrant_client import grpc as messages
from semblant_search import SearchClient
from semblant_search.cli import semblant
from semblant_search.errors import StoreDenied, StoreError, StoreUnavailable
from semblant_search.store import open_database
from semblant_search.store.engines.qdrant.connection import Connection, Deadline, RetryPolicy, connect
from semblant_search.store.engines.qdrant.outage import missing_share
from semblant_search.store.engines.qdrant.server import QdrantDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AT_ONCE = RetryPolicy(attempts=3, first_wait=0)


class Script(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers with the codes that it is given, one a request, and then with an empty message, as a server without data."""

    def __init__(self) -> None:
        self.codes: list[tuple[Any, tuple[tuple[str, str], ...]]] = []
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.deadlines: list[float] = []

    def service(self, details: Any) -> Any:
        def answer(_: bytes, context: Any) -> bytes:
            self.calls.append((details.method, dict(context.invocation_metadata())))
            self.deadlines.append(context.time_remaining())
            if self.codes:
                code, trailing = self.codes.pop(0)
                context.set_trailing_metadata(trailing)
                context.abort(code, "told to")
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


class Shards(grpc.GenericRpcHandler):  # type: ignore[misc]
    """A node that has one shard, and knows of another that is dead and of one that is on a node that calls itself alive."""

    def service(self, details: Any) -> Any:
        assert details.method == "/qdrant.Collections/CollectionClusterInfo"
        dead, alive = messages.ReplicaState.Dead, messages.ReplicaState.Active
        told = messages.CollectionClusterInfoResponse(
            peer_id=1,
            shard_count=3,
            local_shards=[messages.LocalShardInfo(shard_id=0, state=alive)],
            remote_shards=[
                messages.RemoteShardInfo(shard_id=1, peer_id=2, state=dead),
                messages.RemoteShardInfo(shard_id=2, peer_id=3, state=alive),
            ],
        )
        return grpc.unary_unary_rpc_method_handler(lambda *_: told.SerializeToString())


def test_what_is_away_is_asked_of_the_node_itself_and_not_of_what_is_at_the_usual_rest_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def refuse(_: httpx.Client, request: httpx.Request, **__: Any) -> httpx.Response:
        asked.append(str(request.url))
        raise httpx.ConnectError("no server")

    monkeypatch.setattr(httpx.Client, "send", refuse)
    server = grpc.server(ThreadPoolExecutor(2), handlers=[Shards()])
    url = f"grpc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    with closing(connect(url, api_key=None, timeout=5, deadline=Deadline())) as client:
        connection = Connection(client, url, AT_ONCE, 5)
        assert "No node answers for 1 of the 3 shards of 'images': 33%" in missing_share(connection, "images")
        assert asked == []
        usual = Connection(client, "grpc://127.0.0.1:6334", AT_ONCE, 5)  # beside it, REST is where everyone has it
        assert "1 of the 3 shards" in missing_share(usual, "images")
        assert [url.rpartition("/")[2] for url in asked] == ["cluster"]
    server.stop(None).wait()


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, Script]]:
    script = Script()
    server = grpc.server(ThreadPoolExecutor(2), handlers=[script])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"grpc://127.0.0.1:{port}", script
    server.stop(None).wait()


@pytest.fixture
def script(served: tuple[str, Script]) -> Script:
    served[1].codes.clear()
    served[1].calls.clear()
    served[1].deadlines.clear()
    return served[1]


@pytest.fixture
def database(served: tuple[str, Script]) -> Iterator[QdrantDatabase]:
    with closing(QdrantDatabase(served[0], retry=AT_ONCE, timeout=20)) as database:
        yield database


@pytest.mark.parametrize("name", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED", "INTERNAL"])
def test_what_may_pass_is_tried_again(database: QdrantDatabase, script: Script, name: str) -> None:
    code = grpc.StatusCode[name]
    script.codes = [(code, ())] * 2
    assert database.collections() == {}
    assert len(script.calls) == 3
    script.codes = [(code, ())] * 4
    with pytest.raises(StoreUnavailable, match=f"{name}.*told to"):
        database.collections()
    assert len(script.calls) == 6


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("UNAUTHENTICATED", StoreDenied),
        ("PERMISSION_DENIED", StoreDenied),
        *[
            (name, StoreError)
            for name in (
                "CANCELLED",
                "UNKNOWN",
                "INVALID_ARGUMENT",
                "NOT_FOUND",
                "ALREADY_EXISTS",
                "FAILED_PRECONDITION",
                "OUT_OF_RANGE",
                "UNIMPLEMENTED",
                "DATA_LOSS",
            )
        ],
    ],
)
def test_what_will_not_pass_is_not_tried_again(
    database: QdrantDatabase, script: Script, name: str, error: type[StoreError]
) -> None:
    script.codes = [(grpc.StatusCode[name], ())]
    with pytest.raises(StoreError, match="told to") as caught:
        database.collections()
    assert type(caught.value) is error
    assert ("API key" in str(caught.value)) == (error is StoreDenied)
    assert error is StoreDenied or name in str(caught.value)
    assert len(script.calls) == 1


def test_a_busy_server_says_how_long_to_wait(served: tuple[str, Script], script: Script) -> None:
    waits: list[tuple[int, float | None]] = []

    class Noted(RetryPolicy):
        def wait(self, attempt: int, asked: float | None) -> float:
            waits.append((attempt, asked))
            return 0.0

    with closing(QdrantDatabase(served[0], retry=Noted())) as database:
        script.codes = [(grpc.StatusCode.RESOURCE_EXHAUSTED, (("retry-after", "9"),))]
        assert database.collections() == {}
    assert waits == [(1, 9)]


def test_a_full_server_is_not_a_busy_one(database: QdrantDatabase, script: Script) -> None:
    """Both have the same code."""
    script.codes = [(grpc.StatusCode.RESOURCE_EXHAUSTED, (("qdrant-insufficient-storage", "1"),))]
    with pytest.raises(StoreError, match=r"has no room for more.*told to") as caught:
        database.collections()
    assert type(caught.value) is StoreError
    assert len(script.calls) == 1


def test_the_key_goes_along(served: tuple[str, Script], script: Script) -> None:
    with closing(open_database(served[0], api_key="secret")) as database:
        assert database.collections() == {}
    ((method, metadata),) = script.calls
    assert method == "/qdrant.Collections/ListAliases"
    assert metadata["api-key"] == "secret"


ASKING: dict[str, Callable[[str], object]] = {
    "a database": lambda url: open_database(url, timeout=4000).open("images"),
    "a client": lambda url: SearchClient(url, timeout=4000),
    "info": lambda url: CliRunner().invoke(semblant, ["info", "--db", url, "--timeout", "4000"]),
    "count": lambda url: CliRunner().invoke(semblant, ["count", "--db", url, "--timeout", "4000"]),
}


@pytest.mark.parametrize("asking", ASKING)
def test_the_server_is_told_for_how_long_its_answer_is_waited_for(
    served: tuple[str, Script], script: Script, asking: str
) -> None:
    with suppress(StoreError):  # the script is no Qdrant of any version
        ASKING[asking](served[0])
    assert script.deadlines
    # gRPC rounds a deadline up, to whole seconds where it is far away.
    assert script.deadlines == pytest.approx([4000] * len(script.deadlines), abs=900)


@pytest.mark.parametrize(("scheme", "first"), [("grpcs", b"\x16"), ("https", b"\x16"), ("grpc", b"P"), ("http", b"G")], ids=str)
def test_only_the_schemes_that_say_so_are_encrypted(scheme: str, first: bytes) -> None:
    """0x16 opens a TLS handshake; P and G are the first letters of HTTP/2 and of a GET in the clear."""
    heard: list[bytes] = []

    class Listening(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            heard.append(self.request.recv(1))

    with socketserver.TCPServer(("127.0.0.1", 0), Listening) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        with (
            closing(QdrantDatabase(url, api_key="secret", retry=RetryPolicy(attempts=1))) as database,
            pytest.raises(StoreUnavailable),
        ):
            database.collections()
        server.shutdown()
    assert set(heard) == {first}
