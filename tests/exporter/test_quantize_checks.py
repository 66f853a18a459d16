"""What a smaller encoder must not get away with: losing what was measured, and numbers that are none."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from semblant_exporter.export import build_encoder
from semblant_exporter.objectives import to_images
from semblant_exporter.pictures import spread_out
from semblant_exporter.quantize import QuantizeReport, quantize
from semblant_search.encoder import Encoder, EncoderCard
from semblant_search.errors import DataError, TrainingError
from semblant_search.images import Fit
from torch.nn.functional import normalize

if TYPE_CHECKING:
    from .conftest import Fashion

FIT = Fit(28, 28, 1)


class Projection(torch.nn.Module):
    """Unit vectors of 80 random sums of pixels; some are divided by numbers that 16 bits do not have."""

    def __init__(self, smallest: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = torch.nn.Linear(784, 80)
        scale = torch.ones(80)
        scale[7] = smallest
        self.before, self.after = torch.nn.Parameter(scale), torch.nn.Parameter(scale.clone())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embeddings `[N, 80]`."""
        return normalize(self.linear(to_images(images).flatten(1)) * self.before / self.after, dim=1)


def made(smallest: float, pictures: np.ndarray) -> Encoder:
    card = EncoderCard("projection", "random", FIT, 80, "none")
    return Encoder(build_encoder(Projection(smallest).eval(), card, pictures[:20])[0])


@pytest.fixture(scope="module")
def encoder(fashion: Fashion) -> Encoder:
    return made(1.0, fashion.test)


def precision_of_others(vectors: np.ndarray, labels: np.ndarray) -> float:
    """P@10 of each labelled picture among all others."""
    shares = []
    for row in np.flatnonzero(labels >= 0):
        scores = vectors @ vectors[row]
        ranked = [other for other in np.argsort(-scores, kind="stable") if other != row][:10]
        shares.append(np.mean(labels[ranked] == labels[row]))
    return float(np.mean(shares))


def test_the_loss_is_that_of_neighbours_among_the_others(encoder: Encoder, fashion: Fashion) -> None:
    labels = fashion.test_labels.copy()
    labels[::7] = -1
    report = quantize(encoder, "fp16", fashion.test, labels, max_drop=1)
    small = Encoder(report.data)
    assert report.precision_before == pytest.approx(precision_of_others(encoder.encode(fashion.test), labels), abs=1e-3)
    assert report.precision_after == pytest.approx(precision_of_others(small.encode(fashion.test), labels), abs=1e-3)
    assert report.precision_before is not None
    assert 0.3 < report.precision_before < 0.9  # a picture that found itself would have more
    assert 0.1 < report.recall_before < 1  # nor are the copies the pictures themselves
    assert (report.kind, report.pictures, report.bytes_before) == ("fp16", 500, len(encoder.to_bytes()))


@pytest.mark.parametrize("labelled", [True, False])
def test_a_limit_that_is_no_number_lets_nothing_through(labelled: bool, encoder: Encoder, fashion: Fashion) -> None:
    with pytest.raises(TrainingError, match="nothing was written"):
        quantize(encoder, "fp16", fashion.test[:40], fashion.test_labels[:40] if labelled else None, max_drop=math.nan)


@pytest.mark.parametrize("labels", [np.zeros(40, np.int64), None])
def test_an_encoder_that_computes_no_numbers_is_refused(labels: np.ndarray | None, fashion: Fashion) -> None:
    """1e-9 is 0 in 16 bits, and 0 by 0 is no number. Of one label alone, all neighbours are right whatever they are."""
    pictures = fashion.test[:40]
    with pytest.raises(TrainingError, match=r"the fp16 encoder is worse by nan .*nothing was written"):
        quantize(made(1e-9, pictures), "fp16", pictures, labels, max_drop=1)


def test_large_weights_are_stored_in_16_bits_and_others_as_they_were(encoder: Encoder, fashion: Fashion) -> None:
    before = {tensor.name: tensor for tensor in onnx.load_model_from_string(encoder.to_bytes()).graph.initializer}
    model = onnx.load_model_from_string(quantize(encoder, "fp16", fashion.test[:40], max_drop=1).data)
    after = {tensor.name: tensor for tensor in model.graph.initializer}
    small = {name for name, tensor in after.items() if tensor.data_type == onnx.TensorProto.FLOAT16}
    large = {name for name, tensor in before.items() if np.prod(tensor.dims) >= 64 and tensor.data_type == 1}
    assert small == {f"{name}.fp16" for name in large}
    assert large
    for name in large:
        exact, rounded = numpy_helper.to_array(before[name]), numpy_helper.to_array(after[f"{name}.fp16"])
        np.testing.assert_array_equal(rounded, exact.astype(np.float16))
    with torch.no_grad():
        close = Encoder(model.SerializeToString()).encode(fashion.test) * encoder.encode(fashion.test)
    assert close.sum(1).min() > 0.9999


def test_20_pictures_are_enough_and_19_are_not(encoder: Encoder, fashion: Fashion) -> None:
    assert quantize(encoder, "fp16", fashion.test[:20], max_drop=1).pictures == 20
    with pytest.raises(DataError, match="19 usable pictures: quantizing needs at least 20"):
        quantize(encoder, "fp16", fashion.test[:19])
    with pytest.raises(DataError, match=r"^1 usable picture: .*give a folder of more"):
        quantize(encoder, "fp16", fashion.test[:1])


REPORT = QuantizeReport("int8", b"x", 4_000_000, 1_500_000, 2.0, 0.5, 0.9, 0.88, 0.75, 0.7, 1234)


def test_a_report_says_what_was_lost_and_won() -> None:
    assert REPORT.drop == pytest.approx(0.05)
    assert REPORT.speedup == 4
    assert REPORT.summary() == (
        "int8: 4.00 → 1.50 MB, 2.000 → 0.500 ms a picture (4.00 × as fast)\n"
        "P@10 0.750 → 0.700, recall@1 of changed copies 0.900 → 0.880, on 1,234 pictures"
    )
    unlabelled = replace(REPORT, precision_before=None, precision_after=None)
    assert unlabelled.drop == pytest.approx(0.02)
    assert unlabelled.summary().splitlines()[1].startswith("recall@1 of changed copies")
    assert REPORT.to_json() == {
        "kind": "int8",
        "bytes_before": 4_000_000,
        "bytes_after": 1_500_000,
        "ms_before": 2.0,
        "ms_after": 0.5,
        "speedup": 4.0,
        "recall@1_before": 0.9,
        "recall@1_after": 0.88,
        "P@10_before": 0.75,
        "P@10_after": 0.7,
        "drop": 0.05,
        "pictures": 1234,
    }
    assert replace(REPORT, recall_after=0.95, precision_before=None).drop == pytest.approx(-0.05)


def test_ranges_are_calibrated_on_pictures_of_all_folders() -> None:
    """The first two hundred of a listing are of its first folder, whose ranges are not those of the others."""
    numbers = np.arange(2000)[:, None]
    chosen = spread_out(numbers, 200)[:, 0]
    assert (len(chosen), chosen[0], chosen[-1]) == (200, 0, 1999)
    assert set(np.diff(chosen)) <= {10, 11}
    assert spread_out(numbers[:7], 200)[:, 0].tolist() == list(range(7))


def test_calibration_sees_the_pictures_that_come_last(encoder: Encoder, fashion: Fashion) -> None:
    """Of pictures of which all but the last ones are black, those make the ranges."""
    dark = np.zeros_like(fashion.train)
    dark[-1000:] = fashion.train[:1000]
    small = Encoder(quantize(encoder, "int8", dark, max_drop=1).data)
    cosines = (small.encode(fashion.test) * encoder.encode(fashion.test)).sum(1)
    assert float(cosines.mean()) > 0.98
