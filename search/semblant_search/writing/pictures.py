"""From the bytes of a picture to all that is made of it before the encoder: fitted pixels, facts, packed details.

source ─▶ decoded ─▶ fitted pixels        uint8 [H, W, C]
            │    └──▶ facts, EXIF
            └─▶ grey ─▶ ORB ─▶ features packed with a thumbnail
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from semblant_search.images import fit_image, open_image, open_picture, to_grey
from semblant_search.orb import extract, pack, thumbnail

from .exif import exif_facts

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from semblant_search.images import Fit, ImageSource
    from semblant_search.orb import OrbSettings

__all__ = ["PictureParts", "PictureRecipe"]


class PictureParts(NamedTuple):
    """What a picture is made into.

    Attributes:
        fitted: uint8 `[H, W, C]`, as the encoder takes it.
        width, height: pixels of the file as it is meant to be seen.
        format: Pillow's name (`PNG`, `JPEG`), or None for pixels.
        features: uint8 `[n, f]`, packed with the thumbnail (`orb.pack`); None where there are none.
        exif: `_taken_at`, `_camera` and `_place`, as far as they are there; None where they are not wanted.
    """

    fitted: np.ndarray
    width: int
    height: int
    format: str | None
    features: np.ndarray | None
    exif: dict[str, Any] | None


@dataclass(frozen=True)
class PictureRecipe:
    """How the pictures of one collection are read.

    Attributes:
        fit: of its encoder.
        max_pixels: larger pictures are refused before they are decoded.
        orb: its settings of details, or None without details.
        exif: whether it keeps what cameras say.
    """

    fit: Fit
    max_pixels: int
    orb: OrbSettings | None = None
    exif: bool = False

    def read(self, source: ImageSource, *, details: bool = True) -> PictureParts:
        """Decode a picture and make all of it; without `details` its features are left out.

        Raises:
            ImageError: it cannot be decoded.
            MissingExtra: OpenCV is needed and not installed.
        """
        fit, orb = self.fit, self.orb
        # As `Encoder.prepare` does it, so that a query with this very file finds it at a distance of nothing.
        picture = open_picture(source, max_pixels=self.max_pixels, at_least=(fit.height, fit.width))
        features = None
        if details and orb is not None and not orb.too_small(picture.width, picture.height):
            detailed = picture.image
            if detailed.width * detailed.height < picture.width * picture.height:
                # A JPEG that was decoded at a scale too small for its details.
                side = orb.longest_side
                detailed = open_image(source, max_pixels=self.max_pixels, at_least=(side, side), luma=True)
            features = _features(detailed, orb)
        exif = exif_facts(picture.image) if self.exif else None
        fitted = fit_image(picture.image, fit)
        return PictureParts(fitted, picture.width, picture.height, picture.format, features, exif)


def _features(picture: Image.Image, settings: OrbSettings) -> np.ndarray | None:
    """Packed features of a decoded picture, with its thumbnail; None where it has none."""
    grey = to_grey(picture, longest_side=settings.longest_side)
    found = extract(grey, settings)
    if not len(found):
        return None
    return pack(found, thumbnail(grey, settings.thumbnail) if settings.thumbnail else None)
