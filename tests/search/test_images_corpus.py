"""A second decoder sees the same pictures: libvips, or the numbers that were written into the files."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pyvips")
pytest.importorskip("tifffile")

from semblant_search.images import open_image
from support.corpus import compared, sixteen_linear, table
from support.shown import COLOURS, away


def test_a_second_decoder_sees_the_same() -> None:
    found = list(compared())
    assert len(found) > 620
    assert {one.name: one.away for one in found if one.away > 1} == {}, table(found)
    assert np.median([one.away for one in found]) < 0.1


def test_sixteen_bits_in_linear_light_all_count() -> None:
    """Pillow hands littleCMS the upper 8 of them, which were 2.8 levels off."""
    assert away(open_image(sixteen_linear()), COLOURS) < 0.1
