"""Bodies that go to their endpoints without FastAPI: what is answered is what FastAPI's own way would answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from semblant_search.web import router, short_way
from support.examples import examples

if TYPE_CHECKING:
    from support.service import Served

PATHS = ("/v1/search", "/v1/pictures/list", "/v1/facets", "/v1/count")
VALUES: list[Any] = [
    *(None, True, 0, 3, -1, 0.5, 3.0, 2**53 + 1, 10**30, float("nan"), float("-inf")),
    *("", "label", "price < 3", "3", "images", "others", "shop://none", "\0", "\ud800"),
    *([], {}, [None], [[1]], ["label", "price"], [0, 0, 9, 9], [1.0] * 49, {"a": {"b": []}}, [{"vector": [0.1] * 49}]),
]
SURROGATE = b'{"where": "label == \\"\\ud800\\""}'


def nobody() -> None:
    """A dependency that no route has: where an app puts another in its place, FastAPI has to solve them all."""


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each body, whether it went the short way."""
    ways: list[bool] = []
    arguments = short_way.ShortWay.arguments

    def noted(self: short_way.ShortWay, *given: Any) -> dict[str, Any] | None:
        asked = arguments(self, *given)
        ways.append(asked is not None)
        return asked

    monkeypatch.setattr(short_way.ShortWay, "arguments", noted)
    return ways


def said(served: Served, path: str, body: bytes) -> tuple[int, Any]:
    response = served.http.post(path, content=body, headers={"Content-Type": "application/json", "X-Request-Id": "one"})
    return response.status_code, response.json()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"\xff",
        b'{"limit": 3}',
        b'{"limit": 3.0}',
        b'{"limit": "3"}',
        b'{"limit": true}',
        b'{"limit": 0, "where": 7}',
        b'{"limit": 1e400}',
        b'{"limit": ' + b"9" * 5000 + b"}",
        b'{"limit": 2, "limit": 0}',
        b'{"limit": 0, "limit": 2}',
        b'{"vector": [NaN]}',
        b'{"min_score": Infinity, "vector": [1]}',
        b'{"wher": "price < 3"}',
        b'{"where": "price <"}',
        SURROGATE,
        b'{"where": null}',
        b'{"field": "label", "where": "price < 5"}',
        b'{"like": [{"id": "a", "uri": "b"}]}',
        b"[" * 100_000,
        '{"where": "price < 3"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"limit": 3}',
    ],
    ids=lambda body: body[:24].decode("latin-1"),
)
def test_a_body_is_answered_as_by_fastapi(served: Served, path: str, body: bytes) -> None:
    short = said(served, path, body)
    served.app.dependency_overrides[nobody] = nobody
    try:
        assert said(served, path, body) == short
    finally:
        served.app.dependency_overrides.clear()


@settings(max_examples=examples(60))
@given(data=st.data())
def test_whatever_is_asked_is_answered_as_by_fastapi(served: Served, data: st.DataObject) -> None:
    pictures = served.client.scroll(2).pictures
    path = data.draw(st.sampled_from([*PATHS, "/v1/search/features", "/v1/search/fused", "/v1/pictures/get"]))
    operation = served.app.openapi()["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    model = served.app.openapi()["components"]["schemas"][operation["schema"]["$ref"].rpartition("/")[2]]
    names = [name for name in model["properties"] if name not in ("cursor", "url")]
    values = st.sampled_from([*VALUES, pictures[0].id, pictures[1].uri, [{"id": pictures[0].id}], [pictures[1].uri, "a"]])
    asked = data.draw(st.dictionaries(st.sampled_from([*names, "other"]), values, max_size=3))
    if "id" in names and data.draw(st.booleans()):
        asked["id"] = pictures[0].id
    body = json.dumps(asked).encode("utf-8", "surrogatepass")
    short = said(served, path, body)
    served.app.dependency_overrides[nobody] = nobody
    try:
        status, told = said(served, path, body)
    finally:
        served.app.dependency_overrides.clear()
    assert (status, {**told, "cursor": None}) == (short[0], {**short[1], "cursor": None})


def test_only_a_sound_body_goes_the_short_way(served: Served, taken: list[bool]) -> None:
    first = served.client.scroll(1).pictures[0]
    assert said(served, "/v1/search", json.dumps({"id": first.id}).encode())[0] == 200
    assert said(served, "/v1/search", b'{"limit": "ten"}')[0] == 422
    assert taken == [True, False]


def test_an_uploaded_picture_goes_the_short_way_with_its_options(served: Served, taken: list[bool]) -> None:
    path = served.client.scroll(1).pictures[0].path
    assert path is not None
    answered = served.http.post("/v1/search", files={"picture": path.read_bytes()}, data={"limit": "3"})
    assert len(answered.json()["hits"]) == 3
    assert taken == [True]


@pytest.mark.parametrize("include", [True, False], ids=["of the router", "of the app"])
def test_dependencies_of_the_app_that_the_routes_are_in_are_asked(served: Served, include: bool) -> None:
    asked = []

    def login() -> None:
        asked.append(True)
        raise HTTPException(403, "who are you?")

    def ask(app: FastAPI) -> int:
        with TestClient(app, base_url="http://localhost") as http:
            return http.post("/own/search", json={"id": served.client.scroll(1).pictures[0].id}).status_code

    needed = [Depends(login)]
    app = FastAPI(dependencies=None if include else needed)
    app.include_router(router(served.client), prefix="/own", dependencies=needed if include else None)
    assert ask(app) == 403
    assert asked == [True]


def test_a_dependency_that_tests_of_an_app_put_in_place_of_the_caller_is_asked(served: Served) -> None:
    routes = router(served.client)
    app = FastAPI()
    app.include_router(routes)
    (search,) = [route for route in routes.routes if isinstance(route, APIRoute) and route.path == "/search"]

    def stranger() -> None:
        raise HTTPException(401, "nobody")

    who_asks = search.dependant.dependencies[0].call
    assert who_asks is not None
    app.dependency_overrides[who_asks] = stranger
    with TestClient(app, base_url="http://localhost") as http:
        assert http.post("/search", json={"id": served.client.scroll(1).pictures[0].id}).status_code == 401


def test_an_app_that_fastapi_traces_has_the_spans_of_its_endpoints(served: Served) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app = FastAPI(telemetry={"tracer_provider": provider})
    app.include_router(router(served.client))
    with TestClient(app, base_url="http://localhost") as http:

        def spans() -> list[str]:
            exporter.clear()
            assert http.post("/search", json={"id": served.client.scroll(1).pictures[0].id}).status_code == 200
            return sorted(span.name for span in exporter.get_finished_spans())

        found = spans()
        app.dependency_overrides[nobody] = nobody
        assert found == spans()
