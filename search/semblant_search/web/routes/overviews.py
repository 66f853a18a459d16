"""What a page asks for before anything is searched: what is allowed, the folders, and how the values of a field are spread."""

import asyncio
from collections import Counter
from dataclasses import asdict
from importlib.metadata import version
from itertools import pairwise
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from semblant_search.async_client import AsyncSearchClient
from semblant_search.collection import FieldType
from semblant_search.errors import InvalidInput
from semblant_search.shown import shown
from semblant_search.web.access import Access
from semblant_search.web.bins import date_edges, number_edges
from semblant_search.web.models.overviews import About, Folders, Histogram, Places
from semblant_search.web.place_cells import place_cells
from semblant_search.web.service import Service
from semblant_search.where import F, Where

from .shared import PROBLEMS, answer

__all__ = ["add_overview_routes"]

Filter = Annotated[str | None, Query(description='A filter, such as `label == "Sneaker" and price < 100`.')]
_KINDS = {FieldType.INTEGER: "integer", FieldType.FLOAT: "float", FieldType.DATETIME: "datetime"}
_MOST_URIS = 2_000_000


def add_overview_routes(router: APIRouter, service: Service) -> None:
    """Add them, for those who may search."""
    usual = service.usual_collection
    settings = service.settings
    Name = Annotated[str, Query(description="The collection's name.")]  # noqa: N806 - a type
    Searcher = Annotated[Access, service.allowed("search")]  # noqa: N806

    @router.get(
        "/about",
        operation_id="about",
        summary="What this service is and what its caller may do",
        response_model=About,
        responses=PROBLEMS,
    )
    async def about(access: Searcher) -> Response:
        told = {
            "version": version("semblant-search"),
            "collection": usual,
            "scope": "search" if settings.read_only else access.scope,
            "limited": access.where is not None,
            "originals": settings.originals,
            "max_body": settings.max_body,
            "max_pixels": settings.max_pixels,
            "max_limit": settings.max_limit,
        }
        return answer(told)

    @router.get(
        "/folders",
        operation_id="folders",
        summary="The folders within one, with the number of their pictures",
        response_model=Folders,
        responses=PROBLEMS,
    )
    async def folders(
        access: Searcher,
        uri: Annotated[str | None, Query(description="A folder; the smallest that holds all pictures without it.")] = None,
        where: Filter = None,
        collection: Name = usual,
    ) -> Response:
        client = await service.client(collection)
        within = access.filter(where, settings.max_filter)
        if uri is not None:
            uri = uri.rstrip("/") + "/"
            below = F("_uri").startswith(uri)
            within = below if within is None else within & below
        # Each URI is a value of its own: an index lists them without reading a picture.
        found = list(await client.facet("_uri", where=within, limit=_MOST_URIS))
        return answer(await asyncio.to_thread(_folders, found, uri))

    @router.get(
        "/histogram",
        operation_id="histogram",
        summary="How the numbers or dates of a field are spread",
        response_model=Histogram,
        responses=PROBLEMS,
    )
    async def histogram(
        access: Searcher,
        field: Annotated[str, Query(description="The field's name.")],
        where: Filter = None,
        bins: Annotated[int, Query(ge=1, le=100, description="Bins at most.")] = 24,
        collection: Name = usual,
    ) -> Response:
        client = await service.client(collection)
        kind = (await client.manifest()).fields.get(field)
        if kind not in _KINDS:
            raise InvalidInput(
                f"field {shown(field)}: expected one of numbers or dates; see the collection's fields", argument="field"
            )
        within = access.filter(where, settings.max_filter)
        extent = await _extent(client, field, within)
        told: dict[str, Any] = {"field": field, "kind": _KINDS[kind], "bins": []}
        if extent is None:
            return answer(told)
        edges: list[Any]
        if kind is FieldType.DATETIME:
            told["unit"], edges = date_edges(*extent, bins)
        else:
            edges = number_edges(*extent, bins, whole=kind is FieldType.INTEGER)
        counts = await asyncio.gather(*(client.count(one) for one in _between(field, edges, within)))
        told["bins"] = [
            {"low": low, "high": high, "count": count} for (low, high), count in zip(pairwise(edges), counts, strict=True)
        ]
        return answer(told)

    @router.get(
        "/places",
        operation_id="places",
        summary="Where the places of a field lie",
        response_model=Places,
        responses=PROBLEMS,
    )
    async def places(
        access: Searcher,
        field: Annotated[str, Query(description="The field's name.")],
        where: Filter = None,
        cells: Annotated[int, Query(ge=1, le=200, description="Cells, about.")] = 100,
        collection: Name = usual,
    ) -> Response:
        client = await service.client(collection)
        if (await client.manifest()).fields.get(field) is not FieldType.GEO:
            raise InvalidInput(f"field {shown(field)}: expected one of places; see the collection's fields", argument="field")
        found = await place_cells(client, field, access.filter(where, settings.max_filter), cells)
        return answer({"field": field, "cells": [asdict(cell) for cell in found]})


def _folders(uris: list[str], within: str | None) -> dict[str, Any]:
    prefix = _common_folder(uris) if within is None else within
    counts: Counter[str] = Counter()
    direct = 0
    for uri in uris:
        name, slash, _ = uri[len(prefix) :].partition("/")
        if slash:
            counts[name] += 1
        else:
            direct += 1
    found = [{"name": name, "uri": f"{prefix}{name}/", "count": count} for name, count in sorted(counts.items())]
    return {"uri": prefix, "folders": found, "pictures": direct}


def _common_folder(uris: list[str]) -> str:
    """`file:///a/` of `file:///a/b/1.jpg` and `file:///a/c.jpg`; empty where nothing is common."""
    if not uris:
        return ""
    low, high = min(uris), max(uris)
    same = next((place for place, (one, other) in enumerate(zip(low, high, strict=False)) if one != other), len(low))
    return low[: low.rfind("/", 0, same) + 1]


async def _extent(client: AsyncSearchClient, field: str, where: Where | None) -> tuple[Any, Any] | None:
    """The lowest and the highest value, or None where no picture has one."""
    ends = []
    for descending in (False, True):
        page = await client.scroll(1, where=where, order_by=field, descending=descending)
        if not page.pictures:
            return None
        picture = page.pictures[0]
        value: Any = picture.facts if field.startswith("_") else picture.metadata
        for name in [field] if field in value else field.split("."):
            value = value[name]
        ends.append((max if descending else min)(value) if isinstance(value, list) else value)
    return ends[0], ends[1]


def _between(field: str, edges: list[Any], where: Where | None) -> list[Where]:
    ranges = []
    for place, (low, high) in enumerate(pairwise(edges)):
        last = place == len(edges) - 2
        one = (F(field) >= low) & ((F(field) <= high) if last else (F(field) < high))
        ranges.append(one if where is None else where & one)
    return ranges
