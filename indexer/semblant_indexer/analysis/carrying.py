"""A rebuilt generation keeps the map and the clusters of the one before it, as far as they still mean something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .records import read_records, vectors_of, write_values
from .runs import CLUSTER_FIELDS, MAP_FIELDS, OUTLIER_FIELDS, copy_run, read_centres, read_run, write_centres

if TYPE_CHECKING:
    from semblant_search.store import Store

__all__ = ["carry_analyses"]

_NONE = -1


def carry_analyses(old: Store, new: Store) -> int:
    """Take the places on the map and the clusters of pictures that did not change over; returns of how many pictures.

    With another encoder, too: pictures stay where people know them to be, and the centres of clusters are where their pictures
    are by the new vectors, so that pictures that come later join those that they are like now. How far a picture lies from all
    others is not taken over then.

    Args:
        old: the generation that serves.
        new: the one that is built, with its pictures. What was analysed in it already stays.
    """
    same = old.manifest.encoder_fingerprint == new.manifest.encoder_fingerprint
    kinds = {"map": MAP_FIELDS, "clusters": CLUSTER_FIELDS} | ({"outliers": OUTLIER_FIELDS} if same else {})
    kinds = {kind: fields for kind, fields in kinds.items() if read_run(old, kind) and not read_run(new, kind)}  # type: ignore[arg-type]
    if not kinds:
        return 0
    names = [name for fields in kinds.values() for name in fields]
    known = {record.id: record.payload for record in old.scroll(fields=[*names, "_sha256"])}
    records = [
        record
        for record in read_records(new)
        if (before := known.get(record.id)) is not None and before.get("_sha256") == record.payload.get("_sha256")
    ]
    # One that came after an analysis has nothing of that one, and of the others what they found.
    having = {
        kind: np.array([all(name in known[record.id] for name in fields) for record in records], bool)
        for kind, fields in kinds.items()
    }
    kinds = {kind: fields for kind, fields in kinds.items() if having[kind].any()}
    if not kinds:
        return 0
    values = {
        name: np.array(
            [known[record.id].get(name) if there else None for record, there in zip(records, having[kind], strict=True)]
        )
        for kind, fields in kinds.items()
        for name in fields
    }
    centres = read_centres(old) if "clusters" in kinds else None
    if centres is not None:
        if same:
            write_centres(new, *centres)
        else:
            rows = np.flatnonzero(having["clusters"])
            vectors, labels = vectors_of([records[row] for row in rows]), values["_cluster"][rows].astype(int)
            numbers = [number for number in np.unique(labels).tolist() if number > _NONE]
            means = np.array([vectors[labels == number].mean(axis=0) for number in numbers], np.float32)
            means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
            write_centres(new, means, np.array(numbers))
            own = means[np.searchsorted(numbers, labels).clip(0, len(numbers) - 1)]
            distances = values["_cluster_distance"].astype(object)
            distances[rows] = np.clip(1 - (vectors * own).sum(axis=1), 0, 2).tolist()
            values["_cluster_distance"] = distances
    write_values(new, records, values, {name: one for fields in kinds.values() for name, one in fields.items()})
    for kind in kinds:
        copy_run(old, new, kind)  # type: ignore[arg-type]
    return int(np.any([having[kind] for kind in kinds], axis=0).sum())
