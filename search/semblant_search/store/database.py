"""The database: where collections live. Written once, over any engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semblant_search.collection import check_collection_name
from semblant_search.errors import CollectionNotFound, StoreError

from .names import check_asset_name, check_generation, not_found
from .store import Store

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from typing_extensions import Self

    from semblant_search.collection import Manifest

    from .engines.base import Backend, Claim

__all__ = ["Database"]


class Database:
    """Finds, makes, publishes and drops generations of collections. A context manager; `open_database` makes one."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.location!r})"

    @property
    def location(self) -> str:
        """The directory or URL, for messages; a password in a URL is hidden."""
        return self._backend.location

    def collections(self) -> dict[str, str]:
        """Names of published collections, each with the name of its serving generation."""
        return self._backend.serving()

    def manifests(self) -> dict[str, Manifest]:
        """Names of published collections, each with what its serving generation remembers about itself."""
        self._backend.check()
        found = {name: self._backend.manifest(name, generation) for name, generation in sorted(self.collections().items())}
        return {name: manifest for name, manifest in found.items() if manifest is not None}  # one may be dropped meanwhile

    def generations(self, collection: str) -> list[str]:
        """All whole generations, oldest first, published or not."""
        found = self._backend.generations(check_collection_name(collection))
        return sorted(found, key=lambda generation: int(generation[1:]))

    def manifest(self, collection: str, generation: str) -> Manifest | None:
        """What a generation remembers about itself, also while another process has it open; None where there is none."""
        return self._backend.manifest(check_collection_name(collection), check_generation(generation))

    def asset(self, collection: str, generation: str, name: str) -> bytes | None:
        """A file that a generation keeps, also while another process has it open; None where there is none."""
        check_asset_name(name)
        return self._backend.asset(check_collection_name(collection), check_generation(generation), name)

    def assets(self, collection: str, generation: str) -> list[str]:
        """Names of the files that a generation keeps, in order, also while another process has it open."""
        return sorted(self._backend.assets(check_collection_name(collection), check_generation(generation)))

    def put_asset(self, collection: str, generation: str, name: str, data: bytes) -> None:
        """Keep a small file with a generation, in place of one of that name, also while another process has it open."""
        check_asset_name(name)
        self._backend.put_asset(check_collection_name(collection), check_generation(generation), name, data)

    def open(self, collection: str, generation: str | None = None) -> Store:
        """Open the serving generation, or a named one.

        Raises:
            CollectionNotFound: there is none of that name.
            StoreLocked: another process has the directory open.
            StoreUnavailable, StoreDenied: the server cannot be used.
        """
        check_collection_name(collection)
        if generation is not None:
            check_generation(generation)
        self._backend.check()
        if generation is None:
            serving = self.collections()
            if collection not in serving:
                raise CollectionNotFound(not_found(self.location, collection, serving))
            generation = serving[collection]
        manifest = self._backend.manifest(collection, generation)
        if manifest is None:
            there = ", ".join(self.generations(collection)) or "none"
            raise CollectionNotFound(
                f"collection {collection!r} in {self.location!r} has no generation {generation!r}; there: {there}"
            )
        return Store(self._backend.open(collection, generation, manifest), manifest)

    def create(self, manifest: Manifest) -> Store:
        """Make a new, empty, unpublished generation; `manifest.generation` must be new."""
        collection, generation = check_collection_name(manifest.collection), check_generation(manifest.generation)
        self._backend.check()
        if self._backend.manifest(collection, generation) is not None:
            raise StoreError(f"collection {collection!r} already has a generation {generation!r}")
        return Store(self._backend.create(manifest), manifest)

    def check_name(self, collection: str) -> None:
        """Raise `StoreError` where something that is not Semblant's has the name: before anything is built to be published."""
        self._backend.check_name(check_collection_name(collection))

    def claim(self, collection: str, wait: float = 0.0) -> AbstractContextManager[Claim]:
        """To be held by whoever builds and publishes generations, from the first look at what is there to the last change.

        One at a time: in a directory by the lock of a file, which ends with its process. On a server by a lease, which ends a
        minute after its process at the latest; were it lost, to somebody who took this process for dead, this database changes
        nothing more of the collection.

        Args:
            collection: its name.
            wait: seconds to wait for another job's end.

        Raises:
            StoreLocked: another job holds it, with its process and since when; or it was lost, at the next change.
        """
        return self._backend.claim(check_collection_name(collection), wait)

    def claim_opened(self, collection: str) -> AbstractContextManager[object]:
        """To be held by whoever changes the serving generation in more than one step, and has it open.

        On a server a `claim`. In a directory nothing: who has a generation open has it to himself, and a job that builds the
        next one meanwhile takes the changes over. Only a job inside this process, which shares what is open, is waited for.

        Raises:
            StoreLocked: such a job is at work.
        """
        return self._backend.claim_opened(check_collection_name(collection))

    def publish(self, collection: str, generation: str) -> None:
        """Make a generation the serving one, atomically."""
        check_collection_name(collection)
        if self._backend.manifest(collection, check_generation(generation)) is None:
            raise CollectionNotFound(
                f"collection {collection!r} in {self.location!r} has no generation {generation!r} to publish"
            )
        with self._backend.exclusive():
            self._backend.publish(collection, generation)

    def drop(self, collection: str, generation: str) -> None:
        """Delete a generation that is not serving; one that is not there is no error."""
        check_collection_name(collection)
        check_generation(generation)
        with self._backend.exclusive():
            if self.collections().get(collection) == generation:
                raise StoreError(
                    f"generation {generation!r} of {collection!r} is serving; publish another one before dropping it"
                )
            self._backend.drop(collection, generation)

    def close(self) -> None:
        """Release connections; a server's stores that were opened here end with it."""
        self._backend.close()
