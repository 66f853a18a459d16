"""`train`: from a folder of pictures to a model directory with its figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from semblant_search.errors import ImageError
from semblant_search.images import Fit, open_image

from semblant_exporter import figures, models, pictures
from semblant_exporter.listing import list_pictures
from semblant_exporter.objectives import Restore, to_images
from semblant_exporter.restoring import to_pixels
from semblant_exporter.training import check_out, learn, load_model, make_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_exporter.decoding import Failure
    from semblant_exporter.trainer import Progress
    from semblant_exporter.training import Plan, TrainingReport

__all__ = ["TrainJob", "TrainResult", "choose_fit", "train"]

DEFAULT_SIDE = 64
"""Pixels of a side where pictures differ in size: what a CPU learns from in minutes."""
_LARGEST_OWN_SIDE = 128
_PROBED = 200
_DRAWN = 12


@dataclass(frozen=True)
class TrainJob:
    """What to train, on what.

    Attributes:
        directory: of the pictures.
        out: the model directory to write.
        arch, dim, objective, options, settings: as in `make_plan`.
        size: `(height, width)` in pixels; None: the architecture's, else the pictures' own, if all have the same small one,
            else 64×64.
        channels: 1 or 3; None: 1 if all pictures are grey, else 3.
        policy: how pictures of another shape are fitted: `pad`, `crop` or `stretch`.
        metadata: a table of metadata; None: the folder's own.
        label: the metadata column with labels, for objectives that learn from them.
        start_from: a model directory whose weights the training begins with, to be fine-tuned.
        resume: go on from the state in `out`.
    """

    directory: Path
    out: Path
    arch: str = "cae"
    dim: int | None = None
    objective: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    channels: int | None = None
    policy: str = "pad"
    metadata: Path | None = None
    label: str | None = None
    start_from: Path | None = None
    resume: bool = False


@dataclass(frozen=True)
class TrainResult:
    """What came of it: the trainer's report, pictures that could not be used, and the figures that were drawn."""

    report: TrainingReport
    plan: Plan
    failures: list[Failure]
    figures: list[Path]

    def to_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {
            **self.report.to_json(),
            "plan": self.plan.to_json(),
            "figures": [str(path) for path in self.figures],
            "failures": [failure._asdict() for failure in self.failures],
        }


def train(
    job: TrainJob,
    *,
    on_decoding: Callable[[str, int, int | None], None] | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> TrainResult:
    """Decode the pictures once, train, keep the best model, draw the figures.

    Args:
        job: what to do.
        on_decoding: called with what is being decoded, how much is done and out of how many.
        on_progress: called after each step of the training.

    Raises:
        SemblantError: what is wrong with the pictures, the settings or the disk; see `learn` and `pictures.load`.
    """
    check_out(job.out, resume=job.resume)
    architecture = models.architecture(job.arch)
    fit = architecture.fit or choose_fit(job)
    plan = make_plan(fit, arch=job.arch, dim=job.dim, objective=job.objective, options=job.options, **job.settings)
    array = pictures.load(job.directory, fit, metadata=job.metadata, label=job.label, on_progress=on_decoding)
    report = learn(
        plan,
        array.pixels,
        job.out,
        labels=array.label_ids,
        start_from=job.start_from,
        resume=job.resume,
        on_progress=on_progress,
    )
    return TrainResult(report, plan, array.failures, draw(job.out, report))


def draw(out: Path, report: TrainingReport) -> list[Path]:
    """`figures/losses.png` of a model directory, and `figures/reconstructions.png` if the model has a decoder."""
    trained = load_model(out)
    name = f"{trained.plan.arch}, {trained.plan.objective}"
    folder = out / "figures"
    drawn = [folder / "losses.png"]
    title = f"{name}: {report.pictures:,} pictures"
    figures.losses(report.history, drawn[0], kept=report.best_epoch, title=title, validation=trained.objective.validation)
    if isinstance(trained.model, models.Autoencoder):
        originals = np.array(trained.sample[:_DRAWN])
        torch.manual_seed(0)
        with torch.no_grad():
            shown = trained.objective.degrade(to_images(torch.from_numpy(originals)))
            made = trained.objective.draw(trained.model, shown)
        rows, title = [("original", originals)], f"{name}: unseen pictures, drawn again from {trained.model.dim} numbers"
        if isinstance(trained.objective, Restore):
            rows, title = [*rows, ("degraded", to_pixels(shown))], f"{name}: unseen pictures, restored"
        drawn.append(folder / "reconstructions.png")
        figures.picture_rows([*rows, ("decoded", to_pixels(made))], drawn[1], title=title)
    return drawn


def choose_fit(job: TrainJob) -> Fit:
    """Size and channels for a folder, from the job or from a sample of the pictures."""
    side = models.architecture(job.arch).side
    size, channels = job.size or (None if side is None else (side, side)), job.channels
    if size is None or channels is None:
        sizes, grey = _probe(job)
        if size is None:
            own = next(iter(sizes)) if len(sizes) == 1 else None
            size = own if own is not None and min(own) >= 4 and max(own) <= _LARGEST_OWN_SIDE else (DEFAULT_SIDE, DEFAULT_SIDE)
        channels = channels or (1 if grey else 3)
    return Fit(*size, channels, policy=job.policy)


def _probe(job: TrainJob) -> tuple[set[tuple[int, int]], bool]:
    """Sizes `(height, width)` of some pictures, and whether all of them are grey. Those that do not decode do not count."""
    paths = list_pictures(job.directory, job.metadata).paths
    sizes: set[tuple[int, int]] = set()
    grey = True
    for path in paths[:: max(1, len(paths) // _PROBED)]:
        try:
            image = open_image(path)
        except ImageError:
            continue
        sizes.add((image.height, image.width))
        grey = grey and image.mode in ("L", "LA")
    return sizes, grey
