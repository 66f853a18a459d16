"""Which part of a collection no node of a cluster answers for: a request that needs all of it fails then, as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from semblant_search.errors import StoreError

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["missing_share"]

_SECONDS = 2.0
_GRPC_PORT = 6334


def missing_share(connection: Connection, collection: str) -> str:
    """A sentence on the share of a collection that is away, for the message of an error; empty where none is known to be."""
    try:
        shards = connection.ask_once("collection_cluster_info", collection, seconds=_SECONDS)
    except StoreError:
        return ""
    away = _peers_away(connection)
    known = {shard.shard_id for shard in (*shards.local_shards, *shards.remote_shards)}
    answering = {shard.shard_id for shard in shards.local_shards if shard.state == "Active"}
    answering |= {shard.shard_id for shard in shards.remote_shards if shard.state == "Active" and shard.peer_id not in away}
    silent = known - answering
    if not silent:
        return ""
    share = len(silent) / len(known)
    return (
        f". No node answers for {len(silent)} of the {len(known)} shards of {collection!r}: {share:.0%} of it cannot be asked, "
        "and an answer of the rest would not be the whole"
    )


def _peers_away(connection: Connection) -> set[int]:
    """Nodes that the one that is asked does not reach. Only REST tells; without it, shards count as they call themselves."""
    if not _rest_is_known(connection.location):
        return set()
    try:
        status = connection.ask_once("cluster_status", seconds=_SECONDS)
        failing = {address.rstrip("/") for address in status.message_send_failures}
        return {int(id) for id, peer in status.peers.items() if peer.uri.rstrip("/") in failing}
    except (StoreError, AttributeError):  # one that is no cluster has no peers
        return set()


def _rest_is_known(location: str) -> bool:
    """Whether REST is where qdrant-client looks for it: beside a gRPC port of one's own, at 6333, may be another server."""
    parts = [urlsplit(node) for node in location.split(",")]
    return not any(each.scheme.startswith("grpc") and each.port not in (None, _GRPC_PORT) for each in parts)
