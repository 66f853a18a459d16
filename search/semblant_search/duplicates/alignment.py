"""Whether two pictures still agree pixel by pixel once one is laid over the other. Pillow and NumPy only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from semblant_search.images import open_image

if TYPE_CHECKING:
    from semblant_search.images import ImageSource

__all__ = ["pixel_difference"]

_SIDE = 128
_FINE = 512
_FAINT = 12
_BLOCK = 12
_GAIN = (0.5, 2.0)


def pixel_difference(one: ImageSource, other: ImageSource, transform: np.ndarray) -> float:
    """How much two pictures differ where they differ most, in grey levels: 0 for copies, up to 255.

    The first is brought into the place of the second, without plain borders, both blurred a little against errors of half a
    pixel; brightness and contrast are evened out, one gain and offset for all colours, so that a darker copy is a copy and a
    grey one of a coloured picture is not. The result is the mean difference within the worst but 2 % of the blocks that both
    cover.

    Args:
        one, other: pictures as `open_image` takes them.
        transform: float64 `[3, 3]`, pixels of `one` to pixels of `other`.

    Raises:
        ImageError: one of them cannot be decoded.
    """
    picture = _flat(other)
    placed, size = _content(picture)
    first, covered = _laid(_flat(one), placed @ transform, size)
    second, _ = _laid(picture, placed, size)
    blur = ImageFilter.GaussianBlur(2)
    a = np.asarray(first.filter(blur), np.float64)
    b = np.asarray(second.filter(blur), np.float64)
    inside = np.asarray(covered.filter(ImageFilter.MinFilter(9))) > 250
    if inside.sum() < 0.05 * inside.size:
        return 255.0
    gain, offset = _gain(a[inside].ravel(), b[inside].ravel())
    difference = np.abs(a * gain + offset - b).max(axis=2) * inside
    return float(np.quantile(_block_means(difference, inside), 0.98))


def _content(picture: Image.Image) -> tuple[np.ndarray, tuple[int, int]]:
    """The transform that brings the part of a picture that is no plain border to `_SIDE` pixels at most, and its size there.

    A small drawing on a large canvas differs from another one in a few pixels of the canvas, and in many of its own.
    """
    scale = min(1.0, _FINE / max(picture.size))
    coarse = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.BOX)
    pixels = np.asarray(coarse, np.int16)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    marked = np.abs(pixels - np.median(border, axis=0)).max(axis=2) > _FAINT
    first, last = np.zeros(2), np.array(coarse.size, np.float64)
    places = np.argwhere(marked)[:, ::-1]
    if len(places):
        low, high = places.min(axis=0), places.max(axis=0) + 1
        margin = max(2, int((high - low).max()) // 16)
        first, last = np.maximum(first, low - margin), np.minimum(last, high + margin)
    ratio = np.array(picture.size) / coarse.size
    left, top = (first * ratio).tolist()
    inner = (last - first) * ratio
    zoom = min(1.0, _SIDE / float(inner.max()))
    width, height = np.maximum(1, np.rint(inner * zoom)).astype(int).tolist()
    return np.array([[zoom, 0, -left * zoom], [0, zoom, -top * zoom], [0, 0, 1]]), (width, height)


def _laid(picture: Image.Image, matrix: np.ndarray, size: tuple[int, int]) -> tuple[Image.Image, Image.Image]:
    """A picture through a transform, and where it lies: both of this size."""
    growth = min(1.0, float(np.sqrt(abs(np.linalg.det(matrix[:2, :2])))))  # shrunk first, lest pixels be skipped
    small = picture.resize([max(1, round(side * growth)) for side in picture.size], Image.Resampling.BOX)
    wide, high = small.width / picture.width, small.height / picture.height
    back = np.linalg.inv(matrix @ np.diag([1 / wide, 1 / high, 1]))
    coefficients = (back / back[2, 2]).ravel()[:8].tolist()
    warp = {"method": Image.Transform.PERSPECTIVE, "data": coefficients, "resample": Image.Resampling.BILINEAR}
    return small.transform(size, **warp), Image.new("L", small.size, 255).transform(size, **warp)


def _flat(source: ImageSource) -> Image.Image:
    """RGB over white."""
    rgba = open_image(source).convert("RGBA")
    rgb = Image.new("RGB", rgba.size, "white")
    rgb.paste(rgba, mask=rgba.getchannel("A"))
    return rgb


def _gain(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Least squares, kept within what exposure does to a picture."""
    spread = float(a.var())
    gain = float(np.clip(((a - a.mean()) * (b - b.mean())).mean() / spread, *_GAIN)) if spread > 1 else 1.0
    return gain, float(b.mean() - gain * a.mean())


def _block_means(difference: np.ndarray, inside: np.ndarray) -> np.ndarray:
    rows, columns = -(-inside.shape[0] // _BLOCK), -(-inside.shape[1] // _BLOCK)
    pad = ((0, rows * _BLOCK - inside.shape[0]), (0, columns * _BLOCK - inside.shape[1]))
    sums = np.pad(difference, pad).reshape(rows, _BLOCK, columns, _BLOCK).sum(axis=(1, 3))
    counts = np.pad(inside, pad).reshape(rows, _BLOCK, columns, _BLOCK).sum(axis=(1, 3))
    enough = counts >= _BLOCK * _BLOCK // 4
    out: np.ndarray = sums[enough] / counts[enough] if enough.any() else np.array([255.0])
    return out
