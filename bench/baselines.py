"""Claim: what an encoder has to beat on Fashion-MNIST is whitened PCA of the pixels, at P@1 .864, P@10 .829, accuracy .875.

60,000 pictures indexed, 10,000 asked (with `--quick` every sixth), exact search by cosine: raw pixels, and pixels whitened by
PCA to 128 numbers. Nothing is random here, so that the floors are the stated numbers less .002 for rounding on other
processors: a baseline that gets worse would flatter what is compared with it. The quick floors are measured ones less .005.

On two cores: 40 seconds, with `--quick` 8 seconds.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from _report import at_least, finish, parser
from semblant_exporter import data, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.evaluate import measure_labels
from semblant_exporter.listing import list_pictures
from semblant_search.images import Fit

QUICK_STEP = 6
LIMITS = (
    at_least("pixels/P@1", 0.856),
    at_least("pixels/P@10", 0.811),
    at_least("pixels/10-NN accuracy", 0.851),
    at_least("pca-whitened-128/P@1", 0.862),
    at_least("pca-whitened-128/P@10", 0.827),
    at_least("pca-whitened-128/10-NN accuracy", 0.873),
)
QUICK_LIMITS = (at_least("pixels/P@10", 0.763), at_least("pca-whitened-128/P@10", 0.78))


def unit(vectors: np.ndarray) -> np.ndarray:
    """float32 rows of length 1."""
    result: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return result


def pca_whitened(train: np.ndarray, test: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Both sets in the `dim` directions of largest variance of `train`, each scaled to variance 1."""
    mean = train.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(train - mean, rowvar=False))
    basis = (vectors[:, ::-1][:, :dim] / np.sqrt(values[::-1][:dim])).astype(np.float32)
    return (train - mean) @ basis, (test - mean) @ basis


def load(folder: Path, step: int) -> pictures.PictureArray:
    listing = list_pictures(folder)
    return pictures.load(listing.take(range(0, len(listing.paths), step)), Fit(28, 28, 1), label="label_id")


def main() -> None:
    options = parser(__doc__, quick="every sixth picture")
    options.add_argument("--data", type=Path, default=cache_dir() / "sets" / "fashion-mnist")
    arguments = options.parse_args()
    data.fashion_mnist(arguments.data)
    index, queries = (load(arguments.data / split, QUICK_STEP if arguments.quick else 1) for split in ("train", "test"))
    train, test = (array.pixels.reshape(len(array), -1).astype(np.float32) / 255 for array in (index, queries))
    numbers: dict[str, object] = {"indexed": len(index), "queries": len(queries)}
    scores = {}
    for name, (there, asked) in {"pixels": (train, test), "pca-whitened-128": pca_whitened(train, test, 128)}.items():
        started = time.perf_counter()
        scores[name] = measure_labels(unit(there), index, unit(asked), queries).metrics
        numbers[name] = {metric: round(value, 4) for metric, value in scores[name].items()}
        numbers[f"{name} search seconds"] = round(time.perf_counter() - started, 1)
    numbers["ratio P@10"] = round(scores["pca-whitened-128"]["P@10"] / scores["pixels"]["P@10"], 4)
    finish("baselines", numbers, QUICK_LIMITS if arguments.quick else LIMITS, quick=arguments.quick)


if __name__ == "__main__":
    main()
