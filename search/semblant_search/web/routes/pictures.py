"""The pictures of a collection: listed, got, added, updated, deleted; their thumbnails and files."""

import asyncio
import json
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from semblant_search.async_client import AsyncSearchClient
from semblant_search.collection import check_new_uri
from semblant_search.errors import InvalidInput, MetadataError, SemblantError
from semblant_search.frame_names import split_bytes
from semblant_search.images.small import thumbnail_side
from semblant_search.results import Picture as FoundPicture
from semblant_search.web import files, problems, thumbnails
from semblant_search.web.access import Access, named, named_or_none
from semblant_search.web.answer_limits import check_names, limit_of
from semblant_search.web.asking import picture_json
from semblant_search.web.forms import PICTURE, form_schema
from semblant_search.web.models import (
    AddAnswer,
    AddForm,
    Changed,
    DeleteQuery,
    GetQuery,
    ListQuery,
    Picture,
    PicturePage,
    Pictures,
    UpdateQuery,
)
from semblant_search.web.problems import ServiceError
from semblant_search.web.routing import form_of
from semblant_search.web.service import Service

from .shared import PROBLEMS, answer

__all__ = ["add_picture_routes"]

Where = Annotated[str | None, Query(description='A filter, such as `label == "Sneaker" and price < 100`.')]
_FORMATS = {"JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF", "TIFF"}
"""That are given out under their own media type; a file that a browser might take for something else is not."""
_DAY = 86_400


def add_picture_routes(router: APIRouter, service: Service) -> None:
    """Add them: reading for those who may search, changes for those who may write."""
    usual = service.usual_collection
    settings = service.settings
    Name = Annotated[str, Query(description="The collection's name.")]  # noqa: N806 - a type
    Searcher = Annotated[Access, service.allowed("search")]  # noqa: N806
    Writer = Annotated[Access, service.allowed("write")]  # noqa: N806

    @router.get(
        "/pictures",
        operation_id="list_pictures",
        summary="The pictures of a collection, by page",
        response_model=PicturePage,
        responses=PROBLEMS,
    )
    async def list_pictures(
        access: Searcher,
        where: Where = None,
        limit: Annotated[int, Query(ge=1, description="Pictures at most.")] = min(100, settings.max_limit),
        order_by: Annotated[str | None, Query(description="A field; without it in the order of ids.")] = None,
        descending: Annotated[bool, Query(description="With order_by: the highest value first.")] = False,
        cursor: Annotated[str | None, Query(description="Of the page before.")] = None,
        with_vectors: Annotated[bool, Query(description="With their embeddings.")] = False,
        fields: Annotated[list[str] | None, Query(description="Metadata and facts to return; all without it.")] = None,
        collection: Name = usual,
    ) -> Response:
        query = ListQuery(
            collection=collection,
            where=where,
            limit=limit,
            order_by=order_by,
            descending=descending,
            cursor=cursor,
            with_vectors=with_vectors,
            fields=fields,
        )
        return await list_long(access, query)

    @router.post(
        "/pictures/list",
        operation_id="list_pictures_long",
        summary="The pictures of a collection under a filter that is too long for an address",
        response_model=PicturePage,
        responses=PROBLEMS,
    )
    async def list_long(access: Searcher, query: ListQuery) -> Response:
        limit = limit_of(query, settings)
        client = await service.client(query.collection)
        page = await client.scroll(
            limit,
            where=access.filter(query.where, settings.max_filter),
            order_by=query.order_by,
            descending=query.descending,
            cursor=query.cursor,
            with_vectors=query.with_vectors,
        )
        told: dict[str, Any] = {"pictures": [picture_json(picture, query.fields) for picture in page.pictures]}
        return answer(told if page.cursor is None else {**told, "cursor": page.cursor})

    @router.post(
        "/pictures/get",
        operation_id="get_pictures",
        summary="Pictures of the collection by name; null for those that are not there",
        response_model=Pictures,
        responses=PROBLEMS,
    )
    async def get_pictures(access: Searcher, query: GetQuery) -> Response:
        check_names(query, settings)
        client = await service.client(query.collection)
        found = await named_or_none(client, query.pictures, access, with_vectors=query.with_vectors)
        return answer({"pictures": [None if picture is None else picture_json(picture) for picture in found]})

    @router.post(
        "/pictures",
        operation_id="add_pictures",
        summary="Add pictures; one of the same name is replaced",
        response_model=AddAnswer,
        responses=PROBLEMS,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"multipart/form-data": {"schema": form_schema(AddForm, several=True)}},
            }
        },
    )
    @form_of(AddForm, only=True)
    async def add_pictures(access: Writer, request: Request) -> Response:  # noqa: ARG001
        form: AddForm = request.state.form
        pictures: list[bytes] = request.state.pictures
        if not pictures:
            raise ServiceError("invalid-request", f"no picture: expected one or more files in the field {PICTURE!r}")
        names: list[str | None] = [*form.uri] if form.uri else [None] * len(pictures)
        metadata = _metadata(form.metadata, len(pictures))
        if len(names) != len(pictures):
            raise InvalidInput(f"{len(names)} uri for {len(pictures)} pictures: expected one for each, or none")
        for name in names:
            _check_new_uri(name)
        client = await service.client(form.collection)
        items = list(zip(pictures, metadata, names, strict=True))
        added = await client.add_many(items, on_error="return")
        told = [
            problems.of_error(one).model_dump(exclude_none=True) if isinstance(one, SemblantError) else picture_json(one)
            for one in added
        ]
        for picture, data in zip(added, pictures, strict=True):
            if not isinstance(picture, SemblantError):
                await _prepared(service, picture, data)
        return answer({"pictures": told, "added": sum("uri" in one for one in told)})

    @router.patch(
        "/pictures",
        operation_id="update_pictures",
        summary="Change the metadata of pictures",
        response_model=Changed,
        responses=PROBLEMS,
    )
    async def update_pictures(access: Writer, query: UpdateQuery) -> Response:
        client = await service.client(query.collection)
        chosen = await _chosen(client, query.pictures, query.where, access, settings.max_filter)
        return answer({"count": await client.update_metadata(metadata=query.metadata, replace=query.replace, **chosen)})

    @router.post(
        "/pictures/delete",
        operation_id="delete_pictures",
        summary="Remove pictures from the collection; files stay",
        response_model=Changed,
        responses=PROBLEMS,
    )
    async def delete_pictures(access: Writer, query: DeleteQuery) -> Response:
        client = await service.client(query.collection)
        return answer(
            {"count": await client.delete(**await _chosen(client, query.pictures, query.where, access, settings.max_filter))}
        )

    @router.get(
        "/pictures/{id}",
        operation_id="get_picture",
        summary="One picture of the collection",
        response_model=Picture,
        responses=PROBLEMS,
    )
    async def get_picture(
        access: Searcher,
        id: str,
        with_vectors: Annotated[bool, Query(description="With its embedding.")] = False,
        collection: Name = usual,
    ) -> Response:
        client = await service.client(collection)
        (picture,) = await named(client, [id], access)
        return answer(picture_json(await client.get(picture.id, with_vectors=True) if with_vectors else picture))

    @router.delete(
        "/pictures/{id}",
        operation_id="delete_picture",
        summary="Remove a picture from the collection; its file stays",
        response_model=Changed,
        responses=PROBLEMS,
    )
    async def delete_picture(access: Writer, id: str, collection: Name = usual) -> Response:
        client = await service.client(collection)
        (picture,) = await named(client, [id], access)
        return answer({"count": await client.delete([picture.id])})

    @router.get(
        "/pictures/{id}/thumbnail",
        operation_id="get_thumbnail",
        summary="A small WebP of a picture",
        response_class=Response,
        responses={
            **PROBLEMS,
            **problems.statuses(410),
            200: {"description": "The thumbnail.", "content": {thumbnails.MEDIA_TYPE: {"schema": _BINARY}}},
            304: {"description": "As it was."},
        },
    )
    async def get_thumbnail(
        access: Searcher,
        id: str,
        request: Request,
        size: Annotated[int, Query(ge=1, le=1024, description="Least pixels of the longer side: 64, 128, … 1024.")] = 256,
        v: Annotated[str | None, Query(description="The beginning of `_sha256`: then it may be kept for ever.")] = None,
        collection: Name = usual,
    ) -> Response:
        client = await service.client(collection)
        (picture,) = await named(client, [id], access)
        if not files.was_only_sent(picture):  # of others a kept one is no way round
            place = files.place_of(picture, await service.roots(client))
            await asyncio.to_thread(files.check_there, picture, place)
        content, side = str(picture.facts["_sha256"]), thumbnail_side(size)
        for_ever = v is not None and len(v) >= 16 and content.startswith(v)
        headers = {
            "ETag": f'"{service.thumbnails.tag(content, side)}"',
            "Cache-Control": f"private, {f'max-age={365 * _DAY}, immutable' if for_ever else 'no-cache'}",
            "Vary": "Authorization",
        }
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        data = await asyncio.to_thread(service.thumbnails.find, content, side)
        if data is None:
            roots = await service.roots(client)
            data = await asyncio.to_thread(_made, service, picture, content, side, roots)
        return Response(data, headers=headers, media_type=thumbnails.MEDIA_TYPE)

    @router.get(
        "/pictures/{id}/original",
        operation_id="get_original",
        summary="The file of a picture, where the service gives out files",
        response_class=Response,
        responses={
            **PROBLEMS,
            **problems.statuses(410),
            200: {"description": "The file.", "content": {"image/*": {"schema": _BINARY}}},
        },
    )
    async def get_original(access: Searcher, id: str, collection: Name = usual) -> Response:
        if not settings.originals:
            raise ServiceError("not-offered", "this service gives out no files (`semblant serve --originals`)")
        client = await service.client(collection)
        (picture,) = await named(client, [id], access)
        place = files.place_of(picture, await service.roots(client))
        data = await asyncio.to_thread(files.read_picture, picture, place, settings.max_pixels)
        kind = str(picture.facts.get("_format", ""))
        headers = {
            "Cache-Control": "private, no-cache",
            "Content-Disposition": f"inline; filename*=UTF-8''{quote(place.name, safe='', errors='replace')}",
            "Content-Security-Policy": "sandbox; default-src 'none'",
        }
        media_type = f"image/{kind.lower()}" if kind in _FORMATS else "application/octet-stream"
        file, _ = split_bytes(data)  # of a frame or a page the file that it is in
        return Response(file, headers=headers, media_type=media_type)


_BINARY = {"type": "string", "format": "binary"}


async def _chosen(
    client: AsyncSearchClient, names: list[str] | None, where: str | None, access: Access, longest: int
) -> dict[str, Any]:
    """The pictures of a change: those of names that there are for the caller, or those of a filter within its own."""
    if (names is None) == (where is None):
        raise InvalidInput("expected either pictures or where, a filter")
    if names is not None:
        return {"pictures": [picture.id for picture in await named(client, names, access)] if names else []}
    return {"where": access.filter(where, longest)}


def _metadata(given: Any, count: int) -> list[Any]:
    """One mapping for each picture."""
    each = given if isinstance(given, list) else [given] * count
    if len(each) != count:
        raise MetadataError(f"{len(each)} metadata for {count} pictures: expected one object for each, or one for all")
    return each


def _check_new_uri(uri: str | None) -> None:
    """A name is no path of the service's machine, and one line."""
    if uri is None:
        return
    if "://" not in uri:
        raise InvalidInput(f"uri {json.dumps(uri)[:200]}: expected one such as shop://items/17")
    check_new_uri(uri)


async def _prepared(service: Service, picture: FoundPicture, data: bytes) -> None:
    """Keep thumbnails of a picture that was sent: its file is not at hand later."""
    content = str(picture.facts["_sha256"])
    for side in (256, 1024):
        await asyncio.to_thread(service.thumbnails.make, content, side, data)


def _made(service: Service, picture: FoundPicture, content: str, side: int, roots: Any) -> bytes:
    place = files.place_of(picture, roots)
    data = files.read_picture(picture, place, service.settings.max_pixels)
    return service.thumbnails.make(content, side, data)
