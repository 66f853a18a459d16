"""Colour profiles: two files are the same picture where a colour-managed viewer shows the same, whatever their numbers say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from semblant_search.images.colour import between, colours_in_srgb

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["in_srgb", "profile_of", "same_by_numbers"]

_ROUNDED = 2
"""Levels by which the numbers of two files differ that were rounded in two colour spaces."""


def profile_of(info: Mapping[str | tuple[int, int], object]) -> bytes | None:
    """The ICC profile by the `info` of a picture from `open_image(srgb=False)`; None for sRGB."""
    profile = info.get("icc_profile")
    return profile if isinstance(profile, bytes) else None


def in_srgb(pixels: np.ndarray, profile: bytes | None) -> np.ndarray:
    """uint8 `[h, w, 3]` as sRGB shows it."""
    if profile is None:
        return pixels
    return np.asarray(colours_in_srgb(Image.fromarray(np.ascontiguousarray(pixels)), profile))


def same_by_numbers(one: np.ndarray, profile: bytes | None, other: np.ndarray, other_profile: bytes | None) -> np.ndarray:
    """bool `[h, w]`: where two pictures of one size, uint8 `[h, w, 3]`, differ by no more than rounding in either's numbers.

    A step of eight bits in a large space is several in sRGB where colours are strong.
    """
    same = np.zeros(one.shape[:2], bool)
    for pixels, given, wanted, numbers in ((one, profile, other_profile, other), (other, other_profile, profile, one)):
        converted = between(Image.fromarray(np.ascontiguousarray(pixels)), given, wanted)
        if converted is not None:
            same |= np.abs(np.asarray(converted, np.int16) - numbers).max(axis=2) <= _ROUNDED
    return same
