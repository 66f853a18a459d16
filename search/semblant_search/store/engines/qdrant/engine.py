"""One generation on a Qdrant server or cluster."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from semblant_search.collection import CELLS_VECTOR, FEATURES_VECTOR, IMAGE_VECTOR, ORB_VECTOR, FieldType, Manifest
from semblant_search.errors import InvalidInput, StoreError
from semblant_search.fork_safe import ForkSafeLock
from semblant_search.store.engines.feature_numbers import to_numbers
from semblant_search.store.queries import Mmr
from semblant_search.where.compiler import compile_where, json_path

from .files import KeptFiles
from .limits import LimitedCollection
from .translation import ASSETS, METADATA, Searches, dialect, index_params, manifest_of, record_of, scored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from semblant_search.store.engines.base import Paths, Search
    from semblant_search.store.records import Point, Record, ScoredRecord
    from semblant_search.where import Where

    from .connection import Connection
    from .limits import Limits
    from .version import Version

__all__ = ["QdrantEngine"]

_REQUEST = 8_000_000  # estimated bytes of points in one request, unless one point alone takes more
_COUNTED = 10_000  # ids in one request, where a server does not count exactly itself
_PAYLOAD = 24_000_000  # bytes of the largest payload: vectors and words have the rest of a server's 32 MB


class QdrantEngine:
    """One generation on a server; see `Engine`. Closing it leaves the connection to its database.

    Args:
        connection: to the server.
        collection: the server's name of it.
        manifest: as it is.
        version: of the server.
        check: called before each change; raises where it may not be made.
    """

    def __init__(
        self, connection: Connection, collection: str, manifest: Manifest, version: Version, check: Callable[[], None]
    ) -> None:
        self.writing = ForkSafeLock(reentrant=True)
        self._connection = connection
        self._points = LimitedCollection(connection, collection, check)
        self._assets = LimitedCollection(connection, collection + ASSETS, check)
        self._files = KeptFiles(self._assets, collection)
        self._run = self._points.run
        self._collection = collection
        self._version = version
        self._on_disk = manifest.storage.on_disk
        self._dialect = dialect()
        self._searches = Searches(manifest.storage.quantize)

    def made(self) -> None:
        """It was made just now."""
        for collection in (self._points, self._assets):
            collection.made()

    @property
    def name(self) -> str:
        """The server, and its collection."""
        return f"{self._connection.location} {self._collection}"

    def filter(self, where: Where, fields: Mapping[str, FieldType]) -> Any:
        """A `models.Filter`. Raises `StoreError` for a condition that the server is too old for."""
        compiled = compile_where(where, self._dialect, fields)  # what is wrong on every server is told first
        self._version.check_filter(where)
        return compiled

    def search(self, searches: Sequence[Search]) -> list[list[ScoredRecord]]:
        """Hits of each, best first. In one request, unless the server allows less: then page by page."""
        return self._points.within(lambda limits: self._search(searches, limits))

    def _search(self, searches: Sequence[Search], limits: Limits) -> list[list[ScoredRecord]]:
        found: list[dict[str, ScoredRecord]] = [{} for _ in searches]  # one that ties may be on two pages
        left = [(hits, search) for hits, search in zip(found, searches, strict=True) if search.limit]
        while left:
            pages = [
                _from_the_first(search) if isinstance(search.query, Mmr) else search._replace(limit=limits.most(search.limit))
                for _, search in left
            ]
            following = []
            for (hits, search), page, answer in zip(left, pages, self._ask(pages, limits), strict=True):
                skipped = search.offset - page.offset
                hits |= {hit.id: hits.get(hit.id, hit) for hit in answer[skipped : skipped + search.limit]}
                rest = search.limit - page.limit
                if rest > 0 and not isinstance(search.query, Mmr) and len(answer) == page.limit:
                    following.append((hits, search._replace(offset=search.offset + page.limit, limit=rest)))
            left = following
        return [list(hits.values()) for hits in found]

    def _ask(self, searches: Sequence[Search], limits: Limits) -> list[list[ScoredRecord]]:
        if len(searches) == 1:
            answers = [self._run("query_points", **self._searches.options(searches[0], limits.oversampling))]
        else:
            requests, answers = [self._searches.request(search, limits.oversampling) for search in searches], []
            together = limits.searches or len(requests)
            for start in range(0, len(requests), together):
                answers += self._run("query_batch_points", requests=requests[start : start + together])
        return [scored(answer.points, search.scale) for answer, search in zip(answers, searches, strict=True)]

    def retrieve(self, ids: Sequence[str], paths: Paths, vectors: Sequence[str]) -> list[Record]:
        """The records that exist."""
        found = self._run("retrieve", ids=list(ids), with_payload=paths, with_vectors=list(vectors) or False)
        return [record_of(point) for point in found]

    def scroll(
        self, filter: Any, paths: Paths, vectors: Sequence[str], limit: int, start: Any
    ) -> tuple[list[Record], Any | None]:
        """A page of records in the order of their ids."""
        found: list[Any] = []

        def page(limits: Limits) -> Any:
            wanted = limits.most(limit - len(found))
            vector = list(vectors) or False
            return self._run(
                "scroll", offset=start, limit=wanted, scroll_filter=filter, with_payload=paths, with_vectors=vector
            )

        while True:
            points, start = self._points.within(page)
            found += points
            if start is None or len(found) >= limit:
                return [record_of(point) for point in found], start

    def ordered(
        self, path: str, descending: bool, filter: Any, paths: Paths, vectors: Sequence[str], limit: int
    ) -> tuple[list[tuple[float, Record]], bool]:
        """The first records in the order of a field."""
        from qdrant_client import models

        order = models.OrderBy(key=path, direction=models.Direction.DESC if descending else models.Direction.ASC)

        def page(limits: Limits) -> tuple[Any, bool]:
            wanted = limits.most(limit)
            vector = list(vectors) or False
            points, _ = self._run(
                "scroll", limit=wanted, scroll_filter=filter, with_payload=paths, with_vectors=vector, order_by=order
            )
            return points, len(points) == wanted

        points, full = self._points.within(page)
        return [(point.order_value, record_of(point)) for point in points], full

    def count(self, filter: Any) -> int:
        """How many records match, exactly."""
        return self._points.within(lambda limits: self._count(filter, limits))

    def _count(self, filter: Any, limits: Limits) -> int:
        if limits.exact:
            return int(self._run("count", count_filter=filter, exact=True).count)
        found, start = 0, None
        while True:  # the server counts only roughly
            page, start = self._run(
                "scroll",
                offset=start,
                limit=limits.most(_COUNTED),
                scroll_filter=filter,
                with_payload=False,
                with_vectors=False,
            )
            found += len(page)
            if start is None:
                return found

    def allows_exact(self) -> bool:
        """Whether strict mode lets a search compare all pictures."""
        return self._points.allows_exact()

    def facet(self, path: str, filter: Any, limit: int) -> dict[Any, int] | None:
        """Exact counts. None where the field has no index, or the server allows fewer values, or rough counts only."""

        def ask(limits: Limits) -> dict[Any, int] | None:
            if not limits.exact:
                return None
            wanted = limits.most(limit)
            hits = self._facet(path, filter, wanted)
            if len(hits) == wanted >= limit and self._shards() > 1:
                # Each shard tells its own most frequent values only: what is added up is right once no shard leaves any out.
                while len(hits) == wanted < limits.most(8 * wanted):
                    wanted = limits.most(8 * wanted)
                    hits = self._facet(path, filter, wanted)
                return None if len(hits) == wanted else hits
            return None if len(hits) == wanted < limit else hits

        try:
            return self._points.within(ask)
        except StoreError as error:
            if type(error) is StoreError and path not in self._points.indexes()[0]:
                return None
            raise

    def _facet(self, path: str, filter: Any, limit: int) -> dict[Any, int]:
        hits = self._run("facet", key=path, facet_filter=filter, limit=limit, exact=True).hits
        return {hit.value: hit.count for hit in hits}

    def _shards(self) -> int:
        return int(self._run("get_collection").config.params.shard_number or 1)

    def payload_fits(self, payload: Mapping[str, Any]) -> bool:
        """Whether a server takes a request with it."""
        return _payload_size(payload) <= _PAYLOAD

    def upsert(self, points: Sequence[Point], images: list[list[float]]) -> None:
        """Write points, in as many requests as their size needs. Applied on the server on return."""
        self._points.within(lambda limits: self._upsert(points, images, limits.points or len(points)))

    def _upsert(self, points: Sequence[Point], images: list[list[float]], most: int) -> None:
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
            if batch and (size + more > _REQUEST or len(batch) >= most):
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
        """Make a payload index, where the server allows one more; see `unindexed`."""
        path, schema = json_path(field), index_params(field, kind, on_disk=self._on_disk)
        try:
            self._run("create_payload_index", field_name=path, field_schema=schema, wait=True)
        except StoreError as error:
            if type(error) is not StoreError:
                raise
            there, full = self._points.indexes()
            if not full:
                raise
            if there.get(path, kind.value) != kind.value:  # it changes its type, for which there is room
                self._run("delete_payload_index", field_name=path, wait=True)
                self._run("create_payload_index", field_name=path, field_schema=schema, wait=True)

    def unindexed(self, fields: Mapping[str, FieldType]) -> list[str]:
        """Those that have no payload index."""
        there, _ = self._points.indexes()
        return [name for name in fields if json_path(name) not in there]

    def read_manifest(self) -> Manifest:
        """What the collection's metadata say."""
        manifest = manifest_of(self._run("get_collection"))
        assert manifest is not None  # it was there when this was opened
        return manifest

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest in the collection's metadata."""
        self._run("update_collection", metadata={METADATA: manifest.to_json()})

    def optimize(self, tell: Callable[[int, int], None], *, beside: bool) -> bool:  # noqa: ARG002
        """Wait until the server, which builds its indexes by itself, is done, or makes no progress (`RetryPolicy.stall`)."""
        from qdrant_client import models

        before, since, pause, asked = None, time.monotonic(), 0.05, False
        while (info := self._run("get_collection")).status in ("yellow", "grey"):
            state = info.status, info.indexed_vectors_count, info.segments_count
            if state != before:
                before, since = state, time.monotonic()
                tell(info.indexed_vectors_count or 0, info.points_count or 0)
            elif info.status == "grey" and not asked:
                # A restarted server leaves what is pending until something changes, if only its settings to what they are.
                self._run("update_collection", optimizers_config=models.OptimizersConfigDiff())
                asked = True
            elif time.monotonic() - since >= self._connection.retry.stall:
                return False
            time.sleep(pause)
            pause = min(2 * pause, 0.5)
        if info.status == "red":
            raise StoreError(
                f"server {self._connection.location!r} failed to build the indexes of {self._collection!r}: "
                f"{getattr(info.optimizer_status, 'error', info.optimizer_status)}; see its log, and run the job again"
            )
        return True

    def asset(self, name: str) -> bytes | None:
        """A file kept with this generation, or None."""
        return self._files.read(name)

    def assets(self) -> list[str]:
        """Names of the files that are kept."""
        return self._files.names()

    def put_asset(self, name: str, data: bytes) -> None:
        """Keep a file with this generation, atomically."""
        self._files.write(name, data)

    def drop_asset(self, name: str) -> None:
        """Keep a file no longer."""
        self._files.drop(name)

    def close(self) -> None:
        """Nothing to release: the connection belongs to the database."""


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


def _from_the_first(search: Search) -> Search:
    """An order by variety for its whole length; where that is too long, the server says so.

    A server chooses as many as its limit says, and skips some of these: of a later page it gives too few, or none.
    """
    assert isinstance(search.query, Mmr)
    return search._replace(offset=0, limit=min(search.offset + search.limit, search.query.candidates))
