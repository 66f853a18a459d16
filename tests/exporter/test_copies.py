"""Altered copies are altered by what is documented, and encoders are scored and chosen by what they find."""

from __future__ import annotations

import io
import math
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageFilter
from semblant_exporter import pictures
from semblant_exporter.compare import ALTERATIONS, CompareJob, CompareSettings, Comparison, Score, choose, compare, measure
from semblant_exporter.compare.copies import make_copies
from semblant_exporter.evaluate import measure_labels
from semblant_exporter.pixels import pixel_encoder
from semblant_search.encoder import Encoder
from semblant_search.errors import InvalidInput
from semblant_search.images import Fit

if TYPE_CHECKING:
    from pathlib import Path

FIT = Fit(28, 28, 1)


def altered(name: str, picture: Image.Image, seed: int = 0, other: Image.Image | None = None) -> Image.Image:
    return ALTERATIONS[name](picture, other or picture, np.random.default_rng(seed))


def same(one: Image.Image, other: Image.Image) -> bool:
    return np.array_equal(np.asarray(one), np.asarray(other))


def places() -> Image.Image:
    """Red is the column, green the row."""
    rows, columns = np.mgrid[0:120, 0:200]
    return Image.fromarray(np.dstack([columns, rows, np.zeros_like(rows)]).astype(np.uint8))


@pytest.fixture
def photo(photos: Path) -> Image.Image:
    with Image.open(photos / "astronaut.png") as picture:
        return picture.convert("RGB").resize((160, 120))


@pytest.mark.parametrize(("name", "share"), [("crop 75 %", 0.75), ("crop 50 %", 0.5), ("crop 25 %", 0.25)])
def test_a_crop_keeps_its_share_of_the_area_somewhere(name: str, share: float) -> None:
    width, height = round(200 * math.sqrt(share)), round(120 * math.sqrt(share))
    corners = set()
    for seed in range(150):
        crop = np.asarray(altered(name, places(), seed))
        assert crop.shape == (height, width, 3)
        left, top = int(crop[0, 0, 0]), int(crop[0, 0, 1])
        assert np.array_equal(crop, np.asarray(places())[top : top + height, left : left + width])
        corners.add((left, top))
    lefts, tops = [corner[0] for corner in corners], [corner[1] for corner in corners]
    assert (min(lefts), min(tops)) <= (3, 3)
    assert max(lefts) > 200 - width - 4
    assert max(tops) > 120 - height - 4


def test_a_turn_is_of_10_to_25_degrees_either_way() -> None:
    columns = np.tile(np.arange(101, dtype=np.uint8), (101, 1))
    angles = []
    for seed in range(80):
        turned = np.asarray(altered("rotated", Image.fromarray(np.dstack([columns] * 3)), seed)).astype(float)[:, :, 0]
        middle = turned[30:71, 30:71]
        across, down = np.diff(middle, axis=1).mean(), np.diff(middle, axis=0).mean()
        angles.append(math.degrees(math.atan2(down, across)))
    assert 9.5 < min(map(abs, angles)) < 11
    assert 24 < max(map(abs, angles)) < 25.5
    assert 20 < sum(angle > 0 for angle in angles) < 60
    red = Image.new("RGB", (40, 40), (200, 10, 30))
    assert np.asarray(altered("rotated", red)).reshape(-1, 3).tolist() == [[200, 10, 30]] * 1600  # corners as the border


def test_what_is_not_random_is_always_the_same(photo: Image.Image) -> None:
    half = altered("scaled", photo)
    assert half.size == (80, 60)
    assert same(half, photo.resize((80, 60), Image.Resampling.BILINEAR))
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=20)
    assert same(altered("JPEG", photo), Image.open(file).convert("RGB"))
    assert same(altered("blurred", photo), photo.filter(ImageFilter.GaussianBlur(0.02 * 160)))
    for name in ("scaled", "JPEG", "blurred"):
        assert same(altered(name, photo, 1), altered(name, photo, 2))
    assert altered("scaled", Image.new("RGB", (1, 5))).size == (1, 2)


def test_colours_turn_by_30_degrees_and_change_by_30_percent_at_most() -> None:
    base = Image.new("RGB", (8, 8), (160, 80, 80))
    hues, levels, strengths = [], [], []
    for seed in range(150):
        red, green, blue = np.asarray(altered("recoloured", base, seed))[0, 0].astype(int).tolist()
        hue, saturation, value = Image.new("RGB", (1, 1), (red, green, blue)).convert("HSV").getpixel((0, 0))  # type: ignore[misc]
        hues.append((hue + 128) % 256 - 128)
        levels.append(value / 160)
        strengths.append(saturation / 127)
    assert -23 <= min(hues) < -18
    assert 18 < max(hues) <= 23
    assert 0.55 < min(levels) < 0.75
    assert 1.25 < max(levels) < 1.5
    assert 0.55 < min(strengths) < 0.8
    assert 1.15 < max(strengths) < 1.4


def test_a_pasted_copy_fills_three_fifths_of_the_sides_of_another_picture() -> None:
    blue, other = Image.new("RGB", (100, 50), "blue"), Image.new("RGB", (30, 90), "red")
    corners = set()
    for seed in range(60):
        pasted = np.asarray(altered("pasted", blue, seed, other))
        assert pasted.shape == (50, 100, 3)
        own = (pasted == (0, 0, 255)).all(2)
        assert (pasted[~own] == (255, 0, 0)).all()
        rows, columns = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
        assert (len(rows), len(columns), int(own.sum())) == (30, 60, 1800)
        corners.add((int(columns[0]), int(rows[0])))
    assert len({corner[0] for corner in corners}) > 15
    assert len({corner[1] for corner in corners}) > 10


@pytest.fixture(scope="module")
def some(fashion_small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 pictures of two labels, one of them broken."""
    root = tmp_path_factory.mktemp("some")
    for name in ("bag", "coat"):
        (root / name).mkdir()
        for path in sorted((fashion_small / "test" / name).iterdir())[:12]:
            shutil.copy(path, root / name)
    (root / "bag" / "broken.png").write_bytes(b"no picture")
    return root


def test_copies_depend_on_the_seed_and_on_the_picture(some: Path) -> None:
    paths = sorted((some / "coat").iterdir())
    rows = np.array([0, 3])
    fits = [Fit(28, 28, 1), Fit(14, 20, 3)]
    first = make_copies(paths, rows, fits, seed=1)
    assert [copies.pixels.shape for copies in first] == [(2, 9, 28, 28, 1), (2, 9, 14, 20, 3)]
    assert [copies.rows.tolist() for copies in first] == [[0, 3]] * 2
    again, other = make_copies(paths, rows, fits, seed=1), make_copies(paths, rows, fits, seed=2)
    assert np.array_equal(first[0].pixels, again[0].pixels)
    assert not np.array_equal(first[0].pixels, other[0].pixels)
    steps: list[tuple[str, int, int | None]] = []
    left = make_copies([*paths[:2], some / "bag" / "broken.png"], np.array([0, 2]), fits[:1], 1, lambda *s: steps.append(s))
    assert left[0].rows.tolist() == [0]  # what cannot be decoded is left out
    assert steps == [("altering pictures", 1, 2)]
    nothing = make_copies([some / "bag" / "broken.png"], np.array([0]), fits, 1)
    assert [copies.pixels.shape for copies in nothing] == [(0, 9, 28, 28, 1), (0, 9, 14, 20, 3)]


def test_scores_are_shares_of_the_copies_that_find_their_originals(some: Path) -> None:
    encoder = Encoder(pixel_encoder(FIT, grid=4))
    result = measure(some, [encoder], CompareSettings(queries=20, seed=3))
    array = pictures.load(some, FIT)
    vectors = encoder.encode(np.array(array.pixels)).astype(np.float64)
    paths = [path for path in sorted(some.rglob("*.png")) if path.name != "broken.png"]
    rows = np.sort(np.random.default_rng([3, 1]).permutation(24)[:20])
    copies = make_copies(paths, rows, [FIT], 3)[0]
    ranks = np.empty((20, 9))
    for number, row in enumerate(copies.rows):
        scores = encoder.encode(copies.pixels[number]).astype(np.float64) @ vectors.T
        ranks[number] = (scores >= scores[:, [row]] - 1e-7).sum(1)
    assert {1, 10, 11} <= set(ranks.flatten().tolist())  # both sides of each limit
    (score,) = result.scores
    for column, kind in enumerate(ALTERATIONS):
        assert score.alterations[kind] == pytest.approx(
            {
                "recall@1": (ranks[:, column] == 1).mean(),
                "recall@10": (ranks[:, column] <= 10).mean(),
                "MRR": (1 / ranks[:, column]).mean(),
            }
        )
    assert score.recall_at_1 == pytest.approx((ranks == 1).mean())
    assert score.recall_at_10 == pytest.approx((ranks <= 10).mean())
    assert score.mrr == pytest.approx((1 / ranks).mean())
    own = encoder.encode(np.array(array.pixels))
    assert score.labels == measure_labels(own, array, own, array).metrics
    assert score.quality == (score.mrr + score.labels["P@10"]) / 2
    assert (result.pictures, result.queries, result.failed, result.same) == (24, 20, 1, 0)
    assert (score.name, score.architecture, score.fingerprint, score.dim) == ("pixels", "pixels", encoder.fingerprint, 16)
    kept = score.to_json()
    assert kept["copies"] == {
        "recall@1": round(score.recall_at_1, 4),
        "recall@10": round(score.recall_at_10, 4),
        "MRR": round(score.mrr, 4),
    }
    assert list(kept["alterations"]) == list(ALTERATIONS)


def test_one_label_says_nothing_and_a_sample_is_of_the_size_asked_for(some: Path) -> None:
    encoder = Encoder(pixel_encoder(FIT, grid=4))
    result = measure(some / "coat", [encoder], CompareSettings(pictures=11, queries=50))
    assert (result.pictures, result.queries) == (11, 11)
    assert result.scores[0].labels == {}
    assert result.scores[0].quality == result.scores[0].mrr


def test_labels_are_those_of_the_column_asked_for(fashion_small: Path) -> None:
    encoder = Encoder(pixel_encoder(FIT, grid=4))
    for label, measured in ((None, True), ("label_id", True), ("split", False)):
        result = measure(fashion_small / "test", [encoder], CompareSettings(pictures=60, queries=1, label=label))
        assert bool(result.scores[0].labels) is measured


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    assert (CompareSettings().pictures, CompareSettings().queries, CompareSettings().seed) == (5000, 300, 0)
    assert CompareSettings(pictures=10, queries=1).pictures == 10
    for pictures_, queries in ((9, 5), (10, 0)):
        with pytest.raises(InvalidInput, match=f"{pictures_} pictures, {queries} queries"):
            CompareSettings(pictures=pictures_, queries=queries)
    for minutes in (0.0, -1.0, math.nan):
        with pytest.raises(InvalidInput, match=f"minutes {minutes}"):
            CompareJob(tmp_path, tmp_path, minutes=minutes)
    assert CompareJob(tmp_path, tmp_path).minutes == 2.0
    with pytest.raises(InvalidInput, match="no scores"):
        choose([])


KINDS = {"JPEG": {"recall@1": 0.9}, "pasted": {"recall@1": 0.25}}
GOOD = Score("good", "x", "f", 0.8, 0.9, 0.85, KINDS, {}, ms=4.0, megabytes=1, dim=128)


@pytest.mark.parametrize(
    ("others", "chosen", "said"),
    [
        ([], "good", "finds the original of 80% of altered copies first, of 90% among ten; its weak spot: pasted"),
        (
            [replace(GOOD, name="b", mrr=0.831, ms=1.0)],
            "b",
            "good is better by 0.019, within what counts as equal here (0.02), and",
        ),
        ([replace(GOOD, name="b", mrr=0.829, ms=1.0)], "good", "the next, b, is behind by 0.021, though 4.0 times as fast"),
        ([replace(GOOD, name="b", mrr=0.5, ms=8.0)], "good", "the next, b, is behind by 0.350; its weak spot"),
        ([replace(GOOD, name="b", mrr=0.84, ms=8.0)], "good", "b is as good (behind by 0.010) and takes 2.0 times as long"),
        ([replace(GOOD, name="b", mrr=0.85, dim=64)], "b", "good is better by 0.000"),  # as fast: the smaller one
        (
            [replace(GOOD, name="b", mrr=0.85, ms=2.0, dim=256)],
            "b",
            "takes 2.0 times as long",
        ),  # but the faster one first
        ([replace(GOOD, name="b", mrr=0.80), replace(GOOD, name="c", mrr=0.82)], "good", "the next, c, is behind by 0.030"),
    ],
)
def test_the_choice_is_the_fastest_of_the_best_and_says_why(others: list[Score], chosen: str, said: str) -> None:
    choice = choose([GOOD, *others])
    assert choice.name == chosen
    assert said in choice.reason
    assert choice.reason.endswith("its weak spot: pasted (found first: 25%)")


def test_the_result_names_everything_that_was_measured(some: Path, tmp_path: Path) -> None:
    for name, grid in (("fine: 7×7", 7), ("coarse", 2)):
        (tmp_path / f"{grid}.onnx").write_bytes(pixel_encoder(FIT, grid=grid, name=name))
    files = (tmp_path / "7.onnx", tmp_path / "2.onnx")
    result = compare(CompareJob(some, tmp_path / "out", files, settings=CompareSettings(queries=3, label=None, seed=9)))
    assert [path.name for path in result.encoders.values()] == ["fine--7-7.onnx", "coarse.onnx"]
    told = result.to_json()
    assert (told["pictures"], told["queries"], told["failed"], told["identical_files_left_out"]) == (24, 3, 1, 0)
    assert [score["name"] for score in told["scores"]] == ["fine: 7×7", "coarse"]
    assert told["choice"] == {"name": result.choice.name, "reason": result.choice.reason}
    assert told["encoders"] == {name: str(path) for name, path in result.encoders.items()}
    assert isinstance(result.comparison, Comparison)
    kept = Encoder(result.encoders["coarse"]).card.quality["compared"]
    assert {name: kept[name] for name in ("pictures", "queries", "seed", "chosen_of", "name")} == {
        "pictures": 24, "queries": 3, "seed": 9, "chosen_of": ["fine: 7×7", "coarse"], "name": "coarse",
    }  # fmt: skip
