"""Pictures that are byte for byte the same: a rule over the whole collection, whatever the order in which they came."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from semblant_search.collection import FieldType, point_id
from semblant_search.sources import owners, read_sources
from semblant_search.where import F
from semblant_search.writing.shared_pictures import release

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
    marks = {each: _Marks(store, ledger, source, field, marking.get(each.value, set())) for each, field in _FIELDS.items()}
    stand = {} if policy is Duplicates.KEEP else _settle(store, ledger, policy, marks[policy])
    for each, mark in marks.items():
        if mark.field in store.manifest.fields:
            mark.take_away(stand if each is policy else {})


def _settle(store: Store, ledger: Ledger, policy: Duplicates, marks: _Marks) -> dict[str, object]:
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
            marks.say(payloads, said)
            stand |= said
            release(store, [point_id(uri) for uri in dropped], marks.source)
        ledger.set_duplicates(dropped)
    return stand


def _payloads(store: Store, uris: Sequence[str]) -> dict[str, dict[str, object]]:
    return {str(record.payload["_uri"]): record.payload for record in store.retrieve([point_id(uri) for uri in uris])}


@dataclass(frozen=True)
class _Marks:
    """The marks of one policy on the pictures of a source.

    Attributes:
        field: that holds them.
        marking: ids of the sources with this policy.
    """

    store: Store
    ledger: Ledger
    source: str
    field: str
    marking: set[str]

    def say(self, payloads: Mapping[str, dict[str, object]], said: Mapping[str, object]) -> None:
        """Mark pictures, but those that another source has marked by what only that one knows: so that two come to rest."""
        changes = {
            uri: {**payloads[uri], self.field: value}
            for uri, value in said.items()
            if payloads[uri].get(self.field) != value and not self._is_another_s(payloads[uri])
        }
        self.store.set_payloads({point_id(uri): payload for uri, payload in changes.items()})

    def take_away(self, stand: Mapping[str, object]) -> None:
        """Take the marks from pictures of this source that are no duplicates any more: the others are gone or have changed."""
        with self.store.writing:
            found = self.store.scroll(where=F(self.field).exists())
            marked = {str(one.payload["_uri"]): one for one in found if self.source in (owners(one.payload) or [self.source])}
            scanned = self.ledger.scanned(uri for uri in marked if uri not in stand)
            over = [marked[uri] for uri in scanned if not self._is_another_s(marked[uri].payload)]
            for start in range(0, len(over), 500):
                part = {record.id: record.payload for record in over[start : start + 500]}
                kept = {id: {name: one[name] for name in one if name != self.field} for id, one in part.items()}
                self.store.set_payloads(kept)

    def _is_another_s(self, payload: Mapping[str, object]) -> bool:
        """Whether a picture has a mark of another source's policy that names pictures which this source does not know."""
        if (mark := payload.get(self.field)) is None or not (self.marking - {self.source}) & set(owners(payload)):
            return False
        return not self.ledger.knows_all([str(uri) for uri in mark] if isinstance(mark, list) else [str(mark)])
