"""Searches: by look, by details, by both; and embeddings."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from semblant_search.async_client import AsyncSearchClient
from semblant_search.errors import InvalidInput, SemblantError
from semblant_search.web import asking, problems
from semblant_search.web.access import Access
from semblant_search.web.answer_limits import check_together
from semblant_search.web.forms import form_schema
from semblant_search.web.models import (
    Embeddings,
    EmbedForm,
    FeaturesQuery,
    FusedQuery,
    ProvenAnswer,
    SearchAnswer,
    SearchQuery,
    SingleQuery,
)
from semblant_search.web.routing import form_of
from semblant_search.web.service import Service

from .shared import PROBLEMS, REQUEST_ID_PARAMETER, answer

__all__ = ["add_search_routes"]


def add_search_routes(router: APIRouter, service: Service) -> None:
    """Add them, for those who may search."""
    Searcher = Annotated[Access, service.allowed("search")]  # noqa: N806 - a type

    def files(client: AsyncSearchClient, query: SingleQuery | FeaturesQuery) -> AbstractAsyncContextManager[None]:
        """A part of a picture of the collection is cut from its file; for the rest no file is opened."""
        return nullcontext() if query.region is None and query.mask is None else service.files(client)

    async def uploaded(query: SingleQuery | FeaturesQuery | FusedQuery, pictures: Sequence[bytes]) -> Sequence[bytes]:
        """The pictures that were sent, or the one at the URL, which stands for one that was sent."""
        if query.url is None:
            return pictures
        if pictures:
            raise InvalidInput("url and an uploaded picture: look for one of the two")
        return [await service.fetch(query.url)]

    def form(model: type, *, several: bool = False) -> dict[str, Any]:
        content = {"multipart/form-data": {"schema": form_schema(model, several=several)}}
        return {"requestBody": {"required": True, "content": content}, "parameters": [REQUEST_ID_PARAMETER]}

    @router.post(
        "/search",
        operation_id="search",
        summary="Find the pictures that look like one",
        response_model=SearchAnswer,
        responses=PROBLEMS,
        openapi_extra=form(SearchQuery),
    )
    @form_of(SearchQuery)
    async def search(access: Searcher, query: SearchQuery, request: Request) -> Response:
        client = await service.client(query.collection)
        collection, pictures = query.collection, request.state.pictures

        async def look(query: SingleQuery, pictures: Sequence[bytes]) -> dict[str, Any]:
            pictures = await uploaded(query, pictures)
            async with files(client, query):
                return await asking.by_look(client, query, pictures, collection, access, service.settings)

        if query.queries is None:
            return answer(await look(query, pictures))
        beside = sorted(query.given - {"queries", "collection"})
        if beside or pictures:
            raise InvalidInput(f"queries and {', '.join(beside) or 'a picture'}: give each query its own options")
        check_together(query.queries, service.settings)

        async def one(single: SingleQuery) -> dict[str, Any]:
            try:
                return await look(single, ())
            except SemblantError as error:
                return problems.of_error(error).model_dump(exclude_none=True)

        return answer({"hits": [], "answers": await asyncio.gather(*map(one, query.queries))})

    @router.post(
        "/search/features",
        operation_id="search_features",
        summary="Find the pictures that contain what one shows, with the proof",
        response_model=ProvenAnswer,
        responses=PROBLEMS,
        openapi_extra=form(FeaturesQuery),
    )
    @form_of(FeaturesQuery)
    async def search_features(access: Searcher, query: FeaturesQuery, request: Request) -> Response:
        client = await service.client(query.collection)
        pictures = await uploaded(query, request.state.pictures)
        async with files(client, query):
            return answer(await asking.by_details(client, query, pictures, access, service.settings))

    @router.post(
        "/search/fused",
        operation_id="search_fused",
        summary="Find the pictures that look like one or share details with it",
        response_model=ProvenAnswer,
        responses=PROBLEMS,
        openapi_extra=form(FusedQuery),
    )
    @form_of(FusedQuery)
    async def search_fused(access: Searcher, query: FusedQuery, request: Request) -> Response:
        client = await service.client(query.collection)
        pictures = await uploaded(query, request.state.pictures)
        return answer(await asking.fused(client, query, pictures, access, service.settings))

    @router.post(
        "/embed",
        operation_id="embed",
        summary="Embeddings of pictures by the collection's encoder",
        response_model=Embeddings,
        responses=PROBLEMS,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"multipart/form-data": {"schema": form_schema(EmbedForm, several=True)}},
            }
        },
    )
    @form_of(EmbedForm, only=True)
    async def embed(access: Searcher, request: Request) -> Response:  # noqa: ARG001
        client = await service.client(request.state.form.collection)
        if not request.state.pictures:
            raise InvalidInput("no picture: expected one or more files in the field 'picture'")
        rows = await client.embed(request.state.pictures)
        return answer({"embeddings": rows.tolist()})
