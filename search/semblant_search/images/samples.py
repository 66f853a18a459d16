"""What a sample's number means: the one rule by which samples of more than 8 bits become levels of 0–255.

A sample's range comes from the file, never from the picture's own brightest place. Its lowest number is black and its highest
white, in a straight line; numbers beyond it are cut off, and what is no number is black.

1. `SMinSampleValue` and `SMaxSampleValue` of a TIFF, or the display range that ImageJ writes, where there is one.
2. Else the full range of the type, as the TIFF specification has it: 0 to 2ⁿ−1 for unsigned numbers of n bits (also of 12 in
   16), −2ⁿ⁻¹ to 2ⁿ⁻¹−1 for signed ones.
3. 0 to 1 for half, float and double.
4. `MinIsWhite` turns the range round. A PGM's maxval and a JPEG 2000's precision are its range; Pillow applies them.

A Pillow image without a file is as Pillow writes it: mode `I` holds 16 bits, mode `F` 0 to 1.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import Image

__all__ = ["SampleRange", "has_own_range", "range_by_tags", "range_of"]

_BITS, _PHOTOMETRIC, _DESCRIPTION, _FORMAT, _SMIN, _SMAX = 258, 262, 270, 339, 340, 341
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_IMAGEJ = re.compile(r"^(min|max)=(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class SampleRange:
    """The numbers of black and white; `black` is the higher one of a negative.

    Attributes:
        black, white: numbers of the file.
        kind: NumPy's name of what the numbers are in the file, where Pillow's modes have no word for it: `uint32`, `int8`.
    """

    black: float
    white: float
    kind: str | None = None

    def shares(self, values: np.ndarray) -> np.ndarray:
        """float64 0–1 of numbers of any type, 0 for black."""
        numbers = values if self.kind is None else values.view(self.kind)
        shares = (numbers.astype(np.float64) - self.black) / (self.white - self.black)
        return np.nan_to_num(shares, copy=False, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1, out=shares)

    def levels(self, values: np.ndarray) -> np.ndarray:
        """uint8 0–255 of the same shape."""
        if values.dtype == np.uint16:
            levels: np.ndarray = _levels_of_16_bits(self)[values]
        else:
            levels = np.rint(self.shares(values) * 255).astype(np.uint8)
        return levels


@lru_cache(maxsize=8)
def _levels_of_16_bits(samples: SampleRange) -> np.ndarray:
    """uint8 `[65536]`: of each number."""
    levels: np.ndarray = np.rint(samples.shares(np.arange(65536, dtype=np.uint16)) * 255).astype(np.uint8)
    return levels


def range_of(image: Image.Image) -> SampleRange | None:
    """Of a Pillow image of one channel, by its file where it has one; None where its numbers are levels already."""
    wide = image.mode == "F" or image.mode.startswith("I")
    tags = getattr(image, "tag_v2", None)
    if tags is not None and (wide or (image.mode == "L" and _first(tags.get(_FORMAT), _UNSIGNED) == _SIGNED)):
        found = range_by_tags(tags)
        unsigned = image.mode == "I" and _first(tags.get(_FORMAT), _UNSIGNED) == _UNSIGNED
        return replace(found, kind="int8" if not wide else "uint32" if unsigned else None)
    if not wide:
        return None
    return SampleRange(0, 1) if image.mode == "F" else SampleRange(0, 65535)


def range_by_tags(tags: Mapping[int, Any]) -> SampleRange:
    """Of a TIFF's samples, by its tags as Pillow reads them."""
    bits, kind = int(_first(tags.get(_BITS), 1)), _first(tags.get(_FORMAT), _UNSIGNED)
    low, high = 0.0, 1.0
    if kind == _SIGNED:
        low, high = -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
    elif kind != _FLOAT:
        high = 2.0**bits - 1
    low, high = _said(tags) or (low, high)
    return SampleRange(high, low) if tags.get(_PHOTOMETRIC) == 0 else SampleRange(low, high)


def has_own_range(tags: Mapping[int, Any]) -> bool:
    """Whether a TIFF says of its samples what is black and white, and says other numbers than all of their type."""
    plain = {tag: value for tag, value in tags.items() if tag not in (_SMIN, _SMAX, _DESCRIPTION)}
    return range_by_tags(tags) != range_by_tags(plain)


def _said(tags: Mapping[int, Any]) -> tuple[float, float] | None:
    """The range that the file itself gives its samples."""
    description = tags.get(_DESCRIPTION)
    found = dict(_IMAGEJ.findall(description)) if isinstance(description, str) and description.startswith("ImageJ=") else {}
    pairs = [(_one_of(tags.get(_SMIN), min), _one_of(tags.get(_SMAX), max)), (found.get("min"), found.get("max"))]
    for pair in pairs:
        try:
            low, high = (float(value) for value in pair)
        except (TypeError, ValueError):
            continue
        if math.isfinite(low) and math.isfinite(high) and low < high:
            return low, high
    return None


def _one_of(value: Any, choose: Any) -> Any:
    return choose(value) if isinstance(value, tuple) and value else value


def _first(value: Any, default: int) -> Any:
    if isinstance(value, tuple):
        return value[0] if value else default
    return default if value is None else value
