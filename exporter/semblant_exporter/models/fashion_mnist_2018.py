"""The published autoencoder for reverse search on Fashion-MNIST (2018), layer by layer, with its published schedule."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F  # noqa: N812 - the name that everyone knows it by
from semblant_search.images import Fit
from torch import Tensor, nn

from semblant_exporter.trainer import Settings

from .base import Architecture, Autoencoder, Recipe


@dataclass(frozen=True)
class FashionMnist2018Config:
    """Nothing can be chosen: 28×28 grey pictures, 4×4×8 = 128 numbers."""


class FashionMnist2018(Autoencoder):
    """Three convolutions with max-pooling down to 4×4×8, and nearest-neighbour resizing with convolutions back up."""

    dim = 128
    picture_shape = (28, 28, 1)

    def __init__(self, config: FashionMnist2018Config) -> None:
        super().__init__()
        self.config = config
        self.down = nn.ModuleList(
            [nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)]
        )
        self.up = nn.ModuleList([nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)])
        self.logits = nn.Conv2d(16, 1, 3, padding=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def feature_map(self, images: Tensor) -> Tensor:
        """`[N, 8, 4, 4]`: the latent itself, before it is flattened."""
        x = images  # [N, 1, 28, 28]
        x = F.max_pool2d(F.relu(self.down[0](x)), 2)  # [N, 16, 14, 14]
        x = F.max_pool2d(F.relu(self.down[1](x)), 2)  # [N, 8, 7, 7]
        x = F.relu(self.down[2](x))  # [N, 8, 7, 7]
        # "Same" padding of 7 to 4 puts its one extra row and column at the end; after a ReLU, 0 pads like minus infinity.
        return F.max_pool2d(F.pad(x, (0, 1, 0, 1)), 2)  # [N, 8, 4, 4]

    def encode(self, images: Tensor) -> Tensor:
        """Latents `[N, 128]`."""
        return self.feature_map(images).flatten(1)  # [N, 128]

    def decode(self, latent: Tensor) -> Tensor:
        """Logits `[N, 1, 28, 28]`."""
        x = latent.view(-1, 8, 4, 4)  # [N, 8, 4, 4]
        x = F.relu(self.up[0](F.interpolate(x, size=(7, 7))))  # [N, 8, 7, 7]
        x = F.relu(self.up[1](F.interpolate(x, size=(14, 14))))  # [N, 8, 14, 14]
        x = F.relu(self.up[2](F.interpolate(x, size=(28, 28))))  # [N, 16, 28, 28]
        logits: Tensor = self.logits(x)  # [N, 1, 28, 28]
        return logits


ARCHITECTURE = Architecture(
    name="fashion-mnist-2018",
    summary="published 28×28 grey autoencoder, 128 numbers, as a baseline",
    config=FashionMnist2018Config,
    build=FashionMnist2018,
    recipe=Recipe(
        objective="reconstruct",
        settings=Settings(
            epochs=20,
            batch=400,
            learning_rate=1e-3,
            optimizer="adam",
            schedule="constant",
            weight_decay=0.0,
            clip_norm=None,
            patience=None,
            precision="float32",
        ),
        options={"loss": "bce"},
    ),
    fit=Fit(28, 28, 1),
    dim=128,
)
