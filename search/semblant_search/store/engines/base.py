"""What an engine does for a store. `Store` and `Database` check, decide and page; an engine only translates.

Everything that reaches an engine has been checked. It raises `StoreError`s, never exceptions of its own library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from semblant_search.collection import FieldType, Manifest
    from semblant_search.fork_safe import ForkSafeLock
    from semblant_search.store.queries import Query
    from semblant_search.store.records import Point, Record, ScoredRecord
    from semblant_search.where import Where

__all__ = ["Backend", "Claim", "Engine", "Paths", "Search"]

Paths = bool | list[str]
"""Payload to return: True is the whole of it, False none, a list is JSON paths."""


class Search(NamedTuple):
    """A `SearchRequest` in an engine's terms.

    Attributes:
        query: any kind but `Recommend` by average, which is a `Nearest`.
        limit, offset, exact, ef_search: as in the request; `limit` no more than there are points, where it was large.
        filter: as `Engine.filter` returned it.
        paths: payload to return.
        scale: by what the engine's scores are divided: they add up over asked cells.
        score_threshold: of the engine's score.
    """

    query: Query
    limit: int
    offset: int
    filter: Any
    paths: Paths
    exact: bool
    ef_search: int | None
    scale: int
    score_threshold: float | None


class Engine(Protocol):
    """One generation of one collection. May be called from many threads.

    Attributes:
        writing: held by whoever in this process changes what was read before; may be taken again by who holds it.
    """

    writing: ForkSafeLock

    @property
    def name(self) -> str:
        """What and where it is, for messages."""
        ...

    def filter(self, where: Where, fields: Mapping[str, FieldType]) -> Any:
        """The engine's filter. Raises `WhereError`."""
        ...

    def search(self, searches: Sequence[Search]) -> list[list[ScoredRecord]]:
        """Hits of each, best first, in one request."""
        ...

    def retrieve(self, ids: Sequence[str], paths: Paths, vectors: Sequence[str]) -> list[Record]:
        """The records that exist, in no particular order, with the named vectors."""
        ...

    def scroll(
        self, filter: Any, paths: Paths, vectors: Sequence[str], limit: int, start: Any
    ) -> tuple[list[Record], Any | None]:
        """Up to `limit` records in the order of their ids, and where to start the next time, None at the end."""
        ...

    def ordered(
        self, path: str, descending: bool, filter: Any, paths: Paths, vectors: Sequence[str], limit: int
    ) -> tuple[list[tuple[float, Record]], bool]:
        """Up to `limit` records in the order of a field's values, each with its value; dates as microseconds since 1970.

        Ties come in any order, a record with several values several times, one without none. With them, whether there may be
        more: an engine may give fewer than were asked for.
        """
        ...

    def count(self, filter: Any) -> int:
        """How many records match, exactly."""
        ...

    def allows_exact(self) -> bool:
        """Whether a search may compare all records: a server in strict mode can forbid it."""
        ...

    def facet(self, path: str, filter: Any, limit: int) -> dict[Any, int] | None:
        """Exact counts of the most frequent values, in any order, or None where the engine cannot count this field."""
        ...

    def payload_fits(self, payload: Mapping[str, Any]) -> bool:
        """Whether a request can carry a point with it."""
        ...

    def upsert(self, points: Sequence[Point], images: list[list[float]]) -> None:
        """Write points, whose `image` is in `images` already. Durable on return."""
        ...

    def overwrite(self, payloads: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace whole payloads. Durable on return."""
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points."""
        ...

    def create_index(self, field: str, kind: FieldType) -> None:
        """Make a payload index, in place of one of another type; there on return, unless the engine has no room for it."""
        ...

    def unindexed(self, fields: Mapping[str, FieldType]) -> list[str]:
        """Those of the fields that have no payload index, for which there was no room."""
        ...

    def read_manifest(self) -> Manifest:
        """The manifest as it is now. Raises `CollectionNotFound` where the generation is gone."""
        ...

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest, atomically."""
        ...

    def optimize(self, tell: Callable[[int, int], None], *, beside: bool) -> bool:
        """Build what makes searches fast; whether it is done. `tell` is called with vectors indexed, and all.

        With `beside`, other threads of this process go on, and what `tell` raises ends it.
        """
        ...

    def asset(self, name: str) -> bytes | None:
        """A file kept with the generation, or None."""
        ...

    def assets(self) -> list[str]:
        """Names of the files that are kept, in any order."""
        ...

    def put_asset(self, name: str, data: bytes) -> None:
        """Keep a file with the generation, atomically."""
        ...

    def drop_asset(self, name: str) -> None:
        """Keep a file no longer; none is no error."""
        ...

    def close(self) -> None:
        """Release the engine."""
        ...


class Claim:
    """What a job holds while it changes a collection. This one, once held, cannot be lost."""

    def check(self) -> None:
        """Raise `StoreLocked` where it is not held any more: another job may be at work by now."""

    def confirm(self) -> None:
        """As `check`, and as surely as can be."""


class Backend(Protocol):
    """Where collections live, in an engine's terms."""

    @property
    def location(self) -> str:
        """The directory or URL, for messages; without secrets."""
        ...

    def check(self) -> None:
        """Raise `StoreError` where this cannot be used at all: a server that is too old."""
        ...

    def serving(self) -> dict[str, str]:
        """Published collections, each with its serving generation."""
        ...

    def generations(self, collection: str) -> list[str]:
        """All whole generations, in any order."""
        ...

    def manifest(self, collection: str, generation: str) -> Manifest | None:
        """The manifest of a whole generation, None where there is none."""
        ...

    def asset(self, collection: str, generation: str, name: str) -> bytes | None:
        """A file kept with a whole generation, also while another process has it open; None where there is none."""
        ...

    def assets(self, collection: str, generation: str) -> list[str]:
        """Names of the files that are kept with a whole generation, in any order; also while another process has it open."""
        ...

    def put_asset(self, collection: str, generation: str, name: str, data: bytes) -> None:
        """Keep a file with a whole generation, atomically, also while another process has it open; nothing without one."""
        ...

    def open(self, collection: str, generation: str, manifest: Manifest) -> Engine:
        """Open a generation that exists."""
        ...

    def create(self, manifest: Manifest) -> Engine:
        """Make an empty generation, in place of what an interrupted creation may have left."""
        ...

    def check_name(self, collection: str) -> None:
        """Raise `StoreError` where something else has the name, so that a generation could never be published under it."""
        ...

    def publish(self, collection: str, generation: str) -> None:
        """Make a generation that exists the serving one, atomically."""
        ...

    def drop(self, collection: str, generation: str) -> None:
        """Delete a generation that does not serve; none is no error."""
        ...

    def claim(self, collection: str, wait: float) -> AbstractContextManager[Claim]:
        """Held by a job while it changes a collection. Raises `StoreLocked` where another one holds it for `wait` seconds."""
        ...

    def claim_opened(self, collection: str) -> AbstractContextManager[object]:
        """Held while a generation that is open is changed in more than one step: as `claim`, where opening does not do."""
        ...

    def exclusive(self) -> AbstractContextManager[object]:
        """Held while a pointer is read and rewritten, where others could come between."""
        ...

    def close(self) -> None:
        """Release connections."""
        ...
