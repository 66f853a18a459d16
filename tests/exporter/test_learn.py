"""`semblant learn`: one command, the encoder that suits the pictures, and a table of what it was chosen from."""

from __future__ import annotations

import importlib.util
import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
import torchvision
from click.testing import CliRunner
from PIL import Image
from semblant_exporter import pictures
from semblant_exporter.cli.learn import learn as command
from semblant_exporter.learners import LearnJob, learn
from semblant_exporter.learners.frozen import fit_of
from semblant_exporter.learners.learning import ways_for
from semblant_exporter.learners.looking import Look, look_at
from semblant_exporter.listing import list_pictures
from semblant_exporter.pixels import pixel_encoder
from semblant_search.encoder import Encoder
from semblant_search.errors import DataError, InvalidInput, MissingExtra, TrainingError
from semblant_search.images import Fit
from support.networks import network
from support.offline import without_network

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from semblant_exporter.learners import LearnReport, Way

LITE = ("efficientnet-lite0",)


@pytest.fixture(scope="module")
def shoes(fashion_small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures each of four categories: grey, 28×28, in folders."""
    root = tmp_path_factory.mktemp("shoes") / "pictures"
    for category in ("ankle-boot", "bag", "sandal", "trouser"):
        (root / category).mkdir(parents=True)
        for path in sorted((fashion_small / "train" / category).iterdir())[:10]:
            shutil.copy(path, root / category)
    return root


@pytest.fixture(scope="module")
def of_photos(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[LearnReport, Path]:
    """What is learned of the photographs without more being said, and its file; not to be changed."""
    out = tmp_path_factory.mktemp("of-photos") / "encoder.onnx"
    return learn(LearnJob(photos, out, networks=LITE)), out


def test_pictures_are_told_apart(shoes: Path, photos: Path, clipart: Path) -> None:
    small = look_at(list_pictures(shoes))
    assert (small.pictures, small.side, small.grey, small.labels, small.natural) == (40, 28, True, 4, False)
    assert str(small) == "40 grey small pictures, 4 labels"
    some = look_at(list_pictures(photos))
    assert (some.grey, some.labels, some.natural) == (False, 0, True)
    assert some.drawn < 0.5
    assert str(some) == f"{some.pictures} photographs, no labels"
    assert look_at(list_pictures(clipart / "animals" / "birds")).drawn > 0.5


@pytest.mark.parametrize(
    ("look", "networks", "ways"),
    [
        (Look(3000, 256, grey=False, drawn=0, labels=0), LITE, ("pixels", "pretrained", "fused")),
        (Look(3000, 28, grey=True, drawn=0, labels=0), LITE, ("pixels", "pretrained", "fused", "scratch")),
        (Look(3000, 256, grey=False, drawn=0, labels=0), (), ("pixels", "scratch")),
        (Look(30, 28, grey=True, drawn=0, labels=0), LITE, ("pixels", "pretrained", "fused")),
        (Look(30, 256, grey=False, drawn=0, labels=0), (), ("pixels",)),
        (Look(36, 256, grey=False, drawn=0, labels=0), LITE, ("pixels", "pretrained")),
        (Look(36, 256, grey=False, drawn=0.9, labels=0), LITE, ("pixels", "pretrained", "fused")),
    ],
)
def test_what_suits_the_pictures_is_tried(look: Look, networks: Sequence[str], ways: Sequence[str]) -> None:
    assert ways_for(look, networks) == ways


@pytest.mark.parametrize(
    ("look", "side"),
    [
        (Look(3000, 256, grey=False, drawn=0, labels=0), 336),
        (Look(3000, 256, grey=False, drawn=0.9, labels=0), 224),
        (Look(3000, 100, grey=False, drawn=0, labels=0), 224),
        (Look(3000, 256, grey=True, drawn=0, labels=0), 224),
    ],
)
def test_photographs_are_looked_at_more_finely(look: Look, side: int) -> None:
    assert fit_of(LITE, look.side, fine=look.photographs) == Fit(side, side, 3)
    assert fit_of((), look.side, fine=look.photographs).height == look.side // 16 * 16


def test_a_folder_of_only_drawings_is_learned_from(clipart: Path, tmp_path: Path) -> None:
    steps: list[str] = []
    job = LearnJob(clipart / "animals" / "bugs", tmp_path / "e.onnx", networks=LITE)
    report = learn(job, lambda step, *_: steps.append(step))
    assert [row.way for row in report.rows if row.comparable] == ["pixels", "pretrained", "fused"]
    # No step that is done is shown while the next, which may take a minute, is under way.
    ways = [f"measuring: {row.way}" for row in report.rows if row.comparable]
    assert list(dict.fromkeys(steps))[-4:] == [*ways, "writing the encoder"]
    assert "drawings" in str(report.look)
    assert report.card.fit.height in (16, 224)
    assert Encoder(tmp_path / "e.onnx").dim == report.card.dim


def test_weights_that_do_not_fit_are_said_and_nothing_is_written(photos: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "other.pt"
    torch.save({"fc.weight": torch.zeros(3, 3)}, wrong)
    with pytest.raises(TrainingError, match=r"other\.pt: not the weights of efficientnet-lite0"):
        learn(LearnJob(photos, tmp_path / "e.onnx", networks=LITE, weights={LITE[0]: wrong}))
    assert not (tmp_path / "e.onnx").exists()


def test_weights_from_a_file_take_the_place_of_a_download(shoes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is advised where there is no network: `--weights`, which this command has, too."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))
    without_network(monkeypatch)
    out, file = tmp_path / "e.onnx", tmp_path / "fetched.pth"
    words = [str(shoes), "-o", str(out), "--way", "pretrained", "--network", "resnet18"]
    steps: list[str] = []
    with pytest.raises(TrainingError, match="give a local file with --weights"):
        learn(LearnJob(shoes, out, networks=("resnet18",)), lambda step, *_: steps.append(step))
    assert not steps  # said before any picture was decoded
    torch.save(torchvision.models.resnet18().state_dict(), file)
    for given in (file, f"resnet18={file}"):
        done = CliRunner().invoke(command, [*words, "--weights", str(given), "--json"])
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["card"]["training"]["weights"] == ["file fetched.pth"]
    two = CliRunner().invoke(command, [*words, "--network", "resnet50", "--weights", str(file)])
    assert two.exit_code == 2
    assert "expected NAME=FILE with the name of a --network (resnet18, resnet50)" in two.stderr


def test_one_command_takes_the_best_by_its_guide_and_keeps_the_table(of_photos: tuple[LearnReport, Path], photos: Path) -> None:
    """Photographs: a network that has seen others beats their pixels."""
    report, out = of_photos
    assert [row.way for row in report.rows] == ["pixels", "pretrained"]  # so few that pixels are not weighed beside it
    assert report.chosen.way == "pretrained"
    assert report.why == "they are too few to tell by 3 of them what suits them: a network that has seen others is taken"
    encoder = Encoder(out)
    assert (encoder.fingerprint, encoder.card.architecture.split("+")[0]) == (report.fingerprint, LITE[0])
    assert encoder.dim == report.card.dim <= report.look.pictures - 1
    kept = encoder.card.quality["learned"]
    assert kept["table"] == [row.to_json() for row in report.rows]
    assert (kept["way"], kept["why"], kept["asked"]) == (report.chosen.way, report.why, report.asked)
    array = pictures.load(photos, encoder.card.fit)
    vectors = encoder.encode(np.array(array.pixels[:4]))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert json.loads(json.dumps(report.to_json()))["chosen"]["way"] == report.chosen.way


def test_a_handful_of_photographs_is_not_known_by_its_pixels(photos: Path, tmp_path: Path) -> None:
    """One of eight is asked with: by its neighbours the ways are equal, and the first of equals would be taken."""
    some = tmp_path / "some"
    some.mkdir()
    for path in sorted(photos.iterdir())[:8]:
        shutil.copy(path, some)
    report = learn(LearnJob(some, tmp_path / "e.onnx", networks=LITE))
    assert report.chosen.way == "pretrained"


def test_the_command_says_what_it_took_and_why_in_two_lines(shoes: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    shutil.copytree(shoes, tmp_path / "pictures", dirs_exist_ok=True)
    (tmp_path / "pictures" / "broken.png").write_bytes(b"no picture")
    words = [str(tmp_path / "pictures"), "-o", str(tmp_path / "e.onnx"), "--way", "pixels"]
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 3, done.output
    first, second = done.stdout.splitlines()
    assert first.startswith(
        f"{tmp_path / 'e.onnx'}: pixels (16×16 pixels, square-rooted, whitened to 0.7), 16×16×3 → 39 numbers, "
    )
    assert second == "Why: 40 grey small pictures, 4 labels; --way pixels was asked for"
    assert "broken.png" in done.stderr
    document = json.loads(CliRunner().invoke(command, [*words, "--dim", "8", "--name", "mine", "--json"]).stdout)
    assert (document["card"]["dim"], document["card"]["name"], document["asked"]) == (8, "mine", 8)
    assert [row["way"] for row in document["table"]] == ["pixels"]
    assert 0.3 < document["table"][0]["P@8"] <= 1  # of 32 pictures that are learned from, a quarter is looked at


def test_labels_are_shown_and_change_nothing(shoes: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in sorted(shoes.rglob("*.png")):
        shutil.copy(path, flat / f"{path.parent.name}-{path.name}")
    known, unknown = (learn(LearnJob(folder, tmp_path / "e.onnx", way="pixels")) for folder in (shoes, flat))
    assert unknown.chosen.precision is None
    assert known.chosen.precision is not None
    assert known.chosen.guide == unknown.chosen.guide


def test_an_autoencoder_is_trained_where_it_is_asked_for(fashion_small: Path, tmp_path: Path) -> None:
    report = learn(LearnJob(fashion_small / "train", tmp_path / "e.onnx", way="scratch", minutes=0.1, dim=32))
    assert (report.card.architecture, report.card.fit.shape, report.card.dim) == ("cae", (28, 28, 1), 32)
    assert report.card.training["pictures"] == 480  # a fifth is only asked with
    assert report.chosen.precision is not None
    assert report.chosen.precision > 0.3


def test_a_smaller_network_is_taught(shoes: Path, tmp_path: Path) -> None:
    report = learn(LearnJob(shoes, tmp_path / "e.onnx", way="distilled", networks=LITE, minutes=0.1))
    assert (report.card.architecture, report.card.fit.shape) == (LITE[0], (112, 112, 3))
    assert [row.way for row in report.rows] == ["pretrained", "pretrained", "distilled"]  # unmapped, mapped, and its student
    assert "taught by pretrained" in report.chosen.what


@pytest.mark.parametrize(
    ("kind", "way", "opset"), [("map", "pretrained", 13), ("tokens", "fused", 17), ("vector", "fused", 20)]
)
def test_a_network_of_ones_own_looks_in_one_command(kind: str, way: Way, opset: int, photos: Path, tmp_path: Path) -> None:
    """The head that is fitted on what it sees goes into the file, with the network's graph as it was given."""
    own = network(tmp_path / "own.onnx", kind=kind, side=47, opset=opset)
    out = tmp_path / "encoder.onnx"
    job = LearnJob(photos, out, way=way, networks=(str(own),), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2), dim=6)
    report = learn(job)  # refuses to write a file that says something else than what was measured
    assert (report.chosen.way, report.card.dim, report.card.fit.shape) == (way, 6, (47, 47, 3))
    assert report.card.architecture == ("own+pixels" if way == "fused" else "own")
    assert report.card.training["weights"] == ["file own.onnx"]
    array = pictures.load(photos, report.card.fit)
    vectors = Encoder(out).encode(np.array(array.pixels))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.std(vectors @ vectors.T) > 0.1  # pictures differ
    assert onnx.load(out).opset_import[0].version == opset


def test_an_onnx_that_takes_no_pictures_is_refused_before_anything_is_written(photos: Path, tmp_path: Path) -> None:
    text, out = tmp_path / "text.onnx", tmp_path / "e.onnx"
    tokens = onnx.helper.make_tensor_value_info("tokens", onnx.TensorProto.INT64, ["N", 77])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["tokens"], ["y"])], "text", [tokens], [tokens], [])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), text)
    (tmp_path / "broken.onnx").write_bytes(b"no protobuf")
    (tmp_path / "own.onnx").write_bytes(pixel_encoder(Fit(14, 14, 3)))
    for name, message in (
        ("text", "'tokens' is int64"),
        ("broken", "no sound ONNX file"),
        ("none", "no such file"),
        ("own", "an encoder of Semblant already"),
    ):
        done = CliRunner().invoke(command, [str(photos), "-o", str(out), "--network", str(tmp_path / f"{name}.onnx")])
        assert isinstance(done.exception, InvalidInput), done.output
        assert message in str(done.exception)
    assert not out.exists()


def test_the_time_of_a_row_is_that_of_its_own_encoder(of_photos: tuple[LearnReport, Path]) -> None:
    report, _ = of_photos
    pixels, network = (next(row.ms for row in report.rows if row.way == way) for way in ("pixels", "pretrained"))
    assert pixels * 2 < network  # 16×16 means are no work beside a network: a hundredth of it


def test_a_way_that_was_broken_off_is_not_said_to_be_the_one_that_was_taken(shoes: Path, tmp_path: Path) -> None:
    def break_off(what: str, _: int, __: int | None) -> None:
        if what == "teaching a smaller network":
            raise KeyboardInterrupt

    job = LearnJob(shoes, tmp_path / "e.onnx", way="distilled", networks=LITE, minutes=5)
    report = learn(job, break_off)
    assert (report.interrupted, report.chosen.way) == (True, "pretrained")
    told = "--way distilled was asked for, but broken off before it was there: pretrained is the best until then"
    assert report.why == report.card.quality["learned"]["why"] == told


@pytest.mark.parametrize("step", ["training an autoencoder", "looking at pictures"])
def test_breaking_off_keeps_what_was_best_so_far(step: str, fashion_small: Path, tmp_path: Path) -> None:
    def break_off(what: str, _: int, __: int | None) -> None:
        if what == step:
            raise KeyboardInterrupt

    some = tmp_path / "some"
    some.mkdir()
    for path in sorted((fashion_small / "train").rglob("*.png"))[::3]:
        shutil.copy(path, some / f"{path.parent.name}-{path.name}")
    out = tmp_path / "e.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", _without("efficientnet_lite_pytorch"))
        if step == "looking at pictures":  # nothing is there to keep
            with pytest.raises(KeyboardInterrupt):
                learn(LearnJob(some, out), break_off)
            assert not out.exists()
            return
        report = learn(LearnJob(some, out), break_off)
    assert (report.interrupted, [row.way for row in report.rows]) == (True, ["pixels"])
    assert report.why == "nothing else was tried; broken off before scratch was tried"
    assert Encoder(out).fingerprint == report.fingerprint


def test_without_weights_a_way_that_needs_them_names_the_line_that_brings_them(
    shoes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", _without("efficientnet_lite_pytorch"))
    with pytest.raises(MissingExtra, match=r"pip install 'semblant-exporter\[pretrained\]'"):
        learn(LearnJob(shoes, tmp_path / "e.onnx", way="pretrained"))
    assert not (tmp_path / "e.onnx").exists()


def test_pictures_that_nothing_can_be_learned_of_are_refused(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "e.onnx"
    one = tmp_path / "one"
    one.mkdir()
    shutil.copy(photos / "camera.png", one)
    with pytest.raises(DataError, match=r"1 usable picture: learning needs at least 4"):
        learn(LearnJob(one, out, way="pixels"))
    alike = tmp_path / "alike"
    alike.mkdir()
    for number in range(6):
        Image.new("RGB", (40, 30), "red").save(alike / f"{number}.png")
    with pytest.raises(DataError, match="all 6 pictures look the same"):
        learn(LearnJob(alike, out, way="pixels"))
    with pytest.raises(InvalidInput, match="no such folder"):
        learn(LearnJob(tmp_path / "none", out))
    for job, message in (
        ({"way": "magic"}, "expected one of pretrained"),
        ({"minutes": 0}, "minutes 0"),
        ({"dim": 0}, "dim 0"),
        ({"networks": ("vgg11",)}, "'vgg11'"),
        ({"networks": ("own.onnx", "vgg16")}, "looks at the pictures alone"),
        ({"networks": ("vgg16",), "mean": (0.5, 0.5, 0.5)}, "mean without an ONNX file"),
        ({"networks": ("vgg16",), "weights": {"vgg19": one}}, "weights of 'vgg19', none of the networks"),
        ({"networks": ("own.onnx",), "weights": {"own.onnx": one}}, "an ONNX file has its own"),
        ({"networks": ("own.onnx",), "std": (0.0, 1.0, 1.0)}, "expected three numbers above 0"),
    ):
        with pytest.raises(InvalidInput, match=message):
            LearnJob(one, out, **job)
    assert not out.exists()


def test_large_pictures_and_grey_ones_among_colour_are_no_trouble(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number, size in enumerate([(7000, 5800), (20, 900), (300, 200), (64, 64), (300, 300)]):
        noise = Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8)).resize(size)
        (noise.convert("L") if number % 2 else noise).save(tmp_path / f"{number}.jpg")
    report = learn(LearnJob(tmp_path, tmp_path / "e.onnx", way="pixels"))
    assert (report.card.dim, report.look.grey, report.failures) == (4, False, [])


def _without(package: str) -> Callable[..., object]:
    find = importlib.util.find_spec
    return lambda name, *more: None if name == package else find(name, *more)
