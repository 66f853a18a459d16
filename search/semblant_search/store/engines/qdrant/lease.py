"""One writer at a time on a server: a lease that its holder renews, and that ends by itself where the holder died.

    collection  <name>__lease     one point, whose `state` is another one after each change

A change is an upsert on the condition that the state is what it was read as (`update_filter`), and is read back: of two
processes that try the same one succeeds. Nobody compares the clocks of two machines. Who waits looks at the state, and takes
the lease over where it stayed the same for as long as the lease lasts, by a clock of its own.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from semblant_search.errors import CollectionNotFound, JobAtWork, StoreError, StoreLocked, StoreUnavailable
from semblant_search.store.engines.base import Claim
from semblant_search.store.engines.process import is_dead, owner, this_process
from semblant_search.store.files import WAITING

if TYPE_CHECKING:
    from typing_extensions import Self

    from .connection import Connection

__all__ = ["LEASE", "Lease"]

_logger = logging.getLogger(__name__)
LEASE = "__lease"
TTL = 60.0
"""Seconds that a lease lasts after it was taken or renewed."""
RENEWAL = 15.0
"""Seconds between two renewals."""
_LOOK = 0.5
_GRACE = 5.0  # seconds to give it back: where a server does not answer, it ends by itself
_FREE = "free"
_POINT = str(uuid.uuid5(uuid.NAMESPACE_OID, "lease"))
_REPLICAS = 3  # or as many as there are nodes: a node that dies does not take the lease with it
_PATIENCE = 10.0  # seconds until each node of a cluster knows a collection that was just made


@dataclass(frozen=True)
class _Holding:
    """What the point says.

    Attributes:
        state: another one after each change; `free` where nobody has the lease.
        token: of the holder.
        owner, since, renewed: for people, by the holder's clock.
        ttl: seconds that it lasts.
        place: the holder's, see `this_process`.
    """

    state: str
    token: str = ""
    owner: str = ""
    since: str = ""
    renewed: str = ""
    ttl: float = 0.0
    place: str = ""

    @property
    def until(self) -> datetime:
        return datetime.fromisoformat(self.renewed) + timedelta(seconds=self.ttl)

    def __str__(self) -> str:
        return f"{self.owner}, since {_short(self.since)}, until {_short(self.until.isoformat())} unless it goes on"

    def seems_alive(self) -> bool:
        """By two clocks that nobody compared, so that it is a hint only."""
        age = (datetime.now(timezone.utc) - datetime.fromisoformat(self.renewed)).total_seconds()
        return abs(age) <= self.ttl and not is_dead(self.place)


class Lease(Claim):
    """A claim on a collection of a server; a context manager that holds it.

    Args:
        connection: to the server.
        collection: its name.
        wait: seconds to wait for another holder's end.

    Raises:
        JobAtWork: somebody else holds it.
    """

    def __init__(self, connection: Connection, collection: str, wait: float = 0.0) -> None:
        self._connection = connection
        self._collection = collection
        self._wait = wait
        self._token = uuid.uuid4().hex
        self._since = _now()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._confirmed = _clocks()
        self._lost = ""
        self._keeper = threading.Thread(target=self._keep, name="semblant-lease", daemon=True)

    @property
    def lost(self) -> bool:
        """Whether somebody else took it over."""
        return bool(self._lost)

    def __enter__(self) -> Self:
        self._make()
        self._take()
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._keeper.join(_GRACE)

    def check(self) -> None:
        """Raise `StoreLocked` where the lease is lost. Costs a request only where it was not renewed for some time."""
        if not self._lost and self._age() < TTL / 2:
            return
        try:
            self.confirm()
        except StoreUnavailable:
            if self._age() >= TTL:
                raise

    def confirm(self) -> None:
        """Renew the lease now, or raise `StoreLocked` where it is lost."""
        with self._lock:
            if not self._lost:
                self._renew()
            if self._lost:
                raise StoreLocked(self._lost)

    def _renew(self) -> None:
        began = _clocks()
        try:
            there = self._read()
            if there.token == self._token:
                there = self._change(there.state, self._holding())
        except CollectionNotFound:
            there = _Holding(_FREE)
        if there.token == self._token:
            self._confirmed = began
            return
        other = "somebody else had it meanwhile" if there.state == _FREE else f"it is that of {there.owner} now"
        self._lost = (
            f"this job has lost its claim on {self._what}, which it did not renew for {self._age():.0f} s: {other}. It "
            "stops before it changes anything more; what it wrote before is kept. Run it again when the other one is done"
        )

    def _keep(self) -> None:
        """Renew it until the end, and give it back then, from a thread of its own."""
        while not self._ended.wait(RENEWAL):
            try:
                self.confirm()
            except StoreLocked as error:
                _logger.warning("%s", error)
                return
            except StoreError as error:  # `check` tells the job where it lasts
                _logger.info("the claim on %s is not renewed: %s", self._what, error)
        with self._lock, contextlib.suppress(StoreError):
            there = self._read()
            if there.token == self._token:
                self._change(there.state, _Holding(_FREE))

    def _take(self) -> None:
        """Raises `StoreLocked`."""
        end, told, seen, since, alive = time.monotonic() + self._wait, "", "", 0.0, False
        while True:
            there, moment = self._read(), time.monotonic()
            if there.state != seen:
                seen, since, alive = there.state, moment, alive or seen != ""
            expired = moment - since >= there.ttl or is_dead(there.place)
            if there.state == _FREE or expired:
                self._confirmed = _clocks()
                there = self._change(there.state, self._holding())
                if there.token == self._token:
                    return
            elif moment >= end and (alive or there.seems_alive()):
                raise JobAtWork(f"{self._what} has another job at work ({there}); {WAITING}")
            elif told != there.token:
                told = there.token
                _logger.warning("%s has another job at work (%s); waiting until it ends", self._what, there)
            if there.state != _FREE:
                time.sleep(_LOOK)

    def _holding(self) -> _Holding:
        return _Holding(uuid.uuid4().hex, self._token, owner(), self._since, _now(), TTL, this_process())

    def _make(self) -> None:
        """Make the collection of the lease where there is none."""
        from qdrant_client import models

        name = self._collection + LEASE
        if not self._connection.call("collection_exists", name):
            options: dict[str, Any] = {
                "vectors_config": {},
                "shard_number": 1,
                "replication_factor": _REPLICAS,
                "on_disk_payload": True,
                "wal_config": models.WalConfigDiff(wal_capacity_mb=1),
                "optimizers_config": models.OptimizersConfigDiff(default_segment_number=1),
            }
            try:
                self._connection.call("create_collection", name, **options)
            except StoreError:
                if not self._connection.call("collection_exists", name):  # two may make it at once
                    raise

    def _read(self) -> _Holding:
        found = self._patiently("retrieve", ids=[_POINT], with_payload=True)
        if not found:
            return _Holding(_FREE)
        known = {item.name for item in fields(_Holding)}  # a newer version may say more
        return _Holding(**{name: value for name, value in found[0].payload.items() if name in known})

    def _change(self, before: str, after: _Holding) -> _Holding:
        """Change the point where its state is still `before`; returns what it says then."""
        from qdrant_client import models

        unchanged = models.FieldCondition(key="state", match=models.MatchValue(value=before))
        self._patiently(
            "upsert",
            points=[models.PointStruct(id=_POINT, vector={}, payload=vars(after))],
            update_filter=models.Filter(must=[unchanged]),
            ordering=models.WriteOrdering.STRONG,
            wait=True,
        )
        return self._read()

    def _patiently(self, method: str, **options: Any) -> Any:
        """A call that is made again for a while where a node does not know the collection yet."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._connection.call(method, self._collection + LEASE, **options)
            except CollectionNotFound:
                if time.monotonic() >= end or self._ended.is_set():
                    raise
            time.sleep(0.05)

    @property
    def _what(self) -> str:
        return f"collection {self._collection!r} of {self._connection.location!r}"

    def _age(self) -> float:
        """Seconds since the lease was known to be held, by the clock that says most: some stand still in a sleeping machine."""
        return max(now - then for now, then in zip(_clocks(), self._confirmed, strict=True))


def _clocks() -> tuple[float, ...]:
    return time.monotonic(), time.time()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _short(moment: str) -> str:
    return datetime.fromisoformat(moment).strftime("%Y-%m-%dT%H:%M:%SZ")
