"""What stands out between two pictures that lie over each other, and what is only compressed, lit or sampled otherwise."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from semblant_search.orb import thumbnail
from semblant_search.orb.local_change import is_unchanged, local_change

USUAL = 2.5
"""What copies have."""
SHAPE = (64, 48)
EVERYWHERE = np.ones(SHAPE, bool)


@pytest.fixture(scope="module")
def page() -> np.ndarray:
    """Soft shapes, dark on light."""
    rng = np.random.default_rng(4)
    return cv2.resize(rng.integers(60, 240, (9, 7)).astype(np.uint8), SHAPE[::-1], interpolation=cv2.INTER_CUBIC)


def written(page: np.ndarray) -> np.ndarray:
    """A line of grey text is on it, as a thumbnail shows one: 12 of 3,072 pixels."""
    out = page.copy()
    out[20, 10:22] = np.clip(out[20, 10:22].astype(int) - 60, 0, 255)
    return out


def lit(page: np.ndarray) -> np.ndarray:
    return np.clip((page.astype(float) - 90) * 1.4 + 60, 0, 255).astype(np.uint8)


def compressed(page: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_GRAYSCALE))


def shifted(page: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.warpAffine(page, np.array([[1, 0, 0.1], [0, 1, -0.1]]), SHAPE[::-1], borderMode=cv2.BORDER_REPLICATE))


@pytest.mark.parametrize("change", [np.copy, lit, compressed, shifted])
def test_a_copy_has_no_place_that_stands_out_and_a_line_of_text_is_one(page: np.ndarray, change: object) -> None:
    assert callable(change)
    copy = change(page)
    for one, other in ((copy, page), (page, copy)):
        assert local_change(one, other, EVERYWHERE) < USUAL
    other = change(written(page))
    assert local_change(other, page, EVERYWHERE) > 2 * USUAL
    assert not is_unchanged(other, page, EVERYWHERE)


def test_what_lies_outside_does_not_count(page: np.ndarray) -> None:
    inside = EVERYWHERE.copy()
    inside[18:23] = False
    assert local_change(written(page), page, inside) < USUAL
    few = np.zeros(SHAPE, bool)
    few[:5, :8] = True
    assert local_change(written(page), page, few) == 0
    assert not is_unchanged(page, page, few), "too little to say so"


def test_another_light_is_a_change_to_whoever_looks_closer(page: np.ndarray) -> None:
    """A stranger of the same family may be in another colour all over."""
    assert is_unchanged(page, page, EVERYWHERE)
    assert is_unchanged(compressed(page), page, EVERYWHERE)
    assert not is_unchanged(lit(page), page, EVERYWHERE)


def test_flat_pictures_have_no_place_that_stands_out() -> None:
    flat = np.full(SHAPE, 200, np.uint8)
    assert local_change(flat, flat, EVERYWHERE) == 0
    assert local_change(thumbnail(np.full((640, 480), 90, np.uint8), 64), flat, EVERYWHERE) < USUAL
