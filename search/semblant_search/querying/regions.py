"""Which part of a picture is asked for, in its pixels, and which cells of an encoder see it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from semblant_search.errors import InvalidInput
from semblant_search.images import Fit, fit_image
from semblant_search.shown import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    Region = Sequence[float] | np.ndarray

__all__ = ["cells_in", "check_region", "region_of"]


def cells_in(region: Region, size: tuple[int, int], fit: Fit, cells: int) -> np.ndarray:
    """Which cells of a feature map lie in a region, at least half of each; the one that holds most of a smaller region.

    Args:
        region: `(x, y, width, height)` in pixels of the picture, or a mask `[h, w]`.
        size: `(width, height)` of the picture.
        fit: how the encoder's input is made of it; what that cuts away, no cell sees.
        cells: P, how many there are, row by row.

    Returns:
        int64 `[R]`, at least one.

    Raises:
        InvalidInput: as `region_of`, and where the encoder sees nothing of the region.
    """
    from PIL import Image

    mask, (left, top, width, height) = region_of(region, *size)
    marked = Image.new("L", size, 0)
    if mask is None:
        marked.paste(255, (int(left), int(top), int(left + width), int(top + height)))
    else:
        marked = Image.fromarray(mask.astype(np.uint8) * 255)
    # Fitted as the picture itself is, whatever that does to it.
    fitted = fit_image(marked, replace(fit, channels=1, interpolation="area", background=(0, 0, 0)))
    columns = _columns(cells, fit)
    seen = Image.fromarray(fitted[..., 0]).resize((columns, cells // columns), Image.Resampling.BOX)
    share = np.asarray(seen, np.float64).ravel() / 255
    if share.max() == 0:
        raise InvalidInput(
            f"region of {width:g}×{height:g} pixels at {left:g},{top:g}: the encoder sees nothing of it "
            f"(it fits pictures to {fit.width}×{fit.height} by {fit.policy}); give a larger one"
        )
    return np.flatnonzero(share >= min(0.5, float(share.max())))


def _columns(cells: int, fit: Fit) -> int:
    """How wide the feature map is: the divisor that brings its shape nearest to the input's."""
    shapes = [columns for columns in range(1, cells + 1) if cells % columns == 0]
    return min(shapes, key=lambda columns: abs(np.log(columns * columns / cells * fit.height / fit.width)))


def check_region(region: Region) -> tuple[float, float, float, float] | None:
    """The four numbers of a box; None for a mask. Raises `InvalidInput` for what is a region of no picture at all."""
    if isinstance(region, np.ndarray) and region.ndim == 2:
        if region.dtype.kind not in "biuf":
            raise InvalidInput(f"mask of {region.dtype}: expected bool or numbers, [h, w]", argument="mask")
        return None
    try:
        if isinstance(region, (str, bytes, bytearray)):
            raise TypeError(region)
        if isinstance(region, np.ndarray) and region.dtype.kind not in "iuf":  # NumPy drops what is imaginary
            raise TypeError(region)
        x, y, wide, high = (float(value) for value in region)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(
            f"region {shown(region)}: expected x, y, width and height in pixels, or a mask [h, w]", argument="region"
        ) from error
    if not (wide > 0 and high > 0 and np.isfinite([x, y, x + wide, y + high]).all()):
        raise InvalidInput(
            f"region {x:g},{y:g},{wide:g},{high:g}: expected finite numbers, width and height more than 0", argument="region"
        )
    return x, y, wide, high


def region_of(region: Region, width: int, height: int) -> tuple[np.ndarray | None, tuple[float, float, float, float]]:
    """A mask where there is one, and the box in whole pixels, cut to the picture: x, y, width, height.

    Raises:
        InvalidInput: neither a mask of the picture's size nor four numbers, or nothing of the picture is in it.
    """
    numbers = check_region(region)
    if numbers is None:
        assert isinstance(region, np.ndarray)
        if region.shape != (height, width):
            raise InvalidInput(
                f"mask of shape {list(region.shape)}: expected [{height}, {width}], the picture's own", argument="mask"
            )
        mask = region.astype(bool)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows) == 0:
            raise InvalidInput("the mask marks no pixel of the picture", argument="mask")
        box = (int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1))
        return mask, box
    x, y, wide, high = numbers
    left, top, right, bottom = max(0, round(x)), max(0, round(y)), min(width, round(x + wide)), min(height, round(y + high))
    if right <= left or bottom <= top:
        raise InvalidInput(
            f"region {x:g},{y:g},{wide:g},{high:g}: lies outside the picture, which is {width}×{height} pixels",
            argument="region",
        )
    return None, (left, top, right - left, bottom - top)
