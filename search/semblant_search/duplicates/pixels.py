"""The pixels of two pictures on one grid: what each of them says about every place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from semblant_search.images import flatten, scaled_size

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "LUMA",
    "MAX_PIXELS",
    "ORIENTATIONS",
    "area_mean",
    "box_mean",
    "explanations",
    "flat_pixels",
    "limited",
    "oriented",
    "resampled",
]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue (ITU-R BT.601), as `Image.convert("L")` has them."""

MAX_PIXELS = 2_000_000
"""Larger pictures are compared at this size: one and a half times the width of a screen."""

_NARROW = 5

ORIENTATIONS = (
    "upright",
    "turned 90°",
    "turned 180°",
    "turned 270°",
    "mirrored",
    "mirrored 90°",
    "mirrored 180°",
    "mirrored 270°",
)
"""The eight ways to lay a picture over another one; turns are counter-clockwise, after mirroring left and right."""


def flat_pixels(picture: Image.Image, background: tuple[int, int, int] = (255, 255, 255)) -> np.ndarray:
    """uint8 `[h, w, 3]` of a picture from `open_image`, over one colour, `MAX_PIXELS` at most."""
    return limited(np.asarray(flatten(picture, background).convert("RGB")))


def limited(pixels: np.ndarray) -> np.ndarray:
    """uint8 `[h, w, 3]` shrunk to `MAX_PIXELS` at most."""
    height, width = pixels.shape[:2]
    scale = (MAX_PIXELS / (width * height)) ** 0.5
    if scale >= 1:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(scaled_size((width, height), scale), Image.Resampling.BOX))


def oriented(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """`pixels[..., h, w, c]` in one of the `ORIENTATIONS`."""
    if orientation >= 4:
        pixels = pixels[:, ::-1]
    return np.rot90(pixels, orientation % 4)


def explanations(larger: np.ndarray, smaller: np.ndarray) -> list[np.ndarray]:
    """The larger picture as whatever made the smaller one would show it: float32 `[h, w, 3]` each, on the smaller one's grid.

    Programs differ in the filter that they shrink by, and by half a pixel in where they put the result. So there is one answer
    for each filter, that which fits best first, and one for a mix of them all and of the picture's slopes, whose few weights
    are found by least squares. Pictures of one size have one answer, the larger as it is.
    """
    height, width = smaller.shape[:2]
    basis = list(resampled(larger, (width, height)))
    if len(basis) == 1:
        return basis
    wanted = smaller.astype(np.float32)
    mean = basis[0]
    rest = [other - mean for other in basis[1:]]
    rest += [np.gradient(mean, axis=axis) for axis in (0, 1) if mean.shape[axis] > 1]
    step = max(1, wanted.size // 600_000)
    columns = np.stack([part.reshape(-1)[::step] for part in rest], axis=1)
    square = columns.T @ columns
    ridge = np.eye(len(square)) * (1e-3 * np.trace(square) / len(square) + 1e-3)
    weights = np.linalg.solve(square + ridge, columns.T @ (wanted - mean).reshape(-1)[::step])
    mixed = mean.copy()
    for weight, part in zip(weights.tolist(), rest, strict=True):
        mixed += np.float32(weight) * part
    return [*sorted(basis, key=lambda part: float(np.square(wanted - part).mean())), np.clip(mixed, 0, 255)]


def resampled(pixels: np.ndarray, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """float32 `[h, w, 3]` at `(width, height)` by each filter that programs shrink with; as it is where the size is right."""
    if pixels.shape[1::-1] == size:
        yield pixels.astype(np.float32)
        return
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    filters = Image.Resampling
    for kind in (filters.BOX, filters.BILINEAR, filters.BICUBIC, filters.LANCZOS, filters.NEAREST):
        yield np.asarray(picture.resize(size, kind), np.float32)
    point = (picture.width / size[0], 0, 0, 0, picture.height / size[1], 0)  # some look at a few pixels only, however far apart
    for kind in (filters.BILINEAR, filters.BICUBIC):
        yield np.asarray(picture.transform(size, Image.Transform.AFFINE, point, kind), np.float32)
    yield area_mean(area_mean(pixels.astype(np.float32), size[1], 0), size[0], 1)


def _narrow_mean(values: np.ndarray, half: int) -> np.ndarray:
    """Means along the first axis by adding neighbours, which for a few is faster than sums of all."""
    total, length = values.copy(), len(values)
    for away in range(1, min(half, length - 1) + 1):
        total[away:] += values[:-away]
        total[:-away] += values[away:]
    place = np.arange(length)
    count = np.minimum(place + half + 1, length) - np.maximum(place - half, 0)
    total /= count.reshape(-1, *[1] * (values.ndim - 1)).astype(np.float32)
    return total


def area_mean(values: np.ndarray, length: int, axis: int) -> np.ndarray:
    """Means over parts of pixels along an axis, as OpenCV's INTER_AREA takes them; Pillow's box counts whole pixels only."""
    there = values.shape[axis]
    sums = np.concatenate([np.zeros_like(values.take([0], axis), np.float64), values.cumsum(axis, dtype=np.float64)], axis)
    edges = np.linspace(0, there, length + 1)
    whole = np.minimum(edges.astype(np.int64), there - 1)
    shape = [1] * values.ndim
    shape[axis] = length + 1
    part = (edges - whole).reshape(shape)
    at = sums.take(whole, axis) * (1 - part) + sums.take(whole + 1, axis) * part
    out: np.ndarray = (np.diff(at, axis=axis) * (length / there)).astype(np.float32)
    return out


def box_mean(values: np.ndarray, side: int) -> np.ndarray:
    """The mean over a square of `side` pixels, odd, around each place of `[h, w, …]`; the square is cut at the edges."""
    half = side // 2
    if side <= _NARROW:
        values = values.astype(np.float32)
        return _narrow_mean(_narrow_mean(values, half).swapaxes(0, 1), half).swapaxes(0, 1)
    for axis in (0, 1):
        length = values.shape[axis]
        sums = np.concatenate([np.zeros_like(values.take([0], axis), np.float64), values.cumsum(axis, dtype=np.float64)], axis)
        last = np.minimum(np.arange(length) + half + 1, length)
        first = np.maximum(np.arange(length) - half, 0)
        shape = [1] * values.ndim
        shape[axis] = length
        values = (sums.take(last, axis) - sums.take(first, axis)) / (last - first).reshape(shape)
    return values.astype(np.float32)
