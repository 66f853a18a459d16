"""How good vectors are, told without labels: by neighbours that stay, and by neighbours that know each other.

How often an altered copy finds its picture is no guide: over EfficientNet-Lite0's features of photographs it ranks the
powers of whitening the wrong way round. Two measures that rank them, and other choices, as labels do:

- *shared*: of the ten neighbours of a picture (fewer of few pictures), how many are neighbours of a changed view of it, too;
- *transitive*: of the neighbours of a picture's neighbours, how many are its own neighbours.

Both rise, too, where vectors are smoothed over their neighbours. That can therefore not be chosen by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from semblant_exporter import metrics
from semblant_exporter.augment import Views, view
from semblant_exporter.objectives import to_images

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Guide", "judge", "neighbours_looked_at", "two_views"]

NEIGHBOURS = 10
_SMALLEST_CROP = 0.35
_LIGHT = Views(shift=0.0, zoom=0.0, stretch=0.0, rotate=0.0)
"""What changes beside the crop: mirrored or not, light, colour, and with it a grey picture now and then."""
_BATCH = 64


@dataclass(frozen=True)
class Guide:
    """What is measured of vectors, each from 0 to 1: `shared` and `transitive` as the module says, of `k` neighbours each."""

    shared: float
    transitive: float
    k: int = NEIGHBOURS

    @property
    def score(self) -> float:
        """What choices are made by: the mean of both."""
        return (self.shared + self.transitive) / 2

    def to_json(self) -> dict[str, float | int]:
        """The form that is kept in a card."""
        return {
            "shared": round(self.shared, 4),
            "transitive": round(self.transitive, 4),
            "guide": round(self.score, 4),
            "k": self.k,
        }


def neighbours_looked_at(pictures: int) -> int:
    """k: ten, and fewer of few pictures, of which ten would be a third and more."""
    return max(1, min(NEIGHBOURS, pictures // 4))


def judge(index: np.ndarray, asked: np.ndarray, changed: np.ndarray) -> Guide:
    """Measure vectors of pictures that were not learned from.

    Args:
        index: float32 `[n, D]`, unit length: what is found.
        asked: float32 `[q, D]`: other pictures.
        changed: float32 `[q, D]`: a changed view of each of them.
    """
    k = neighbours_looked_at(len(index))
    own, other = (metrics.nearest(index, queries, k).rows for queries in (asked, changed))  # [q, k]
    # The neighbours of those that are found, among the same pictures.
    around = metrics.nearest(index, index, min(k, len(index) - 1), exclude=np.arange(len(index))).rows[own]  # [q, k, k]
    transitive = np.mean([np.isin(around[row], own[row]).mean() for row in range(len(own))])
    shared = np.mean([len(np.intersect1d(own[row], other[row])) / k for row in range(len(own))])
    return Guide(float(shared), float(transitive), k)


def two_views(pixels: np.ndarray, seed: int = 0) -> np.ndarray:
    """A changed view of each of the pictures uint8 `[n, h, w, c]`: a part of it, mirrored or not, in another light."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        areas = _SMALLEST_CROP + (1 - _SMALLEST_CROP) * torch.rand(len(pixels))
        corners = torch.rand(len(pixels), 2)
        parts = []
        for begin in range(0, len(pixels), _BATCH):
            images = to_images(torch.from_numpy(np.array(pixels[begin : begin + _BATCH])))  # [b, c, h, w]
            chosen = slice(begin, begin + len(images))
            cut = torch.cat([_crop(*one) for one in zip(images, areas[chosen], corners[chosen], strict=True)])
            parts.append((view(cut, _LIGHT) * 255).round().byte().permute(0, 2, 3, 1).numpy())
    return np.concatenate(parts)


def _crop(image: Tensor, area: Tensor, corner: Tensor) -> Tensor:
    """A part of the picture `[c, h, w]`, as large as the picture: `[1, c, h, w]`."""
    height, width = image.shape[1:]
    share = float(area.sqrt())
    tall, wide = max(1, round(height * share)), max(1, round(width * share))
    top, left = int(float(corner[0]) * (height - tall + 1)), int(float(corner[1]) * (width - wide + 1))
    part = image[None, :, top : top + tall, left : left + wide]
    return torch.nn.functional.interpolate(part, size=(height, width), mode="bilinear", antialias=True)
