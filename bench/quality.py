"""What encoders trained without labels find: Fashion-MNIST, 60,000 indexed, 10,000 queries, exact search by cosine.

One JSON line: for each row the measures of `semblant evaluate`, the seconds of training, and the ratio of its P@10 to that of
the published network, trained in the same run by its published recipe. Trains on the 60,000 pictures less those held out for
validation, never sees a label or a test picture, and measures the exported encoder.
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

from semblant_exporter import data, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.evaluate import measure_labels
from semblant_exporter.export import ExportOptions, export
from semblant_exporter.training import learn, make_plan
from semblant_search.encoder import Encoder
from semblant_search.images import Fit

FIT = Fit(28, 28, 1)
ROWS: dict[str, dict[str, Any]] = {
    "published": {"arch": "fashion-mnist-2018", "whiten": "no"},
    "cae, 3 minutes": {"arch": "cae", "minutes": 3.0},
}


def measure(index: pictures.PictureArray, queries: pictures.PictureArray, row: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train, export and evaluate one row."""
    asked = dict(row)
    options = ExportOptions(whiten=asked.pop("whiten", "auto"), dim=asked.pop("reduce", None))
    report = learn(make_plan(FIT, **asked), index.pixels, folder / "model")
    exported = export(folder / "model", folder / "encoder.onnx", options)
    encoder = Encoder(folder / "encoder.onnx")
    there, found = (encoder.encode(array.pixels[:]) for array in (index, queries))
    return {
        **{name: round(value, 4) for name, value in measure_labels(there, index, found, queries).metrics.items()},
        "dim": encoder.dim,
        "epochs": len(report.history),
        "training seconds": round(report.seconds, 1),
        "whitened": exported.whitened,
        "changed copies found": exported.card.quality["changed_copies"]["recall_at_1"],
        "MB": round(exported.size / 1e6, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=cache_dir() / "sets" / "fashion-mnist")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), help="only some of the rows")
    arguments = parser.parse_args()
    data.fashion_mnist(arguments.data)
    index, queries = (pictures.load(arguments.data / split, FIT) for split in ("train", "test"))
    rows = {}
    for name in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            rows[name] = measure(index, queries, ROWS[name], Path(folder))
        print(name, rows[name], file=sys.stderr, flush=True)
    result: dict[str, Any] = {"bench": "quality", "indexed": len(index), "queries": len(queries), "rows": rows}
    if "published" in rows:
        base = rows["published"]["P@10"]
        result["ratio of P@10 to published"] = {name: round(row["P@10"] / base, 4) for name, row in rows.items()}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
