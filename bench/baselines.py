"""What an encoder has to beat on Fashion-MNIST: raw pixels, and pixels whitened by PCA to 128 numbers.

One JSON line: P@1, P@10, P@100, mAP@100 and 10-NN accuracy of both by exact search with cosine, 60,000 indexed, 10,000 queries,
and the ratio of their P@10.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from semblant_exporter import data, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.evaluate import measure_labels
from semblant_search.images import Fit


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=cache_dir() / "sets" / "fashion-mnist")
    folder = parser.parse_args().data
    data.fashion_mnist(folder)
    index, queries = (pictures.load(folder / split, Fit(28, 28, 1), label="label_id") for split in ("train", "test"))
    raw = [array.pixels.reshape(len(array), -1).astype(np.float32) / 255 for array in (index, queries)]
    result: dict[str, object] = {"bench": "baselines", "indexed": len(index), "queries": len(queries)}
    scores = {}
    for name, (there, asked) in {"pixels": raw, "pca-whitened-128": pca_whitened(*raw, 128)}.items():
        started = time.perf_counter()
        scores[name] = measure_labels(unit(there), index, unit(asked), queries).metrics
        result[name] = {metric: round(value, 4) for metric, value in scores[name].items()}
        result[f"{name} search seconds"] = round(time.perf_counter() - started, 1)
    result["ratio P@10"] = round(scores["pca-whitened-128"]["P@10"] / scores["pixels"]["P@10"], 4)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
