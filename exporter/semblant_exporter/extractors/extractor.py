"""A pretrained network as a `Model`: what it sees of a picture, pooled to one vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from semblant_search.errors import InvalidInput

from semblant_exporter.models.base import Model

from .backbones import backbone

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["POOLINGS", "Extractor", "ExtractorConfig", "gem"]

POOLINGS = ("gap", "gem", "flatten")
_GEM_POWER = 3.0
_SMALLEST = 32


@dataclass(frozen=True)
class ExtractorConfig:
    """Which network, and how its feature map becomes one vector.

    Attributes:
        backbone: name in `BACKBONES`.
        pooling: `gap` (mean over places), `gem` (generalised mean with power 3: strong responses count more) or `flatten`
            (every place keeps its numbers, so where things are counts).
        height, width: pixels, at least 32.
        mirror: take the mean with what is seen of the mirror image, for twice the time.
    """

    backbone: str
    pooling: str = "gap"
    height: int = 224
    width: int = 224
    mirror: bool = False

    def __post_init__(self) -> None:
        backbone(self.backbone)
        if self.pooling not in POOLINGS:
            raise InvalidInput(f"pooling {self.pooling!r}: expected one of {', '.join(POOLINGS)}")
        if min(self.height, self.width) < _SMALLEST:
            raise InvalidInput(
                f"pictures of {self.height}×{self.width} pixels: pretrained networks need at least {_SMALLEST} a side; "
                "choose a larger --size (small pictures are enlarged)"
            )


class Extractor(Model):
    """A network from `load_weights` with its normalisation before and its pooling after."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ExtractorConfig, network: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.network = network
        entry = backbone(config.backbone)
        self.register_buffer("mean", torch.tensor(entry.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(entry.std).view(1, 3, 1, 1))
        with torch.no_grad():
            self.dim = int(self.eval().encode(torch.zeros(1, 3, config.height, config.width)).shape[1])

    def feature_map(self, images: Tensor) -> Tensor:
        """`[N, d, h, w]`, such as `[N, 1280, 7, 7]`, of images `[N, 3, H, W]` in 0–1."""
        features: Tensor = self.network((images - self.mean) / self.std)
        return features

    def encode(self, images: Tensor) -> Tensor:
        """`[N, D]`: D is d for `gap` and `gem`, d·h·w for `flatten`."""
        pooled = self._pooled(images)
        return (pooled + self._pooled(images.flip(3))) / 2 if self.config.mirror else pooled

    def _pooled(self, images: Tensor) -> Tensor:
        features = self.feature_map(images)  # [N, d, h, w]
        if self.config.pooling == "gap":
            return features.mean((2, 3))
        return gem(features, _GEM_POWER) if self.config.pooling == "gem" else features.flatten(1)


def gem(features: Tensor, power: float) -> Tensor:
    """Generalised mean over places: `[N, d, h, w]` to `[N, d]`; negative values count as 0.

    Source: Radenović, Tolias, Chum: Fine-tuning CNN Image Retrieval with No Human Annotation (2018).
    """
    return features.clamp(min=1e-6).pow(power).mean((2, 3)).pow(1 / power)
