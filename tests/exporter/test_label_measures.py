"""How good neighbours are by their labels: each measure against one computed query by query, in plain Python."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from semblant_exporter import metrics
from semblant_exporter.evaluate import Evaluation, evaluate, measure_labels
from semblant_exporter.pictures import PictureArray
from semblant_exporter.pixels import pixel_encoder
from semblant_search.encoder import Encoder
from semblant_search.images import Fit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FIT = Fit(28, 28, 1)


def array(labels: Sequence[str | None], uris: Sequence[str] | None = None, at: str = "index") -> PictureArray:
    """Pictures of which labels and URIs alone are looked at."""
    count = len(labels)
    names = list(uris) if uris is not None else [f"file:///{at}/{number}.png" for number in range(count)]
    return PictureArray(np.zeros((count, 1, 1, 1), np.uint8), Fit(4, 4, 1), names, list(labels), {}, [])


def on_a_circle(degrees: Sequence[float]) -> np.ndarray:
    """Unit vectors float32 `[n, 2]`."""
    angles = np.radians(np.asarray(degrees, dtype=float))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def one_by_one(
    vectors: np.ndarray, index: PictureArray, query_vectors: np.ndarray, queries: PictureArray
) -> dict[str, list[float]]:
    """The measures of each query with a label, as they are defined."""
    found: dict[str, list[float]] = {name: [] for name in ("P@1", "P@10", "P@100", "mAP@100", "10-NN accuracy")}
    for vector, label, uri in zip(query_vectors, queries.labels, queries.uris, strict=True):
        if label is None:
            continue
        others = [row for row in range(len(index)) if index.uris[row] != uri]
        ranked = sorted(others, key=lambda row: (-float(vectors[row] @ vector), row))
        right = [index.labels[row] == label for row in ranked]
        for k in (1, 10, 100):
            found[f"P@{k}"].append(sum(right[:k]) / k)
        precisions = [sum(right[: place + 1]) / (place + 1) for place in range(100) if right[place]]
        found["mAP@100"].append(sum(precisions) / max(1, min(100, sum(right))))
        votes = Counter(index.labels[row] for row in ranked[:10] if index.labels[row] is not None)
        winner = min(votes, key=lambda name: (-votes[name], str(name))) if votes else None
        found["10-NN accuracy"].append(float(winner == label))
    return found


@pytest.mark.parametrize("overlap", [0, 40])
def test_measures_are_those_of_their_definitions(overlap: int) -> None:
    """130 pictures of unequally frequent labels, some without one, and 60 queries, of which some are indexed themselves."""
    random = np.random.default_rng(overlap)
    names = ["bag", "coat", "dress", None]
    drawn = random.choice(4, 190, p=[0.5, 0.25, 0.15, 0.1])
    vectors = random.normal(size=(190, 3)) + np.eye(4, 3)[drawn]
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    labels = [names[number] for number in drawn]
    index = array(labels[:130])
    rows = [*random.permutation(130)[:overlap].tolist(), *range(130, 190 - overlap)]
    uris = [index.uris[row] if row < 130 else f"file:///query/{row}.png" for row in rows]
    queries = array([labels[row] for row in rows], uris)
    expected = one_by_one(vectors[:130], index, vectors[rows], queries)
    found = measure_labels(vectors[:130], index, vectors[rows], queries)
    assert found.metrics == pytest.approx({name: np.mean(values) for name, values in expected.items()}, abs=1e-12)
    assert list(found.metrics) == ["P@1", "P@10", "P@100", "mAP@100", "10-NN accuracy"]
    asked = [label for label in queries.labels if label is not None]
    assert found.categories == {
        label: {
            "queries": asked.count(label),
            **{
                name: pytest.approx(np.mean([value for value, own in zip(expected[name], asked, strict=True) if own == label]))
                for name in ("P@10", "10-NN accuracy")
            },
        }
        for label in sorted(set(asked))
    }
    assert found.notes == [f"{60 - len(asked)} queries without a label were left out"]


def test_a_query_that_is_indexed_does_not_count_as_its_own_neighbour() -> None:
    """Its twin does: another file with the same pixels is another picture."""
    vectors = on_a_circle([0, 0, 99, 100, 210])
    index = array(["a", "b", "a", "b", "c"])
    found = measure_labels(vectors, index, vectors, index)
    assert found.metrics["P@1"] == 0
    assert found.metrics["mAP@100"] == pytest.approx((1 / 2 + 1 / 3 + 1 / 2 + 1 / 3 + 0) / 5)
    there = array(["a", "b"], ["file:///0", "file:///1"])
    asked = array(["a"], ["file:///1"])
    assert measure_labels(on_a_circle([0, 50]), there, on_a_circle([50]), asked).metrics["P@1"] == 1  # it sees the other alone


def test_a_draw_of_votes_goes_to_the_first_label_by_name() -> None:
    index = array(["b"] * 5 + ["a"] * 5 + ["c"])
    near = on_a_circle([*range(1, 6), *range(6, 11), 90])
    for label, right in (("a", 1), ("b", 0)):
        measured = measure_labels(near, index, on_a_circle([0]), array([label], at="query"))
        assert measured.metrics["10-NN accuracy"] == right
    ids = np.array([1, 1, 0, 0, 2, -1, -1, -1])
    found = metrics.Neighbours(np.array([[0, 1, 2, 3, 4, 5, 6, 7]]), np.zeros((1, 8), np.float32))
    assert [int(metrics.vote(found, ids, k)[0]) for k in (1, 2, 3, 4, 8)] == [1, 1, 1, 0, 0]
    assert metrics.knn_accuracy(found, ids, np.array([0]), 8) == 1


def test_measures_that_need_more_pictures_are_left_out_and_named() -> None:
    nine, ten = on_a_circle(range(9)), on_a_circle(range(10))
    few = measure_labels(nine, array(["a", "b", "a"] * 3), on_a_circle([4.2]), array(["a"], at="query"))
    assert list(few.metrics) == ["P@1", "mAP@100"]
    assert few.notes == ["P@10 needs 10 pictures to find; there are 9", "P@100 needs 100 pictures to find; there are 9"]
    enough = measure_labels(ten, array(["a", "b"] * 5), on_a_circle([4.2]), array(["a"], at="query"))
    assert list(enough.metrics) == ["P@1", "P@10", "mAP@100", "10-NN accuracy"]
    index = array(["a", "b"] * 5)
    alone = measure_labels(ten, index, ten, index)
    assert list(alone.metrics) == ["P@1", "mAP@100"]  # of ten, nine others can be found
    assert "there are 9" in alone.notes[0]


def test_what_cannot_be_measured_is_said() -> None:
    two = on_a_circle([0, 1])
    none = measure_labels(two, array([None, None]), two, array(["a", "b"], at="query"))
    assert (none.metrics, none.categories) == ({}, {})
    assert "no labels" in none.notes[0]
    assert "no labels" in measure_labels(two, array(["a", "b"]), two, array([None, None], at="query")).notes[0]
    itself = measure_labels(two[:1], array(["a"]), two[:1], array(["a"]))
    assert (itself.metrics, itself.notes) == (
        {},
        ["the one query is the one picture that is indexed: there is nothing to find"],
    )
    unknown = measure_labels(two, array(["a", "b"]), two, array(["a", "z"], at="query"))
    assert unknown.notes[-1] == "1 queries have a label that nothing they could find has; they count as misses"
    assert unknown.metrics["P@1"] == 0.5
    single = array(["a", "b", "b"])
    alone = measure_labels(on_a_circle([0, 1, 2]), single, on_a_circle([0, 1, 2]), single)
    assert any(note.startswith("1 queries have a label") for note in alone.notes)  # no other picture has the label a
    same = measure_labels(two, array(["a", "a"]), two, array(["a", None], at="query"))
    assert [note for note in same.notes if "says nothing" in note] == [
        "all pictures have the same label, 'a': every measure is 1 and says nothing"
    ]


def test_what_has_no_label_matches_nothing() -> None:
    found = metrics.Neighbours(np.array([[0, 1], [0, 1]]), np.zeros((2, 2), np.float32))
    assert metrics.matches(found, np.array([-1, 3]), np.array([-1, 3])).tolist() == [[False, False], [False, True]]


def test_recall_is_the_share_of_all_that_match() -> None:
    hits = np.array([[True, False, True, True], [False, False, False, False]])
    relevant = np.array([6, 0])
    assert metrics.recall_at(hits, 3, relevant).tolist() == [2 / 6, 0]
    assert metrics.precision_at(hits, 3).tolist() == [2 / 3, 0]
    assert metrics.average_precision(hits, 4, relevant) == pytest.approx([(1 + 2 / 3 + 3 / 4) / 4, 0])
    assert metrics.average_precision(hits, 4, np.array([3, 0])) == pytest.approx([(1 + 2 / 3 + 3 / 4) / 3, 0])
    assert metrics.average_precision(hits, 2, np.array([6, 0])) == pytest.approx([1 / 2, 0])


def test_the_place_of_what_is_looked_for() -> None:
    index = on_a_circle([0, 10, 20, 30])
    ranks = metrics.target_ranks(index, on_a_circle([1, 1, 29, 14]), np.array([0, 3, 3, 2]))
    assert ranks.tolist() == [1, 4, 1, 2]


def test_progress_of_a_search_reaches_its_end() -> None:
    steps: list[tuple[int, int]] = []
    metrics.nearest(on_a_circle(range(9)), on_a_circle(range(5)), 2, on_progress=lambda *step: steps.append(step))
    assert steps == [(5, 5)]


def test_an_evaluation_as_json_has_every_fact_rounded(fashion_small: Path) -> None:
    encoder = Encoder(pixel_encoder(FIT))
    index, asked = fashion_small / "train", fashion_small / "test"
    said: set[tuple[str, int | None]] = set()
    result = evaluate(encoder, index, asked, label="label_id", on_progress=lambda step, _, total: said.add((step, total)))
    assert (result.indexed, result.queried, result.failed, result.leave_one_out) == (600, 200, 0, False)
    assert set(result.categories) == {str(number) for number in range(10)}
    assert {("encoding pictures", 600), ("encoding pictures", 200), ("searching", 200)} <= said
    assert result.encoder == {
        "name": "pixels",
        "architecture": "pixels",
        "fingerprint": encoder.fingerprint,
        "dim": 49,
        "bytes": len(encoder.to_bytes()),
    }
    told = Evaluation({"name": "x"}, 3, 2, True, 1, {"P@1": 1 / 3}, {"a": {"queries": 2, "P@10": 2 / 3}}, 0.123456, ["why"])
    assert told.to_json() == {
        "encoder": {"name": "x"},
        "indexed": 3,
        "queried": 2,
        "leave_one_out": True,
        "failed": 1,
        "metrics": {"P@1": 0.33333},
        "categories": {"a": {"queries": 2, "P@10": 0.66667}},
        "encode_ms": 0.1235,
        "notes": ["why"],
    }
