"""EfficientNet-Lite0 with its ImageNet weights and a linear layer to the latent: for fine-tuning, by labels or without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from semblant_search.errors import InvalidInput
from torch import nn

from semblant_exporter.pictures import spread_out
from semblant_exporter.trainer import Settings

from .base import Architecture, Model, Recipe

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

_NETWORK = "efficientnet-lite0"
_LOOKED_AT = 1000


@dataclass(frozen=True)
class PretrainedConfig:
    """Pictures of at least 32×32 pixels, grey or in colour; `dim` numbers in the latent; `pooling` as in `extractors`."""

    height: int
    width: int
    channels: int = 3
    dim: int = 128
    pooling: str = "gap"

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise InvalidInput(f"dim {self.dim}: must be at least 1")


class Pretrained(Model):
    """What an `Extractor` sees, projected. Starts from weights that know ImageNet, and from the PCA of what they see.

    Batch normalisation keeps the statistics of ImageNet: those of small batches would undo what the network knows.
    """

    def __init__(self, config: PretrainedConfig) -> None:
        from semblant_exporter.extractors.backbones import backbone, load_weights
        from semblant_exporter.extractors.extractor import Extractor, ExtractorConfig

        super().__init__()
        self.config = config
        self.dim = config.dim
        network, _ = load_weights(backbone(_NETWORK))
        self.extractor = Extractor(ExtractorConfig(_NETWORK, config.pooling, config.height, config.width), network)
        self.to_latent = nn.Linear(self.extractor.dim, config.dim)
        nn.init.orthogonal_(self.to_latent.weight)
        nn.init.zeros_(self.to_latent.bias)

    @torch.no_grad()
    def begin(self, pictures: np.ndarray) -> None:
        """The projection becomes the PCA of the features of some pictures, as far as these have directions."""
        from semblant_exporter.objectives import to_images
        from semblant_exporter.whitening import fit_whitening

        some = torch.from_numpy(spread_out(pictures, _LOOKED_AT))  # [n, H, W, C]
        features = torch.cat([self.extractor.encode(_colour(to_images(part))) for part in torch.split(some, 32)])  # [n, 1280]
        numbers = min(self.dim, len(features) - 1)
        reduction = fit_whitening(features, numbers, power=0.0)
        self.to_latent.weight[:numbers] = reduction.matrix
        self.to_latent.bias[:numbers] = reduction.bias

    def train(self, mode: bool = True) -> Pretrained:
        """As everywhere, but for the network's batch normalisation."""
        super().train(mode)
        self.extractor.eval()
        return self

    def feature_map(self, images: Tensor) -> Tensor:
        """`[N, 1280, h, w]` of images `[N, 1 | 3, H, W]` in 0–1."""
        return self.extractor.feature_map(_colour(images))

    def encode(self, images: Tensor) -> Tensor:
        """Latents `[N, D]`."""
        latent: Tensor = self.to_latent(self.extractor.encode(_colour(images)))  # [N, 1280] -> [N, D]
        return latent

    def latent_layer(self) -> nn.Linear:
        """The projection."""
        return self.to_latent


def _colour(images: Tensor) -> Tensor:
    """`[N, 3, H, W]`: grey pictures have three equal channels."""
    return images if images.shape[1] == 3 else images.expand(-1, 3, -1, -1)


ARCHITECTURE = Architecture(
    name=_NETWORK,
    summary="ImageNet weights to fine-tune; without training, see semblant extract",
    config=PretrainedConfig,
    build=Pretrained,
    recipe=Recipe(objective="contrastive", settings=Settings(epochs=5, batch=64, learning_rate=3e-4)),
    side=160,
)
