"""What 8-bit and 16-bit encoders lose and win against the float encoder, on real pictures.

One JSON line. `cae` learns from Fashion-MNIST for `--minutes` and is asked with its 10,000 test pictures among the 60,000;
EfficientNet-Lite0 at 128×128 is asked with each of the labelled drawings of the Open Clip Art Library among all others. For
each kind: MB of the file, P@10 by exact search with cosine and what it has lost, milliseconds a picture in batches of 16 beside
those of the float encoder in the same run, and the ratio (above 1: faster).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded, as `semblant train` does

import numpy as np
from semblant_exporter import data, metrics, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.evaluate import embed
from semblant_exporter.export import export
from semblant_exporter.extractors import ExtractJob, extract
from semblant_exporter.quantize import KINDS, quantize
from semblant_exporter.training import learn, make_plan
from semblant_search.encoder import Encoder
from semblant_search.images import Fit

FIT = Fit(28, 28, 1)


def precision(encoder: Encoder, index: pictures.PictureArray, queries: pictures.PictureArray) -> float:
    """P@10 of the labelled queries; the same array twice leaves each picture out of its own answer."""
    there = embed(encoder, index.pixels)[0]
    found = there if queries is index else embed(encoder, queries.pixels)[0]
    asked = np.flatnonzero(queries.label_ids >= 0)
    near = metrics.nearest(there, found[asked], 10, exclude=asked if queries is index else None)
    return float(metrics.precision_at(metrics.matches(near, index.label_ids, queries.label_ids[asked]), 10).mean())


def measure(encoder: Encoder, index: pictures.PictureArray, queries: pictures.PictureArray) -> dict[str, Any]:
    """The float encoder and each smaller one made of it."""
    whole = precision(encoder, index, queries)
    rows: dict[str, Any] = {"float": {"MB": round(len(encoder.to_bytes()) / 1e6, 2), "P@10": round(whole, 4)}}
    for kind in KINDS:
        report = quantize(encoder, kind, index.pixels, index.label_ids, max_drop=1)
        after = precision(Encoder(report.data), index, queries)
        rows[kind] = {
            "MB": round(report.bytes_after / 1e6, 2),
            "P@10": round(after, 4),
            "drop": round(whole - after, 4),
            "ms": round(report.ms_after, 3),
            "ms float": round(report.ms_before, 3),
            "times as fast": round(report.speedup, 2),
        }
    print(encoder.card.name, rows, file=sys.stderr, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=cache_dir() / "sets", help="the folder of both sets")
    parser.add_argument("--minutes", type=float, default=1.0, help="of training cae")
    arguments = parser.parse_args()
    clothes, drawings = arguments.data / "fashion-mnist", arguments.data / "clipart"
    data.fashion_mnist(clothes)
    data.clipart(drawings)
    result: dict[str, Any] = {"bench": "quantize"}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        index, queries = (pictures.load(clothes / split, FIT) for split in ("train", "test"))
        learn(make_plan(FIT, minutes=arguments.minutes), index.pixels, out / "model")
        export(out / "model", out / "cae.onnx")
        result["cae"] = measure(Encoder(out / "cae.onnx"), index, queries)
        extract(ExtractJob("efficientnet-lite0", drawings, out / "pretrained.onnx", size=(128, 128)))
        encoder = Encoder(out / "pretrained.onnx")
        shown = pictures.load(drawings, encoder.card.fit)
        result["efficientnet-lite0"] = measure(encoder, shown, shown)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
