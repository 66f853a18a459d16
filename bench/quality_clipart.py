"""What an encoder trained without labels finds among drawings: the Open Clip Art Library, its folders as labels.

One JSON line: P@1, P@10 and 10-NN accuracy, each picture asking for all others by exact search with cosine, for raw pixels, for
PCA whitened to 128 numbers and for `cae` at 64×64 in colour; and the ratio of cae's P@10 to the better of the other two.
`bench/pretrained.py` has the row of a network that knows ImageNet.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded, as `semblant train` does

import numpy as np
from semblant_exporter import data, metrics, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.export import export
from semblant_exporter.pca import pca_encoder
from semblant_exporter.training import learn, make_plan
from semblant_search.encoder import Encoder
from semblant_search.images import Fit

FIT = Fit(64, 64, 3)


def measure(vectors: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Each picture asks for all others; only those with a label ask."""
    asking = np.flatnonzero(labels >= 0)
    found = metrics.nearest(vectors, vectors[asking], 10, exclude=asking)
    hits = metrics.matches(found, labels, labels[asking])
    return {
        "P@1": round(float(metrics.precision_at(hits, 1).mean()), 4),
        "P@10": round(float(metrics.precision_at(hits, 10).mean()), 4),
        "10-NN accuracy": round(metrics.knn_accuracy(found, labels, labels[asking], 10), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=cache_dir() / "sets" / "clipart")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training")
    arguments = parser.parse_args()
    data.clipart(arguments.data)
    array = pictures.load(arguments.data, FIT)
    labels, pixels = array.label_ids, np.array(array.pixels)

    raw = pixels.reshape(len(pixels), -1).astype(np.float32)
    rows: dict[str, dict[str, Any]] = {"pixels": measure(raw / np.linalg.norm(raw, axis=1, keepdims=True), labels)}
    rows["PCA whitened, 128"] = measure(Encoder(pca_encoder(pixels, FIT)).encode(pixels), labels)
    with tempfile.TemporaryDirectory() as out:
        report = learn(make_plan(FIT, minutes=arguments.minutes), pixels, Path(out) / "model")
        export(Path(out) / "model", Path(out) / "encoder.onnx")
        encoder = Encoder(Path(out) / "encoder.onnx")
        vectors = np.concatenate([encoder.encode(pixels[start : start + 256]) for start in range(0, len(pixels), 256)])
    rows["cae"] = measure(vectors, labels) | {"epochs": len(report.history), "training seconds": round(report.seconds, 1)}
    best = max(rows[name]["P@10"] for name in ("pixels", "PCA whitened, 128"))
    result = {
        "bench": "quality_clipart",
        "pictures": len(array),
        "rows": rows,
        "ratio of P@10": round(rows["cae"]["P@10"] / best, 4),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
