"""The files of the page, as a service gives them out."""

from __future__ import annotations

import gzip
import re
from html import escape
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from semblant_search.web.page import CONTENT_SECURITY_POLICY, add_page

if TYPE_CHECKING:
    from pathlib import Path

    from support.service import Served


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Semblant</title>")
    (folder / "assets" / "index-abc.js").write_text("1;" * 100)
    (folder / "assets" / "index-abc.js.gz").write_bytes(gzip.compress(b"1;" * 100))
    (folder / "assets" / "notes.txt").write_text("no part of the page")
    (tmp_path / "secret.js").write_text("secret")
    return folder


@pytest.fixture
def http(built: Path) -> TestClient:
    app = FastAPI()
    add_page(app, built)
    return TestClient(app, base_url="http://localhost")


def test_the_page_has_a_policy_that_allows_nothing_from_elsewhere(http: TestClient) -> None:
    response = http.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none';")


def test_parts_are_packed_and_kept_for_ever_and_the_page_is_not(http: TestClient) -> None:
    part = http.get("/assets/index-abc.js")
    assert (part.status_code, part.text, part.headers["content-encoding"]) == (200, "1;" * 100, "gzip")
    assert "immutable" in part.headers["cache-control"]
    plain = http.get("/assets/index-abc.js", headers={"Accept-Encoding": "identity"})
    assert (plain.text, plain.headers.get("content-encoding")) == ("1;" * 100, None)
    page = http.get("/")
    assert page.headers["cache-control"] == "no-cache"
    again = http.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "name", ["notes.txt", "../secret.js", "..%2fsecret.js", "index.html", "%2e%2e%2fsecret.js", "none.js", ""]
)
def test_nothing_but_parts_of_the_page_is_given_out(http: TestClient, name: str) -> None:
    response = http.get(f"/assets/{name}")
    assert response.status_code == 404
    assert "secret" not in response.text.replace("secret.js", "")


def test_a_page_that_is_built_anew_is_given_out_anew(http: TestClient, built: Path) -> None:
    first = http.get("/")
    (built / "index.html").write_text("<!doctype html><title>Another</title>")
    assert "Another" in http.get("/", headers={"If-None-Match": first.headers["etag"]}).text


def test_the_routes_are_described_without_a_script_or_a_request_elsewhere(served: Served) -> None:
    response = served.http.get("/docs")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-security-policy"].startswith("default-src 'none';")
    assert "<script" not in response.text
    assert "//" not in re.sub(r"\w+:///?[\w/.…-]+", "", response.text)  # but for URIs of pictures as examples
    for path, methods in served.app.openapi()["paths"].items():
        for operation in methods.values():
            assert path in response.text
            assert escape(operation["summary"]) in response.text
    assert "group_by" in response.text


def test_a_page_that_was_not_built_says_how(tmp_path: Path) -> None:
    app = FastAPI()
    add_page(app, tmp_path / "static")
    http = TestClient(app, base_url="http://localhost")
    response = http.get("/")
    assert response.status_code == 404
    assert "make page" in response.text
    assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert http.get("/assets/index-abc.js").status_code == 404
