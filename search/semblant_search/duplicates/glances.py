"""A first glance at two pictures: pages of one template, of which one place says something else, are no copies.

Such pages agree in everything but a name or a number. So they are each other's likeliest candidates, each of them is the
candidate of all others, and proving at full size that two of them are no copies takes a second. Their greys, shrunk to 256
pixels once for each picture, show it in a few milliseconds: what agrees nearly everywhere lies rightly over the other and is in
its light, so that a place that differs by far more can be explained by neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .pixels import LUMA, box_mean, oriented

if TYPE_CHECKING:
    from .decoding import DecodedPicture
    from .signatures import Box

__all__ = ["Glance", "differ", "glance_at"]

_SIDE = 256
"""Pixels of the longer side."""
_SHRUNK = 2.0
"""Fewest pixels of the side of a picture for one of its glance: what compression does is averaged out only then."""
_EDGE = 6
"""Pixels at the edges, and at those of what is within a border, that are not looked at."""
_PLACE = 5
_ACTIVE = 8.0
"""Levels of contrast from which on a place shows whether one picture lies rightly over the other; in the plain all do."""
_LEAST_ACTIVE = 300
_SAME, _SAME_SHARE = 6.0, 0.7
"""Levels that may be left at this share of the active places for two pictures to be of one template."""
_OTHER, _OUTSTANDING = 24.0, 6.0
"""Levels by which a place of another content differs, nearly twice what a changed one may; how many times what most do."""
_MOVED = 12.0
"""Levels by which a pixel became brighter or darker for sure."""
_BOTH_WAYS = 0.15
"""Share of these that went the rarer way, from which on it is no watermark, which makes all brighter or all darker."""


@dataclass(frozen=True, eq=False)
class Glance:
    """What is kept of a decoded picture for a first look.

    Attributes:
        grey: uint8 `[h, w]`, luma, 256 pixels at most.
        contrast: uint8 `[h, w]`, standard deviation around each place, in levels.
        shape: height and width of the picture that is compared.
        profile: ICC profile of its colours.
        exact: its file keeps levels as they are on the average: not one of a few colours.
    """

    grey: np.ndarray
    contrast: np.ndarray
    shape: tuple[int, int]
    profile: bytes | None
    exact: bool

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self.grey.nbytes + self.contrast.nbytes


def glance_at(picture: DecodedPicture) -> Glance | None:
    """Of a decoded picture; None of one that is too small to need it."""
    height, width = picture.pixels.shape[:2]
    scale = _SIDE / max(height, width)
    size = (round(width * scale), round(height * scale))
    if scale * _SHRUNK > 1 or min(size) < 4 * _EDGE:
        return None
    # As sharp as the mean of whole pixels, and the same from either end: turned pages lie over each other.
    shrunk = np.asarray(Image.fromarray(picture.pixels).resize(size, Image.Resampling.HAMMING), np.float32)
    grey = np.rint(shrunk @ LUMA).astype(np.uint8)
    return Glance(grey, _contrast(grey), (height, width), picture.profile, picture.codec.kind != "PALETTE")


def differ(one: Glance, other: Glance, orientation: int, one_box: Box, other_box: Box) -> bool:
    """Whether two pictures of one size and template have another content in one place, within the boxes of both.

    Args:
        one, other: the glances.
        orientation: how the first is to be laid over the second, 0–7.
        one_box, other_box: the parts that are compared, as the files have them.

    Returns:
        True where neither compression, other colours, a border nor a watermark can be all that differs. False says nothing.
    """
    shape = one.shape if orientation % 2 == 0 else one.shape[::-1]
    if shape != other.shape or one.profile != other.profile or not (one.exact and other.exact):
        return False
    grey, contrast = (oriented(part[..., None], orientation)[..., 0] for part in (one.grey, one.contrast))
    if grey.shape != other.grey.shape:  # sides that were rounded the other way
        return False
    left = other.grey.astype(np.float32) - grey
    inside = np.zeros(left.shape, bool)
    inside[_EDGE:-_EDGE, _EDGE:-_EDGE] = True
    inside &= oriented(_within(one_box, one.grey.shape)[..., None], orientation)[..., 0] & _within(other_box, left.shape)
    energy = np.sqrt(box_mean(left * left, _PLACE))
    worst = float(energy.max(where=inside, initial=0))
    if worst < _OTHER:
        return False
    active = inside & (np.maximum(contrast, other.contrast) > _ACTIVE)
    if active.sum() < _LEAST_ACTIVE:
        return False
    most = float(np.quantile(energy[active], _SAME_SHARE))
    if most > _SAME or worst < _OUTSTANDING * most:
        return False
    brighter = int((left[inside] > _MOVED).sum())
    darker = int((left[inside] < -_MOVED).sum())
    return min(brighter, darker) >= _BOTH_WAYS * (brighter + darker)


def _within(box: Box, shape: tuple[int, ...]) -> np.ndarray:
    """bool `[h, w]`: the part within a box, and within a few pixels of its edges where these are not the picture's own."""
    height, width = shape[:2]
    left, top, right, bottom = box
    inside = np.zeros((height, width), bool)
    rows = slice(round(top * height) + _EDGE * (top > 0), round(bottom * height) - _EDGE * (bottom < 1))
    inside[rows, round(left * width) + _EDGE * (left > 0) : round(right * width) - _EDGE * (right < 1)] = True
    return inside


def _contrast(grey: np.ndarray) -> np.ndarray:
    levels = grey.astype(np.float32)
    mean = box_mean(levels, _PLACE)
    contrast: np.ndarray = np.sqrt(np.maximum(box_mean(levels * levels, _PLACE) - mean * mean, 0)).astype(np.uint8)
    return contrast
