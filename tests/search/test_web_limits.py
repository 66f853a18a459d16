"""Limits of a service: too many requests, too long ones, clients that take their time, and one that is not ready."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from semblant_search import InvalidInput
from semblant_search.web import ServiceSettings, create_app
from semblant_search.web.connections import bounded_protocol
from support.service import listening, problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.service import Served

GET = b"GET /v1/count HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
PIECES = 400


def test_more_requests_than_may_wait_are_told_to_come_again(served: Served) -> None:
    app = create_app(served.database, settings=ServiceSettings(concurrency=1, queue=0), client=served.client)
    service = app.state.service
    with TestClient(app, base_url="http://localhost") as http:
        assert http.get("/v1/count").status_code == 200
        assert http.portal is not None
        with http.portal.wrap_async_context_manager(service.turn()):  # as one that is at work
            response = http.get("/v1/count")
            problem(response, 429, "too-busy")
            assert int(response.headers["retry-after"]) >= 1
            assert http.get("/livez").status_code == 200
            assert b'code="too-busy"' in http.get("/metrics").content
        assert http.get("/v1/count").status_code == 200


def test_a_request_that_takes_too_long_is_given_up(served: Served, shop_pictures: Path) -> None:
    app = create_app(served.database, settings=ServiceSettings(timeout=1e-6), client=served.client)
    http = TestClient(app, base_url="http://localhost")
    data = (shop_pictures / "photos" / "moon.png").read_bytes()
    for _ in range(3):  # and leaves its place
        told = problem(http.post("/v1/search", files={"picture": data}), 504, "timed-out")
        assert "1e-06 seconds" in told["detail"]
        assert "may still be done" not in told["detail"]  # a search changes nothing


def test_of_a_change_that_takes_too_long_it_is_said_that_it_may_still_come(served: Served) -> None:
    app = create_app(served.database, settings=ServiceSettings(timeout=1e-6), client=served.client)
    http = TestClient(app, base_url="http://localhost")
    told = problem(http.patch("/v1/pictures", json={"pictures": ["file:///nowhere.png"], "metadata": {"a": 1}}), 504, "timed-out")
    assert "may still be done: look before you ask for it again" in told["detail"]


def test_a_service_that_has_not_begun_or_has_ended_is_not_ready(served: Served) -> None:
    app = create_app(served.database, client=served.client)
    http = TestClient(app, base_url="http://localhost")
    response = http.get("/readyz")
    problem(response, 503, "starting")
    assert int(response.headers["retry-after"]) >= 1
    assert http.get("/livez").status_code == 200
    with http:
        while http.get("/readyz").status_code != 200:
            time.sleep(0.01)
    problem(http.get("/readyz"), 503, "stopping")


@pytest.fixture(scope="module")
def impatient(served: Served) -> Iterator[tuple[str, int]]:
    """The address of a service that waits a second for whatever a client has to do."""
    app = create_app(served.database, settings=ServiceSettings(timeout=1), client=served.client)
    with listening(app, http=bounded_protocol(headers=1, body=2, answer=1)) as address:
        host, _, port = address.removeprefix("semblant://").partition(":")
        yield host, int(port)


def _ended_after(address: tuple[str, int], first: bytes, piece: Callable[[int], bytes]) -> tuple[int, bytes]:
    """How many pieces were taken of a client that sends one every few milliseconds, and what it was told."""
    with socket.create_connection(address) as client:
        client.sendall(first)
        client.settimeout(0.02)
        told = b""
        for number in range(PIECES):
            try:
                client.sendall(piece(number))
                received = client.recv(65_536)
            except TimeoutError:
                continue
            except OSError:  # ended while it was sent
                return number, told
            if not received:
                return number, told
            told += received
        return PIECES, told


@pytest.mark.parametrize(
    ("first", "piece"),
    [
        (b"", b""),
        (b"GET /v1/count HT", b""),
        (b"GET /v1/count HTTP/1.1\r\n", b"X-A: b\r\n"),
        (b"GET /v1/count HTTP/1.1\r\nX-A: ", b"x"),
        (GET, b"\r\n"),
        (GET + b"GET /v1/count HTTP/1.1\r\n", b"X-A: b\r\n"),
    ],
    ids=["nothing", "half a line", "headers", "one header", "empty lines", "second request"],
)
def test_a_client_that_sends_headers_slowly_is_ended(impatient: tuple[str, int], first: bytes, piece: bytes) -> None:
    taken, told = _ended_after(impatient, first, lambda _: piece)
    assert taken < PIECES
    assert told.count(b"HTTP/1.1 200") == first.count(GET)


def test_a_body_that_arrives_slowly_is_ended(impatient: tuple[str, int]) -> None:
    taken, told = _ended_after(impatient, HEAD, lambda _: b" ")
    assert taken < PIECES
    assert b" 504 " in told.splitlines()[0]
    assert b'"timed-out"' in told


def test_a_body_that_nobody_reads_any_more_is_no_way_to_stay(impatient: tuple[str, int]) -> None:
    refused = HEAD.replace(b"application/json", b"text/plain").replace(b"/search", b"/nothing")
    taken, told = _ended_after(impatient, refused, lambda _: b" ")
    assert taken < PIECES
    assert b" 404 " in told.splitlines()[0]


def test_a_client_that_does_not_read_its_answers_is_ended(impatient: tuple[str, int]) -> None:
    """Answers of some megabytes to requests that are sent together."""
    asked = GET.replace(b"/v1/count", b"/openapi.json") * 200
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(impatient)
        client.sendall(asked)
        for _ in range(PIECES):
            time.sleep(0.02)
            try:
                client.sendall(b"\r\n" * 1000)
            except OSError:
                break
        else:
            pytest.fail("it may stay")


def test_a_client_in_no_hurry_between_requests_is_served(impatient: tuple[str, int]) -> None:
    with socket.create_connection(impatient) as client:
        for _ in range(3):
            client.sendall(GET)
            told = b""
            while b'{"count":' not in told:
                received = client.recv(65_536)
                assert received
                told += received
            time.sleep(1.2)


@pytest.mark.parametrize("seconds", [0, -1, 86_401, float("nan")])
def test_no_time_at_all_is_no_limit(seconds: float) -> None:
    with pytest.raises(InvalidInput, match="timeout"):
        ServiceSettings(timeout=seconds)
    with pytest.raises(InvalidInput, match="header_timeout"):
        ServiceSettings(header_timeout=seconds)


def test_folders_of_settings_may_be_text_and_one_is_not_several(tmp_path: Path) -> None:
    settings = ServiceSettings(roots=[str(tmp_path)], job_roots=(str(tmp_path),), cache=str(tmp_path))  # type: ignore[arg-type]
    assert settings == ServiceSettings(roots=(tmp_path,), job_roots=(tmp_path,), cache=tmp_path)
    for name in ("roots", "job_roots", "allow_urls"):
        with pytest.raises(InvalidInput, match=f"{name} '/pictures': expected several"):
            ServiceSettings(**{name: "/pictures"})  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="cache 5: expected a folder"):
        ServiceSettings(cache=5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [
        *({"max_limit": "5"}, {"max_body": 0}, {"max_pixels": float("nan")}, {"queue": -1}, {"queue": None}),
        *({"concurrency": True}, {"cache_bytes": 1.5}, {"timeout": "3"}, {"url_timeout": None}, {"read_only": "no"}),
    ],
    ids=str,
)
def test_a_setting_of_another_type_is_refused_by_name(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(InvalidInput, match=f"^{name} .*: expected"):
        ServiceSettings(**given)
