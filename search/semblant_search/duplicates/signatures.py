"""Small rasters of pictures, by which copies in any of the eight orientations are found among all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from semblant_search.images import DEFAULT_MAX_PIXELS, open_picture
from semblant_search.images.headers import open_header
from semblant_search.images.jpeg import FirstJpeg, has_second_view
from semblant_search.images.tiff import WideTiff

from .codecs import codec_of
from .colours import in_srgb, profile_of
from .pixels import LUMA, area_mean, flat_pixels, oriented

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["GRID", "WHOLE", "Box", "Signature", "content_box", "invariants", "nearest", "normalized", "signature_of"]

GRID = 16
"""Cells of a raster's side."""
Box = tuple[float, float, float, float]
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
"""All of a picture."""
_SIDE = 160
_FAINT = 20
"""Levels within which a border is of one colour; JPEG files blur it a little."""
_FLAT = 3.0
"""Levels of contrast below which a raster shows nothing but noise."""
_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Signature:
    """A picture in a kilobyte.

    Attributes:
        size: `(width, height)` in pixels, as seen.
        raster: uint8 `[16, 16, 3]`, all of it, squeezed into a square.
        content: uint8 `[16, 16]`, luma of the part within a plain border; None where there is no such border.
        box: that part: left, top, right, bottom, each 0–1.
        format: Pillow's name of the file's (`PNG`).
        profile: ICC profile of its colours; None for sRGB. The rasters are in sRGB.
        lossless: the file keeps every pixel that it is given.
        alpha, deep, animated: the file has transparent pixels, more than 8 bits a channel, more frames or pages than one.
    """

    size: tuple[int, int]
    raster: np.ndarray
    content: np.ndarray | None
    box: Box
    format: str | None
    profile: bytes | None
    lossless: bool
    alpha: bool
    deep: bool
    animated: bool


def signature_of(data: bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> Signature:
    """Of the bytes of a picture file; a JPEG is decoded at a reduced scale. Raises `ImageError`."""
    opened = open_picture(data, max_pixels=max_pixels, at_least=(_SIDE // 2, _SIDE // 2), srgb=False)
    deep, animated = _facts(data)
    alpha = opened.image.mode in ("LA", "RGBA") and opened.image.getchannel("A").getextrema()[0] < 255  # type: ignore[operator]
    profile = profile_of(opened.image.info)
    picture = Image.fromarray(in_srgb(flat_pixels(opened.image), profile))
    raster = _raster(picture)
    box = content_box(np.asarray(picture))
    content = None
    if box != WHOLE:
        inner = (box[0] * picture.width, box[1] * picture.height, box[2] * picture.width, box[3] * picture.height)
        content = np.asarray(picture.convert("L").resize((GRID, GRID), Image.Resampling.BOX, box=inner))
    size = (opened.width, opened.height)
    return Signature(
        size, raster, content, box, opened.format, profile, codec_of(data).kind == "EXACT", bool(alpha), deep, animated
    )


def _raster(picture: Image.Image) -> np.ndarray:
    if min(picture.size) >= 4 * GRID:
        return np.asarray(picture.resize((GRID, GRID), Image.Resampling.BOX))
    # Pillow's box takes whole pixels only: of a few, other ones than of the same picture in another size.
    cells = area_mean(area_mean(np.asarray(picture, np.float32), GRID, 0), GRID, 1)
    raster: np.ndarray = np.rint(cells).clip(0, 255).astype(np.uint8)
    return raster


def _facts(data: bytes) -> tuple[bool, bool]:
    with open_header(data) as picture:
        deep = picture.mode.startswith(("I", "F")) or isinstance(picture, WideTiff)
        try:
            if isinstance(picture, FirstJpeg):
                animated = has_second_view(picture, data)
            else:
                several = (
                    picture.format in ("GIF", "WEBP", "PNG", "TIFF", "AVIF", "HEIF") and getattr(picture, "n_frames", 1) > 1
                )
                animated = several or picture.format in ("PDF", "VIDEO")
        except Exception:  # frames behind the first are damaged: what Pillow raises has no common base
            animated = True
    return deep, animated


def content_box(pixels: np.ndarray) -> Box:
    """What lies within the border of one colour of uint8 `[h, w, 3]`: left, top, right, bottom as shares; all without one."""
    values = pixels.astype(np.int16)
    height, width = values.shape[:2]
    edge = np.concatenate(
        [values[0], values[-1]] if _plain(values[0]) and _plain(values[-1]) else [values[:, 0], values[:, -1]]
    )
    colour = np.median(edge, axis=0)
    marked = np.abs(values - colour).max(axis=2) > _FAINT
    rows = np.flatnonzero(marked.mean(axis=1) > 0.02)
    columns = np.flatnonzero(marked.mean(axis=0) > 0.02)
    if not len(rows) or not len(columns):
        return WHOLE
    left, top, right, bottom = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    if (right - left) * (bottom - top) < 0.05 * width * height:
        return WHOLE
    return (left / width, top / height, right / width, bottom / height)


def _plain(line: np.ndarray) -> bool:
    return bool((np.abs(line - np.median(line, axis=0)).max(axis=1) <= _FAINT).mean() > 0.98)


def normalized(raster: np.ndarray) -> np.ndarray | None:
    """float32 `[16, 16]` of mean 0 and length 1, from luma or colours; None where it is flat."""
    grey = raster.astype(np.float32)
    if grey.ndim == 3:
        grey = grey @ LUMA
    grey = grey - grey.mean()
    length = float(np.linalg.norm(grey))
    return None if length < _FLAT * GRID else (grey / length).astype(np.float32)


def invariants(rasters: np.ndarray) -> np.ndarray:
    """What the eight orientations leave as it is: float32 `[n, 36 · c]` of `[n, 16, 16, c]`.

    Cells that the orientations exchange form an orbit. Its mean, times the root of its size, is a projection, so that two
    pictures are never farther apart here than they are in the orientation in which they agree best.
    """
    cells = np.arange(GRID * GRID).reshape(GRID, GRID, 1)
    orbit = np.min([oriented(cells, orientation)[..., 0] for orientation in range(8)], axis=0).ravel()
    names = np.unique(orbit)
    member = (orbit[:, None] == names).astype(np.float32)
    member /= np.sqrt(member.sum(axis=0))
    flat = rasters.astype(np.float32).reshape(len(rasters), GRID * GRID, -1)
    return np.ascontiguousarray(np.einsum("ngc,go->noc", flat, member).reshape(len(rasters), -1))


def nearest(points: np.ndarray, distance: float) -> Iterator[np.ndarray]:
    """For each of `[n, d]` in turn, the earlier ones within a distance, nearest first.

    By products of blocks: memory for `_BLOCK` rows of n distances, 100 MB at n = 100,000; time grows with n².
    """
    squares = np.einsum("nd,nd->n", points, points)
    for start in range(0, len(points), _BLOCK):
        block = points[start : start + _BLOCK]
        end = start + len(block)
        away = squares[start:end, None] + squares[None, :end] - 2 * (block @ points[:end].T)
        for row in range(len(block)):
            found = np.flatnonzero(away[row, : start + row] <= distance * distance)
            order = np.argsort(away[row, found], kind="stable")
            yield found[order]
