"""What pictures are these? How many, how large, grey or in colour, photographs or drawings, with labels or without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from semblant_search.errors import ImageError
from semblant_search.images import open_image

if TYPE_CHECKING:
    from pathlib import Path

    from semblant_exporter.listing import Listing

__all__ = ["DRAWN", "Look", "look_at"]

_PROBED = 60
_LOOKED_AT_SIDE = 128
SMALL_SIDE = 64
"""Pixels: pretrained networks have seen nothing so small, and a training of minutes sees all of it."""
PHOTOGRAPH_SIDE = 128
"""Pixels at least, of a sample that is decoded at a reduced scale."""
_FLAT = 0.35
"""Share of pixels that equal the one beside them, exactly: of drawings more, of photographs less."""
DRAWN = 0.5
"""Share of drawings from which on pictures count as such."""


@dataclass(frozen=True)
class Look:
    """What a sample of the pictures says of all.

    Attributes:
        pictures: how many files there are.
        side: the median of their longer sides in pixels, of large JPEGs at a reduced scale.
        grey: whether all of the sample are.
        drawn: share of the sample that looks drawn: large areas of exactly one colour.
        labels: how many different ones there are; 0 where fewer than two.
        sample: how many of them were looked at in full; 0: not known yet.
    """

    pictures: int
    side: int
    grey: bool
    drawn: float
    labels: int
    sample: int = 0

    @property
    def natural(self) -> bool:
        """Whether a network that has seen photographs has seen such pictures: neither small nor grey."""
        return self.side > SMALL_SIDE and not self.grey

    @property
    def photographs(self) -> bool:
        """Whether they look like photographs that are large enough to show more than a thumbnail does."""
        return self.natural and self.drawn <= DRAWN and self.side >= PHOTOGRAPH_SIDE

    def __str__(self) -> str:
        kind = "drawings" if self.drawn > DRAWN else "photographs"
        what = f"{'grey ' if self.grey else ''}{kind if self.side > SMALL_SIDE else 'small pictures'}"
        labels = f"{self.labels} labels" if self.labels else "no labels"
        part = f" (a sample of {self.sample:,} is looked at)" if 0 < self.sample < self.pictures else ""
        return f"{self.pictures:,} {what}{part}, {labels}"


def look_at(listing: Listing, label: str | None = None) -> Look:
    """Decode some of the pictures; those that cannot be do not count.

    Raises:
        MetadataError: there is no such column of labels.
    """
    sides, flat, grey = [], [], True
    for path in _spread(listing.paths):
        try:
            image = open_image(path, at_least=(_LOOKED_AT_SIDE, _LOOKED_AT_SIDE))
        except ImageError:
            continue
        sides.append(max(image.size))
        array = np.asarray(image.convert("RGB"))
        grey = grey and not (np.ptp(array.astype(np.int16), axis=2) > 0).any()
        flat.append(float((array[:, 1:] == array[:, :-1]).all(2).mean()) if array.shape[1] > 1 else 1.0)
    labels = len({label for label in listing.labels(label) if label is not None})
    return Look(
        pictures=len(listing.paths),
        side=int(np.median(sides)) if sides else 0,
        grey=grey and bool(sides),
        drawn=float(np.mean([share > _FLAT for share in flat])) if flat else 0.0,
        labels=labels if labels > 1 else 0,
    )


def _spread(paths: list[Path]) -> list[Path]:
    return [paths[row] for row in np.unique(np.linspace(0, len(paths) - 1, _PROBED).round().astype(int))]
