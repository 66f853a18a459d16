"""Routes of the REST interface onto a local client; one request at a time."""

from __future__ import annotations

import json
import threading
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from qdrant_client import QdrantClient, models

from .collection import Collection, cluster
from .faults import Refused, not_found
from .searching import nearest, nearly
from .strict import check_batch, check_exact, check_filter, check_indexes, check_limit, check_params, check_rate

if TYPE_CHECKING:
    import argparse


class Routes:
    """All collections of a server."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.client = QdrantClient(":memory:")
        self.collections: dict[str, Collection] = {}
        self.lock = threading.Lock()
        self.silent: list[int] = []

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        """The `result` of a request. Raises `Refused`, KeyError where there is no such route, ValueError as local mode does."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        with self.lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if parts == [""]:
                return {"title": "qdrant", "version": self.options.version or "1.20.0"}
            if parts == ["cluster"]:
                return cluster(self.silent)
            if parts == ["collections"]:
                return self.client.get_collections()
            if parts == ["aliases"]:
                return self.client.get_aliases()
            if parts == ["collections", "aliases"]:
                return self.change_aliases(models.ChangeAliasesOperation(**body).actions)
            name, route = parts[1], "/".join(parts[2:])
            if route == "exists":
                return {"exists": self.real_name(name) in self.collections}
            if not route and method in ("PUT", "DELETE"):
                return self.create(name, body) if method == "PUT" else self.delete(name)
            name = self.real_name(name)
            if name not in self.collections or self.collections[name].unknown():
                raise not_found(name)
            if route == "cluster":
                return self.collections[name].shards(self.silent)
            if self.silent and route:
                raise Refused(500, "Service internal error: The replica set for shard 0 does not have enough active replicas")
            if not route:
                return self.configuration(method, name, body)
            if change := self.change(method, name, route, body):
                done = self.collections[name].write(change, wait=query.get("wait") == "true")
                return [done] * len(body["operations"]) if route == "points/batch" else done
            found = self.read(method, name, route, body)
            self.collections[name].catch_up()  # from now on, what nobody waited for is there
            return found

    def restart(self) -> None:
        with self.lock:
            for collection in self.collections.values():
                collection.restart()

    def outage(self, silent: list[int]) -> None:
        with self.lock:
            self.silent = silent

    def fail(self, collection: str, why: str) -> None:
        with self.lock:
            self.collections[collection].fail(why)

    def damage(self, collection: str, id: str, payload: dict[str, Any] | None = None) -> None:
        with self.lock:
            if payload is None:
                self.client.delete(collection, [id])
            else:
                self.client.set_payload(collection, payload, [id])

    def real_name(self, name: str) -> str:
        aliases = {alias.alias_name: alias.collection_name for alias in self.client.get_aliases().aliases}
        return aliases.get(name, name)

    def change_aliases(self, actions: list[Any]) -> Any:
        for action in actions:
            if isinstance(action, models.CreateAliasOperation) and action.create_alias.alias_name in self.collections:
                raise Refused(409, f"Wrong input: Collection `{action.create_alias.alias_name}` already exists!")
        return self.client.update_collection_aliases(actions)

    def create(self, name: str, body: Any) -> bool:
        request = models.CreateCollection(**body)
        if name in self.collections:
            raise Refused(409, f"Wrong input: Collection `{name}` already exists!")
        self.client.create_collection(
            name, vectors_config=request.vectors or {}, sparse_vectors_config=request.sparse_vectors, metadata=request.metadata
        )
        strict: dict[str, Any] = {"enabled": True, "unindexed_filtering_retrieve": False, "unindexed_filtering_update": False}
        strict |= json.loads(self.options.strict_mode)
        settings = strict if self.options.strict else None
        made = Collection(request, self.options.yellow, settings, late=self.options.late, lag=self.options.lag)
        self.collections[name] = made
        return True

    def delete(self, name: str) -> bool:
        self.client.delete_collection(name)
        return self.collections.pop(name, None) is not None

    def configuration(self, method: str, name: str, body: Any) -> Any:
        collection = self.collections[name]
        if method == "PATCH":
            collection.metadata |= body.get("metadata") or {}
            if "optimizers_config" in body:
                collection.trigger()
            return True
        return collection.info(self.client.count(name).count)

    def change(self, method: str, name: str, route: str, body: Any) -> Any:
        """What a writing request does, or None for one that reads."""
        client, collection = self.client, self.collections[name]
        if (method, route) == ("PUT", "index"):
            schema = body["field_schema"]
            params = schema if isinstance(schema, dict) else {"type": schema}
            check_indexes(collection)
            return lambda: collection.indexes.__setitem__(body["field_name"], params)
        if method == "DELETE" and route.startswith("index/"):
            return lambda: collection.indexes.pop(route.removeprefix("index/"), None)
        if (method, route) == ("PUT", "points"):
            wanted = models.PointsList(**body)
            check_batch(collection, len(wanted.points), "upsert_max_batchsize", "upsert limit")
            check_rate(collection, len(wanted.points))
            return lambda: client.upsert(name, wanted.points, update_filter=wanted.update_filter)
        if route == "points/delete":
            check_filter(collection, body.get("filter"), "unindexed_filtering_update")
            selector = models.FilterSelector(**body) if "filter" in body else models.PointIdsList(**body)
            return lambda: client.delete(name, selector)
        if route == "points/batch":
            operations = [models.OverwritePayloadOperation(**operation) for operation in body["operations"]]
            return lambda: client.batch_update_points(name, operations)
        return None

    def read(self, method: str, name: str, route: str, body: Any) -> Any:
        client, collection = self.client, self.collections[name]
        if (method, route) == ("POST", "points"):
            request = models.PointRequest(**body)
            payload = True if request.with_payload is None else request.with_payload
            return client.retrieve(name, request.ids, payload, request.with_vector or False)
        if route == "points/query/batch":
            check_batch(collection, len(body["searches"]), "search_max_batchsize", "search batch size")
            return [self.query(name, search) for search in body["searches"]]
        if route == "points/query":
            return self.query(name, body)
        check_filter(collection, body.get("filter"), "unindexed_filtering_retrieve")
        check_limit(collection, body.get("limit"))
        if route == "points/scroll":
            scroll = models.ScrollRequest(**body)
            self.check_order(name, scroll.order_by)
            payload = True if scroll.with_payload is None else scroll.with_payload
            points, offset = client.scroll(
                name, scroll.filter, scroll.limit or 10, scroll.order_by, scroll.offset, payload, scroll.with_vector or False
            )
            return {"points": points, "next_page_offset": offset}
        if route == "points/count":
            count = models.CountRequest(**body)
            check_exact(collection, exact=count.exact in (None, True))
            found = collection.behind(client.count(name, count.filter).count)
            return {"count": found if count.exact in (None, True) else found + 1}
        if route == "facet":
            check_exact(collection, exact=body.get("exact"))
            return self.facet(name, models.FacetRequest(**body))
        raise KeyError(f"{method} {route}")

    def query(self, name: str, body: Any) -> Any:
        collection = self.collections[name]
        check_filter(collection, body.get("filter"), "unindexed_filtering_retrieve")
        check_limit(collection, body.get("limit"))
        check_params(collection, body.get("params"))
        request = models.QueryRequest(**body)
        return nearly(self.client, name, collection, request) if self.options.graph else nearest(self.client, name, request)

    def check_order(self, name: str, order_by: Any) -> None:
        """Refuse an order by a field without an index that knows an order, whatever strict mode says."""
        key = getattr(order_by, "key", order_by)
        if key is not None and self.collections[name].indexes.get(key, {}).get("type") not in ("integer", "float", "datetime"):
            raise Refused(400, f"Bad request: No range index for `order_by` key: `{key}`. Please create one to use `order_by`.")

    def facet(self, name: str, request: models.FacetRequest) -> Any:
        if self.collections[name].indexes.get(request.key, {}).get("type") not in ("keyword", "integer", "bool", "uuid"):
            raise Refused(400, f"Bad request: No appropriate index for faceting: `{request.key}`.")
        answer = self.spread_facet(name, request, self.collections[name].request.shard_number or 1)
        if request.exact:
            return answer
        return models.FacetResponse(hits=[models.FacetValueHit(value=hit.value, count=hit.count + 1) for hit in answer.hits])

    def spread_facet(self, name: str, request: models.FacetRequest, shards: int) -> models.FacetResponse:
        """Each shard tells its own most frequent values, and what they tell is added up."""
        ids = [point.id for point in self.client.scroll(name, limit=2**31, with_payload=False)[0]]
        found: dict[Any, int] = {}
        for shard in range(shards):
            own: list[Any] = [models.HasIdCondition(has_id=ids[shard::shards])]
            condition = models.Filter(must=own if request.filter is None else [request.filter, *own])
            for hit in self.client.facet(name, request.key, condition, request.limit or 10).hits:
                found[hit.value] = found.get(hit.value, 0) + hit.count
        hits = [models.FacetValueHit(value=value, count=count) for value, count in found.items()]
        return models.FacetResponse(hits=sorted(hits, key=lambda hit: (-hit.count, hit.value))[: request.limit or 10])
