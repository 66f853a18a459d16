"""Any ONNX that takes pictures becomes an encoder: its preprocessing is said once, and goes into the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper
from semblant_exporter import pictures
from semblant_exporter.cli.extract import extract as command
from semblant_exporter.extractors import ExtractJob, extract
from semblant_search.encoder import Encoder
from semblant_search.errors import InvalidInput, TrainingError
from semblant_search.images import Fit
from support.networks import SIDE, network

if TYPE_CHECKING:
    from pathlib import Path

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)


@pytest.fixture(scope="module")
def bugs(clipart: Path) -> Path:
    return clipart / "animals" / "bugs"


def features(path: Path, pixels: np.ndarray, *, last: bool = False, output: str | None = None) -> np.ndarray:
    """What the network itself says of pictures that were scaled by hand."""
    scaled = ((pixels / 255 - np.array(MEAN)) / np.array(STD)).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found: Any = session.run([output] if output else None, {"x": scaled if last else scaled.transpose(0, 3, 1, 2)})[0]
    return np.asarray(found)


def unit(features: np.ndarray) -> np.ndarray:
    found: np.ndarray = features / np.linalg.norm(features, axis=1, keepdims=True)
    return found


@pytest.mark.parametrize(
    ("kind", "pooling", "last", "pooled"),
    [
        ("map", "gap", False, lambda found: found.mean((2, 3))),
        ("map", "gem", True, lambda found: (np.maximum(found, 1e-6) ** 3).mean((2, 3)) ** (1 / 3)),
        ("map", "flatten", False, lambda found: found.reshape(len(found), -1)),
        ("tokens", "gap", False, lambda found: found.mean(1)),
        ("tokens", "cls", False, lambda found: found[:, 0]),
        ("tokens", "flatten", True, lambda found: found.reshape(len(found), -1)),
    ],
)
def test_the_encoder_says_what_the_network_says(
    kind: str, pooling: str, last: bool, pooled: Any, bugs: Path, tmp_path: Path
) -> None:
    own = network(tmp_path / "own.onnx", kind=kind, last=last)
    out = tmp_path / "encoder.onnx"
    report = extract(ExtractJob(str(own), bugs, out, pooling=pooling, dim=None, mean=MEAN, std=STD))
    encoder = Encoder(out)
    assert (report.difference < 1e-4, encoder.card.fit, encoder.card.architecture) == (True, Fit(SIDE, SIDE, 3), "own")
    pixels = np.array(pictures.load(bugs, encoder.card.fit).pixels[:5])
    np.testing.assert_allclose(encoder.encode(pixels), unit(pooled(features(own, pixels, last=last))), atol=1e-5)
    assert encoder.card.training["mean"] == list(MEAN)


@pytest.mark.parametrize("opset", [13, 20])
def test_a_pca_is_fitted_on_the_pictures_and_put_in(opset: int, bugs: Path, tmp_path: Path) -> None:
    own = network(tmp_path / "own.onnx", side="side", opset=opset)
    words = [str(own), str(bugs), "-o", str(tmp_path / "e.onnx"), "--dim", "5", "--size", "48", "--whiten"]
    done = CliRunner().invoke(command, [*words, "--mean", "0.5", "0.5", "0.5", "--std", "1", "1", "1", "--name", "mine"])
    assert done.exit_code == 0, done.output
    assert "mine, 48×48×3 → 5 numbers, whitened to the power of 1" in done.stdout
    assert "weights from file own.onnx" in done.stdout
    encoder = Encoder(tmp_path / "e.onnx")
    pixels = np.array(pictures.load(bugs, encoder.card.fit).pixels)
    vectors = encoder.encode(pixels)
    assert vectors.shape == (len(pixels), 5)
    assert vectors.std(0).max() < 2.5 * vectors.std(0).min()


def test_another_output_can_be_named_and_one_that_says_one_picture_takes_more(bugs: Path, tmp_path: Path) -> None:
    own = network(tmp_path / "own.onnx", kind="vector", batch=1)
    extract(ExtractJob(str(own), bugs, tmp_path / "e.onnx", dim=None, features="vector", mean=MEAN, std=STD))
    encoder = Encoder(tmp_path / "e.onnx")
    pixels = np.array(pictures.load(bugs, encoder.card.fit).pixels[:4])
    alone = np.concatenate([features(own, pixels[row : row + 1], output="vector") for row in range(4)])
    np.testing.assert_allclose(encoder.encode(pixels), unit(alone), atol=1e-5)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"kind": "mixing"}, TrainingError, "a picture in a batch has other features than alone"),
        ({"kind": "one batch"}, TrainingError, "does not run on 3 pictures of 32×32 pixels"),
        ({"opset": 11}, InvalidInput, "opset 11, expected 13 to"),
    ],
)
def test_a_network_that_cannot_be_used_is_told_by_what_is_wrong(
    given: dict[str, Any], error: type[Exception], message: str, bugs: Path, tmp_path: Path
) -> None:
    own = network(tmp_path / "own.onnx", **given)
    with pytest.raises(error, match=message):
        extract(ExtractJob(str(own), bugs, tmp_path / "e.onnx"))
    assert not (tmp_path / "e.onnx").exists()


def test_what_takes_no_pictures_is_refused(bugs: Path, tmp_path: Path) -> None:
    own, out = network(tmp_path / "own.onnx"), tmp_path / "e.onnx"
    text = tmp_path / "text.onnx"
    tokens = helper.make_tensor_value_info("tokens", TensorProto.INT64, ["N", 77])
    graph = helper.make_graph([helper.make_node("Identity", ["tokens"], ["y"])], "text", [tokens], [tokens], [])
    graph.output[0].name = "y"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), text)
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    for arch, more, message in (
        (text, {}, r"input 'tokens' is int64 \['N', 77\], expected pictures"),
        (tmp_path / "broken.onnx", {}, "no sound ONNX file"),
        (tmp_path / "none.onnx", {}, "no such file"),
        (own, {"features": "pooled"}, "no output 'pooled'; expected one of found"),
        (own, {"pooling": "cls"}, "'cls' of a map"),
        (own, {"size": (64, 64)}, "own.onnx takes 32×32 alone"),
        (own, {"cells": True}, "gives neither cells"),
        (own, {"mirror": True}, "leave --weights, --cells and --mirror away"),
        (own, {"weights": text}, "has its weights"),
        (own, {"std": (0.2, 0.0, 0.2)}, "above 0"),
        ("efficientnet-lite0", {"mean": MEAN}, "its own are known"),
    ):
        with pytest.raises(InvalidInput, match=message):
            extract(ExtractJob(str(arch), bugs, out, **more))
    assert not out.exists()
