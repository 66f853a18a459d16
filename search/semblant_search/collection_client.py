"""A client of one collection, before it is searched: opening, following, reading and changing what it holds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .collection import check_collection_name
from .errors import InvalidInput
from .images import DEFAULT_MAX_PIXELS
from .querying.requests import check_limit, check_max_pixels, check_refresh
from .querying.resolving import id_of, picture_of
from .serving import Serving, Settings
from .store import Database, open_database
from .where import as_where

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

    from qdrant_client import QdrantClient
    from typing_extensions import Self

    from .collection import Manifest
    from .encoder import Encoder
    from .results import Picture
    from .serving import Generation
    from .store import RetryPolicy
    from .where import Where

__all__ = ["CollectionClient"]


class CollectionClient:
    """One collection, open. `SearchClient`, which says what the arguments are, searches it."""

    def __init__(
        self,
        db: str | os.PathLike[str] | QdrantClient | Database,
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
    ) -> None:
        check_collection_name(collection)
        refresh = check_refresh(refresh)
        if timeout <= 0:
            raise InvalidInput(f"timeout {timeout}: expected seconds, more than 0")
        self._max_pixels = check_max_pixels(max_pixels)
        settings = Settings(encoder, self._max_pixels, threads, None if providers is None else tuple(providers))
        self._owns_database = not isinstance(db, Database)
        self._database = db if isinstance(db, Database) else open_database(db, api_key=api_key, timeout=timeout, retry=retry)
        self._collection = collection
        try:
            self._serving = Serving(self._database, collection, settings, refresh=refresh)
        except BaseException:
            if self._owns_database:
                self._database.close()
            raise

    def __repr__(self) -> str:
        if self._serving.closed:
            return f"{type(self).__name__}(closed)"
        return f"{type(self).__name__}({self._database.location!r}, collection={self._collection!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Release the database; the client answers nothing afterwards. Closing twice is no error."""
        self._serving.close()
        if self._owns_database:
            self._database.close()

    @property
    def manifest(self) -> Manifest:
        """What the collection knows about itself: its encoder's card, its fields and their types, its ORB settings."""
        return self._serving.call(lambda generation: generation.manifest)

    def count(self, where: str | Where | None = None) -> int:
        """How many pictures match a filter, exactly; all without one."""
        chosen = as_where(where)
        return self._serving.call(lambda generation: generation.store.count(chosen))

    def facet(self, field: str, *, where: str | Where | None = None, limit: int = 100) -> dict[Any, int]:
        """The values of a field with the number of pictures that have each, most frequent first, at most `limit` values."""
        chosen, most = as_where(where), check_limit(limit)
        return self._serving.call(lambda generation: generation.store.facet(field, where=chosen, limit=most))

    def get(self, picture: str | os.PathLike[str]) -> Picture:
        """One picture of the collection by URI, path or point id. Raises `PointNotFound`."""
        return self._serving.call(lambda generation: picture_of(generation.store, picture))

    def delete(self, pictures: Iterable[str | os.PathLike[str]]) -> int:
        """Remove pictures, given by URI, path or point id, from the collection, and say how many of them were in it.

        The files stay where they are.
        """
        if isinstance(pictures, (str, os.PathLike)):
            raise InvalidInput(f"delete({os.fspath(pictures)!r}): expected a list of pictures, not one")
        wanted = sorted({id_of(picture) for picture in pictures})

        def delete(generation: Generation) -> int:
            ids = [record.id for record in generation.store.retrieve(wanted, fields=())]
            if ids:
                generation.store.delete(ids)
            return len(ids)

        return self._serving.call(delete)
