"""A database on a Qdrant server or cluster, through qdrant-client.

alias       <name>                         → the serving generation, switched atomically
collection  <name>__<generation>           pictures; the manifest is in its metadata
collection  <name>__<generation>__assets   no vectors: the encoder and the vocabulary in parts, so that a client needs
                                           nothing but the URL
collection  <name>__lease                  one point: who is building and publishing generations
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

from semblant_search.errors import InvalidInput, StoreError
from semblant_search.store.database import Database
from semblant_search.store.engines.payload_indexes import filtered_first
from semblant_search.store.names import is_generation, node_urls, without_password

from .connection import Connection, Deadline, RetryPolicy, connect
from .engine import QdrantEngine
from .lease import Lease
from .translation import ASSETS, config, manifest_of, physical_name, spread
from .version import Version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from qdrant_client import QdrantClient

    from semblant_search.collection import Manifest
    from semblant_search.store.engines.base import Claim

__all__ = ["QdrantDatabase", "QdrantServer"]


class QdrantDatabase(Database):
    """Collections on a server.

    Args:
        url: `http(s)://host:port`, `grpc(s)://host:port`; of a cluster several, with commas between them: one that does not
            answer is left for the next one.
        api_key: for a server that asks for one.
        timeout: seconds for one call with all its tries (see `RetryPolicy.total_timeout`); over gRPC a try is given whole
            seconds.
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
        if timeout <= 0:
            raise InvalidInput(f"timeout {timeout}: expected more than 0 seconds")
        urls = [] if url is None else node_urls(url)
        deadline, owned = Deadline(len(urls) or 1), client is None
        location = "client" if url is None else without_password(url)
        nodes = [partial(connect, each, api_key=api_key, timeout=timeout, deadline=deadline) for each in urls]
        first = client if client is not None else nodes[0]()
        policy = retry or RetryPolicy()
        connection = Connection(first, location, policy, timeout, deadline, nodes[0] if nodes else None, nodes[1:])
        super().__init__(QdrantServer(connection, owned=owned))


class QdrantServer:
    """A server as a place for collections; see `Backend`.

    Args:
        connection: to the server.
        owned: close it with this.
    """

    def __init__(self, connection: Connection, *, owned: bool = True) -> None:
        self._connection = connection
        self._owned = owned
        self._version = Version(lambda: str(connection.call("info").version), connection.location)
        self._leases: dict[str, Lease] = {}

    @property
    def location(self) -> str:
        """The URL, for messages."""
        return self._connection.location

    def check(self) -> None:
        """Servers before 1.16 keep no metadata of collections, and know no conditional writes."""
        self._version.check()

    def serving(self) -> dict[str, str]:
        """What the aliases say, of those that are Semblant's."""
        serving = {}
        for alias, target in self._aliases().items():
            name, _, generation = target.rpartition("__")
            if name == alias and is_generation(generation):
                serving[name] = generation
        return serving

    def generations(self, collection: str) -> list[str]:
        """Those that have a manifest."""
        found = []
        for description in self._connection.call("get_collections").collections:
            name, _, generation = description.name.rpartition("__")
            if name == collection and is_generation(generation) and self.manifest(collection, generation) is not None:
                found.append(generation)
        return found

    def manifest(self, collection: str, generation: str) -> Manifest | None:
        """What the collection's metadata say, None where there is none."""
        name = physical_name(collection, generation)
        if not self._connection.call("collection_exists", name):
            return None
        return manifest_of(self._connection.call("get_collection", name))

    def asset(self, collection: str, generation: str, name: str) -> bytes | None:
        """A file kept with a generation."""
        manifest = self.manifest(collection, generation)
        return None if manifest is None else self.open(collection, generation, manifest).asset(name)

    def assets(self, collection: str, generation: str) -> list[str]:
        """Names of the files kept with a generation."""
        manifest = self.manifest(collection, generation)
        return [] if manifest is None else self.open(collection, generation, manifest).assets()

    def put_asset(self, collection: str, generation: str, name: str, data: bytes) -> None:
        """Keep a file with a generation."""
        manifest = self.manifest(collection, generation)
        if manifest is not None:
            self.open(collection, generation, manifest).put_asset(name, data)

    def open(self, collection: str, generation: str, manifest: Manifest) -> QdrantEngine:
        """Open a generation."""
        check = partial(self._check_claim, collection)
        name = physical_name(collection, generation)
        return QdrantEngine(self._connection, name, manifest, self._version, check)

    def create(self, manifest: Manifest) -> QdrantEngine:
        """Make an empty generation."""
        self._version.check_storage(manifest.storage)
        self._check_claim(manifest.collection, confirm=True)
        name = physical_name(manifest.collection, manifest.generation)
        for rest in (name, name + ASSETS):  # left by a process that was killed before it wrote the manifest
            self._connection.call("delete_collection", rest)
        over = spread(manifest.storage)
        replicas = {name: value for name, value in over.items() if name != "shard_number"}
        self._create_collection(name + ASSETS, vectors_config={}, on_disk_payload=True, **replicas)
        self._create_collection(name, on_disk_payload=True, **over, **config(manifest))
        engine = self.open(manifest.collection, manifest.generation, manifest)
        engine.made()
        for field in sorted(manifest.fields, key=filtered_first):
            engine.create_index(field, manifest.fields[field])
        engine.write_manifest(manifest)  # last: only with it the collection counts as a generation
        return engine

    def check_name(self, collection: str) -> None:
        """Raise `StoreError` where an alias or a collection of that name is not Semblant's."""
        aliases = self._aliases()
        if collection in aliases:
            if collection not in self.serving():
                raise StoreError(
                    f"server {self.location!r} has an alias {collection!r} of {aliases[collection]!r}, which is not "
                    "Semblant's; choose another name for the collection"
                )
        elif self._connection.call("collection_exists", collection):
            raise StoreError(
                f"server {self.location!r} has a collection {collection!r}, which is not Semblant's; choose another name for "
                "the collection"
            )

    def publish(self, collection: str, generation: str) -> None:
        """Replace the alias. Raises `StoreError` where something of that name is not Semblant's."""
        from qdrant_client import models

        self._check_claim(collection, confirm=True)
        self.check_name(collection)
        operations: list[Any] = []
        if collection in self._aliases():
            operations.append(models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=collection)))
        create = models.CreateAlias(collection_name=physical_name(collection, generation), alias_name=collection)
        operations.append(models.CreateAliasOperation(create_alias=create))
        self._connection.call("update_collection_aliases", change_aliases_operations=operations)

    def drop(self, collection: str, generation: str) -> None:
        """Delete a generation's collections."""
        self._check_claim(collection, confirm=True)
        for name in (physical_name(collection, generation), physical_name(collection, generation) + ASSETS):
            self._connection.call("delete_collection", name)

    def claim(self, collection: str, wait: float) -> AbstractContextManager[Claim]:
        """A lease. Where it is lost, nothing of the collection can be changed through this database any more."""
        return self._hold(collection, wait, to_the_end=True)

    def claim_opened(self, collection: str) -> AbstractContextManager[object]:
        """A lease, too: others write to what is open here. Where it is lost, that ends this change only."""
        return self._hold(collection, 0.0, to_the_end=False)

    @contextlib.contextmanager
    def _hold(self, collection: str, wait: float, *, to_the_end: bool) -> Iterator[Claim]:
        with Lease(self._connection, collection, wait) as lease:
            self._leases[collection] = lease
            try:
                yield lease
            finally:
                if self._leases.get(collection) is lease and not (lease.lost and to_the_end):
                    del self._leases[collection]

    def exclusive(self) -> AbstractContextManager[object]:
        """Nothing: a server switches an alias in one step."""
        return contextlib.nullcontext()

    def close(self) -> None:
        """Close the connection, unless the client is a user's own."""
        if self._owned:
            self._connection.close()

    def _check_claim(self, collection: str, *, confirm: bool = False) -> None:
        """Raise `StoreLocked` where the collection was claimed, and is not any more. What nobody claimed may be changed."""
        lease = self._leases.get(collection)
        if lease is not None:
            lease.confirm() if confirm else lease.check()

    def _aliases(self) -> dict[str, str]:
        """All of them, each with the collection that it stands for."""
        return {alias.alias_name: alias.collection_name for alias in self._connection.call("get_aliases").aliases}

    def _create_collection(self, name: str, **config: Any) -> None:
        try:
            self._connection.call("create_collection", name, **config)
        except StoreError:
            # A first try whose answer was lost may have made it; nobody else uses this name.
            if not self._connection.call("collection_exists", name):
                raise
