"""Ways that train a network on the pictures: an autoencoder from scratch, and a small network taught by a larger one."""

from __future__ import annotations

import copy
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from semblant_search.images import Fit
from semblant_search.shown import counted
from torch import nn

from semblant_exporter import pictures
from semblant_exporter.augment import Views, view
from semblant_exporter.checkpoint import MODEL_FILE
from semblant_exporter.export import Graph
from semblant_exporter.extractors.backbones import backbone, load_weights
from semblant_exporter.objectives import to_images
from semblant_exporter.trainer import Examples, Settings, Trainer
from semblant_exporter.training import learn, load_model, make_plan
from semblant_exporter.whitening import LATENT_POWER, embed, fit_whitening, ledoit_wolf

from .guide import judge, two_views
from .rows import Made, Row

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from semblant_exporter.trainer import Progress as Step

    from .looking import Look
    from .sample import Sample

    Progress = Callable[[str, int, int | None], None]

__all__ = ["check_student", "distilled", "scratch"]

_LARGEST_OWN_SIDE = 128
_SIDE = 64
STUDENT, STUDENT_SIDE = "efficientnet-lite0", 112
_CHANGES = Views(shift=0.05, zoom=0.1, stretch=0.0, rotate=0.0, exposure=0.0, gamma=0.0, colour=0.0, grey=0.0)
"""Of what the student is shown, for the same vector: mirrored or not, a little moved and scaled."""
_SIMILARITIES = 10.0
"""Weight of the batch's similarities beside each picture's own vector."""


def scratch(sample: Sample, look: Look, dim: int, minutes: float, seed: int, on_progress: Progress | None) -> list[Made]:
    """Train the default autoencoder without labels. Broken off after an epoch, it is what it was at its best one.

    Raises:
        KeyboardInterrupt: it was broken off before.
    """
    side = look.side // 4 * 4 if 4 <= look.side <= _LARGEST_OWN_SIDE else _SIDE
    fit = Fit(side, side, 1 if look.grey else 3)
    plan = make_plan(fit, dim=dim, minutes=minutes, seed=seed)
    array = pictures.load(sample.others, fit, on_progress=on_progress)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "model"
        try:
            report = learn(plan, array.pixels, out, on_progress=_steps("training an autoencoder", on_progress))
            epochs, stopped = len(report.history), False
        except KeyboardInterrupt:
            if not (out / MODEL_FILE).exists():
                raise
            epochs, stopped = 0, True
        trained = load_model(out)
        model, kept = trained.model, np.array(trained.sample)
    latents = embed(model, kept)
    whitening = fit_whitening(latents, dim, LATENT_POWER, ledoit_wolf(latents))
    epochs = epochs or int(trained.facts["state"]["best_epoch"])
    facts = {"pictures": len(array), "epochs": epochs, "minutes": minutes, "seed": seed}
    graph = Graph(model, whitening).eval()
    what = f"an autoencoder, {side}×{side}, {_epochs(epochs, stopped=stopped)}"
    made = _measured(sample, graph, fit, "scratch", what, (plan.arch, plan.objective), facts)
    return [replace(made, stopped=stopped)]


def distilled(sample: Sample, teacher: Made, minutes: float, seed: int, on_progress: Progress | None) -> list[Made]:
    """Teach EfficientNet-Lite0 at 112 pixels the vectors of another way, for its speed.

    Raises:
        KeyboardInterrupt: it was broken off before the end of its first epoch.
    """
    fit = Fit(STUDENT_SIDE, STUDENT_SIDE, 3)
    pixels = sample.load(fit, on_progress)
    torch.manual_seed(seed)
    task = _Taught(_Student(teacher.vectors.shape[1]), torch.from_numpy(teacher.vectors))
    kept: dict[str, Tensor] = {}
    settings = Settings(epochs=None, minutes=minutes, least_steps=20, batch=64, learning_rate=1e-3, seed=seed)

    def keep(_: object) -> None:
        kept.update(copy.deepcopy(task.student.state_dict()))

    trainer = Trainer(task, settings, on_improvement=keep, on_progress=_steps("teaching a smaller network", on_progress))
    rows = np.arange(len(pixels), dtype=np.int64)
    held_out = sample.learned[:: max(2, len(sample.learned) // 200)]
    learned = Examples(pixels, rows, np.setdiff1d(sample.learned, held_out))
    stopped = False
    try:
        trainer.fit(learned, Examples(pixels, rows, held_out))
    except KeyboardInterrupt:
        if not kept:
            raise
        stopped = True
    task.student.load_state_dict(kept)
    student = task.student.float().cpu().eval()
    epochs = len(trainer.state.history)
    facts = {"pictures": len(learned), "teacher": teacher.row.what, "epochs": epochs, "minutes": minutes, "seed": seed}
    what = f"{STUDENT} at {STUDENT_SIDE} pixels, taught by {teacher.row.way}, {_epochs(epochs, stopped=stopped)}"
    made = _measured(sample, student, fit, "distilled", what, (STUDENT, "distilled"), facts)
    return [replace(made, stopped=stopped)]


def _epochs(count: int, *, stopped: bool) -> str:
    return f"{counted(count, 'epoch')}{', broken off' if stopped else ''}"


def check_student() -> None:
    """`MissingExtra` where the weights that the student begins with are not installed."""
    load_weights(backbone(STUDENT))


class _Student(nn.Module):
    """A pretrained network and one linear layer: unit vectors `[N, D]` of pictures uint8 `[N, H, W, 3]`."""

    mean: Tensor
    std: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        entry = backbone(STUDENT)
        self.network, _ = load_weights(entry)
        self.register_buffer("mean", torch.tensor(entry.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(entry.std).view(1, 3, 1, 1))
        with torch.no_grad():
            width = int(self.network(torch.zeros(1, 3, 64, 64)).shape[1])
        self.linear = nn.Linear(width, dim)

    def train(self, mode: bool = True) -> _Student:
        """As everywhere, but batch normalisation keeps its statistics: those of small batches would undo what it knows."""
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, pictures: Tensor) -> Tensor:
        """Unit vectors `[N, D]`."""
        return self.vectors(to_images(pictures))

    def vectors(self, images: Tensor) -> Tensor:
        """Unit vectors `[N, D]` of images `[N, 3, H, W]` in 0–1."""
        found = self.network((images - self.mean) / self.std)  # [N, d, h, w]
        return F.normalize(self.linear(found.mean((2, 3))), dim=1)


class _Taught(nn.Module):
    """A student and what it is to say: `labels` are the rows of the pictures."""

    teacher: Tensor

    def __init__(self, student: _Student, teacher: Tensor) -> None:
        super().__init__()
        self.student = student
        self.register_buffer("teacher", teacher)

    def forward(self, pictures: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """`loss`: how far vectors are from the teacher's, and the batch's similarities from the teacher's."""
        images = to_images(pictures)
        if self.training:
            images = view(images, _CHANGES)
        found, wanted = self.student.vectors(images).float(), self.teacher[labels]
        with torch.autocast(images.device.type, enabled=False):
            apart = 1 - (found * wanted).sum(1).mean()
            similarities = F.mse_loss(found @ found.T, wanted @ wanted.T)
        return {"loss": apart + _SIMILARITIES * similarities, "cosine": 1 - apart.detach()}


@torch.no_grad()
def _measured(
    sample: Sample, graph: nn.Module, fit: Fit, way: str, what: str, names: tuple[str, str], facts: dict[str, Any]
) -> Made:
    pixels = sample.load(fit)
    began = time.perf_counter()
    vectors = _run(graph, pixels)
    ms = 1000 * (time.perf_counter() - began) / len(pixels)
    changed = _run(graph, two_views(pixels[sample.asked]))
    index, asked = vectors[sample.learned], vectors[sample.asked]
    row = Row(way, what, judge(index, asked, changed), ms, sample.precision(index, asked))
    return Made(row, lambda: graph, fit, *names, facts, vectors)


def _run(graph: nn.Module, pixels: np.ndarray) -> np.ndarray:
    parts = [graph(torch.from_numpy(np.array(pixels[begin : begin + 64]))) for begin in range(0, len(pixels), 64)]
    found: np.ndarray = torch.cat(parts).numpy()
    return found


def _steps(what: str, on_progress: Progress | None) -> Callable[[Step], None]:
    def on_step(step: Step) -> None:
        if on_progress is not None:
            on_progress(what, round(1000 * step.done), 1000)

    return on_step
