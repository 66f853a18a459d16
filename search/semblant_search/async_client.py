"""The client for asyncio: the same calls, awaited, each in a worker thread."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial, wraps
from itertools import islice
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from .client import SearchClient
from .errors import InvalidInput, StoreError
from .images import DEFAULT_MAX_PIXELS
from .querying.requests import check_capacity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
    from types import TracebackType

    from qdrant_client import QdrantClient
    from typing_extensions import Self

    from .collection import Manifest
    from .encoder import Encoder
    from .jobs import JobEvent
    from .open_collection.service_jobs import JobEvents
    from .store import Database, RetryPolicy

__all__ = ["AsyncSearchClient"]

_AT_ONCE = 100
"""What an iterator is asked for in one turn of a worker thread."""
_P = ParamSpec("_P")
_R = TypeVar("_R")


def _awaited(
    method: Callable[Concatenate[SearchClient, _P], _R],
) -> Callable[Concatenate[AsyncSearchClient, _P], Coroutine[Any, Any, _R]]:
    @wraps(method)
    async def call(self: AsyncSearchClient, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return await self._run(lambda: method(self._open(), *args, **kwargs))

    return call


def _iterated(
    method: Callable[Concatenate[SearchClient, _P], Iterator[_R]],
) -> Callable[Concatenate[AsyncSearchClient, _P], AsyncIterator[_R]]:
    @wraps(method)
    async def call(self: AsyncSearchClient, /, *args: _P.args, **kwargs: _P.kwargs) -> AsyncIterator[_R]:
        found = await self._run(lambda: method(self._open(), *args, **kwargs))
        turn = threading.Lock()

        def some_more() -> list[_R]:
            with turn:
                return list(islice(found, _AT_ONCE))

        def leave() -> None:
            with turn:  # a turn that was cancelled is at work to its end
                if isinstance(found, Generator):  # it holds a generation open
                    found.close()

        try:
            while some := await self._run(some_more):
                for one in some:
                    yield one
        finally:
            self._later(leave)

    return call


def _followed(
    method: Callable[Concatenate[SearchClient, _P], JobEvents],
) -> Callable[Concatenate[AsyncSearchClient, _P], AsyncIterator[JobEvent]]:
    """Each as it comes, heard by a thread of its own: that may take days, and is no work."""

    @wraps(method)
    async def call(self: AsyncSearchClient, /, *args: _P.args, **kwargs: _P.kwargs) -> AsyncIterator[JobEvent]:
        found = await self._run(lambda: method(self._open(), *args, **kwargs))
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[JobEvent | Exception | None] = asyncio.Queue()

        def tell(what: JobEvent | Exception | None) -> None:
            with suppress(RuntimeError):  # the loop was closed
                loop.call_soon_threadsafe(queue.put_nowait, what)

        def hear() -> None:
            try:
                for event in found:
                    tell(event)
                tell(None)
            except Exception as error:
                tell(error)

        threading.Thread(target=hear, name="semblant-job-events", daemon=True).start()
        try:
            while (told := await queue.get()) is not None:
                if isinstance(told, Exception):
                    raise told
                yield told
        finally:
            found.close()

    return call


class AsyncSearchClient:
    """`SearchClient` for asyncio, with the same calls. An async context manager; nothing of it blocks the event loop.

    At most `capacity` calls are at work, each in a thread of this client; others wait their turn. A call that is cancelled
    while it waits is never made; one that is at work is left alone to its end, and keeps its place until then.

    Args:
        db, encoder, collection, api_key, timeout, retry, max_pixels, refresh, threads, providers: as in `SearchClient`, which
            is opened by the first call, or by `async with`. A `SearchClient` as `db` is used as it is, and not closed.
        capacity: calls at work at once, at least 1.

    Raises:
        InvalidInput: a capacity below 1, or options beside a `SearchClient`. What `SearchClient` raises, the first call does.
    """

    def __init__(
        self,
        db: str | os.PathLike[str] | QdrantClient | Database | SearchClient,
        encoder: str | os.PathLike[str] | bytes | Encoder | None = None,
        collection: str = "images",
        api_key: str | None = None,
        timeout: float = 30.0,
        *,
        retry: RetryPolicy | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        refresh: float = 2.0,
        threads: int | None = None,
        providers: Sequence[str] | None = None,
        capacity: int = 8,
    ) -> None:
        self._capacity = check_capacity(capacity)
        self._get_ready()
        self._closed = False
        self._client: SearchClient | None = None
        self._owns_client = not isinstance(db, SearchClient)
        if isinstance(db, SearchClient):
            given = (encoder, collection, api_key, timeout, retry, max_pixels, refresh, threads, providers)
            usual = (None, "images", None, 30.0, None, DEFAULT_MAX_PIXELS, 2.0, None, None)
            if not all(type(one) is type(other) and one == other for one, other in zip(given, usual, strict=True)):
                raise InvalidInput("a SearchClient has its encoder, collection and settings already: give it alone")
            self._client = db
        else:
            self._make = partial(
                SearchClient,
                db,
                encoder,
                collection,
                api_key,
                timeout,
                retry=retry,
                max_pixels=max_pixels,
                refresh=refresh,
                threads=threads,
                providers=providers,
            )

    def __repr__(self) -> str:
        return f"Async{self._client!r}" if self._client is not None else "AsyncSearchClient(not open)"

    async def __aenter__(self) -> Self:
        opening = self._begun(self._open)
        try:
            await asyncio.wrap_future(opening)
        except asyncio.CancelledError:  # the block is not entered, so nothing would close what is opened to its end
            opening.add_done_callback(lambda _: self._later(self._let_go))
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Wait for the calls at work and release the database. Closing twice is no error."""
        self._closed = True
        await asyncio.to_thread(self._close)

    async def manifest(self) -> Manifest:
        """What the collection knows about itself."""
        return await self._run(lambda: self._open().manifest)

    search = _awaited(SearchClient.search)
    search_batch = _awaited(SearchClient.search_batch)
    search_features = _awaited(SearchClient.search_features)
    search_fused = _awaited(SearchClient.search_fused)
    search_vector = _awaited(SearchClient.search_vector)
    search_like = _awaited(SearchClient.search_like)
    search_groups = _awaited(SearchClient.search_groups)
    discover = _awaited(SearchClient.discover)
    duplicates = _awaited(SearchClient.duplicates)
    embed = _awaited(SearchClient.embed)
    count = _awaited(SearchClient.count)
    facet = _awaited(SearchClient.facet)
    get = _awaited(SearchClient.get)
    add = _awaited(SearchClient.add)
    add_many = _awaited(SearchClient.add_many)
    update_metadata = _awaited(SearchClient.update_metadata)
    get_many = _awaited(SearchClient.get_many)
    thumbnail = _awaited(SearchClient.thumbnail)
    collections = _awaited(SearchClient.collections)
    scroll = _awaited(SearchClient.scroll)
    pictures = _iterated(SearchClient.pictures)
    delete = _awaited(SearchClient.delete)
    sources = _awaited(SearchClient.sources)
    remove_source = _awaited(SearchClient.remove_source)
    rename_source = _awaited(SearchClient.rename_source)
    relocate_source = _awaited(SearchClient.relocate_source)
    jobs = _awaited(SearchClient.jobs)
    get_job = _awaited(SearchClient.get_job)
    start_job = _awaited(SearchClient.start_job)
    follow_job = _followed(SearchClient.follow_job)
    cancel_job = _awaited(SearchClient.cancel_job)

    async def _run(self, call: Callable[[], _R]) -> _R:
        return await asyncio.wrap_future(self._begun(call))

    def _begun(self, call: Callable[[], _R]) -> Future[_R]:
        if self._closed:
            raise StoreError("this AsyncSearchClient is closed; make a new one")
        return self._workers().submit(contextvars.copy_context().run, call)

    def _later(self, call: Callable[[], None]) -> None:
        """In a worker thread, or here where there are none any more."""
        try:
            self._workers().submit(call)
        except RuntimeError:
            call()

    def _get_ready(self) -> None:
        self._executor = ThreadPoolExecutor(self._capacity, thread_name_prefix="semblant-search")
        self._lock = threading.Lock()
        self._process = os.getpid()

    def _workers(self) -> ThreadPoolExecutor:
        """Of this process: after a fork the threads are the other's, which would be waited for, and so may the lock be."""
        if os.getpid() != self._process:
            self._get_ready()
        return self._executor

    def _open(self) -> SearchClient:
        with self._lock:
            if self._client is None:
                self._client = self._make()
            return self._client

    def _close(self) -> None:
        self._workers().shutdown()
        with self._lock:
            if self._client is not None and self._owns_client:
                self._client.close()

    def _let_go(self) -> None:
        """Release the database; the next call opens it again."""
        with self._lock:
            if self._client is not None and self._owns_client and not self._closed:
                client, self._client = self._client, None
                client.close()
