"""What all analyses of collections do: read the serving generation, say what clusters are, write found values back."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from semblant_search import FieldType
from semblant_search.errors import NotIndexed

from .naming import telling_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from semblant_search.store import Database, Record, Store

__all__ = ["describe_clusters", "read_records", "serving_store", "vectors_of", "write_values"]

_BATCH = 1000
_TELLING = (FieldType.KEYWORD, FieldType.BOOL, FieldType.INTEGER)
_MAJORITY = 0.5
_REPRESENTATIVES = 8


@contextmanager
def serving_store(database: Database, collection: str) -> Iterator[Store]:
    """The serving generation, for the only one who writes. Raises `CollectionNotFound`, `StoreLocked`."""
    with database.claim(collection), closing(database.open(collection)) as store:
        yield store


def read_records(store: Store) -> list[Record]:
    """All pictures with their vectors. Raises `NotIndexed` where there are none."""
    records = list(store.scroll(with_image=True))
    if not records:
        raise NotIndexed(f"collection {store.manifest.collection!r} is empty: index pictures first (semblant index)")
    return records


def vectors_of(records: Sequence[Record]) -> np.ndarray:
    """float32 `[n, dim]`."""
    return np.array([record.image for record in records], np.float32)


def describe_clusters(
    store: Store, records: Sequence[Record], labels: np.ndarray, distances: np.ndarray, count: int
) -> list[dict[str, Any]]:
    """What there is to say of each cluster: its size, its name and values that tell it, and the pictures nearest to its centre.

    Args:
        store: of the pictures.
        records: the pictures.
        labels: int `[n]`: their clusters, −1 for none.
        distances: float `[n]`: to the centres of these.
        count: of clusters.
    """
    fields = [name for name, kind in store.manifest.fields.items() if kind in _TELLING and not name.startswith("_")]
    told = telling_values(labels.tolist(), [record.payload for record in records], fields, clusters=count)
    sizes = np.bincount(labels[labels >= 0], minlength=count)
    described = []
    for number, values in enumerate(told):
        rows = np.flatnonzero(labels == number)
        nearest = rows[np.argsort(distances[rows], kind="stable")[:_REPRESENTATIVES]]
        name = next((one for one in values if one.share >= _MAJORITY), None)
        described.append(
            {
                "cluster": number,
                "pictures": int(sizes[number]),
                "name": None if name is None else str(name.value),
                "field": None if name is None else name.field,
                "share": None if name is None else round(name.share, 4),
                "elsewhere": None if name is None else round(name.elsewhere, 4),
                "values": [
                    {"field": one.field, "value": one.value, "share": round(one.share, 4), "elsewhere": round(one.elsewhere, 4)}
                    for one in values
                ],
                "representatives": [records[row].payload["_uri"] for row in nearest],
            }
        )
    return described


def write_values(
    store: Store, records: Sequence[Record], values: Mapping[str, np.ndarray], fields: Mapping[str, FieldType]
) -> None:
    """Write found values into the payloads of pictures, whatever else was changed about these since they were read.

    Args:
        store: of the pictures.
        records: the pictures.
        values: `[n]` each, by the field's name; where one is None, the picture keeps what it has.
        fields: types of fields that are new.
    """
    if fields:
        store.add_fields(fields)
    for start in range(0, len(records), _BATCH):
        rows = {records[row].id: row for row in range(start, min(start + _BATCH, len(records)))}
        changed = {}
        with store.writing:  # clients may have changed or deleted pictures since they were read
            for record in store.retrieve(list(rows)):
                row = rows[record.id]
                found = {name: column.item(row) for name, column in values.items() if column.item(row) is not None}
                changed[record.id] = {**record.payload, **found}
            store.set_payloads(changed)
