"""`semblant evaluate` on real pictures, with the encoder of plain pixels."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from semblant_exporter.evaluate import embed, evaluate
from semblant_exporter.pixels import pixel_encoder
from semblant_search.encoder import Encoder
from semblant_search.errors import DataError, EncoderError, MetadataError
from semblant_search.images import Fit

SEMBLANT = Path(sysconfig.get_path("scripts")) / "semblant"


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    path = tmp_path / "encoder.onnx"
    path.write_bytes(pixel_encoder(Fit(28, 28, 1)))
    return path


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SEMBLANT, "evaluate", *arguments], capture_output=True, text=True, check=False)


def test_an_encoder_is_measured_on_its_queries(encoder: Path, fashion_small: Path) -> None:
    result = evaluate(encoder, fashion_small / "train", fashion_small / "test")
    assert (result.indexed, result.queried, result.failed, result.leave_one_out) == (600, 200, 0, False)
    assert list(result.metrics) == ["P@1", "P@10", "P@100", "mAP@100", "10-NN accuracy"]
    assert 0.6 < result.metrics["P@10"] < result.metrics["P@1"] < 0.9
    assert result.metrics["P@100"] <= 0.6  # no more than 60 of 100 can be right
    assert result.encode_ms > 0
    assert result.encoder["fingerprint"] == Encoder(encoder).fingerprint
    assert {row["queries"] for row in result.categories.values()} == {20}


def test_without_queries_each_picture_asks_for_the_others(encoder: Path, fashion_small: Path) -> None:
    alone = evaluate(encoder, fashion_small / "test")
    assert alone.leave_one_out
    assert alone.queried == 200
    assert alone.metrics["P@1"] < 0.9  # it does not find itself
    twice = evaluate(encoder, fashion_small / "test", fashion_small / "test")
    assert twice.metrics == alone.metrics


def test_the_command_prints_a_table_and_writes_the_same_as_json(encoder: Path, fashion_small: Path, tmp_path: Path) -> None:
    done = run(encoder, "--index", fashion_small / "train", "--queries", fashion_small / "test")
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "encoder.evaluation.json").read_text())
    for name, value in written["metrics"].items():
        shown = re.search(rf"{re.escape(name)} +│ +([0-9.]+)", done.stdout)
        assert shown is not None
        assert float(shown[1]) == pytest.approx(value, abs=0.00051)
    printed = run(
        encoder, "--index", fashion_small / "train", "--queries", fashion_small / "test", "--json", "--out", tmp_path / "e.json"
    )
    assert json.loads(printed.stdout)["metrics"] == written["metrics"]
    assert json.loads((tmp_path / "e.json").read_text())["metrics"] == written["metrics"]


def test_pictures_that_cannot_be_used_are_counted_and_end_in_code_3(encoder: Path, fashion_small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    shutil.copytree(fashion_small / "test", folder)
    (folder / "bag" / "broken.png").write_text("not a picture")
    done = run(encoder, "--index", folder, "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["failed"] == 1
    assert "1 picture could not be used" in done.stderr


def test_without_labels_it_says_what_it_cannot_measure(encoder: Path, photos: Path) -> None:
    result = evaluate(encoder, photos)
    assert result.metrics == {}
    assert result.encode_ms > 0
    assert "no labels" in result.notes[0]
    done = run(encoder, "--index", photos)
    assert done.returncode == 0
    assert "Not measured: the pictures have no labels" in done.stdout


def test_a_small_index_leaves_out_what_needs_more_pictures(encoder: Path, fashion_small: Path) -> None:
    result = evaluate(encoder, sorted((fashion_small / "train").rglob("*.png"))[:50], fashion_small / "test")
    assert "P@100" not in result.metrics
    assert "P@10" in result.metrics
    assert any("P@100 needs 100 pictures" in note for note in result.notes)


def test_labels_missing_here_and_there_are_left_out_and_said(encoder: Path, fashion_small: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(fashion_small / "test", root / "test")
    lines = (fashion_small / "metadata.csv").read_text().splitlines()
    header, rows = lines[0], [line for line in lines[1:] if line.startswith("test/")]
    rows[:5] = [line.split(",")[0] + ",,," for line in rows[:5]]
    (root / "metadata.csv").write_text("\n".join([header, *rows]) + "\n")
    result = evaluate(encoder, root / "test")
    assert "5 queries without a label were left out" in result.notes
    assert sum(row["queries"] for row in result.categories.values()) == 195


def test_one_label_for_all_is_said_to_say_nothing(encoder: Path, fashion_small: Path) -> None:
    result = evaluate(encoder, fashion_small / "train", label="split")
    assert result.metrics["P@10"] == 1
    assert any("says nothing" in note for note in result.notes)


def test_bad_input_is_a_clear_error(encoder: Path, fashion_small: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one picture has no neighbours"):
        evaluate(encoder, sorted((fashion_small / "test").rglob("*.png"))[:1])
    with pytest.raises(MetadataError, match="'colour'"):
        evaluate(encoder, fashion_small / "test", label="colour")
    with pytest.raises(EncoderError):
        evaluate(tmp_path / "nothing.onnx", fashion_small / "test")
    done = run(tmp_path / "nothing.onnx", "--index", fashion_small / "test")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    unwritable = run(encoder, "--index", fashion_small / "test", "--out", tmp_path / "no" / "folder.json")
    assert unwritable.returncode == 1
    assert "the evaluation cannot be written" in unwritable.stderr


def test_embeddings_do_not_depend_on_batches(encoder: Path, fashion_small: Path) -> None:
    from semblant_exporter import pictures

    known = Encoder(encoder)
    pixels = pictures.load(fashion_small / "train", known.card.fit).pixels
    vectors, seconds = embed(known, pixels)
    assert seconds > 0
    assert np.allclose(vectors[300:310], known.encode(pixels[300:310]), atol=1e-6)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
