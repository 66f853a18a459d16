"""The maps that a service has read, and the analyses that it makes."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, TypeVar

from semblant_search.errors import SemblantError
from semblant_search.web.problems import ServiceError

from semblant_indexer.analysis.collections import cluster_collection, map_collection
from semblant_indexer.analysis.runs import read_run

from .models import Making
from .points import read_points

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from semblant_search.store import Database, Store
    from semblant_search.web.access import Access

    from .points import MapPoints

__all__ = ["Maps"]

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")
_KEPT = 8
_PATIENCE = 15.0
"""Seconds that a request waits for a map to be read, before it is told to come again."""


class Maps:
    """Reads maps once for all who ask, and has analyses made, one at a time. Belongs to one event loop.

    Args:
        database: the service's.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._read: dict[tuple[str, str], tuple[object, MapPoints]] = {}
        self._reading: dict[tuple[str, str], asyncio.Task[MapPoints]] = {}
        self._making: dict[str, Making] = {}
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def with_store(self, collection: str, ask: Callable[[Store], _T]) -> _T:
        """What is asked of the serving generation."""
        with closing(self.database.open(collection)) as store:
            return ask(store)

    async def points(self, collection: str, access: Access, version: str | None = None) -> MapPoints:
        """The points of a map for a caller.

        Raises:
            NotIndexed: there is no map.
            ServiceError: they are being read still, or are others than those of that version by now.
        """
        key = (collection, repr(access.where))
        task = self._reading.get(key)
        if task is None:
            task = self._reading[key] = asyncio.create_task(asyncio.to_thread(self._points, key, collection, access))
            task.add_done_callback(lambda _: self._reading.pop(key, None))
        try:
            points = await asyncio.wait_for(asyncio.shield(task), _PATIENCE)
        except asyncio.TimeoutError:
            raise ServiceError(
                "map-not-ready",
                "the map is being read, which of a million pictures takes a minute; come again in some seconds",
                headers={"Retry-After": "5"},
            ) from None
        if version is not None and points.version != version:
            raise ServiceError("map-changed", f"the map has version {points.version} by now: read its points again")
        return points

    def _points(self, key: tuple[str, str], collection: str, access: Access) -> MapPoints:
        known = self._read.get(key)
        with closing(self.database.open(collection)) as store:
            state = (store.manifest.generation, read_run(store, "map"), store.count(access.where))
            if known is not None and known[0] == state:
                points = known[1]
                if points.is_fresh(points.made):
                    return points
            points = read_points(store, access.where)
        if known is not None and known[1].version == points.version:
            points.colours = known[1].colours
        self._read.pop(key, None)
        self._read[key] = (state, points)
        while len(self._read) > _KEPT:
            del self._read[next(iter(self._read))]
        return points

    def forget(self, collection: str) -> None:
        """What was read is not what there is."""
        for key in [key for key in self._read if key[0] == collection]:
            del self._read[key]

    def making(self, collection: str) -> Making | None:
        """The analysis of a collection that is being made, or the last one if it failed."""
        return self._making.get(collection)

    def make(self, collection: str, kind: str, k: int | None) -> Making:
        """Have an analysis made.

        Raises:
            CollectionNotFound: there is none of that name.
            ServiceError: one is being made.
        """
        with closing(self.database.open(collection)):
            pass
        with self._lock:
            if any(one.problem is None for one in self._making.values()):
                raise ServiceError("job-running", "an analysis is being made, and one at a time is: wait for its end (GET map)")
            making = Making.model_validate({"kind": kind, "done": 0, "total": 0})
            self._making[collection] = making
        self._thread = threading.Thread(target=self._work, args=(collection, making, k), name=f"semblant-{kind}", daemon=True)
        self._thread.start()
        return making

    @asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncIterator[None]:
        """When the service ends, so does what it makes."""
        try:
            yield
        finally:
            await asyncio.to_thread(self.close)

    def close(self) -> None:
        """End what is being made: nothing of it is written then, and the last one stays."""
        self._stopped = True
        if self._thread is not None:
            self._thread.join(10)

    def _work(self, collection: str, making: Making, k: int | None) -> None:
        def tell(done: int, total: int) -> None:
            if self._stopped:
                raise _StoppedError
            making.done, making.total = done, total

        try:
            if making.kind == "map":
                map_collection(self.database, collection, on_progress=tell)
            else:
                cluster_collection(self.database, collection, k=k, on_progress=tell)
        except _StoppedError:
            return
        except SemblantError as error:
            making.problem = str(error)
        except Exception:
            _logger.exception("the %s of %r failed", making.kind, collection)
            making.problem = "it failed; the service's log says why"
        self.forget(collection)
        if making.problem is None:
            self._making.pop(collection, None)


class _StoppedError(Exception):
    """The service ends."""
