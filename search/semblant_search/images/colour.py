"""Colour: whatever space a file's numbers are in, the picture in sRGB, as a viewer that knows profiles shows it.

Where a file says more than one thing, the first of these counts: PNG's cICP, an embedded ICC profile, PNG's sRGB, PNG's gAMA
and cHRM, what BMP, JP2, AVIF and HEIC say in ways of their own, EXIF's mark of Adobe RGB; else it is sRGB. A profile that is
broken, or not one of these pixels, counts for nothing.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    from PIL import Image, ImageCms

__all__ = ["between", "cmyk_to_rgb", "colours_in_srgb", "grey_curve", "is_srgb", "lab_to_rgb", "profile_for", "space_of"]

GREY_STEPS = 65536
_LEVELS = 2
"""A profile whose colours are nowhere farther from sRGB is sRGB, of which there are dozens of spellings."""


def profile_for(profile: bytes | None, mode: str) -> bytes | None:
    """The profile, where it is one of the colours of a picture of this mode and they are not sRGB; else None."""
    if profile is None:
        return None
    if mode in ("CMYK", "LAB"):
        return profile if space_of(profile) == mode else None
    spaces = ("GRAY", "RGB") if mode[:1] in "1LIF" else ("RGB",)
    return None if space_of(profile) not in spaces or is_srgb(profile) else profile


def colours_in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A picture of mode L, LA, RGB or RGBA in sRGB, in the same mode, by a profile that is one `profile_for` it."""
    if profile is None:
        return image
    if image.mode in ("L", "LA"):
        curve = grey_curve(profile)
        if curve is None:
            return image
        levels = curve[:: (GREY_STEPS - 1) // 255].tolist()
        return image.point(levels if image.mode == "L" else levels + list(range(256)))
    return _applied(image, _transform(profile, image.mode, image.mode)) or image


def between(image: Image.Image, profile: bytes | None, wanted: bytes | None) -> Image.Image | None:
    """An RGB picture's numbers in another profile of RGB, None of which is sRGB; None where there is no way."""
    from PIL import ImageCms

    try:
        given, made = (
            ImageCms.createProfile("sRGB") if each is None else ImageCms.ImageCmsProfile(io.BytesIO(each))
            for each in (profile, wanted)
        )
        return _applied(image, ImageCms.buildTransform(given, made, "RGB", "RGB"))
    except (ImageCms.PyCMSError, OSError):
        return None


def cmyk_to_rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A CMYK picture in sRGB; without a profile of CMYK by the plain rule that browsers have."""
    if profile is not None:
        shown = _applied(image, _transform(profile, "CMYK", "RGB"))
        if shown is not None:
            return shown
    return image.convert("RGB")


def lab_to_rgb(image: Image.Image) -> Image.Image:
    """A CIELAB picture in sRGB."""
    from PIL import ImageCms

    to_rgb = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
    return cast("Image.Image", ImageCms.applyTransform(image, to_rgb))


@lru_cache(maxsize=32)
def space_of(profile: bytes) -> str | None:
    """`RGB`, `GRAY`, `CMYK` and the like; None for what is no profile."""
    from PIL import ImageCms

    try:
        return str(ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space).strip()
    except (ImageCms.PyCMSError, OSError):
        return None


@lru_cache(maxsize=32)
def is_srgb(profile: bytes) -> bool:
    """Whether a grid of colours comes out as it went in; also of what cannot be read, which viewers take for sRGB."""
    from PIL import Image

    space = space_of(profile)
    if space == "GRAY":
        curve = grey_curve(profile)
        return curve is None or int(np.abs(curve[::257].astype(int) - np.arange(256)).max()) <= _LEVELS
    if space != "RGB":
        return space is None
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
    shown = _applied(Image.fromarray(grid), _transform(profile, "RGB", "RGB"))
    return shown is None or int(np.abs(np.asarray(shown).astype(np.int16) - grid).max()) <= _LEVELS


@lru_cache(maxsize=8)
def grey_curve(profile: bytes) -> np.ndarray | None:
    """uint8 `[65536]`: what each grey of 16 bits is in sRGB; None where the profile is of neither greys nor RGB."""
    from PIL import Image

    space = space_of(profile)
    if space == "GRAY":
        ramp = Image.fromarray(np.arange(GREY_STEPS, dtype=np.uint16).reshape(256, 256))
        shown = _applied(ramp, _transform(profile, "I;16", "RGB"))
        return None if shown is None else np.asarray(shown)[..., 1].ravel()
    if space != "RGB":
        return None
    # Of RGB, 8 bits at a time, which is all that Pillow hands to littleCMS; what lies between is drawn straight.
    levels = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    shown = _applied(Image.fromarray(levels), _transform(profile, "RGB", "RGB"))
    if shown is None:
        return None
    grey = np.asarray(shown.convert("L"), np.float64).ravel()
    between: np.ndarray = np.rint(np.interp(np.arange(GREY_STEPS), np.arange(256) * 257, grey)).astype(np.uint8)
    return between


@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str, wanted: str) -> ImageCms.ImageCmsTransform | None:
    """Perceptual, as browsers ask for; a transform that is made may be applied by several threads at once."""
    from PIL import ImageCms

    # littleCMS shortens a curve of 16 bits to one of 8, too coarse in the dark.
    flags = ImageCms.Flags.NOOPTIMIZE if mode == "I;16" else ImageCms.Flags(0)
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.buildTransform(given, ImageCms.createProfile("sRGB"), mode, wanted, flags=flags)
    except (ImageCms.PyCMSError, OSError):
        return None


def _applied(image: Image.Image, transform: ImageCms.ImageCmsTransform | None) -> Image.Image | None:
    from PIL import ImageCms

    if transform is None:
        return None
    try:
        return cast("Image.Image", ImageCms.applyTransform(image, transform))
    except (ImageCms.PyCMSError, ValueError):
        return None
