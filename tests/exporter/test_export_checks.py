"""What an export must not let pass: numbers that ONNX Runtime computes otherwise than PyTorch, and numbers that are none."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnx
import pytest
import torch
from semblant_exporter.export import ExportOptions, Graph, build_encoder, export
from semblant_exporter.objectives import to_images
from semblant_exporter.training import load_model
from semblant_exporter.whitening import copies_recall, embed, fit_whitening
from semblant_search.encoder import Encoder, EncoderCard
from semblant_search.errors import TrainingError
from semblant_search.images import Fit
from torch.nn.functional import adaptive_avg_pool2d, normalize

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_exporter.export import ExportReport

    Change = Callable[[torch.Tensor], torch.Tensor]

TINY = Path(__file__).parent / "tiny"
FIT12 = Fit(12, 12, 1)
CARD = EncoderCard("changed", "none", FIT12, 16, "none")


class Changed(torch.nn.Module):
    """Unit vectors of 4×4 mean values; the exported graph has them changed, as by a fault of the exporter or the runtime."""

    def __init__(self, exported: Change, here: Change = lambda x: x) -> None:
        super().__init__()
        self.exported, self.here = exported, here

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embeddings `[N, 16]`."""
        x = normalize(adaptive_avg_pool2d(to_images(images), 4).flatten(1) + 0.01, dim=1)
        return self.exported(x) if torch.compiler.is_exporting() else self.here(x)


def not_the_first(change: float) -> Change:
    return lambda x: torch.where(torch.arange(x.shape[0])[:, None] > 0, x + change, x)


def one_number(value: float) -> Change:
    return lambda x: torch.where(torch.arange(16)[None, :] == 3, value * x, x)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.asarray(np.load(TINY / "sample.npy")[:20])


@pytest.mark.parametrize(
    ("exported", "here", "said"),
    [
        (lambda x: x + 2e-4, lambda x: x, "0.0002"),
        (not_the_first(5e-3), lambda x: x, "0.005"),  # a query of one picture would be right, and all that was indexed wrong
        (one_number(math.nan), lambda x: x, "nan"),
        (one_number(math.nan), one_number(math.nan), "nan"),  # agreement on nothing
    ],
)
def test_an_encoder_that_differs_from_pytorch_is_refused(
    exported: Change, here: Change, said: str, pictures: np.ndarray
) -> None:
    with pytest.raises(
        TrainingError, match=rf"differ by {said}\S* on 20 real pictures, more than 0\.0001; nothing was written"
    ):
        build_encoder(Changed(exported, here), CARD, pictures)


def test_one_picture_alone_must_come_out_as_among_others(pictures: np.ndarray) -> None:
    """PyTorch's batch and ONNX Runtime's agree here; a single picture does not."""
    beside: Change = lambda x: x + 5e-3 * (x - x.mean(0))  # noqa: E731
    with pytest.raises(TrainingError, match="nothing was written"):
        build_encoder(Changed(beside, beside), CARD, pictures)


def test_a_difference_of_rounding_passes_and_is_reported(pictures: np.ndarray) -> None:
    data, difference = build_encoder(Changed(lambda x: x + 5e-5), CARD, pictures)
    assert difference == pytest.approx(5e-5, rel=0.02)
    assert Encoder(data).card == CARD


class ChangedCells(Graph):
    """A graph whose cells alone come out otherwise."""

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Embeddings and cells."""
        embedding, cells = super().forward(images)
        return embedding, cells + 5e-3 if torch.compiler.is_exporting() else cells


def test_cells_that_differ_are_refused_too(pictures: np.ndarray) -> None:
    model = load_model(TINY).model
    _, channels, height, width = model.feature_map(to_images(torch.from_numpy(pictures[:1]))).shape
    cells = fit_whitening(torch.randn(100, channels, generator=torch.Generator().manual_seed(0)))
    card = replace(CARD, dim=8, cells=(height * width, channels))
    with pytest.raises(TrainingError, match=r"differ by 0\.005"):
        build_encoder(ChangedCells(model, None, cells).eval(), card, pictures)


class Exported(NamedTuple):
    """The tiny model, with more pictures than are checked, and what came of exporting it with cells."""

    folder: Path
    report: ExportReport


@pytest.fixture(scope="module")
def tiny_export(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    root = tmp_path_factory.mktemp("exported")
    shutil.copytree(TINY, root / "tiny")
    sample = np.load(TINY / "sample.npy")
    np.save(root / "tiny" / "sample.npy", np.concatenate([sample, 255 - sample[:100]]))
    return Exported(root / "tiny", export(root / "tiny", root / "encoder.onnx", ExportOptions(cells=True)))


def test_the_check_is_on_256_of_the_pictures_that_were_learned_from(tiny_export: Exported) -> None:
    report, trained = tiny_export.report, load_model(tiny_export.folder)
    sample = np.array(trained.sample)
    whitening = fit_whitening(embed(trained.model, sample), power=0.7)
    with torch.no_grad():
        images = to_images(torch.from_numpy(sample))
        places = trained.model.feature_map(images).flatten(2).transpose(1, 2)
        cells = fit_whitening(places.flatten(0, 1))
        expected = Graph(trained.model, whitening, cells).eval()(torch.from_numpy(sample[:256]))
    found = Encoder(report.path).encode_with_cells(sample[:256])
    assert report.checked == 256
    assert report.difference == pytest.approx(
        max(np.abs(one - other.numpy()).max() for one, other in zip(found, expected, strict=True)), rel=0.5
    )
    assert report.to_json() == {
        "path": str(report.path),
        "card": Encoder(report.path).card.to_json(),
        "fingerprint": Encoder(report.path).fingerprint,
        "bytes": report.path.stat().st_size,
        "difference": report.difference,
        "checked": 256,
        "whitened": True,
        "whitening": "whitened to the power of 0.7 on 300 pictures",
    }


def test_the_card_holds_the_facts_of_the_training(tiny_export: Exported) -> None:
    trained = load_model(tiny_export.folder)
    state = trained.facts["state"]
    card = Encoder(tiny_export.report.path).card
    assert card == tiny_export.report.card
    assert (card.name, card.architecture, card.objective) == ("cae-tiny", "cae", "reconstruct")
    assert (card.fit, card.dim, card.cells) == (trained.plan.fit, 8, (36, 4))
    assert card.training == {
        "pictures": trained.facts["learned_from"],
        "epochs": 6,
        "best_epoch": state["best_epoch"],
        "validation_loss": state["best"],
        "seconds": round(state["seconds"], 1),
        "seed": 0,
        "options": {"loss": "bce"},
        "settings": trained.plan.settings.to_json(),
        "versions": trained.facts["versions"],
    }
    whitening = fit_whitening(embed(trained.model, trained.sample), power=0.7)
    recall, count = copies_recall(trained.model, trained.sample, whitening)
    assert count == 300
    assert card.quality == {"whitened": True, "changed_copies": {"recall_at_1": round(recall, 4), "pictures": 300}}


def test_the_file_is_plain_onnx_for_batches_of_any_size(tiny_export: Exported, tmp_path: Path) -> None:
    program = onnx.load(tiny_export.report.path)
    assert [(entry.domain, entry.version) for entry in program.opset_import] == [("", 18)]
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*program.graph.input, *program.graph.output]
    }
    assert list(shapes) == ["images", "embedding", "cells"]
    assert all(isinstance(shape[0], str) for shape in shapes.values())
    assert [shape[1:] for shape in shapes.values()] == [[12, 12, 1], [8], [36, 4]]
    again = export(tiny_export.folder, tmp_path / "again.onnx", ExportOptions(cells=True))
    assert again.fingerprint == tiny_export.report.fingerprint  # the same model, exported twice, is the same encoder


@pytest.mark.parametrize(("pictures", "options"), [(5, ExportOptions()), (200, ExportOptions()), (31, ExportOptions(dim=4))])
def test_whitening_is_for_few_pictures_and_many(pictures: int, options: ExportOptions, tmp_path: Path) -> None:
    """Pictures of 160 pixels fill a model directory with some hundred of them."""
    shutil.copytree(TINY, tmp_path / "model")
    np.save(tmp_path / "model" / "sample.npy", np.load(TINY / "sample.npy")[:pictures])
    report = export(tmp_path / "model", tmp_path / "encoder.onnx", options)
    assert (report.whitened, report.card.quality["whitened"], report.checked) == (True, True, pictures)
    assert f"on {pictures} pictures" in report.whitening
    assert Encoder(report.path).dim == (options.dim or 8)
