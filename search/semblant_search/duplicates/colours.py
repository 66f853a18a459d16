"""Colour profiles: two files are the same picture where a colour-managed viewer shows the same, whatever their numbers say."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

__all__ = ["in_srgb", "profile_of"]

_LEVELS = 2
"""A profile whose colours are nowhere farther from sRGB is sRGB, of which there are dozens of spellings."""


def profile_of(picture: Image.Image) -> bytes | None:
    """The ICC profile of a picture from `open_image`; None for sRGB, for none, and for one that cannot be read."""
    profile = picture.info.get("icc_profile")
    return profile if isinstance(profile, bytes) and not _is_srgb(profile) else None


def in_srgb(pixels: np.ndarray, profile: bytes | None) -> np.ndarray | None:
    """uint8 `[h, w, 3]` as sRGB shows it; None where the profile is not one of RGB or grey (CMYK)."""
    if profile is None:
        return pixels
    space = _space(profile)
    if space not in ("RGB", "GRAY"):
        return None
    try:
        picture = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB" if space == "RGB" else "L")
        shown = ImageCms.applyTransform(picture, _transform(profile, picture.mode))
    except ImageCms.PyCMSError:
        return None
    return None if shown is None else np.asarray(shown)


@lru_cache(maxsize=64)
def _space(profile: bytes) -> str | None:
    """`RGB`, `GRAY`, `CMYK` and the like; None for what is no profile."""
    try:
        return str(ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space).strip()
    except (ImageCms.PyCMSError, OSError):
        return None


@lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")), mode, "RGB"
    )


@lru_cache(maxsize=64)
def _is_srgb(profile: bytes) -> bool:
    """Whether a grid of colours comes out as it went in; also of what cannot be read, which viewers take for sRGB."""
    space = _space(profile)
    if space not in ("RGB", "GRAY"):
        return space is None
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
    if space == "GRAY":
        grid = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    shown = in_srgb(grid, profile)
    return shown is None or int(np.abs(shown.astype(np.int16) - grid).max()) <= _LEVELS
