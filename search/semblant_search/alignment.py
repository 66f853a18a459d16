"""Whether two pictures still agree pixel by pixel once one is laid over the other. Pillow and NumPy only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from .images import open_image

if TYPE_CHECKING:
    from .images import ImageSource

__all__ = ["pixel_difference"]

_SIDE = 128
_BLOCK = 12
_GAIN = (0.5, 2.0)


def pixel_difference(one: ImageSource, other: ImageSource, transform: np.ndarray) -> float:
    """How much two pictures differ where they differ most, in grey levels: 0 for copies, up to 255.

    The first is brought into the place of the second, both blurred a little against errors of half a pixel; brightness and
    contrast are evened out, one gain and offset for all colours, so that a darker copy is a copy and a grey one of a coloured
    picture is not. The result is the mean difference within the worst but 2 % of the blocks that both cover.

    Args:
        one, other: pictures as `open_image` takes them.
        transform: float64 `[3, 3]`, pixels of `one` to pixels of `other`.

    Raises:
        ImageError: one of them cannot be decoded.
    """
    first, scale = _reduced(one)
    second, ratio = _reduced(other)
    back = np.linalg.inv(np.diag([ratio, ratio, 1]) @ transform @ np.diag([1 / scale, 1 / scale, 1]))  # second to first
    coefficients = (back / back[2, 2]).ravel()[:8].tolist()
    warp = {"method": Image.Transform.PERSPECTIVE, "data": coefficients, "resample": Image.Resampling.BILINEAR}
    laid = first.transform(second.size, **warp)
    covered = Image.new("L", first.size, 255).transform(second.size, **warp)
    blur = ImageFilter.GaussianBlur(2)
    a = np.asarray(laid.filter(blur), np.float64)
    b = np.asarray(second.filter(blur), np.float64)
    inside = np.asarray(covered.filter(ImageFilter.MinFilter(9))) > 250
    if inside.sum() < 0.05 * inside.size:
        return 255.0
    gain, offset = _gain(a[inside].ravel(), b[inside].ravel())
    difference = np.abs(a * gain + offset - b).max(axis=2) * inside
    return float(np.quantile(_block_means(difference, inside), 0.98))


def _reduced(source: ImageSource) -> tuple[Image.Image, float]:
    """RGB over white, `_SIDE` pixels at most, and by how much it shrank."""
    rgba = open_image(source).convert("RGBA")
    rgb = Image.new("RGB", rgba.size, "white")
    rgb.paste(rgba, mask=rgba.getchannel("A"))
    scale = min(1.0, _SIDE / max(rgb.size))
    size = max(1, round(rgb.width * scale)), max(1, round(rgb.height * scale))
    return rgb.resize(size, Image.Resampling.BOX), scale


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
