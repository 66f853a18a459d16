"""Analyses of collections: read all vectors, find, write back what was found.

Nothing is written before everything is found: an interrupted analysis leaves the last one as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from semblant_search.errors import InvalidInput, NotIndexed

from .checks import row_marks
from .clusters import Clustering, fit_clusters, fit_dense_clusters
from .columns import as_clusters, read_columns
from .own_names import keep_names
from .projection import fit_map, place
from .records import describe_clusters, serving_store, telling_fields, write_values
from .runs import (
    CLUSTER_FIELDS,
    MAP_FIELDS,
    OUTLIER_FIELDS,
    AnalysisRun,
    read_mapped,
    read_run,
    write_centres,
    write_mapped,
    write_run,
)
from .scoring import score_pictures
from .stages import Stages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from semblant_search.store import Database, Store

    from .columns import PictureColumns

__all__ = ["Analysed", "cluster_collection", "map_collection", "score_outliers"]

_FITTED = 100_000
"""Pictures that a map is fitted to; the others of a larger collection are placed among them."""
_LEAST_FITTED = 3
_SEEDS = 2**32
"""As many as scikit-learn and NumPy both take."""
_STAYS = 0.8
"""Share of the pictures that a map has to be of already for these to stay where they are when others join them."""


@dataclass(frozen=True)
class Analysed:
    """What an analysis found, and of what.

    Attributes:
        run: what was kept of it.
        uris: of the pictures, in the order of the rows.
        vectors: float32 `[n, dim]`.
        values: the fields that were found, float32 or int32 `[n]` each.
        clusters: int64 `[n]`: the cluster of each picture, −1 for none; None where not every picture has been looked at.
        names: of the collection's clusters, "" for one that has none; empty where it has no clusters.
        shares: of each name: what share of the cluster's pictures has that value, 0–1; None for one without, or of one's own.
        clustering: of an analysis of clusters.
        unchanged: whether nothing was written, for what was there is right.
    """

    run: AnalysisRun
    uris: Sequence[str]
    vectors: np.ndarray
    values: dict[str, np.ndarray]
    clusters: np.ndarray | None
    names: list[str]
    shares: list[float | None]
    clustering: Clustering | None = None
    unchanged: bool = False


def map_collection(
    database: Database,
    collection: str = "images",
    *,
    seed: int = 0,
    fresh: bool = False,
    fitted: int = _FITTED,
    wait: float = 0.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Analysed:
    """Give each picture its place on a map: `_x` and `_y`.

    The last map stays: pictures that it has keep their places, and those that came since find theirs among them. Where nothing
    came, nothing is changed, and the last run is returned. Where more than a fifth of the pictures is new since a whole map was
    laid out, all of them move, from where they are, and the map is turned and scaled back onto the last one.

    Args:
        database: open; nobody else may write to the collection meanwhile.
        collection: its name.
        seed: of what is drawn; the same pictures have the same map. Another one than the last moves all pictures.
        fresh: begin anew, and not from the last map.
        fitted: pictures that the map is fitted to, drawn by the seed; the others are placed among their neighbours.
        wait: seconds to wait for another job's end.
        on_progress: called with what is done, and all.

    Raises:
        NotIndexed: the collection is empty.
        CollectionNotFound, StoreLocked: there is none of that name; a job is at work on it.
        InvalidInput: a seed below 0 or beyond 32 bits; a map fitted to fewer than three pictures.
        MissingExtra: openTSNE is not installed.
    """
    _check_seed(seed)
    if fitted < _LEAST_FITTED:
        raise InvalidInput(f"fitted {fitted}: expected at least {_LEAST_FITTED}, among which the others are placed")
    stages = Stages(on_progress, read=1, fit=8, place=3)
    with serving_store(database, collection, wait) as store:
        pictures = read_columns(store, numbers=[*MAP_FIELDS, "_cluster"], on_progress=stages.within("read"))
        last = np.stack([pictures.numbers[name] for name in MAP_FIELDS], axis=1)
        marks = row_marks(pictures.vectors, pictures.ids)
        run = None if fresh else read_run(store, "map")
        held = _held(store, run, last, marks, seed, fitted)
        if run is not None and held.all():
            stages.end()
            values = {"_x": last[:, 0].astype(np.float32), "_y": last[:, 1].astype(np.float32)}
            return replace(_analysed(store, run, pictures, values), unchanged=True)
        began = None if run is None or _half_written(store) or np.isfinite(last).all(axis=1).mean() < 0.5 else last
        positions, placed = _lay_out(pictures.vectors, began, held, seed, fitted, stages)
        values = {"_x": positions[:, 0], "_y": positions[:, 1]}
        if not held.any():
            write_mapped(store, marks[:0])  # until all places are written, some are of the last map
        moved = {name: column[~held] for name, column in values.items()}
        write_values(store, pictures.ids[~held], moved, MAP_FIELDS)
        laid_out = run.results["laid_out"] if run is not None and held.any() else len(pictures)
        settings = {"seed": seed, "fitted": fitted, "from_last": began is not None}
        results = {"fitted": len(pictures) - placed, "placed": placed, "held": int(held.sum()), "laid_out": laid_out}
        run = write_run(store, "map", len(pictures), settings, results)
        write_mapped(store, marks)
        stages.end()
        return _analysed(store, run, pictures, values)


def cluster_collection(
    database: Database,
    collection: str = "images",
    *,
    k: int | None = None,
    method: Literal["kmeans", "hdbscan"] = "kmeans",
    seed: int = 0,
    wait: float = 0.0,
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
        wait: seconds to wait for another job's end.
        on_progress: called with what is done, and all.

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
    stages = Stages(on_progress, read=1, fit=6)
    with serving_store(database, collection, wait) as store:
        wanted = ["_cluster", *(MAP_FIELDS if method == "hdbscan" else ())]
        pictures = read_columns(store, numbers=wanted, values=telling_fields(store), on_progress=stages.within("read"))
        if method == "hdbscan":
            found = fit_dense_clusters(_positions(store, pictures), pictures.vectors)
        else:
            found = fit_clusters(pictures.vectors, k, seed=seed, on_progress=stages.within("fit"))
        values = {"_cluster": found.labels, "_cluster_distance": found.distances}
        clusters = describe_clusters(store, pictures, found.labels, found.distances, found.k)
        last = read_run(store, "clusters")
        before = as_clusters(pictures.numbers["_cluster"])
        lost = [] if last is None else keep_names(last.results["clusters"], before, clusters, found.labels)
        write_centres(store, found.centres)
        write_values(store, pictures.ids, values, CLUSTER_FIELDS)
        results = {
            "k": found.k,
            "silhouette": None if np.isnan(found.silhouettes).all() else round(float(found.silhouettes.mean()), 4),
            "inertias": {str(number): round(inertia, 4) for number, inertia in found.inertias.items()},
            "clusters": clusters,
            "in_none": int((found.labels < 0).sum()),
            "names_lost": lost,
        }
        run = write_run(store, "clusters", len(pictures), {"method": method, "k": k, "seed": seed}, results)
        stages.end()
        return _analysed(store, run, pictures, values, found)


def score_outliers(
    database: Database,
    collection: str = "images",
    *,
    wait: float = 0.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Analysed:
    """Say of each picture how far it lies from all others: `_outlier`.

    Args:
        database: open; nobody else may write to the collection meanwhile.
        collection: its name.
        wait: seconds to wait for another job's end.
        on_progress: called with what is done, and all.

    Raises:
        NotIndexed: the collection is empty.
        CollectionNotFound, StoreLocked: there is none of that name; a job is at work on it.
    """
    stages = Stages(on_progress, read=1, fit=8)
    with serving_store(database, collection, wait) as store:
        pictures = read_columns(store, numbers=["_cluster"], on_progress=stages.within("read"))
        scores, usual = score_pictures(store, pictures, stages.within("fit"))
        values = {"_outlier": scores}
        write_values(store, pictures.ids, values, OUTLIER_FIELDS)
        order = np.argsort(-scores, kind="stable")[:100].tolist()
        farthest = [{"uri": pictures.uris[row], "score": round(float(scores[row]), 3)} for row in order]
        results = {"above_3": int((scores > 3).sum()), "median": usual.median, "spread": usual.spread, "farthest": farthest}
        run = write_run(store, "outliers", len(pictures), {}, results)
        stages.end()
        return _analysed(store, run, pictures, values)


def _held(store: Store, run: AnalysisRun | None, last: np.ndarray, marks: np.ndarray, seed: int, fitted: int) -> np.ndarray:
    """bool `[n]`: pictures that stay where the last map has them."""
    nothing = np.zeros(len(marks), bool)
    mapped = None if run is None else read_mapped(store)
    if run is None or mapped is None or (run.settings.get("seed"), run.settings.get("fitted")) != (seed, fitted):
        return nothing
    held = np.isin(marks, mapped) & np.isfinite(last).all(axis=1)
    enough = held.mean() >= _STAYS and run.results.get("laid_out", 0) >= _STAYS * len(marks)
    return held if enough or held.all() else nothing


def _half_written(store: Store) -> bool:
    """Whether places of two maps are mixed: whoever wrote the second one was ended."""
    mapped = read_mapped(store)
    return mapped is not None and not len(mapped)


def _lay_out(
    vectors: np.ndarray, start: np.ndarray | None, held: np.ndarray, seed: int, fitted: int, stages: Stages
) -> tuple[np.ndarray, int]:
    """float32 `[n, 2]`; how many of them were placed among the others, and not fitted."""
    count = len(vectors)
    if count <= fitted:
        kept = held if held.any() else None
        return fit_map(vectors, start=start, held=kept, seed=seed, on_progress=stages.within("fit")), 0
    positions = np.empty((count, 2), np.float32)
    chosen = np.flatnonzero(held)
    if held.any() and start is not None:
        positions[chosen] = start[chosen]
    else:
        chosen = np.sort(np.random.default_rng(seed).choice(count, fitted, replace=False))
        began = None if start is None else start[chosen]
        positions[chosen] = fit_map(vectors[chosen], start=began, seed=seed, on_progress=stages.within("fit"))
    rest = np.setdiff1d(np.arange(count), chosen)
    among = chosen
    if len(among) > fitted:
        among = np.sort(np.random.default_rng(seed).choice(chosen, fitted, replace=False))
    positions[rest] = place(vectors[rest], vectors[among], positions[among], on_progress=stages.within("place"))[0]
    return positions, count - min(count, fitted)


def _positions(store: Store, pictures: PictureColumns) -> np.ndarray:
    positions = np.stack([pictures.numbers[name] for name in MAP_FIELDS], axis=1)
    if np.isnan(positions).any():
        raise NotIndexed(
            f"collection {store.manifest.collection!r} has no whole map, which HDBSCAN works on: make one (semblant map)"
        )
    return positions


def _analysed(
    store: Store,
    run: AnalysisRun,
    pictures: PictureColumns,
    values: dict[str, np.ndarray],
    clustering: Clustering | None = None,
) -> Analysed:
    clusters: np.ndarray | None = values.get("_cluster", pictures.numbers["_cluster"])
    clusters = None if clusters is None or np.isnan(clusters).any() else as_clusters(clusters)
    last = read_run(store, "clusters")
    told = [] if last is None else last.results["clusters"]
    names, shares = [each["name"] or "" for each in told], [each["share"] for each in told]
    return Analysed(run, pictures.uris, pictures.vectors, values, clusters, names, shares, clustering)


def _check_seed(seed: int) -> None:
    if not 0 <= seed < _SEEDS:
        raise InvalidInput(f"seed {seed}: expected 0 to {_SEEDS - 1}")
