"""How much one answer holds: no request gets around it, a plain one keeps within it, and a client asks in parts."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from semblant_search import SearchClient
from semblant_search.store import open_database
from semblant_search.web import ServiceSettings, create_app
from support.copies import copied
from support.service import listening, problem, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.service import Served

MOST = 5


@pytest.fixture(scope="module")
def small(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    copy = copied(shop, tmp_path_factory.mktemp("small") / "shop.db")
    settings = ServiceSettings(max_limit=MOST, cache=copy.parent / "cache")
    with closing(open_database(copy)) as database, serving(database, settings) as served:
        yield served


def _id(served: Served) -> str:
    return next(iter(served.client.pictures(where='label == "sneaker"'))).id


def test_a_request_without_a_limit_gets_what_one_answer_holds(small: Served) -> None:
    id = _id(small)
    listed = small.http.get("/v1/pictures").json()
    assert (len(listed["pictures"]), "cursor" in listed) == (MOST, True)
    assert len(small.http.post("/v1/pictures/list", json={}).json()["pictures"]) == MOST
    for path in ("/v1/search", "/v1/search/fused"):
        assert len(small.http.post(path, json={"id": id}).json()["hits"]) == MOST, path
    assert small.http.post("/v1/search/features", json={"id": id}).status_code == 200
    told = small.http.get("/openapi.json").json()["paths"]["/v1/pictures"]["get"]["parameters"]
    assert [one["schema"]["default"] for one in told if one["name"] == "limit"] == [MOST]


def test_more_than_one_answer_holds_is_refused(small: Served) -> None:
    id = _id(small)
    for path in ("/v1/search", "/v1/search/features", "/v1/search/fused"):
        told = problem(small.http.post(path, json={"id": id, "limit": MOST + 1}), 422, "invalid-input")
        assert "5 at most" in told["detail"]
    problem(small.http.get("/v1/pictures?limit=6"), 422, "invalid-input")


def test_groups_hold_no_more_hits_together(small: Served) -> None:
    def groups(**options: int) -> list[int]:
        answer = small.http.post("/v1/search", json={"id": _id(small), "group_by": "label", **options})
        assert answer.status_code == 200, answer.text
        return [len(group["hits"]) for group in answer.json()["groups"]]

    assert groups() == [3]
    assert groups(limit=1, group_size=MOST) == [MOST]
    assert groups(group_size=2) == [2, 2]
    for options in ({"limit": 5, "group_size": 1000}, {"limit": 2}, {"group_size": 6}):
        body = {"id": _id(small), "group_by": "label", **options}
        told = problem(small.http.post("/v1/search", json=body), 422, "invalid-input")
        assert "5 hits at most" in told["detail"]
        (one,) = small.http.post("/v1/search", json={"queries": [body]}).json()["answers"]
        assert one["code"] == "invalid-input"


def test_vectors_of_many_pictures_are_asked_for_in_parts(small: Served) -> None:
    ids = [picture.id for picture in small.client.pictures()][: MOST + 1]
    body: dict[str, Any] = {"pictures": ids, "with_vectors": True}
    told = problem(small.http.post("/v1/pictures/get", json=body), 422, "invalid-input")
    assert "5 at most" in told["detail"]
    assert len(small.http.post("/v1/pictures/get", json={**body, "pictures": ids[:MOST]}).json()["pictures"]) == MOST
    assert len(small.http.post("/v1/pictures/get", json={"pictures": ids}).json()["pictures"]) == MOST + 1


def test_a_client_gets_all_that_it_asks_for(small: Served) -> None:
    """It asks in parts, and answers as one of the database does."""
    local, id = small.client, _id(small)
    app = create_app(small.database, settings=ServiceSettings(max_limit=MOST), client=local)
    with listening(app) as address, SearchClient(address) as client:
        assert [hit.id for hit in client.search(id, 12)] == [hit.id for hit in local.search(id, 12)]
        assert [one.id for one in client.scroll(12).pictures] == [one.id for one in local.scroll(12).pictures]
        assert [one.id for one in client.pictures()] == [one.id for one in local.pictures()]
        for size in (1, 2, MOST):
            found, expected = (one.search_groups(id, "label", 4, group_size=size) for one in (client, local))
            told = [[(group.value, [hit.id for hit in group.hits]) for group in groups] for groups in (found, expected)]
            assert told[0] == told[1]
        ids = [picture.id for picture in local.pictures()][:12]
        for one, other in zip(client.get_many(ids, with_vectors=True), local.get_many(ids, with_vectors=True), strict=True):
            assert one is not None
            assert one.vector is not None
            assert other is not None
            assert other.vector is not None
            np.testing.assert_allclose(one.vector, other.vector, atol=1e-6)
