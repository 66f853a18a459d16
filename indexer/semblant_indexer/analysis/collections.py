"""Analyses of collections: read all vectors, find, write back what was found.

Nothing is written before everything is found: an interrupted analysis leaves the last one as it was.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from semblant_search import FieldType
from semblant_search.errors import NotIndexed

from .clusters import Clustering, assign, fit_clusters
from .naming import name_clusters
from .outliers import outlier_scores
from .projection import fit_map, place
from .runs import CLUSTER_FIELDS, MAP_FIELDS, OUTLIER_FIELDS, AnalysisRun, read_centres, read_run, write_centres, write_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from semblant_search.store import Database, Record, Store

__all__ = ["Analysed", "cluster_collection", "keep_up", "map_collection", "score_outliers"]

_BATCH = 1000
_FITTED = 100_000
"""Pictures that a map is fitted to; the others of a larger collection are placed among them."""


@dataclass(frozen=True)
class Analysed:
    """What an analysis found, and of what.

    Attributes:
        run: what was kept of it.
        uris: of the pictures, in the order of the rows.
        vectors: float32 `[n, dim]`.
        payloads: what is known about each picture, without what this analysis found.
        values: the fields that were written, float32 or int32 `[n]` each.
        names: of the collection's clusters, "" for one that has none; empty where it has no clusters.
        clustering: of an analysis of clusters.
    """

    run: AnalysisRun
    uris: list[str]
    vectors: np.ndarray
    payloads: list[Mapping[str, Any]]
    values: dict[str, np.ndarray]
    names: list[str]
    clustering: Clustering | None = None


def map_collection(
    database: Database,
    collection: str = "images",
    *,
    seed: int = 0,
    fresh: bool = False,
    fitted: int = _FITTED,
    on_progress: Callable[[int, int], None] | None = None,
) -> Analysed:
    """Give each picture its place on a map: `_x` and `_y`.

    Args:
        database: open; nobody else may write to the collection meanwhile.
        collection: its name.
        seed: of what is drawn; the same pictures have the same map.
        fresh: begin anew, and not from the last map, from which this one else stays as near as it can.
        fitted: pictures that the map is fitted to, drawn by the seed; the others are placed at the median of their neighbours.
        on_progress: called with the steps that are done, and all.

    Raises:
        NotIndexed: the collection is empty.
        CollectionNotFound, StoreLocked: there is none of that name; a job is at work on it.
        MissingExtra: openTSNE is not installed.
    """
    with _serving(database, collection) as store:
        records = _records(store)
        vectors = _vectors(records)
        last = np.array([[record.payload.get(name, np.nan) for name in MAP_FIELDS] for record in records], np.float64)
        chosen = np.arange(len(records))
        if len(records) > fitted:
            chosen = np.sort(np.random.default_rng(seed).choice(len(records), fitted, replace=False))
        known = np.isfinite(last[chosen]).all(axis=1).mean() >= 0.5 and not fresh
        positions = np.empty((len(records), 2), np.float32)
        positions[chosen] = fit_map(vectors[chosen], start=last[chosen] if known else None, seed=seed, on_progress=on_progress)
        rest = np.setdiff1d(np.arange(len(records)), chosen)
        if len(rest):
            positions[rest] = place(vectors[rest], vectors[chosen], positions[chosen])[0]
        values = {"_x": positions[:, 0], "_y": positions[:, 1]}
        _write(store, records, values, MAP_FIELDS)
        settings = {"seed": seed, "from_last": bool(known)}
        run = write_run(store, "map", len(records), settings, {"fitted": len(chosen), "placed": len(rest)})
        return _analysed(store, run, records, vectors, values)


def cluster_collection(
    database: Database,
    collection: str = "images",
    *,
    k: int | None = None,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Analysed:
    """Give each picture its cluster, `_cluster`, and its distance to the centre, `_cluster_distance`.

    Args:
        database: open; nobody else may write to the collection meanwhile.
        collection: its name.
        k: how many clusters; None for the elbow of 1 to 30.
        seed: of the first centres.
        on_progress: called with the numbers of clusters that are tried, and all.

    Raises:
        NotIndexed: the collection is empty.
        CollectionNotFound, StoreLocked: there is none of that name; a job is at work on it.
        InvalidInput: more clusters than different pictures.
        MissingExtra: scikit-learn or kneed is not installed.
    """
    with _serving(database, collection) as store:
        records = _records(store)
        vectors = _vectors(records)
        found = fit_clusters(vectors, k, seed=seed, on_progress=on_progress)
        values = {"_cluster": found.labels, "_cluster_distance": found.distances}
        payloads = [record.payload for record in records]
        fields = [name for name, kind in store.manifest.fields.items() if kind in _TELLING and not name.startswith("_")]
        names = name_clusters(found.labels.tolist(), payloads, fields, clusters=found.k)
        sizes = np.bincount(found.labels, minlength=found.k)
        clusters = [
            {
                "cluster": number,
                "pictures": int(sizes[number]),
                "name": None if name is None else str(name.value),
                "field": None if name is None else name.field,
                "share": None if name is None else round(name.share, 4),
                "elsewhere": None if name is None else round(name.elsewhere, 4),
                "representatives": [records[row].payload["_uri"] for row in _nearest_to_centre(found, number)],
            }
            for number, name in enumerate(names)
        ]
        write_centres(store, found.centres)
        _write(store, records, values, CLUSTER_FIELDS)
        results = {
            "k": found.k,
            "silhouette": None if np.isnan(found.silhouettes).all() else round(float(found.silhouettes.mean()), 4),
            "inertias": {str(number): round(inertia, 4) for number, inertia in found.inertias.items()},
            "clusters": clusters,
        }
        run = write_run(store, "clusters", len(records), {"k": k, "seed": seed}, results)
        return _analysed(store, run, records, vectors, values, found)


def score_outliers(database: Database, collection: str = "images") -> Analysed:
    """Say of each picture how far it lies from all others: `_outlier`.

    Raises:
        NotIndexed: the collection is empty.
        CollectionNotFound, StoreLocked: there is none of that name; a job is at work on it.
    """
    with _serving(database, collection) as store:
        records = _records(store)
        vectors = _vectors(records)
        values = {"_outlier": outlier_scores(vectors)}
        _write(store, records, values, OUTLIER_FIELDS)
        order = np.argsort(-values["_outlier"], kind="stable")[:100]
        farthest = [{"uri": records[row].payload["_uri"], "score": round(float(values["_outlier"][row]), 3)} for row in order]
        above = int((values["_outlier"] > 3).sum())
        run = write_run(store, "outliers", len(records), {}, {"above_3": above, "farthest": farthest})
        return _analysed(store, run, records, vectors, values)


def keep_up(store: Store) -> int:
    """Give pictures that came since the last analyses their cluster and their place on the map; returns how many.

    For the end of an index job. Costs a look at the fields where nothing came, and nothing where there was no analysis.
    """
    mapped, centres = read_run(store, "map") is not None, read_centres(store)
    if not mapped and centres is None:
        return 0
    wanted = [*(MAP_FIELDS if mapped else ()), *(CLUSTER_FIELDS if centres is not None else ())]
    records = [record for record in store.scroll(fields=wanted) if any(name not in record.payload for name in wanted)]
    if not records:
        return 0
    everything = _records(store)
    lacking = [any(name not in record.payload for name in wanted) for record in everything]
    rows = np.flatnonzero(lacking)  # of now: clients may have added and deleted some since
    if not len(rows):
        return 0
    vectors = _vectors(everything)
    values: dict[str, np.ndarray] = {}
    if centres is not None:
        values["_cluster"], values["_cluster_distance"] = assign(vectors[rows], centres)
    if mapped:
        old = np.setdiff1d(np.arange(len(everything)), rows)
        positions = np.array([[everything[row].payload[name] for name in MAP_FIELDS] for row in old], np.float32).reshape(-1, 2)
        placed, _ = place(vectors[rows], vectors[old], positions)
        values["_x"], values["_y"] = placed[:, 0], placed[:, 1]
    _write(store, [everything[row] for row in rows], values, {})
    return len(rows)


_TELLING = (FieldType.KEYWORD, FieldType.BOOL, FieldType.INTEGER)
_REPRESENTATIVES = 8


def _nearest_to_centre(found: Clustering, number: int) -> list[int]:
    rows = np.flatnonzero(found.labels == number)
    return [int(row) for row in rows[np.argsort(found.distances[rows], kind="stable")[:_REPRESENTATIVES]]]


@contextmanager
def _serving(database: Database, collection: str) -> Iterator[Store]:
    """The serving generation, for the only one who writes."""
    with database.claim(collection), closing(database.open(collection)) as store:
        yield store


def _records(store: Store) -> list[Record]:
    records = list(store.scroll(with_image=True))
    if not records:
        raise NotIndexed(f"collection {store.manifest.collection!r} is empty: index pictures first (semblant index)")
    return records


def _vectors(records: Sequence[Record]) -> np.ndarray:
    return np.array([record.image for record in records], np.float32)


def _write(store: Store, records: Sequence[Record], values: Mapping[str, np.ndarray], fields: Mapping[str, FieldType]) -> None:
    if fields:
        store.add_fields(fields)
    for start in range(0, len(records), _BATCH):
        rows = {records[row].id: row for row in range(start, min(start + _BATCH, len(records)))}
        changed = {}
        with store.writing:  # clients may have changed or deleted pictures since they were read
            for record in store.retrieve(list(rows)):
                found = {name: column[rows[record.id]].item() for name, column in values.items()}
                changed[record.id] = {**record.payload, **found}
            store.set_payloads(changed)


def _analysed(
    store: Store,
    run: AnalysisRun,
    records: Sequence[Record],
    vectors: np.ndarray,
    values: dict[str, np.ndarray],
    clustering: Clustering | None = None,
) -> Analysed:
    uris = [str(record.payload["_uri"]) for record in records]
    clusters = read_run(store, "clusters")
    names = [] if clusters is None else [each["name"] or "" for each in clusters.results["clusters"]]
    return Analysed(run, uris, vectors, [record.payload for record in records], values, names, clustering)
