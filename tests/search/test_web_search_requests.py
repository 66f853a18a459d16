"""Searches over HTTP: pages, several queries together, and what is told of requests that cannot be answered."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from semblant_search import InvalidInput
from semblant_search.web import router
from semblant_search.web.models import SearchAnswer
from support.service import problem

if TYPE_CHECKING:
    from pathlib import Path

    from support.service import Served


@pytest.fixture(scope="module")
def coins(shop_pictures: Path) -> Path:
    return shop_pictures / "photos" / "coins.png"


@pytest.fixture(scope="module")
def boot(shop_pictures: Path) -> Path:
    return sorted((shop_pictures / "sneaker").iterdir())[0]


@pytest.mark.parametrize(
    "options", [{}, {"where": "price > 10"}, {"diversity": 0.3}, {"group_by": "label", "group_size": 2}], ids="-".join
)
def test_cursors_go_through_all_hits_once(served: Served, boot: Path, options: dict[str, Any]) -> None:
    body = {"uri": served.client.get(boot).uri, **options}
    whole = served.http.post("/v1/search", json={**body, "limit": 500}).json()
    whole = whole.get("groups") or whole["hits"]
    pages: list[Any] = []
    cursor: dict[str, Any] = {}
    while True:
        told = served.http.post("/v1/search", json={**body, "limit": 4, **cursor}).json()
        pages += told.get("groups") or told["hits"]
        if "cursor" not in told:
            break
        cursor = {"cursor": told["cursor"]}
    assert pages == whole
    assert len(pages) >= 10


def test_a_cursor_belongs_to_its_question(served: Served, boot: Path, coins: Path) -> None:
    uri = served.client.get(boot).uri
    cursor = served.http.post("/v1/search", json={"uri": uri, "limit": 2}).json()["cursor"]
    assert served.http.post("/v1/search", json={"uri": uri, "limit": 5, "cursor": cursor, "fields": []}).status_code == 200
    others: list[dict[str, Any]] = [
        {"uri": served.client.get(coins).uri},
        {"uri": uri, "where": "price > 1"},
        {"uri": uri, "collection": "plain"},
        {"uri": uri, "exact": True},
        {"uri": uri, "offset": 3},
    ]
    for other in others:
        told = problem(served.http.post("/v1/search", json={**other, "cursor": cursor}), 422, "invalid-input")
        assert "cursor" in told["detail"]
    for bad in ("", "x", "AAAA", "W10", "bnVsbA", "WyIiLC0xXQ", "\N{SNOWMAN}", "e30"):
        problem(served.http.post("/v1/search", json={"uri": uri, "cursor": bad}), 422, "invalid-input")
    uploaded = {"picture": boot.read_bytes()}
    cursor = served.http.post("/v1/search", data={"limit": "2"}, files=uploaded).json()["cursor"]
    assert served.http.post("/v1/search", data={"cursor": cursor}, files=uploaded).status_code == 200
    problem(
        served.http.post("/v1/search", data={"cursor": cursor}, files={"picture": coins.read_bytes()}), 422, "invalid-input"
    )


def test_several_queries_are_answered_together_and_a_bad_one_by_itself(served: Served, boot: Path, coins: Path) -> None:
    uris = [served.client.get(path).uri for path in (boot, coins)]
    queries = [
        {"uri": uris[0], "limit": 2},
        {"uri": "file:///no/such.png"},
        {"uri": uris[1], "where": "prize < 3"},
        {"uri": uris[1], "limit": 1, "fields": ["label"]},
        {},
    ]
    response = served.http.post("/v1/search", json={"queries": queries})
    assert response.status_code == 200
    told = response.json()
    SearchAnswer.model_validate(told)
    assert told["hits"] == []
    first, missing, filtered, last, empty = told["answers"]
    assert first["hits"] == [hit.to_json() for hit in served.client.search(uris[0], 2)]
    assert (missing["code"], missing["status"]) == ("picture-not-found", 404)
    assert (filtered["code"], filtered["pointer"], filtered["column"]) == ("invalid-filter", "/where", 0)
    assert set(last["hits"][0]["metadata"]) == {"label"}
    assert (empty["code"], empty["status"]) == ("invalid-input", 422)
    for beside in ({"limit": 3}, {"uri": uris[0]}, {"where": "price < 3"}):
        problem(served.http.post("/v1/search", json={"queries": queries[:1], **beside}), 422, "invalid-input")
    problem(served.http.post("/v1/search", json={"queries": [{"uri": uris[0]}] * 65}), 422, "invalid-input")
    thousand = [{"uri": uris[0], "limit": 1000}]
    many = problem(served.http.post("/v1/search", json={"queries": thousand * 11}), 422, "invalid-input")
    assert many["detail"].startswith("11 queries for 11,000 hits: this service gives 10,000 in one answer")
    groups = {"uri": uris[0], "limit": 100, "group_by": "label", "group_size": 10}
    problem(served.http.post("/v1/search", json={"queries": [groups] * 11}), 422, "invalid-input")
    assert served.http.post("/v1/search", json={"queries": thousand * 10}).status_code == 200


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "what to look for"),
        ({"id": "x"}, "expected its point id or its URI"),
        ({"id": "a" * 32, "uri": "file:///a.png"}, "look for one"),
        ({"vector": [1.0, 2.0]}, "holds [49]"),
        ({"vector": [0.0] * 49}, "zero"),
        ({"uri": "file:///a.png", "limit": 100_000}, "1000 at most"),
        ({"uri": "file:///a.png", "strategy": "best_score"}, "strategy: goes with no search by one picture"),
        ({"uri": "file:///a.png", "ef_search": 20}, "ef_search: goes with no search by one picture"),
        ({"vector": [1.0] * 49, "region": [0, 0, 2, 2]}, "region: goes with no search by vector"),
        ({"target": {"vector": [1.0] * 49}}, "target without context"),
        ({"unlike": [{"vector": [1.0] * 49}]}, "what to look for"),
        ({"like": []}, "at least one example"),
        ({"uri": "file:///a.png", "where": "x" * 20_001}, "this service takes 20,000"),
    ],
)
def test_what_cannot_be_asked_is_said(served: Served, body: dict[str, Any], says: str) -> None:
    assert says in problem(served.http.post("/v1/search", json=body), 422, "invalid-input")["detail"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"limit": 0}, "/limit"),
        ({"limit": "x"}, "/limit"),
        ({"limit": "2"}, "/limit"),
        ({"limit": True}, "/limit"),
        ({"limit": 2.0}, "/limit"),
        ({"exact": 1}, "/exact"),
        ({"min_score": "0.5"}, "/min_score"),
        ({"where": 3}, "/where"),
        ({"vector": [1, "2"]}, "/vector/1"),
        ({"wher": "price < 3"}, "/wher"),
        ({"like": [{"id": "a", "weight": -1}]}, "/like/0/weight"),
        ({"like": [{"id": "a", "uri": "b"}]}, "/like/0"),
        ({"queries": [{"uri": "a"}, {"limit": None}]}, "/queries/1/limit"),
        ({"queries": []}, "/queries"),
        ({"strategy": "worst"}, "/strategy"),
        ([], ""),
        ("uri", ""),
        (None, ""),
    ],
)
def test_a_body_of_another_form_is_a_problem_that_points_at_the_fault(served: Served, body: Any, pointer: str) -> None:
    told = problem(served.http.post("/v1/search", json=body), 422, "invalid-request")
    assert told["pointer"] == pointer
    assert told["errors"][0]["pointer"] == pointer


def test_a_body_that_is_neither_json_nor_a_form_is_refused(served: Served, coins: Path) -> None:
    post = served.http.post
    for kind in ("image/png", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""):
        problem(post("/v1/search", content=coins.read_bytes(), headers={"Content-Type": kind}), 415, "unsupported-media-type")
    problem(post("/v1/search", content=b"{bad", headers={"Content-Type": "application/json"}), 422, "invalid-request")
    problem(post("/v1/search", content=b"", headers={"Content-Type": "application/json"}), 422, "invalid-request")
    problem(post("/v1/search", files={"image": coins.read_bytes()}), 422, "invalid-request")
    problem(post("/v1/search", data={"limit": "2"}), 415, "unsupported-media-type")
    told = problem(post("/v1/search", files={"picture": b"no picture"}), 422, "unusable-picture")
    assert told["reason"] == "not-an-image"
    twice: list[tuple[str, Any]] = [("picture", coins.read_bytes()), ("limit", (None, b"1")), ("limit", (None, b"2"))]
    assert "twice" in problem(post("/v1/search", files=twice), 422, "invalid-request")["detail"]
    problem(post("/v1/search", files=[("picture", coins.read_bytes())] * 2), 422, "invalid-input")
    problem(post("/v1/search", files={"picture": coins.read_bytes()}, data={"uri": "file:///a.png"}), 422, "invalid-input")


def test_a_request_without_a_body_is_told_that_it_lacks_one(served: Served) -> None:
    missing = problem(served.http.post("/v1/search"), 422, "invalid-request")
    assert missing["detail"] == "the body: Field required"
    broken = served.http.post("/v1/search", content=b"[1", headers={"Content-Type": "application/json"})
    assert problem(broken, 422, "invalid-request")["detail"] == "the body: JSON decode error"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"uri": "file:///a.png", "limit": 5000}, "/limit"),
        ({"vector": [1.0, 2.0, 3.0]}, "/vector"),
        ({"vector": [0.0] * 49}, "/vector"),
        ({"group_by": "nope"}, "/group_by"),
        ({"group_by": "price"}, "/group_by"),
        ({"cursor": "x"}, "/cursor"),
        ({"region": [0, 0, -1, 5]}, "/region"),
        ({"region": [10_000, 0, 5, 5]}, "/region"),
        ({"mask": "?"}, "/mask"),
        ({"order_by": "label", "min_score": -1.0}, "/order_by"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_pointed_at(served: Served, boot: Path, body: dict[str, Any], pointer: str) -> None:
    named = {} if {"vector", "uri"} & set(body) else {"uri": served.client.get(boot).uri}
    told = problem(served.http.post("/v1/search", json={**named, **body}), 422, "invalid-input")
    assert told["pointer"] == pointer, told


def test_fields_of_a_form_are_pointed_at(served: Served, coins: Path) -> None:
    data = coins.read_bytes()
    told = problem(served.http.post("/v1/search", files={"image": data}), 422, "invalid-request")
    assert told["pointer"] == "/image"
    twice: list[tuple[str, Any]] = [("picture", data), ("limit", (None, b"1")), ("limit", (None, b"2"))]
    assert problem(served.http.post("/v1/search", files=twice), 422, "invalid-request")["pointer"] == "/limit"
    form = {"metadata": '[{"price": 1}, {}]'}
    told = problem(served.http.post("/v1/pictures", files={"picture": data}, data=form), 422, "invalid-metadata")
    assert told["pointer"] == "/metadata"


@pytest.mark.parametrize(
    ("address", "code", "name"),
    [
        ("/v1/count?where=prize%3C3", "invalid-filter", "where"),
        ("/v1/pictures?limit=5000", "invalid-input", "limit"),
        ("/v1/pictures?cursor=x", "invalid-input", "cursor"),
        ("/v1/pictures?order_by=label", "invalid-input", "order_by"),
        ("/v1/facets?field=nope", "invalid-input", "field"),
        ("/v1/histogram?field=label", "invalid-input", "field"),
    ],
)
def test_what_is_wrong_in_an_address_is_pointed_at_there(served: Served, address: str, code: str, name: str) -> None:
    assert problem(served.http.get(address), 422, code)["pointer"] == f"#query/{name}"


def test_a_length_of_thousands_of_digits_is_too_large(served: Served) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": "9" * 5000}
    problem(served.http.post("/v1/search", content=b"{}", headers=headers), 413, "body-too-large")


@pytest.mark.parametrize("given", [None, "shop.db"])
def test_routes_of_what_is_no_client_are_refused(given: Any) -> None:
    with pytest.raises(InvalidInput, match="expected a SearchClient"):
        router(given)


def test_two_routers_of_one_app_are_told_apart(served: Served) -> None:
    app = FastAPI()
    app.include_router(router(served.client), prefix="/all")
    app.include_router(router(served.client, name="shoes"), prefix="/shoes")
    with TestClient(app) as http:
        paths = http.get("/openapi.json").json()["paths"]  # a warning of two operations of one id is an error here
        assert http.get("/shoes/count").json() == http.get("/all/count").json() == {"count": served.client.count()}
    ids = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert len(ids) == len(set(ids))
    assert {"search", "shoes_search", "count", "shoes_count"} <= set(ids)
    with pytest.raises(InvalidInput, match="expected letters"):
        router(served.client, name="a-b")


def test_who_sends_too_many_pixels_is_told_what_to_do_about_it(served: Served) -> None:
    file = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", 12_000, 10_000, 1, 0, 0, 0, 0)
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")):
        file += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    told = problem(served.http.post("/v1/search", files={"picture": file}), 413, "picture-too-large")
    assert "make it smaller" in told["detail"]
    assert "SearchClient" not in told["detail"]
