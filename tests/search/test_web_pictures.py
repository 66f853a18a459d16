"""The pictures of a collection over HTTP: listed, got, added, changed, deleted."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from semblant_search import SearchClient
from semblant_search.store import open_database
from semblant_search.web import ServiceSettings, create_app
from semblant_search.web.models import AddAnswer, Changed, Collections, Count, Duplicates, Facets, PicturePage, Sources
from support.service import problem, serving, wait_until_ready

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_search.store import Database
    from support.service import Served


@pytest.fixture(scope="module")
def own(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service whose collection these tests change, each other pictures of it."""
    folder = tmp_path_factory.mktemp("changed")
    with (
        closing(open_database(shutil.copytree(shop, folder / "shop.db"))) as database,
        serving(database, ServiceSettings(cache=folder / "thumbnails")) as served,
    ):
        yield served


def _json(values: Any) -> Any:
    return json.loads(json.dumps(values))


def test_pages_list_every_picture_once_as_the_client_does(served: Served) -> None:
    cases: list[dict[str, Any]] = [
        {},
        {"where": 'label == "bag"'},
        {"order_by": "price", "descending": True},
        {"with_vectors": True},
    ]
    for options in cases:
        expected = [_json(one.to_json()) for one in served.client.pictures(**options)]
        for method in ("GET",):
            found: list[Any] = []
            cursor: dict[str, Any] = {}
            while True:
                asked = {"limit": 17, **options, **cursor}
                if method == "GET":
                    response = served.http.get("/v1/pictures", params=asked)
                else:
                    response = served.http.post("/v1/pictures/list", json=asked)
                told = response.json()
                PicturePage.model_validate(told, strict=True)
                found += told["pictures"]
                if "cursor" not in told:
                    break
                cursor = {"cursor": told["cursor"]}
            assert found == expected
            assert len(found) >= 10


def test_a_list_takes_no_more_than_it_may(served: Served) -> None:
    problem(served.http.get("/v1/pictures?limit=1001"), 422, "invalid-input")
    told = problem(served.http.get("/v1/pictures?limit=0"), 422, "invalid-request")
    assert told["pointer"] == "#query/limit"
    problem(served.http.get("/v1/pictures?cursor=x"), 422, "invalid-input")
    problem(served.http.get("/v1/pictures?where=prize+<+3"), 422, "invalid-filter")
    problem(served.http.get("/v1/pictures?order_by=label"), 422, "invalid-input")
    (picture,) = served.http.get("/v1/pictures?limit=1&fields=price&fields=_width").json()["pictures"]
    assert (set(picture["metadata"]), set(picture["facts"])) == ({"price"}, {"_width"})


def test_a_picture_is_got_by_its_id(served: Served) -> None:
    first = served.client.scroll(1, with_vectors=True).pictures[0]
    response = served.http.get(f"/v1/pictures/{first.id}", params={"with_vectors": True})
    assert response.json() == _json(first.to_json())
    assert "vector" not in served.http.get(f"/v1/pictures/{first.id}").json()
    problem(served.http.get("/v1/pictures/00000000-0000-0000-0000-000000000000"), 404, "picture-not-found")


def test_what_a_collection_holds_is_told_as_the_client_tells_it(served: Served) -> None:
    http, client = served.http, served.client
    where = "price < 40"
    for response in (http.get("/v1/count", params={"where": where}),):
        assert response.json() == {"count": client.count(where)}
        Count.model_validate(response.json(), strict=True)
    asked: dict[str, Any] = {"field": "label", "where": where, "limit": 3}
    for response in (http.get("/v1/facets", params=asked),):
        Facets.model_validate(response.json(), strict=True)
        told = {one["value"]: one["count"] for one in response.json()["values"]}
        assert list(told.items()) == list(client.facet("label", where=where, limit=3).items())
    response = http.post("/v1/duplicates", json={"where": 'label == "photos"'})
    Duplicates.model_validate(response.json())
    assert response.json()["groups"] == _json([one.to_json() for one in client.duplicates(where='label == "photos"')])
    response = http.get("/v1/collections")
    Collections.model_validate(response.json(), strict=True)
    names = [(one["name"], one["details"], one["regions"]) for one in response.json()["collections"]]
    assert names == [("images", True, True), ("plain", False, True)]
    assert http.get("/v1/collections/images").json() == response.json()["collections"][0]
    response = http.get("/v1/sources")
    Sources.model_validate(response.json(), strict=True)
    assert response.json()["sources"] == [one.to_json() for one in client.sources()]
    for path in ("count", "facets?field=label", "sources", "pictures"):
        told = problem(http.get(f"/v1/{path}{'&' if '?' in path else '?'}collection=none"), 404, "collection-not-found")
        assert told["detail"] == "there is no collection 'none'; there: images, plain"
    problem(http.get("/v1/collections/none"), 404, "collection-not-found")
    problem(http.get("/v1/facets", params={"field": "prize"}), 422, "invalid-input")


def test_duplicates_are_the_same_picture_under_two_names(own: Served, shop_pictures: Path) -> None:
    data = (shop_pictures / "photos" / "moon.png").read_bytes()
    files = [("picture", data), ("picture", data)]
    own.http.post("/v1/pictures", files=files, data={"uri": ["shop://a", "shop://b"]})
    groups = own.http.post("/v1/duplicates", json={}).json()
    Duplicates.model_validate(groups)
    names = {one["uri"] for group in groups["groups"] for one in [group["representative"], *group["others"]]}
    assert {"shop://a", "shop://b"} <= names


def test_several_pictures_are_added_with_their_names_and_metadata(own: Served, shop_pictures: Path) -> None:
    files = [("picture", path.read_bytes()) for path in sorted((shop_pictures / "photos").iterdir())[:3]]
    before = own.client.count()
    metadata = [{"label": "new", "price": 1.5}, {"label": "new"}, {"label": "other", "tags": ["a", "b"]}]
    form = {"uri": ["shop://1", "shop://2", "shop://3"], "metadata": json.dumps(metadata)}
    response = own.http.post("/v1/pictures", files=files, data=form)
    assert response.status_code == 200, response.text
    told = response.json()
    AddAnswer.model_validate(told)
    assert told["added"] == 3
    assert [one["uri"] for one in told["pictures"]] == form["uri"]
    assert [one["metadata"] for one in told["pictures"]] == metadata
    assert own.client.count() == before + 3
    assert own.client.count('label == "new"') == 2
    (hit,) = own.http.post("/v1/search", files={"picture": files[1][1]}, data={"limit": "1", "where": 'label == "new"'}).json()[
        "hits"
    ]
    assert hit["uri"] == "shop://2"
    # Once more: the same names are replaced; metadata for all; names as one list.
    form = {"uri": json.dumps(form["uri"]), "metadata": '{"label": "newest"}'}
    assert own.http.post("/v1/pictures", files=files, data=form).json()["added"] == 3
    assert (own.client.count(), own.client.count('label == "newest"')) == (before + 3, 3)


def test_pictures_without_names_are_named_by_their_content(own: Served, shop_pictures: Path) -> None:
    data = (shop_pictures / "photos" / "moon.png").read_bytes() + b"\0"
    first = own.http.post("/v1/pictures", files={"picture": data}).json()["pictures"][0]
    again = own.http.post("/v1/pictures", files={"picture": data}).json()["pictures"][0]
    assert first["id"] == again["id"]
    assert own.http.get(f"/v1/pictures/{first['id']}").json()["uri"] == first["uri"]


def test_bad_pictures_among_good_ones_are_told_by_themselves(own: Served, shop_pictures: Path) -> None:
    good = (shop_pictures / "photos" / "moon.png").read_bytes()
    files = [("picture", good), ("picture", b"no picture"), ("picture", good[:2000]), ("picture", b"")]
    metadata = json.dumps([{"label": "ok"}] * 4)
    before = own.client.count()
    response = own.http.post("/v1/pictures", files=files, data={"metadata": metadata})
    assert response.status_code == 200
    told = response.json()
    AddAnswer.model_validate(told)
    assert told["added"] == 1
    assert [one.get("code") for one in told["pictures"]] == [None, *["unusable-picture"] * 3]
    assert own.client.count() == before + 1


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"metadata": "[]"}, "invalid-metadata"),
        ({"metadata": '[{"label": "a"}, {"label": "b"}]'}, "invalid-metadata"),
        ({"metadata": '{"price": "cheap"}'}, "invalid-metadata"),
        ({"metadata": '{"_sha256": "0"}'}, "invalid-metadata"),
        ({"metadata": '{"_uri": "file:///etc/passwd"}'}, "invalid-metadata"),
        ({"metadata": "{bad"}, "invalid-request"),
        ({"metadata": "3"}, "invalid-request"),
        ({"metadata": '{"price": NaN}'}, "invalid-metadata"),
        ({"uri": ["shop://a", "shop://b"]}, "invalid-input"),
        ({"uri": "no name"}, "invalid-input"),
        ({"uri": "/etc/passwd"}, "invalid-input"),
        ({"label": "bag"}, "invalid-request"),
        ({"collection": "none"}, "collection-not-found"),
    ],
)
def test_what_cannot_be_added_is_refused_as_a_whole(served: Served, shop_pictures: Path, form: Any, code: str) -> None:
    before = served.client.count()
    files = {"picture": (shop_pictures / "photos" / "moon.png").read_bytes() + b"\0"}
    response = served.http.post("/v1/pictures", files=files, data=form)
    if response.status_code == 200:  # said of the picture itself
        assert [one["code"] for one in response.json()["pictures"]] == [code]
    else:
        problem(response, 404 if code == "collection-not-found" else 422, code)
    assert served.client.count() == before


def test_too_many_pictures_and_none_are_refused(own: Served) -> None:
    problem(own.http.post("/v1/pictures", files=[("picture", b"x")] * 65), 422, "invalid-request")
    problem(own.http.post("/v1/pictures", files={"metadata": (None, b"{}")}), 422, "invalid-request")
    problem(own.http.post("/v1/pictures", json={}), 415, "unsupported-media-type")


def test_metadata_changes_by_name_and_by_filter(own: Served) -> None:
    first, second = own.client.scroll(2, where='label == "bag"').pictures
    body: dict[str, Any] = {"pictures": [first.id, second.uri], "metadata": {"price": 7.25, "split": None}}
    response = own.http.patch("/v1/pictures", json=body)
    assert response.json() == {"count": 2}
    Changed.model_validate(response.json(), strict=True)
    assert own.client.get(first.id).metadata == {"label": "bag", "price": 7.25}
    assert own.http.patch("/v1/pictures", json={"where": "price == 7.25", "metadata": {"label": "found"}}).json() == {
        "count": 2
    }
    own.http.patch("/v1/pictures", json={"pictures": [first.id], "metadata": {"label": "only"}, "replace": True})
    assert own.client.get(first.id).metadata == {"label": "only"}
    assert own.http.patch("/v1/pictures", json={"pictures": [], "metadata": {"label": "x"}}).json() == {"count": 0}
    problem(own.http.patch("/v1/pictures", json={"metadata": {"label": "x"}}), 422, "invalid-input")
    problem(own.http.patch("/v1/pictures", json={**body, "where": "price < 1"}), 422, "invalid-input")
    problem(own.http.patch("/v1/pictures", json={**body, "pictures": ["shop://none"]}), 404, "picture-not-found")
    for name in ("_uri", "_sha256", "_sources"):
        changed = {"pictures": [first.id], "metadata": {name: "file:///etc/passwd"}}
        problem(own.http.patch("/v1/pictures", json=changed), 422, "invalid-metadata")


def test_pictures_are_deleted_by_name_by_filter_and_one_by_one(own: Served) -> None:
    before = own.client.count()
    pictures = own.client.scroll(4, where='label == "coat"').pictures
    assert own.http.post("/v1/pictures/delete", json={"pictures": [pictures[0].id, pictures[1].uri]}).json() == {"count": 2}
    assert own.http.delete(f"/v1/pictures/{pictures[2].id}").json() == {"count": 1}
    problem(own.http.delete(f"/v1/pictures/{pictures[2].id}"), 404, "picture-not-found")
    assert own.client.count() == before - 3
    assert own.http.post("/v1/pictures/delete", json={"where": 'label == "coat"'}).json() == {"count": 7}
    problem(own.http.post("/v1/pictures/delete", json={}), 422, "invalid-input")
    problem(own.http.post("/v1/pictures/delete", json={"where": ""}), 422, "invalid-filter")
    assert own.client.count() == before - 10
    assert all(picture.path is None or picture.path.exists() for picture in pictures)


def test_a_read_only_service_changes_nothing(own_shop: Database, tmp_path: Path, shop_pictures: Path) -> None:
    with serving(own_shop, ServiceSettings(read_only=True, cache=tmp_path)) as served:
        id = served.client.scroll(1).pictures[0].id
        files = {"picture": (shop_pictures / "photos" / "moon.png").read_bytes()}
        problem(served.http.post("/v1/pictures", files=files), 403, "not-offered")
        problem(served.http.delete(f"/v1/pictures/{id}"), 403, "not-offered")
        problem(served.http.patch("/v1/pictures", json={"pictures": [id], "metadata": {}}), 403, "not-offered")
        problem(served.http.post("/v1/pictures/delete", json={"pictures": [id]}), 403, "not-offered")
        assert served.http.get(f"/v1/pictures/{id}").status_code == 200


def test_what_was_added_is_there_after_the_service_ended(shop: Path, shop_pictures: Path, tmp_path: Path) -> None:
    path = shutil.copytree(shop, tmp_path / "shop.db")
    data = (shop_pictures / "photos" / "moon.png").read_bytes()
    with closing(open_database(path)) as database, serving(database, ServiceSettings(cache=tmp_path / "c")) as served:
        served.http.post("/v1/pictures", files={"picture": data}, data={"uri": "shop://kept"})
    with SearchClient(path) as client:
        assert client.get("shop://kept").uri == "shop://kept"


def test_a_filter_that_is_too_long_changes_nothing(own_shop: Database) -> None:
    where = " or ".join(["price > 0"] * 10)
    with serving(own_shop, ServiceSettings(max_filter=50)) as served:
        before = served.client.count(), served.client.facet("label")
        for method, path, more in (("POST", "delete", {}), ("PATCH", "", {"metadata": {"label": "x"}})):
            address = f"/v1/pictures/{path}".rstrip("/")
            problem(served.http.request(method, address, json={"where": where, **more}), 422, "invalid-input")
        assert (served.client.count(), served.client.facet("label")) == before


def test_a_service_that_ends_lets_go_of_what_it_opened(own_shop: Database) -> None:
    with TestClient(create_app(own_shop), base_url="http://localhost") as http:
        wait_until_ready(http)
        assert http.get("/v1/count").status_code == 200
    own_shop.close()
    with closing(open_database(own_shop.location)) as again, closing(again.open("images")) as store:
        assert store.count() > 0
