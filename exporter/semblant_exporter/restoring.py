"""`restore`: show trained networks new pictures, and keep what their decoders make of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from semblant_search.errors import ImageError, InvalidInput
from semblant_search.images import fit_image, open_image

from semblant_exporter import figures
from semblant_exporter.checkpoint import write_atomically
from semblant_exporter.models import Autoencoder
from semblant_exporter.objectives import Restore, to_images
from semblant_exporter.objectives.restore import HOLE
from semblant_exporter.training import load_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL import Image
    from torch import Tensor

    from semblant_exporter.training import TrainedModel

__all__ = ["RestoreReport", "Restored", "psnr", "restore"]

_BATCH = 64
_MOST_DRAWN = 10


@dataclass(frozen=True)
class Restored:
    """One picture: where the result is, and with `degrade` the PSNR against the sound picture, before and after, in dB."""

    source: str
    path: Path
    psnr_before: float | None = None
    psnr_after: float | None = None


@dataclass(frozen=True)
class RestoreReport:
    """The results, the figure that shows inputs and results beside each other, and pictures that could not be used."""

    restored: list[Restored]
    figure: Path
    failures: list[str]

    def to_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {
            "restored": [{**vars(item), "path": str(item.path)} for item in self.restored],
            "figure": str(self.figure),
            "failures": self.failures,
        }


def restore(folder: Path, sources: Sequence[Path], out: Path, *, degrade: bool = False, seed: int = 0) -> RestoreReport:
    """Write what the decoder of a model directory makes of pictures, as PNG files of the model's size.

    Args:
        folder: the model directory.
        sources: pictures; transparent parts are holes for `inpaint`, and `superres` takes them at the small size.
        out: the folder to write to, `<name>.png` for each picture and `restored.png` with all beside each other.
        degrade: the pictures are sound; spoil them first as the training did, and measure what is won back.
        seed: fixes the spoiling.

    Raises:
        TrainingError: no sound model in `folder`, or `out` cannot be written.
        InvalidInput: no pictures, the model has no decoder, or `degrade` with an objective that spoils nothing.
        ImageError: not one of the pictures can be used.
    """
    trained = load_model(folder)
    model = trained.model
    if not isinstance(model, Autoencoder):
        raise InvalidInput(f"{trained.plan.arch} has no decoder, so there is nothing it could draw; train cae instead")
    if degrade and not isinstance(trained.objective, Restore):
        raise InvalidInput(
            f"{str(folder)!r} was trained for {trained.plan.objective!r}, which spoils no pictures, so there is nothing to win "
            "back; leave --degrade away, or train with --objective denoise, inpaint, colorize or superres"
        )
    pictures, used, failures = _read(trained, sources, degrade)
    images = to_images(torch.from_numpy(pictures))
    torch.manual_seed(seed)
    shown = trained.objective.degrade(images) if degrade else trained.objective.shown(images)
    with torch.no_grad():
        drawn = torch.cat([trained.objective.draw(model, part) for part in torch.split(shown, _BATCH)])
    before, after = psnr(shown, images if degrade else shown), psnr(drawn, images if degrade else drawn)
    results = []
    names: set[str] = set()
    for number, source in enumerate(used):
        path = out / f"{_unique(source.stem, names)}.png"
        write_atomically(path, _png(to_pixels(drawn[number : number + 1])[0]))
        measured = (round(before[number], 2), round(after[number], 2)) if degrade else (None, None)
        results.append(Restored(str(source), path, *measured))
    figure = out / "restored.png"
    rows = [("original", pictures[:_MOST_DRAWN])] if degrade else []
    rows.append(("degraded" if degrade else "given", to_pixels(shown[:_MOST_DRAWN])))
    rows.append(("restored", to_pixels(drawn[:_MOST_DRAWN])))
    figures.picture_rows(rows, figure, title=f"{trained.plan.arch}, {trained.plan.objective}")
    return RestoreReport(results, figure, failures)


def psnr(images: Tensor, originals: Tensor) -> list[float]:
    """Peak signal-to-noise ratio of each of the images `[N, C, H, W]` in 0–1, in dB; at most 100, for equal ones."""
    errors = (images - originals).square().mean((1, 2, 3))  # [N]
    return [float(value) for value in -10 * torch.log10(errors + 1e-10)]


def to_pixels(images: Tensor) -> np.ndarray:
    """float `[N, C, H, W]` in 0–1 to uint8 `[N, H, W, C]`."""
    pixels: np.ndarray = (images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return pixels


def _read(trained: TrainedModel, sources: Sequence[Path], degrade: bool) -> tuple[np.ndarray, list[Path], list[str]]:
    if not sources:
        raise InvalidInput("no pictures to restore: name at least one")
    fit = trained.plan.fit if degrade else trained.objective.fit(trained.plan.fit)
    pictures, used, failures = [], [], []
    for source in sources:
        try:
            image = open_image(source)
        except ImageError as error:
            failures.append(str(error))
            continue
        pictures.append(fit_image(_fill_holes(image) if trained.plan.objective == "inpaint" else image, fit))
        used.append(source)
    if not used:
        raise ImageError("not one of the pictures can be used:\n  " + "\n  ".join(failures), reason="unreadable")
    return np.stack(pictures), used, failures


def _fill_holes(image: Image.Image) -> Image.Image:
    """Lay transparent parts over the grey that means "missing" to the network."""
    if image.mode not in ("LA", "RGBA"):
        return image
    from PIL import Image

    grey = round(255 * HOLE)
    below = Image.new("RGBA", image.size, (grey, grey, grey, 255))
    return Image.alpha_composite(below, image.convert("RGBA")).convert("RGB")


def _unique(stem: str, names: set[str]) -> str:
    """A file name that no earlier picture of the same name took."""
    name, number = stem, 1
    while name in names or name == "restored":
        number += 1
        name = f"{stem}-{number}"
    names.add(name)
    return name


def _png(pixels: np.ndarray) -> bytes:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG")
    return file.getvalue()
