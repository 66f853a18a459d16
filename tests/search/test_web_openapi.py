"""The description of the service: names that stay, every status, examples that work, and a client that is made of it."""

from __future__ import annotations

import compileall
import importlib
import json
import os
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from semblant_search.sources import SourceRecord, write_source
from semblant_search.web import ServiceSettings
from semblant_search.web.problems import MEDIA_TYPE
from support.service import listening, service_of, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_search.store import Database
    from support.service import Served

OPERATIONS = {
    "search": "POST /v1/search",
    "search_features": "POST /v1/search/features",
    "search_fused": "POST /v1/search/fused",
    "embed": "POST /v1/embed",
    "list_pictures": "GET /v1/pictures",
    "list_pictures_long": "POST /v1/pictures/list",
    "get_pictures": "POST /v1/pictures/get",
    "add_pictures": "POST /v1/pictures",
    "update_pictures": "PATCH /v1/pictures",
    "delete_pictures": "POST /v1/pictures/delete",
    "get_picture": "GET /v1/pictures/{id}",
    "delete_picture": "DELETE /v1/pictures/{id}",
    "get_thumbnail": "GET /v1/pictures/{id}/thumbnail",
    "get_original": "GET /v1/pictures/{id}/original",
    "list_collections": "GET /v1/collections",
    "get_collection": "GET /v1/collections/{name}",
    "count": "GET /v1/count",
    "count_long": "POST /v1/count",
    "facet": "GET /v1/facets",
    "facet_long": "POST /v1/facets",
    "duplicates": "POST /v1/duplicates",
    "list_sources": "GET /v1/sources",
    "remove_source": "POST /v1/sources/remove",
    "rename_source": "POST /v1/sources/rename",
    "relocate_source": "POST /v1/sources/relocate",
    "about": "GET /v1/about",
    "folders": "GET /v1/folders",
    "histogram": "GET /v1/histogram",
    "places": "GET /v1/places",
    "livez": "GET /livez",
    "readyz": "GET /readyz",
    "metrics": "GET /metrics",
}
"""Programs are generated from these names: one that is here stays."""
HEALTH = {"livez", "readyz", "metrics"}
CREATES = {"add_pictures", "embed"}
"""Those that take nothing but a form with pictures."""


def _described(served: Served) -> dict[str, Any]:
    described: dict[str, Any] = served.http.get("/openapi.json").json()
    return described


def _operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and facts of each of the service's own; other parts add theirs."""
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if operation["operationId"] in OPERATIONS:
                yield method.upper(), path, operation


def test_operations_keep_their_names(served: Served) -> None:
    named = {operation["operationId"]: f"{method} {path}" for method, path, operation in _operations(_described(served))}
    assert named == OPERATIONS


def test_every_status_is_declared_and_every_other_than_success_is_a_problem(served: Served) -> None:
    described = _described(served)
    assert "HTTPValidationError" not in json.dumps(described)
    for _, path, operation in _operations(described):
        name, responses = operation["operationId"], operation["responses"]
        assert "default" not in responses, path
        least = {"200", "403", "500"} if name in HEALTH else {"200", "401", "403", "404", "409", "413", "415", "422", "429"}
        assert responses.keys() >= least, name
        for status, response in responses.items():
            if status not in ("200", "202", "304"):
                assert response["content"] == {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}, name


@pytest.fixture
def own(own_shop: Database, shop_pictures: Path, tmp_path: Path) -> Iterator[Served]:
    """A service whose collection has what the examples name: two pictures and a source."""
    with closing(own_shop.open("images", "g0001")) as store:
        write_source(store, SourceRecord(id="s1", name="shop", root="file:///pictures/", settings={}, revision="r1"))
    with serving(own_shop, ServiceSettings(cache=tmp_path / "cache")) as served:
        for name, label, price in (("boot-17.jpg", "Sneaker", 59.5), ("bag-3.jpg", "Bag", 20)):
            data = (shop_pictures / "photos" / "coins.png").read_bytes() + name.encode()
            served.client.add(data, {"label": label, "price": price}, uri=f"file:///pictures/{name}")
        yield served


def test_every_example_is_answered(own: Served, shop_pictures: Path) -> None:
    """In the order of the description, but what takes something away comes last."""
    described = _described(own)
    data = (shop_pictures / "photos" / "moon.png").read_bytes()
    last = ("remove_source", "delete_pictures")
    found = sorted(
        _operations(described), key=lambda one: last.index(one[2]["operationId"]) + 1 if one[2]["operationId"] in last else 0
    )
    sent = 0
    for method, path, operation in found:
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            schema = content["schema"]
            if "$ref" in schema:
                schema = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            assert schema["examples"], path
            for example in schema["examples"]:
                if kind == "application/json":
                    response = own.http.request(method, path, json=example)
                else:
                    fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in example.items()}
                    named = {"uri", "id"} & fields.keys() if operation["operationId"] not in CREATES else set()
                    fields = {name: value for name, value in fields.items() if name not in named}  # the picture is the file
                    if "like" in fields:
                        continue
                    response = own.http.request(method, path, files={"picture": data}, data=fields)
                assert response.status_code == 200, (path, example, response.text)
                if operation["operationId"] == "rename_source":
                    own.client.rename_source(example["new_name"], example["name"])  # by which other examples know it
                assert "code" not in str(response.json().get("answers")), response.text
                sent += 1
    assert sent >= 20


def test_a_client_that_was_generated_compiles_and_searches(served: Served, tmp_path: Path) -> None:
    pytest.importorskip("openapi_python_client", reason="needs Python 3.11")
    description, out = tmp_path / "openapi.json", tmp_path / "semblant_client"
    description.write_text(json.dumps(_described(served)), encoding="utf-8")
    config = tmp_path / "config.yml"
    as_bytes = {"image/webp": "application/octet-stream", "image/*": "application/octet-stream"}
    config.write_text(json.dumps({"post_hooks": [], "content_type_overrides": as_bytes}))
    words = ["generate", "--path", str(description), "--output-path", str(out), "--config", str(config), "--meta", "none"]
    done = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr, done.stdout + done.stderr
    assert compileall.compile_dir(out, quiet=1)
    sys.path.insert(0, str(tmp_path))
    try:
        client = importlib.import_module("semblant_client")
        search = importlib.import_module("semblant_client.api.search.search")
        models = importlib.import_module("semblant_client.models")
        known = served.client.scroll(1).pictures[0]
        with listening(service_of(served.client)) as address, client.Client(address.replace("semblant", "http")) as ask:
            answer = search.sync(client=ask, body=models.SearchQuery(id=known.id, limit=3, where="price < 1000"))
            refused = search.sync_detailed(client=ask, body=models.SearchQuery(id=known.id, where="prize < 1"))
    finally:
        sys.path.remove(str(tmp_path))
    assert [hit.id for hit in answer.hits] == [hit.id for hit in served.client.search(known.id, 3, where="price < 1000")]
    assert (refused.status_code, refused.parsed.code) == (422, "invalid-filter")


def test_the_clients_of_a_router_have_the_same_names(served: Served) -> None:
    """Under another prefix, in an app of one's own."""
    paths = service_of(served.client).openapi()["paths"]
    found = {operation["operationId"] for methods in paths.values() for operation in methods.values()}
    assert found == OPERATIONS.keys() - HEALTH
