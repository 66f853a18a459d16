"""What the commands of the exporter print, and how they end where some pictures cannot be used."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from semblant_exporter.pixels import pixel_encoder
from semblant_search.cli import semblant
from semblant_search.encoder import Encoder
from semblant_search.images import Fit

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = "broken.png"


@pytest.fixture(scope="module")
def workshop(fashion_small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`pictures` of three labels, one of which is broken, and the encoders `fine.onnx` and `coarse.onnx`."""
    root = tmp_path_factory.mktemp("workshop")
    for category in ("bag", "coat", "sneaker"):
        shutil.copytree(fashion_small / "test" / category, root / "pictures" / category)
    (root / "pictures" / "bag" / BROKEN).write_text("not a picture")
    for name, grid in (("fine", 14), ("coarse", 7)):
        (root / f"{name}.onnx").write_bytes(pixel_encoder(Fit(28, 28, 1), grid=grid, name=name))
    return root


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(semblant, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def _joined(result: Result) -> str:
    return " ".join(result.stdout.split())


def test_an_evaluation_is_written_beside_the_encoder_and_shown_as_a_table(workshop: Path, tmp_path: Path) -> None:
    encoder = shutil.copyfile(workshop / "fine.onnx", tmp_path / "mine.onnx")
    result = run("evaluate", encoder, "--index", workshop / "pictures")
    assert (result.exit_code, result.stderr) == (3, "1 picture could not be used\n")
    written = json.loads((tmp_path / "mine.evaluation.json").read_text())
    rows = [[cell.strip() for cell in line.split("│")[1:3]] for line in result.stdout.splitlines() if "│" in line]
    shown = dict(rows)
    assert "fine: 60 pictures, each asked for the others" in _joined(result)
    assert f"Written to {tmp_path / 'mine.evaluation.json'}" in result.stdout
    assert shown["dimensions"] == "196"
    assert shown["encoder, MB"] == f"{encoder.stat().st_size / 1e6:.2f}"
    assert float(shown["encoding, ms a picture"]) == pytest.approx(written["encode_ms"], abs=0.00051)
    assert int(shown["pictures a second"].replace(",", "")) == pytest.approx(1000 / written["encode_ms"], rel=0.01)
    for name, value in written["metrics"].items():
        assert shown[name] == f"{value:.3f}" or float(shown[name]) == pytest.approx(value, abs=0.00051)
    (tmp_path / "bag").mkdir()
    query = shutil.copyfile(next((workshop / "pictures" / "bag").glob("0*.png")), tmp_path / "bag" / "one.png")
    result = run(
        "evaluate", encoder, "--index", workshop / "pictures", "--queries", query.parent.parent, "--out", tmp_path / "o"
    )
    assert "fine: 60 pictures, 1 queries" in result.stdout
    document = json.loads((tmp_path / "o").read_text())
    assert (document["indexed"], document["queried"], document["leave_one_out"], document["failed"]) == (60, 1, False, 1)


def test_a_smaller_encoder_is_written_and_its_price_told(workshop: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.onnx"
    words = ["quantize", workshop / "fine.onnx", workshop / "pictures", "-o", small, "--kind", "fp16"]
    result = run(*words)
    assert result.exit_code == 3
    assert re.fullmatch(r"not used: .*broken\.png.*\n", result.stderr)
    first, *told = result.stdout.splitlines()
    assert first == str(small)
    assert told[0].startswith("fp16: ")
    assert told[1].startswith("P@10 ")
    assert Encoder(small).fingerprint != Encoder(workshop / "fine.onnx").fingerprint
    document = json.loads(run(*words, "--json").stdout)
    assert {"kind", "bytes_before", "bytes_after", "ms_before", "ms_after", "speedup", "drop", "pictures"} < set(document)
    assert (document["kind"], document["pictures"], document["bytes_after"]) == ("fp16", 60, small.stat().st_size)


def test_a_comparison_is_a_table_best_first_with_a_reason(workshop: Path, tmp_path: Path) -> None:
    files = [workshop / "coarse.onnx", workshop / "fine.onnx"]
    words = ["compare", workshop / "pictures", "--encoders", *files, "--queries", 20, "--out", tmp_path / "out"]
    result = run(*words)
    assert (result.exit_code, result.stderr) == (3, "1 picture could not be used\n")
    document = json.loads((tmp_path / "out" / "comparison.json").read_text())
    scores = {score["name"]: score for score in document["scores"]}
    assert (
        f"20 pictures, each altered in {len(document['scores'][0]['alterations'])} ways, must be found among 60"
        in result.stdout
    )
    rows = [re.findall(r"[^\s│┃]+", line) for line in result.stdout.splitlines()]
    cells = {row[0]: [float(cell) for cell in row[1:]] for row in rows if row and row[0] in scores}
    labelled = ("P@1", "P@10", "10-NN accuracy")
    for name, score in scores.items():
        copies = [score["copies"][measure] for measure in ("recall@1", "recall@10", "MRR")]
        labels = [score["labels"][measure] for measure in labelled if measure in score["labels"]]
        expected = [*copies, *labels, score["ms"], score["megabytes"], score["dim"]]
        assert cells[name] == pytest.approx(expected, abs=0.006)
        assert cells[name][:3] == pytest.approx(copies, abs=0.0006)
    assert list(cells) == sorted(cells, key=lambda name: -(cells[name][2] + cells[name][4]))  # MRR and P@10
    chosen = document["choice"]["name"]
    assert f"Take {chosen}: it {document['choice']['reason']}." in result.stdout
    assert str(tmp_path / "out" / "comparison.png") in result.stdout
    printed = json.loads(run(*words, "--json").stdout)
    assert set(printed) == set(document)
    assert (printed["pictures"], printed["queries"], printed["failed"]) == (60, 20, 1)


def test_what_was_exported_is_told_in_two_lines(trained: Path, workshop: Path, tmp_path: Path) -> None:
    encoder = tmp_path / "encoder.onnx"
    result = run("export", trained, "-o", encoder, "--npy", tmp_path / "e.npy", "--pictures", workshop / "pictures")
    assert result.exit_code == 3
    assert re.fullmatch(r"not used: .*broken\.png.*\n", result.stderr)
    first, second = result.stdout.splitlines()
    assert first.startswith(f"{encoder}: cae-cae, 28×28×1 → 128 numbers, {encoder.stat().st_size / 1e6:.2f} MB; whitened to ")
    assert first.endswith("on 2,000 pictures")
    assert re.fullmatch(
        rf"differs from PyTorch by \S+ on \d+ real pictures; SHA-256 {Encoder(encoder).fingerprint[:16]}…", second
    )
    document = json.loads(run("export", trained, "-o", encoder, "--quantize", "fp16", "--max-drop", 1, "--json").stdout)
    assert set(document) == {
        "path",
        "card",
        "fingerprint",
        "bytes",
        "difference",
        "checked",
        "whitened",
        "whitening",
        "quantized",
    }
    assert (document["path"], document["bytes"]) == (str(encoder), encoder.stat().st_size)


@pytest.mark.parametrize("words", [["--npy", "e.npy"], ["--pictures", "test"], ["--quantize", "fp16", "--npy", "e.npy"]])
def test_an_array_needs_its_pictures(trained: Path, tmp_path: Path, words: list[str]) -> None:
    result = run("export", trained, "-o", tmp_path / "e.onnx", *words)
    assert (result.exit_code, "--npy and --pictures go together" in result.stderr) == (2, True)
    assert not (tmp_path / "e.onnx").exists()


def test_what_was_restored_is_told_line_by_line(trained: Path, workshop: Path, tmp_path: Path) -> None:
    sound = sorted((workshop / "pictures" / "coat").iterdir())[:2]
    words = ["restore", trained, *sound, workshop / "pictures" / "bag" / BROKEN, "--out", tmp_path]
    result = run(*words)
    assert result.exit_code == 3
    assert re.fullmatch(r"not used: .*broken\.png.*\n", result.stderr)
    assert result.stdout.splitlines() == [
        *(f"{path} → {tmp_path / path.name}" for path in sound),
        f"beside each other: {tmp_path / 'restored.png'}",
    ]
    spoilt = run(*words, "--degrade").stdout.splitlines()
    assert all(re.search(r"  -?\d+\.\d dB → -?\d+\.\d dB$", line) for line in spoilt[:2])
    document = json.loads(run(*words, "--json").stdout)
    assert set(document) == {"restored", "figure", "failures"}
    assert len(document["failures"]) == 1


def test_a_set_that_is_there_already_is_told(fashion_mnist: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMBLANT_CACHE", str(shared_cache))
    result = run("data", "fashion-mnist", fashion_mnist)
    assert (result.exit_code, result.stdout) == (0, f"{fashion_mnist}: 70,000 pictures are there already\n")
    document = json.loads(run("data", "fashion-mnist", fashion_mnist, "--json").stdout)
    assert set(document) == {"directory", "pictures", "categories", "source", "written", "seconds"}
    assert (document["directory"], document["pictures"], document["written"]) == (str(fashion_mnist), 70_000, False)


def test_the_summary_of_a_training_names_the_next_step(fashion_small: Path, tmp_path: Path) -> None:
    words = ["--epochs", 1, "--batch", 50, "--dim", 8]
    result = run("train", fashion_small / "test", "--out", tmp_path / "model", *words)
    first, second, third = result.stdout.splitlines()
    assert re.fullmatch(r"cae, contrastive: 180 pictures of 28×28×1, 1 epoch in \d+ s", first)
    assert re.fullmatch(rf"validation loss \S+ untrained, \S+ in epoch [01], which is kept in {tmp_path / 'model'}", second)
    assert third == f"next: semblant export {tmp_path / 'model'} -o encoder.onnx"
