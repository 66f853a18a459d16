"""The first contract: what a service computes from a picture with `encoder.onnx` is what PyTorch learned to compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from semblant_exporter import models, pictures
from semblant_exporter.export import ExportOptions, export
from semblant_exporter.objectives import to_images
from semblant_exporter.training import learn, load_model, make_plan
from semblant_search.encoder import Encoder
from semblant_search.images import Fit, fit_image, open_image

if TYPE_CHECKING:
    from pathlib import Path

FITS = {"cae-spatial": Fit(32, 32, 3), "efficientnet-lite0": Fit(64, 64, 3), "simple-ae": Fit(20, 28, 1, policy="stretch")}


@pytest.mark.parametrize("arch", sorted(models.ARCHITECTURES))
def test_a_service_computes_what_pytorch_does(arch: str, fashion_small: Path, tmp_path: Path) -> None:
    files = sorted((fashion_small / "test").rglob("*.png"))
    fit = FITS.get(arch, Fit(28, 28, 1))
    array = pictures.load(files[::4], fit)
    learn(make_plan(fit, arch=arch, epochs=1), array.pixels, tmp_path / "model")
    export(tmp_path / "model", tmp_path / "encoder.onnx", ExportOptions(whiten="no"))

    encoder = Encoder(tmp_path / "encoder.onnx")
    pixels = np.stack([fit_image(open_image(file), encoder.card.fit) for file in files[1::8]])
    with torch.no_grad():
        latents = load_model(tmp_path / "model").model.encode(to_images(torch.from_numpy(pixels))).flatten(1)
    expected = torch.nn.functional.normalize(latents.float(), dim=1).numpy()
    np.testing.assert_allclose(encoder.encode(pixels), expected, atol=1e-4)
