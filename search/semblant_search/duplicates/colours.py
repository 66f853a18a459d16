"""Colour profiles: two files are the same picture where a colour-managed viewer shows the same, whatever their numbers say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from semblant_search.images.colour import colours_in_srgb

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["in_srgb", "profile_of"]


def profile_of(info: Mapping[str | tuple[int, int], object]) -> bytes | None:
    """The ICC profile by the `info` of a picture from `open_image(srgb=False)`; None for sRGB."""
    profile = info.get("icc_profile")
    return profile if isinstance(profile, bytes) else None


def in_srgb(pixels: np.ndarray, profile: bytes | None) -> np.ndarray:
    """uint8 `[h, w, 3]` as sRGB shows it."""
    if profile is None:
        return pixels
    return np.asarray(colours_in_srgb(Image.fromarray(np.ascontiguousarray(pixels)), profile))
