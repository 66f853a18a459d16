"""Smaller encoders: what they keep, what they lose, and when they are refused."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from semblant_exporter import pictures
from semblant_exporter.export import build_encoder
from semblant_exporter.objectives import to_images
from semblant_exporter.pixels import pixel_encoder
from semblant_exporter.quantize import export_quantized, quantize
from semblant_search.encoder import Encoder, EncoderCard
from semblant_search.errors import DataError, InvalidInput, TrainingError
from semblant_search.images import Fit
from torch.nn.functional import normalize

if TYPE_CHECKING:
    from pathlib import Path

    from semblant_exporter.pictures import PictureArray

SEMBLANT = f"{sysconfig.get_path('scripts')}/semblant"
FIT = Fit(28, 28, 1)


class Net(torch.nn.Module):
    """Random convolutions: they keep enough of a picture to compare it, and have what quantising works on."""

    def __init__(self, spread: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        first = torch.nn.Conv2d(1, 32, 3, stride=2, padding=1)
        second = torch.nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.body = torch.nn.Sequential(
            first,
            torch.nn.ReLU(),
            second,
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(64 * 49, 64),
        )
        # One channel so loud that 8 bits leave nothing of the others; the next layer takes it back, so floats do not mind.
        first.weight.data[0] *= spread
        assert first.bias is not None
        first.bias.data[0] *= spread
        second.weight.data[:, 0] /= spread

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embeddings `[N, 64]`."""
        return normalize(self.body(to_images(images)), dim=1)


@pytest.fixture(scope="module")
def array(fashion_small: Path) -> PictureArray:
    return pictures.load(fashion_small / "train", FIT)


def made(array: PictureArray, spread: float = 1.0) -> Encoder:
    card = EncoderCard("net", "random", FIT, 64, "none", quality={"kept": True})
    return Encoder(build_encoder(Net(spread).eval(), card, np.array(array.pixels[:32]))[0])


@pytest.fixture(scope="module")
def encoder(array: PictureArray) -> Encoder:
    return made(array)


@pytest.mark.parametrize(("kind", "share", "closeness"), [("int8", 0.35, 0.995), ("fp16", 0.55, 0.99999)])
def test_a_quantized_encoder_is_smaller_and_means_the_same(
    kind: str, share: float, closeness: float, encoder: Encoder, array: PictureArray
) -> None:
    report = quantize(encoder, kind, array.pixels, array.label_ids)
    small = Encoder(report.data)
    assert report.bytes_after == len(report.data) < share * report.bytes_before
    pixels = np.array(array.pixels[:100])
    cosines = (small.encode(pixels) * encoder.encode(pixels)).sum(axis=1)
    assert cosines.min() > closeness
    assert abs(report.drop) <= 0.01
    assert report.precision_before is not None
    assert report.precision_before > 0.5  # there was something to lose
    assert report.speedup == report.ms_before / report.ms_after > 0
    assert small.card.fit == FIT
    assert small.card.quality["kept"]
    assert small.card.quality["quantized"]["kind"] == kind
    assert small.card.quality["quantized"]["drop"] == round(report.drop, 4)
    assert small.fingerprint != encoder.fingerprint


def test_int8_computes_in_8_bits(encoder: Encoder, array: PictureArray) -> None:
    model = onnx.load_model_from_string(quantize(encoder, "int8", array.pixels).data)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("QuantizeLinear") >= 3
    weights = [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT8]
    assert len(weights) >= 3
    # 7 bits of them: pairs of products of 8 overflow on processors that add them in 16, so that vectors would differ there.
    assert max(np.abs(onnx.numpy_helper.to_array(tensor).astype(int)).max() for tensor in weights) == 64


def test_without_labels_the_loss_is_that_of_changed_copies(encoder: Encoder, array: PictureArray) -> None:
    report = quantize(encoder, "fp16", array.pixels)
    assert report.precision_before is None
    assert report.drop == report.recall_before - report.recall_after
    unlabelled = quantize(encoder, "fp16", array.pixels, np.full(len(array), -1))
    assert unlabelled.precision_before is None


def test_too_large_a_loss_is_refused(array: PictureArray) -> None:
    with pytest.raises(TrainingError, match=r"worse by 0\.\d+ \(P@10 .* more than --max-drop 0.01; nothing was written"):
        quantize(made(array, spread=3000.0), "int8", array.pixels, array.label_ids)


def test_encoders_with_nothing_to_quantize_are_a_clear_error(array: PictureArray) -> None:
    with pytest.raises(TrainingError, match="has no Conv, MatMul, Gemm that could be quantized"):
        quantize(Encoder(pixel_encoder(FIT)), "int8", array.pixels)


def test_bad_input_is_a_clear_error(encoder: Encoder, array: PictureArray) -> None:
    with pytest.raises(InvalidInput, match="'int4': expected one of int8, fp16"):
        quantize(encoder, "int4", array.pixels)
    with pytest.raises(InvalidInput, match="expected"):
        quantize(encoder, "int8", array.pixels[:, :20])
    with pytest.raises(DataError, match="at least 20"):
        quantize(encoder, "int8", array.pixels[:5])


def test_export_quantizes_a_trained_model_and_refuses_a_loss(trained: Path, fashion_small: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    report, small = export_quantized(trained, path, "int8", pictures=fashion_small / "train", max_drop=0.02)
    assert report.path == path
    assert report.size == path.stat().st_size < 0.4 * small.bytes_before
    assert Encoder(path).fingerprint == report.fingerprint
    assert small.precision_before is not None
    with pytest.raises(TrainingError, match="nothing was written"):
        export_quantized(trained, tmp_path / "refused.onnx", "int8", max_drop=-1)
    assert not (tmp_path / "refused.onnx").exists()
    command: list[str | Path] = [SEMBLANT, "export", trained, "-o", tmp_path / "e.onnx", "--quantize", "fp16", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["quantized"]["kind"] == "fp16"
    assert json.loads(done.stdout)["bytes"] == (tmp_path / "e.onnx").stat().st_size


def test_the_command_writes_the_file_and_what_it_costs(encoder: Encoder, fashion_small: Path, tmp_path: Path) -> None:
    (tmp_path / "e.onnx").write_bytes(encoder.to_bytes())
    command: list[str | Path] = [
        SEMBLANT,
        "quantize",
        tmp_path / "e.onnx",
        fashion_small / "test",
        "-o",
        tmp_path / "small.onnx",
        "--kind",
        "fp16",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "P@10" in done.stdout
    assert "on 200 pictures" in done.stdout
    assert Encoder(tmp_path / "small.onnx").card.quality["quantized"]["pictures"] == 200
    as_json = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert json.loads(as_json.stdout)["kind"] == "fp16"
