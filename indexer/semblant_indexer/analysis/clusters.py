"""Clusters by k-means on normalised vectors, and how many there should be: the elbow of the inertias (Satopää et al., 2011)."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
from semblant_search.errors import InvalidInput, MissingExtra

from .checks import check_positions, check_same_width, check_vectors, different_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Clustering", "assign", "elbow", "fit_clusters", "fit_dense_clusters"]

_WHOLE = 10_000
"""Pictures up to which k-means looks at all of them in every step; more are looked at in batches (Sculley, 2010)."""
_SILHOUETTES = 2_000
"""Pictures that silhouettes are measured on: they cost the square of that."""
_MOST_TRIED = 30
_SETTING_THREADS = threading.Lock()
"""Two at once would leave the process with the number of threads that the first one set."""
_NOTHING_LEFT = 1e-5
"""Share of the whole spread, and of a collection that has none, which is rounding."""


@dataclass(frozen=True)
class Clustering:
    """What k-means found.

    Attributes:
        centres: float32 `[k, dim]`, of unit length, the largest cluster first.
        labels: int32 `[n]`: the cluster of each vector, the nearest centre; of HDBSCAN −1 for none.
        distances: float32 `[n]`: one minus the cosine to that centre, 0–2.
        inertias: sum of squared distances by the number of clusters that was tried; of the chosen one only where it was given.
        silhouettes: float32 `[s]`: of a sample, −1 (in the wrong cluster) to 1 (far from all others); NaN for one cluster.
        sampled: int64 `[s]`: rows of that sample.
    """

    centres: np.ndarray
    labels: np.ndarray
    distances: np.ndarray
    inertias: Mapping[int, float]
    silhouettes: np.ndarray
    sampled: np.ndarray

    @property
    def k(self) -> int:
        """How many clusters."""
        return len(self.centres)


def fit_clusters(
    vectors: np.ndarray,
    k: int | None = None,
    *,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Clustering:
    """k-means; the same for the same vectors and seed.

    Args:
        vectors: float32 `[n, dim]`, of unit length.
        k: how many clusters; None for the elbow of 1 to 30.
        seed: of the first centres.
        on_progress: called with the numbers of clusters that are tried, and all.

    Raises:
        InvalidInput: no vectors, or what is no such array; more clusters than different vectors.
        MissingExtra: scikit-learn or kneed is not installed (`semblant-indexer[map]`).
    """
    vectors = check_vectors(vectors)
    if k is not None and (isinstance(k, bool) or not isinstance(k, (int, np.integer))):
        raise InvalidInput(f"k {k!r}: expected a whole number, or None for the elbow")
    different = different_rows(vectors)
    if not different:
        raise InvalidInput("no vectors to cluster: expected one at least")
    if k is not None and not 1 <= k <= different:
        raise InvalidInput(f"k {k}: expected 1 to {different:,}, the number of pictures with vectors of their own")
    tried = [k] if k is not None else list(range(1, min(_MOST_TRIED, different) + 1))
    found, inertias = {}, {}
    for done, number in enumerate(tried, 1):
        found[number], inertias[number] = _k_means(vectors, number, seed)
        if on_progress is not None:
            on_progress(done, len(tried))
    chosen = k if k is not None else elbow(tried, [inertias[number] for number in tried])
    labels, _ = _assign(vectors, found[chosen])
    order = np.argsort(-np.bincount(labels, minlength=chosen), kind="stable")
    centres = found[chosen][order]
    labels, distances = _assign(vectors, centres)
    sampled, silhouettes = _silhouettes(vectors, labels, seed)
    return Clustering(centres, labels, distances, inertias, silhouettes, sampled)


def fit_dense_clusters(positions: np.ndarray, vectors: np.ndarray, least: int | None = None) -> Clustering:
    """Clusters as dense places of a map (HDBSCAN; Campello et al., 2013): how many there are is found, and not all are in one.

    Of a map, and not of vectors: in many dimensions everything is about as far from everything else.

    Args:
        positions: float `[n, 2]`, of a map.
        vectors: float32 `[n, dim]`, of unit length: the centres are the means of these.
        least: pictures of a cluster at least; None for one in 200, and five at least.

    Returns:
        Clusters by size; labels are −1 for pictures that are in none. One for all where no place is denser than others.

    Raises:
        InvalidInput: no vectors, or what are no such arrays; `least` below two.
        MissingExtra: scikit-learn is not installed (`semblant-indexer[map]`).
    """
    vectors = check_vectors(vectors)
    positions = check_positions(positions, len(vectors), "positions")
    if not len(vectors):
        raise InvalidInput("no vectors to cluster: expected one at least")
    least = max(5, len(vectors) // 200) if least is None else least
    if least < 2:
        raise InvalidInput(f"least {least}: expected two pictures of a cluster at least")
    try:
        from sklearn.cluster import HDBSCAN
    except ModuleNotFoundError as error:
        raise MissingExtra("clusters", "semblant-indexer[map]") from error
    found = np.zeros(len(vectors), np.int64)
    if len(vectors) > least:
        found = HDBSCAN(min_cluster_size=least, min_samples=min(5, least), copy=True).fit(positions).labels_
    if (found < 0).all():
        found = np.zeros(len(vectors), np.int64)
    numbers = np.unique(found[found >= 0])
    numbers = numbers[np.argsort([-(found == number).sum() for number in numbers], kind="stable")]
    labels = np.full(len(vectors), -1, np.int32)
    for place, number in enumerate(numbers):
        labels[found == number] = place
    centres = np.array([vectors[labels == place].mean(axis=0) for place in range(len(numbers))], np.float32)
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    nearest = np.where(labels >= 0, labels, 0)
    distances = np.clip(1 - (vectors * centres[nearest]).sum(axis=1), 0, 2).astype(np.float32)
    inside = np.flatnonzero(labels >= 0)
    sampled, silhouettes = _silhouettes(vectors[inside], labels[inside], 0)
    return Clustering(centres, labels, distances, {}, silhouettes, inside[sampled])


def assign(vectors: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int32 `[n]`, the nearest centre of each vector; float32 `[n]`, one minus the cosine to it.

    Raises:
        InvalidInput: no centres, or what are no arrays of vectors of unit length.
    """
    vectors, centres = check_vectors(vectors), check_vectors(centres, "centres")
    if not len(centres):
        raise InvalidInput("no centres: expected one at least, which vectors can be nearest to")
    check_same_width(vectors, centres, ("vectors", "centres"))
    return _assign(vectors, centres)


def _assign(vectors: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `assign`; a centre may be zero, of vectors that cancel each other out."""
    cosines = vectors @ centres.T
    labels = cosines.argmax(axis=1).astype(np.int32)
    return labels, np.clip(1 - np.take_along_axis(cosines, labels[:, None], axis=1)[:, 0], 0, 2).astype(np.float32)


def elbow(ks: Sequence[int], inertias: Sequence[float]) -> int:
    """The number of clusters after which more of them gain little; the largest number where no such place is seen.

    Raises:
        InvalidInput: none, not as many inertias as numbers, numbers that do not ascend, or inertias that are not finite.
        MissingExtra: kneed is not installed (`semblant-indexer[map]`).
    """
    ks, inertias = [int(k) for k in ks], [float(inertia) for inertia in inertias]
    if not ks or len(ks) != len(inertias):
        raise InvalidInput(
            f"{len(ks)} numbers of clusters and {len(inertias)} inertias: expected as many of both, one at least"
        )
    if any(one >= other for one, other in pairwise(ks)):
        raise InvalidInput(f"numbers of clusters {ks}: expected ascending ones")
    if not all(isfinite(inertia) for inertia in inertias):
        raise InvalidInput(f"inertias {inertias}: expected finite numbers")
    for k, inertia in zip(ks, inertias, strict=True):
        if inertia <= _NOTHING_LEFT * max(inertias[0], _NOTHING_LEFT):
            return k  # every picture is its cluster's centre
    if len(ks) < 3:
        return ks[0]
    try:
        from kneed import KneeLocator
    except ModuleNotFoundError as error:
        raise MissingExtra("choosing the number of clusters", "semblant-indexer[map]") from error
    knee = KneeLocator(ks, inertias, curve="convex", direction="decreasing").knee
    return ks[-1] if knee is None else int(knee)


def _k_means(vectors: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, float]:
    try:
        from sklearn.cluster import KMeans, MiniBatchKMeans
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError as error:
        raise MissingExtra("clusters", "semblant-indexer[map]") from error
    if len(vectors) <= _WHOLE:
        model = KMeans(k, n_init=3, random_state=seed)
    else:
        model = MiniBatchKMeans(k, n_init=3, batch_size=4096, random_state=seed)
    # Each product of its many is so small that threads gain nothing, and on a busy machine wait longer than they work.
    with _SETTING_THREADS, threadpool_limits(1):
        centres = model.fit(vectors).cluster_centers_
    length = np.linalg.norm(centres, axis=1, keepdims=True)
    centres = (centres / np.where(length > 0, length, 1)).astype(np.float32)
    return centres, float((2 * _assign(vectors, centres)[1].astype(np.float64)).sum())


def _silhouettes(vectors: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.metrics import silhouette_samples

    generator = np.random.default_rng(seed)
    few = len(vectors) <= _SILHOUETTES
    sampled = np.arange(len(vectors)) if few else np.sort(generator.choice(len(vectors), _SILHOUETTES, replace=False))
    groups = len(np.unique(labels[sampled]))
    if not 2 <= groups < len(sampled):
        return sampled, np.full(len(sampled), np.nan, np.float32)
    return sampled, silhouette_samples(vectors[sampled], labels[sampled], metric="cosine").astype(np.float32)
