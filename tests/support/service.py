"""A service in this process, asked as over HTTP."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from semblant_search import SearchClient
from semblant_search.web import ServiceSettings, create_app, router

if TYPE_CHECKING:
    from collections.abc import Iterator

    from semblant_search.store import Database

__all__ = ["Served", "bearer", "listening", "problem", "service_of", "serving", "wait_until_ready"]


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


@contextmanager
def listening(app: FastAPI, **config: Any) -> Iterator[str]:
    """The address of an app that answers at a port of this machine, in a thread; `config` is uvicorn's."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on", **config))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"semblant://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def service_of(client: SearchClient, **options: Any) -> FastAPI:
    """An app with nothing but the routes of a client; `options` are those of `router`."""
    app = FastAPI()
    app.include_router(router(client, **options), prefix="/v1")
    return app


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
