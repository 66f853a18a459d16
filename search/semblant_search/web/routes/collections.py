"""What a collection holds: its fields and their values, how many pictures match, where they come from, and its duplicates."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from semblant_search.collection import Manifest
from semblant_search.duplicates import DuplicateGroup
from semblant_search.web import files
from semblant_search.web.access import Access
from semblant_search.web.long_answers import Working
from semblant_search.web.models import (
    CollectionFacts,
    Collections,
    ComparingFiles,
    Count,
    CountQuery,
    Duplicates,
    DuplicatesQuery,
    FacetQuery,
    Facets,
    Released,
    Relocated,
    RelocateSourceQuery,
    RemoveSourceQuery,
    RenameSourceQuery,
    Source,
    Sources,
)
from semblant_search.web.problems import ServiceError
from semblant_search.web.service import Service

from .shared import PROBLEMS, answer

__all__ = ["add_collection_routes"]

Where = Annotated[str | None, Query(description='A filter, such as `label == "Sneaker" and price < 100`.')]


def add_collection_routes(router: APIRouter, service: Service) -> None:
    """Add them."""
    usual = service.usual_collection
    Name = Annotated[str, Query(description="The collection's name.")]  # noqa: N806 - a type
    Searcher = Annotated[Access, service.allowed("search")]  # noqa: N806
    Admin = Annotated[Access, service.allowed("admin")]  # noqa: N806

    @router.get(
        "/collections",
        operation_id="list_collections",
        summary="The collections of the database",
        response_model=Collections,
        responses=PROBLEMS,
    )
    async def list_collections(access: Searcher) -> Response:  # noqa: ARG001
        names = await service.collections()
        return answer({"collections": [_facts(await (await service.client(name)).manifest()) for name in names]})

    @router.get(
        "/collections/{name}",
        operation_id="get_collection",
        summary="What a collection knows about itself",
        response_model=CollectionFacts,
        responses=PROBLEMS,
    )
    async def get_collection(access: Searcher, name: str) -> Response:  # noqa: ARG001
        return answer(_facts(await (await service.client(name)).manifest()))

    @router.get(
        "/count",
        operation_id="count",
        summary="How many pictures match a filter",
        response_model=Count,
        responses=PROBLEMS,
    )
    async def count(access: Searcher, where: Where = None, collection: Name = usual) -> Response:
        client = await service.client(collection)
        return answer({"count": await client.count(access.filter(where, service.settings.max_filter))})

    @router.post(
        "/count",
        operation_id="count_long",
        summary="How many pictures match a filter that is too long for an address",
        response_model=Count,
        responses=PROBLEMS,
    )
    async def count_long(access: Searcher, query: CountQuery) -> Response:
        return await count(access, query.where, query.collection)

    @router.get(
        "/facets",
        operation_id="facet",
        summary="The values of a field with their counts",
        response_model=Facets,
        responses=PROBLEMS,
    )
    async def facet(
        access: Searcher,
        field: Annotated[str, Query(description="The field's name.")],
        where: Where = None,
        limit: Annotated[int, Query(ge=1, le=10_000, description="Values at most.")] = 100,
        collection: Name = usual,
    ) -> Response:
        client = await service.client(collection)
        counts = await client.facet(field, where=access.filter(where, service.settings.max_filter), limit=limit)
        return answer({"field": field, "values": [{"value": value, "count": count} for value, count in counts.items()]})

    @router.post(
        "/facets",
        operation_id="facet_long",
        summary="The values of a field under a filter that is too long for an address",
        response_model=Facets,
        responses=PROBLEMS,
    )
    async def facet_long(access: Searcher, query: FacetQuery) -> Response:
        return await facet(access, query.field, query.where, query.limit, query.collection)

    @router.post(
        "/duplicates",
        operation_id="duplicates",
        summary="Groups of files that are one and the same picture",
        response_model=Duplicates,
        responses={**PROBLEMS, 202: {"model": ComparingFiles, "description": "Not done yet: ask again with the ticket."}},
    )
    async def duplicates(access: Searcher, query: DuplicatesQuery) -> Response:
        client = await service.client(query.collection)
        where = access.filter(query.where, service.settings.max_filter)

        async def compare(on_progress: Callable[[int], None]) -> list[DuplicateGroup]:
            return await client.duplicates(
                where=where, min_score=query.min_score, min_confidence=query.min_confidence, on_progress=on_progress
            )

        question = (query.collection, where, query.min_score, query.min_confidence)
        async with service.files(client):
            found = await service.long_answers.ask(
                question, compare, query.ticket, min(query.wait, service.settings.timeout / 2)
            )
        if isinstance(found, Working):
            told = {"ticket": found.ticket, "pictures_read": found.done, "seconds": round(found.seconds, 3)}
            return answer(told, 202)
        return answer({"groups": [group.to_json() for group in found]})

    @router.get(
        "/sources",
        operation_id="list_sources",
        summary="Where the pictures of a collection come from",
        response_model=Sources,
        responses=PROBLEMS,
    )
    async def list_sources(access: Searcher, collection: Name = usual) -> Response:
        if access.where is not None:
            raise ServiceError("scope-missing", "this key is for some pictures only, and sources are of all")
        client = await service.client(collection)
        return answer({"sources": [source.to_json() for source in await client.sources()]})

    @router.post(
        "/sources/remove",
        operation_id="remove_source",
        summary="Forget a source and its pictures; those of another source, too, stay",
        response_model=Released,
        responses=PROBLEMS,
    )
    async def remove_source(access: Admin, query: RemoveSourceQuery) -> Response:  # noqa: ARG001
        client = await service.client(query.collection)
        return answer((await client.remove_source(query.name))._asdict())

    @router.post(
        "/sources/rename",
        operation_id="rename_source",
        summary="Call a source otherwise",
        response_model=Source,
        responses=PROBLEMS,
    )
    async def rename_source(access: Admin, query: RenameSourceQuery) -> Response:  # noqa: ARG001
        client = await service.client(query.collection)
        return answer((await client.rename_source(query.name, query.new_name)).to_json())

    @router.post(
        "/sources/relocate",
        operation_id="relocate_source",
        summary="Follow a source whose files moved",
        response_model=Relocated,
        responses=PROBLEMS,
    )
    async def relocate_source(access: Admin, query: RelocateSourceQuery) -> Response:  # noqa: ARG001
        client = await service.client(query.collection)
        files.check_folder(query.root, service.settings.roots)
        return answer(
            (await client.relocate_source(query.name, query.root, check=query.check, dry_run=query.dry_run)).to_json()
        )


def _facts(manifest: Manifest) -> dict[str, object]:
    return {
        "name": manifest.collection,
        "generation": manifest.generation,
        "encoder": manifest.encoder.name,
        "dim": manifest.dim,
        "details": manifest.orb is not None,
        "regions": manifest.encoder.cells is not None,
        "fields": {name: kind.value for name, kind in manifest.fields.items()},
        "created_at": manifest.created_at,
        "manifest": manifest.to_json(),
    }
