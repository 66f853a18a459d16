"""What people change about clusters: names, clusters that are one, and one that is several."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from semblant_search.errors import InvalidInput, NotIndexed

from .clusters import fit_clusters
from .columns import as_clusters, read_columns
from .own_names import give_name
from .records import describe_clusters, serving_store, telling_fields, write_values
from .runs import read_centres, read_run, rewrite_run, write_centres

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.querying.clusters import ClusterCentres
    from semblant_search.store import Database, Store

    from .columns import PictureColumns
    from .runs import AnalysisRun

__all__ = ["merge_clusters", "rename_cluster", "split_cluster"]


def rename_cluster(database: Database, collection: str, cluster: int, name: str | None) -> AnalysisRun:
    """Give a cluster a name of one's own; None, or an empty one, gives it that of its pictures' values again.

    Raises:
        NotIndexed: the collection has no clusters.
        InvalidInput: there is no cluster of that number.
        CollectionNotFound, StoreLocked: there is none of that name; a job is at work on it.
    """
    with serving_store(database, collection) as store:
        run = _run(store)
        rows = [dict(one) for one in run.results["clusters"]]
        _check(rows, [cluster])
        if name:
            give_name(rows[cluster], name)
        else:
            pictures = _read(store)
            said = describe_clusters(store, pictures, _labels(pictures), _distances(pictures), len(rows))
            rows[cluster] = said[cluster]
        return rewrite_run(store, dataclasses.replace(run, results={**run.results, "clusters": rows}))


def merge_clusters(database: Database, collection: str, clusters: Sequence[int]) -> AnalysisRun:
    """Make several clusters one, which keeps the lowest of their numbers; the last clusters take the numbers that are free.

    New pictures that would have come into one of them come into it from then on.

    Raises:
        NotIndexed, InvalidInput, CollectionNotFound, StoreLocked: as `rename_cluster`; fewer than two clusters.
    """
    with serving_store(database, collection) as store:
        run, pictures = _run(store), _read(store)
        labels = _labels(pictures)
        rows = list(run.results["clusters"])
        chosen = sorted(set(clusters))
        _check(rows, chosen)
        if len(chosen) < 2:
            raise InvalidInput(f"clusters {list(clusters)}: expected two or more")
        numbers = np.arange(len(rows))
        numbers[chosen] = chosen[0]
        kept = [number for number in range(len(rows)) if number not in chosen[1:]]
        # Numbers stay where they can: those of the last ones move into the gaps.
        gaps = [number for number in chosen[1:] if number < len(kept)]
        for gap, last in zip(gaps, [number for number in kept if number >= len(kept)], strict=True):
            numbers[last] = gap
        centres, owners = _centres(store)
        moved = {number: int(numbers[number]) for number in kept}
        return _write(store, run, pictures, labels, numbers[labels], None, (centres, numbers[owners]), moved)


def split_cluster(database: Database, collection: str, cluster: int, into: int = 2, *, seed: int = 0) -> AnalysisRun:
    """Make one cluster several, by k-means on its pictures.

    The largest part keeps the number, and the name that people gave it; the others get new ones.

    Raises:
        NotIndexed, InvalidInput, CollectionNotFound, StoreLocked: as `rename_cluster`; more parts than different pictures.
        MissingExtra: scikit-learn is not installed.
    """
    with serving_store(database, collection) as store:
        run, pictures = _run(store), _read(store, vectors=True)
        labels = _labels(pictures)
        rows = list(run.results["clusters"])
        _check(rows, [cluster])
        inside = np.flatnonzero(labels == cluster)
        found = fit_clusters(pictures.vectors[inside], into, seed=seed)
        numbers = np.array([cluster, *range(len(rows), len(rows) + into - 1)])
        changed = labels.copy()
        changed[inside] = numbers[found.labels]
        distances = np.full(len(pictures), np.nan, np.float32)
        distances[inside] = found.distances
        centres, owners = _centres(store)
        others = owners != cluster
        parts = (np.concatenate([centres[others], found.centres]), np.concatenate([owners[others], numbers]))
        kept = {number: number for number in range(len(rows))}
        return _write(store, run, pictures, labels, changed, distances, parts, kept)


def _run(store: Store) -> AnalysisRun:
    run = read_run(store, "clusters")
    if run is None:
        raise NotIndexed(f"collection {store.manifest.collection!r} has no clusters: make them (semblant cluster)")
    return run


def _centres(store: Store) -> ClusterCentres:
    centres = read_centres(store)
    if centres is None:
        raise NotIndexed(f"collection {store.manifest.collection!r} has no centres of clusters: make them (semblant cluster)")
    return centres


def _check(rows: Sequence[Any], clusters: Sequence[int]) -> None:
    for cluster in clusters:
        if not 0 <= cluster < len(rows):
            raise InvalidInput(f"cluster {cluster}: expected one of 0 to {len(rows) - 1}")


def _read(store: Store, *, vectors: bool = False) -> PictureColumns:
    return read_columns(store, vectors=vectors, numbers=["_cluster", "_cluster_distance"], values=telling_fields(store))


def _labels(pictures: PictureColumns) -> np.ndarray:
    return as_clusters(pictures.numbers["_cluster"])


def _write(
    store: Store,
    run: AnalysisRun,
    pictures: PictureColumns,
    before: np.ndarray,
    labels: np.ndarray,
    distances: np.ndarray | None,
    centres: tuple[np.ndarray, np.ndarray],
    kept: dict[int, int],
) -> AnalysisRun:
    """Centres first: a picture that comes meanwhile gets a number that there is."""
    labels = np.where(before < 0, before, labels)
    lengths = _distances(pictures) if distances is None else np.where(np.isnan(distances), _distances(pictures), distances)
    count = int(centres[1].max()) + 1
    rows = describe_clusters(store, pictures, labels, lengths, count)
    for old, new in kept.items():
        last = run.results["clusters"][old]
        if last.get("own"):
            give_name(rows[new], last["name"])
    write_centres(store, *centres)
    moved = np.flatnonzero((labels != before) | (lengths != _distances(pictures)))
    values = {"_cluster": labels[moved].astype(np.int32), "_cluster_distance": lengths[moved].astype(np.float32)}
    write_values(store, pictures.ids[moved], values, {})
    return rewrite_run(store, dataclasses.replace(run, results={**run.results, "k": count, "clusters": rows}))


def _distances(pictures: PictureColumns) -> np.ndarray:
    distances = pictures.numbers["_cluster_distance"]
    return np.where(np.isnan(distances), 2.0, distances).astype(np.float32)
