"""The store: one generation of one collection, read and written. Written once, over any engine."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any

from semblant_search.collection import CELLS_VECTOR, FEATURES_VECTOR, IMAGE_VECTOR, FieldType
from semblant_search.errors import InvalidInput, StoreError
from semblant_search.stages import in_stage
from semblant_search.where.compiler import json_path

from .engines.base import Search
from .facets import COUNTED_BY_ENGINES, by_count, check_facet, count_values
from .grouping import check_groups, grouped
from .names import check_asset_name
from .one_order import search_in_order
from .ordering import Position, check_order, ordered
from .point_checks import check_found, check_ids, check_payload, check_points
from .queries import MOST_CANDIDATES, Cells, Mmr, Nearest, Recommend
from .query_checks import average, check_request
from .texts import make_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from typing_extensions import Self

    from semblant_search.collection import Manifest
    from semblant_search.where import Where

    from .engines.base import Engine, Paths
    from .queries import OrderBy, Query, SearchRequest
    from .records import Group, Point, Record, ScoredRecord

__all__ = ["Store"]

_logger = logging.getLogger(__name__)
_LARGE_LIMIT = 10_000  # above it, a limit is cut to the points there are: engines reserve memory for all of it


class Store:
    """One generation of one collection. A context manager.

    It may be read and written from many threads. Every method raises a `StoreError` where the database fails, never an
    exception of the engine, and `InvalidInput` for arguments that no engine could answer.
    """

    def __init__(self, engine: Engine, manifest: Manifest) -> None:
        self._opened: Engine | None = engine
        self._name = engine.name
        self._manifest = manifest

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({self._name!r})"

    @property
    def manifest(self) -> Manifest:
        """What this generation remembers about itself."""
        return self._manifest

    @property
    def writing(self) -> AbstractContextManager[object]:
        """Held by whoever changes what was read before, in this process; one lock for all who have the generation open."""
        lock: AbstractContextManager[object] = self._engine.writing
        return lock

    @in_stage("search")
    def query(self, request: SearchRequest) -> list[ScoredRecord]:
        """Hits, best first, ties by id: any page is that part of one order."""
        begun = perf_counter()
        hits = search_in_order(self._engine, (self._search(request),))[0]
        self._log(begun, "%s query: %d hits", type(request.query).__name__, len(hits))
        return hits

    @in_stage("search")
    def query_batch(self, requests: Sequence[SearchRequest]) -> list[list[ScoredRecord]]:
        """Hits of several requests, asked together."""
        begun = perf_counter()
        answers = search_in_order(self._engine, [self._search(request) for request in requests]) if requests else []
        self._log(begun, "%d queries together: %d hits", len(answers), sum(map(len, answers)))
        return answers

    def query_groups(self, request: SearchRequest, group_by: str, group_size: int = 1) -> list[Group]:
        """Hits by the values of a keyword, whole number or bool field: `request.limit` groups, by their best hits.

        A picture with several values is in the group of each, one without in none.

        Args:
            request: any query but `Mmr`; `limit` and `offset` count groups.
            group_by: the field.
            group_size: hits in a group at most, at least 1.
        """
        check_request(request, self._manifest)
        check_groups(request, group_by, group_size, self._manifest)
        return grouped(self, request, group_by, group_size)

    def retrieve(
        self,
        ids: Sequence[str],
        *,
        fields: Sequence[str] | None = None,
        with_image: bool = False,
        with_features: bool = False,
        with_cells: bool = False,
    ) -> list[Record]:
        """The records of those ids that exist, in no particular order."""
        check_ids(ids)
        if not ids:
            return []
        vectors = [IMAGE_VECTOR] * with_image
        if with_features and self._manifest.orb is not None:
            vectors.append(FEATURES_VECTOR)
        if with_cells and self._manifest.encoder.cells is not None:
            vectors.append(CELLS_VECTOR)
        begun = perf_counter()
        records = self._engine.retrieve(list(ids), _paths(fields), vectors)
        self._log(begun, "%d ids: %d records, with %s", len(ids), len(records), ", ".join(vectors) or "no vectors")
        return records

    def scroll(
        self,
        *,
        where: Where | None = None,
        fields: Sequence[str] | None = None,
        with_image: bool = False,
        batch: int = 1000,
        order_by: OrderBy | None = None,
    ) -> Iterator[Record]:
        """All records that match, in the order of their ids or of a field. Bad arguments raise here, not at the first record.

        Args:
            where: a parsed filter, or None.
            fields: payload fields to return; None returns all.
            with_image: return the dense vectors, too.
            batch: records in one request, at least 1.
            order_by: a field to order by; pictures without it are left out.
        """
        if batch < 1:
            raise InvalidInput(f"batch {batch}: expected at least 1")
        if order_by is not None:
            check_order(order_by, self._manifest)
        self._filter(where)
        vectors = [IMAGE_VECTOR] if with_image else []
        if order_by is None:
            return self._pages(where, _paths(fields), vectors, batch)
        return (record for _, record in self._ordered(order_by, where, _paths(fields), vectors, batch))

    def scroll_page(
        self,
        limit: int,
        start: Position | None = None,
        *,
        where: Where | None = None,
        with_image: bool = False,
        order_by: OrderBy | None = None,
    ) -> tuple[list[Record], Position | None]:
        """A page of `scroll` from a position on, of `limit` records at most, and where the next page begins, None at the end.

        A position holds on after changes, and in another generation: what is there before and after them comes once.
        """
        vectors = [IMAGE_VECTOR] if with_image else []
        if order_by is None:
            filter = self._filter(where)
            records, following = self._engine.scroll(filter, True, vectors, limit, None if start is None else start.id)
            return records, None if following is None else Position(str(following))
        check_order(order_by, self._manifest)
        found = list(islice(self._ordered(order_by, where, True, vectors, limit + 1, start), limit + 1))
        following = Position(found[limit][1].id, found[limit][0]) if len(found) > limit else None
        return [record for _, record in found[:limit]], following

    def count(self, where: Where | None = None) -> int:
        """How many records match, exactly."""
        begun = perf_counter()
        count = self._engine.count(self._filter(where))
        self._log(begun, "count: %d", count)
        return count

    def allows_exact(self) -> bool:
        """Whether searches may be exact: a server in strict mode can forbid to compare all pictures."""
        return self._engine.allows_exact()

    def facet(self, field: str, *, where: Where | None = None, limit: int = 100) -> dict[Any, int]:
        """Distinct values of a field with their exact counts, most frequent first, ties by value."""
        counts = None
        if check_facet(field, limit, self._manifest) in COUNTED_BY_ENGINES:
            counts = self._engine.facet(json_path(field), self._filter(where), limit)
        if counts is None:
            counts = count_values(self.scroll(where=where, fields=[field]), field)
        return by_count(counts, limit)

    def payload_fits(self, payload: Mapping[str, Any]) -> bool:
        """Whether a point with this payload can be written: a server takes requests of 32 MB, a directory whatever there is."""
        return self._engine.payload_fits(payload)

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points; an existing id is replaced whole. Durable against `kill -9` on return.

        Raises:
            InvalidInput: what no engine could keep, or a payload that does not fit (`payload_fits`).
        """
        if not points:
            return
        images = check_points(points, self._manifest).tolist()
        for point in points:
            check_payload(point.payload, point.id)
        begun = perf_counter()
        self._engine.upsert(points, images)
        self._log(begun, "%d points written", len(points))

    def set_payloads(self, payloads: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace the whole payload of points, given by their ids, and keep their vectors. Durable as `upsert`.

        Raises:
            PointNotFound: one of them is not there; then none is changed.
        """
        ids = list(payloads)
        check_ids(ids)
        for id, payload in payloads.items():
            check_payload(payload, id)
        if ids:
            check_found(ids, self._engine.retrieve(ids, False, ()), self._manifest)
            self._engine.overwrite(payloads)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points; unknown ids are no error."""
        check_ids(ids)
        engine = self._engine
        if ids:
            begun = perf_counter()
            engine.delete(list(ids))
            self._log(begun, "%d points deleted", len(ids))

    def add_fields(self, fields: Mapping[str, FieldType]) -> None:
        """Create payload indexes and remember them in the manifest.

        A field of whole numbers becomes one of floats where `fields` says so, and any field one of text, with the values that
        are there, in place. Raises `MetadataError` where a type changes in another way.
        """
        if self._manifest.with_fields(fields) == self._manifest:
            return
        with self.writing:
            self.refresh()  # others may have added some meanwhile, who have the same generation open
            manifest = self._manifest.with_fields(fields)
            for name, kind in manifest.fields.items():
                if self._manifest.fields.get(name) is not kind:
                    self._engine.create_index(name, kind)
            if changed := [name for name, kind in self._manifest.fields.items() if kind is not manifest.fields[name]]:
                make_text(self._engine, [name for name in changed if manifest.fields[name] is FieldType.KEYWORD])
            if manifest != self._manifest:
                self._engine.write_manifest(manifest)
                self._manifest = manifest

    def index_rest(self) -> list[str]:
        """Make payload indexes that are missing; returns the fields that go without.

        A server may allow a number of them only (`max_payload_index_count`). Filters by other fields are slow then, or refused.
        """
        for name in self._engine.unindexed(self._manifest.fields):
            self._engine.create_index(name, self._manifest.fields[name])
        return self._engine.unindexed(self._manifest.fields)

    def refresh(self) -> None:
        """Read the manifest again: on a server, another process may have added fields. Raises `CollectionNotFound`."""
        self._manifest = self._engine.read_manifest()

    def optimize(self, on_progress: Callable[[int, int], None] | None = None, *, beside: bool = False) -> bool:
        """Build what makes searches fast (HNSW graphs, merged segments); whether that is done on return.

        In a directory it blocks until done. A server does it by itself and is waited for, unless it makes no progress
        (`RetryPolicy.stall`).

        Args:
            on_progress: called with the vectors that a server has indexed, and all that there are; approximate numbers.
            beside: let other threads search and write meanwhile. In a directory a process of its own works on a copy then,
                which takes the place of what is there; it needs as much room again.

        Raises:
            StoreError: the server failed at it.
        """
        return self._engine.optimize(on_progress or (lambda *_: None), beside=beside)

    def asset(self, name: str) -> bytes | None:
        """A file kept with this generation (`encoder.onnx`, `vocabulary.npz`), or None."""
        check_asset_name(name)
        return self._engine.asset(name)

    def assets(self) -> list[str]:
        """Names of the files that are kept with this generation, in order."""
        return sorted(self._engine.assets())

    def put_asset(self, name: str, data: bytes) -> None:
        """Keep a file with this generation, atomically: readers see the old one until the new one is whole."""
        check_asset_name(name)
        self._engine.put_asset(name, data)

    def drop_asset(self, name: str) -> None:
        """Keep a file no longer; one that is not there is no error."""
        check_asset_name(name)
        self._engine.drop_asset(name)

    def close(self) -> None:
        """Release the engine; further calls raise `StoreError`. Closing twice is no error."""
        engine, self._opened = self._opened, None
        if engine is not None:
            engine.close()

    def _log(self, begun: float, what: str, *facts: object) -> None:
        """What a request was and took; at DEBUG, so that a service sees it when it wants to."""
        if _logger.isEnabledFor(logging.DEBUG):
            _logger.debug(f"%s: {what}, %.2f ms", self._name, *facts, (perf_counter() - begun) * 1000)

    @property
    def _engine(self) -> Engine:
        if self._opened is None:
            raise StoreError(f"{self._name!r} is closed; open it again")
        return self._opened

    def _filter(self, where: Where | None) -> Any:
        return None if where is None else self._engine.filter(where, self._manifest.fields)

    def _search(self, request: SearchRequest) -> Search:
        check_request(request, self._manifest)
        query: Query = request.query
        limit, threshold, scale = request.limit, request.score_threshold, 1
        if isinstance(query, Recommend) and query.strategy == "average_vector":
            query = Nearest(average(query))
        elif isinstance(query, Cells):
            scale = len(query.cells)
        if limit > _LARGE_LIMIT:
            limit = max(1, min(limit, self.count()))
        if isinstance(query, Mmr):
            wanted = max(query.candidates, request.offset + limit)
            query = replace(query, candidates=min(wanted, MOST_CANDIDATES))
        return Search(
            query,
            limit,
            request.offset,
            self._filter(request.where),
            _paths(request.fields),
            request.exact,
            request.ef_search,
            scale,
            None if threshold is None else threshold * scale,
        )

    def _pages(
        self, where: Where | None, paths: Paths, vectors: Sequence[str], batch: int, first: str | None = None
    ) -> Iterator[Record]:
        filter, start = self._filter(where), first
        while True:
            records, start = self._engine.scroll(filter, paths, vectors, batch, start)
            yield from records
            if start is None:
                return

    def _ordered(
        self,
        order: OrderBy,
        where: Where | None,
        paths: Paths,
        vectors: Sequence[str],
        batch: int,
        start: Position | None = None,
    ) -> Iterator[tuple[float, Record]]:
        return ordered(self._ordered_page, self._pages, order, self._manifest, where, paths, vectors, batch, start)

    def _ordered_page(
        self, order: OrderBy, where: Where | None, paths: Paths, vectors: Sequence[str], batch: int
    ) -> tuple[list[tuple[float, Record]], bool]:
        filter = self._filter(where)
        return self._engine.ordered(json_path(order.field), order.descending, filter, paths, vectors, batch)


def _paths(fields: Sequence[str] | None) -> Paths:
    if fields is None:
        return True
    return [json_path(field) for field in fields] if fields else False
