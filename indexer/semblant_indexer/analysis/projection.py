"""A map of vectors in two dimensions by t-SNE (van der Maaten and Hinton, 2008), and new points on a map that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from semblant_search.errors import InvalidInput, MissingExtra

from semblant_indexer.job import cores

from .checks import check_positions, check_vectors
from .neighbors import nearest_neighbors

if TYPE_CHECKING:
    from collections.abc import Callable

    from openTSNE import TSNEEmbedding

__all__ = ["fit_map", "place"]

_PERPLEXITY = 30
_EARLY, _LATE = 250, 500
"""Steps, as openTSNE's own defaults: with the attraction exaggerated, and without."""
_NEIGHBOURS = 250
"""What finding the neighbours counts in steps, when progress is told."""
_CONTINUED = 150
"""Steps of a map that starts from the last one, without exaggeration, so that it stays where it is."""
_INTERVAL = 2.0
"""Width of the raster that repulsion is interpolated on. Of 10,000 pictures the map is as trustworthy as with openTSNE's 1
(.9766), in a third of the time, which is that of the raster's Fourier transforms; with 3 it is .9753, and no faster."""
_PLACED_BY = 10
_PLACED_AT_ONCE = 10_000
_SPREAD = 1e-4
"""Standard deviation of the positions that t-SNE starts from (Kobak and Berens, 2019)."""
_COLLAPSED = 0.01
_FEWEST = 8
"""Pictures that have neighbourhoods worth the name; fewer are laid out by their main axes."""


def fit_map(
    vectors: np.ndarray,
    *,
    start: np.ndarray | None = None,
    held: np.ndarray | None = None,
    seed: int = 0,
    perplexity: float = _PERPLEXITY,
    on_progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Positions at which neighbours by cosine are neighbours; the same for the same vectors, seed and start.

    Args:
        vectors: float32 `[n, dim]`, of unit length.
        start: float `[n, 2]`, positions of the last map; NaN for those that had none, which begin among their neighbours. The
            map is turned, moved and scaled back onto them.
        held: bool `[n]`: those that stay exactly where they start, while the others find their places among them.
        seed: of what is drawn.
        perplexity: how many neighbours count, about.
        on_progress: called with the steps that are done, and all.

    Returns:
        float32 `[n, 2]`, centred where there is no start; distances have no unit.

    Raises:
        InvalidInput: what are no such arrays; one that is held and has no start; a perplexity that is not above 0.
        MissingExtra: openTSNE is not installed (`semblant-indexer[map]`).
    """
    vectors = check_vectors(vectors)
    count = len(vectors)
    if not perplexity > 0:
        raise InvalidInput(f"perplexity {perplexity}: expected a number above 0, such as {_PERPLEXITY}")
    if start is not None:
        start = check_positions(start, count, "start", gaps=True)
    if held is not None:
        held = _check_held(held, start, count)
        if held.all():
            return np.asarray(start, dtype=np.float32)
    if count < _FEWEST or np.ptp(vectors, axis=0).max(initial=0.0) < 1e-6:
        return _main_axes(vectors)
    perplexity = min(perplexity, (count - 1) / 3)
    steps = _NEIGHBOURS + (_LATE + _EARLY if start is None else _CONTINUED)

    def tell(done: int) -> None:
        if on_progress is not None:
            on_progress(done, steps)

    rows, cosines = nearest_neighbors(
        vectors, min(count - 1, int(3 * perplexity)), on_progress=lambda done, all: tell(done * _NEIGHBOURS // all)
    )
    embedding = _embedding(rows, cosines, _begin(vectors, start, rows), held, perplexity, seed)
    ended = _NEIGHBOURS

    def told(iteration: int, _error: float, _embedding: object) -> None:
        tell(ended + iteration)

    told_of = {"use_callbacks": True, "callbacks": told, "callbacks_every_iters": 10}
    if start is None:
        embedding = embedding.optimize(_EARLY, exaggeration=12, momentum=0.5, **told_of)
        ended += _EARLY
        embedding = embedding.optimize(_LATE, momentum=0.8, **told_of)
    else:
        embedding = embedding.optimize(_CONTINUED, momentum=0.8, **told_of)
    positions = np.asarray(embedding, dtype=np.float64)
    if held is not None and held.any() and start is not None:
        positions += (start[held] - positions[held]).mean(axis=0)
        positions[held] = start[held]  # exactly: each step moves the whole map to its middle
        return positions.astype(np.float32)
    if positions.std() < _COLLAPSED:  # too few to hold each other apart
        return _main_axes(vectors)
    positions = positions - positions.mean(axis=0) if start is None else _turned_back(positions, start)
    return positions.astype(np.float32)


def _embedding(
    rows: np.ndarray, cosines: np.ndarray, begins: np.ndarray, held: np.ndarray | None, perplexity: float, seed: int
) -> TSNEEmbedding:
    try:
        from openTSNE import TSNEEmbedding
        from openTSNE.affinity import PerplexityBasedNN
        from openTSNE.nearest_neighbors import PrecomputedNeighbors
        from openTSNE.tsne import kl_divergence_bh, kl_divergence_fft
    except ModuleNotFoundError as error:
        raise MissingExtra("a map", "semblant-indexer[map]") from error
    distances = np.sqrt(np.maximum(2 - 2 * cosines.astype(np.float64), 0))
    affinities = PerplexityBasedNN(
        perplexity=perplexity,
        knn_index=PrecomputedNeighbors(rows.astype(np.int64), distances),
        n_jobs=cores(),
        random_state=seed,
    )
    # Barnes and Hut's sums come in no fixed order from several threads, and the same pictures would have another map each time.
    pull, threads = (kl_divergence_bh, 1) if len(rows) < 2_000 else (kl_divergence_fft, cores())

    def pull_others(embedding: np.ndarray, *arguments: Any, **named: Any) -> Any:
        error, gradient = pull(embedding, *arguments, **named)
        gradient[held] = 0
        return error, gradient

    return TSNEEmbedding(
        begins, affinities, random_state=seed, n_jobs=threads, ints_in_interval=_INTERVAL,
        negative_gradient_method=pull if held is None else pull_others,
    )  # fmt: skip


def _check_held(held: np.ndarray, start: np.ndarray | None, count: int) -> np.ndarray:
    held = np.asarray(held)
    if held.dtype != bool or held.shape != (count,):
        raise InvalidInput(f"held: an array of {held.dtype}, shape {list(held.shape)}; expected bool [{count:,}]")
    if held.any() and (start is None or not np.isfinite(start[held]).all()):
        raise InvalidInput("held: expected a position in start for each vector that is held")
    return held


def _turned_back(positions: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The map turned, moved and scaled so that it lies on the last one as well as it can (Procrustes)."""
    known = np.isfinite(start).all(axis=1)
    if not known.any():
        return positions
    here, there = positions[known].mean(axis=0), start[known].mean(axis=0)
    moved, wanted = positions[known] - here, start[known] - there
    left, sizes, right = np.linalg.svd(moved.T @ wanted)
    scale = sizes.sum() / max((moved**2).sum(), 1e-12)
    if wanted.std() < _COLLAPSED or not scale:  # it began as one heap
        return np.asarray(positions - here + there)
    return np.asarray((positions - here) @ (left @ right) * scale + there)


def place(
    vectors: np.ndarray,
    mapped: np.ndarray,
    positions: np.ndarray,
    *,
    k: int = _PLACED_BY,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of new vectors on a map that stays as it is: where most of their nearest neighbours lie close together.

    Of neighbours in two places of the map a median lies between the places, where nothing is like either.

    Args:
        vectors: float32 `[n, dim]` that have no position.
        mapped: float32 `[m, dim]` that have.
        positions: float32 `[m, 2]`.
        k: neighbours that decide, at least 1.
        on_progress: called with the vectors that are done, and all.

    Returns:
        float32 `[n, 2]` positions; float32 `[n]`, how far the neighbours lie from it (their median distance): where that is
        large, they do not agree.

    Raises:
        InvalidInput: what are no such arrays; `k` below 1.
    """
    if k < 1:
        raise InvalidInput(f"k {k}: expected at least 1, the nearest neighbour")
    vectors, mapped = check_vectors(vectors), check_vectors(mapped, "mapped")
    positions = check_positions(positions, len(mapped), "positions").astype(np.float32)
    rows, cosines = nearest_neighbors(vectors, k, among=mapped, on_progress=on_progress)
    placed, away = np.zeros((len(vectors), 2), np.float32), np.zeros(len(vectors), np.float32)
    if rows.shape[1]:
        for start in range(0, len(rows), _PLACED_AT_ONCE):
            part = slice(start, start + _PLACED_AT_ONCE)
            around = positions[rows[part]]
            placed[part] = _between(around, cosines[part])
            away[part] = np.median(np.linalg.norm(around - placed[part, None], axis=2), axis=1)
    return placed, away


def _between(around: np.ndarray, cosines: np.ndarray) -> np.ndarray:
    """A place among neighbours at `[n, k, 2]`, most alike first: float32 `[n, 2]`.

    Between their medoid, for which the r-th counts 1 / r, and the one that lies nearest to it, nearer to the one that is more
    alike: pictures of one medoid do not lie on top of each other.
    """
    apart = np.linalg.norm(around[:, :, None] - around[:, None], axis=3)  # [n, k, k]
    every = np.arange(len(around))
    medoid = (apart / np.arange(1, around.shape[1] + 1)).sum(axis=2).argmin(axis=1)
    pair = np.argsort(apart[every, medoid], axis=1, kind="stable")[:, :2]
    pull = 1 / np.maximum(1 - np.take_along_axis(cosines, pair, axis=1), 1e-6)
    ends = np.take_along_axis(around, pair[..., None], axis=1)
    placed: np.ndarray = ((ends * pull[..., None]).sum(axis=1) / pull.sum(axis=1, keepdims=True)).astype(np.float32)
    return placed


def _begin(vectors: np.ndarray, start: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
    if start is None:
        axes = _main_axes(vectors).astype(np.float64)
        return np.asarray(axes / (axes[:, 0].std() or 1.0) * _SPREAD)
    begins = np.array(start, dtype=np.float64)
    known = np.asarray(np.isfinite(begins).all(axis=1))
    for row in np.flatnonzero(~known):
        near = rows[row][known[rows[row]]][:_PLACED_BY]
        begins[row] = np.median(begins[near], axis=0) if len(near) else 0.0
    return begins


def _main_axes(vectors: np.ndarray) -> np.ndarray:
    """float32 `[n, 2]`: the first two principal components, each turned so that its largest entry is positive."""
    centred = (
        vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64) if len(vectors) else vectors.astype(np.float64)
    )
    positions = np.zeros((len(vectors), 2))
    if len(vectors) > 1:
        _, axes = np.linalg.eigh(centred.T @ centred)
        axes = axes[:, ::-1][:, :2]
        axes = axes * np.where(np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0) < 0, -1, 1)
        positions[:, : axes.shape[1]] = centred @ axes
    return positions.astype(np.float32)
