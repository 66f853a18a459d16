"""Which pixels of a picture a region names, and which cells of an encoder see them."""

from __future__ import annotations

import numpy as np
import pytest
from semblant_search import Fit, InvalidInput
from semblant_search.querying.regions import cells_in, region_of


@pytest.mark.parametrize(
    ("region", "box"),
    [
        ((10, 20, 30, 40), (10, 20, 30, 40)),
        ((0, 0, 100, 80), (0, 0, 100, 80)),
        ((-5, -5, 20, 20), (0, 0, 15, 15)),
        ((90, 70, 50, 50), (90, 70, 10, 10)),
        ((-1e6, -1e6, 2e6, 2e6), (0, 0, 100, 80)),
        ((10.4, 20.6, 5.2, 5.2), (10, 21, 6, 5)),
        ((0.6, 0.6, 1, 1), (1, 1, 1, 1)),
        ([1, 2, 3, 4], (1, 2, 3, 4)),
        (np.array([1.0, 2.0, 3.0, 4.0]), (1, 2, 3, 4)),
        (("1", "2", "3", "4"), (1, 2, 3, 4)),
    ],
    ids=str,
)
def test_a_box_is_in_whole_pixels_and_cut_to_the_picture(region: tuple[float, ...], box: tuple[int, ...]) -> None:
    mask, found = region_of(region, 100, 80)
    assert mask is None
    assert found == box


@pytest.mark.parametrize(
    ("region", "word"),
    [
        ((0, 0, 0, 10), "more than 0"),
        ((0, 0, 10, -1), "more than 0"),
        ((0, 0, float("nan"), 1), "finite"),
        ((float("-inf"), 0, 10, 10), "finite"),
        ((100, 0, 10, 10), "outside the picture, which is 100×80"),
        ((0, 80, 10, 10), "outside the picture"),
        ((-10, 0, 10, 10), "outside the picture"),
        ((0, -10, 10, 10), "outside the picture"),
        ((5, 5, 0.3, 0.3), "outside the picture"),
        ((1, 2, 3), "x, y, width and height"),
        ((1, 2, 3, 4, 5), "x, y, width and height"),
        ("abcd", "x, y, width and height"),
        (7, "x, y, width and height"),
        (None, "x, y, width and height"),
        (np.ones((100, 80), bool), r"expected \[80, 100\]"),
        (np.ones((80, 99), bool), r"expected \[80, 100\]"),
        (np.zeros((80, 100), bool), "marks no pixel"),
    ],
    ids=lambda value: str(getattr(value, "shape", value)),
)
def test_a_region_that_cannot_be_says_why(region: object, word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        region_of(region, 100, 80)  # type: ignore[arg-type]


def test_a_mask_has_the_box_around_what_it_marks() -> None:
    marked = np.zeros((80, 100), np.uint8)
    marked[20, 30], marked[41, 35], marked[25, 60] = 255, 1, 7
    mask, box = region_of(marked, 100, 80)
    assert box == (30, 20, 31, 22)
    assert mask is not None
    assert mask.dtype == bool
    assert mask.sum() == 3
    corner = np.zeros((80, 100), bool)
    corner[79, 99] = True
    assert region_of(corner, 100, 80)[1] == (99, 79, 1, 1)


STRETCH, PAD, CROP = (Fit(64, 64, 1, policy=policy) for policy in ("stretch", "pad", "crop"))


@pytest.mark.parametrize(
    ("region", "size", "fit", "cells", "chosen"),
    [
        ((0, 0, 64, 64), (64, 64), STRETCH, 16, list(range(16))),
        ((16, 0, 16, 16), (64, 64), STRETCH, 16, [1]),
        ((0, 16, 16, 16), (64, 64), STRETCH, 16, [4]),
        ((9, 0, 16, 16), (64, 64), STRETCH, 16, [1]),  # nine sixteenths of one, seven of the other
        ((8, 0, 16, 16), (64, 64), STRETCH, 16, [0, 1]),  # half of each
        ((10, 10, 30, 30), (64, 64), STRETCH, 16, [5, 6, 9]),  # all of one, half of two, a quarter of the fourth
        ((4, 4, 3, 3), (64, 64), STRETCH, 16, [0]),
        ((14, 0, 4, 4), (64, 64), STRETCH, 16, [0, 1]),  # as much of either
        ((15, 0, 4, 4), (64, 64), STRETCH, 16, [1]),
        ((0, 0, 640, 320), (640, 640), STRETCH, 16, list(range(8))),
        ((0, 0, 50, 200), (100, 200), PAD, 16, [1, 5, 9, 13]),
        ((0, 0, 100, 50), (200, 100), PAD, 16, [4, 5]),
        ((100, 0, 100, 100), (300, 100), CROP, 4, [0, 1, 2, 3]),
        ((0, 0, 150, 100), (300, 100), CROP, 4, [0, 2]),
        ((0, 0, 64, 8), (64, 64), Fit(32, 128, 1, policy="stretch"), 16, [0, 1, 2, 3, 4, 5, 6, 7]),
        ((0, 0, 8, 64), (64, 64), Fit(128, 32, 1, policy="stretch"), 16, [0, 2, 4, 6, 8, 10, 12, 14]),
        ((32, 0, 32, 64), (64, 64), Fit(32, 64, 1, policy="stretch"), 2, [1]),
        ((0, 0, 9, 9), (64, 64), STRETCH, 1, [0]),
    ],
    ids=str,
)  # fmt: skip
def test_the_cells_of_a_region_are_those_that_see_at_least_half_of_it(
    region: tuple[int, ...], size: tuple[int, int], fit: Fit, cells: int, chosen: list[int]
) -> None:
    x, y, width, height = region
    assert cells_in(region, size, fit, cells).tolist() == chosen
    mask = np.zeros(size[::-1], bool)
    mask[y : y + height, x : x + width] = True
    assert cells_in(mask, size, fit, cells).tolist() == chosen


def test_what_the_fit_cuts_away_is_seen_by_no_cell() -> None:
    for region in ((0, 0, 99, 100), (201, 0, 99, 100)):
        with pytest.raises(InvalidInput, match=r"fits pictures to 64×64 by crop.*larger"):
            cells_in(region, (300, 100), CROP, 16)
    assert len(cells_in((0, 0, 140, 100), (300, 100), CROP, 16)) > 0


def test_a_mask_chooses_cells_where_it_marks_and_not_all_of_its_box() -> None:
    diagonal = np.zeros((64, 64), bool)
    for cell in range(4):
        diagonal[16 * cell : 16 * cell + 16, 16 * cell : 16 * cell + 16] = True
    assert cells_in(diagonal, (64, 64), STRETCH, 16).tolist() == [0, 5, 10, 15]
