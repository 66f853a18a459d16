"""The demo itself, on a few hundred real pictures: every step is the command that a user types."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def demo(fashion_small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    run_demo(out, fashion_small)
    return out


def run_demo(out: Path, data: Path) -> str:
    command: list[str | Path] = [sys.executable, ROOT / "bench" / "demo.py", "--out", out, "--data", data, "--epochs", "3"]
    done: subprocess.CompletedProcess[str] = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_demo_accounts_for_every_picture(demo: Path, fashion_small: Path) -> None:
    index = json.loads((demo / "summary.json").read_text())["index"]
    assert index["found"] == len(list((fashion_small / "train").rglob("*.png")))
    assert index["found"] == index["indexed"] + index["unchanged"] + index["duplicate"] + index["failed"] + index["skipped"]


def test_the_demo_finds_pictures_of_the_same_kind_far_above_chance(demo: Path) -> None:
    metrics = json.loads((demo / "summary.json").read_text())["evaluation"]["metrics"]
    assert metrics["P@1"] > 0.5  # ten categories: chance is 0.1


def test_the_demo_draws_two_galleries_the_losses_and_the_reconstructions(demo: Path) -> None:
    pictures = [*(demo / "galleries").glob("*.png"), *(demo / "model").rglob("*.png")]
    assert {path.stem for path in pictures} >= {"knn", "filtered", "losses", "reconstructions"}
    for path in pictures:
        with Image.open(path) as picture:
            assert min(picture.size) > 200


def test_a_second_demo_reuses_what_is_there(demo: Path, fashion_small: Path) -> None:
    encoder = (demo / "encoder.onnx").stat().st_mtime_ns
    run_demo(demo, fashion_small)
    summary = json.loads((demo / "summary.json").read_text())
    assert (demo / "encoder.onnx").stat().st_mtime_ns == encoder
    assert summary["index"]["indexed"] == 0
    assert summary["index"]["unchanged"] == summary["index"]["found"]
    assert "train" not in summary["seconds"]


def test_the_python_of_the_readme_runs(demo: Path, fashion_small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    query = next((fashion_small / "test" / "sneaker").glob("*.png"))
    exec(code.replace("pictures.db", str(demo / "pictures.db")).replace("query.jpg", str(query)), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11
    assert all(" Sneaker file:///" in line for line in lines[:10])
    assert lines[10].startswith("120 {")
