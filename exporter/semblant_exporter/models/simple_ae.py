"""The fully connected autoencoder that similar-image tutorials begin with: every pixel to every unit, and back."""

from __future__ import annotations

from dataclasses import dataclass

from semblant_search.errors import InvalidInput
from torch import Tensor, nn

from semblant_exporter.trainer import Settings

from .base import Architecture, Autoencoder, Recipe


@dataclass(frozen=True)
class SimpleAeConfig:
    """`height`, `width`, `channels` of the pictures; `dim` numbers in the latent, `hidden` units before it."""

    height: int
    width: int
    channels: int
    dim: int = 128
    hidden: int = 512

    def __post_init__(self) -> None:
        if self.dim < 1 or self.hidden < 1:
            raise InvalidInput(f"dim {self.dim}, hidden {self.hidden}: both must be at least 1")


class SimpleAe(Autoencoder):
    """Two dense layers down, two up. It knows no places, so it has one cell: the whole picture."""

    def __init__(self, config: SimpleAeConfig) -> None:
        super().__init__()
        self.config = config
        self.dim = config.dim
        self.picture_shape = (config.height, config.width, config.channels)
        pixels = config.height * config.width * config.channels
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(pixels, config.hidden), nn.ReLU(inplace=True))
        self.to_latent = nn.Linear(config.hidden, config.dim)
        self.up = nn.Sequential(nn.Linear(config.dim, config.hidden), nn.ReLU(inplace=True), nn.Linear(config.hidden, pixels))

    def feature_map(self, images: Tensor) -> Tensor:
        """The hidden layer as a map of one place, `[N, hidden, 1, 1]`."""
        hidden: Tensor = self.hidden(images)[:, :, None, None]  # [N, hidden, 1, 1]
        return hidden

    def encode(self, images: Tensor) -> Tensor:
        """Latents `[N, D]`."""
        latent: Tensor = self.to_latent(self.hidden(images))  # [N, C, H, W] -> [N, D]
        return latent

    def latent_layer(self) -> nn.Linear:
        """The dense layer to the latent."""
        return self.to_latent

    def decode(self, latent: Tensor) -> Tensor:
        """Logits `[N, C, H, W]`."""
        height, width, channels = self.picture_shape
        logits: Tensor = self.up(latent).view(-1, channels, height, width)  # [N, D] -> [N, C, H, W]
        return logits


ARCHITECTURE = Architecture(
    name="simple-ae",
    summary="fully connected; a baseline for small pictures",
    config=SimpleAeConfig,
    build=SimpleAe,
    recipe=Recipe(objective="reconstruct", settings=Settings(epochs=20, batch=128, learning_rate=1e-3)),
)
