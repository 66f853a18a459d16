"""`semblant compare`: altered copies must find their originals, and the choice has a reason."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sysconfig
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from semblant_exporter import metrics, pictures
from semblant_exporter.cards import with_quality
from semblant_exporter.compare import ALTERATIONS, CompareJob, CompareSettings, Score, choose, compare, measure
from semblant_exporter.compare.copies import make_copies
from semblant_exporter.listing import list_pictures
from semblant_exporter.pca import pca_encoder
from semblant_exporter.pixels import pixel_encoder
from semblant_search.encoder import Encoder
from semblant_search.errors import DataError, EncoderError, InvalidInput
from semblant_search.images import Fit

if TYPE_CHECKING:
    from pathlib import Path

SEMBLANT = f"{sysconfig.get_path('scripts')}/semblant"
FINE, COARSE = Fit(56, 56, 3), Fit(28, 28, 3)


@pytest.fixture(scope="module")
def birds(clipart: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 50 drawings of two categories."""
    root = tmp_path_factory.mktemp("birds")
    for category in ("birds", "fish"):
        (root / category).mkdir()
        for path in sorted((clipart / "animals" / category).glob("*.png"))[:30]:
            shutil.copy(path, root / category)
    return root


@pytest.fixture(scope="module")
def encoders(birds: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A fine raster of pixels, a very coarse one, and PCA."""
    root = tmp_path_factory.mktemp("encoders")
    array = pictures.load(birds, COARSE)
    made = {
        "fine": pixel_encoder(FINE, grid=8, name="fine"),
        "coarse": pixel_encoder(COARSE, grid=1, name="coarse"),
        "pca": pca_encoder(array.pixels, COARSE, dim=24),
    }
    for name, data in made.items():
        (root / f"{name}.onnx").write_bytes(data)
    return {name: root / f"{name}.onnx" for name in made}


def test_an_encoder_that_sees_more_finds_more_originals(birds: Path, encoders: dict[str, Path]) -> None:
    result = measure(birds, [Encoder(encoders["fine"]), Encoder(encoders["coarse"])], CompareSettings(queries=40))
    fine, coarse = result.scores
    assert (result.queries, result.failed) == (40, 0)
    assert fine.recall_at_1 > coarse.recall_at_1 + 0.2
    assert fine.recall_at_1 <= fine.mrr <= fine.recall_at_10 <= 1
    assert fine.alterations["JPEG"]["recall@1"] > 0.9
    assert fine.alterations["crop 25 %"]["recall@1"] < fine.alterations["crop 75 %"]["recall@1"]
    assert set(fine.alterations) == set(ALTERATIONS)
    assert np.mean([row["recall@1"] for row in fine.alterations.values()]) == pytest.approx(fine.recall_at_1)
    assert fine.labels["P@1"] > 0.5
    assert (fine.dim, coarse.dim) == (192, 3)
    assert fine.ms > 0
    assert fine.megabytes == encoders["fine"].stat().st_size / 1e6


def test_the_same_seed_gives_the_same_scores_and_another_one_does_not(birds: Path, encoders: dict[str, Path]) -> None:
    def scores(seed: int) -> dict[str, object]:
        result = measure(birds, [Encoder(encoders["pca"])], CompareSettings(pictures=50, queries=20, seed=seed))
        return {**result.scores[0].to_json(), "ms": None}

    assert scores(1) == scores(1)
    assert scores(1) != scores(2)


def test_scores_do_not_depend_on_where_the_pictures_lie(birds: Path, encoders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(birds, tmp_path / "moved")
    before, after = (
        measure(folder, [Encoder(encoders["fine"])], CompareSettings(queries=10)) for folder in (birds, tmp_path / "moved")
    )
    assert before.scores[0].alterations == after.scores[0].alterations


def test_alterations_are_what_their_names_say(photos: Path) -> None:
    paths = [photos / "astronaut.png", photos / "coffee.png"]
    fit = Fit(512, 512, 3, policy="stretch")
    copies = make_copies(paths, np.array([0]), [fit], seed=0)[0]
    original = pictures.load(paths[:1], fit).pixels[0].astype(float)
    altered = dict(zip(ALTERATIONS, copies.pixels[0].astype(float), strict=True))
    assert copies.pixels.shape == (1, 9, 512, 512, 3)

    def error(name: str) -> float:
        return float(np.abs(altered[name] - original).mean())

    assert 0 < error("JPEG") < error("blurred") < error("rotated")
    assert error("crop 75 %") < error("crop 25 %")
    shift = (altered["recoloured"] - original).mean((0, 1))
    assert np.abs(shift).max() > 5  # the whole picture moved in colour, not in place
    assert np.corrcoef(altered["recoloured"].mean(2).ravel(), original.mean(2).ravel())[0, 1] > 0.9
    corners = altered["rotated"][[0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == corners[0]).all()  # filled with one colour


def test_ranks_count_equal_scores_as_found_before() -> None:
    index = np.array([[1, 0], [0, 1], [0, 1], [0.6, 0.8]], dtype=np.float32)
    ranks = metrics.target_ranks(index, index, np.array([0, 1, 2, 0]))
    assert ranks.tolist() == [1, 2, 2, 4]


def test_identical_files_are_searched_once(birds: Path, encoders: dict[str, Path], tmp_path: Path) -> None:
    twice = tmp_path / "twice"
    shutil.copytree(birds, twice / "a")
    shutil.copytree(birds, twice / "b")
    once = measure(birds, [Encoder(encoders["fine"])], CompareSettings(queries=10))
    result = measure(twice, [Encoder(encoders["fine"])], CompareSettings(queries=10))
    assert result.pictures == once.pictures
    assert result.same == result.pictures + 2 * once.same
    assert result.scores[0].alterations["JPEG"]["recall@1"] >= 0.9


def test_a_cheap_encoder_is_chosen_over_an_equal_one_and_the_reason_says_so() -> None:
    kinds = {"JPEG": {"recall@1": 0.9}, "pasted": {"recall@1": 0.1}}
    good = Score("good", "x", "f", 0.8, 0.9, 0.85, kinds, {}, ms=4.0, megabytes=1, dim=128)
    cheap = replace(good, name="cheap", mrr=0.84, ms=0.5)
    poor = replace(good, name="poor", mrr=0.5, ms=0.1)
    choice = choose([good, cheap, poor])
    assert choice.name == "cheap"
    assert "good is better by 0.010" in choice.reason
    assert "8.0 times as long" in choice.reason
    assert "weak spot: pasted (found first: 10%)" in choice.reason
    clear = choose([good, poor])
    assert clear.name == "good"
    assert "poor, is behind by 0.350, though 40.0 times as fast" in clear.reason
    by_labels = choose([replace(good, labels={"P@10": 0.5}), replace(cheap, labels={"P@10": 0.9})])
    assert by_labels.name == "cheap"
    assert "90% of its ten nearest have the same label" in by_labels.reason


def test_the_result_is_kept_in_copies_of_the_encoders_which_embed_the_same(
    birds: Path, encoders: dict[str, Path], tmp_path: Path
) -> None:
    before = encoders["pca"].read_bytes()
    result = compare(
        CompareJob(birds, tmp_path / "out", (encoders["pca"], encoders["fine"]), settings=CompareSettings(queries=20))
    )
    assert encoders["pca"].read_bytes() == before
    kept, original = Encoder(result.encoders["pca"]), Encoder(before)
    compared = kept.card.quality["compared"]
    assert compared["copies"]["MRR"] == pytest.approx(result.comparison.scores[0].mrr, abs=1e-4)
    assert compared["chosen_of"] == ["pca", "fine"]
    pixels = pictures.load(birds, COARSE).pixels[:5]
    assert np.array_equal(kept.encode(pixels), original.encode(pixels))
    assert kept.fingerprint != original.fingerprint
    assert json.loads(result.table.read_text())["choice"]["name"] == result.choice.name
    with Image.open(result.plot) as plot:
        assert min(plot.size) > 500


def test_quality_that_was_there_stays(encoders: dict[str, Path]) -> None:
    first = Encoder(with_quality(Encoder(encoders["fine"]), {"a": 1}))
    second = Encoder(with_quality(first, {"b": 2}))
    assert second.card.quality == {"a": 1, "b": 2}


def test_the_command_prints_one_table_and_a_recommendation(birds: Path, encoders: dict[str, Path], tmp_path: Path) -> None:
    command: list[str | Path] = [
        SEMBLANT,
        "compare",
        birds,
        "--encoders",
        encoders["fine"],
        encoders["coarse"],
        "--queries",
        "20",
    ]
    done = subprocess.run([*command, "--out", tmp_path / "out"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any("recall@1" in line and "MRR" in line and "ms a picture" in line for line in lines)
    assert [line.split()[1] for line in lines if line.startswith("│")] == ["fine", "coarse"]  # the better one first
    assert re.search(r"^Take (fine|coarse): it finds the original of \d+% of altered copies first", done.stdout, re.MULTILINE)
    as_json = subprocess.run([*command, "--out", tmp_path / "out", "--json"], capture_output=True, text=True, check=False)
    result = json.loads(as_json.stdout)
    assert result["choice"]["name"] in {score["name"] for score in result["scores"]}
    assert result["choice"]["reason"].startswith("finds the original of")


def test_encoders_of_the_same_name_can_be_told_apart(birds: Path, encoders: dict[str, Path]) -> None:
    twins = [Encoder(pixel_encoder(FINE, grid=grid)) for grid in (4, 8)]
    names = [score.name for score in measure(birds, twins, CompareSettings(queries=5)).scores]
    assert len(set(names)) == 2
    assert all(name.startswith("pixels ") for name in names)


def test_the_encoders_that_it_makes_may_be_made_again(birds: Path, tmp_path: Path) -> None:
    """A second call with the same `--out`, which has a default, replaces what the first one made."""
    job = CompareJob(birds, tmp_path / "out", minutes=0.01, settings=CompareSettings(pictures=12, queries=2))
    first = compare(job)
    assert {score.name for score in first.comparison.scores} >= {"pca", "cae"}
    (tmp_path / "out" / "cae" / "training.json").unlink()
    assert compare(job).encoders == first.encoders
    assert (tmp_path / "out" / "cae" / "training.json").exists()
    assert not list((tmp_path / "out").glob(".cae-*"))


def test_bad_input_is_a_clear_error(birds: Path, encoders: dict[str, Path], photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="name at least one"):
        measure(birds, [])
    with pytest.raises(InvalidInput, match="expected at least 10"):
        CompareSettings(pictures=3)
    with pytest.raises(EncoderError):
        compare(CompareJob(birds, tmp_path / "out", (photos / "camera.png",)))
    few = tmp_path / "few"
    few.mkdir()
    shutil.copy(photos / "camera.png", few)
    with pytest.raises(DataError, match="needs at least 10"):
        measure(few, [Encoder(encoders["fine"])])
    assert len(list_pictures(few).paths) == 1
