"""Pixel modes: the dozens that files come in, brought to the four that the rest of Semblant knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["simple_mode"]


def simple_mode(image: Image.Image) -> Image.Image:
    """L, RGB, LA or RGBA. 16-bit and float grey are scaled to 8 bits, where Pillow's own conversion would clip them."""
    from PIL import Image

    if image.mode in ("L", "RGB", "RGBA", "LA"):
        if "transparency" in image.info and image.mode in ("L", "RGB"):
            return image.convert("LA" if image.mode == "L" else "RGBA")
        return image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float64)
        finite = values[np.isfinite(values)]
        top = float(finite.max()) if finite.size else 0.0
        # Integers beyond 8 bits are 16-bit pictures; floats are taken as 0–1 unless they go beyond it.
        full = (1.0 if top <= 1.0 else 255.0) if image.mode == "F" else (255.0 if top <= 255 and image.mode == "I" else 65535.0)
        scaled = np.nan_to_num(values, posinf=full, neginf=0.0) * (255.0 / full)
        return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))
    if image.mode == "La":
        return image.convert("LA")
    if image.mode in ("PA", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode == "LAB":
        from PIL import ImageCms

        to_rgb = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
        return cast("Image.Image", ImageCms.applyTransform(image, to_rgb))
    return image.convert("L" if image.mode == "1" else "RGB")
