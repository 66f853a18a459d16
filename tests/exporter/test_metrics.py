"""Retrieval measures against definitions written out one query at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from semblant_exporter import metrics, pictures
from semblant_exporter.evaluate import measure_labels
from semblant_search.errors import InvalidInput
from semblant_search.images import Fit
from sklearn.metrics import average_precision_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from support.examples import examples

if TYPE_CHECKING:
    from pathlib import Path


def unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture(scope="module")
def fashion(fashion_small: Path) -> tuple[pictures.PictureArray, pictures.PictureArray]:
    return pictures.load(fashion_small / "train", Fit(28, 28, 1)), pictures.load(fashion_small / "test", Fit(28, 28, 1))


def flat(array: pictures.PictureArray) -> np.ndarray:
    return unit(array.pixels.reshape(len(array), -1).astype(np.float64))


def test_neighbours_are_those_of_scikit_learn(fashion: tuple[pictures.PictureArray, pictures.PictureArray]) -> None:
    index, queries = map(flat, fashion)
    found = metrics.nearest(index, queries, 20)
    distances, rows = NearestNeighbors(n_neighbors=20, metric="cosine").fit(index).kneighbors(queries)
    assert np.allclose(found.scores, 1 - distances, atol=1e-5)
    assert (found.rows == rows).mean() > 0.999  # but for pairs that differ in the last bit


def test_the_vote_is_that_of_scikit_learn_draws_and_all(
    fashion: tuple[pictures.PictureArray, pictures.PictureArray],
) -> None:
    index, queries = map(flat, fashion)
    labels, wanted = fashion[0].label_ids, fashion[1].label_ids
    found = metrics.nearest(index, queries, 10)
    ours = metrics.vote(found, labels, 10)
    votes = np.sort(np.stack([np.bincount(row, minlength=10) for row in labels[found.rows]]), axis=1)
    assert (votes[:, -1] == votes[:, -2]).any()
    assert np.array_equal(ours, KNeighborsClassifier(10, metric="cosine").fit(index, labels).predict(queries))
    assert metrics.knn_accuracy(found, labels, wanted, 10) == (ours == wanted).mean() > 0.6


def test_unlabelled_neighbours_do_not_vote() -> None:
    labels = np.array([2, 1, 1, 2, 0, -1, -1, -1])
    rows = np.array([[0, 1, 2, 3], [5, 6, 7, 4], [5, 6, 7, 5]])
    found = metrics.Neighbours(rows, np.zeros(rows.shape, np.float32))
    assert metrics.vote(found, labels, 4).tolist() == [1, 0, -1]
    assert metrics.vote(found, np.full(8, -1), 4).tolist() == [-1, -1, -1]


@settings(max_examples=examples(60))
@given(st.data())
def test_precision_recall_and_average_precision_follow_their_definitions(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 30))
    k = data.draw(st.integers(1, size))
    labels = np.array(data.draw(st.lists(st.integers(-1, 3), min_size=size, max_size=size)))
    scores = np.array(data.draw(st.permutations(range(size))), dtype=float)
    label = data.draw(st.integers(0, 3))
    order = np.argsort(-scores)
    relevant = np.array([(labels == label).sum()])
    hits = metrics.matches(metrics.Neighbours(order[None], scores[None]), labels, np.array([label]))
    top = [labels[row] == label for row in order[:k]]
    assert metrics.precision_at(hits, k)[0] == pytest.approx(sum(top) / k)
    if relevant[0]:
        assert metrics.recall_at(hits, k, relevant)[0] == pytest.approx(sum(top) / relevant[0])
        whole = metrics.average_precision(hits, size, relevant)[0]
        assert whole == pytest.approx(average_precision_score(labels == label, scores))
        by_hand = sum(sum(top[: i + 1]) / (i + 1) for i in range(k) if top[i]) / min(k, relevant[0])
        assert metrics.average_precision(hits, k, relevant)[0] == pytest.approx(by_hand)
    else:
        assert metrics.recall_at(hits, k, relevant)[0] == metrics.average_precision(hits, k, relevant)[0] == 0


@settings(max_examples=examples(40))
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 12))
def test_equal_scores_rank_by_row_and_a_query_never_finds_what_is_excluded(seed: int, size: int, k: int) -> None:
    random = np.random.default_rng(seed)
    k = min(k, size)
    index = unit(random.choice([1.0, 2.0], (size + 1, 2)))  # few directions: many equal scores
    queries = index[random.integers(0, size + 1, 5)]
    exclude = random.integers(-1, size + 1, 5)
    found = metrics.nearest(index, queries, k, exclude=exclude)
    for query in range(5):
        scores = queries[query] @ index.T
        order = [row for row in np.lexsort((np.arange(size + 1), -scores.round(5))) if row != exclude[query]]
        assert found.rows[query].tolist() == order[:k]


def test_k_beyond_the_index_and_other_dimensions_are_refused() -> None:
    index = unit(np.random.default_rng(0).normal(size=(5, 3)))
    with pytest.raises(InvalidInput, match="k 6: expected 1 to 5"):
        metrics.nearest(index, index, 6)
    with pytest.raises(InvalidInput, match="k 5: expected 1 to 4"):
        metrics.nearest(index, index, 5, exclude=np.arange(5))
    with pytest.raises(InvalidInput, match="expected"):
        metrics.nearest(index, index[:, :2], 1)


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = unit(np.random.default_rng(1).normal(size=(700, 16)))
    whole = metrics.nearest(vectors, vectors, 30)
    monkeypatch.setattr(metrics, "_BLOCK_BYTES", 4 * 700 * 7)
    assert np.array_equal(metrics.nearest(vectors, vectors, 30).rows, whole.rows)


def test_raw_pixels_give_the_published_numbers_on_a_slice(fashion_mnist: Path) -> None:
    """P@1 .858, P@10 .813 and 10-NN .853 for all 60,000; a slice comes a little lower, far from chance."""
    index = pictures.load(
        sorted((fashion_mnist / "train").rglob("0*.png")), Fit(28, 28, 1), metadata=fashion_mnist / "metadata.csv"
    )
    queries = pictures.load(
        sorted((fashion_mnist / "test").rglob("00*.png")), Fit(28, 28, 1), metadata=fashion_mnist / "metadata.csv"
    )
    measured = measure_labels(flat(index), index, flat(queries), queries)
    assert measured.metrics["P@1"] == pytest.approx(0.84, abs=0.02)
    assert measured.metrics["P@10"] == pytest.approx(0.79, abs=0.02)
    assert measured.metrics["10-NN accuracy"] == pytest.approx(0.84, abs=0.02)
    assert len(measured.categories) == 10
    assert measured.categories["Trouser"]["P@10"] > measured.categories["Shirt"]["P@10"]
