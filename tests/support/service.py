"""A service in this process, asked as over HTTP."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi.testclient import TestClient
from semblant_search import SearchClient
from semblant_search.web import ServiceSettings, create_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI
    from semblant_search.store import Database

__all__ = ["Served", "bearer", "problem", "serving", "wait_until_ready"]


@dataclass(frozen=True)
class Served:
    """A service and, of the same database, the client that it should answer like."""

    http: TestClient
    client: SearchClient
    app: FastAPI
    database: Database


@contextmanager
def serving(database: Database, settings: ServiceSettings | None = None, **options: Any) -> Iterator[Served]:
    """Serve a database, as ready as it gets; `options` are those of `create_app`."""
    with SearchClient(database) as client:
        app = create_app(database, settings=settings, client=client, **options)
        with TestClient(app, base_url="http://localhost") as http:
            wait_until_ready(http)
            yield Served(http, client, app, database)


def wait_until_ready(http: TestClient) -> None:
    while http.get("/readyz").status_code != 200:
        time.sleep(0.01)


def bearer(key: str) -> dict[str, str]:
    """The headers of a request with a key."""
    return {"Authorization": f"Bearer {key}"}


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """The problem that an answer is, which it must be."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), response.text
    told: dict[str, Any] = response.json()
    assert told["code"] == code, told
    assert told["status"] == status
    assert told["request_id"] == response.headers["x-request-id"]
    return told
