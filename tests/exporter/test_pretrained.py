"""Fine-tuning a network that knows ImageNet with labels of the user's own pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from semblant_exporter import models, pictures
from semblant_exporter.evaluate import evaluate
from semblant_exporter.export import Graph, build_encoder, export
from semblant_exporter.training import learn, make_plan
from semblant_search.encoder import Encoder, EncoderCard
from semblant_search.errors import InvalidInput
from semblant_search.images import Fit

if TYPE_CHECKING:
    from pathlib import Path

FIT = Fit(32, 32, 1)
LITE = "efficientnet-lite0"


def test_labels_teach_a_pretrained_network_more_than_it_knew(fashion_small: Path, tmp_path: Path) -> None:
    array = pictures.load(fashion_small / "train", FIT)
    torch.manual_seed(0)
    model = models.build(LITE, {"height": 32, "width": 32, "channels": 1}).eval()
    card = EncoderCard("as it came", LITE, FIT, 128, "pretrained")
    as_it_came = Encoder(build_encoder(Graph(model, None), card, np.array(array.pixels[:8]))[0])
    plan = make_plan(FIT, arch=LITE, objective="triplet", epochs=2, batch=50, learning_rate=1e-3, precision="float32")
    learn(plan, array.pixels, tmp_path / "tuned", labels=array.label_ids)
    export(tmp_path / "tuned", tmp_path / "tuned.onnx")
    before, after = (
        evaluate(encoder, fashion_small / "train", fashion_small / "test").metrics["P@10"]
        for encoder in (as_it_came, tmp_path / "tuned.onnx")
    )
    assert after > before + 0.03


def test_it_starts_from_imagenet_and_keeps_its_statistics() -> None:
    model = models.build(LITE, {"height": 32, "width": 32, "channels": 1})
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items() if "running" in name}
    images = torch.rand(8, 1, 32, 32)
    grey = model.encode(images)
    assert grey.shape == (8, 128)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    again = models.build(LITE, {"height": 32, "width": 32})
    coloured = images.expand(-1, 3, -1, -1)
    same, other = (built.get_submodule("extractor").encode(coloured).detach() for built in (again, model))  # type: ignore[operator]
    assert np.allclose(same, other, atol=1e-5)


def test_pictures_too_small_for_it_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 32"):
        models.build(LITE, {"height": 28, "width": 28})
