"""Altered copies of pictures as people meet them: cropped, turned, shrunk, compressed, blurred, recoloured, pasted."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from semblant_search.errors import ImageError
from semblant_search.images import fit_image, open_image

from semblant_exporter.decoding import processors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from PIL import Image
    from semblant_search.images import Fit

    Progress = Callable[[str, int, int | None], None]
    Alteration = Callable[[Image.Image, Image.Image, np.random.Generator], Image.Image]

__all__ = ["ALTERATIONS", "Copies", "make_copies"]

_WORKING_SIDE = 512
"""Pixels: larger pictures are shrunk first, as no encoder here looks closer."""


@dataclass(frozen=True, eq=False)
class Copies:
    """Altered copies, fitted: `pixels` uint8 `[q, a, h, w, c]` for `q` pictures and `a` alterations; `rows` int64 `[q]` their
    places in the list that they were made from.
    """

    pixels: np.ndarray
    rows: np.ndarray


def make_copies(
    paths: Sequence[Path], rows: np.ndarray, fits: Sequence[Fit], seed: int, on_progress: Progress | None = None
) -> list[Copies]:
    """Every alteration of the pictures in `rows`, once for each fit. What is random depends on `seed` and the file's content.

    Pictures that cannot be decoded are left out.
    """
    done = 0

    def one(row: int) -> list[np.ndarray] | None:
        nonlocal done
        try:
            content = hashlib.sha256(paths[row].read_bytes()).digest()
            random = np.random.default_rng([seed, int.from_bytes(content[:8], "big")])
            picture = _open(paths[row])
            other = _other(paths, row, random)
        except (ImageError, OSError):
            return None
        altered = [alter(picture, other, random) for alter in ALTERATIONS.values()]
        fitted = [np.stack([fit_image(copy, fit) for copy in altered]) for fit in fits]
        done += 1
        if on_progress is not None:
            on_progress("altering pictures", done, len(rows))
        return fitted

    with ThreadPoolExecutor(processors()) as pool:  # Pillow and its codecs work outside the interpreter's lock
        made = list(pool.map(one, rows.tolist()))
    kept = [(row, fitted) for row, fitted in zip(rows.tolist(), made, strict=True) if fitted is not None]
    if not kept:
        return [Copies(np.empty((0, len(ALTERATIONS), *fit.shape), np.uint8), np.empty(0, np.int64)) for fit in fits]
    places = np.array([row for row, _ in kept], dtype=np.int64)
    return [Copies(np.stack([fitted[number] for _, fitted in kept]), places) for number in range(len(fits))]


def _open(path: Path) -> Image.Image:
    """RGB over white, at most `_WORKING_SIDE` pixels a side."""
    from PIL import Image

    picture = open_image(path, at_least=(_WORKING_SIDE // 2, _WORKING_SIDE // 2))
    if picture.mode in ("RGBA", "LA"):
        below = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(below, picture.convert("RGBA"))
    picture = picture.convert("RGB")
    picture.thumbnail((_WORKING_SIDE, _WORKING_SIDE), Image.Resampling.LANCZOS)
    return picture


def _other(paths: Sequence[Path], row: int, random: np.random.Generator) -> Image.Image:
    """Another picture to paste into; a usable one is found within a few tries, or there is hardly any."""
    for _ in range(10):
        chosen = int(random.integers(len(paths)))
        if chosen != row:
            try:
                return _open(paths[chosen])
            except ImageError:
                continue
    raise ImageError("no other picture can be used", reason="not-an-image")


def _crop(share: float) -> Alteration:
    """Keep `share` of the area, somewhere."""

    def crop(picture: Image.Image, _: Image.Image, random: np.random.Generator) -> Image.Image:
        side = share**0.5
        width, height = max(1, round(picture.width * side)), max(1, round(picture.height * side))
        left = int(random.integers(picture.width - width + 1))
        top = int(random.integers(picture.height - height + 1))
        return picture.crop((left, top, left + width, top + height))

    return crop


def _rotate(picture: Image.Image, _: Image.Image, random: np.random.Generator) -> Image.Image:
    """By 10 to 25 degrees either way; corners take the colour of the border."""
    from PIL import Image

    angle = float(random.uniform(10, 25) * random.choice([-1, 1]))
    return picture.rotate(angle, Image.Resampling.BICUBIC, fillcolor=_border(picture))


def _shrink(picture: Image.Image, _: Image.Image, __: np.random.Generator) -> Image.Image:
    """To half of each side, as a thumbnail keeps it."""
    from PIL import Image

    return picture.resize((max(1, picture.width // 2), max(1, picture.height // 2)), Image.Resampling.BILINEAR)


def _compress(picture: Image.Image, _: Image.Image, __: np.random.Generator) -> Image.Image:
    """JPEG at quality 20."""
    from PIL import Image

    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=20)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def _blur(picture: Image.Image, _: Image.Image, __: np.random.Generator) -> Image.Image:
    """Gaussian, with a deviation of 2 % of the longer side."""
    from PIL import ImageFilter

    return picture.filter(ImageFilter.GaussianBlur(0.02 * max(picture.size)))


def _recolour(picture: Image.Image, _: Image.Image, random: np.random.Generator) -> Image.Image:
    """Hue turned by up to 30°, saturation and brightness changed by up to 30 %."""
    from PIL import Image, ImageEnhance

    hue, saturation, value = picture.convert("HSV").split()
    turn = int(random.integers(-21, 22))
    hue = hue.point([(level + turn) % 256 for level in range(256)])
    turned = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
    turned = ImageEnhance.Color(turned).enhance(float(random.uniform(0.7, 1.3)))
    return ImageEnhance.Brightness(turned).enhance(float(random.uniform(0.7, 1.3)))


def _paste(picture: Image.Image, other: Image.Image, random: np.random.Generator) -> Image.Image:
    """Into another picture, at 60 % of its sides, somewhere."""
    from PIL import Image

    canvas = other.resize(picture.size, Image.Resampling.BILINEAR)
    width, height = max(1, round(0.6 * picture.width)), max(1, round(0.6 * picture.height))
    small = picture.resize((width, height), Image.Resampling.BILINEAR)
    place = int(random.integers(canvas.width - width + 1)), int(random.integers(canvas.height - height + 1))
    canvas.paste(small, place)
    return canvas


def _border(picture: Image.Image) -> tuple[int, int, int]:
    pixels = np.asarray(picture)
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    red, green, blue = np.median(edge, axis=0).astype(int).tolist()
    return red, green, blue


ALTERATIONS: dict[str, Alteration] = {
    "crop 75 %": _crop(0.75),
    "crop 50 %": _crop(0.5),
    "crop 25 %": _crop(0.25),
    "rotated": _rotate,
    "scaled": _shrink,
    "JPEG": _compress,
    "blurred": _blur,
    "recoloured": _recolour,
    "pasted": _paste,
}
"""By the name that tables show: crops keep that share of the area."""
