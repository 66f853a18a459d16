"""What lies in the overlap of two pictures that were laid over each other: details of either, and pixels of both.

Agreement that a transform was chosen for proves little: among a query's likeliest lookalikes some outline or texture always
agrees in a few places. What nobody chose is everything else that the transform brings together. In copies it agrees, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from semblant_search.images import scaled_size, size_within

from .features import load_cv2
from .geometry import apply
from .local_change import is_unchanged, local_change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .features import Features

__all__ = [
    "Besides",
    "PixelAgreement",
    "align_pixels",
    "change_between",
    "compare_pixels",
    "inside",
    "likeness",
    "same_pixels",
    "share_inside",
    "thumbnail",
]

_MEAN = (7, 7)
_PLACE = (9, 9)
_CONTRAST = 4.0
"""Variance, in grey levels, from which a place counts as marked."""
_ALIKE = 0.6
_LEAST = 24
"""Fewest pixels of a thumbnail that say anything."""
_LOUDEST = 0.995
"""Correlation beyond which quantization of the thumbnail decides."""
_RIM = 2
"""Pixels at the border of a thumbnail that say nothing: where a query shows more than the candidate, the other side of an edge
that the candidate does not have is blended into them."""
_LEAST_RIMMED = 16
_ROUNDS = 6
"""Steps of the alignment by pixels: each takes a tenth of a millisecond."""
_LEAST_SIDE = 8
"""Fewest pixels of a side that can be aligned."""
_AROUND = 96
_MARGIN = 0.03
"""Of the longest side: so far from its outline may a picture be off, and its own border is no part of what is around it."""
_RANGE = 16
"""Grey levels, among neighbouring pixels, from which a place is not plain."""
_LEAST_AROUND = 0.02
"""Share of a query's area: of less, a few places would be much."""


def thumbnail(grey: np.ndarray, longest_side: int) -> np.ndarray:
    """A grey picture, uint8 `[h, w]`, shrunk to `longest_side` pixels at most: uint8."""
    cv2 = load_cv2()
    height, width = grey.shape
    size = size_within((width, height), longest_side)
    pixels = np.ascontiguousarray(grey)
    if size[0] < width / 4 and height % 2 == width % 2 == 0:  # halves are fast, and what is left is a quarter of the work
        pixels = cv2.resize(pixels, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    out: np.ndarray = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return out


def inside(features: Features, transform: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Which features the transform `[3, 3]` brings into a picture of this `(width, height)`, bool `[n]`, and all their places
    there, float64 `[n, 2]`."""
    there = apply(transform, features.keypoints[:, :2].astype(np.float64))
    return np.logical_and((there >= 0).all(axis=1), (there <= np.array(size)).all(axis=1)), there


def share_inside(transform: np.ndarray, size: tuple[float, float], other: tuple[float, float]) -> float:
    """Share of a picture's area that the transform brings into the other picture, on a 16 × 16 grid of points."""
    steps = (np.arange(16) + 0.5) / 16
    grid = np.stack(np.meshgrid(steps * size[0], steps * size[1]), axis=-1).reshape(-1, 2)
    there = apply(transform, grid)
    inside = (there >= 0).all(axis=1) & (there <= np.array(other)).all(axis=1)
    return float(inside.mean())


class Besides:
    """What a query shows besides a picture in it.

    Args:
        pixels: uint8 `[h, w]`, the query in grey, in any size.
        size: `(width, height)` of the pixels that transforms are from.
    """

    def __init__(self, pixels: np.ndarray, size: tuple[int, int]) -> None:
        small = thumbnail(pixels, _AROUND)
        square = np.ones((3, 3), np.uint8)
        self._marked = (load_cv2().morphologyEx(small, load_cv2().MORPH_GRADIENT, square) > _RANGE).ravel()
        row, column = np.indices(small.shape).reshape(2, -1)
        self._places = (np.column_stack([column, row]) + 0.5) * (size[0] / small.shape[1], size[1] / small.shape[0]) - 0.5

    def __call__(self, transform: np.ndarray, size: tuple[int, int]) -> float:
        """Share of what lies around a picture of this `(width, height)`, brought there by the transform, that is not plain."""
        there, margin = apply(transform, self._places), _MARGIN * max(size)
        around = ~((there >= -margin).all(axis=1) & (there <= np.array(size) + margin).all(axis=1))
        return float(self._marked[around].sum() / max(around.sum(), _LEAST_AROUND * len(self._places)))


class PixelAgreement(NamedTuple):
    """How well the pixels of two pictures agree where they lie over each other, once each has lost what is smooth about it.

    Where a silhouette lies on a plain ground, any other one correlates; what is left without the local mean is the drawing.

    Attributes:
        correlation: over the whole overlap, −1 to 1; 0 where it is too small, or flat.
        everywhere: share of the places with contrast that correlate by themselves, 0–1.
    """

    correlation: float
    everywhere: float


def compare_pixels(
    query: np.ndarray, query_size: tuple[int, int], thumb: np.ndarray, size: tuple[int, int], transform: np.ndarray
) -> PixelAgreement:
    """Lay a query over the thumbnail of a candidate.

    Args:
        query: uint8 `[h, w]`, the query in grey, in any size.
        query_size: `(width, height)` of the pixels that the transform is from.
        thumb: uint8 `[h, w]`, the candidate in grey, in any size.
        size: `(width, height)` of the pixels that the transform leads to.
        transform: float64 `[3, 3]`.
    """
    cv2 = load_cv2()
    placed, inside = _placed(query, query_size, thumb.shape, size, transform)
    if min(thumb.shape) >= _LEAST_RIMMED:
        inside[:_RIM], inside[-_RIM:], inside[:, :_RIM], inside[:, -_RIM:] = False, False, False, False
    if inside.sum() < _LEAST:
        return PixelAgreement(0.0, 0.0)
    weight = inside.astype(np.float32)
    share = np.maximum(cv2.blur(weight, _MEAN), 1e-6)
    first, second = ((pixels - cv2.blur(pixels * weight, _MEAN) / share) * weight for pixels in (placed, thumb))
    products = [first * second, first * first, second * second]
    both, one, other = (float(product.sum()) for product in products)
    if one * other <= 1:
        return PixelAgreement(0.0, 0.0)
    near = np.maximum(cv2.blur(weight, _PLACE), 1e-6)
    together, here, there = (cv2.blur(product, _PLACE) / near for product in products)
    marked = inside & (near > 0.4) & (np.maximum(here, there) > _CONTRAST)
    agree = together > _ALIKE * np.sqrt(np.maximum(here * there, 0))
    everywhere = float(agree[marked].mean()) if marked.any() else 0.0
    return PixelAgreement(min(_LOUDEST, both / (one * other) ** 0.5), everywhere)


def change_between(
    query: np.ndarray, query_size: tuple[int, int], thumb: np.ndarray, size: tuple[int, int], transform: np.ndarray
) -> float:
    """By how much one place stands out where a query lies over a picture (`local_change`); arguments as of `compare_pixels`."""
    laid = _laid_over(query, query_size, thumb, size, transform)
    return min(local_change(placed, thumb, inside) for placed, inside in laid)


def likeness(
    query: np.ndarray, query_size: tuple[int, int], thumb: np.ndarray, size: tuple[int, int], transform: np.ndarray
) -> float:
    """Correlation of all pixels as they are, −1 to 1, however near to 1; arguments as of `compare_pixels`.

    By the transform, or with the corners of one exactly over those of the other, where that is better: details place a page
    to a pixel, and among pages of one form, which all have .99, that decides. No proof; but of 40 such pages a copy, half as
    large, came first each time.
    """
    best = 0.0
    for one in (transform, _between(query_size, size)):
        placed, inside = _placed(query, query_size, thumb.shape, size, one)
        here, there = (pixels[inside].astype(np.float64) for pixels in (placed, thumb))
        if len(here) >= _LEAST and here.std() > 0 and there.std() > 0:
            best = max(best, float(np.corrcoef(here, there)[0, 1]))
    return best


def same_pixels(
    query: np.ndarray, query_size: tuple[int, int], picture: np.ndarray, size: tuple[int, int], transform: np.ndarray
) -> bool:
    """Whether a query that lies over a picture shows nothing else in any place; arguments as of `compare_pixels`.

    The picture is to have more pixels than a thumbnail, or this says no more than one does.
    """
    laid = _laid_over(query, query_size, picture, size, transform)
    return any(is_unchanged(placed, picture, inside) for placed, inside in laid)


def _laid_over(
    query: np.ndarray, query_size: tuple[int, int], thumb: np.ndarray, size: tuple[int, int], transform: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """`_placed`, without the rim, by the transform, corner over corner, and by what pixels make of it."""
    for one in (transform, _between(query_size, size), align_pixels(query, query_size, thumb, size, transform)):
        if one is not None:
            placed, inside = _placed(query, query_size, thumb.shape, size, one)
            inside[:_RIM], inside[-_RIM:], inside[:, :_RIM], inside[:, -_RIM:] = False, False, False, False
            yield placed, inside


def align_pixels(
    query: np.ndarray, query_size: tuple[int, int], thumb: np.ndarray, size: tuple[int, int], transform: np.ndarray
) -> np.ndarray | None:
    """The transform that lays the pixels of both over each other more exactly, float64 `[3, 3]`; None where there is none.

    Details place a homography to a pixel or two where they are, and worse where there are none. That is little of a picture and
    much of a line in it, so what was tilted or pasted seems to have other pixels. The enhanced correlation coefficient
    (Evangelidis and Psarakis, "Parametric image alignment using enhanced correlation coefficient maximization", PAMI 2008)
    moves it by what the pixels say. Arguments as of `compare_pixels`.
    """
    cv2 = load_cv2()
    small, there = _shrunk(query, query_size, thumb.shape, size, transform)
    if min(small.shape) < _LEAST_SIDE or min(thumb.shape) < _LEAST_SIDE:
        return None
    rounds = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _ROUNDS, 1e-4)
    try:
        begin = (there / there[2, 2]).astype(np.float32)
        _, moved = cv2.findTransformECC(thumb, small, begin, cv2.MOTION_HOMOGRAPHY, rounds, None, 1)
        back = _between((small.shape[1], small.shape[0]), query_size) @ moved.astype(np.float64)
        found = np.linalg.inv(back @ np.linalg.inv(_between((thumb.shape[1], thumb.shape[0]), size)))
    except (cv2.error, np.linalg.LinAlgError):  # what is flat, or does not converge
        return None
    return found / found[2, 2] if np.isfinite(found).all() and found[2, 2] != 0 else None


def _placed(
    query: np.ndarray, query_size: tuple[int, int], shape: tuple[int, ...], size: tuple[int, int], transform: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The query as the candidate's thumbnail would show it, uint8 `[h, w]`, and where there is any of it, bool `[h, w]`."""
    cv2 = load_cv2()
    height, width = shape
    query, there = _shrunk(query, query_size, shape, size, transform)
    column, row = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    depth = there[2, 0] * column + there[2, 1] * row + there[2, 2]
    depth = np.where(depth > 1e-9, depth, np.nan)
    x, y = (((line[0] * column + line[1] * row + line[2]) / depth).astype(np.float32) for line in there[:2])
    inside = (x >= -0.5) & (y >= -0.5) & (x <= query.shape[1] - 0.5) & (y <= query.shape[0] - 0.5)
    x, y = np.nan_to_num(x, nan=-1.0), np.nan_to_num(y, nan=-1.0)
    return cv2.remap(query, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), inside


def _shrunk(
    query: np.ndarray, query_size: tuple[int, int], shape: tuple[int, ...], size: tuple[int, int], transform: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The query, shrunk to about the scale of the candidate's thumbnail, and from pixels of that to its own `[3, 3]`."""
    cv2 = load_cv2()
    height, width = shape
    back = np.linalg.inv(transform) @ _between((width, height), size)  # pixels of the thumbnail to the query's
    origin, right, down = apply(back, np.array([[0, 0], [1, 0], [0, 1]]) + np.array([width / 2, height / 2]))
    along, across = right - origin, down - origin
    step = float(abs(along[0] * across[1] - along[1] * across[0])) ** 0.5
    shrink = min(1.0, query_size[0] / query.shape[1] / step) if step > 0 else 1.0  # beyond the horizon it stays 1
    if shrink < 1:  # first, lest pixels be skipped
        smaller = scaled_size((query.shape[1], query.shape[0]), shrink)
        query = cv2.resize(query, smaller, interpolation=cv2.INTER_AREA)
    return query, np.linalg.inv(_between((query.shape[1], query.shape[0]), query_size)) @ back


def _between(pixels: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """From a picture scaled to so many pixels to one of another `(width, height)`; centres of pixels are whole numbers."""
    across, down = size[0] / pixels[0], size[1] / pixels[1]
    return np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5], [0, 0, 1]])
