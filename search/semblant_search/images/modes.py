"""Pixel modes: the dozens that files come in, brought to the four that the rest of Semblant knows, in sRGB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .colour import cmyk_to_rgb, colours_in_srgb, grey_curve, lab_to_rgb
from .parts import bands

if TYPE_CHECKING:
    from PIL import Image

    from .samples import SampleRange

__all__ = ["simple_mode"]


def simple_mode(image: Image.Image, profile: bytes | None = None, *, samples: SampleRange | None = None) -> Image.Image:
    """L, RGB, LA or RGBA in sRGB.

    Args:
        image: of any mode.
        profile: ICC profile of its numbers (`colour.profile_for`), or None for sRGB.
        samples: what its numbers mean, where they are no levels of 0–255 (`samples.range_of`).
    """
    found = _simple(image, profile, samples)
    if found is not image:
        found.info = {**image.info, **found.info}  # what was made from an array or by littleCMS has none of its own
        found.info.pop("transparency", None)
    return found


def _simple(image: Image.Image, profile: bytes | None, samples: SampleRange | None) -> Image.Image:
    if samples is not None:
        return _scaled(image, samples, profile)
    if image.mode == "CMYK":
        return cmyk_to_rgb(image, profile)
    if image.mode == "LAB":
        return lab_to_rgb(image)
    return colours_in_srgb(_of_four(image), profile)


def _of_four(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "RGB", "RGBA", "LA"):
        if "transparency" in image.info and image.mode in ("L", "RGB"):
            return image.convert("LA" if image.mode == "L" else "RGBA")
        return image
    if image.mode == "La":
        return image.convert("LA")
    if image.mode in ("PA", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")


def _scaled(image: Image.Image, samples: SampleRange, profile: bytes | None) -> Image.Image:
    """Grey of 16 or 32 bits, whole or float, as mode L; as LA where one of its numbers is transparent."""
    from PIL import Image

    curve = None if profile is None else grey_curve(profile)
    key = image.info.get("transparency")
    scaled = np.full((image.height, image.width, 2 if isinstance(key, int) else 1), 255, np.uint8)
    for top, band in bands(image):
        values = np.asarray(band)
        if curve is None:
            scaled[top : top + band.height, :, 0] = samples.levels(values)
        else:
            scaled[top : top + band.height, :, 0] = curve[np.rint(samples.shares(values) * 65535).astype(np.uint16)]
        if isinstance(key, int):
            scaled[top : top + band.height, :, 1] = np.where(values == key, 0, 255)
    return Image.fromarray(scaled if isinstance(key, int) else scaled[..., 0])
