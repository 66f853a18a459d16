"""`semblant train` and `semblant export`, as a user types them."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from semblant_search.cli import semblant
from semblant_search.encoder import Encoder

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def run(*arguments: str | Path | int) -> Result:
    return CliRunner().invoke(semblant, [str(argument) for argument in arguments])


def test_train_resume_and_export(fashion_small: Path, tmp_path: Path) -> None:
    model, encoder = tmp_path / "model", tmp_path / "encoder.onnx"
    done = run("train", fashion_small / "train", "--out", model, "--epochs", 2, "--batch", 50, "--dim", 16, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["pictures"], report["validation_pictures"], len(report["history"])) == (540, 60, 2)
    assert report["plan"]["fit"] == report["plan"]["fit"] | {"height": 28, "width": 28, "channels": 1}
    for name in ("losses.png", "reconstructions.png"):
        with Image.open(model / "figures" / name) as figure:
            assert figure.width > 600
    again = run("train", fashion_small / "train", "--out", model, "--epochs", 2, "--batch", 50, "--dim", 16, "--resume")
    assert again.exit_code == 0, again.output
    assert "semblant export" in again.stdout
    done = run("export", model, "-o", encoder, "--name", "small")
    assert done.exit_code == 0, done.output
    assert "small, 28×28×1 → 16 numbers" in done.stdout
    picture = next((fashion_small / "test").rglob("*.png"))
    assert Encoder(encoder).encode_pictures([picture]).shape == (1, 16)
    told = json.loads(run("export", model, "-o", encoder, "--json").stdout)
    assert told["fingerprint"] == Encoder(encoder).fingerprint


def test_mixed_sizes_and_channels_and_a_broken_file(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    (folder / "broken.png").write_bytes(b"not a picture")
    done = run("train", folder, "--out", tmp_path / "model", "--epochs", 1, "--size", "32", "--json")
    assert done.exit_code == 3, done.output
    report = json.loads(done.stdout)
    assert [failure["reason"] for failure in report["failures"]] == ["not-an-image"]
    assert "broken.png" in done.stderr
    assert report["plan"]["fit"] == report["plan"]["fit"] | {"height": 32, "width": 32, "channels": 3}
    assert np.isfinite(report["best"])


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run("train", tmp_path / "empty", "--out", tmp_path / "model")
    assert done.exit_code == 1
    assert "holds no pictures" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--arch", "x"], "expected one of"), (["--size", "3y"], "expected a side in pixels"), (["--epochs", "0"], "0 is not in")],
)
def test_wrong_usage(arguments: list[str], message: str, fashion_small: Path, tmp_path: Path) -> None:
    done = run("train", fashion_small / "train", "--out", tmp_path / "model", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_export_of_a_directory_without_a_model(tmp_path: Path) -> None:
    done = run("export", tmp_path, "-o", tmp_path / "encoder.onnx")
    assert done.exit_code == 1
    assert "semblant train" in done.stderr


def test_the_help_names_every_architecture_and_objective() -> None:
    from semblant_exporter import models, objectives

    text = "".join(run("train", "--help").stdout.split())  # long lines are broken, also at the hyphens of a name
    for name in [*models.ARCHITECTURES, *objectives.OBJECTIVES]:
        assert name in text, name


def test_options_of_the_objective_are_checked(fashion_small: Path, tmp_path: Path) -> None:
    done = run("train", fashion_small / "train", "--out", tmp_path / "model", "--option", "speed=3")
    assert (done.exit_code, "speed" in done.stderr) == (2, True)
    done = run("train", fashion_small / "train", "--out", tmp_path / "model", "--option", "loss")
    assert (done.exit_code, "NAME=VALUE" in done.stderr) == (2, True)


def test_restore_and_fine_tune_by_labels(fashion_small: Path, tmp_path: Path) -> None:
    common = ["--epochs", "1", "--batch", "50", "--dim", "16"]
    done = run("train", fashion_small / "train", "--out", tmp_path / "clean", "--objective", "denoise", *common)
    assert done.exit_code == 0, done.output
    pictures = sorted((fashion_small / "test").rglob("*.png"))[:3]
    done = run("restore", tmp_path / "clean", *pictures, "--out", tmp_path / "out", "--degrade", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert [item["psnr_after"] > 0 for item in report["restored"]] == [True] * 3
    with Image.open(report["figure"]) as figure:
        assert figure.width > 300
    tune: list[str | Path] = ["--objective", "triplet", "--from", tmp_path / "clean", *common]
    done = run("train", fashion_small / "train", "--out", tmp_path / "tuned", *tune)
    assert done.exit_code == 0, done.output
    array: list[str | Path] = ["--npy", tmp_path / "e.npy", "--pictures", fashion_small / "test"]
    done = run("export", tmp_path / "tuned", "-o", tmp_path / "e.onnx", *array)
    assert done.exit_code == 0, done.output
    assert np.load(tmp_path / "e.npy").shape == (200, 16)
    assert "not whitened: 'triplet' has learned the distances themselves" in done.stdout
    done = run("export", tmp_path / "tuned", "-o", tmp_path / "e.onnx", "--npy", tmp_path / "e.npy")
    assert (done.exit_code, "go together" in done.stderr) == (2, True)
