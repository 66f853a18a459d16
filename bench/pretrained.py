"""How far a network that knows ImageNet is ahead of pixels on drawings: openclipart, 6,900 pictures in 159 categories.

One JSON line: P@1, P@10 and 10-NN accuracy, each picture asking for all others, by exact search with cosine, for raw pixels,
PCA whitened to 128 numbers, and EfficientNet-Lite0 pooled and reduced in several ways; milliseconds a picture; and the ratio of
the default's P@10 (mean pooling, whitened to 128 numbers) to that of PCA.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from semblant_exporter import data, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.evaluate import embed, measure_labels
from semblant_exporter.extractors import ExtractJob, extract
from semblant_exporter.pca import pca_encoder
from semblant_search.encoder import Encoder
from semblant_search.images import Fit

SIDE = 64
"""Of the pictures that pixels and PCA see."""
ROWS: dict[str, dict[str, Any]] = {
    "efficientnet-lite0, gap, whitened to 128": {"pooling": "gap", "dim": 128},
    "efficientnet-lite0, gap, reduced to 128": {"pooling": "gap", "dim": 128, "whiten": False},
    "efficientnet-lite0, gem, whitened to 128": {"pooling": "gem", "dim": 128},
    "efficientnet-lite0, gap, 1280": {"pooling": "gap", "dim": None},
}


def measures(vectors: np.ndarray, array: pictures.PictureArray) -> dict[str, float]:
    found = measure_labels(vectors, array, vectors, array).metrics
    return {name: round(found[name], 4) for name in ("P@1", "P@10", "10-NN accuracy")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=cache_dir() / "sets" / "clipart")
    parser.add_argument("--size", type=int, default=128, help="pixels of a side that the pretrained network sees")
    arguments = parser.parse_args()
    data.clipart(arguments.data)
    small = pictures.load(arguments.data, Fit(SIDE, SIDE, 3))
    flat = small.pixels.reshape(len(small), -1).astype(np.float32)
    rows = {"pixels": measures(flat / np.linalg.norm(flat, axis=1, keepdims=True), small)}
    pca = Encoder(pca_encoder(small.pixels, small.fit))
    rows["pca, whitened to 128"] = measures(embed(pca, small.pixels)[0], small)
    with tempfile.TemporaryDirectory() as folder:
        for name, options in ROWS.items():
            path = Path(folder) / "encoder.onnx"
            job = ExtractJob("efficientnet-lite0", arguments.data, path, size=(arguments.size, arguments.size), **options)
            extract(job)
            encoder = Encoder(path)
            array = pictures.load(arguments.data, encoder.card.fit)
            vectors, seconds = embed(encoder, array.pixels)
            rows[name] = {**measures(vectors, array), "ms": round(1000 * seconds / len(array), 2)}
    ratio = rows[next(iter(ROWS))]["P@10"] / rows["pca, whitened to 128"]["P@10"]
    print(
        json.dumps(
            {"bench": "pretrained", "pictures": len(small), "size": arguments.size, "rows": rows, "ratio": round(ratio, 3)}
        )
    )


if __name__ == "__main__":
    main()
