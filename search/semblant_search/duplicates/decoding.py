"""A picture file as it is compared: its pixels, how they were compressed, and what a look at them over white does not show."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from PIL import ImageOps

from semblant_search.images import DEFAULT_MAX_PIXELS, open_image
from semblant_search.images.headers import open_header
from semblant_search.images.samples import range_of

from .codecs import Codec, codec_of
from .colours import in_srgb, profile_of, same_by_numbers
from .pixels import flat_pixels, limited, oriented

__all__ = ["DecodedPicture", "decode", "views"]

_EXACT = Codec("EXACT", {})


@dataclass(frozen=True, eq=False)
class DecodedPicture:
    """What is compared of a picture.

    Attributes:
        pixels: uint8 `[h, w, 3]`, over white, in the file's own colours.
        codec: how its file was compressed.
        profile: ICC profile of these colours; None for sRGB.
        over_black: uint8 `[h, w, 3]`, of a picture with transparent pixels.
        deep: `[h, w]`, of a grey picture with more than 8 bits: 0–1, from black to white.
        hidden: hash of the colours of fully transparent pixels, which nobody sees; None where they are all one.
    """

    pixels: np.ndarray
    codec: Codec
    profile: bytes | None = None
    over_black: np.ndarray | None = None
    deep: np.ndarray | None = None
    hidden: str | None = None

    @property
    def area(self) -> int:
        """Number of pixels that are compared."""
        return int(self.pixels.shape[0] * self.pixels.shape[1])

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return sum(part.nbytes for part in (self.pixels, self.over_black, self.deep) if part is not None)

    def turned(self, orientation: int) -> DecodedPicture:
        """The same in another one of the `pixels.ORIENTATIONS`."""
        if orientation == 0:
            return self
        pixels, over_black, deep = (
            None if part is None else np.ascontiguousarray(oriented(part, orientation))
            for part in (self.pixels, self.over_black, self.deep)
        )
        assert pixels is not None
        return DecodedPicture(pixels, self.codec.turned(orientation), self.profile, over_black, deep, self.hidden)


def decode(data: bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> DecodedPicture:
    """Of the bytes of a picture file. Raises `ImageError`."""
    picture = open_image(data, max_pixels=max_pixels, srgb=False)
    clear = picture.mode in ("LA", "RGBA") and picture.getchannel("A").getextrema()[0] < 255  # type: ignore[operator]
    return DecodedPicture(
        flat_pixels(picture),
        codec_of(data),
        profile_of(picture.info),
        flat_pixels(picture, (0, 0, 0)) if clear else None,
        _deep_pixels(data),
        _hidden(np.asarray(picture)) if clear else None,
    )


def views(one: DecodedPicture, other: DecodedPicture) -> list[tuple[DecodedPicture, DecodedPicture]] | None:
    """All that has to agree for two pictures to be the same, the look over white first; None where that cannot be told.

    Of different colour profiles, the colours as they are shown. Of two transparent pictures, also the look over black: white
    letters cannot be seen over white. Of two with more than 8 bits, also these, spread over all of the 8 that are compared.
    """
    shown = (one, other)
    if one.profile != other.profile:
        first, second = (replace(each, pixels=in_srgb(each.pixels, each.profile)) for each in shown)
        if one.pixels.shape == other.pixels.shape:
            same = same_by_numbers(one.pixels, one.profile, other.pixels, other.profile)[..., None]
            second = replace(second, pixels=np.where(same, first.pixels, second.pixels))
        shown = (first, second)
    found = [shown]
    if one.over_black is not None and other.over_black is not None:
        dark = (replace(shown[0], pixels=one.over_black), replace(shown[1], pixels=other.over_black))
        if not all(_is_flat(each.pixels) for each in dark):  # as black letters are over black
            found.append(dark)
    elif (one.over_black is not None or other.over_black is not None) and _is_flat(shown[1].pixels):
        return None
    if one.deep is not None and other.deep is not None:
        low = min(float(one.deep.min()), float(other.deep.min()))
        high = max(float(one.deep.max()), float(other.deep.max()))
        spread = [(each.astype(np.float64) - low) * (255 / max(high - low, 1e-9)) for each in (one.deep, other.deep)]
        grey = [np.repeat(np.rint(each).astype(np.uint8)[..., None], 3, axis=2) for each in spread]
        found.append((DecodedPicture(limited(grey[0]), _EXACT), DecodedPicture(limited(grey[1]), _EXACT)))
    return found


def _is_flat(pixels: np.ndarray) -> bool:
    """Whether nothing can be seen: `[h, w, c]` of one colour, or all but."""
    return float(pixels.std(axis=(0, 1)).max()) < 1


def _hidden(pixels: np.ndarray) -> str | None:
    colours = pixels[pixels[..., -1] == 0][:, :-1]
    if not len(colours) or (colours == colours[0]).all():
        return None
    return hashlib.sha256(colours.tobytes()).hexdigest()


def _deep_pixels(data: bytes) -> np.ndarray | None:
    with open_header(data) as picture:
        samples = range_of(picture)
        if samples is None or picture.mode == "L":
            return None
        return samples.shares(np.asarray(ImageOps.exif_transpose(picture)))
