"""Pictures that are byte for byte the same: a rule over the whole collection, whatever the order in which they came."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from semblant_search.collection import FieldType, point_id
from semblant_search.sources import owners, read_sources
from semblant_search.where import F
from semblant_search.writing.source_changes import release

from .job import Duplicates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from semblant_search.store import Store

    from .ledger import Ledger

__all__ = ["settle_duplicates"]

_FIELDS = {Duplicates.FLAG: "_duplicate_of", Duplicates.MERGE: "_uris"}


def settle_duplicates(store: Store, ledger: Ledger, policy: Duplicates, source: str) -> None:
    """Mark or merge every group of equal pictures of a source. The first URI with a point stands for its group.

    Marks that another source's policy gave to pictures that both hold, and that name pictures this source does not know, stay.

    `FLAG` gives the others `_duplicate_of`, the URI that stands for them. `MERGE` deletes their points and gives the one that
    stands for them `_uris`, the URIs of all. What another policy has left on the source's pictures is taken away.
    """
    if policy is not Duplicates.KEEP:
        store.add_fields(dict.fromkeys(_FIELDS.values(), FieldType.KEYWORD))
    marking: dict[str, set[str]] = {}
    for record in read_sources(store):
        marking.setdefault(str(record.settings.get("duplicates")), set()).add(record.id)
    stand = {} if policy is Duplicates.KEEP else _settle(store, ledger, policy, source)
    for each, field in _FIELDS.items():
        if field in store.manifest.fields:
            _unsay(store, ledger, field, stand if each is policy else {}, marking.get(each.value, set()) - {source})


def _settle(store: Store, ledger: Ledger, policy: Duplicates, source: str) -> dict[str, object]:
    groups = ledger.groups()
    stand: dict[str, object] = {}
    while part := list(itertools.islice(groups, 500)):
        with store.writing:
            payloads = _payloads(store, [uri for group in part for uri, has_point in group if has_point])
            dropped: list[str] = []
            said: dict[str, object] = {}
            for group in part:
                holders = [uri for uri, has_point in group if has_point and uri in payloads]
                if not holders:
                    continue
                first, others = holders[0], holders[1:]
                if policy is Duplicates.MERGE:
                    said[first] = [uri for uri, _ in group]
                    dropped += others
                else:
                    said |= dict.fromkeys(others, first)
            _say(store, payloads, _FIELDS[policy], said)
            stand |= said
            release(store, [point_id(uri) for uri in dropped], source)
        ledger.set_duplicates(dropped)
    return stand


def _payloads(store: Store, uris: Sequence[str]) -> dict[str, dict[str, object]]:
    return {str(record.payload["_uri"]): record.payload for record in store.retrieve([point_id(uri) for uri in uris])}


def _say(store: Store, payloads: Mapping[str, dict[str, object]], field: str, said: Mapping[str, object]) -> None:
    changes = {uri: {**payloads[uri], field: value} for uri, value in said.items() if payloads[uri].get(field) != value}
    store.set_payloads({point_id(uri): payload for uri, payload in changes.items()})


def _unsay(store: Store, ledger: Ledger, field: str, stand: Mapping[str, object], marking: set[str]) -> None:
    """Take the field from pictures of this source that are no duplicates any more: the others are gone or have changed.

    Sources that are `marking` have the policy of this field.
    """
    with store.writing:
        _unsay_all(store, ledger, field, stand, marking)


def _unsay_all(store: Store, ledger: Ledger, field: str, stand: Mapping[str, object], marking: set[str]) -> None:
    marked = {str(record.payload["_uri"]): record for record in store.scroll(where=F(field).exists())}
    over = [
        uri
        for uri in ledger.scanned(uri for uri in marked if uri not in stand)
        if marking.isdisjoint(owners(marked[uri].payload)) or ledger.knows_all(_named(marked[uri].payload[field]))
    ]
    for start in range(0, len(over), 500):
        part = [marked[uri] for uri in over[start : start + 500]]
        kept = {record.id: {name: value for name, value in record.payload.items() if name != field} for record in part}
        store.set_payloads(kept)


def _named(mark: object) -> list[str]:
    return [str(uri) for uri in mark] if isinstance(mark, list) else [str(mark)]
