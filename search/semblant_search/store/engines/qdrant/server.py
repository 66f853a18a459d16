"""A database on a Qdrant server or cluster, through qdrant-client.

alias       <name>                         → the serving generation, switched atomically
collection  <name>__<generation>           pictures; the manifest is in its metadata
collection  <name>__<generation>__assets   no vectors: the encoder and the vocabulary in parts, so that a client needs
                                           nothing but the URL
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from semblant_search.collection import (
    Manifest,
    check_collection_name,
)
from semblant_search.errors import CollectionNotFound, InvalidInput, StoreError
from semblant_search.store.checks import (
    check_generation,
    is_generation,
    not_found,
)

from .connection import Connection, RetryPolicy, connect
from .store import QdrantStore
from .translation import ASSETS, METADATA, config, physical_name

if TYPE_CHECKING:
    from qdrant_client import QdrantClient


__all__ = ["QdrantDatabase"]

_OLDEST_SERVER = (1, 20)  # the first that matches substrings; prefixes came with 1.19, TurboQuant with 1.18


class QdrantDatabase:
    """Collections on a server; see `Database`.

    Args:
        url: `http(s)://host:port`, `grpc(s)://host:port`.
        api_key: for a server that asks for one.
        timeout: seconds for one request, at least 1.
        retry: when to try a request again.
        client: a client of one's own in place of a URL; it stays open.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        retry: RetryPolicy | None = None,
        client: QdrantClient | None = None,
    ) -> None:
        if (url is None) == (client is None):
            raise InvalidInput("a Qdrant database is either a URL or a client, not both or neither")
        self._owned = client is None
        if client is None:
            client = connect(str(url), api_key=api_key, timeout=timeout)
        self._connection = Connection(client, url or "client", retry or RetryPolicy())
        self._version_checked = False

    def __enter__(self) -> QdrantDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"QdrantDatabase({self.location!r})"

    @property
    def location(self) -> str:
        """The URL, for messages."""
        return self._connection.location

    def collections(self) -> dict[str, str]:
        """Names of published collections, each with the name of its serving generation."""
        serving = {}
        for alias in self._connection.call("get_aliases").aliases:
            name, _, generation = alias.collection_name.rpartition("__")
            if name == alias.alias_name and is_generation(generation):
                serving[name] = generation
        return serving

    def generations(self, collection: str) -> list[str]:
        """All generations on the server, oldest first, published or not."""
        check_collection_name(collection)
        found = []
        for description in self._connection.call("get_collections").collections:
            name, _, generation = description.name.rpartition("__")
            if name == collection and is_generation(generation) and self._manifest(collection, generation) is not None:
                found.append(generation)
        return sorted(found, key=lambda generation: int(generation[1:]))

    def open(self, collection: str, generation: str | None = None) -> QdrantStore:
        """Open the serving generation, or a named one. Raises `CollectionNotFound`, `StoreUnavailable`, `StoreDenied`."""
        check_collection_name(collection)
        self._check_version()
        if generation is None:
            serving = self.collections()
            if collection not in serving:
                raise CollectionNotFound(not_found(self.location, collection, serving))
            generation = serving[collection]
        manifest = self._manifest(collection, check_generation(generation))
        if manifest is None:
            there = ", ".join(self.generations(collection)) or "none"
            raise CollectionNotFound(
                f"collection {collection!r} on {self.location!r} has no generation {generation!r}; there: {there}"
            )
        return QdrantStore(self._connection, manifest)

    def create(self, manifest: Manifest) -> QdrantStore:
        """Make a new, empty, unpublished generation; `manifest.generation` must be new."""
        name = physical_name(check_collection_name(manifest.collection), check_generation(manifest.generation))
        self._check_version()
        if self._manifest(manifest.collection, manifest.generation) is not None:
            raise StoreError(f"collection {manifest.collection!r} already has a generation {manifest.generation!r}")
        for rest in (name, name + ASSETS):  # left by a process that was killed before it wrote the manifest
            self._connection.call("delete_collection", rest)
        self._create_collection(name + ASSETS, vectors_config={}, on_disk_payload=True)
        self._create_collection(name, on_disk_payload=True, **config(manifest))
        store = QdrantStore(self._connection, manifest)
        store.create_indexes(manifest.fields)
        store.write_manifest(manifest)  # last: only with it the collection counts as a generation
        return store

    def publish(self, collection: str, generation: str) -> None:
        """Make a generation the serving one, atomically."""
        from qdrant_client import models

        if self._manifest(collection, check_generation(generation)) is None:
            raise CollectionNotFound(
                f"collection {collection!r} on {self.location!r} has no generation {generation!r} to publish"
            )
        name = physical_name(collection, generation)
        operations: list[Any] = []
        before = {alias.alias_name: alias.collection_name for alias in self._connection.call("get_aliases").aliases}
        if collection in before:
            if collection not in self.collections():
                raise StoreError(
                    f"server {self.location!r} has an alias {collection!r} of {before[collection]!r}, which is not Semblant's; "
                    "choose another name for the collection"
                )
            operations.append(models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=collection)))
        create = models.CreateAlias(collection_name=name, alias_name=collection)
        operations.append(models.CreateAliasOperation(create_alias=create))
        self._connection.call("update_collection_aliases", change_aliases_operations=operations)

    def drop(self, collection: str, generation: str) -> None:
        """Delete a generation that is not serving."""
        if self.collections().get(check_collection_name(collection)) == check_generation(generation):
            raise StoreError(f"generation {generation!r} of {collection!r} is serving; publish another one before dropping it")
        for name in (physical_name(collection, generation), physical_name(collection, generation) + ASSETS):
            self._connection.call("delete_collection", name)

    def close(self) -> None:
        """Release connections; stores that were opened here end with it."""
        if self._owned:
            self._connection.close()

    def _check_version(self) -> None:
        """Older servers would fail later, at the first filter that they do not know."""
        if self._version_checked:
            return
        version = str(self._connection.call("info").version)
        numbers = [int(part) for part in version.split("-")[0].split(".")[:2] if part.isdigit()]
        if tuple(numbers) < _OLDEST_SERVER:
            raise StoreError(
                f"server {self.location!r} is Qdrant {version}; Semblant needs {'.'.join(map(str, _OLDEST_SERVER))} or later: "
                "update the server"
            )
        self._version_checked = True

    def _manifest(self, collection: str, generation: str) -> Manifest | None:
        name = physical_name(collection, generation)
        if not self._connection.call("collection_exists", name):
            return None
        metadata = self._connection.call("get_collection", name).config.metadata or {}
        return Manifest.from_json(metadata[METADATA]) if METADATA in metadata else None

    def _create_collection(self, name: str, **config: Any) -> None:
        try:
            self._connection.call("create_collection", name, **config)
        except StoreError:
            # A first try whose answer was lost may have made it; nobody else uses this name.
            if not self._connection.call("collection_exists", name):
                raise
