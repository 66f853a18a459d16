"""The routes of the map. Those of the clusters are in a module of their own."""

import asyncio
import hashlib
from time import monotonic
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, FastAPI, Query, Request
from semblant_search import FieldType
from semblant_search.web.access import Access
from semblant_search.web.asking import picture_json
from semblant_search.web.problems import Problem
from semblant_search.web.routes.shared import PROBLEMS, answer
from semblant_search.web.routing import add_heads, route_class
from semblant_search.web.service import Service
from semblant_search.where import And, F
from starlette.responses import Response

from semblant_indexer.analysis.runs import read_run

from .cluster_routes import add_cluster_routes
from .colours import read_colours
from .keeper import Maps
from .models import AnalysisQuery, Making, MapFacts, MapPictures, MapPicturesQuery, MapRows, MapRowsQuery
from .points import MapPoints

__all__ = ["add_maps"]

_BINARY_TYPE = "application/octet-stream"
_BINARY: dict[int | str, dict[str, Any]] = {
    **PROBLEMS,
    200: {
        "description": "The length of a JSON head (uint32), the head, and the columns that it names, each at a multiple of 4 "
        "bytes; little-endian.",
        "content": {_BINARY_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    },
    304: {"description": "As it was."},
}
_COLOURED_BY = ("_format", "_width", "_height", "_bytes", "_taken_at", "_camera", "_indexed_at", "_cluster", "_outlier")
_Version = Annotated[str, Query(max_length=64, description="Of the points.")]


def add_maps(app: FastAPI, service: Service) -> None:
    """Add the map and the clusters to a service."""
    database = service.database
    if database is None:
        return
    maps = Maps(database)

    router = APIRouter(
        route_class=route_class(service),
        lifespan=maps.lifespan,
        responses={"default": {"model": Problem, "description": "A problem (RFC 9457)."}},
        tags=["map"],
    )
    _add_routes(router, service, maps)
    add_cluster_routes(router, service, maps)
    add_heads(router)
    app.include_router(router, prefix="/v1")


def _add_routes(router: APIRouter, service: Service, maps: Maps) -> None:
    usual = service.usual_collection
    Name = Annotated[str, Query(description="The collection's name.")]  # noqa: N806 - a type
    Searcher = Annotated[Access, service.allowed("search")]  # noqa: N806
    Admin = Annotated[Access, service.allowed("admin")]  # noqa: N806

    @router.get(
        "/map",
        operation_id="get_map",
        summary="Which map and clusters there are",
        response_model=MapFacts,
        responses=PROBLEMS,
    )
    async def get_map(access: Searcher, collection: Name = usual) -> Response:
        client = await service.client(collection)
        fields = (await client.manifest()).fields
        making = maps.making(collection)  # before what it makes: where nothing is being made, all of it is there
        mapped, clustered = await asyncio.to_thread(
            maps.with_store, collection, lambda store: (read_run(store, "map"), read_run(store, "clusters"))
        )
        own = [name for name in fields if not name.startswith("_") and fields[name] is not FieldType.GEO]
        told = MapFacts(
            map_version=None if mapped is None else mapped.version,
            map_made_at=None if mapped is None else mapped.made_at,
            clusters_version=None if clustered is None else clustered.version,
            pictures=await client.count(access.where),
            fields=[*sorted(own), *(name for name in _COLOURED_BY if name in fields)],
            may_make=access.allows("admin") and access.where is None and not service.settings.read_only,
            making=making,
        )
        return answer(told.model_dump(mode="json"))

    @router.post(
        "/map/make",
        operation_id="make_analysis",
        summary="Make a map or clusters, while searches go on",
        status_code=202,
        response_model=Making,
        responses=PROBLEMS,
    )
    async def make_analysis(access: Admin, query: AnalysisQuery) -> Response:  # noqa: ARG001
        making = await asyncio.to_thread(maps.make, query.collection, query.kind, query.k)
        return answer(making.model_dump(mode="json"), 202)

    @router.get(
        "/map/points",
        operation_id="get_map_points",
        summary="Where each picture lies",
        response_class=Response,
        responses=_BINARY,
    )
    async def get_map_points(access: Searcher, request: Request, collection: Name = usual) -> Response:
        points = await maps.points(collection, access)
        return _tagged(request, points.version, points.columns)

    @router.get(
        "/map/colours",
        operation_id="get_map_colours",
        summary="The colour of each picture by a field, and a legend",
        response_class=Response,
        responses=_BINARY,
    )
    async def get_map_colours(
        access: Searcher,
        request: Request,
        version: _Version,
        field: Annotated[str, Query(description="The field's name.")],
        collection: Name = usual,
    ) -> Response:
        points = await maps.points(collection, access, version)
        named = access.where is None
        run = await asyncio.to_thread(maps.with_store, collection, lambda store: read_run(store, "clusters"))
        key = f"{field}-{0 if run is None else run.version}-{named}"
        known = points.colours.get(key)
        if known is None or not points.is_fresh(known[0]):
            data = await asyncio.to_thread(
                maps.with_store, collection, lambda store: read_colours(store, points, field, named=named)
            )
            known = points.colours[key] = (monotonic(), data)
        data = known[1]
        return _tagged(request, hashlib.sha256(points.version.encode() + data).hexdigest()[:32], lambda: data)

    @router.get(
        "/map/mask",
        operation_id="get_map_mask",
        summary="Which pictures match a filter: a bit for each row, the first one the lowest of its byte",
        response_class=Response,
        responses=_BINARY,
    )
    async def get_map_mask(
        access: Searcher,
        version: _Version,
        where: Annotated[str, Query(description='A filter, such as `label == "Sneaker" and price < 100`.')],
        collection: Name = usual,
    ) -> Response:
        points = await maps.points(collection, access, version)
        within = access.filter(where, service.settings.max_filter)
        bits = await asyncio.to_thread(maps.with_store, collection, lambda store: _mask(store, points, within))
        return Response(bits, media_type=_BINARY_TYPE, headers={"Cache-Control": "no-store"})

    @router.post(
        "/map/pictures",
        operation_id="get_map_pictures",
        summary="The pictures of some rows",
        response_model=MapPictures,
        responses=PROBLEMS,
    )
    async def get_map_pictures(access: Searcher, query: MapPicturesQuery) -> Response:
        points = await maps.points(query.collection, access, query.version)
        wanted = [row for row in query.rows if 0 <= row < len(points)]
        ids = [points.ids[row].decode() for row in wanted]
        found = await (await service.client(query.collection)).get_many(ids)
        told = dict(zip(wanted, found, strict=True))
        pictures = [told.get(row) for row in query.rows]
        return answer({"pictures": [None if one is None else picture_json(one) for one in pictures]})

    @router.post(
        "/map/rows",
        operation_id="get_map_rows",
        summary="The rows of some pictures",
        response_model=MapRows,
        responses=PROBLEMS,
    )
    async def get_map_rows(access: Searcher, query: MapRowsQuery) -> Response:
        points = await maps.points(query.collection, access, query.version)
        return answer({"rows": points.rows(query.ids).tolist()})


def _mask(store: Any, points: MapPoints, within: Any) -> bytes:
    mapped = F("_x").exists()
    where = mapped if within is None else And((within, mapped))
    rows = points.rows([record.id for record in store.scroll(where=where, fields=[])])
    chosen = np.zeros(len(points), bool)
    chosen[rows[rows >= 0]] = True
    return np.packbits(chosen, bitorder="little").tobytes()


def _tagged(request: Request, tag: str, make: Any) -> Response:
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(make(), media_type=_BINARY_TYPE, headers=headers)
