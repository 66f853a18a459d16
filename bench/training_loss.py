"""The published network reaches its published loss, and `cae` reaches that loss in a fraction of its time.

Both train on the 60,000 training pictures of Fashion-MNIST, one after the other on the same machine, with the 10,000 test
pictures for validation. The published loss, 43.75, is the sum over the 150 batches of an epoch of each batch's mean sigmoid
cross-entropy a pixel, measured as it trains; here it is that of the last of the 20 published epochs. That is 0.2917 a pixel.
The times compared are the seconds of training and validation until the first epoch that ends with a validation loss of at most
that: of the published network by its published recipe, and of `cae` by its own with `--objective reconstruct --epochs 1`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded, as `semblant train` does

from semblant_exporter import data, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.training import TrainingReport, learn, make_plan
from semblant_search.images import Fit

if TYPE_CHECKING:
    import numpy as np

PUBLISHED_SUM, BATCHES = 43.75, 150
TARGET = PUBLISHED_SUM / BATCHES
FIT = Fit(28, 28, 1)


def train(arch: str, train_set: np.ndarray, test_set: np.ndarray, epochs: int | None) -> TrainingReport:
    plan = make_plan(FIT, arch=arch, objective="reconstruct", epochs=epochs)
    with tempfile.TemporaryDirectory() as folder:
        return learn(plan, train_set, Path(folder) / "model", validation=test_set)


def seconds_to_target(report: TrainingReport) -> float | None:
    return next((epoch.seconds for epoch in report.history if epoch.validation <= TARGET), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=cache_dir() / "sets" / "fashion-mnist")
    parser.add_argument("--cae-epochs", type=int, default=1)
    parser.add_argument("--only-cae", action="store_true", help="a quick look; the comparison needs both")
    arguments = parser.parse_args()
    data.fashion_mnist(arguments.data)
    sets = [pictures.load(arguments.data / split, FIT).pixels for split in ("train", "test")]
    cae = train("cae", *sets, arguments.cae_epochs)
    fast = seconds_to_target(cae)
    result: dict[str, object] = {
        "bench": "training_loss",
        "cae validation loss a pixel": round(cae.best, 4),
        "cae seconds to 0.2917": fast and round(fast, 1),
    }
    if not arguments.only_cae:
        published = train("fashion-mnist-2018", *sets, None)
        slow = seconds_to_target(published)
        result |= {
            "published sum over 150 batches, last epoch": round(BATCHES * published.history[-1].train, 2),
            "published validation loss a pixel": round(published.best, 4),
            "published seconds to 0.2917": slow and round(slow, 1),
            "published seconds, 20 epochs": round(published.seconds, 1),
            "ratio": fast and slow and round(fast / slow, 4),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
