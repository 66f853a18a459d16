"""Searches over HTTP: every option of the client, as JSON and as a form, finds what the client finds."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from semblant_search import SearchClient, SemblantError
from semblant_search.web.models import ProvenAnswer, SearchAnswer
from support.service import problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from support.service import Served


@dataclass(frozen=True)
class Row:
    """Options of a request, and the same of the client's call; they differ in name nowhere."""

    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    route: str = "/v1/search"


FEATURES, FUSED = "/v1/search/features", "/v1/search/fused"
ROWS = [
    Row("search"),
    Row("search", {"limit": 3}),
    Row("search", {"where": 'label == "bag" or price < 12'}),
    Row("search", {"offset": 4}),
    Row("search", {"min_score": 0.9}),
    Row("search", {"fpr": 0.5}),
    Row("search", {"exact": True}),
    Row("search", {"include_self": True}),
    Row("search", {"region": [0, 0, 14, 20]}),
    Row("search", {"diversity": 0.5}),
    Row("search", {"unique": True}),
    Row("search", {"order_by": "price", "min_score": 0.5}),
    Row("search", {"order_by": "price", "min_score": 0.5, "descending": True}),
    Row("search_groups", {"group_by": "label"}),
    Row("search_groups", {"group_by": "label", "group_size": 1, "limit": 2, "offset": 1}),
    Row("search_groups", {"group_by": "label", "fpr": 0.5}),
    Row("search_groups", {"group_by": "label", "where": "price < 30", "min_score": 0.2, "exact": True, "include_self": True}),
    Row("search_features", {}, FEATURES),
    Row("search_features", {"limit": 1, "offset": 1, "min_confidence": 0.0}, FEATURES),
    Row("search_features", {"verify": False, "where": 'label == "photos"'}, FEATURES),
    Row("search_features", {"include_self": True, "shared_parts": True}, FEATURES),
    Row("search_features", {"region": [60, 50, 150, 120]}, FEATURES),
    Row("search_fused", {}, FUSED),
    Row("search_fused", {"limit": 2, "offset": 1, "where": "price > 3"}, FUSED),
    Row("search_fused", {"min_score": 0.1, "exact": True, "include_self": True, "shared_parts": True}, FUSED),
]
OF_A_VECTOR: list[dict[str, Any]] = [
    {},
    {"limit": 2, "offset": 1, "where": 'label == "coat"', "min_score": 0.1, "exact": True},
    {"fpr": 0.9},
    {"ef_search": 200},
    {"diversity": 0.9},
    {"unique": True},
    {"order_by": "price", "min_score": 0.2, "descending": True},
]
OF_EXAMPLES: list[dict[str, Any]] = [
    {},
    {"strategy": "best_score"},
    {"limit": 2, "offset": 1, "where": 'label == "coat"', "min_score": -0.5, "exact": True, "include_self": True},
    {"diversity": 0.5},
    {"unique": True},
    {"order_by": "price", "min_score": 0.0, "descending": True},
]
OF_PAIRS: list[dict[str, Any]] = [
    {},
    {"limit": 2, "offset": 1, "where": "price > 5", "exact": True},
    {"include_self": True, "unique": True},
]


def _name(row: Row) -> str:
    return "-".join([row.method, *row.options])


def _as_form(options: Mapping[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in options.items()}


def _outcome(call: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return json.loads(json.dumps([hit.to_json() for hit in call(*args, **kwargs)]))
    except SemblantError as error:
        return str(error)


def _answered(response: Any, model: type[SearchAnswer] | type[ProvenAnswer] = SearchAnswer) -> Any:
    assert response.status_code == 200, response.text
    told = response.json()
    checked = model.model_validate(told, strict=True)
    assert set(told) == set(checked.model_fields_set)
    for hit, whole in zip(told["hits"], checked.hits, strict=True):
        assert set(hit) <= set(type(whole).model_fields)
    return told.get("groups") or told["hits"]


@pytest.fixture(scope="module")
def coins(shop_pictures: Path) -> Path:
    return shop_pictures / "photos" / "coins.png"


@pytest.fixture(scope="module")
def boot(shop_pictures: Path) -> Path:
    return sorted((shop_pictures / "sneaker").iterdir())[0]


def _asked(row: Row, boot: Path, coins: Path) -> Path:
    return coins if row.method in ("search_features", "search_fused") else boot


def test_every_option_of_every_search_is_in_a_table() -> None:
    tables: dict[str, list[Mapping[str, Any]]] = {
        **{name: [row.options for row in ROWS if row.method == name] for name in {row.method for row in ROWS}},
        "search_vector": [*OF_A_VECTOR],
        "search_like": [*OF_EXAMPLES],
        "discover": [*OF_PAIRS],
    }
    for name, table in tables.items():
        parameters = inspect.signature(getattr(SearchClient, name)).parameters
        given = {"self", "picture", "vector", "like", "unlike", "target", "context"}
        given.add("within_cluster")  # of a collection with clusters: tests/search/test_within_cluster.py
        assert {option for options in table for option in options} == set(parameters) - given, name


@pytest.mark.parametrize("row", ROWS, ids=_name)
@pytest.mark.parametrize("by", ["id", "uri"])
def test_a_picture_of_the_collection_is_looked_for_as_the_client_does(
    served: Served, boot: Path, coins: Path, row: Row, by: str
) -> None:
    picture = served.client.get(_asked(row, boot, coins))
    expected = _outcome(getattr(served.client, row.method), picture.uri, **row.options)
    response = served.http.post(row.route, json={by: getattr(picture, by), **row.options})
    assert _answered(response, SearchAnswer if row.route == "/v1/search" else ProvenAnswer) == expected
    assert expected


@pytest.mark.parametrize("row", ROWS, ids=_name)
def test_an_uploaded_picture_is_looked_for_as_the_client_does(served: Served, boot: Path, coins: Path, row: Row) -> None:
    # One byte more, so that it is no picture of the collection.
    data = _asked(row, boot, coins).read_bytes() + b"\0"
    expected = _outcome(getattr(served.client, row.method), data, **row.options)
    form = _as_form(row.options)
    response = served.http.post(row.route, files={"picture": data}, data=form)
    assert _answered(response, SearchAnswer if row.route == "/v1/search" else ProvenAnswer) == expected
    assert expected


@pytest.mark.parametrize("options", OF_A_VECTOR, ids="-".join)
def test_a_vector_is_looked_for_as_the_client_does(served: Served, boot: Path, options: dict[str, Any]) -> None:
    vector = served.client.embed([boot])[0].tolist()
    expected = _outcome(served.client.search_vector, vector, **options)
    assert _answered(served.http.post("/v1/search", json={"vector": vector, **options})) == expected
    assert expected


@pytest.mark.parametrize("options", OF_EXAMPLES, ids="-".join)
def test_examples_are_weighed_up_as_the_client_does(served: Served, boot: Path, options: dict[str, Any]) -> None:
    found = served.client.search(boot, 4)
    vector = served.client.embed([boot])[0].tolist()
    weight = 1.0 if options.get("strategy") else 2.0
    like = [{"id": found[0].id}, {"uri": found[1].uri, "weight": weight}, {"vector": vector}]
    unlike = [{"uri": found[3].uri}]
    expected = _outcome(served.client.search_like, [found[0].id, (found[1].uri, weight), vector], [found[3].id], **options)
    assert _answered(served.http.post("/v1/search", json={"like": like, "unlike": unlike, **options})) == expected
    assert expected


def test_uploaded_examples_are_liked_beside_named_ones(served: Served, boot: Path, coins: Path) -> None:
    data = [boot.read_bytes() + b"\0", coins.read_bytes() + b"\0"]
    named = served.client.search(boot, 1)[0]
    expected = _outcome(served.client.search_like, [*data, named.id], [], 3)
    form = {"like": json.dumps([{"id": named.id}]), "limit": "3"}
    assert _answered(served.http.post("/v1/search", files=[("picture", one) for one in data], data=form)) == expected


@pytest.mark.parametrize("options", OF_PAIRS, ids="-".join)
def test_pairs_point_out_a_part_as_the_client_does(served: Served, boot: Path, coins: Path, options: dict[str, Any]) -> None:
    near, far = served.client.get(boot), served.client.get(coins)
    pair = {"positive": {"id": near.id}, "negative": {"uri": far.uri}}
    expected = _outcome(served.client.discover, near.uri, [(near.id, far.id)], **options)
    body = {"target": {"uri": near.uri}, "context": [pair], **options}
    assert _answered(served.http.post("/v1/search", json=body)) == expected
    uploaded = boot.read_bytes() + b"\0"
    form = {"context": json.dumps([pair]), **_as_form(options)}
    expected = _outcome(served.client.discover, uploaded, [(near.id, far.id)], **options)
    assert _answered(served.http.post("/v1/search", files={"picture": uploaded}, data=form)) == expected
    assert expected


def test_fields_are_those_that_were_asked_for(served: Served, coins: Path) -> None:
    uri = served.client.get(coins).uri
    for route in ("/v1/search", FUSED):
        for fields, metadata, facts in (([], set(), set()), (["price", "_width"], {"price"}, {"_width"})):
            (hit,) = served.http.post(route, json={"uri": uri, "limit": 1, "fields": fields}).json()["hits"]
            assert (set(hit["metadata"]), set(hit["facts"])) == (metadata, facts)
    form = [("limit", "1"), ("fields", "price"), ("fields", "label")]
    response = served.http.post(
        "/v1/search", files=[("picture", coins.read_bytes()), *((name, (None, value.encode())) for name, value in form)]
    )
    assert set(response.json()["hits"][0]["metadata"]) == {"price", "label"}


def test_proofs_have_outlines_and_the_pairs_where_asked_for(served: Served, shop_pictures: Path, coins: Path) -> None:
    part = shop_pictures / "photos" / "coins-part.png"
    body = {"uri": served.client.get(part).uri, "limit": 1}
    for route, hits in (
        (FEATURES, served.client.search_features(part, 1)),
        (FUSED, served.client.search_fused(part, 1)),
    ):
        (hit,) = _answered(served.http.post(route, json={**body, "pairs": True}), ProvenAnswer)
        assert hit["uri"] == served.client.get(coins).uri
        assert hit["verdict"] == hits[0].verdict == "crop"
        assert len(hit["polygon"]) == 4
        assert hit["pairs"] == json.loads(json.dumps([list(pair) for pair in hits[0].pairs]))
        assert len(hit["pairs"]) >= hit["inliers"] > 10
        (plain,) = _answered(served.http.post(route, json=body), ProvenAnswer)
        assert plain.get("pairs") is None


def test_the_other_collection_is_asked_by_its_name(served: Served) -> None:
    few = served.client.scroll(5, order_by="price").pictures
    expected = _outcome(served.client.search, few[0].uri, where="price < 5")
    body = {"id": few[0].id, "collection": "plain"}
    found = _answered(served.http.post("/v1/search", json=body))
    assert [hit["uri"] for hit in found] == [hit["uri"] for hit in expected]
    problem(served.http.post(FEATURES, json=body), 409, "not-indexed")
    problem(served.http.post("/v1/search", json={**body, "collection": "none"}), 404, "collection-not-found")
