"""What people do to pictures before they ask where they come from: one function for each line of the table in features.py."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

__all__ = ["TRANSFORMS", "Transform", "flat", "seed_of"]

Transform = Callable[[Image.Image, np.random.Generator, list[Image.Image]], Image.Image]
WHITE = (255, 255, 255)


def flat(image: Image.Image) -> Image.Image:
    """RGB over white."""
    rgba = image.convert("RGBA")
    below = Image.new("RGB", rgba.size, WHITE)
    below.paste(rgba, mask=rgba.getchannel("A"))
    return below


def _crop(share: float) -> Transform:
    def crop(image: Image.Image, rng: np.random.Generator, _: list[Image.Image]) -> Image.Image:
        """A window of this share of the area, drawn until it holds at least its share of the picture's edges."""
        width, height = (max(1, round(side * share**0.5)) for side in image.size)
        edges = np.abs(np.diff(np.asarray(image.convert("L"), np.int16), axis=1)) > 16
        best, best_edges = (0, 0), -1
        for _attempt in range(20):
            left, top = int(rng.integers(image.width - width + 1)), int(rng.integers(image.height - height + 1))
            inside = int(edges[top : top + height, left : left + width].sum())
            if inside > best_edges:
                best, best_edges = (left, top), inside
            if inside >= share * edges.sum():
                best = (left, top)
                break
        return image.crop((*best, best[0] + width, best[1] + height))

    return crop


def _rotate(image: Image.Image, rng: np.random.Generator, _: list[Image.Image]) -> Image.Image:
    sign = 1 if rng.random() < 0.5 else -1
    return image.rotate(30 * sign, Image.Resampling.BICUBIC, expand=True, fillcolor=WHITE)


def _half(image: Image.Image, _rng: np.random.Generator, _: list[Image.Image]) -> Image.Image:
    return image.resize((max(1, image.width // 2), max(1, image.height // 2)), Image.Resampling.LANCZOS)


def _jpeg(image: Image.Image, _rng: np.random.Generator, _: list[Image.Image]) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=15)
    return Image.open(buffer).convert("RGB")


def _paste(image: Image.Image, rng: np.random.Generator, others: list[Image.Image]) -> Image.Image:
    """The picture at 60 % of its size, somewhere in another picture of its size."""
    below = ImageOps.fit(others[int(rng.integers(len(others)))].convert("RGB"), image.size)
    small = image.resize((max(1, round(image.width * 0.6)), max(1, round(image.height * 0.6))), Image.Resampling.LANCZOS)
    below.paste(small, (int(rng.integers(below.width - small.width + 1)), int(rng.integers(below.height - small.height + 1))))
    return below


def _perspective(image: Image.Image, rng: np.random.Generator, _: list[Image.Image]) -> Image.Image:
    """A photographed page: each corner moved inwards by up to 15 % of the side, on a grey desk, light falling off sideways."""
    width, height = image.size
    inward = rng.uniform(0, 0.15, (4, 2)) * (width, height)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    signs = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    there = corners + signs * inward
    rows = []
    for (x, y), (u, v) in zip(there, corners, strict=True):  # Pillow wants the map from output to input
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    solved = np.linalg.solve(np.array(rows), corners.ravel())
    page = image.transform(
        image.size, Image.Transform.PERSPECTIVE, solved.tolist(), Image.Resampling.BICUBIC, fillcolor=(120, 120, 120)
    )
    light = np.linspace(1.0, rng.uniform(0.6, 0.9), width)[None, :, None]
    return Image.fromarray((np.asarray(page) * light).astype(np.uint8))


def _blur(image: Image.Image, _rng: np.random.Generator, _: list[Image.Image]) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(2))


def _light(image: Image.Image, rng: np.random.Generator, _: list[Image.Image]) -> Image.Image:
    """Brightness and contrast each 40 % up or down."""
    image = ImageEnhance.Brightness(image).enhance(1 + 0.4 * (1 if rng.random() < 0.5 else -1))
    return ImageEnhance.Contrast(image).enhance(1 + 0.4 * (1 if rng.random() < 0.5 else -1))


def _screenshot(image: Image.Image, rng: np.random.Generator, _: list[Image.Image]) -> Image.Image:
    """Scaled by 0.6 to 1.4, in a window with a title bar, a border and a caption."""
    scale = rng.uniform(0.6, 1.4)
    inner = image.resize((max(8, round(image.width * scale)), max(8, round(image.height * scale))), Image.Resampling.BILINEAR)
    shot = Image.new("RGB", (inner.width + 24, inner.height + 24 + 28 + 36), (236, 236, 240))
    draw = ImageDraw.Draw(shot)
    draw.rectangle((0, 0, shot.width, 28), fill=(52, 60, 80))
    draw.text((8, 8), "Viewer - holiday pictures", fill=WHITE)
    shot.paste(inner, (12, 40))
    draw.text((12, shot.height - 26), "Figure 3: found on the web, source unknown", fill=(20, 20, 20))
    return shot


def _flip(image: Image.Image, _rng: np.random.Generator, _: list[Image.Image]) -> Image.Image:
    return ImageOps.mirror(image)


TRANSFORMS: dict[str, Transform] = {
    "crop 50%": _crop(0.5),
    "crop 25%": _crop(0.25),
    "rotate 30°": _rotate,
    "half size": _half,
    "JPEG 15": _jpeg,
    "pasted at 60%": _paste,
    "perspective": _perspective,
    "blur 2 px": _blur,
    "brightness/contrast ±40%": _light,
    "screenshot": _screenshot,
    "flipped": _flip,
}


def seed_of(*parts: str) -> np.random.Generator:
    """A generator that depends on nothing but the names."""
    return np.random.default_rng(zlib.crc32("|".join(parts).encode()))
