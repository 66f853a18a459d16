"""What all analyses of collections do: open the serving generation, say what clusters are, write found values back."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from semblant_search import FieldType

from .naming import MAJORITY, telling_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from semblant_search.store import Database, Store

    from .columns import PictureColumns

__all__ = ["describe_clusters", "serving_store", "telling_fields", "write_values"]

_BATCH = 1000
_TELLING = (FieldType.KEYWORD, FieldType.BOOL, FieldType.INTEGER)
_REPRESENTATIVES = 8


@contextmanager
def serving_store(database: Database, collection: str, wait: float = 0.0) -> Iterator[Store]:
    """The serving generation, for the only one who writes. Raises `CollectionNotFound`, `StoreLocked` after `wait` seconds."""
    with database.claim(collection, wait), closing(database.open(collection)) as store:
        yield store


def telling_fields(store: Store) -> list[str]:
    """Names of the fields whose values may tell clusters."""
    return [name for name, kind in store.manifest.fields.items() if kind in _TELLING and not name.startswith("_")]


def describe_clusters(
    store: Store, pictures: PictureColumns, labels: np.ndarray, distances: np.ndarray, count: int
) -> list[dict[str, Any]]:
    """What there is to say of each cluster: its size, its name and values that tell it, and the pictures nearest to its centre.

    Args:
        store: of the pictures.
        pictures: with the values of `telling_fields`.
        labels: int `[n]`: their clusters, −1 for none.
        distances: float `[n]`: to the centres of these.
        count: of clusters.
    """

    def payloads_of(rows: Sequence[int]) -> Mapping[int, Mapping[str, Any]]:
        ids = {pictures.id(row): row for row in rows}
        asked = list(ids)
        batches = (asked[start : start + _BATCH] for start in range(0, len(asked), _BATCH))
        fields = list(pictures.values)
        return {ids[one.id]: one.payload for batch in batches for one in store.retrieve(batch, fields=fields)}

    told = telling_values(labels, pictures.values, count, payloads_of)
    sizes = np.bincount(labels[labels >= 0], minlength=count)
    described = []
    for number, values in enumerate(told):
        rows = np.flatnonzero(labels == number)
        nearest = rows[np.argsort(distances[rows], kind="stable")[:_REPRESENTATIVES]]
        name = next((one for one in values if one.share >= MAJORITY), None)
        described.append(
            {
                "cluster": number,
                "pictures": int(sizes[number]),
                "name": None if name is None else name.label,
                "field": None if name is None else name.field,
                "share": None if name is None else round(name.share, 4),
                "elsewhere": None if name is None else round(name.elsewhere, 4),
                "values": [
                    {"field": one.field, "value": one.value, "share": round(one.share, 4), "elsewhere": round(one.elsewhere, 4)}
                    for one in values
                ],
                "representatives": [pictures.uris[row] for row in nearest.tolist()],
            }
        )
    return described


def write_values(
    store: Store, ids: Sequence[str] | np.ndarray, values: Mapping[str, np.ndarray], fields: Mapping[str, FieldType]
) -> None:
    """Write found values into the payloads of pictures, whatever else was changed about these since they were read.

    Args:
        store: of the pictures.
        ids: of the pictures, texts or `S36`.
        values: `[n]` each, by the field's name; where one is None or NaN, the picture keeps what it has.
        fields: types of fields that are new.
    """
    if fields:
        store.add_fields(fields)
    for start in range(0, len(ids), _BATCH):
        end = min(start + _BATCH, len(ids))
        rows = {_text(ids[row]): row for row in range(start, end)}
        changed = {}
        with store.writing:  # clients may have changed or deleted pictures since they were read
            for record in store.retrieve(list(rows)):
                row = rows[record.id]
                found = {name: column.item(row) for name, column in values.items()}
                kept = {name: value for name, value in found.items() if value is not None and value == value}
                changed[record.id] = {**record.payload, **kept}
            store.set_payloads(changed)


def _text(id: str | bytes) -> str:
    return id.decode() if isinstance(id, bytes) else str(id)
