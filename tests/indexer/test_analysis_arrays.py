"""Maps, clusters, their names and outliers of plain arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from semblant_indexer.analysis import (
    assign,
    elbow,
    fit_clusters,
    fit_dense_clusters,
    fit_map,
    name_clusters,
    nearest_neighbors,
    outlier_scores,
    place,
    projection,
)
from semblant_indexer.analysis.columns import Texts
from semblant_search.errors import InvalidInput
from sklearn.cluster import KMeans
from support.small_stores import unit_vectors
from threadpoolctl import threadpool_info, threadpool_limits

GROUPS = 5


def grouped(count: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around five directions, and which one each is around."""
    generator = np.random.default_rng(seed)
    centres = np.eye(GROUPS, 16, dtype=np.float32) * 4
    labels = np.arange(count) % GROUPS
    vectors = centres[labels] + generator.normal(size=(count, 16)).astype(np.float32) * 0.6
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), labels


def agreement(positions: np.ndarray, labels: np.ndarray) -> float:
    """Share of points whose nearest point on the map has the same label."""
    apart = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    return float((labels[apart.argmin(axis=1)] == labels).mean())


def test_neighbours_are_those_of_the_whole_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = unit_vectors(57)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    monkeypatch.setattr("semblant_indexer.analysis.neighbors._BLOCK_BYTES", 57 * 4 * 10)  # ten rows at a time
    told: list[tuple[int, int]] = []
    rows, found = nearest_neighbors(vectors, 5, on_progress=lambda *progress: told.append(progress))
    assert (rows == np.argsort(-cosines, axis=1)[:, :5]).all()
    assert np.allclose(found, -np.sort(-cosines, axis=1)[:, :5])
    assert told[-1] == (57, 57)
    assert nearest_neighbors(vectors[:3], 5)[0].shape == (3, 2)
    assert nearest_neighbors(vectors[:2], 3, among=vectors[2:4])[0].shape == (2, 2)


def test_equal_neighbours_come_in_the_order_of_rows() -> None:
    vectors = np.repeat(unit_vectors(1), 6, axis=0)
    assert nearest_neighbors(vectors, 5)[0].tolist()[0] == [1, 2, 3, 4, 5]


def test_a_map_keeps_groups_together_and_is_the_same_each_time() -> None:
    vectors, labels = grouped()
    positions = fit_map(vectors, seed=1)
    assert positions.dtype == np.float32
    assert positions.shape == (200, 2)
    assert agreement(positions, labels) > 0.97
    assert (fit_map(vectors, seed=1) == positions).all()


def test_a_map_that_starts_from_the_last_one_stays_there() -> None:
    vectors, labels = grouped()
    last = fit_map(vectors[:150])
    start = np.full((200, 2), np.nan)
    start[:150] = last
    again = fit_map(vectors, start=start)
    assert agreement(again, labels) > 0.97
    centres = np.array([[kept[labels[:150] == group].mean(axis=0) for group in range(GROUPS)] for kept in (last, again[:150])])
    assert np.linalg.norm(centres[0] - centres[1], axis=1).max() < 0.5 * np.linalg.norm(centres[0][0] - centres[0][1])


def test_what_is_held_stays_exactly_and_the_others_find_their_places() -> None:
    vectors, labels = grouped()
    last = fit_map(vectors[50:])
    start = np.full((200, 2), np.nan)
    start[50:] = last
    held = np.arange(200) >= 50
    again = fit_map(vectors, start=start, held=held)
    assert (again[50:] == last).all()
    assert agreement(again, labels) > 0.97
    assert len(np.unique(again, axis=0)) == 200
    assert (fit_map(vectors[50:], start=last, held=np.ones(150, bool)) == last).all()


def test_a_map_that_is_laid_out_again_is_turned_back_onto_the_last_one() -> None:
    vectors, _ = grouped()
    last = fit_map(vectors) * 0.4 + 100  # another place and size
    again = fit_map(vectors, start=last)
    assert np.abs(again.mean(axis=0) - last.mean(axis=0)).max() < 0.01
    assert again.std() == pytest.approx(last.std(), rel=0.02)
    assert np.median(np.linalg.norm(again - last, axis=1)) < 0.05 * np.ptp(last, axis=0).max()


def test_new_vectors_are_placed_among_their_neighbours() -> None:
    vectors, labels = grouped()
    positions = fit_map(vectors[50:])
    placed, spread = place(vectors[:50], vectors[50:], positions)
    assert agreement(np.concatenate([placed, positions]), labels) > 0.97
    assert (spread < np.ptp(positions, axis=0).max() / 2).all()
    nowhere, zero = place(vectors[:2], vectors[:0], positions[:0])
    assert nowhere.tolist() == [[0, 0], [0, 0]]
    assert zero.tolist() == [0, 0]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9])
def test_few_vectors_have_a_map_too(count: int) -> None:
    positions = fit_map(unit_vectors(count))
    assert positions.shape == (count, 2)
    assert np.isfinite(positions).all()
    assert len(np.unique(positions, axis=0)) == count


def test_a_map_is_the_same_on_any_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "_EARLY", 5)
    monkeypatch.setattr(projection, "_LATE", 5)
    vectors, _ = grouped(2_100)  # as many as are laid out by Fourier transforms
    maps = []
    for cores in (1, 3):
        monkeypatch.setattr(projection, "cores", lambda cores=cores: cores)
        maps.append(fit_map(vectors))
    np.testing.assert_array_equal(maps[0], maps[1])


def test_new_vectors_with_neighbours_in_two_places_lie_in_one_of_them() -> None:
    angles = np.array([*np.linspace(0.01, 0.05, 5), *np.linspace(0.06, 0.10, 5)])  # from that of the new vector
    mapped = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    positions = np.zeros((10, 2), np.float32)
    positions[:, 1] = np.arange(10) / 10
    positions[5:, 0] = 100  # of the five that are less alike
    new = np.array([[1, 0], [np.cos(0.004), -np.sin(0.004)], [np.cos(0.11), np.sin(0.11)]], np.float32)
    placed, spread = place(new, mapped, positions)
    assert [round(float(x)) for x in placed[:, 0]] == [0, 0, 100]
    assert (spread > 40).all()  # the neighbours do not agree, and that is told
    assert len(np.unique(placed, axis=0)) == 3  # two of one neighbourhood do not lie on each other
    one, _ = place(new[:1], mapped[:1], positions[:1])
    np.testing.assert_array_equal(one, positions[:1])


def test_vectors_that_are_all_the_same_lie_on_one_place() -> None:
    alike = np.repeat(unit_vectors(1), 30, axis=0)
    assert np.ptp(fit_map(alike), axis=0).tolist() == [0, 0]
    assert (outlier_scores(alike) == 0).all()
    assert fit_clusters(alike).k == 1


def test_the_elbow_finds_the_groups_that_there_are() -> None:
    vectors, labels = grouped()
    found = fit_clusters(vectors)
    assert found.k == GROUPS
    assert all(len(np.unique(labels[found.labels == cluster])) == 1 for cluster in range(GROUPS))
    assert found.silhouettes.mean() > 0.5
    assert np.allclose(np.linalg.norm(found.centres, axis=1), 1, atol=1e-5)
    assert (assign(vectors, found.centres)[0] == found.labels).all()
    again = fit_clusters(vectors)
    assert (again.centres == found.centres).all()


def test_the_largest_cluster_is_the_first() -> None:
    vectors, labels = grouped()
    kept = np.flatnonzero((labels != 3) | (np.arange(200) < 40))
    sizes = np.bincount(fit_clusters(vectors[kept], GROUPS).labels)
    assert sizes.tolist() == sorted(sizes, reverse=True)
    assert sizes.tolist()[-1] == 8


def test_clusters_are_found_on_one_thread_and_the_others_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info()}

    seen, fit = [], KMeans.fit

    def watched(self: KMeans, *arguments: Any, **options: Any) -> Any:
        seen.append(threads())
        return fit(self, *arguments, **options)

    monkeypatch.setattr(KMeans, "fit", watched)
    with threadpool_limits(3):
        fit_clusters(grouped()[0], 3)
        assert (seen, threads()) == ([{1}], {3})


def test_two_pictures_many_times_are_two_clusters() -> None:
    pair = np.repeat(unit_vectors(2), 20, axis=0)
    found = fit_clusters(pair)
    assert found.k == 2
    assert np.allclose(found.distances, 0, atol=1e-5)


def test_an_elbow_that_is_not_there_is_the_last_number() -> None:
    assert elbow([1, 2, 3, 4], [4, 3, 2, 1]) == 4
    assert elbow([1, 2, 3, 4, 5, 6], [100, 50, 10, 9, 8, 7]) == 3


@pytest.mark.parametrize("k", [0, -1, 31])
def test_more_clusters_than_pictures_are_refused(k: int) -> None:
    with pytest.raises(InvalidInput, match=r"expected 1 to 30"):
        fit_clusters(unit_vectors(30), k)


def test_nothing_has_no_clusters() -> None:
    with pytest.raises(InvalidInput, match="no vectors"):
        fit_clusters(unit_vectors(0))


def test_a_cluster_is_named_by_what_the_others_have_not() -> None:
    labels = [0, 0, 0, 1, 1, 1, 2]
    payloads: list[dict[str, Any]] = [
        {"label": "bag", "shop": "x", "tags": ["red", "new"]},
        {"label": "bag", "shop": "x", "tags": ["red"]},
        {"label": "coat", "shop": "x"},
        {"label": "coat", "shop": "x", "tags": ["old"]},
        {"label": "coat", "shop": "x"},
        {"shop": "x"},
        {"shop": "x"},
    ]
    bag, coat, nothing = name_clusters(labels, payloads, ["label", "shop", "tags"])
    assert bag is not None
    assert (bag.field, bag.value, round(bag.share, 2), bag.elsewhere) == ("label", "bag", 0.67, 0)
    assert coat is not None
    assert (coat.field, coat.value, str(coat)) == ("label", "coat", "coat (67%)")
    assert nothing is None
    assert name_clusters([], [], ["label"]) == []


def test_what_lies_alone_is_an_outlier() -> None:
    vectors, _ = grouped()
    strange = np.zeros((1, 16), np.float32)
    strange[0, 15] = -1
    scores = outlier_scores(np.concatenate([vectors, strange]))
    assert scores.argmax() == 200
    assert scores[200] > 3
    assert abs(float(np.median(scores))) < 0.01
    assert outlier_scores(vectors[:1]).tolist() == [0]


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("coat", "coat"),
        ("猫", "猫"),
        ("24/7 shop", "24/7 shop"),
        (True, "size: yes"),
        (False, "size: no"),
        (6, "size: 6"),
        (0.5, "size: 0.5"),
        ("6", "size: 6"),
        ("yes", "size: yes"),
        ("L", "size: L"),
    ],
)
def test_a_name_that_tells_nothing_by_itself_says_its_field(value: Any, label: str) -> None:
    payloads = [{"size": value}] * 3 + [{}] * 3
    named, nothing = name_clusters([0, 0, 0, 1, 1, 1], payloads, ["size"])
    assert named is not None
    assert (named.value, named.label, str(named)) == (value, label, f"{label} (100%)")
    assert nothing is None


def test_whole_numbers_are_told_apart() -> None:
    """Python's hash is the same for −1 and −2."""
    named, other = name_clusters([0, 0, 1, 1], [{"size": -1}, {"size": -1}, {"size": -2}, {"size": -2}], ["size"])
    assert (str(named), str(other)) == ("size: -1 (100%)", "size: -2 (100%)")


GOOD = unit_vectors(20)
HOLED, ENDLESS = GOOD.copy(), GOOD.copy()
HOLED[3, 0], ENDLESS[4, 1] = np.nan, np.inf


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (HOLED, "row 3 has a number that is not finite"),
        (ENDLESS, "row 4 has a number that is not finite"),
        (GOOD[0], r"shape \[8\], expected \[n, dim\]"),
        (GOOD[None], r"shape \[1, 20, 8\], expected \[n, dim\]"),
        (np.array([]), r"shape \[0\], expected \[n, dim\]"),
        (GOOD * 7, "row 0 has the length 7, expected 1"),
        (GOOD * 0, "row 0 has the length 0, expected 1"),
        (GOOD > 0, "an array of bool, expected numbers"),
        (GOOD.astype(str), "expected numbers"),
        ([[1.0], [1.0, 0.0]], r"expected an array of shape \[n, dim\]"),
    ],
)
@pytest.mark.parametrize(
    "function",
    [
        fit_map,
        fit_clusters,
        outlier_scores,
        lambda given: nearest_neighbors(given, 3),
        lambda given: nearest_neighbors(GOOD, 3, among=given),
        lambda given: assign(given, GOOD),
        lambda given: assign(GOOD, given),
        lambda given: place(given, GOOD, np.zeros((20, 2))),
        lambda given: place(GOOD, given, np.zeros((20, 2))),
        lambda given: fit_dense_clusters(np.zeros((20, 2)), given),
    ],
)
def test_arrays_that_are_no_vectors_are_said(function: Any, given: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        function(given)


@pytest.mark.parametrize("given", [np.eye(8, dtype=int), np.eye(8).tolist(), np.eye(8, dtype=np.float16)])
def test_vectors_of_other_numbers_are_taken(given: Any) -> None:
    wanted = np.eye(8, dtype=np.float32)
    assert (fit_map(given) == fit_map(wanted)).all()
    assert (fit_clusters(given, 3).labels == fit_clusters(wanted, 3).labels).all()
    assert (outlier_scores(given) == outlier_scores(wanted)).all()
    assert (assign(given, given)[0] == np.arange(8)).all()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: fit_map(GOOD, start=np.zeros((3, 2))), r"start: an array of shape \[3, 2\], expected \[20, 2\]"),
        (lambda: fit_map(GOOD, start=np.full((20, 2), np.inf)), "start: row 0 is"),
        (lambda: fit_map(GOOD, held=np.ones(20, bool)), "held: expected a position in start"),
        (lambda: fit_map(GOOD, start=np.zeros((20, 2)), held=np.ones(3, bool)), r"shape \[3\]; expected bool \[20\]"),
        (lambda: fit_map(GOOD, perplexity=0), "perplexity 0: expected a number above 0"),
        (lambda: fit_clusters(GOOD, 2.0), "k 2.0: expected a whole number"),  # type: ignore[arg-type]
        (lambda: fit_clusters(GOOD, True), "k True: expected a whole number"),
        (lambda: assign(GOOD, unit_vectors(3, 4)), "vectors have 8 numbers each and centres 4"),
        (lambda: assign(GOOD, GOOD[:0]), "no centres"),
        (lambda: place(GOOD, unit_vectors(3, 4), np.zeros((3, 2))), "vectors have 8 numbers each and among 4"),
        (lambda: place(GOOD, GOOD, np.zeros((3, 2))), r"positions: an array of shape \[3, 2\], expected \[20, 2\]"),
        (lambda: place(GOOD, GOOD, np.zeros((20, 2)), k=0), "k 0: expected at least 1"),
        (lambda: outlier_scores(GOOD, k=0), "k 0: expected at least 1"),
        (lambda: nearest_neighbors(GOOD, -1), "k -1: expected 0 or more"),
        (lambda: fit_dense_clusters(np.zeros((3, 2)), GOOD), r"positions: an array of shape \[3, 2\]"),
        (lambda: fit_dense_clusters(np.full((20, 2), np.nan), GOOD), "positions: row 0 is"),
        (lambda: elbow([], []), "0 numbers of clusters and 0 inertias"),
        (lambda: elbow([1, 2], [1.0]), "2 numbers of clusters and 1 inertias"),
        (lambda: elbow([2, 1], [1.0, 2.0]), "expected ascending"),
        (lambda: elbow([1, 2, 3], [np.nan] * 3), "expected finite"),
        (lambda: name_clusters([0, 1], [{}], ["a"]), "2 labels and 1 payloads"),
        (lambda: name_clusters([0, 5], [{}, {}], ["a"], clusters=2), "label 5: expected 0 to 1"),
    ],
)
def test_arguments_that_cannot_be_are_said(call: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        call()


def test_columns_of_texts_give_back_what_they_got() -> None:
    given = ["", "file:///ä/猫.png", "plain", "\udcff"]
    texts = Texts(given)
    assert [*texts] == given
    assert (texts[-1], texts[1:3], len(texts)) == (given[-1], given[1:3], 4)
    with pytest.raises(IndexError):
        texts[4]
