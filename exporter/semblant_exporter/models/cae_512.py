"""Convolutions to a dense latent of 512 numbers, with an up-sampling or transposed decoder, for retrieval with clusters."""

from __future__ import annotations

from dataclasses import dataclass

from semblant_search.errors import InvalidInput
from torch import Tensor, nn

from semblant_exporter.trainer import Settings

from .base import Architecture, Autoencoder, Recipe

CHANNELS = (32, 64, 128, 256)


@dataclass(frozen=True)
class Cae512Config:
    """A deeper autoencoder with max-pooling.

    Attributes:
        height, width: pixels, at least 16.
        channels: 1 or 3.
        dim: numbers in the latent.
        decoder: `transposed` (transposed convolutions) or `upsample` (nearest-neighbour resizing, then a convolution).
    """

    height: int
    width: int
    channels: int
    dim: int = 512
    decoder: str = "transposed"

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 16:
            raise InvalidInput(f"pictures of {self.height}×{self.width}: cae-512 needs at least 16×16; choose a larger --size")
        if self.dim < 1:
            raise InvalidInput(f"dim {self.dim}: expected at least 1")
        if self.decoder not in ("transposed", "upsample"):
            raise InvalidInput(f"decoder {self.decoder!r}: expected transposed or upsample")

    def sizes(self) -> list[tuple[int, int]]:
        """`(height, width)` of the picture and after each of the four poolings."""
        return [(-(-self.height // 2**stage), -(-self.width // 2**stage)) for stage in range(len(CHANNELS) + 1)]


class Cae512(Autoencoder):
    """Four times convolution, normalisation, ReLU and pooling; a dense layer; and the way back."""

    def __init__(self, config: Cae512Config) -> None:
        super().__init__()
        self.config = config
        self.dim = config.dim
        self.picture_shape = (config.height, config.width, config.channels)
        sizes = config.sizes()
        self.smallest = (CHANNELS[-1], *sizes[-1])
        units = CHANNELS[-1] * sizes[-1][0] * sizes[-1][1]
        self.down = nn.Sequential()
        for before, after in zip((config.channels, *CHANNELS), CHANNELS, strict=False):
            self.down.append(nn.Conv2d(before, after, 3, padding=1, bias=False))
            self.down.append(nn.BatchNorm2d(after))
            self.down.append(nn.ReLU(inplace=True))
            self.down.append(nn.MaxPool2d(2, ceil_mode=True))
        self.to_latent = nn.Linear(units, config.dim)
        self.from_latent = nn.Linear(config.dim, units)
        self.up = nn.Sequential()
        for stage in reversed(range(len(CHANNELS))):
            self.up.append(nn.ReLU(inplace=True))
            after = CHANNELS[stage - 1] if stage else config.channels
            self.up.extend(_enlarge(config.decoder, CHANNELS[stage], after, sizes[stage]))
            if stage:
                self.up.append(nn.BatchNorm2d(after))

    def feature_map(self, images: Tensor) -> Tensor:
        """`[N, 256, h, w]`, a sixteenth of the picture's sides."""
        features: Tensor = self.down(images)  # [N, C, H, W] -> [N, 256, h, w]
        return features

    def encode(self, images: Tensor) -> Tensor:
        """Latents `[N, D]`."""
        latent: Tensor = self.to_latent(self.feature_map(images).flatten(1))  # [N, 256, h, w] -> [N, D]
        return latent

    def latent_layer(self) -> nn.Linear:
        """The dense layer to the latent."""
        return self.to_latent

    def decode(self, latent: Tensor) -> Tensor:
        """Logits `[N, C, H, W]`."""
        x = self.from_latent(latent).view(-1, *self.smallest)  # [N, 256, h, w]
        logits: Tensor = self.up(x)  # [N, C, H, W]
        return logits


def _enlarge(decoder: str, before: int, after: int, size: tuple[int, int]) -> list[nn.Module]:
    """Twice the sides, less one where `size` is odd."""
    if decoder == "upsample":
        return [nn.Upsample(size=size), nn.Conv2d(before, after, 3, padding=1)]
    return [nn.ConvTranspose2d(before, after, (4 - size[0] % 2, 4 - size[1] % 2), stride=2, padding=1)]


ARCHITECTURE = Architecture(
    name="cae-512",
    summary="four pooled convolutions, dense latent of 512 numbers",
    config=Cae512Config,
    build=Cae512,
    recipe=Recipe(
        objective="reconstruct",
        settings=Settings(
            epochs=50, batch=64, learning_rate=1e-3, schedule="constant", weight_decay=0.0, optimizer="adam", patience=10
        ),
        options={"loss": "mse", "flip": 0.5},
    ),
)
