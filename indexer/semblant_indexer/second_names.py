"""Other names of a picture's very file, links and hard links: it is one picture, that each of its names finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semblant_search.collection import NAMES_FIELD, FieldType, point_id
from semblant_search.querying.naming import by_other_names
from semblant_search.sources import owners
from semblant_search.where import F

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from semblant_search.store import Record, Store

    from .ledger import Ledger

__all__ = ["settle_names"]

_AT_ONCE = 500


def settle_names(store: Store, ledger: Ledger, names: Mapping[str, Sequence[str]], source: str) -> None:
    """Give each picture `_names`, the URIs of its file's other names, as the scan found them, and take old ones away.

    Args:
        store: after the run's pictures were written.
        ledger: of the run.
        names: by the URI of the picture.
        source: id of the source.
    """
    if names:
        store.add_fields({NAMES_FIELD: FieldType.KEYWORD})
    elif NAMES_FIELD not in store.manifest.fields:
        return
    said: set[str] = set()
    uris = list(names)
    with store.writing:
        for start in range(0, len(uris), _AT_ONCE):
            part = uris[start : start + _AT_ONCE]
            there = {str(record.payload["_uri"]): record for record in store.retrieve([point_id(uri) for uri in part])}
            there |= by_other_names(store, [uri for uri in part if uri not in there])  # merged with a picture of the same bytes
            found: dict[str, tuple[Record, list[str]]] = {}
            for uri in part:
                if uri in there:
                    found.setdefault(there[uri].id, (there[uri], []))[1].extend(names[uri])
            store.set_payloads(
                {
                    id: {**record.payload, NAMES_FIELD: sorted(others)}
                    for id, (record, others) in found.items()
                    if record.payload.get(NAMES_FIELD) != sorted(others)
                }
            )
            said.update(found)
        _take_away(store, ledger, said, source)


def _take_away(store: Store, ledger: Ledger, said: set[str], source: str) -> None:
    """From pictures of this source alone: another one may have named them."""
    over = {
        str(record.payload["_uri"]): record
        for record in store.scroll(where=F(NAMES_FIELD).exists())
        if record.id not in said and owners(record.payload) == [source]
    }
    scanned = ledger.scanned(over)
    for start in range(0, len(scanned), _AT_ONCE):
        part = [over[uri] for uri in scanned[start : start + _AT_ONCE]]
        store.set_payloads(
            {record.id: {name: value for name, value in record.payload.items() if name != NAMES_FIELD} for record in part}
        )
