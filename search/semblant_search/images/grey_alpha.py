"""PNG of 16-bit greys with transparency, of which Pillow hands out the upper bytes, as RGBA."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from .parts import bands
from .samples import SampleRange

__all__ = ["GreyAlphaPng"]

_DEPTH_AND_KIND = b"\x10\x04"
"""Of the header: 16 bits, grey with alpha."""
_HEAD = 24
_FULL = SampleRange(0, 65535)


class GreyAlphaPng(PngImageFile):
    """Of mode LA, its levels by all 16 bits as greys without transparency are; an animation is as Pillow reads it.

    Attributes:
        curve: set before it is decoded, uint8 `[65536]`: the level of each grey (`colour.grey_curve`); None
            for a straight line.
    """

    curve: np.ndarray | None = None

    @classmethod
    def reads(cls, data: bytes) -> bool:
        """Whether a PNG is of this kind."""
        return data.startswith(_DEPTH_AND_KIND, _HEAD)

    def _open(self) -> None:
        super()._open()
        self._is_whole = not self.is_animated
        if self._is_whole:
            self._mode = "LA"

    def load(self) -> Any:
        """Decode it, once."""
        if self.tile and self._is_whole:
            # Two numbers of 16 bits a pixel are four bytes a pixel, which Pillow hands out as they are.
            self._mode = "RGBA"
            self.tile = [tile._replace(args="RGBA") for tile in self.tile]
            super().load()
            made = self._by_all_bits()
            self.im, self._mode = made.im, "LA"
        return super().load()

    def _by_all_bits(self) -> Image.Image:
        made = Image.new("LA", self.size)
        for top, band in bands(self):
            numbers = np.ascontiguousarray(band).view(">u2").astype(np.uint16)  # [h, w, 2]
            levels = _FULL.levels(numbers)
            if self.curve is not None:
                levels[..., 0] = self.curve[numbers[..., 0]]
            made.paste(Image.fromarray(levels), (0, top))
        return made
