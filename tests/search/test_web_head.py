"""HEAD: what GET would say, without its body, as probes of systems and `curl -I` ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.testclient import TestClient
from semblant_search import SearchClient
from semblant_search.web import KeyFile, create_app
from support.service import bearer, listening, problem, service_of

if TYPE_CHECKING:
    from pathlib import Path

    from semblant_search.store import Database
    from support.service import Served

OWN = {"x-request-id", "date"}
"""Headers that differ from request to request."""


def test_it_is_get_without_the_body(served: Served) -> None:
    id = next(iter(served.client.pictures())).id
    paths = ["/livez", "/readyz", "/v1/count", "/v1/pictures?limit=2", f"/v1/pictures/{id}", f"/v1/pictures/{id}/thumbnail"]
    for path in [*paths, "/v1/pictures/no-id", "/v1/count?wher=1", "/openapi.json"]:
        whole, head = served.http.get(path), served.http.head(path)
        assert (head.status_code, head.content) == (whole.status_code, b""), path
        assert whole.content
        kept = [{name: value for name, value in one.headers.items() if name not in OWN} for one in (whole, head)]
        assert kept[0] == kept[1], path
    tag = served.http.head(paths[-1]).headers["etag"]
    assert served.http.head(paths[-1], headers={"If-None-Match": tag}).status_code == 304


def test_it_needs_the_key_that_get_needs(own_shop: Database, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    key, _ = keys.create("reader", scope="search")
    with SearchClient(own_shop) as client, TestClient(create_app(own_shop, client=client, keys=keys)) as http:
        assert http.head("/v1/count").status_code == 401
        assert http.head("/v1/count", headers=bearer(key)).status_code == 200
        assert http.head("/livez").status_code == 200


def test_the_connection_is_good_for_the_next_request(own_shop: Database) -> None:
    import http.client

    with SearchClient(own_shop) as client, listening(service_of(client)) as address:
        host, _, port = address.removeprefix("semblant://").partition(":")
        connection = http.client.HTTPConnection(host, int(port))
        for method, body in (("HEAD", b""), ("GET", b'{"count":%d}' % client.count())):
            connection.request(method, "/v1/count")
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, body)
        connection.close()


def test_what_has_no_get_has_no_head(served: Served) -> None:
    assert served.http.head("/v1/search").status_code == 405
    problem(served.http.put("/v1/count"), 405, "method-not-allowed")
