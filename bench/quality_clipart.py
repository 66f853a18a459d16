"""Claim: an encoder that learns without labels for ten minutes finds more among drawings than pixels and their PCA do.

The Open Clip Art Library, its folders as labels: P@1, P@10 and 10-NN accuracy, each picture asking for all others by exact
search with cosine, for raw pixels, for PCA whitened to 128 numbers and for `cae` at 64×64 in colour; and the ratio of cae's
P@10 to the better of the other two. The issue asked for 1.20 ×, missed: the limit is what docs/encoders-measured.md claims,
1.08 × (.447 against .413). Floors are the README's numbers less .01 for what learns, as in `quality.py`, and less .002 for what
does not. `--quick` takes every fifth drawing and four epochs in 32-bit floats; its floors are one run's numbers less .02.
`bench/pretrained.py` has the row of a network that knows ImageNet.

On two cores: 12 minutes, with `--quick` 35 seconds.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded, as `semblant train` does

import numpy as np
from _report import at_least, finish, parser
from semblant_exporter import data, metrics, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.export import export
from semblant_exporter.listing import list_pictures
from semblant_exporter.pca import pca_encoder
from semblant_exporter.training import learn, make_plan
from semblant_search.encoder import Encoder
from semblant_search.images import Fit

FIT = Fit(64, 64, 3)
PCA = "PCA whitened, 128"
QUICK_STEP, QUICK_EPOCHS = 5, 4
LIMITS = (
    at_least("rows/pixels/P@10", 0.359),
    at_least(f"rows/{PCA}/P@10", 0.411),
    at_least("rows/cae/P@1", 0.582),
    at_least("rows/cae/P@10", 0.437),
    at_least("rows/cae/10-NN accuracy", 0.533),
    at_least("ratio of P@10", 1.055),
)
QUICK_LIMITS = (at_least(f"rows/{PCA}/P@10", 0.291), at_least("rows/cae/P@10", 0.275), at_least("ratio of P@10", 0.93))


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
    options = parser(__doc__, quick=f"every fifth drawing and {QUICK_EPOCHS} epochs")
    options.add_argument("--data", type=Path, default=cache_dir() / "sets" / "clipart")
    options.add_argument("--minutes", type=float, default=10.0, help="of training")
    arguments = options.parse_args()
    data.clipart(arguments.data)
    listing = list_pictures(arguments.data)
    array = pictures.load(listing.take(range(0, len(listing.paths), QUICK_STEP if arguments.quick else 1)), FIT)
    labels, pixels = array.label_ids, np.array(array.pixels)
    how_long: dict[str, Any] = (
        {"epochs": QUICK_EPOCHS, "precision": "float32"} if arguments.quick else {"minutes": arguments.minutes}
    )

    raw = pixels.reshape(len(pixels), -1).astype(np.float32)
    rows: dict[str, dict[str, Any]] = {"pixels": measure(raw / np.linalg.norm(raw, axis=1, keepdims=True), labels)}
    rows[PCA] = measure(Encoder(pca_encoder(pixels, FIT)).encode(pixels), labels)
    with tempfile.TemporaryDirectory() as out:
        report = learn(make_plan(FIT, **how_long), pixels, Path(out) / "model")
        export(Path(out) / "model", Path(out) / "encoder.onnx")
        encoder = Encoder(Path(out) / "encoder.onnx")
        vectors = np.concatenate([encoder.encode(pixels[start : start + 256]) for start in range(0, len(pixels), 256)])
    rows["cae"] = measure(vectors, labels) | {"epochs": len(report.history), "training seconds": round(report.seconds, 1)}
    best = max(rows[name]["P@10"] for name in ("pixels", PCA))
    numbers = {"pictures": len(array), "rows": rows, "ratio of P@10": round(rows["cae"]["P@10"] / best, 4)}
    finish("quality_clipart", numbers, QUICK_LIMITS if arguments.quick else LIMITS, quick=arguments.quick)


if __name__ == "__main__":
    main()
