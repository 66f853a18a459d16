"""What encoders find: Fashion-MNIST, 60,000 indexed, 10,000 queries, exact search by cosine.

One JSON line: for each row the measures of `semblant evaluate`, the test loss a pixel of its decoder (sigmoid cross-entropy),
the seconds of training, and the ratio of its P@10 to that of the published network, trained in the same run by its published
recipe. Every row trains on the 60,000 pictures less those held out for validation and measures the exported encoder; rows of
objective `triplet` see labels of training pictures, the others none, and no row sees a test picture.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded, as `semblant train` does

import numpy as np
import torch
from semblant_exporter import data, models, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.evaluate import measure_labels
from semblant_exporter.export import ExportOptions, export
from semblant_exporter.objectives import to_images
from semblant_exporter.objectives.base import reconstruction_loss
from semblant_exporter.training import learn, load_model, make_plan
from semblant_search.encoder import Encoder
from semblant_search.images import Fit

_FINE_TUNED = {"objective": "triplet", "after": "cae, 10 minutes", "learning_rate": 1e-3}
ROWS: dict[str, dict[str, Any]] = {
    "published": {"arch": "fashion-mnist-2018", "whiten": "no"},
    "published, whitened": {"arch": "fashion-mnist-2018", "whiten": "yes"},
    "cae, 3 minutes": {"minutes": 3.0},
    "cae, 10 minutes": {"minutes": 10.0},
    "cae, 10 minutes, 64 numbers": {"minutes": 10.0, "reduce": 64},
    "cae, reconstruct, 10 minutes": {"objective": "reconstruct", "minutes": 10.0},
    "cae, 1,000 labels": {**_FINE_TUNED, "labels": 1000, "minutes": 3.0},
    "cae, 1,000 labels, whitened": {**_FINE_TUNED, "labels": 1000, "minutes": 3.0, "whiten": "yes"},
    "cae, all labels": {**_FINE_TUNED, "labels": 60_000, "minutes": 10.0, "options": {"mining": "soft", "unlabelled": 0.01}},
    "simple-ae, 3 minutes": {"arch": "simple-ae", "minutes": 3.0},
    "cae-512, 3 minutes": {"arch": "cae-512", "minutes": 3.0},
    "cae-spatial, 3 minutes": {"arch": "cae-spatial", "minutes": 3.0, "side": 32},
}
"""The default objective of `cae` is `contrastive`, of others `reconstruct`; `after` is the row whose model is fine-tuned."""


def measure(folder: Path, row: dict[str, Any], out: Path) -> dict[str, Any]:
    """Train, export and evaluate one row; rows that differ only in their export share the training below `out`."""
    index, queries = (pictures.load(folder / split, _fit(row)) for split in ("train", "test"))
    model = train(index, row, out)
    state = json.loads((model / "training.json").read_bytes())["state"]
    options = ExportOptions(whiten=row.get("whiten", "auto"), dim=row.get("reduce"))
    exported = export(model, out / "encoder.onnx", options)
    encoder = Encoder(out / "encoder.onnx")
    there, found = (encoder.encode(array.pixels[:]) for array in (index, queries))
    return {
        **{name: round(value, 4) for name, value in measure_labels(there, index, found, queries).metrics.items()},
        "test loss a pixel": round(test_loss(model, queries.pixels), 4),
        "dim": encoder.dim,
        "whitened": exported.whitened,
        "epochs": len(state["history"]),
        "training seconds": round(state["seconds"], 1),
        "MB": round(exported.size / 1e6, 2),
    }


def train(index: pictures.PictureArray, row: dict[str, Any], out: Path) -> Path:
    """The model directory of a row below `out`; one that is there is not trained again, and a broken training goes on."""
    plan = {name: value for name, value in row.items() if name not in ("whiten", "reduce")}
    model = out / hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:16]
    first = plan.pop("after", None)
    start = train(index, ROWS[first], out) if first else None
    labels = index.label_ids.copy()
    labels[np.random.default_rng(1).permutation(len(labels))[plan.pop("labels", 0) :]] = -1
    plan.pop("side", None)
    learn(make_plan(index.fit, **plan), index.pixels, model, labels=labels, start_from=start, resume=True)
    return model


def _fit(row: dict[str, Any]) -> Fit:
    side = row.get("side", 28)
    return Fit(side, side, 1)


@torch.no_grad()
def test_loss(folder: Path, unseen: np.ndarray) -> float:
    model = load_model(folder).model
    assert isinstance(model, models.Autoencoder)
    parts = torch.split(to_images(torch.from_numpy(np.array(unseen))), 500)
    return float(np.mean([float(reconstruction_loss(model.decode(model.encode(part)), part, "bce")) for part in parts]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=cache_dir() / "sets" / "fashion-mnist")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), help="only some of the rows")
    parser.add_argument("--keep", type=Path, help="folder for the trained models; those that are there are not trained again")
    arguments = parser.parse_args()
    data.fashion_mnist(arguments.data)
    rows = {}
    out = arguments.keep or Path(tempfile.mkdtemp())
    out.mkdir(parents=True, exist_ok=True)
    for name in arguments.rows:
        rows[name] = measure(arguments.data, ROWS[name], out)
        print(name, rows[name], file=sys.stderr, flush=True)
    if arguments.keep is None:
        shutil.rmtree(out)
    result: dict[str, Any] = {"bench": "quality", "indexed": 60_000, "queries": 10_000, "rows": rows}
    if "published" in rows:
        base = rows["published"]["P@10"]
        result["ratio of P@10 to published"] = {name: round(row["P@10"] / base, 4) for name, row in rows.items()}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
