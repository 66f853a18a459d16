"""The routes of clusters: what they are, and what people change about them."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from semblant_search.async_client import AsyncSearchClient
from semblant_search.collection import point_id
from semblant_search.errors import NotIndexed
from semblant_search.web.access import Access
from semblant_search.web.asking import picture_json
from semblant_search.web.problems import ServiceError
from semblant_search.web.routes.shared import PROBLEMS, answer
from semblant_search.web.service import Service
from starlette.responses import Response

from semblant_indexer.analysis.cluster_edits import merge_clusters, rename_cluster, split_cluster
from semblant_indexer.analysis.runs import AnalysisRun, read_run

from .keeper import Maps
from .models import ClusterChange, Clusters, MergeQuery, SplitQuery

__all__ = ["add_cluster_routes"]

_NONE = -1
_Number = Annotated[int, Path(ge=0, description="The cluster, as `_cluster` says.")]


def add_cluster_routes(router: APIRouter, service: Service, maps: Maps) -> None:
    """Add them: reading for those who may search, changes for those who may write."""
    usual = service.usual_collection
    Name = Annotated[str, Query(description="The collection's name.")]  # noqa: N806 - a type
    Searcher = Annotated[Access, service.allowed("search")]  # noqa: N806
    Writer = Annotated[Access, service.allowed("write")]  # noqa: N806

    @router.get(
        "/clusters",
        operation_id="list_clusters",
        summary="The clusters of a collection",
        response_model=Clusters,
        responses=PROBLEMS,
    )
    async def list_clusters(access: Searcher, collection: Name = usual) -> Response:
        _check_all(access)
        run = await asyncio.to_thread(maps.with_store, collection, lambda store: read_run(store, "clusters"))
        if run is None:
            raise NotIndexed(f"collection {collection!r} has no clusters: make them (semblant cluster)")
        return answer(await _told(await service.client(collection), run))

    async def changed(collection: str, change: Callable[[], AnalysisRun]) -> Response:
        run = await asyncio.to_thread(change)
        return answer(await _told(await service.client(collection), run))

    @router.patch(
        "/clusters/{cluster}",
        operation_id="rename_cluster",
        summary="Name a cluster",
        response_model=Clusters,
        responses=PROBLEMS,
    )
    async def rename(access: Writer, cluster: _Number, query: ClusterChange) -> Response:
        _check_all(access)
        name = None if query.name is None else query.name.strip()
        return await changed(query.collection, lambda: rename_cluster(maps.database, query.collection, cluster, name))

    @router.post(
        "/clusters/merge",
        operation_id="merge_clusters",
        summary="Make several clusters one",
        response_model=Clusters,
        responses=PROBLEMS,
    )
    async def merge(access: Writer, query: MergeQuery) -> Response:
        _check_all(access)
        return await changed(query.collection, lambda: merge_clusters(maps.database, query.collection, query.clusters))

    @router.post(
        "/clusters/split",
        operation_id="split_cluster",
        summary="Make one cluster several",
        response_model=Clusters,
        responses=PROBLEMS,
    )
    async def split(access: Writer, query: SplitQuery) -> Response:
        _check_all(access)
        return await changed(
            query.collection, lambda: split_cluster(maps.database, query.collection, query.cluster, query.into)
        )


def _check_all(access: Access) -> None:
    if access.where is not None:
        raise ServiceError("scope-missing", "this key is for some pictures only, and clusters are of all")


async def _told(client: AsyncSearchClient, run: AnalysisRun) -> dict[str, Any]:
    """The JSON values of `Clusters`. What was deleted or came since they were made, is counted."""
    clusters = run.results["clusters"]
    counts = await client.facet("_cluster", limit=10_000)
    uris = [uri for one in clusters for uri in one["representatives"]]
    found = dict(zip(uris, await _pictures(client, uris), strict=True))
    told = []
    for one in clusters:
        shown = [found[uri] for uri in one["representatives"]]
        told.append(
            {
                "cluster": one["cluster"],
                "name": one["name"],
                "named_by": None if one["name"] is None else "person" if one.get("own") else "field",
                "pictures": counts.get(one["cluster"], 0),
                "values": one.get("values", []),
                "representatives": [picture for picture in shown if picture is not None],
            }
        )
    silhouette = run.results.get("silhouette")
    return {
        "version": run.version,
        "made_at": run.made_at,
        "silhouette": silhouette,
        "clusters": told,
        "in_none": counts.get(_NONE, 0),
    }


async def _pictures(client: AsyncSearchClient, uris: Sequence[str]) -> list[dict[str, Any] | None]:
    found = await client.get_many([point_id(uri) for uri in uris])
    return [None if picture is None else picture_json(picture) for picture in found]
