"""Claim: what encoders find on Fashion-MNIST, 60,000 indexed, 10,000 asked, by exact cosine: docs/encoders-measured.md's table.

For each row the measures of `semblant evaluate`, the test loss a pixel of its decoder (sigmoid cross-entropy), the seconds of
training, and the ratio of its P@10 to that of the published network, trained in the same run by its published recipe. Every row
trains on the 60,000 pictures less those held out for validation and measures the exported encoder; rows of objective `triplet`
see labels of training pictures, the others none, and no row sees a test picture.

Floors are the README's numbers less .01: two runs of a row on machines of different speed (11 and 14 epochs in three minutes)
were .003, .003 and .006 apart, so that is twice what chance and speed have done. The published network has floors, too: a
comparator that learns badly would flatter the rest. `--quick` trains on every tenth picture for a number
of epochs, in 32-bit floats, so that a slow machine measures the same; its floors are one run's numbers less .02.

On two cores: 75 minutes, with `--quick` 40 seconds.
"""

from __future__ import annotations

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
from _report import Limit, at_least, at_most, finish, parser
from semblant_exporter import data, models, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.evaluate import measure_labels
from semblant_exporter.export import ExportOptions, export
from semblant_exporter.listing import list_pictures
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
QUICK_ROWS: dict[str, dict[str, Any]] = {
    "cae, 2 epochs": {"epochs": 2, "precision": "float32"},
    "cae, 2 epochs, 64 numbers": {"epochs": 2, "precision": "float32", "reduce": 64},
    "cae, 1,000 labels, 2 epochs": {
        "objective": "triplet",
        "after": "cae, 2 epochs",
        "labels": 1000,
        "epochs": 2,
        "precision": "float32",
    },
}
QUICK_STEP = 10
MEASURES = ("P@1", "P@10", "10-NN accuracy")
SLACK, QUICK_SLACK = 0.01, 0.02
STATED: dict[str, tuple[float, float, float, float]] = {
    "published": (0.848, 0.811, 0.862, 0.283),
    "published, whitened": (0.872, 0.831, 0.880, 0.283),
    "cae, 3 minutes": (0.899, 0.864, 0.902, 0.300),
    "cae, 10 minutes": (0.910, 0.873, 0.912, 0.297),
    "cae, 10 minutes, 64 numbers": (0.903, 0.871, 0.910, 0.297),
    "cae, reconstruct, 10 minutes": (0.885, 0.849, 0.892, 0.252),
    "cae, 1,000 labels": (0.904, 0.885, 0.909, 0.331),
    "cae, 1,000 labels, whitened": (0.916, 0.888, 0.920, 0.331),
    "cae, all labels": (0.917, 0.909, 0.929, 0.384),
    "simple-ae, 3 minutes": (0.874, 0.841, 0.885, 0.256),
    "cae-512, 3 minutes": (0.873, 0.841, 0.885, 0.273),
    "cae-spatial, 3 minutes": (0.847, 0.819, 0.864, 0.293),
}
"""P@1, P@10, 10-NN accuracy and test loss a pixel, as the READMEs say."""
QUICK_STATED: dict[str, tuple[float, float, float, float]] = {
    "cae, 2 epochs": (0.840, 0.790, 0.848, 0.370),
    "cae, 2 epochs, 64 numbers": (0.820, 0.790, 0.847, 0.370),
    "cae, 1,000 labels, 2 epochs": (0.833, 0.807, 0.855, 0.404),
}


def limits(stated: dict[str, tuple[float, float, float, float]], rows: list[str], slack: float) -> list[Limit]:
    """Floors of the rows that are measured, and a ceiling of their loss."""
    found = []
    for row in rows:
        *floors, loss = stated[row]
        found += [at_least(f"rows/{row}/{name}", round(floor - slack, 4)) for name, floor in zip(MEASURES, floors, strict=True)]
        found.append(at_most(f"rows/{row}/test loss a pixel", round(loss + slack, 4)))
    return found


def load(folder: Path, row: dict[str, Any], step: int) -> pictures.PictureArray:
    listing = list_pictures(folder)
    side = row.get("side", 28)
    return pictures.load(listing.take(range(0, len(listing.paths), step)), Fit(side, side, 1))


def measure(folder: Path, rows: dict[str, dict[str, Any]], name: str, out: Path, step: int) -> dict[str, Any]:
    """Train, export and evaluate one row; rows that differ only in their export share the training below `out`."""
    row = rows[name]
    index, queries = (load(folder / split, row, step) for split in ("train", "test"))
    model = train(index, rows, row, out)
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


def train(index: pictures.PictureArray, rows: dict[str, dict[str, Any]], row: dict[str, Any], out: Path) -> Path:
    """The model directory of a row below `out`; one that is there is not trained again, and a broken training goes on."""
    plan = {name: value for name, value in row.items() if name not in ("whiten", "reduce")}
    model = out / hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:16]
    first = plan.pop("after", None)
    start = train(index, rows, rows[first], out) if first else None
    labels = index.label_ids.copy()
    labels[np.random.default_rng(1).permutation(len(labels))[plan.pop("labels", 0) :]] = -1
    plan.pop("side", None)
    learn(make_plan(index.fit, **plan), index.pixels, model, labels=labels, start_from=start, resume=True)
    return model


@torch.no_grad()
def test_loss(folder: Path, unseen: np.ndarray) -> float:
    model = load_model(folder).model
    assert isinstance(model, models.Autoencoder)
    parts = torch.split(to_images(torch.from_numpy(np.array(unseen))), 500)
    return float(np.mean([float(reconstruction_loss(model.decode(model.encode(part)), part, "bce")) for part in parts]))


def main() -> None:
    options = parser(__doc__, quick="6,000 pictures and two epochs of each of three rows")
    options.add_argument("--data", type=Path, default=cache_dir() / "sets" / "fashion-mnist")
    options.add_argument("--rows", nargs="+", choices=list(ROWS), help="only some of the rows")
    options.add_argument("--keep", type=Path, help="folder for the trained models; those that are there are not trained again")
    arguments = options.parse_args()
    if arguments.quick and arguments.rows:
        options.error("--rows are those of the full version; leave --quick or --rows away")
    data.fashion_mnist(arguments.data)
    rows, step = (QUICK_ROWS, QUICK_STEP) if arguments.quick else (ROWS, 1)
    chosen = arguments.rows or list(rows)
    measured: dict[str, Any] = {}
    out = arguments.keep or Path(tempfile.mkdtemp())
    out.mkdir(parents=True, exist_ok=True)
    try:
        for name in chosen:
            measured[name] = measure(arguments.data, rows, name, out, step)
            print(name, measured[name], file=sys.stderr, flush=True)
    finally:
        if arguments.keep is None:
            shutil.rmtree(out)
    numbers: dict[str, Any] = {"indexed": 60_000 // step, "queries": 10_000 // step, "rows": measured}
    if "published" in measured:
        base = measured["published"]["P@10"]
        numbers["ratio of P@10 to published"] = {name: round(row["P@10"] / base, 4) for name, row in measured.items()}
    stated = limits(QUICK_STATED, chosen, QUICK_SLACK) if arguments.quick else limits(STATED, chosen, SLACK)
    finish("quality", numbers, stated, quick=arguments.quick)


if __name__ == "__main__":
    main()
