"""Parameters of an address: one that is misspelt, or given twice, is refused; what an app's own dependencies take is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import pytest
from fastapi import Depends, FastAPI, Query, Security
from fastapi.security import APIKeyQuery
from fastapi.testclient import TestClient
from pydantic import BaseModel
from semblant_search import SearchClient
from semblant_search.web import router
from support.service import problem, serving

if TYPE_CHECKING:
    from semblant_search.store import Database
    from support.service import Served

ID = "5b0a5a04-54b5-5b2a-8b3f-2f5e4d0f6a11"


@pytest.mark.parametrize(
    ("method", "address", "name", "meant"),
    [
        ("GET", "/v1/count?wher=price%3C3", "wher", "did you mean 'where'?"),
        ("GET", "/v1/pictures?limit=1&Where=price%3C3", "Where", "did you mean 'where'?"),
        ("GET", "/v1/facets?field=label&colection=plain", "colection", "did you mean 'collection'?"),
        ("GET", "/v1/histogram?field=price&bin=3", "bin", "did you mean 'bins'?"),
        ("GET", f"/v1/pictures/{ID}/thumbnail?sise=64", "sise", "did you mean 'size'?"),
        ("GET", "/v1/sources?zzz=1", "zzz", "there are collection"),
        ("GET", "/v1/about?v=1", "v", "it takes none"),
        ("POST", "/v1/search?where=price%3C3", "where", "it takes none"),
    ],
)
def test_a_misspelt_parameter_is_refused(served: Served, method: str, address: str, name: str, meant: str) -> None:
    body = {"vector": [1.0]} if method == "POST" else None
    told = problem(served.http.request(method, address, json=body), 422, "invalid-request")
    assert told["pointer"] == f"#query/{name}"
    assert meant in told["detail"]


def test_nothing_is_deleted_where_the_collection_is_misspelt(own_shop: Database) -> None:
    with serving(own_shop) as shop:
        id = next(iter(shop.client.pictures())).id
        before = shop.client.count()
        problem(shop.http.delete(f"/v1/pictures/{id}?colection=plain"), 422, "invalid-request")
        assert shop.client.count() == before


def test_a_parameter_is_given_once_unless_it_is_a_list(served: Served) -> None:
    told = problem(served.http.get("/v1/count?where=price%3C3&where=price%3E3"), 422, "invalid-request")
    assert (told["pointer"], "given 2 times" in told["detail"]) == ("#query/where", True)
    (picture,) = served.http.get("/v1/pictures?limit=1&fields=price&fields=_width").json()["pictures"]
    assert set(picture["facts"]) == {"_width"}


def test_all_faults_are_told_at_once_and_long_names_cut(served: Served) -> None:
    told = problem(served.http.get("/v1/count?wher=1&wo=2&" + "x" * 5000 + "=3"), 422, "invalid-request")
    assert [one["pointer"][:12] for one in told["errors"]] == ["#query/wher", "#query/wo", "#query/xxxxx"]
    assert len(told["errors"][2]["pointer"]) < 200
    assert len(told["errors"][2]["detail"]) < 300


def test_a_probe_may_say_what_it_likes(served: Served) -> None:
    assert served.http.get("/livez?now=1").status_code == 200


class Signed(BaseModel):
    user: str = ""
    groups: list[str] = []


def test_what_the_dependencies_of_an_app_take_is_taken(own_shop: Database) -> None:
    def login(signed: Annotated[Signed, Query()], tag: Annotated[str, Query(alias="_tag")] = "") -> None: ...

    with SearchClient(own_shop) as client:
        app = FastAPI()
        key = Security(APIKeyQuery(name="token"))
        app.include_router(router(client), prefix="/shop", dependencies=[Depends(login), key])
        with TestClient(app) as http:
            address = "/shop/count?token=x&user=me&groups=a&groups=b&_tag=3"
            assert http.get(address).json() == {"count": client.count()}
            problem(http.get(f"{address}&user=you"), 422, "invalid-request")
            problem(http.get(f"{address}&usr=me"), 422, "invalid-request")
