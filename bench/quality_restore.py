"""Claim: what restoring wins, in dB of PSNR of all unseen pictures together: 9.3 denoise, 7.9 inpaint, 4.0 superres, 1.1
colorize.

Denoise, inpaint and superres learn from the 60,000 training pictures of Fashion-MNIST and are measured on its 10,000 test
pictures; colorize learns from nine tenths of the Open Clip Art Library at 32×32 in colour, and is measured on the others. Each
learns for 90 seconds. Each is compared with the spoilt pictures themselves; the gain is the ratio in dB.

Floors are nine tenths of docs/encoders-measured.md's gains: one run each, so that the spread is not known, and a slower machine
learns less in 90 seconds. `--quick` learns from every tenth picture for a number of epochs in 32-bit floats, whatever the
machine; its floors are three quarters of one run's gains.

On two cores: 8 minutes, with `--quick` 55 seconds.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded, as `semblant train` does

import numpy as np
import torch
from _report import at_least, finish, parser
from semblant_exporter import data, models, pictures
from semblant_exporter.cache import cache_dir
from semblant_exporter.listing import list_pictures
from semblant_exporter.objectives import to_images
from semblant_exporter.training import learn, load_model, make_plan
from semblant_search.images import Fit

if TYPE_CHECKING:
    from collections.abc import Callable

OBJECTIVES = ("denoise", "inpaint", "superres", "colorize")
_BATCH = 500
QUICK_STEP, QUICK_EPOCHS = 10, {"denoise": 2, "inpaint": 2, "superres": 2, "colorize": 12}
GAINS = {"denoise": 8.4, "inpaint": 7.1, "superres": 3.6, "colorize": 1.0}
QUICK_GAINS = {"denoise": 2.1, "inpaint": 0.45, "superres": 0.34, "colorize": 0.12}


def load(folder: Path, fit: Fit, step: int) -> np.ndarray:
    listing = list_pictures(folder)
    return pictures.load(listing.take(range(0, len(listing.paths), step)), fit).pixels


def fashion(folder: Path, step: int) -> tuple[np.ndarray, np.ndarray, Fit]:
    fit = Fit(28, 28, 1)
    data.fashion_mnist(folder / "fashion-mnist")
    train, test = (load(folder / "fashion-mnist" / split, fit, step) for split in ("train", "test"))
    return train, test, fit


def clipart(folder: Path, step: int) -> tuple[np.ndarray, np.ndarray, Fit]:
    fit = Fit(32, 32, 3)
    data.clipart(folder / "clipart")
    pixels = load(folder / "clipart", fit, step)
    order = np.random.default_rng(0).permutation(len(pixels))
    tenth = len(pixels) // 10
    return pixels[np.sort(order[tenth:])], pixels[np.sort(order[:tenth])], fit


def pooled_psnr(restore: Callable[[torch.Tensor], torch.Tensor], spoilt: torch.Tensor, originals: torch.Tensor) -> float:
    """Of the squared error over all pictures together: a mean of decibels would be ruled by those that lost nothing at all."""
    parts = zip(torch.split(spoilt, _BATCH), torch.split(originals, _BATCH), strict=True)
    with torch.no_grad():
        error = sum(float((restore(part) - true).square().sum()) for part, true in parts) / originals.numel()
    return -10 * math.log10(error)


def measure(objective: str, folder: Path, step: int, **how_long: Any) -> dict[str, Any]:
    """Train one objective and measure it on unseen pictures."""
    learned_from, unseen, fit = (clipart if objective == "colorize" else fashion)(folder, step)
    with tempfile.TemporaryDirectory() as out:
        report = learn(make_plan(fit, objective=objective, **how_long), learned_from, Path(out) / "model")
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
    options = parser(__doc__, quick="every tenth picture and a few epochs")
    options.add_argument("--data", type=Path, default=cache_dir() / "sets", help="the folder of both sets")
    options.add_argument("--minutes", type=float, default=1.5, help="of training, for each objective")
    options.add_argument("--objectives", nargs="+", choices=OBJECTIVES, default=OBJECTIVES)
    arguments = options.parse_args()
    rows = {}
    for objective in arguments.objectives:
        if arguments.quick:
            rows[objective] = measure(
                objective, arguments.data, QUICK_STEP, epochs=QUICK_EPOCHS[objective], precision="float32"
            )
        else:
            rows[objective] = measure(objective, arguments.data, 1, minutes=arguments.minutes)
        print(objective, rows[objective], file=sys.stderr, flush=True)
    gains = QUICK_GAINS if arguments.quick else GAINS
    limits = [at_least(f"rows/{objective}/gain dB", gains[objective]) for objective in arguments.objectives]
    finish("quality_restore", {"rows": rows}, limits, quick=arguments.quick)


if __name__ == "__main__":
    main()
