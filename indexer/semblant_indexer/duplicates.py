"""Pictures that are byte for byte the same: a rule over the whole collection, whatever the order in which they came."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from semblant_search.collection import point_id

from .job import Duplicates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.store.base import Store

    from .ledger import Ledger

__all__ = ["settle_duplicates"]


def settle_duplicates(store: Store, ledger: Ledger, policy: Duplicates) -> None:
    """Mark or merge every group of equal pictures. The first URI with a point stands for its group.

    `FLAG` gives the others `_duplicate_of`, the URI that stands for them. `MERGE` deletes their points and gives the one that
    stands for them `_uris`, the URIs of all.
    """
    groups = ledger.groups()
    while part := list(itertools.islice(groups, 500)):
        payloads = _payloads(store, [uri for group in part for uri, has_point in group if has_point])
        dropped: list[str] = []
        for group in part:
            holders = [uri for uri, has_point in group if has_point and uri in payloads]
            if not holders:
                continue
            first, others = holders[0], holders[1:]
            if policy is Duplicates.MERGE:
                _set(store, first, payloads[first], "_uris", [uri for uri, _ in group])
                dropped += others
            else:
                for uri in others:
                    _set(store, uri, payloads[uri], "_duplicate_of", first)
        store.delete([point_id(uri) for uri in dropped])
        ledger.set_duplicates(dropped)


def _payloads(store: Store, uris: Sequence[str]) -> dict[str, dict[str, object]]:
    return {str(record.payload["_uri"]): record.payload for record in store.retrieve([point_id(uri) for uri in uris])}


def _set(store: Store, uri: str, payload: dict[str, object], name: str, value: object) -> None:
    if payload.get(name) != value:
        store.set_payload(point_id(uri), {**payload, name: value})
