"""Which pictures lie over each other as they are, and which were moved: both are weighed and calibrated apart."""

from __future__ import annotations

import numpy as np
import pytest
from semblant_search.orb.relation import is_laid_over

SIZE = (480, 360)


def placed(scale: float, right: float = 0.0, down: float = 0.0) -> np.ndarray:
    return np.array([[scale, 0, right], [0, scale, down], [0, 0, 1]], np.float64)


@pytest.mark.parametrize(
    ("transform", "laid_over"),
    [
        (placed(1), True),
        (placed(1.008), True),
        (placed(1.05), True),  # another balloon, drawn a little larger
        (placed(1, 20, -20), True),  # or a little aside
        (placed(0.97, 12), True),
        (placed(1.1), False),
        (placed(0.7, 60, 40), False),  # a part of the other
        (placed(1, 60), False),
        (np.array([[0, -1, 420], [1, 0, -60], [0, 0, 1]], np.float64), False),  # turned
        (np.array([[-1, 0, 480], [0, -1, 360], [0, 0, 1]], np.float64), False),  # upside down, its corners over the others
    ],
)
def test_what_is_a_little_larger_or_aside_lies_over_the_other_and_a_part_or_a_turned_one_does_not(
    transform: np.ndarray, laid_over: bool
) -> None:
    assert is_laid_over(transform, SIZE, SIZE) == laid_over
