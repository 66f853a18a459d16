"""What a server keeps of a collection beside its points: configuration, payload indexes, writes in progress, and its colour."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from qdrant_client import models


class Collection:
    """One collection.

    Args:
        request: how it was made.
        yellow: how many looks find it yellow after a write; -1 means all of them.
        strict: the strict mode that it is under, or None.
        late: how many requests find a node that does not know it yet.
        lag: how many counts after a write find a replica that lacks a point.
    """

    def __init__(
        self, request: models.CreateCollection, yellow: int, strict: dict[str, Any] | None, *, late: int = 0, lag: int = 0
    ) -> None:
        self.request = request
        self.metadata: dict[str, Any] = dict(request.metadata or {})
        self.strict = strict
        self.indexes: dict[str, dict[str, Any]] = {}
        self._waiting: deque[Callable[[], object]] = deque()
        self._yellow = yellow
        self._left = 0  # looks until it is green
        self._triggered = True
        self._failure = ""
        self._late, self._lag, self._behind = late, lag, 0

    def unknown(self) -> bool:
        """Whether this request finds a node that does not know the collection yet."""
        self._late -= self._late > 0
        return self._late > 0

    def behind(self, count: int) -> int:
        """A count, by the replica that is asked."""
        if self._behind == 0:
            return count
        self._behind -= 1
        return max(0, count - 1)

    def write(self, change: Callable[[], object], *, wait: bool) -> Any:
        """A change: in force on return only where it is waited for, and after those before it."""
        if wait:
            self.catch_up()
            change()
        else:
            self._waiting.append(change)
        self._left, self._triggered, self._behind = self._yellow, True, self._lag
        return {"operation_id": 0, "status": "completed" if wait else "acknowledged"}

    def catch_up(self) -> None:
        """Put the changes into force that nobody waited for."""
        while self._waiting:
            self._waiting.popleft()()

    def restart(self) -> None:
        """A server does not begin to optimize by itself after a restart, lest it crash again."""
        self.catch_up()
        self._triggered = False

    def shards(self, silent: list[int]) -> Any:
        """What `GET /collections/{name}/cluster` answers: each shard is on a node of its own, the first on this one."""
        count = self.request.shard_number or 1
        remote = [{"shard_id": shard, "peer_id": shard, "state": "Active"} for shard in range(1, count)]
        state = "Dead" if 0 in silent else "Active"
        local = [{"shard_id": 0, "points_count": 0, "state": state}]
        return {"peer_id": 0, "shard_count": count, "local_shards": local, "remote_shards": remote, "shard_transfers": []}

    def trigger(self) -> None:
        self._triggered = True

    def fail(self, why: str) -> None:
        """Its indexes cannot be built."""
        self._failure = why

    def info(self, points: int) -> Any:
        """What `GET /collections/{name}` answers."""
        config: dict[str, Any] = {
            "params": {
                "vectors": self.request.vectors or {},
                "sparse_vectors": self.request.sparse_vectors,
                "on_disk_payload": self.request.on_disk_payload,
                "shard_number": self.request.shard_number or 1,
                "replication_factor": self.request.replication_factor or 1,
                "write_consistency_factor": self.request.write_consistency_factor or 1,
            },
            "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000, "on_disk": False},
            "optimizer_config": {
                "deleted_threshold": 0.2,
                "vacuum_min_vector_number": 1000,
                "default_segment_number": 0,
                "flush_interval_sec": 5,
                "indexing_threshold": 20000,
            },
            "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0},
            "quantization_config": self.request.quantization_config,
            "strict_mode_config": self.strict,
            "metadata": self.metadata or None,
        }
        schema = {
            name: {"data_type": params["type"], "params": params, "points": points} for name, params in self.indexes.items()
        }
        return {
            "status": self._status(),
            "optimizer_status": {"error": self._failure} if self._failure else "ok",
            "points_count": points,
            "indexed_vectors_count": points - min(points, max(0, self._left)),
            "segments_count": 1,
            "config": config,
            "payload_schema": schema,
        }

    def _status(self) -> str:
        if self._failure:
            return "red"
        if self._left == 0:
            return "green"
        if not self._triggered:
            return "grey"
        self._left -= self._left > 0
        return "yellow"


def cluster(silent: list[int]) -> Any:
    """What `GET /cluster` answers: the nodes that hold silent shards are not reached."""
    return {
        "status": "enabled",
        "peer_id": 0,
        "peers": {str(peer): {"uri": f"http://node-{peer}:6335/"} for peer in range(10)},
        "raft_info": {"term": 1, "commit": 1, "pending_operations": 0, "leader": 0, "role": "Leader", "is_voter": True},
        "consensus_thread_status": {"consensus_thread_status": "working", "last_update": "2026-01-01T00:00:00Z"},
        "message_send_failures": {f"http://node-{peer}:6335/": {"count": 3} for peer in silent},
    }
