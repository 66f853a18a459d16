"""What a server in strict mode allows in one request, and requests that stay within it.

A server says what it allows only where it is asked, and may be told otherwise while it runs. So a request is made as it would
be anywhere; where it is refused, the limits are read, and it is made again in as many requests as they need.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from semblant_search.errors import CollectionNotFound, StoreError, StoreUnavailable

from .outage import missing_share

if TYPE_CHECKING:
    from collections.abc import Callable

    from .connection import Connection

__all__ = ["LimitedCollection", "Limits"]

_T = TypeVar("_T")
_PATIENCE = 10.0  # seconds until each node of a cluster knows a collection that was just made
_CHANGES = frozenset(
    {"upsert", "batch_update_points", "delete", "create_payload_index", "delete_payload_index", "update_collection"}
)


@dataclass(frozen=True)
class Limits:
    """Of one request, None where the server does not care.

    Attributes:
        records: of a scroll, hits of a search, values of a facet.
        searches: in a batch.
        points: written together.
        indexes: payload indexes of the collection.
        oversampling: of a search in quantized vectors.
        exact: whether all points may be compared or counted in one request.
    """

    records: int | None = None
    searches: int | None = None
    points: int | None = None
    indexes: int | None = None
    oversampling: float | None = None
    exact: bool = True

    def most(self, wanted: int) -> int:
        """How many records may be asked for, of those that are wanted."""
        return wanted if self.records is None else max(1, min(wanted, self.records))


class LimitedCollection:
    """A collection of a server, by the server's name.

    Args:
        connection: to the server.
        name: of the collection.
        check: called before each change; raises where it may not be made.
    """

    def __init__(self, connection: Connection, name: str, check: Callable[[], None]) -> None:
        self.connection = connection
        self.name = name
        self._check = check
        self._limits = Limits()
        self._known_at = 0.0

    def made(self) -> None:
        """It was made just now: other nodes of a cluster may not know it for a moment, and are asked again."""
        self._known_at = time.monotonic() + _PATIENCE

    def run(self, method: str, **options: Any) -> Any:
        """Call a method of the client."""
        if method in _CHANGES:
            self._check()
        while True:
            try:
                return self.connection.call(method, self.name, **options)
            except CollectionNotFound:
                if time.monotonic() >= self._known_at:
                    raise
            except StoreUnavailable as error:
                if missing := missing_share(self.connection, self.name):
                    raise StoreUnavailable(f"{error}{missing}") from error
                raise
            time.sleep(0.05)

    def within(self, ask: Callable[[Limits], _T]) -> _T:
        """What `ask` returns, which is asked again where the server allows less than was known."""
        try:
            return ask(self._limits)
        except StoreError as error:
            if type(error) is not StoreError or not self._learned():
                raise
        return ask(self._limits)

    def allows_exact(self) -> bool:
        """Whether a search may compare all points."""
        return _limits(self.run("get_collection")).exact

    def indexes(self) -> tuple[dict[str, str], bool]:
        """The payload indexes with their types, and whether the server allows no more."""
        info = self.run("get_collection")
        found = {name: str(getattr(each.data_type, "value", each.data_type)) for name, each in info.payload_schema.items()}
        most = _limits(info).indexes
        return found, most is not None and len(found) >= most

    def _learned(self) -> bool:
        """Read the limits; whether they are others than those that were known."""
        try:
            limits = _limits(self.run("get_collection"))
        except StoreError:
            return False
        changed, self._limits = limits != self._limits, limits
        return changed


def _limits(info: Any) -> Limits:
    strict = info.config.strict_mode_config
    if strict is None or not strict.enabled:
        return Limits()
    return Limits(
        records=strict.max_query_limit,
        searches=strict.search_max_batchsize,
        points=min(filter(None, (strict.upsert_max_batchsize, strict.write_rate_limit)), default=None),
        indexes=strict.max_payload_index_count,
        oversampling=strict.search_max_oversampling,
        exact=strict.search_allow_exact is not False,
    )
