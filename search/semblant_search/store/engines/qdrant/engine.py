"""One generation on a Qdrant server or cluster."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from semblant_search.collection import CELLS_VECTOR, FEATURES_VECTOR, IMAGE_VECTOR, ORB_VECTOR, FieldType, Manifest
from semblant_search.errors import InvalidInput, StoreError
from semblant_search.store.engines.feature_numbers import to_numbers
from semblant_search.where.compiler import compile_where, json_path

from .translation import ASSETS, METADATA, Searches, dialect, index_params, record_of, scored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from semblant_search.store.engines.base import Paths, Search
    from semblant_search.store.records import Point, Record, ScoredRecord
    from semblant_search.where import Where

    from .connection import Connection

__all__ = ["QdrantEngine"]

_CHANGES = frozenset({"upsert", "batch_update_points", "delete", "create_payload_index", "update_collection"})
_PART = 4_000_000  # bytes of an asset in one point: servers accept requests of 32 MB, base64 adds a third
_REQUEST = 8_000_000  # estimated bytes of points in one request, unless one point alone takes more
_PAYLOAD = 24_000_000  # bytes of the largest payload: vectors and words have the rest of a server's 32 MB


class QdrantEngine:
    """One generation on a server; see `Engine`. Closing it leaves the connection to its database.

    Args:
        connection: to the server.
        collection: the server's name of it.
        manifest: as it is.
        check: called before each change; raises where it may not be made.
    """

    def __init__(
        self, connection: Connection, collection: str, manifest: Manifest, check: Callable[[], None] = lambda: None
    ) -> None:
        self._check = check
        self._connection = connection
        self._collection = collection
        self._on_disk = manifest.storage.on_disk
        self._dialect = dialect()
        self._searches = Searches(manifest.storage.quantize)

    @property
    def name(self) -> str:
        """The server, and its collection."""
        return f"{self._connection.location} {self._collection}"

    def filter(self, where: Where, fields: Mapping[str, FieldType]) -> Any:
        """A `models.Filter`."""
        return compile_where(where, self._dialect, fields)

    def search(self, searches: Sequence[Search]) -> list[list[ScoredRecord]]:
        """Hits of each, best first."""
        if len(searches) == 1:
            answers = [self._run("query_points", **self._searches.options(searches[0]))]
        else:
            answers = self._run("query_batch_points", requests=[self._searches.request(search) for search in searches])
        return [scored(answer.points, search.scale) for answer, search in zip(answers, searches, strict=True)]

    def retrieve(self, ids: Sequence[str], paths: Paths, vectors: Sequence[str]) -> list[Record]:
        """The records that exist."""
        found = self._run("retrieve", ids=list(ids), with_payload=paths, with_vectors=list(vectors) or False)
        return [record_of(point) for point in found]

    def scroll(
        self, filter: Any, paths: Paths, vectors: Sequence[str], limit: int, start: Any
    ) -> tuple[list[Record], Any | None]:
        """A page of records in the order of their ids."""
        vectors = list(vectors)
        points, start = self._run(
            "scroll", offset=start, limit=limit, scroll_filter=filter, with_payload=paths, with_vectors=vectors or False
        )
        return [record_of(point) for point in points], start

    def ordered(
        self, path: str, descending: bool, filter: Any, paths: Paths, vectors: Sequence[str], limit: int
    ) -> list[tuple[float, Record]]:
        """The first records in the order of a field."""
        from qdrant_client import models

        order = models.OrderBy(key=path, direction=models.Direction.DESC if descending else models.Direction.ASC)
        points, _ = self._run(
            "scroll",
            limit=limit,
            scroll_filter=filter,
            with_payload=paths,
            with_vectors=list(vectors) or False,
            order_by=order,
        )
        return [(point.order_value, record_of(point)) for point in points]

    def count(self, filter: Any) -> int:
        """How many records match, exactly."""
        return int(self._run("count", count_filter=filter, exact=True).count)

    def facet(self, path: str, filter: Any, limit: int) -> dict[Any, int]:
        """Exact counts."""
        answer = self._run("facet", key=path, facet_filter=filter, limit=limit, exact=True)
        return {hit.value: hit.count for hit in answer.hits}

    def payload_fits(self, payload: Mapping[str, Any]) -> bool:
        """Whether a server takes a request with it."""
        return _payload_size(payload) <= _PAYLOAD

    def upsert(self, points: Sequence[Point], images: list[list[float]]) -> None:
        """Write points, in as many requests as their size needs. Applied on the server on return."""
        from qdrant_client import models

        batch: list[models.PointStruct] = []
        size = 0
        for point, image in zip(points, images, strict=True):
            vectors: dict[str, Any] = {IMAGE_VECTOR: image}
            if point.orb is not None and len(point.orb.indices):
                vectors[ORB_VECTOR] = models.SparseVector(indices=point.orb.indices.tolist(), values=point.orb.values.tolist())
            if point.features is not None and len(point.features):
                vectors[FEATURES_VECTOR] = to_numbers(point.features).tolist()
            if point.cells is not None:
                vectors[CELLS_VECTOR] = point.cells.tolist()
            more = _estimate(point)
            if batch and size + more > _REQUEST:
                self._run("upsert", points=batch, wait=True)
                batch, size = [], 0
            batch.append(models.PointStruct(id=point.id, vector=vectors, payload=dict(point.payload)))
            size += more
        if batch:
            self._run("upsert", points=batch, wait=True)

    def overwrite(self, payloads: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace whole payloads, in as many requests as their size needs."""
        from qdrant_client import models

        batch: list[models.OverwritePayloadOperation] = []
        size = 0
        for id, payload in payloads.items():
            more = _checked_size(id, payload)
            if batch and size + more > _REQUEST:
                self._run("batch_update_points", update_operations=batch, wait=True)
                batch, size = [], 0
            change = models.SetPayload(payload=dict(payload), points=[id])
            batch.append(models.OverwritePayloadOperation(overwrite_payload=change))
            size += more
        if batch:
            self._run("batch_update_points", update_operations=batch, wait=True)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points."""
        self._run("delete", points_selector=list(ids), wait=True)

    def create_index(self, field: str, kind: FieldType) -> None:
        """Make a payload index."""
        schema = index_params(field, kind, on_disk=self._on_disk)
        self._run("create_payload_index", field_name=json_path(field), field_schema=schema, wait=True)

    def read_manifest(self) -> Manifest:
        """What the collection's metadata say."""
        return Manifest.from_json(self._run("get_collection").config.metadata[METADATA])

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest in the collection's metadata."""
        self._run("update_collection", metadata={METADATA: manifest.to_json()})

    def optimize(self) -> None:
        """Wait until the server, which builds its indexes by itself, is done, or makes no progress (`RetryPolicy.stall`)."""
        from qdrant_client import models

        before, since, pause, asked = None, time.monotonic(), 0.05, False
        while (state := self._progress())[0] in ("yellow", "grey"):
            if state != before:
                before, since = state, time.monotonic()
            elif state[0] == "grey" and not asked:
                # A restarted server leaves what is pending until something changes, if only its settings to what they are.
                self._run("update_collection", optimizers_config=models.OptimizersConfigDiff())
                asked = True
            elif time.monotonic() - since >= self._connection.retry.stall:
                return
            time.sleep(pause)
            pause = min(2 * pause, 0.5)

    def _progress(self) -> tuple[str, int | None, int]:
        """The collection's colour, indexed vectors, and segments."""
        info = self._run("get_collection")
        return str(getattr(info.status, "value", info.status)), info.indexed_vectors_count, info.segments_count

    def asset(self, name: str) -> bytes | None:
        """A file kept with this generation, or None."""
        head = self._assets("retrieve", ids=[_asset_id(name)], with_payload=True)
        if not head:
            return None
        facts = head[0].payload
        parts = []
        for part in range(facts["parts"]):  # one by one: a request for all of them may be too large to answer
            found = self._assets("retrieve", ids=[_asset_id(name, facts["version"], part)], with_payload=True)
            if not found:
                raise StoreError(
                    f"asset {name!r} of {self._collection!r} is incomplete: part {part + 1} is missing; index again"
                )
            parts.append(base64.b64decode(found[0].payload["data"]))
        data = b"".join(parts)
        if hashlib.sha256(data).hexdigest() != facts["sha256"]:
            raise StoreError(f"asset {name!r} of {self._collection!r} is damaged (its SHA-256 differs); index again")
        return data

    def assets(self) -> list[str]:
        """Names of the files that are kept: the points that are no parts."""
        return [str(point.payload["name"]) for point in self._all_assets(["name"]) if "name" in point.payload]

    def put_asset(self, name: str, data: bytes) -> None:
        """Keep a file with this generation, atomically: readers see the old parts until the new ones are all there."""
        from qdrant_client import models

        version = uuid.uuid4().hex
        parts = [data[start : start + _PART] for start in range(0, len(data), _PART)]
        for number, part in enumerate(parts):
            payload = {"asset": name, "version": version, "data": base64.b64encode(part).decode()}
            point = models.PointStruct(id=_asset_id(name, version, number), vector={}, payload=payload)
            self._assets("upsert", points=[point], wait=True)
        facts = {"name": name, "version": version, "parts": len(parts), "sha256": hashlib.sha256(data).hexdigest()}
        self._assets("upsert", points=[models.PointStruct(id=_asset_id(name), vector={}, payload=facts)], wait=True)
        old = list(self._old_parts(name, version))
        if old:
            self._assets("delete", points_selector=old, wait=True)

    def drop_asset(self, name: str) -> None:
        """Keep a file no longer: its head goes first, so that nobody reads half of it."""
        self._assets("delete", points_selector=[_asset_id(name)], wait=True)
        parts = list(self._old_parts(name, ""))
        if parts:
            self._assets("delete", points_selector=parts, wait=True)

    def _old_parts(self, name: str, version: str) -> Iterator[str]:
        """Parts of other versions. All are looked through: strict mode refuses a filter on fields without an index."""
        for part in self._all_assets(["asset", "version"]):
            if part.payload.get("asset") == name and part.payload["version"] != version:
                yield str(part.id)

    def _all_assets(self, fields: list[str]) -> Iterator[Any]:
        offset = None
        while True:
            points, offset = self._assets("scroll", offset=offset, limit=100, with_payload=fields)
            yield from points
            if offset is None:
                return

    def close(self) -> None:
        """Nothing to release: the connection belongs to the database."""

    def _run(self, method: str, **options: Any) -> Any:
        if method in _CHANGES:
            self._check()
        return self._connection.call(method, self._collection, **options)

    def _assets(self, method: str, **options: Any) -> Any:
        if method in _CHANGES:
            self._check()
        return self._connection.call(method, self._collection + ASSETS, **options)


def _asset_id(name: str, version: str = "", part: int = 0) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name}/{version}/{part}"))


def _estimate(point: Point) -> int:
    """Roughly how many bytes a point takes as JSON."""
    features = point.features.size * 5 if point.features is not None else 0
    words = len(point.orb.indices) * 20 if point.orb is not None else 0
    cells = point.cells.size * 20 if point.cells is not None else 0
    return int(point.image.size * 20 + features + words + cells + _checked_size(point.id, point.payload))


def _checked_size(id: str, payload: Mapping[str, Any]) -> int:
    """As `_payload_size`. Raises `InvalidInput` where no request can carry it: a server's own words would name no point."""
    size = _payload_size(payload)
    if size > _PAYLOAD:
        raise InvalidInput(
            f"point {id}: its payload takes {size / 1e6:,.0f} MB, and a server takes requests of 32 MB with all that is in "
            f"them; expected {_PAYLOAD / 1e6:,.0f} MB at most: shorten its texts"
        )
    return size


def _payload_size(payload: Mapping[str, Any]) -> int:
    """How many bytes a payload takes as JSON, at most, with what surrounds it in a request."""
    return len(json.dumps(dict(payload), ensure_ascii=False).encode(errors="surrogatepass")) + 500
