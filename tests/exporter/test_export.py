"""`encoder.onnx` computes what PyTorch computes, says what it is, and is written whole or not at all."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import semblant_exporter
import torch
from semblant_exporter.checkpoint import MODEL_FILE
from semblant_exporter.export import ExportOptions, build_encoder, export
from semblant_exporter.objectives import to_images
from semblant_exporter.training import learn, load_model, make_plan
from semblant_exporter.whitening import LATENT_POWER, embed, fit_whitening
from semblant_search.encoder import Encoder, EncoderCard
from semblant_search.errors import InvalidInput, TrainingError
from semblant_search.images import Fit

if TYPE_CHECKING:
    from .conftest import Fashion

TINY = Path(__file__).parent / "tiny"
"""A model directory: cae with 4 channels and 8 numbers, trained on 12×12 pictures."""


def reference(folder: Path, pictures: np.ndarray, *, whitened: bool, dim: int | None = None) -> np.ndarray:
    """What the file should compute, in PyTorch and step by step."""
    trained = load_model(folder)
    latents = embed(trained.model, pictures)
    if whitened:
        latents = fit_whitening(embed(trained.model, trained.sample), dim, LATENT_POWER)(latents)
    return np.asarray(torch.nn.functional.normalize(latents, dim=1))


@pytest.mark.parametrize(("whiten", "dim"), [("no", None), ("yes", None), ("yes", 24)])
def test_onnx_agrees_with_pytorch(whiten: str, dim: int | None, trained: Path, fashion: Fashion, tmp_path: Path) -> None:
    report = export(trained, tmp_path / "encoder.onnx", ExportOptions(whiten=whiten, dim=dim))
    encoder = Encoder(tmp_path / "encoder.onnx")
    found = encoder.encode(fashion.test)
    np.testing.assert_allclose(found, reference(trained, fashion.test, whitened=whiten == "yes", dim=dim), atol=1e-4)
    np.testing.assert_allclose(encoder.encode(fashion.test[7:8]), found[7:8], atol=1e-5)  # one picture, as a query has it
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert report.difference <= 1e-4
    assert report.fingerprint == encoder.fingerprint
    assert encoder.dim == (dim or 128)


def test_the_published_network_exports_too(fashion: Fashion, tmp_path: Path) -> None:
    plan = make_plan(Fit(28, 28, 1), arch="fashion-mnist-2018", epochs=1)
    learn(plan, fashion.train[::2], tmp_path / "model")
    export(tmp_path / "model", tmp_path / "encoder.onnx")
    assert Encoder(tmp_path / "encoder.onnx").encode(fashion.test).shape == (500, 128)


def test_the_file_says_what_it_is(trained: Path, tmp_path: Path) -> None:
    export(trained, tmp_path / "encoder.onnx", ExportOptions(name="clothes"))
    card = Encoder(tmp_path / "encoder.onnx").card
    assert (card.name, card.architecture, card.objective) == ("clothes", "cae", "contrastive")
    assert card.fit == Fit(28, 28, 1)
    assert card.training["pictures"] == 1800
    assert card.training["epochs"] == 4
    assert 0 < card.quality["changed_copies"]["recall_at_1"] <= 1


def test_the_file_says_nothing_of_the_machine_that_made_it(trained: Path, tmp_path: Path) -> None:
    export(trained, tmp_path / "encoder.onnx")
    data = (tmp_path / "encoder.onnx").read_bytes()
    for place in (str(Path(semblant_exporter.__file__).parent), str(Path(torch.__file__).parent), str(Path.cwd()), "export.py"):
        assert place.encode() not in data


def test_whitening_makes_all_directions_equally_strong(trained: Path) -> None:
    model = load_model(trained)
    latents = embed(model.model, model.sample)
    white = fit_whitening(latents)(latents)
    covariance = np.cov(white.numpy(), rowvar=False)
    assert float(white.mean(0).abs().max()) < 1e-3
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 0.02
    assert np.diag(covariance).min() > 0.5
    assert np.diag(covariance).max() < 1.01


def test_partial_whitening_leaves_weak_directions_weaker() -> None:
    latents = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([2.0, 1.0])
    strong, weak = {}, {}
    for power in (0.0, 0.5, 1.0):
        strong[power], weak[power] = fit_whitening(latents, power=power)(latents).std(0).tolist()
    assert [strong[power] / weak[power] for power in (0.0, 0.5, 1.0)] == pytest.approx([2.0, 2**0.5, 1.0], rel=0.05)


def test_whitening_says_what_it_did_and_why(trained: Path, fashion: Fashion, tmp_path: Path) -> None:
    """Few pictures, be it that there are no more or that they are large, whiten by a shrunk covariance."""
    many = export(trained, tmp_path / "encoder.onnx")
    assert many.whitened
    assert re.fullmatch(r"whitened to the power of 0\.7 on 2,000 pictures", many.whitening)
    learn(make_plan(Fit(28, 28, 1), epochs=1), fashion.train[::20], tmp_path / "few")
    few = export(tmp_path / "few", tmp_path / "encoder.onnx")
    assert few.whitened
    assert re.fullmatch(
        r"whitened to the power of 0\.7 on 100 pictures, variances shrunk by \d\d?% as these are few for 128 numbers",
        few.whitening,
    )
    refused = export(tmp_path / "few", tmp_path / "encoder.onnx", ExportOptions(whiten="no"))
    assert (refused.whitened, refused.whitening) == (False, "not whitened, as asked for")


def test_a_known_model_gives_known_vectors(tmp_path: Path) -> None:
    """What was indexed yesterday must be found tomorrow: neither the export nor a new ONNX Runtime may move the vectors."""
    export(TINY, tmp_path / "encoder.onnx", ExportOptions(whiten="yes"))
    found = Encoder(tmp_path / "encoder.onnx").encode(np.load(TINY / "sample.npy")[:3])
    expected = np.array(
        [
            [0.4437, 0.2487, 0.7938, 0.0399, 0.0243, 0.1852, -0.0822, 0.2605],
            [-0.7505, -0.0332, 0.0443, 0.2269, 0.1048, -0.3484, -0.2121, 0.4526],
            [-0.2806, 0.6098, 0.0362, 0.5736, 0.4054, 0.0367, 0.2250, -0.0526],
        ]
    )
    # The sign of each principal direction is arbitrary.
    signs = np.sign((found * expected).sum(0))
    np.testing.assert_allclose(found * signs, expected, atol=1e-3)


class Restless(torch.nn.Module):
    """Unit vectors that are never the same twice."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = to_images(images).mean((2, 3)) + torch.rand(1, 8)
        return torch.nn.functional.normalize(x, dim=1)


def test_a_graph_that_onnx_runtime_computes_otherwise_is_refused(fashion: Fashion) -> None:
    card = EncoderCard("restless", "none", Fit(28, 28, 1), 8, "none")
    with pytest.raises(TrainingError, match="nothing was written"):
        build_encoder(Restless(), card, fashion.test[:20])


def test_a_broken_model_leaves_the_encoder_that_was_there(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "model")
    cut = tmp_path / "model" / MODEL_FILE
    cut.write_bytes(cut.read_bytes()[:-100])
    (tmp_path / "out").mkdir()
    encoder = tmp_path / "out" / "encoder.onnx"
    encoder.write_bytes(b"yesterday's")
    with pytest.raises(TrainingError, match="not a whole checkpoint"):
        export(tmp_path / "model", encoder)
    assert [path.read_bytes() for path in (tmp_path / "out").iterdir()] == [b"yesterday's"]


def test_a_place_that_cannot_be_written_is_named(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TrainingError, match="cannot be written"):
        export(trained, tmp_path / "file" / "encoder.onnx")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"whiten": "perhaps"}, "auto, yes or no"), ({"whiten": "no", "dim": 8}, "by PCA"), ({"dim": 500}, "128 numbers")],
)
def test_options_that_cannot_work(options: dict[str, object], message: str, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=message):
        export(trained, tmp_path / "encoder.onnx", ExportOptions(**options))  # type: ignore[arg-type]
    assert not (tmp_path / "encoder.onnx").exists()


def test_cells_are_unit_vectors_that_agree_with_pytorch(trained: Path, fashion: Fashion, tmp_path: Path) -> None:
    report = export(trained, tmp_path / "cells.onnx", ExportOptions(whiten="yes", cells=True))
    assert report.card.cells == (16, 64)  # 4×4 places
    encoder = Encoder(tmp_path / "cells.onnx")
    embedding, cells = encoder.encode_with_cells(fashion.test)
    np.testing.assert_allclose(embedding, reference(trained, fashion.test, whitened=True), atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(cells, axis=2), 1, atol=1e-4)
    assert report.difference <= 1e-4


def test_cells_know_their_places(trained: Path, fashion: Fashion, tmp_path: Path) -> None:
    """Painting over one corner changes the cells there, and hardly those of the opposite corner."""
    export(trained, tmp_path / "cells.onnx", ExportOptions(cells=True))
    encoder = Encoder(tmp_path / "cells.onnx")
    painted = fashion.test[::5].copy()
    painted[:, :7, :7] = 255 - painted[:, :7, :7]
    before, after = (encoder.encode_with_cells(pictures)[1] for pictures in (fashion.test[::5], painted))
    same = (before * after).sum(2).mean(0).reshape(4, 4)  # cosine at each place
    assert same[0, 0] < 0.7
    assert same[3, 3] > 0.99


def test_all_embeddings_of_a_folder_as_one_array(trained: Path, fashion_small: Path, tmp_path: Path) -> None:
    from semblant_exporter.arrays import write_embeddings

    export(trained, tmp_path / "encoder.onnx")
    failures = write_embeddings(tmp_path / "encoder.onnx", fashion_small / "test", tmp_path / "embeddings.npy")
    assert failures == []
    array = np.load(tmp_path / "embeddings.npy", allow_pickle=False)
    assert (array.shape, array.dtype) == ((200, 128), np.float32)
    rows = (tmp_path / "embeddings.csv").read_text().splitlines()
    assert rows[0] == "row,uri"
    picture = Path(rows[8].split(",", 1)[1].removeprefix("file://").replace("%20", " "))
    np.testing.assert_allclose(Encoder(tmp_path / "encoder.onnx").encode_pictures([picture])[0], array[7], atol=1e-5)
