"""A gRPC door of a stand-in server: the calls that a claim makes, passed on to its REST interface."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import grpc  # type: ignore[import-untyped]
from qdrant_client import grpc as messages
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc, payload_to_grpc

from .servers import client_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qdrant_client import QdrantClient


_DONE = messages.PointsOperationResponse(result=messages.UpdateResult(status=messages.UpdateStatus.Completed))


@contextmanager
def bridge(url: str) -> Iterator[str]:
    """The grpc:// URL of a server that is at another URL."""
    with closing(client_of(url)) as client:
        server = grpc.server(ThreadPoolExecutor(2), handlers=[_Bridge(client)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"grpc://127.0.0.1:{port}"
        server.stop(None).wait()


class _Bridge(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, client: QdrantClient) -> None:
        self.client = client
        self.calls: dict[str, tuple[Any, Callable[[Any], Any]]] = {
            "/qdrant.Collections/CollectionExists": (messages.CollectionExistsRequest, self.exists),
            "/qdrant.Collections/Create": (messages.CreateCollection, self.create),
            "/qdrant.Points/Upsert": (messages.UpsertPoints, self.upsert),
            "/qdrant.Points/Get": (messages.GetPoints, self.points),
        }

    def service(self, details: Any) -> Any:
        kind, answer = self.calls[details.method]
        return grpc.unary_unary_rpc_method_handler(
            lambda request, _: answer(request),
            request_deserializer=kind.FromString,
            response_serializer=lambda response: response.SerializeToString(),
        )

    def exists(self, request: Any) -> Any:
        found = self.client.collection_exists(request.collection_name)
        return messages.CollectionExistsResponse(result=messages.CollectionExists(exists=found))

    def create(self, request: Any) -> Any:
        return messages.CollectionOperationResponse(result=self.client.create_collection(request.collection_name, {}))

    def upsert(self, request: Any) -> Any:
        points = [GrpcToRest.convert_point_struct(point) for point in request.points]
        condition = GrpcToRest.convert_filter(request.update_filter)
        self.client.upsert(request.collection_name, points, update_filter=condition, wait=request.wait)
        return _DONE

    def points(self, request: Any) -> Any:
        ids = [GrpcToRest.convert_point_id(id) for id in request.ids]
        found = self.client.retrieve(request.collection_name, ids)
        return messages.GetResponse(
            result=[
                messages.RetrievedPoint(
                    id=RestToGrpc.convert_extended_point_id(one.id), payload=payload_to_grpc(one.payload or {})
                )
                for one in found
            ]
        )
