"""Pixel modes: the dozens that files come in, brought to the four that the rest of Semblant knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from .parts import bands

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["simple_mode"]


def simple_mode(image: Image.Image) -> Image.Image:
    """L, RGB, LA or RGBA. 16-bit and float grey are scaled to 8 bits, where Pillow's own conversion would clip them."""
    if image.mode in ("L", "RGB", "RGBA", "LA"):
        if "transparency" in image.info and image.mode in ("L", "RGB"):
            return image.convert("LA" if image.mode == "L" else "RGBA")
        return image
    if image.mode.startswith("I;16") or image.mode == "I":
        return _whole_numbers_scaled(image)
    if image.mode == "F":
        return _floats_scaled(image)
    if image.mode == "La":
        return image.convert("LA")
    if image.mode in ("PA", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode == "LAB":
        from PIL import ImageCms

        to_rgb = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
        return cast("Image.Image", ImageCms.applyTransform(image, to_rgb))
    return image.convert("L" if image.mode == "1" else "RGB")


def _whole_numbers_scaled(image: Image.Image) -> Image.Image:
    """Of 16 or 32 bits. Those beyond 8 bits are 16-bit pictures."""
    from PIL import Image

    full = 65535
    if image.mode == "I" and max(int(np.asarray(band).max()) for _, band in bands(image)) <= 255:
        full = 255
    grey = np.rint(np.arange(full + 1, dtype=np.float64) * (255.0 / full)).astype(np.uint8)  # of each number
    scaled = np.empty((image.height, image.width), np.uint8)
    for top, band in bands(image):
        scaled[top : top + band.height] = grey[np.clip(np.asarray(band), 0, full)]
    return Image.fromarray(scaled)


def _floats_scaled(image: Image.Image) -> Image.Image:
    """They are taken as 0–1 unless they go beyond it, then as 0–255; what is no number is black."""
    from PIL import Image

    top = 0.0
    for _, band in bands(image):
        values = np.asarray(band)
        top = max(top, float(values.max(where=np.isfinite(values), initial=0.0)))
    full = 1.0 if top <= 1.0 else 255.0
    scaled = np.empty((image.height, image.width), np.uint8)
    for row, band in bands(image):
        values = np.nan_to_num(np.asarray(band, dtype=np.float64), posinf=full, neginf=0.0) * (255.0 / full)
        scaled[row : row + band.height] = np.clip(np.rint(values), 0, 255)
    return Image.fromarray(scaled)
