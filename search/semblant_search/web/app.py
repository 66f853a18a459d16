"""The router for other people's apps, and the app that `semblant serve` runs."""

from __future__ import annotations

from importlib.metadata import entry_points, version
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from semblant_search.client import SearchClient
from semblant_search.errors import InvalidInput
from semblant_search.shown import shown

from . import problems
from .docs_page import add_docs
from .guard import OriginGuard
from .origins import NamedOrigins, origins_of
from .page import add_page
from .request_ids import REQUEST_ID, unrouted
from .routes import add_collection_routes, add_overview_routes, add_picture_routes, add_search_routes
from .routes.shared import answer
from .routing import add_heads, route_class
from .service import Service
from .settings import ServiceSettings

if TYPE_CHECKING:
    from collections.abc import Collection

    from semblant_search.store import Database

    from .access import Access
    from .keys import KeyFile

__all__ = ["create_app", "router"]

ENTRY_POINTS = "semblant.service"
_VERSIONED = "/v1"
_TEXT = "text/plain"
_TEXT_SCHEMA = {"schema": {"type": "string"}}


def router(client: SearchClient, *, settings: ServiceSettings | None = None, name: str | None = None) -> APIRouter:
    """Semblant's routes for an app of your own, under your prefix and behind your own dependencies.

    >>> app = FastAPI()
    >>> app.include_router(router(client), prefix="/pictures", dependencies=[Depends(my_login)])  # doctest: +SKIP

    Its lifespan, which loads the encoder, is run by the app. Callers may do everything that `settings` allows: who they are is
    asked by your dependencies.

    Args:
        client: whose collection is served; it stays yours to close.
        settings: what is allowed; None is the usual.
        name: of an app's second router: its operations are called `name_search` and so on, where one id would be two routes'.

    Raises:
        InvalidInput: what is no client, or no name of an operation.
    """
    if not isinstance(client, SearchClient):
        raise InvalidInput(f"client {shown(client)}: expected a SearchClient, such as SearchClient('pictures.db')")
    if name is not None and not (isinstance(name, str) and name.isascii() and name.isidentifier()):
        raise InvalidInput(f"name {shown(name)}: expected letters, digits and underscores, such as shoes")
    routes = _routes(Service(client, settings or ServiceSettings()))
    if name is not None:
        for route in routes.routes:
            if isinstance(route, APIRoute):
                route.operation_id = route.unique_id = f"{name}_{route.operation_id}"
    return routes


def create_app(
    database: Database,
    *,
    settings: ServiceSettings | None = None,
    client: SearchClient | None = None,
    keys: KeyFile | None = None,
    origins: Collection[str] = (),
    docs: bool = True,
) -> FastAPI:
    """The whole service over a database, which stays the caller's to close.

    Args:
        database: whose collections are served.
        settings: what is allowed; None is the usual.
        client: an open one of the database, of the collection that requests mean which name none; the caller's to close.
        keys: who may come in; None lets every program of this machine in, and no page of another origin.
        origins: of other pages that may ask, as `https://shop.example`.
        docs: whether `/docs` and `/openapi.json` are there.

    Raises:
        InvalidInput: an origin that no browser sends.
    """
    origins = origins_of(origins)
    service = Service(database, settings or ServiceSettings(), keys=keys, client=client)
    app = FastAPI(
        title="Semblant",
        summary="Find the pictures that look alike.",
        version=version("semblant-search"),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,  # FastAPI's loads a script from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json" if docs else None,
        redirect_slashes=False,  # to whatever host a request names
        # FastAPI's own spans (from 0.165 on) would be a second one of each request, with its address, filters and all.
        telemetry={"tracing": False, "logs": False},
    )
    app.state.service = service
    app.include_router(_routes(service), prefix=_VERSIONED)
    app.include_router(_health(service))
    add_page(app)
    if docs:
        add_docs(app)
    app.add_exception_handler(HTTPException, _unrouted)
    app.add_middleware(OriginGuard, origins=origins, loopback_only=keys is None)
    if origins:
        app.add_middleware(NamedOrigins, origins=origins)
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        entry.load()(app, service)
    return app


def _routes(service: Service) -> APIRouter:
    routes = APIRouter(route_class=route_class(service), lifespan=service.lifespan, tags=["search"], redirect_slashes=False)
    add_search_routes(routes, service)
    add_picture_routes(routes, service)
    add_collection_routes(routes, service)
    add_overview_routes(routes, service)
    add_heads(routes)
    return routes


def _health(service: Service) -> APIRouter:
    routes = APIRouter(route_class=route_class(service, waits=False), tags=["health"])

    @routes.get("/livez", operation_id="livez", summary="Whether the service is there", responses=problems.statuses(403, 500))
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @routes.get(
        "/readyz",
        operation_id="readyz",
        summary="Whether the service answers without delay: the encoder is loaded",
        response_model=dict[str, str],
        responses=problems.statuses(403, 500, 503),
    )
    async def readyz() -> Response:
        if service.state != "ready":
            code = "starting" if service.state == "starting" else "stopping"
            raise problems.ServiceError(code, "the encoder is being loaded; come again in a second")
        return answer({"status": "ready"})

    @routes.get(
        "/metrics",
        operation_id="metrics",
        summary="Counters and times, for Prometheus",
        response_class=Response,
        responses={**problems.statuses(401, 403, 500), 200: {"description": "All of them.", "content": {_TEXT: _TEXT_SCHEMA}}},
    )
    async def metrics(access: Access = service.allowed("search")) -> Response:  # noqa: B008
        if access.where is not None:
            raise problems.ServiceError("scope-missing", "this key is for some pictures only, and times are of all requests")
        return Response(service.metrics.text(), media_type=f"{_TEXT}; version=0.0.4")

    add_heads(routes)
    return routes


async def _unrouted(request: Request, error: Exception) -> Response:
    """What Starlette says of addresses and methods that there are not, as a problem."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        problem = problems.of_fault("method-not-allowed", f"{request.method} {request.url.path}: see Allow")
    else:
        problem = problems.of_fault("not-found", f"{request.url.path}: see /openapi.json for what there is")
    return unrouted(problem, request.headers.get(REQUEST_ID, ""), error.headers)
