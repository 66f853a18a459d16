"""Claim: maps are as trustworthy as those of scikit-learn's t-SNE in a third of its time, and new pictures find their place.

Fashion-MNIST as PCA of its pixels in 128 numbers (with `--quick` 2,000 pictures, not 10,000). `trust`: trustworthiness of
`fit_map` and of `sklearn.manifold.TSNE` with cosine distances, the same perplexity and otherwise its defaults, on two
threads, and the ratio of their times; as many for this one, whose map is the same with any number. `placed`: a tenth of the
pictures is placed on a map of the others, and the share of them whose ten nearest on the map are mostly of their category is
compared with that of pictures that were fitted. `again`: with a tenth more pictures, how far the others move (the median, in
shares of the map's radius) and how trustworthy the map is: where they are held, as by `semblant map`, and where all are laid
out again from where they are, as when more than a fifth is new. `large`: 60,000 pictures on a map, `million`: 1,000,000
synthetic vectors (100 normal clusters in 64 numbers), of which 100,000 are fitted and the others placed, each in a process of
its own, whose peak memory is told with what its vectors take; both without `--quick` only, the first without `--skip-large`,
and the million with `--million`. `thinning`: seconds of the levels of the page for these.

On two cores: 14 minutes, with `--quick` 20 seconds.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from _report import at_least, at_most, finish, parser
from baselines import pca_whitened, unit
from semblant_exporter import data, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.listing import list_pictures
from semblant_indexer.analysis import fit_map, place
from semblant_indexer.analysis.thinning import thinning_levels
from semblant_search.images import Fit
from sklearn.manifold import TSNE, trustworthiness

if TYPE_CHECKING:
    from collections.abc import Sequence

COUNT, QUICK_COUNT = 10_000, 2_000
LARGE, MILLION, FITTED = 60_000, 1_000_000, 100_000
NEAREST = 10
LIMITS = (
    at_least("trust/over_sklearn", -0.002),
    at_most("trust/time_ratio", 0.34),
    at_most("placed/below_fitted", 0.03),
    at_most("again/held/moved", 0.0),
    at_most("again/laid_out/moved", 0.03),
    at_least("again/trust/held_over_laid_out", -0.002),
    at_most("large/seconds", 900),
)
SMALL_LIMITS = LIMITS[:-1]
QUICK_LIMITS = (at_least("trust/over_sklearn", -0.01), at_most("placed/below_fitted", 0.08), at_most("again/held/moved", 0.0))


def load(count: int) -> tuple[np.ndarray, np.ndarray]:
    """float32 `[n, 128]` of unit length, and categories, int `[n]`."""
    folder = cache_dir() / "sets" / "fashion-mnist"
    data.fashion_mnist(folder)
    listing = list_pictures(folder / "train")
    array = pictures.load(listing.take(range(0, len(listing.paths), len(listing.paths) // count)), Fit(28, 28, 1))
    flat = array.pixels.reshape(len(array), -1).astype(np.float32) / 255
    order = np.random.default_rng(0).permutation(len(array))  # they lie by category
    labels = np.unique([str(label) for label in array.labels], return_inverse=True)[1]
    return unit(pca_whitened(flat, flat, 128)[0])[order], labels[order]


def trust(vectors: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Ours beside scikit-learn's; and our map."""
    begun = time.perf_counter()
    positions = fit_map(vectors)
    ours = time.perf_counter() - begun
    begun = time.perf_counter()
    theirs = TSNE(metric="cosine", perplexity=30, random_state=0, n_jobs=2).fit_transform(vectors)
    taken = time.perf_counter() - begun
    good, other = (float(trustworthiness(vectors, map, n_neighbors=NEAREST, metric="cosine")) for map in (positions, theirs))
    told = {"semblant": good, "sklearn": other, "over_sklearn": good - other, "seconds": ours, "sklearn_seconds": taken}
    return {name: round(value, 4) for name, value in {**told, "time_ratio": ours / taken}.items()}, positions


def agreement(asked: np.ndarray, asked_labels: np.ndarray, there: np.ndarray, labels: np.ndarray, own: bool) -> float:
    """The share of points whose nearest on the map are mostly of their category."""
    right = 0
    for start in range(0, len(asked), 1000):
        away = np.linalg.norm(asked[start : start + 1000, None] - there[None], axis=2)
        rows = np.argpartition(away, NEAREST + own, axis=1)[:, : NEAREST + own]
        votes = np.zeros((len(rows), labels.max() + 1))
        for column in rows.T:
            votes[np.arange(len(rows)), labels[column]] += 1
        if own:  # itself is no neighbour
            votes[np.arange(len(rows)), asked_labels[start : start + 1000]] -= 1
        right += int((votes.argmax(axis=1) == asked_labels[start : start + 1000]).sum())
    return right / len(asked)


def placed(vectors: np.ndarray, labels: np.ndarray) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """New pictures on a map of the others; and the next map of all of them."""
    new = len(vectors) // 10
    there = fit_map(vectors[new:])
    asked = place(vectors[:new], vectors[new:], there)[0]
    fitted = agreement(there, labels[new:], there, labels[new:], True)
    found = agreement(asked, labels[:new], there, labels[new:], False)
    start = np.concatenate([np.full((new, 2), np.nan), there])
    radius = float(np.linalg.norm(there - there.mean(axis=0), axis=1).max())
    told = {}
    for name, held in (("held", ~np.isnan(start[:, 0])), ("laid_out", None)):
        again = fit_map(vectors, start=start, held=held)
        moved = float(np.median(np.linalg.norm(again[new:] - there, axis=1)) / radius)
        good = float(trustworthiness(vectors, again, n_neighbors=NEAREST, metric="cosine"))
        told[name] = {"moved": round(moved, 4), "trust": round(good, 4)}
    told["trust"] = {"held_over_laid_out": round(told["held"]["trust"] - told["laid_out"]["trust"], 4)}
    return {"fitted": round(fitted, 4), "placed": round(found, 4), "below_fitted": round(fitted - found, 4)}, told


def alone(*words: str) -> dict[str, Any]:
    """Measured in a process of its own."""
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def measured(vectors: np.ndarray, fitted: int) -> dict[str, float]:
    """A whole map, as a collection's: the first ones fitted, the others placed."""
    begun = time.perf_counter()
    there = fit_map(vectors[:fitted])
    positions = (
        there if fitted == len(vectors) else np.concatenate([there, place(vectors[fitted:], vectors[:fitted], there)[0]])
    )
    mapped = time.perf_counter()
    low, high = positions.min(axis=0), positions.max(axis=0)
    levels = thinning_levels((positions - low) / (high - low).max())
    ended = time.perf_counter()
    return {
        "pictures": len(vectors),
        "seconds": round(mapped - begun, 1),
        "thinning_seconds": round(ended - mapped, 1),
        "levels": int(levels.max()) + 1,
        "vectors_mb": round(vectors.nbytes / 1e6),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
    }


def synthetic(count: int) -> np.ndarray:
    generator = np.random.default_rng(0)
    middles = generator.normal(size=(100, 64)).astype(np.float32)
    vectors = np.empty((count, 64), np.float32)
    for start in range(0, count, 100_000):
        chosen = generator.integers(0, 100, min(100_000, count - start))
        vectors[start : start + len(chosen)] = middles[chosen] + 0.7 * generator.normal(size=(len(chosen), 64)).astype(
            np.float32
        )
    return unit(vectors)


def main(arguments: Sequence[str] | None = None) -> None:
    given = parser(__doc__, quick="2,000 pictures, no large maps")
    given.add_argument("--million", action="store_true", help="a million synthetic vectors, too")
    given.add_argument("--skip-large", action="store_true", help="without the map of 60,000: five minutes less")
    given.add_argument("--alone", choices=["large", "million"], help="measure one large map only, for a process of its own")
    options = given.parse_args(arguments)
    if options.alone is not None:
        large = options.alone == "large"
        vectors = load(LARGE)[0] if large else synthetic(MILLION)
        print(json.dumps(measured(vectors, len(vectors) if large else FITTED)))
        return
    vectors, labels = load(QUICK_COUNT if options.quick else COUNT)
    numbers: dict[str, Any] = {"pictures": len(vectors)}
    numbers["trust"], _ = trust(vectors)
    numbers["placed"], numbers["again"] = placed(vectors, labels)
    if not options.quick and not options.skip_large:
        numbers["large"] = alone("--alone", "large")
        if options.million:
            numbers["million"] = alone("--alone", "million")
    limits = QUICK_LIMITS if options.quick else SMALL_LIMITS if options.skip_large else LIMITS
    finish("map", numbers, limits, quick=options.quick)


if __name__ == "__main__":
    main()
