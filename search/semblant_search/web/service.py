"""What a service has open: a client for each collection, the thumbnails, the metrics, and who may come in."""

from __future__ import annotations

import asyncio
import io
import logging
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from fastapi import Request, Security  # Request: FastAPI reads the types of arguments
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from semblant_search.async_client import AsyncSearchClient
from semblant_search.client import SearchClient
from semblant_search.errors import CollectionNotFound, SemblantError, StoreError
from semblant_search.file_access import only_under, source_folders
from semblant_search.shown import shown

from .access import ANYONE, Access, Scope
from .fetching import PictureFetcher
from .long_answers import LongAnswers
from .problems import ServiceError
from .telemetry import Telemetry
from .thumbnails import Thumbnails

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from semblant_search.store import Database

    from .keys import KeyFile
    from .settings import ServiceSettings

__all__ = ["Service"]

_BEARER = HTTPBearer(auto_error=False, description="A key, `sk_…`, or a signed one, `st_…`.")
_ROOTS_SECONDS = 10.0
_logger = logging.getLogger(__name__)


class Service:
    """One database, or one client, and all that routes share. Belongs to one event loop.

    Args:
        source: the database whose collections are served, or the one client whose collection is. Neither is closed here.
        settings: what is allowed.
        keys: who may come in; None asks for no key.
        client: an open one of the database, of the collection that requests mean which name none; its encoder is loaded before
            the service says that it is ready.
    """

    def __init__(
        self,
        source: Database | SearchClient,
        settings: ServiceSettings,
        *,
        keys: KeyFile | None = None,
        client: SearchClient | None = None,
    ) -> None:
        self.settings = settings
        self.telemetry = Telemetry()
        self.metrics = self.telemetry.metrics
        self.thumbnails = Thumbnails(settings)
        self.long_answers = LongAnswers()
        self.fetcher: PictureFetcher | None = None
        """Of pictures by their URLs, where that is allowed."""
        if settings.allow_urls:
            self.fetcher = PictureFetcher(
                settings.allow_urls, max_bytes=settings.max_body, timeout=min(settings.url_timeout, settings.timeout)
            )
        self.state = "starting"
        self._source = source
        self._keys, self._keys_fault = keys, ""
        first = client or (source if isinstance(source, SearchClient) else None)
        self.usual_collection = "images" if first is None else first.manifest.collection
        """The one that a request means which names none."""
        self._clients: dict[str, AsyncSearchClient] = {}
        self._opened: list[SearchClient] = []
        if first is not None:
            self._clients[self.usual_collection] = AsyncSearchClient(first, capacity=settings.concurrency)
        self._roots: dict[AsyncSearchClient, tuple[float, tuple[Path, ...]]] = {}
        self._opening = asyncio.Lock()
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._waiting = 0

    @property
    def database(self) -> Database | None:
        """The database that is served; None where it is a client's."""
        return None if isinstance(self._source, SearchClient) else self._source

    async def client(self, collection: str) -> AsyncSearchClient:
        """The client of a collection, opened at its first use. Raises `CollectionNotFound`."""
        client = self._clients.get(collection)
        if client is None:
            async with self._opening:
                client = self._clients.get(collection)
                if client is None:
                    client = self._clients[collection] = await asyncio.to_thread(self._open, collection)
        return client

    async def collections(self) -> list[str]:
        """The names of all that are served, in order."""
        if isinstance(self._source, SearchClient):
            return [self.usual_collection]
        return sorted(await asyncio.to_thread(self._source.collections))

    def allowed(self, scope: Scope) -> Any:
        """For a route's argument, `Annotated[Access, service.allowed("search")]`: who may not is refused."""
        return Security(self.access_of, scopes=[scope])

    async def access_of(
        self,
        request: Request,
        scopes: SecurityScopes,
        bearer: HTTPAuthorizationCredentials | None = Security(_BEARER),  # noqa: ARG002, B008 - says so in the OpenAPI
    ) -> Access:
        """What the caller may do. Raises `ServiceError` where that is not what the route takes."""
        return self.admit(request, scopes.scopes[-1])  # type: ignore[arg-type]

    def admit(self, request: Request, needed: Scope) -> Access:
        """Who a request is of. Raises `ServiceError` where it may not do what takes this scope; nothing else of it is read."""
        if needed != "search" and self.settings.read_only:
            raise ServiceError("not-offered", "this service is read-only (`semblant serve --read-only`)")
        access = self._key_of(request)
        if not access.allows(needed):
            raise ServiceError("scope-missing", f"key {access.key!r} has the scope {access.scope!r}; this takes {needed!r}")
        return access

    def _key_of(self, request: Request) -> Access:
        if self._keys is None:
            return ANYONE
        known: Access | None = getattr(request.state, "access", None)
        if known is not None:
            return known
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not key.strip():
            raise ServiceError(
                "key-required", "expected a key, as Authorization: Bearer sk_…", headers={"WWW-Authenticate": "Bearer"}
            )
        try:
            access = self._keys.access(key.strip())
        except StoreError as error:  # it names the file: that is for nobody outside
            if str(error) != self._keys_fault:  # once, not for each who comes
                self._keys_fault = str(error)
                _logger.error("nobody can be let in: %s", error)
            raise ServiceError("keys-unavailable", "the service cannot read its keys; its log says why") from error
        self._keys_fault = ""
        request.state.access, request.state.key = access, access.key
        return access

    async def roots(self, client: AsyncSearchClient) -> tuple[Path, ...]:
        """The folders whose files are given out; those of the collection's sources are read again after some seconds."""
        if self.settings.roots:
            return self.settings.roots
        known = self._roots.get(client)
        if known is None or monotonic() - known[0] > _ROOTS_SECONDS:
            known = self._roots[client] = (monotonic(), source_folders(await client.sources()))
        return known[1]

    async def fetch(self, url: str) -> bytes:
        """The picture at a URL. Raises `ServiceError`."""
        if self.fetcher is None:
            raise ServiceError(
                "not-offered", "this service fetches no pictures (`semblant serve --allow-urls HOST`)", pointer="/url"
            )
        with self.telemetry.stage("read"):
            return await self.fetcher.fetch(url)

    @asynccontextmanager
    async def files(self, client: AsyncSearchClient) -> AsyncIterator[None]:
        """Within it, calls of the client open the files of pictures in those folders; elsewhere they open none."""
        with only_under(await self.roots(client)):
            yield

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A place among the requests at work. Raises `ServiceError` where too many wait already."""
        if self._slots.locked() and self._waiting >= self.settings.queue:
            raise ServiceError(
                "too-busy",
                f"{self.settings.concurrency} requests are at work and {self._waiting} wait; come again in a second",
                headers={"Retry-After": "1"},
            )
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()

    @asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncIterator[None]:
        """Open from the first request to the last one."""
        warming = asyncio.create_task(self._warm_up())
        try:
            yield
        finally:
            self.state = "stopping"
            warming.cancel()
            self.long_answers.close()
            for client in self._clients.values():
                await client.aclose()
            for opened in self._opened:
                await asyncio.to_thread(opened.close)

    async def _warm_up(self) -> None:
        """Load the encoder: the first picture of a process takes a second that nobody should wait for."""
        try:
            client = await self.client(self.usual_collection)
            await client.embed([_blank()])
        except CollectionNotFound:
            _logger.info("there is no collection %s yet", shown(self.usual_collection))
        except SemblantError as error:
            _logger.warning("pictures cannot be encoded: %s", error)
        self.state = "ready"

    def _open(self, collection: str) -> AsyncSearchClient:
        if isinstance(self._source, SearchClient):
            raise CollectionNotFound(f"collection {shown(collection)}: this service has {self.usual_collection!r} only")
        try:
            client = SearchClient(self._source, collection=collection, max_pixels=self.settings.max_pixels)
        except CollectionNotFound as error:  # which says where the database is: that is for nobody outside
            there = ", ".join(sorted(self._source.collections())) or "none yet"
            raise CollectionNotFound(f"there is no collection {shown(collection)}; there: {there}") from error
        self._opened.append(client)
        return AsyncSearchClient(client, capacity=self.settings.concurrency)


def _blank() -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (64, 64), (128, 128, 128)).save(file, "PNG")
    return file.getvalue()
