"""A key for some pictures only, against every option of every route that could widen it."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from semblant_search.store import open_database
from semblant_search.web import KeyFile, ServiceSettings, sign_key
from support.service import bearer, problem, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_search.results import Picture
    from support.service import Served

FEATURES, FUSED = "/v1/search/features", "/v1/search/fused"


@dataclass(frozen=True)
class Tenant:
    """Who is allowed the pictures labelled `bag`, and what there is beside them."""

    served: Served
    headers: dict[str, str]
    other_headers: dict[str, str]
    mine: Picture
    other: Picture
    data: bytes

    def post(self, path: str, body: Any) -> Any:
        return self.served.http.post(path, json=body, headers=self.headers)

    def get(self, path: str, **parameters: Any) -> Any:
        return self.served.http.get(path, params=parameters, headers=self.headers)

    def sees_only_its_own(self, response: Any) -> list[Any]:
        """The pictures of an answer, wherever they are in it; all of them are its own."""
        assert response.status_code == 200, response.text
        found: list[Any] = []

        def walk(value: Any) -> None:
            if isinstance(value, dict):
                if "uri" in value and "metadata" in value:
                    found.append(value)
                for inner in value.values():
                    walk(inner)
            elif isinstance(value, list):
                for inner in value:
                    walk(inner)

        walk(response.json())
        assert {picture["metadata"].get("label") for picture in found} <= {"bag"}
        assert self.other.uri not in response.text
        return found


@pytest.fixture(scope="module", params=["signed", "kept"])
def tenant(
    request: pytest.FixtureRequest, shop: Path, shop_pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tenant]:
    """With a signed key, and with one whose filter the service keeps."""
    folder = tmp_path_factory.mktemp("tenants")
    keys = KeyFile(folder / "keys.json")
    parent, _ = keys.create("shop", "admin")
    where, others = 'label == "bag"', 'label == "photos"'
    if request.param == "signed":
        text, other_text = sign_key(parent, where=where), sign_key(parent, where=others)
    else:
        text, other_text = keys.create("bags", where=where)[0], keys.create("photos", where=others)[0]
    settings = ServiceSettings(roots=(shop_pictures,), cache=folder / "cache", originals=True)
    with (
        closing(open_database(shutil.copytree(shop, folder / "shop.db"))) as database,
        serving(database, settings, keys=keys) as served,
    ):
        path = shop_pictures / "photos" / "coins.png"
        yield Tenant(
            served,
            bearer(text),
            bearer(other_text),
            served.client.scroll(1, where=where).pictures[0],
            served.client.get(path),
            path.read_bytes(),
        )


@pytest.mark.parametrize(
    "where",
    [
        'label == "photos"',
        'label != "bag"',
        "price >= 0",
        'label == "bag" or price >= 0',
        'not (label == "bag")',
        'x" or "1"=="1',
        'label == "x" or "1" == "1"',
        'label == "bag") or (price >= 0',
        ") or (price >= 0",
        'label == "bag" # ',
        "label == \"bag\" or label == 'photos'",
        '_uri != ""',
        "true",
        "1 == 1",
        "",
        'label in ("bag", "photos", "coat")',
    ],
)
def test_no_filter_widens_it(tenant: Tenant, where: str) -> None:
    counted = tenant.get("/v1/count", where=where)
    if counted.status_code == 422:
        assert counted.json()["code"] in ("invalid-filter", "invalid-input")
    else:
        assert counted.json()["count"] <= 10
        tenant.sees_only_its_own(tenant.get("/v1/pictures", where=where))
        assert sum(one["count"] for one in tenant.get("/v1/facets", field="label", where=where).json()["values"]) <= 10
        tenant.sees_only_its_own(tenant.post("/v1/duplicates", {"where": where}))
    for path in ("/v1/search", FEATURES, FUSED):
        response = tenant.served.http.post(
            path, files={"picture": tenant.data}, data={"where": where, "limit": "1000"}, headers=tenant.headers
        )
        assert response.status_code == counted.status_code
        if response.status_code == 200:
            tenant.sees_only_its_own(response)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"exact": True},
        {"include_self": True},
        {"offset": 5},
        {"min_score": -1.0},
        {"fpr": 1.0},
        {"diversity": 1.0},
        {"unique": True},
        {"order_by": "price", "min_score": -1.0},
        {"region": [0, 0, 20, 20]},
        {"group_by": "label", "group_size": 100, "limit": 10},
        {"fields": ["label", "_uri"]},
    ],
    ids="-".join,
)
def test_no_option_of_a_search_widens_it(tenant: Tenant, options: dict[str, Any]) -> None:
    body = {"limit": 1000, **options}
    found = tenant.sees_only_its_own(tenant.post("/v1/search", {"uri": tenant.mine.uri, **body}))
    assert 4 <= len(found) <= 10
    form = {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}
    upload = {"picture": tenant.data}
    tenant.sees_only_its_own(tenant.served.http.post("/v1/search", files=upload, data=form, headers=tenant.headers))


@pytest.mark.parametrize(
    ("path", "options"),
    [
        (FEATURES, {"min_confidence": 0.0, "include_self": True}),
        (FEATURES, {"verify": False}),
        (FEATURES, {"shared_parts": True, "min_confidence": 0.0}),
        (FEATURES, {"region": [60, 50, 150, 120]}),
        (FUSED, {"include_self": True}),
        (FUSED, {"shared_parts": True, "pairs": True}),
    ],
)
def test_no_search_by_details_widens_it(tenant: Tenant, path: str, options: dict[str, Any]) -> None:
    form = {name: json.dumps(value) for name, value in {"limit": 1000, **options}.items()}
    tenant.sees_only_its_own(tenant.served.http.post(path, files={"picture": tenant.data}, data=form, headers=tenant.headers))


def _with_others(tenant: Tenant, name: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    mine, vector = {"id": tenant.mine.id}, {"vector": [1.0] * 49}
    return [
        ("/v1/search", name),
        ("/v1/search", {**name, "include_self": True}),
        ("/v1/search", {**name, "group_by": "label"}),
        ("/v1/search", {**name, "region": [0, 0, 9, 9]}),
        ("/v1/search", {"like": [name]}),
        ("/v1/search", {"like": [mine, name]}),
        ("/v1/search", {"like": [vector], "unlike": [name]}),
        ("/v1/search", {"target": name, "context": [{"positive": mine, "negative": mine}]}),
        ("/v1/search", {"target": mine, "context": [{"positive": name, "negative": mine}]}),
        ("/v1/search", {"target": mine, "context": [{"positive": mine, "negative": name}]}),
        (FEATURES, name),
        (FEATURES, {**name, "shared_parts": True}),
        (FUSED, name),
    ]


def test_a_picture_of_another_is_what_does_not_exist(tenant: Tenant) -> None:
    """In every place of a request that names one; the two answers differ by the name alone."""
    other, absent = tenant.other, "00000000-0000-0000-0000-000000000000"
    pairs = [
        ({"id": other.id}, {"id": absent}),
        ({"uri": other.uri}, {"uri": "file:///no/such/picture.png"}),
        ({"id": other.id.upper()}, {"id": absent}),
    ]
    for theirs, none in pairs:
        for (path, body), (_, empty) in zip(_with_others(tenant, theirs), _with_others(tenant, none), strict=True):
            refused = problem(tenant.post(path, body), 404, "picture-not-found")
            missing = problem(tenant.post(path, empty), 404, "picture-not-found")
            name, no_name = next(iter(theirs.values())), next(iter(none.values()))
            assert refused["detail"].replace(name, "") == missing["detail"].replace(no_name, ""), body
        answers = tenant.post("/v1/search", {"queries": [theirs, {"id": tenant.mine.id}, none]}).json()["answers"]
        assert [answer.get("code") for answer in answers] == ["picture-not-found", None, "picture-not-found"]
    for what in ("", "/thumbnail", "/original"):
        refused = problem(tenant.get(f"/v1/pictures/{other.id}{what}"), 404, "picture-not-found")
        missing = problem(tenant.get(f"/v1/pictures/{absent}{what}"), 404, "picture-not-found")
        assert refused["detail"].replace(other.id, "") == missing["detail"].replace(absent, "")


def test_a_thumbnail_that_another_fetched_is_not_for_it(tenant: Tenant) -> None:
    """What is cached is named by content; who may see it is asked first."""
    address = f"/v1/pictures/{tenant.other.id}/thumbnail"
    fetched = tenant.served.http.get(address, headers=tenant.other_headers)
    assert fetched.status_code == 200
    assert "private" in fetched.headers["cache-control"]
    assert fetched.headers["vary"] == "Authorization"
    tag = {"If-None-Match": fetched.headers["etag"], **tenant.headers}
    problem(tenant.served.http.get(address, headers=tag), 404, "picture-not-found")
    assert tenant.get(f"/v1/pictures/{tenant.mine.id}/thumbnail").status_code == 200


def test_its_own_pictures_are_all_there(tenant: Tenant) -> None:
    assert tenant.get("/v1/count").json() == {"count": 10}
    assert len(tenant.sees_only_its_own(tenant.get("/v1/pictures", limit=1000))) == 10
    assert tenant.get("/v1/facets", field="label").json()["values"] == [{"value": "bag", "count": 10}]
    assert tenant.get(f"/v1/pictures/{tenant.mine.id}").json()["uri"] == tenant.mine.uri
    assert tenant.get(f"/v1/pictures/{tenant.mine.id}/original").status_code == 200
    tenant.sees_only_its_own(tenant.post("/v1/duplicates", {}))


def test_a_cursor_of_another_key_does_not_lead_out(tenant: Tenant) -> None:
    listed = tenant.served.http.get("/v1/pictures", params={"limit": 2}, headers=tenant.other_headers).json()
    response = tenant.get("/v1/pictures", limit=1000, cursor=listed["cursor"])
    if response.status_code == 200:
        tenant.sees_only_its_own(response)
    else:
        problem(response, 422, "invalid-input")
    body = {"vector": [1.0] * 49, "limit": 2}
    found = tenant.served.http.post("/v1/search", json=body, headers=tenant.other_headers).json()
    problem(tenant.post("/v1/search", {**body, "cursor": found["cursor"]}), 422, "invalid-input")


def test_pages_stay_within_it(tenant: Tenant) -> None:
    body: dict[str, Any] = {"vector": [1.0] * 49, "limit": 3}
    uris: list[str] = []
    while True:
        response = tenant.post("/v1/search", body)
        uris += [picture["uri"] for picture in tenant.sees_only_its_own(response)]
        if "cursor" not in response.json():
            break
        body["cursor"] = response.json()["cursor"]
    assert len(uris) == len(set(uris)) == 10


def test_what_is_of_all_pictures_is_not_for_it(tenant: Tenant) -> None:
    problem(tenant.get("/v1/sources"), 403, "scope-missing")
    problem(tenant.get("/metrics"), 403, "scope-missing")
    for path, body in (
        ("/v1/pictures/delete", {"where": 'label == "bag"'}),
        ("/v1/pictures/delete", {"pictures": [tenant.mine.id]}),
    ):
        problem(tenant.post(path, body), 403, "scope-missing")


def test_a_collection_without_its_field_has_nothing_for_it(tenant: Tenant) -> None:
    for path, body in (("/v1/search", {"vector": [1.0] * 49}), ("/v1/duplicates", {})):
        tenant.sees_only_its_own(tenant.post(path, {**body, "collection": "plain"}))
    tenant.sees_only_its_own(tenant.get("/v1/pictures", collection="plain"))
    problem(tenant.get(f"/v1/pictures/{tenant.other.id}", collection="plain"), 404, "picture-not-found")


def test_the_key_may_not_stand_in_the_address_or_the_body(tenant: Tenant) -> None:
    text = tenant.headers["Authorization"].removeprefix("Bearer ")
    for parameters in ({"key": text}, {"access_token": text}, {"api_key": text}):
        problem(tenant.served.http.get("/v1/count", params=parameters), 401, "key-required")
