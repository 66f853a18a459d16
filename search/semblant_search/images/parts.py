"""Parts of a decoded picture, so that large ones are gone through piece by piece and never stand in memory several times."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

__all__ = ["bands", "part", "part_rows"]

_BAND = 1 << 18
"""Pixels that are worked on at a time: 2 MB of float64."""


def bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The picture in bands of whole rows from top to bottom, each with the number of its first row."""
    for top, bottom in part_rows(*image.size):
        yield top, part(image, (0, top, image.width, bottom))


def part_rows(width: int, height: int) -> Iterator[tuple[int, int]]:
    """First row, and the one behind the last, of each of such bands."""
    rows = max(1, _BAND // width)
    return ((top, min(height, top + rows)) for top in range(0, height, rows))


def part(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """The pixels from left, top up to right, bottom, which lie in the picture: `Image.crop` without its look at Pillow's limit.

    That limit is the program's own affair (`PIL.Image.MAX_IMAGE_PIXELS`), and the picture has passed ours.
    """
    from PIL import Image

    left, top, right, bottom = box
    return image.resize((right - left, bottom - top), Image.Resampling.NEAREST, box=box)
