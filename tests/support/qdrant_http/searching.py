"""Nearest neighbours as a server with a graph and quantized vectors finds them: nearly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qdrant_client import QdrantClient, models

if TYPE_CHECKING:
    from .collection import Collection

ENOUGH = 200
"""The size of the candidate list from which the graph of `--graph` misses nothing."""


def nearest(client: QdrantClient, name: str, request: models.QueryRequest, **changes: Any) -> Any:
    """The answer of local mode, which knows neither graph nor quantization."""
    options: dict[str, Any] = {
        "query": request.query,
        "using": request.using,
        "query_filter": request.filter,
        "limit": 10 if request.limit is None else request.limit,
        "offset": request.offset,
        "with_payload": request.with_payload,
        "with_vectors": request.with_vector or False,
        "score_threshold": request.score_threshold,
    }
    if isinstance(request.query, models.NearestQuery) and request.query.mmr is not None:
        # A server chooses as many as the limit says, and then skips some of these.
        answer = client.query_points(name, **{**options, **changes, "offset": 0})
        return answer.model_copy(update={"points": answer.points[request.offset or 0 :]})
    return client.query_points(name, **{**options, **changes})


def nearly(client: QdrantClient, name: str, collection: Collection, request: models.QueryRequest) -> Any:
    """The best hit is missed, unless the search is exact or its candidate list is long; quantized vectors keep only signs."""
    params = request.params or models.SearchParams()
    using = request.using or ""
    query = request.query.nearest if isinstance(request.query, models.NearestQuery) else request.query
    if not isinstance(query, list) or isinstance(query[0], list):
        return nearest(client, name, request)  # words and cells have neither
    skipped, limit = request.offset or 0, 10 if request.limit is None else request.limit
    everything = max(1, client.count(name).count)
    answer = nearest(client, name, request, limit=everything, offset=0, with_vectors=[using], score_threshold=None)
    points = answer.points
    if not params.exact and (params.hnsw_ef or 0) < ENOUGH:
        points = points[1:]
    vectors = collection.request.vectors
    quantized = isinstance(vectors, dict) and vectors[using].quantization_config is not None
    asked = params.quantization or models.QuantizationSearchParams()
    if quantized and not asked.ignore:
        signs = np.sign(np.asarray(query, np.float32))
        rough = {point.id: float(np.sign(np.asarray(point.vector[using])) @ signs) / len(signs) for point in points}
        points.sort(key=lambda point: -rough[point.id])
        points = points[: round((skipped + limit) * (asked.oversampling or 1.0))]
        if asked.rescore is False:
            points = [point.model_copy(update={"score": rough[point.id]}) for point in points]
        else:
            points.sort(key=lambda point: -point.score)
    if request.score_threshold is not None:
        points = [point for point in points if point.score >= request.score_threshold]
    points = [point.model_copy(update={"vector": None}) for point in points]
    return answer.model_copy(update={"points": points[skipped : skipped + limit]})
