"""A rebuilt generation keeps the map and the clusters of the one before it, as far as they still mean something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .columns import as_clusters, read_columns
from .records import write_values
from .runs import CLUSTER_FIELDS, MAP_FIELDS, OUTLIER_FIELDS, copy_run, read_centres, read_run, write_centres

if TYPE_CHECKING:
    from semblant_search.store import Store

__all__ = ["carry_analyses"]


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
    if not kinds or not old.count() or not new.count():
        return 0
    names = [name for fields in kinds.values() for name in fields]
    known = read_columns(old, vectors=False, numbers=names, texts=["_sha256"])
    pictures = read_columns(new, vectors=not same, texts=["_sha256"])
    rows = np.minimum(np.searchsorted(known.ids, pictures.ids), len(known) - 1)
    unchanged = known.ids[rows] == pictures.ids
    unchanged &= np.asarray(known.values["_sha256"].keys)[rows] == np.asarray(pictures.values["_sha256"].keys)
    values = {name: np.where(unchanged, known.numbers[name][rows], np.nan) for name in names}
    # One that came after an analysis has nothing of that one, and of the others what they found.
    having = {kind: ~np.any([np.isnan(values[name]) for name in fields], axis=0) for kind, fields in kinds.items()}
    kinds = {kind: fields for kind, fields in kinds.items() if having[kind].any()}
    if not kinds:
        return 0
    centres = read_centres(old) if "clusters" in kinds else None
    if centres is not None:
        if same:
            write_centres(new, *centres)
        else:
            there = np.flatnonzero(having["clusters"])
            values["_cluster_distance"][there] = _move_centres(
                new, pictures.vectors[there], as_clusters(values["_cluster"][there])
            )
    kept = {name: np.where(having[kind], values[name], np.nan) for kind, fields in kinds.items() for name in fields}
    if "_cluster" in kept:
        kept["_cluster"] = np.array([None if number != number else int(number) for number in kept["_cluster"].tolist()], object)
    found = np.any([having[kind] for kind in kinds], axis=0)
    columns = {name: column[found] for name, column in kept.items()}
    write_values(new, pictures.ids[found], columns, {name: one for fields in kinds.values() for name, one in fields.items()})
    for kind in kinds:
        copy_run(old, new, kind)  # type: ignore[arg-type]
    return int(found.sum())


def _move_centres(new: Store, vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Keep centres where the pictures of each cluster are by the new vectors; returns the distances to them, float `[n]`."""
    numbers = [number for number in np.unique(labels).tolist() if number >= 0]
    means = np.array([vectors[labels == number].mean(axis=0) for number in numbers], np.float32)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    write_centres(new, means, np.array(numbers))
    own = means[np.searchsorted(numbers, labels).clip(0, len(numbers) - 1)]
    return np.asarray(np.clip(1 - np.einsum("ij,ij->i", vectors, own), 0, 2))
