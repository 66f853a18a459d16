"""Convolutions without a dense layer: the latent is the flattened feature map `[c·h·w]`, which keeps places and is large."""

from __future__ import annotations

from dataclasses import dataclass

from semblant_search.errors import InvalidInput
from torch import Tensor, nn

from semblant_exporter.trainer import Settings

from .base import Architecture, Autoencoder, Recipe

CHANNELS = (16, 32, 64, 64, 32)


@dataclass(frozen=True)
class CaeSpatialConfig:
    """Pictures of at least 32×32, published at 512×512 RGB; `depth` is the channels of the latent map."""

    height: int
    width: int
    channels: int
    depth: int = 16

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 32 or self.height % 32 or self.width % 32:
            raise InvalidInput(
                f"pictures of {self.height}×{self.width} pixels: cae-spatial halves them five times; "
                "choose a --size of multiples of 32"
            )
        if self.depth < 1:
            raise InvalidInput(f"depth {self.depth}: expected at least 1")


class CaeSpatial(Autoencoder):
    """Five strided convolutions down to 1/32 of the sides, and five transposed ones up."""

    def __init__(self, config: CaeSpatialConfig) -> None:
        super().__init__()
        self.config = config
        self.picture_shape = (config.height, config.width, config.channels)
        self.map_shape = (config.depth, config.height // 32, config.width // 32)
        self.dim = self.map_shape[0] * self.map_shape[1] * self.map_shape[2]
        widths = (*CHANNELS[:-1], config.depth)
        self.down, self.up = nn.Sequential(), nn.Sequential()
        for number, (before, after) in enumerate(zip((config.channels, *widths), widths, strict=False)):
            self.down.append(nn.Conv2d(before, after, 3, stride=2, padding=1))
            if number + 1 < len(widths):
                self.down.append(nn.BatchNorm2d(after))
                self.down.append(nn.ReLU(inplace=True))
        for number in reversed(range(len(widths))):
            after = widths[number - 1] if number else config.channels
            self.up.append(nn.ConvTranspose2d(widths[number], after, 4, stride=2, padding=1))
            if number:
                self.up.append(nn.BatchNorm2d(after))
                self.up.append(nn.ReLU(inplace=True))

    def feature_map(self, images: Tensor) -> Tensor:
        """`[N, depth, H/32, W/32]`: the latent before it is flattened."""
        features: Tensor = self.down(images)  # [N, C, H, W] -> [N, depth, h, w]
        return features

    def encode(self, images: Tensor) -> Tensor:
        """Latents `[N, depth·h·w]`: 4,096 numbers of a 512×512 picture."""
        return self.feature_map(images).flatten(1)  # [N, depth·h·w]

    def decode(self, latent: Tensor) -> Tensor:
        """Logits `[N, C, H, W]`."""
        logits: Tensor = self.up(latent.view(-1, *self.map_shape))  # [N, depth, h, w] -> [N, C, H, W]
        return logits


ARCHITECTURE = Architecture(
    name="cae-spatial",
    summary="no dense layer: the flattened feature map, published at 512×512 RGB",
    config=CaeSpatialConfig,
    build=CaeSpatial,
    recipe=Recipe(
        objective="reconstruct",
        settings=Settings(
            epochs=30, batch=32, learning_rate=1e-3, schedule="constant", weight_decay=0.0, optimizer="adam", patience=10
        ),
        options={"loss": "mse"},
    ),
)
