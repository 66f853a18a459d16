"""Which failures of a Qdrant server are worth another try, how many, and after what wait."""

from __future__ import annotations

import socket
import threading
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest
from qdrant_client.http.exceptions import ResponseHandlingException
from semblant_search import SearchClient
from semblant_search.collection import StorageOptions
from semblant_search.errors import InvalidInput, StoreDenied, StoreError, StoreUnavailable
from semblant_search.store.engines.qdrant.connection import Connection, Deadline, RetryPolicy
from support import servers
from support.samples import manifest, points
from support.servers import PROPER, Answer, StandIn, database_of, server

if TYPE_CHECKING:
    from collections.abc import Iterator

AT_ONCE = RetryPolicy(attempts=3, first_wait=0)


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    shared = servers.stand_in()
    shared.forget()
    yield shared
    shared.forget()  # answers that nothing asked for are no other test's


@dataclass(frozen=True)
class Noted(RetryPolicy):
    """A policy that waits for nothing and remembers what it was asked."""

    asked: list[tuple[int, float | None]] = field(default_factory=list)

    def wait(self, attempt: int, asked: float | None) -> float:
        self.asked.append((attempt, asked))
        return 0.0


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(stand_in: StandIn, status: int) -> None:
    with closing(database_of(stand_in.url, retry=AT_ONCE)) as database:
        stand_in.answer(Answer(status), Answer(status))
        assert isinstance(database.collections(), dict)
        assert len(stand_in.requests()) == 3
        stand_in.forget()
        stand_in.answer(*[Answer(status)] * 4)
        with pytest.raises(StoreUnavailable, match=f"{stand_in.url}.*{status}.*told to"):
            database.collections()
        assert len(stand_in.requests()) == 3


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, StoreError),
        (401, StoreDenied),
        (403, StoreDenied),
        *[(status, StoreError) for status in (404, 409, 413, 422, 501)],
    ],
)
def test_what_will_not_pass_is_not_tried_again(stand_in: StandIn, status: int, error: type[StoreError]) -> None:
    with closing(database_of(stand_in.url, retry=AT_ONCE)) as database:
        stand_in.answer(Answer(status))
        with pytest.raises(StoreError, match=f"{status}.*told to") as caught:
            database.collections()
        assert type(caught.value) is error
        assert len(stand_in.requests()) == 1


def test_a_full_server_says_so_at_once(stand_in: StandIn) -> None:
    with closing(database_of(stand_in.url, retry=AT_ONCE)) as database:
        stand_in.answer(Answer(507, message="Disk usage is at 99%"))
        with pytest.raises(StoreError, match=r"has no room for more.*507: Disk usage is at 99%") as caught:
            database.collections()
        assert type(caught.value) is StoreError
        assert len(stand_in.requests()) == 1


def test_what_a_rate_limit_never_lets_pass_is_not_tried_again(stand_in: StandIn) -> None:
    message = "Read rate limit exceeded, request larger than rate limiter capacity, please try to split your request"
    with closing(database_of(stand_in.url, retry=AT_ONCE)) as database:
        stand_in.answer(Answer(429, message=message))
        with pytest.raises(StoreError, match="429: Read rate limit exceeded") as caught:
            database.collections()
        assert type(caught.value) is StoreError
        assert len(stand_in.requests()) == 1


def test_writes_and_searches_are_tried_again_as_well(stand_in: StandIn) -> None:
    with closing(database_of(stand_in.url, retry=AT_ONCE)) as database:
        store = database.create(manifest("retried"))
        for done in (False, True):
            stand_in.answer(Answer(503, done=done))
            store.upsert(points(3))
            stand_in.answer(Answer(503, done=done))
            assert store.count() == 3


def test_time_ends_before_the_attempts_do(stand_in: StandIn) -> None:
    with closing(database_of(stand_in.url, retry=RetryPolicy(attempts=5, first_wait=0, total_timeout=0))) as database:
        stand_in.answer(*[Answer(503)] * 5)
        with pytest.raises(StoreUnavailable):
            database.collections()
        assert len(stand_in.requests()) == 1


@pytest.mark.parametrize(
    ("status", "header", "asked"),
    [
        (429, "7", 7.0),
        (503, "3", 3.0),
        (503, "Wed, 21 Oct 2026 07:28:00 GMT", None),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", None),
        (429, None, None),
        (503, None, None),
    ],
)
def test_the_server_says_how_long_to_wait(stand_in: StandIn, status: int, header: str | None, asked: float | None) -> None:
    noted = Noted()
    with closing(database_of(stand_in.url, retry=noted)) as database:
        headers = {} if header is None else {"Retry-After": header}
        stand_in.answer(Answer(status, headers), Answer(status, headers), PROPER)
        database.collections()
        assert noted.asked == [(1, asked), (2, asked)]


def test_waits_double_up_to_the_longest() -> None:
    """Drawn between half and the whole, so that clients do not come back together."""
    policy = RetryPolicy(first_wait=1, longest_wait=5)
    for attempt, most in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (50, 5.0)):
        drawn = [policy.wait(attempt, None) for _ in range(200)]
        assert most / 2 <= min(drawn) < 0.6 * most
        assert 0.9 * most < max(drawn) <= most


def test_what_the_server_asks_for_counts_whatever_the_longest_wait() -> None:
    policy = RetryPolicy(first_wait=1, longest_wait=5)
    assert policy.wait(1, 3.0) == 3.0
    assert policy.wait(1, 45.0) == 45.0
    assert 0.5 <= policy.wait(1, 0.0) <= 1.0


@pytest.mark.parametrize(
    ("status", "detail", "words"),
    [
        (401, "Must provide an API key or an Authorization bearer token", "refuses this API key"),
        (403, "Forbidden: Global access is required", "does not allow this to the API key"),
        (403, "Write operations are forbidden", "is locked against writes"),
        (403, "Storage locked: maintenance until noon", "is locked against writes"),
        (403, "<html>blocked by the firewall</html>", "or a proxy before it, is closed"),
    ],
)
def test_what_is_denied_is_told_from_a_wrong_key(stand_in: StandIn, status: int, detail: str, words: str) -> None:
    with closing(database_of(stand_in.url, retry=AT_ONCE)) as database:
        stand_in.answer(Answer(status, message=detail))
        with pytest.raises(StoreDenied) as caught:
            database.collections()
        assert words in str(caught.value)
        assert detail in str(caught.value)
        assert ("--api-key" in str(caught.value)) is ("locked" not in words)


def test_a_wait_that_leaves_no_time_for_a_try_is_not_begun(stand_in: StandIn) -> None:
    with closing(database_of(stand_in.url, timeout=2, retry=RetryPolicy(attempts=5, longest_wait=60))) as database:
        stand_in.answer(*[Answer(503, {"Retry-After": "50"})] * 5)
        with pytest.raises(StoreUnavailable):
            database.collections()
        assert len(stand_in.requests()) == 1


def test_all_tries_of_a_call_share_its_time() -> None:
    """A server that accepts and never answers: what is left shrinks with each try, and a try has no more than that."""
    given: list[dict[str, float]] = []
    deadline = Deadline()

    class Silent:
        def get_aliases(self) -> None:
            request = httpx.Request("GET", "http://host", extensions={"timeout": dict.fromkeys(("connect", "read"), 30.0)})
            deadline.limit(request)
            given.append(request.extensions["timeout"])
            raise ResponseHandlingException(httpx.ReadTimeout("silent"))

    policy = RetryPolicy(attempts=3, first_wait=0.2, total_timeout=10)
    connection = Connection(Silent(), "http://host", policy, 4.0, deadline)  # type: ignore[arg-type]
    with pytest.raises(StoreUnavailable, match="in time"):
        connection.call("get_aliases")
    assert [limits.keys() for limits in given] == [{"connect", "read", "write", "pool"}] * 3
    assert all(0 < limit <= 4 for limits in given for limit in limits.values())
    given.clear()
    connection = Connection(Silent(), "http://host", policy, 60.0, deadline)  # type: ignore[arg-type]
    with pytest.raises(StoreUnavailable):
        connection.call("get_aliases")
    left = [limits["read"] for limits in given]
    assert left == sorted(left, reverse=True)
    assert left[0] <= 10
    assert left[2] <= left[0] - 0.3


def test_the_time_of_a_client_is_for_a_call_with_all_its_tries() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(StoreUnavailable, match="in time"):
            SearchClient(url, timeout=0.5, retry=RetryPolicy(attempts=50, first_wait=0))
        silent.setblocking(False)
        tries = 0
        with suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                tries += 1
        assert tries == 1


def test_without_a_policy_five_tries_are_made(stand_in: StandIn) -> None:
    policy = RetryPolicy()
    assert (policy.attempts, policy.first_wait, policy.longest_wait, policy.total_timeout) == (5, 0.2, 10.0, None)
    assert policy.stall == 3600.0
    with closing(database_of(stand_in.url)) as database:
        stand_in.answer(Answer(503))
        assert isinstance(database.collections(), dict)
        assert len(stand_in.requests()) == 2


@pytest.mark.parametrize(
    "wrong", [{"attempts": 0}, {"first_wait": -1}, {"longest_wait": -0.1}, {"total_timeout": -1}, {"stall": -1}]
)
def test_policies_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="at least one attempt and no negative times"):
        RetryPolicy(**wrong)  # type: ignore[arg-type]


class Node:
    """A node of a cluster, as far as a client can tell: it passes on what it is asked until it is killed."""

    def __init__(self, url: str) -> None:
        self._behind = urlsplit(url)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                asked, _ = self._listening.accept()
                self.connections += 1
                behind = socket.create_connection((str(self._behind.hostname), self._behind.port or 0))
                self._open += [asked, behind]
                for source, target in ((asked, behind), (behind, asked)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def kill(self) -> None:
        for each in (self._listening, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def test_a_node_that_is_lost_is_left_for_the_next_one(stand_in: StandIn) -> None:
    one, other = Node(stand_in.url), Node(stand_in.url)
    with closing(database_of(f"{one.url},{other.url}", retry=AT_ONCE)) as database:
        store = database.create(manifest("nodes"))
        store.upsert(points(2))
        assert (one.connections > 0, other.connections) == (True, 0)
        one.kill()
        assert store.count() == 2
        store.upsert(points(3))
        assert store.count() == 3
        assert other.connections > 0
        other.kill()
        with pytest.raises(StoreUnavailable, match=f"{one.url},{other.url}.*cannot be reached"):
            store.count()


def test_a_client_of_several_nodes_begins_with_any_that_answers(stand_in: StandIn) -> None:
    with closing(database_of(stand_in.url)) as database:
        database.create(manifest("any-node")).upsert(points(2))
        database.publish("any-node", "g0001")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        gone = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with SearchClient(f"{gone}, {stand_in.url}", collection="any-node") as client:
        assert client.count() == 2


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://a:6333,http://user:pa,ss@b:6333", "http://***@b:6333"),
        ("http://user:pa,http://ss@b:6333", "http://***@b:6333"),
        ("http://a:6333,ftp://b:6333", "http://a:6333,ftp://b:6333"),
    ],
)
def test_nodes_that_cannot_be_are_refused_without_a_password(url: str, shown: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        SearchClient(url)
    assert repr(shown) in str(caught.value)
    assert "pa" not in str(caught.value).replace("password", "")


@pytest.mark.parametrize(("silent", "said"), [((1, 3), "2 of the 4 shards .*: 50%"), ((0,), "1 of the 4 shards .*: 25%")])
def test_a_partial_outage_says_which_share_is_away(silent: tuple[int, ...], said: str) -> None:
    with server(alone=True) as url, closing(database_of(url, retry=RetryPolicy(attempts=2, first_wait=0))) as database:
        stand_in = StandIn(url)
        store = database.create(manifest(storage=StorageOptions(shards=4)))
        store.upsert(points(3))
        stand_in.outage(*silent)
        with pytest.raises(StoreUnavailable, match=rf"enough active replicas.*No node answers for {said} of it cannot"):
            store.count()
        with pytest.raises(StoreUnavailable, match="No node answers"):
            store.upsert(points(3))
        stand_in.outage()
        assert store.count() == 3


def test_an_outage_of_everything_is_no_matter_of_shards() -> None:
    with server() as url, closing(database_of(url, retry=RetryPolicy(attempts=2, first_wait=0))) as database:
        store = database.create(manifest())
        StandIn(url).answer(*[Answer(503)] * 3)
        with pytest.raises(StoreUnavailable, match=r"503 \(told to\); try again later$"):
            store.count()
