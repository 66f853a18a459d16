"""Pictures that come after an analysis get what it found for the others: at once, at the end of an index job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .columns import read_columns
from .neighbors import nearest_neighbors
from .outliers import NEIGHBORS
from .projection import place
from .records import write_values
from .runs import CLUSTER_FIELDS, MAP_FIELDS, OUTLIER_FIELDS, drop_run, read_centres, read_run
from .scoring import usual_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from semblant_search.store import Store

    from .columns import PictureColumns

__all__ = ["keep_up"]

_LEAST_MAPPED = 3
"""Pictures with a place among which others can be placed; a map of fewer is none any more."""


def keep_up(store: Store) -> int:
    """Give pictures that came since the last analyses their cluster, their place on the map and their distance from all others.

    For the end of an index job. Costs a look at the fields where nothing came, and nothing where there was no analysis. A map
    whose pictures are all gone is forgotten: there is nothing that new ones could lie beside.

    Returns:
        How many pictures got something.
    """
    centres, usual = read_centres(store), usual_of(read_run(store, "outliers"))
    kinds: dict[str, list[str]] = {
        "map": [*MAP_FIELDS] if read_run(store, "map") is not None else [],
        "clusters": [*CLUSTER_FIELDS] if centres is not None else [],
        "outliers": [*OUTLIER_FIELDS] if usual is not None else [],
    }
    wanted = [name for fields in kinds.values() for name in fields]
    if not wanted or not any(any(name not in record.payload for name in wanted) for record in store.scroll(fields=wanted)):
        return 0
    pictures = read_columns(store, numbers=wanted)  # of now: clients may have added and deleted some since
    values = {name: np.full(len(pictures), np.nan) for name in wanted}
    lacking = {kind: _lacking(pictures, fields) for kind, fields in kinds.items()}
    if len(rows := lacking["clusters"]) and centres is not None:
        values["_cluster"] = values["_cluster"].astype(object)
        labels, values["_cluster_distance"][rows] = centres.assign(pictures.vectors[rows])
        values["_cluster"][rows] = labels.tolist()
    if len(rows := lacking["map"]):
        if len(pictures) - len(rows) < _LEAST_MAPPED:
            drop_run(store, "map")
        else:
            _place(pictures, rows, values)
    if len(rows := lacking["outliers"]) and usual is not None:
        _, cosines = nearest_neighbors(pictures.vectors[rows], NEIGHBORS + 1, among=pictures.vectors)
        if cosines.shape[1] > 1:  # the nearest is each picture itself
            values["_outlier"][rows] = usual.scores(1 - cosines[:, -1].astype(np.float64))
    given = np.unique(np.concatenate([*lacking.values()]))
    write_values(store, pictures.ids[given], {name: column[given] for name, column in values.items()}, {})
    return len(given)


def _place(pictures: PictureColumns, rows: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
    old = np.setdiff1d(np.arange(len(pictures)), rows)
    positions = np.stack([pictures.numbers[name][old] for name in MAP_FIELDS], axis=1)
    placed, _ = place(pictures.vectors[rows], pictures.vectors[old], positions)
    values["_x"][rows], values["_y"][rows] = placed[:, 0], placed[:, 1]


def _lacking(pictures: PictureColumns, fields: list[str]) -> np.ndarray:
    """int64: rows of the pictures that lack one of the fields."""
    if not fields:
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.any([np.isnan(pictures.numbers[name]) for name in fields], axis=0))
