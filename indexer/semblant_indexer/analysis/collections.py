"""Analyses of collections: read all vectors, find, write back what was found.

Nothing is written before everything is found: an interrupted analysis leaves the last one as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from semblant_search.errors import InvalidInput, NotIndexed

from .clusters import Clustering, fit_clusters, fit_dense_clusters
from .outliers import outlier_scores
from .own_names import keep_names
from .projection import fit_map, place
from .records import describe_clusters, read_records, serving_store, vectors_of, write_values
from .runs import CLUSTER_FIELDS, MAP_FIELDS, OUTLIER_FIELDS, AnalysisRun, read_centres, read_run, write_centres, write_run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from semblant_search.store import Database, Record, Store

__all__ = ["Analysed", "cluster_collection", "keep_up", "map_collection", "score_outliers"]

_FITTED = 100_000
"""Pictures that a map is fitted to; the others of a larger collection are placed among them."""
_LEAST_FITTED = 3
_SEEDS = 2**32
"""As many as scikit-learn and NumPy both take."""


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
        fitted: pictures that the map is fitted to, drawn by the seed; the others are placed among their neighbours.
        on_progress: called with the steps that are done, and all.

    Raises:
        NotIndexed: the collection is empty.
        CollectionNotFound, StoreLocked: there is none of that name; a job is at work on it.
        InvalidInput: a seed below 0 or beyond 32 bits; a map fitted to fewer than three pictures.
        MissingExtra: openTSNE is not installed.
    """
    _check_seed(seed)
    if fitted < _LEAST_FITTED:
        raise InvalidInput(f"fitted {fitted}: expected at least {_LEAST_FITTED}, among which the others are placed")
    with serving_store(database, collection) as store:
        records = read_records(store)
        vectors = vectors_of(records)
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
        write_values(store, records, values, MAP_FIELDS)
        settings = {"seed": seed, "from_last": bool(known)}
        run = write_run(store, "map", len(records), settings, {"fitted": len(chosen), "placed": len(rest)})
        return _analysed(store, run, records, vectors, values)


def cluster_collection(
    database: Database,
    collection: str = "images",
    *,
    k: int | None = None,
    method: Literal["kmeans", "hdbscan"] = "kmeans",
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Analysed:
    """Give each picture its cluster, `_cluster`, and its distance to the centre, `_cluster_distance`.

    Clusters that people named keep their names where most of their pictures are in one cluster again; `results["names_lost"]`
    are the others. What people merged and split is found anew.

    Args:
        database: open; nobody else may write to the collection meanwhile.
        collection: its name.
        k: how many clusters; None for the elbow of 1 to 30.
        method: k-means on the vectors, or HDBSCAN on the map, which finds by itself how many there are; what lies in no dense
            place has the cluster −1.
        seed: of the first centres.
        on_progress: called with the numbers of clusters that are tried, and all.

    Raises:
        NotIndexed: the collection is empty, or has no map for HDBSCAN.
        CollectionNotFound, StoreLocked: there is none of that name; a job is at work on it.
        InvalidInput: `k` with HDBSCAN; more clusters than different pictures; a seed below 0 or beyond 32 bits.
        MissingExtra: scikit-learn or kneed is not installed.
    """
    if method not in ("kmeans", "hdbscan"):
        raise InvalidInput(f"method {method!r}: expected 'kmeans' or 'hdbscan'")
    if method == "hdbscan" and k is not None:
        raise InvalidInput(f"k {k} with hdbscan, which finds by itself how many clusters there are: leave one of the two out")
    _check_seed(seed)
    with serving_store(database, collection) as store:
        records = read_records(store)
        vectors = vectors_of(records)
        if method == "hdbscan":
            found = fit_dense_clusters(_positions(store, records), vectors)
        else:
            found = fit_clusters(vectors, k, seed=seed, on_progress=on_progress)
        values = {"_cluster": found.labels, "_cluster_distance": found.distances}
        clusters = describe_clusters(store, records, found.labels, found.distances, found.k)
        last = read_run(store, "clusters")
        before = np.array([record.payload.get("_cluster", -1) for record in records], np.int64)
        lost = [] if last is None else keep_names(last.results["clusters"], before, clusters, found.labels)
        write_centres(store, found.centres)
        write_values(store, records, values, CLUSTER_FIELDS)
        results = {
            "k": found.k,
            "silhouette": None if np.isnan(found.silhouettes).all() else round(float(found.silhouettes.mean()), 4),
            "inertias": {str(number): round(inertia, 4) for number, inertia in found.inertias.items()},
            "clusters": clusters,
            "names_lost": lost,
        }
        run = write_run(store, "clusters", len(records), {"method": method, "k": k, "seed": seed}, results)
        return _analysed(store, run, records, vectors, values, found)


def score_outliers(database: Database, collection: str = "images") -> Analysed:
    """Say of each picture how far it lies from all others: `_outlier`.

    Raises:
        NotIndexed: the collection is empty.
        CollectionNotFound, StoreLocked: there is none of that name; a job is at work on it.
    """
    with serving_store(database, collection) as store:
        records = read_records(store)
        vectors = vectors_of(records)
        values = {"_outlier": outlier_scores(vectors)}
        write_values(store, records, values, OUTLIER_FIELDS)
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
    everything = read_records(store)
    lacking = [any(name not in record.payload for name in wanted) for record in everything]
    rows = np.flatnonzero(lacking)  # of now: clients may have added and deleted some since
    if not len(rows):
        return 0
    vectors = vectors_of(everything)
    values: dict[str, np.ndarray] = {}
    if centres is not None:
        values["_cluster"], values["_cluster_distance"] = centres.assign(vectors[rows])
    if mapped:
        old = np.setdiff1d(np.arange(len(everything)), rows)
        positions = np.array([[everything[row].payload[name] for name in MAP_FIELDS] for row in old], np.float32).reshape(-1, 2)
        placed, _ = place(vectors[rows], vectors[old], positions)
        values["_x"], values["_y"] = placed[:, 0], placed[:, 1]
    write_values(store, [everything[row] for row in rows], values, {})
    return len(rows)


def _positions(store: Store, records: Sequence[Record]) -> np.ndarray:
    if any(name not in record.payload for record in records for name in MAP_FIELDS):
        raise NotIndexed(
            f"collection {store.manifest.collection!r} has no whole map, which HDBSCAN works on: make one (semblant map)"
        )
    return np.array([[record.payload[name] for name in MAP_FIELDS] for record in records], np.float64)


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


def _check_seed(seed: int) -> None:
    if not 0 <= seed < _SEEDS:
        raise InvalidInput(f"seed {seed}: expected 0 to {_SEEDS - 1}")
