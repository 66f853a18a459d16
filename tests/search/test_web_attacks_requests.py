"""Attacks by requests: bodies without end, damaged forms and JSON, headers, logs, and pages of other origins."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from semblant_search import InvalidInput
from semblant_search.web import KeyFile, ServiceSettings, create_app, is_loopback
from support.service import bearer, problem, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from semblant_search.store import Database
    from support.service import Served

MOST = 1_000_000


@pytest.fixture(scope="module")
def small(served: Served) -> Served:
    """A service of the same collection that takes bodies of a megabyte."""
    settings = ServiceSettings(max_body=MOST, max_pictures=4)
    app = create_app(served.database, settings=settings, client=served.client)
    return replace(served, http=TestClient(app, base_url="http://localhost"), app=app)


def _sent(app: Any, pieces: Callable[[], Iterator[bytes]], headers: list[tuple[bytes, bytes]]) -> tuple[int, int]:
    """The status of a request whose body comes in pieces, and how many bytes of it were taken."""
    taken = 0
    source = pieces()
    sent: list[Any] = []

    async def receive() -> Any:
        nonlocal taken
        piece = next(source, None)
        taken += len(piece or b"")
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(message: Any) -> None:
        sent.append(message)

    path = "/v1/search"
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [(b"host", b"localhost"), *headers],
    }
    asyncio.run(app(scope, receive, send))
    return int(sent[0]["status"]), taken


def _endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 65_536


def _endless_form() -> Iterator[bytes]:
    yield b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n\r\n'
    yield from _endless()


def _endless_parts() -> Iterator[bytes]:
    while True:
        yield b'--b\r\nContent-Disposition: form-data; name="limit"\r\n\r\n1\r\n' * 100


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        (_endless, b"application/json"),
        (_endless_form, b"multipart/form-data; boundary=b"),
        (_endless_parts, b"multipart/form-data; boundary=b"),
    ],
    ids=["json", "picture", "parts"],
)
def test_a_body_without_end_is_given_up_at_the_limit(small: Served, pieces: Any, kind: bytes) -> None:
    status, taken = _sent(small.app, pieces, [(b"content-type", kind)])
    assert status == 413
    assert taken <= MOST + 70_000


def test_a_body_that_says_it_is_too_large_is_not_read(small: Served) -> None:
    for length in (b"1000001", b"9" * 30):
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        assert _sent(small.app, _endless, headers) == (413, 0)
    # One that says it is small, or what is no number, is measured.
    for length in (b"3", b"-1", b"x", b""):
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        status, taken = _sent(small.app, _endless, headers)
        assert (status, taken <= MOST + 70_000) == (413, True)


def test_many_parts_are_refused(small: Served, shop_pictures: Path) -> None:
    data = (shop_pictures / "photos" / "moon.png").read_bytes()[:1000]
    post = small.http.post
    problem(post("/v1/search", files=[("picture", data)] * 5), 422, "invalid-request")
    problem(post("/v1/search", files=[("limit", (None, b"1"))] * 500), 422, "invalid-request")
    many: list[tuple[str, Any]] = [(f"name{number}", (None, b"1")) for number in range(500)]
    problem(post("/v1/search", files=many), 422, "invalid-request")


def test_long_names_and_headers_of_parts_are_refused(small: Served) -> None:
    for head in (
        b"x" * 100_000,
        b'form-data; name="' + b"x" * 100_000 + b'"',
        b"form-data; name=picture; " + b"a=b; " * 20_000,
    ):
        body = b"--b\r\nContent-Disposition: " + head + b"\r\n\r\n1\r\n--b--\r\n"
        response = small.http.post("/v1/search", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
        assert response.status_code == 422, response.text
        assert len(response.content) < 5000
    for kind in ("multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary="' + "x" * 9999 + '"'):
        response = small.http.post("/v1/search", content=b"--b\r\n\r\n", headers={"Content-Type": kind})
        assert response.status_code == 422, response.text


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"like":' * 20_000,
        b'{"where": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"limit": NaN, "uri": "a://b"}',
        b'{"uri": "a://b", "min_score": NaN}',
        b'{"uri": "a://b", "min_score": Infinity}',
        b'{"uri": "a://b", "min_score": -Infinity}',
        b'{"uri": "a://b", "min_score": 1e999}',
        b'{"uri": "a://b", "limit": 1e999}',
        b'{"uri": "a://b", "limit": ' + b"9" * 5000 + b"}",
        b'{"uri": "a://b", "offset": 99999999999999999999}',
        b'{"vector": [1e39, 1e39]}',
        b'{"vector": [NaN]}',
        b'{"uri": "\\ud800"}',
        b'{"uri": "a://\\ud800"}',
        b'{"uri": "a://b\\u0000"}',
        b'{"uri": "a://b", "where": "label == \\"\\ud800\\""}',
        b'{"uri": "a://b", "where": "label == \\"\\u0000\\""}',
        b'{"uri": "a://b", "where": "\\u0000"}',
        b'{"uri": "a://b", "fields": ["\\udfff"]}',
        b'{"uri": "a://b", "group_by": "\\ud800"}',
        b'{"uri": "a://b", "order_by": "\\ud800", "min_score": 0}',
        b'{"uri": "a://b", "cursor": "\\ud800"}',
        b'{"uri": "a://b", "collection": "\\ud800"}',
        b'{"uri": "a://b", "collection": "../../etc"}',
        b'{"uri": "a://b", "collection": "\\u0000"}',
        b'{"\\ud800": 1}',
        b'{"id": "\\u0000"}',
        b"\xff\xfe{}",
        b'{"uri": "\xff"}',
        b"null",
        b"0",
        b'"x"',
        b"{}{}",
    ],
    ids=lambda body: body[:30].decode("latin-1") + str(len(body)),
)
def test_json_that_no_one_means_is_a_problem_of_the_request(served: Served, body: bytes) -> None:
    for path in ("/v1/search", "/v1/search/features", "/v1/duplicates", "/v1/pictures/delete"):
        response = served.http.post(path, content=body, headers={"Content-Type": "application/json"})
        assert response.status_code in (404, 422), response.text
        assert response.headers["content-type"] == "application/problem+json"
        assert len(response.content) < 10_000


@pytest.mark.parametrize(
    "values",
    [
        {"metadata": '{"\\ud800": "x"}'},
        {"metadata": "[" * 100_000},
        {"metadata": '{"price": 1e999}'},
        {"metadata": '{"price": ' + "9" * 5000 + "}"},
        {"collection": "\x00"},
        {"collection": "../../etc"},
    ],
    ids=lambda values: str(values)[:40],
)
def test_fields_of_a_form_that_no_one_means_are_a_problem_of_the_request(
    served: Served, shop_pictures: Path, values: dict[str, Any]
) -> None:
    before = served.client.count()
    data = (shop_pictures / "photos" / "moon.png").read_bytes() + b"\0"
    files: list[tuple[str, Any]] = [("picture", data)]
    files += [(name, (None, value)) for name, value in values.items()]
    response = served.http.post("/v1/pictures", files=files)
    if response.status_code == 200:
        assert [one["status"] for one in response.json()["pictures"]] == [422], response.text
    else:
        assert response.status_code in (404, 422), response.text
    assert served.client.count() == before


def test_addresses_with_what_no_one_means_are_a_problem_of_the_request(served: Served) -> None:
    for query in ("where=%00", "where=%ff", "where=%ed%a0%80", "collection=%00", "order_by=%00", "cursor=%00%ff", "limit=1e9"):
        response = served.http.get(f"/v1/pictures?{query}")
        assert response.status_code in (404, 422), (query, response.text)
    for path in ("/v1/collections/%00", "/v1/collections/..%2f..", "/v1/pictures/%ed%a0%80", "/v1/facets?field=%00"):
        assert served.http.get(path).status_code in (404, 422), path


def test_an_id_of_a_request_that_could_forge_a_header_or_a_line_is_not_taken(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "semblant_search")
    for given in ("a\tb", "x" * 65, "<script>", "a b", "é", "", "a;b", "\x1b[2J"):
        response = served.http.get("/v1/count", headers=[(b"X-Request-Id", given.encode("latin-1"))])
        assert response.headers["x-request-id"] != given
        assert response.headers["x-request-id"].isalnum()
    assert served.http.get("/v1/count", headers={"X-Request-Id": "order-17.a_B"}).headers["x-request-id"] == "order-17.a_B"
    assert all(record.getMessage().isprintable() for record in caplog.records)


def test_what_no_route_takes_has_an_id_as_well(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "semblant_search")
    for response, code in (
        (served.http.get("/v1/nothing"), "not-found"),
        (served.http.put("/v1/search"), "method-not-allowed"),
        (served.http.get("/v1/count", headers={"Host": "evil.example"}), "origin-refused"),
    ):
        told = problem(response, response.status_code, code)
        assert f"{told['request_id']} {code} {told['status']}" in caplog.messages
    own = served.http.get("/v1/nothing", headers={"X-Request-Id": "order-17"})
    assert problem(own, 404, "not-found")["request_id"] == "order-17"
    forged = served.http.get("/v1/nothing", headers=[(b"X-Request-Id", b"a b")])
    assert problem(forged, 404, "not-found")["request_id"].isalnum()


def test_what_a_request_says_begins_no_line_of_the_log(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "semblant_search")
    forged = "x\r\n2026-01-01 admin logged in\x1b[2J"
    for body in (
        {"uri": f"a://{forged}"},
        {"id": forged},
        {"uri": "a://b", "where": forged},
        {"uri": "a://b", "collection": forged},
    ):
        response = served.http.post("/v1/search", json=body)
        assert response.status_code in (404, 422)
        assert "\n" not in response.json()["detail"]
        assert "\x1b" not in response.text
    served.http.get(f"/v1/pictures/{forged.replace(chr(13), '%0d').replace(chr(10), '%0a').replace(chr(27), '%1b')}")
    assert caplog.records
    assert all(record.getMessage().isprintable() for record in caplog.records)


def test_the_log_has_no_key_and_no_picture(own_shop: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    keys = KeyFile(tmp_path / "keys.json")
    text, _ = keys.create("shop", "write")
    with serving(own_shop, ServiceSettings(cache=tmp_path / "cache"), keys=keys) as served:
        served.http.get("/v1/count", headers=bearer(text))
        served.http.get("/v1/count", headers=bearer(text + "x"))
        served.http.post("/v1/search", json={"where": "private == 1", "uri": "a://b"}, headers=bearer(text))
    written = "\n".join(
        f"{record.getMessage()} {record.__dict__}" for record in caplog.records if record.name.startswith("semblant")
    )
    assert "'key': 'shop'" in written
    for secret in (text, text.split("_", 2)[2], "private"):
        assert secret not in written


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "", "[::2]", "10.0.0.1", "localhost.evil"]
)
def test_a_name_that_was_made_to_lead_here_is_refused(served: Served, host: str) -> None:
    for path in ("/v1/count", "/livez", "/docs", "/metrics"):
        told = served.http.get(path, headers={"Host": host})
        problem(told, 403, "origin-refused")


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8765", "127.0.0.1", "127.0.0.1:1", "[::1]:8765", "LOCALHOST", "127.8.8.8"]
)
def test_the_names_of_this_machine_are_served(served: Served, host: str) -> None:
    assert served.http.get("/v1/count", headers={"Host": host}).status_code == 200


def test_what_loopback_is() -> None:
    assert all(is_loopback(host) for host in ("localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]", "LocalHost"))
    for host in ("0.0.0.0", "::", "", "10.0.0.1", "localhost.", "127.0.0.1.nip.io", "2130706433", "0x7f.1", "example.com"):
        assert not is_loopback(host), host


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil", "http://localhost:1", "file://", "http://"]
)
def test_a_page_of_another_origin_may_not_ask(served: Served, shop_pictures: Path, origin: str) -> None:
    before = served.client.count()
    data = (shop_pictures / "photos" / "moon.png").read_bytes() + b"\0"
    headers = {"Origin": origin}
    for response in (
        served.http.post("/v1/pictures", files={"picture": data}, headers=headers),
        served.http.post("/v1/pictures/delete", json={"where": "price >= 0"}, headers=headers),
        served.http.get("/v1/count", headers=headers),
        served.http.options("/v1/search", headers={**headers, "Access-Control-Request-Method": "POST"}),
    ):
        problem(response, 403, "origin-refused")
        assert "access-control-allow-origin" not in response.headers
    assert served.client.count() == before
    assert served.http.get("/v1/count", headers={"Origin": "http://localhost"}).status_code == 200


def test_pages_of_named_origins_may_ask_and_no_others(served: Served) -> None:
    app = create_app(served.database, client=served.client, origins=["https://shop.example"])
    http = TestClient(app, base_url="http://localhost")
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    allowed = http.options("/v1/search", headers={"Origin": "https://shop.example", **asked})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
    assert "access-control-allow-credentials" not in allowed.headers
    response = http.get("/v1/count", headers={"Origin": "https://shop.example"})
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, "https://shop.example")
    assert "Origin" in response.headers["vary"]
    for origin in ("https://shop.example.evil", "http://shop.example", "https://shop.example:444", "null"):
        for refused in (
            http.options("/v1/search", headers={"Origin": origin, **asked}),
            http.get("/v1/count", headers={"Origin": origin}),
        ):
            problem(refused, 403, "origin-refused")
            assert "access-control-allow-origin" not in refused.headers
    method = {"Origin": "https://shop.example", "Access-Control-Request-Method": "PUT", "X-Request-Id": "mine"}
    assert problem(http.options("/v1/search", headers=method), 403, "origin-refused")["request_id"] == "mine"
    for origins in (["*"], ["https://a.example", "*"]):
        with pytest.raises(InvalidInput, match="any page may not"):
            create_app(served.database, client=served.client, origins=origins)


def test_a_problem_of_an_address_that_is_not_there_repeats_nothing_as_html(served: Served) -> None:
    for response in (
        served.http.get("/<script>alert(1)</script>"),
        served.http.put("/v1/search"),
        served.http.get("/v1/search/"),
    ):
        assert response.status_code in (404, 405)
        assert response.headers["content-type"] == "application/problem+json"
        json.loads(response.text)


def test_pages_may_send_and_read_what_the_routes_take_and_tell(served: Served) -> None:
    app = create_app(served.database, client=served.client, origins=["https://shop.example"])
    http = TestClient(app, base_url="http://localhost")
    for method, header in (("GET", "if-none-match"), ("GET", "last-event-id"), ("HEAD", "authorization")):
        asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": header}
        assert http.options("/v1/count", headers={"Origin": "https://shop.example", **asked}).status_code == 200
    told = http.get("/v1/count", headers={"Origin": "https://shop.example"}).headers["access-control-expose-headers"]
    assert {"ETag", "Location", "Retry-After"} <= set(told.split(", "))


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://shop.example/", "https://shop.example"),
        ("HTTPS://Shop.example:443", "https://shop.example"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("http://[::1]:80", "http://[::1]"),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example"),
        ("capacitor://localhost", "capacitor://localhost"),
    ],
)
def test_an_origin_is_taken_as_browsers_write_it(served: Served, given: str, origin: str) -> None:
    http = TestClient(create_app(served.database, client=served.client, origins=[given]), base_url="http://localhost")
    response = http.get("/v1/count", headers={"Origin": origin})
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, origin)


@pytest.mark.parametrize(
    "given",
    [
        *("shop", "shop.example:443", "https://", "https:shop.example", "null", "", "https://shop.example/a", "https://a?b"),
        *("https://me@shop.example", "https://*.shop.example", "https://shop.example:x", "https://a b", "//shop.example"),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(served: Served, given: str) -> None:
    with pytest.raises(InvalidInput, match="expected scheme://host"):
        create_app(served.database, client=served.client, origins=[given])


def test_several_origins_are_not_one_text(served: Served) -> None:
    with pytest.raises(InvalidInput, match="expected several"):
        create_app(served.database, client=served.client, origins="https://shop.example")


def test_an_address_with_a_slash_at_its_end_leads_nowhere_else(served: Served) -> None:
    for path in ("/v1/count/", "/v1/pictures/", "/livez/", "/docs/"):
        answer = served.http.get(path, headers={"Host": "localhost:1"}, follow_redirects=False)
        problem(answer, 404, "not-found")
        assert "location" not in answer.headers
