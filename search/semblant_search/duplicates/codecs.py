"""How a file loses pixels: a picture written as another file was, so that what is left to differ is no compression."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, JpegImagePlugin

from semblant_search.images.headers import open_header

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Codec", "codec_of"]

_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
"""EXIF orientations: the `Image.Transpose` that brings each upright."""
_BACK = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
_WEBP_QUALITIES = (80, 75, 90, 85, 95, 70, 60, 50, 40, 30)
"""A WebP file does not say at which quality it was written: the usual ones, the most usual first."""


@dataclass(frozen=True)
class Codec:
    """How a file was compressed.

    Attributes:
        kind: `JPEG`, `WEBP` or `PALETTE`; `EXACT` for a file that keeps each pixel that it is given.
        options: what Pillow needs to write alike.
        orientation: EXIF orientation, 1–8: blocks are those of the picture as it lies in the file.
        grey: the file has no colours.
        laid: how the upright picture is laid, a turn of `pixels.ORIENTATIONS` (0–3), when pixels come in and go out.
    """

    kind: str
    options: Mapping[str, Any]
    orientation: int = 1
    grey: bool = False
    laid: int = 0

    @property
    def step(self) -> float:
        """Levels that one quantization step is worth in a pixel, on the average of all frequencies of luma."""
        if self.kind == "JPEG":
            return float(np.mean(next(iter(self.options["qtables"].values())))) / 8
        return {"WEBP": 4.0, "PALETTE": 9.0}.get(self.kind, 0.0)

    @property
    def settings(self) -> tuple[int, ...]:
        """What `rewritten` may be asked for, the most likely first; nothing for `EXACT`."""
        return {"EXACT": (), "WEBP": _WEBP_QUALITIES}.get(self.kind, (0,))

    def rewritten(self, pixels: np.ndarray, setting: int) -> np.ndarray:
        """uint8 `[h, w, 3]` after it was compressed alike, by one of the settings that are possible."""
        if self.kind == "PALETTE":
            picture = Image.fromarray(pixels).quantize(palette=self.options["palette"], dither=Image.Dither.NONE)
            return np.asarray(picture.convert("RGB"))
        if self.kind == "WEBP":
            return self._through(pixels, "WEBP", quality=setting)
        return self._through(pixels, "JPEG", **self.options)

    def turned(self, orientation: int) -> Codec:
        """The codec of the picture in another one of the `pixels.ORIENTATIONS`: its blocks lie as they did in the file."""
        return self if orientation == 0 else replace(self, laid=orientation)

    def _through(self, pixels: np.ndarray, kind: str, **options: Any) -> np.ndarray:
        picture, buffer = Image.fromarray(np.ascontiguousarray(np.rot90(pixels, -self.laid))), io.BytesIO()
        if self.grey:
            picture = picture.convert("L")
        if self.orientation in _BACK:
            picture = picture.transpose(Image.Transpose(_BACK[self.orientation]))
        picture.save(buffer, kind, **options)
        with Image.open(buffer) as written:
            back = written.convert("RGB")
        if self.orientation in _TURNS:
            back = back.transpose(Image.Transpose(_TURNS[self.orientation]))
        return np.rot90(np.asarray(back), self.laid)


def codec_of(data: bytes) -> Codec:
    """How the file of these bytes was compressed; the file is one that Pillow can decode."""
    with open_header(data) as picture:
        try:
            orientation = int(picture.getexif().get(0x0112, 1))
        except Exception:  # a damaged EXIF block, as in `images.opening`: its errors have no common base
            orientation = 1
        if isinstance(picture, JpegImagePlugin.JpegImageFile) and picture.mode in ("L", "RGB"):
            sampling = JpegImagePlugin.get_sampling(picture)
            tables = {number: list(table) for number, table in picture.quantization.items()}
            options: dict[str, Any] = {"qtables": tables}
            if sampling >= 0:
                options["subsampling"] = sampling
            return Codec("JPEG", options, orientation, picture.mode == "L")
        if picture.format == "WEBP" and b"VP8L" not in data[:64]:
            return Codec("WEBP", {}, orientation)
        if picture.mode == "P" and "transparency" not in picture.info:
            return Codec("PALETTE", {"palette": picture.copy()}, orientation)
    return Codec("EXACT", {}, orientation)
