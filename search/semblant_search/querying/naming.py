"""Pictures by their other names: of a file that has several, or of equal files that are one picture of the collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semblant_search.collection import MERGED_FIELD, NAMES_FIELD
from semblant_search.where import F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.store import Record, Store

__all__ = ["by_other_names"]

_AT_ONCE = 10_000
"""Names in one filter, which takes no more than a hundred thousand."""


def by_other_names(
    store: Store, uris: Sequence[str], *, with_image: bool = False, with_features: bool = False, with_cells: bool = False
) -> dict[str, Record]:
    """Records by those URIs that are other names of a picture; nothing of the rest."""
    found: dict[str, Record] = {}
    for field in (NAMES_FIELD, MERGED_FIELD):
        left = [uri for uri in uris if uri not in found]
        if not left or field not in store.manifest.fields:
            continue
        for start in range(0, len(left), _AT_ONCE):
            part = left[start : start + _AT_ONCE]
            records = store.scroll(where=F(field).in_(part))
            names = {name: record for record in records for name in record.payload.get(field) or ()}
            found |= {uri: names[uri] for uri in part if uri in names}
    if found and (with_image or with_features or with_cells):
        ids = list({record.id for record in found.values()})
        whole = store.retrieve(ids, with_image=with_image, with_features=with_features, with_cells=with_cells)
        there = {record.id: record for record in whole}
        found = {uri: there[record.id] for uri, record in found.items() if record.id in there}
    return found
