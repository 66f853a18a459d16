"""What restoring wins: PSNR of all unseen pictures together, spoilt and restored, in dB, for each objective that restores.

Denoise, inpaint and superres learn from the 60,000 training pictures of Fashion-MNIST and are measured on its 10,000 test
pictures; colorize learns from nine tenths of the Open Clip Art Library at 32×32 in colour, and is measured on the others.
One JSON line; the gain is the ratio in dB.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded, as `semblant train` does

import numpy as np
import torch
from semblant_exporter import data, models, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.objectives import to_images
from semblant_exporter.training import learn, load_model, make_plan
from semblant_search.images import Fit

if TYPE_CHECKING:
    from collections.abc import Callable

OBJECTIVES = ("denoise", "inpaint", "superres", "colorize")
_BATCH = 500


def fashion(folder: Path) -> tuple[np.ndarray, np.ndarray, Fit]:
    fit = Fit(28, 28, 1)
    data.fashion_mnist(folder / "fashion-mnist")
    train, test = (pictures.load(folder / "fashion-mnist" / split, fit).pixels for split in ("train", "test"))
    return train, test, fit


def clipart(folder: Path) -> tuple[np.ndarray, np.ndarray, Fit]:
    fit = Fit(32, 32, 3)
    data.clipart(folder / "clipart")
    pixels = pictures.load(folder / "clipart", fit).pixels
    order = np.random.default_rng(0).permutation(len(pixels))
    tenth = len(pixels) // 10
    return pixels[np.sort(order[tenth:])], pixels[np.sort(order[:tenth])], fit


def pooled_psnr(restore: Callable[[torch.Tensor], torch.Tensor], spoilt: torch.Tensor, originals: torch.Tensor) -> float:
    """Of the squared error over all pictures together: a mean of decibels would be ruled by those that lost nothing at all."""
    parts = zip(torch.split(spoilt, _BATCH), torch.split(originals, _BATCH), strict=True)
    with torch.no_grad():
        error = sum(float((restore(part) - true).square().sum()) for part, true in parts) / originals.numel()
    return -10 * math.log10(error)


def measure(objective: str, minutes: float, folder: Path) -> dict[str, Any]:
    """Train one objective and measure it on unseen pictures."""
    learned_from, unseen, fit = (clipart if objective == "colorize" else fashion)(folder)
    with tempfile.TemporaryDirectory() as out:
        report = learn(make_plan(fit, objective=objective, minutes=minutes), learned_from, Path(out) / "model")
        trained = load_model(Path(out) / "model")
    model = trained.model
    assert isinstance(model, models.Autoencoder)
    originals = to_images(torch.from_numpy(np.array(unseen)))
    torch.manual_seed(0)
    spoilt = trained.objective.degrade(originals)
    before = pooled_psnr(lambda images: images, spoilt, originals)
    after = pooled_psnr(lambda images: trained.objective.draw(model, images), spoilt, originals)
    return {
        "degraded dB": round(before, 2),
        "restored dB": round(after, 2),
        "gain dB": round(after - before, 2),
        "epochs": len(report.history),
        "training seconds": round(report.seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=cache_dir() / "sets", help="the folder of both sets")
    parser.add_argument("--minutes", type=float, default=1.5, help="of training, for each objective")
    parser.add_argument("--objectives", nargs="+", choices=OBJECTIVES, default=OBJECTIVES)
    arguments = parser.parse_args()
    rows = {}
    for objective in arguments.objectives:
        rows[objective] = measure(objective, arguments.minutes, arguments.data)
        print(objective, rows[objective], file=sys.stderr, flush=True)
    print(json.dumps({"bench": "quality_restore", "rows": rows}))


if __name__ == "__main__":
    main()
