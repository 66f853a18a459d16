"""Where two pictures that lie over each other disagree: chance spreads what is lost, a change does not."""

from __future__ import annotations

from math import comb, log10

import numpy as np
import pytest
from semblant_search.orb.disagreement import disagreement


def scattered(count: int, seed: int, low: float = 0, high: float = 480) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, (count, 2))


@pytest.mark.parametrize("share", [0.2, 0.4, 0.8])
def test_a_copy_loses_details_here_and_there(share: float) -> None:
    seen = []
    for seed in range(100):
        candidate = scattered(200, seed)
        seen.append(disagreement(scattered(350, 1000 + seed), candidate, candidate[: round(share * 200)]))
    assert np.quantile(seen, 0.95) < 3.5
    assert max(seen) < 5


@pytest.mark.parametrize("corner", [(0, 0), (320, 0), (0, 320), (320, 320), (160, 200)])
def test_a_part_that_is_another_has_details_of_both_that_do_not_agree(corner: tuple[int, int]) -> None:
    candidate, query = scattered(224, 1), scattered(224, 2)
    other = ((candidate >= corner) & (candidate < np.array(corner) + 160)).all(axis=1)
    agreeing = candidate[~other][: round(0.6 * (~other).sum())]
    assert disagreement(query, candidate, agreeing) > 4
    evenly = candidate[: len(agreeing)]
    assert disagreement(query, candidate, evenly) < 3.5


def test_what_only_one_of_them_shows_is_no_disagreement() -> None:
    """Text over a picture takes none of its details away elsewhere; a place where either has none says nothing."""
    candidate = scattered(150, 3, 0, 300)
    query = np.concatenate([candidate[:100], scattered(200, 4, 340, 480)])
    assert disagreement(query, candidate, candidate[:100]) < disagreement(scattered(300, 5), scattered(224, 6), candidate[:40])
    assert disagreement(query, candidate, candidate[:100]) < 3


def test_it_is_the_binomial_probability_of_the_emptiest_place() -> None:
    """All details in two opposite cells: ten of ten agree in one, none of ten in the other."""
    points = np.concatenate([np.zeros((10, 2)), np.full((10, 2), 60.0)])
    assert disagreement(points, points, points[:10]) == pytest.approx(-10 * log10(0.5))
    found = disagreement(points, points, points[:13])
    expected = sum(comb(10, k) * 0.65**k * 0.35 ** (10 - k) for k in range(4))
    assert found == pytest.approx(-log10(expected))
    assert disagreement(points, points, points) < 0.2, "all agree"


def test_the_pixels_that_places_are_counted_in_do_not_matter() -> None:
    query, candidate = scattered(300, 7), scattered(200, 8)
    agreeing = candidate[candidate[:, 0] < 250][:80]
    found = disagreement(query, candidate, agreeing)
    for scale, shift in ((0.1, 0.0), (3.0, 500.0), (1.0, -40.0)):
        assert disagreement(*(points * scale + shift for points in (query, candidate, agreeing))) == pytest.approx(
            found, abs=1.0
        )


def test_too_little_says_nothing() -> None:
    some, none = scattered(5, 9), np.empty((0, 2))
    for here, there, agree in ((none, none, none), (some, none, none), (none, some, none), (some, some, none)):
        assert disagreement(here, there, agree) == 0
    apart = np.array([[0.0, 0], [100, 0], [0, 100], [100, 100]])
    assert disagreement(apart, apart, apart[:1]) == 0, "no place has three"
    assert disagreement(np.ones((4, 2)), np.ones((4, 2)), np.ones((1, 2))) >= 0, "all on one spot"
