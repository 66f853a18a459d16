"""Figures say what they show: titles, axes, legends, and captions are read before they become pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from semblant_exporter import figures, maps, metrics
from semblant_exporter.compare import Choice, Comparison, Score
from semblant_exporter.compare.plot import draw
from semblant_exporter.pictures import PictureArray
from semblant_exporter.trainer import Epoch
from semblant_search.errors import InvalidInput
from semblant_search.images import Fit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.lines import Line2D


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Matplotlib's figures as they were saved."""
    saved: list[Figure] = []
    save = Figure.savefig

    def note(self: Figure, *arguments: Any, **options: Any) -> None:
        saved.append(self)
        save(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", note)
    return saved


def points(line: Line2D) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in np.asarray(line.get_xydata())]


def history(validation: Sequence[float]) -> list[Epoch]:
    return [Epoch(number, 1 / number, value, {}, 0.1, float(number)) for number, value in enumerate(validation, start=1)]


def test_losses_have_named_axes_and_mark_the_epoch_that_was_kept(drawn: list[Figure], tmp_path: Path) -> None:
    figures.losses(history([0.9, 0.5, 0.7]), tmp_path / "sub" / "losses.png", kept=2, title="cae, reconstruct: 60 pictures")
    (figure,) = drawn
    (axes,) = figure.axes
    assert (axes.get_title("left"), axes.get_xlabel(), axes.get_ylabel()) == ("cae, reconstruct: 60 pictures", "epoch", "loss")
    training, validation, kept = axes.get_lines()
    assert points(training) == [(1, 1), (2, 1 / 2), (3, 1 / 3)]
    assert points(validation) == [(1, 0.9), (2, 0.5), (3, 0.7)]
    assert points(kept) == [(2, 0.5)]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "training", "validation", "lowest validation: 0.5 in epoch 2",
    ]  # fmt: skip
    with Image.open(tmp_path / "sub" / "losses.png") as picture:
        assert picture.size == (1080, 690)


def test_a_validation_of_another_kind_has_an_axis_of_its_own(drawn: list[Figure], tmp_path: Path) -> None:
    figures.losses(history([0.9, 0.5, 0.7, 0.6]), tmp_path / "losses.png", kept=4, validation="finding the other view")
    training, validation = drawn[0].axes
    assert (training.get_ylabel(), validation.get_ylabel()) == ("training loss", "validation loss")
    assert [len(axes.get_lines()) for axes in (training, validation)] == [1, 2]
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == [
        "training", "validation: finding the other view", "kept, the last one: 0.6 in epoch 4",
    ]  # fmt: skip
    with pytest.raises(InvalidInput, match="no epoch to draw"):
        figures.losses([], tmp_path / "none.png", kept=1)


@pytest.mark.parametrize("channels", [1, 3])
def test_rows_of_pictures_stand_below_each_other_under_their_names(channels: int, drawn: list[Figure], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = [(name, random.integers(0, 256, (5, 6, 4, channels), dtype=np.uint8)) for name in ("original", "decoded")]
    figures.picture_rows(rows, tmp_path / "rows.png", title="Drawn again")
    (figure,) = drawn
    assert [text.get_text() for text in figure.texts] == ["Drawn again", "original", "decoded"]
    assert len(figure.axes) == 10
    shown = [np.asarray(axes.get_images()[0].get_array()) for axes in figure.axes]
    expected = [picture[:, :, 0] if channels == 1 else picture for _, pictures in rows for picture in pictures]
    assert all(np.array_equal(one, other) for one, other in zip(shown, expected, strict=True))
    boxes = [axes.get_position() for axes in figure.axes]
    assert [box.x0 for box in boxes[:5]] == sorted(box.x0 for box in boxes[:5])
    assert max(box.y1 for box in boxes[5:]) < min(box.y0 for box in boxes[:5])
    assert {axes.get_images()[0].get_clim() for axes in figure.axes} == {(0, 255)} or channels == 3


def score(name: str, mrr: float, ms: float, *, labelled: bool = False) -> Score:
    kinds = {"JPEG": {"recall@1": mrr}, "pasted": {"recall@1": mrr / 2}}
    return Score(name, "x", "f", mrr, mrr, mrr, kinds, {"P@10": 0.5} if labelled else {}, ms=ms, megabytes=1, dim=8)


@pytest.mark.parametrize("labelled", [False, True])
def test_a_comparison_shows_quality_against_cost_and_every_alteration(
    labelled: bool, drawn: list[Figure], tmp_path: Path
) -> None:
    scores = [score("slow", 0.9, 4.0, labelled=labelled), score("fast", 0.4, 0.5, labelled=labelled)]
    draw(Comparison(scores, 1200, 50, 0, 0, []), Choice("slow", "because"), tmp_path / "plot.png")
    (figure,) = drawn
    cost, table = figure.axes
    assert figure.get_suptitle() == "2 encoders on 1,200 pictures: take slow"
    assert cost.get_xlabel() == "milliseconds a picture"
    assert cost.get_ylabel() == ("mean of copies' MRR and labels' P@10" if labelled else "MRR of altered copies")
    found = {points(line)[0] for line in cost.get_lines()}
    assert found == {(entry.ms, entry.quality) for entry in scores}
    assert [text.get_text() for text in table.texts] == ["90", "45", "40", "20"]  # the best above
    assert [text.get_text() for text in table.get_yticklabels()] == ["slow", "fast"]
    assert [text.get_text() for text in table.get_xticklabels()] == ["JPEG", "pasted"]
    assert table.get_title("left") == "Altered copies whose original is found first, %"


def array(vectors: np.ndarray, labels: list[str | None]) -> PictureArray:
    pixels = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 1), np.uint8) * 9
    return PictureArray(pixels, Fit(8, 8, 1), [f"file:///{row}.png" for row in range(len(labels))], labels, {}, [])


def test_hits_stand_beside_their_query_with_score_label_and_colour(drawn: list[Figure], tmp_path: Path) -> None:
    labels: list[str | None] = ["bag", "bag", "shoes/a very long name of a label", None]
    pictures = array(np.empty(0), labels)
    found = metrics.Neighbours(np.array([[1, 2, 3], [3, 0, 1]]), np.array([[0.987, 0.5, 0.25], [0.9, 0.8, 0.7]], np.float32))
    maps.draw_neighbours(pictures, np.array([0, 3]), pictures, found, tmp_path / "hits.png", title="Hits")
    (figure,) = drawn
    assert figure.texts[0].get_text() == "Hits"
    captions = [(axes.texts[0].get_text(), axes.texts[0].get_color()) for axes in figure.axes]
    right, wrong, quiet, ink = "#1b7f4d", "#c2410c", "#9aa5b1", "#1f2933"
    assert captions == [
        ("query: bag", ink), ("0.99 bag", right), ("0.50 a very long…", wrong), ("0.25", quiet),
        ("query", ink), ("0.90", quiet), ("0.80 bag", quiet), ("0.70 bag", quiet),
    ]  # fmt: skip
    shown = [int(np.asarray(axes.get_images()[0].get_array())[0, 0]) // 9 for axes in figure.axes]
    assert shown == [0, 1, 2, 3, 3, 3, 0, 1]


def test_pictures_that_ask_for_each_other_do_not_show_themselves(drawn: list[Figure], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(24, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pictures = array(vectors, [f"label {row % 12:02}" for row in range(24)])
    files = maps.draw_all(tmp_path, "name", (vectors, pictures), (vectors, pictures))
    assert [path.name for path in files] == ["map-labels.png", "map-pictures.png", "neighbours.png"]
    assert all(path.is_file() for path in files)
    labelled, hits = drawn
    assert labelled.axes[0].get_title("left") == "name: t-SNE of 24 pictures"
    assert hits.texts[0].get_text() == "name: nearest of 24 pictures"
    shown = np.array([int(np.asarray(axes.get_images()[0].get_array())[0, 0]) // 9 for axes in hits.axes]).reshape(10, 11)
    assert all(line[0] not in line[1:] for line in shown.tolist())
    queries = [axes.texts[0].get_text() for axes in hits.axes[::11]]
    assert queries == [f"query: label {number:02}" for number in range(10)]  # one of each label, ten at most
    expected = np.argsort(-(vectors[shown[:, 0]] @ vectors.T), axis=1)[:, 1:11]
    assert np.array_equal(shown[:, 1:], expected)


@pytest.mark.parametrize(("kinds", "legend"), [(3, 4), (20, 21), (21, 21)])
def test_the_most_frequent_labels_are_named(kinds: int, legend: int, drawn: list[Figure], tmp_path: Path) -> None:
    labels: list[str | None] = [f"{number:02}" for number in range(kinds) for _ in range(kinds - number + 1)] + [None]
    places = np.random.default_rng(0).normal(size=(len(labels), 2))
    maps.draw_labels(places, labels, tmp_path / "map.png", title="Map")
    texts = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    rest = "no label" if kinds <= 20 else "1 other labels"
    assert texts == [rest, *(f"{number:02}" for number in range(min(kinds, 20)))]
    assert len(texts) == legend
    named = [text.get_text() for text in drawn[0].axes[0].texts]
    assert named == ([f"{number:02}" for number in range(kinds)] if kinds <= 10 else [])
    counts = [len(points.get_offsets()) for points in drawn[0].axes[0].collections]  # type: ignore[arg-type]
    assert counts[1:] == [kinds - number + 1 for number in range(min(kinds, 20))]
