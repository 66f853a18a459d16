"""Claim: on drawings a network that knows ImageNet is ahead of the pixels' PCA by a sixth of P@10.

The Open Clip Art Library, 6,900 pictures in 159 categories: P@1, P@10 and 10-NN accuracy, each picture asking for all others,
by exact search with cosine, for raw pixels, PCA whitened to 128 numbers, and EfficientNet-Lite0 pooled and reduced in several
ways; milliseconds a picture; and the ratio of the default's P@10 (mean pooling, whitened to 128 numbers) to that of PCA.

Nothing is random; floors are docs/encoders-measured.md's numbers (.489 and .413) less .002 for other processors' rounding, and
the ratio of those. `--quick` takes every tenth picture and the default alone; its floors are one run's numbers less .01.

On two cores: 4 minutes, with `--quick` 35 seconds.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _report import at_least, finish, parser
from _samples import sampled
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
    "efficientnet-lite0, gap, whitened to 128": {"pooling": "gap", "dim": 128, "whiten": True},
    "efficientnet-lite0, gap, reduced to 128": {"pooling": "gap", "dim": 128, "whiten": False},
    "efficientnet-lite0, gem, whitened to 128": {"pooling": "gem", "dim": 128, "whiten": True},
    "efficientnet-lite0, gap, 1280": {"pooling": "gap", "dim": None},
}


DEFAULT = next(iter(ROWS))
QUICK_STEP = 10
QUICK_ROWS = (DEFAULT,)
LIMITS = (
    at_least("rows/pca, whitened to 128/P@10", 0.411),
    at_least(f"rows/{DEFAULT}/P@10", 0.487),
    at_least("ratio", 1.17),
)
QUICK_LIMITS = (
    at_least("rows/pca, whitened to 128/P@10", 0.242),
    at_least(f"rows/{DEFAULT}/P@10", 0.284),
    at_least("ratio", 1.13),
)


def measures(vectors: np.ndarray, array: pictures.PictureArray) -> dict[str, float]:
    found = measure_labels(vectors, array, vectors, array).metrics
    return {name: round(found[name], 4) for name in ("P@1", "P@10", "10-NN accuracy")}


def main() -> None:
    parsing = parser(__doc__, quick="every tenth picture and the default alone")
    parsing.add_argument("--data", type=Path, default=cache_dir() / "sets" / "clipart")
    parsing.add_argument("--size", type=int, default=128, help="pixels of a side that the pretrained network sees")
    arguments = parsing.parse_args()
    data.clipart(arguments.data)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        source = sampled(arguments.data, work / "drawings", QUICK_STEP) if arguments.quick else arguments.data
        small = pictures.load(source, Fit(SIDE, SIDE, 3))
        flat = small.pixels.reshape(len(small), -1).astype(np.float32)
        rows = {"pixels": measures(flat / np.linalg.norm(flat, axis=1, keepdims=True), small)}
        pca = Encoder(pca_encoder(small.pixels, small.fit))
        rows["pca, whitened to 128"] = measures(embed(pca, small.pixels)[0], small)
        for name in QUICK_ROWS if arguments.quick else ROWS:
            size = (arguments.size, arguments.size)
            extract(ExtractJob("efficientnet-lite0", source, work / "encoder.onnx", size=size, **ROWS[name]))
            encoder = Encoder(work / "encoder.onnx")
            array = pictures.load(source, encoder.card.fit)
            vectors, seconds = embed(encoder, array.pixels)
            rows[name] = {**measures(vectors, array), "ms": round(1000 * seconds / len(array), 2)}
    ratio = rows[DEFAULT]["P@10"] / rows["pca, whitened to 128"]["P@10"]
    numbers = {"pictures": len(small), "size": arguments.size, "rows": rows, "ratio": round(ratio, 3)}
    finish("pretrained", numbers, QUICK_LIMITS if arguments.quick else LIMITS, quick=arguments.quick)


if __name__ == "__main__":
    main()
