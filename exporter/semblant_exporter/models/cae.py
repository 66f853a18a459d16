"""The default: strided convolutions with batch normalisation, a dense latent, and a decoder that mirrors them."""

from __future__ import annotations

from dataclasses import dataclass

from semblant_search.errors import InvalidInput
from torch import Tensor, nn

from semblant_exporter.trainer import Settings

from .base import Architecture, Autoencoder, Recipe

MAX_CHANNELS = 256
"""Beyond this, wider layers cost more than they bring on pictures that a CPU can train on."""


@dataclass(frozen=True)
class CaeConfig:
    """A convolutional autoencoder for pictures of any size.

    Attributes:
        height, width: pixels, at least 4.
        channels: 1 or 3.
        dim: numbers in the latent.
        base: channels after the first convolution; each further one doubles them, up to `MAX_CHANNELS`.
    """

    height: int
    width: int
    channels: int
    dim: int = 128
    base: int = 32

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 4:
            raise InvalidInput(f"pictures of {self.height}×{self.width} pixels: cae needs at least 4×4; choose a larger --size")
        if self.dim < 1 or self.base < 1:
            raise InvalidInput(f"dim {self.dim}, base {self.base}: both must be at least 1")

    def sizes(self) -> list[tuple[int, int]]:
        """`(height, width)` of the picture and after each halving, down to a longer side of at most 6: 28, 14, 7, 4."""
        sizes = [(self.height, self.width)]
        while max(sizes[-1]) > 6:
            sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
        return sizes if len(sizes) > 1 else [*sizes, ((self.height + 1) // 2, (self.width + 1) // 2)]

    def widths(self) -> list[int]:
        """Channels after each halving."""
        return [min(self.base * 2**stage, MAX_CHANNELS) for stage in range(len(self.sizes()) - 1)]


class Cae(Autoencoder):
    """As many halvings as the picture's size asks for; then one dense layer to the latent."""

    def __init__(self, config: CaeConfig) -> None:
        super().__init__()
        self.config = config
        self.dim = config.dim
        self.picture_shape = (config.height, config.width, config.channels)
        sizes, widths = config.sizes(), config.widths()
        (last_height, last_width), last = sizes[-1], widths[-1]
        self.smallest = (last, last_height, last_width)

        self.down = nn.Sequential()
        for before, after in zip([config.channels, *widths[:-1]], widths, strict=True):
            self.down.append(nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False))
            self.down.append(nn.BatchNorm2d(after))
            self.down.append(nn.ReLU(inplace=True))
        self.to_latent = nn.Linear(last * last_height * last_width, config.dim)

        self.from_latent = nn.Linear(config.dim, last * last_height * last_width)
        self.up = nn.Sequential(nn.BatchNorm2d(last), nn.ReLU(inplace=True))
        for stage in reversed(range(len(widths))):
            height, width = sizes[stage]
            # 4 pixels double a side exactly; 3 give one less, for a side that was rounded up on the way down.
            kernel = (4 - height % 2, 4 - width % 2)
            after = widths[stage - 1] if stage else config.channels
            self.up.append(nn.ConvTranspose2d(widths[stage], after, kernel, stride=2, padding=1, bias=stage == 0))
            if stage:
                self.up.append(nn.BatchNorm2d(after))
                self.up.append(nn.ReLU(inplace=True))

    def feature_map(self, images: Tensor) -> Tensor:
        """The smallest map, `[N, d, h, w]`: `[N, 128, 4, 4]` for 28×28 pictures."""
        features: Tensor = self.down(images)  # [N, C, H, W] -> [N, d, h, w]
        return features

    def encode(self, images: Tensor) -> Tensor:
        """Latents `[N, D]`."""
        x = self.feature_map(images)  # [N, d, h, w]
        latent: Tensor = self.to_latent(x.flatten(1))  # [N, D]
        return latent

    def latent_layer(self) -> nn.Linear:
        """The dense layer to the latent."""
        return self.to_latent

    def decode(self, latent: Tensor) -> Tensor:
        """Logits `[N, C, H, W]`."""
        x = self.from_latent(latent).view(-1, *self.smallest)  # [N, d, h, w]
        logits: Tensor = self.up(x)  # [N, C, H, W]
        return logits


ARCHITECTURE = Architecture(
    name="cae",
    summary="strided convolutions, dense latent; any size (the default)",
    config=CaeConfig,
    build=Cae,
    recipe=Recipe(objective="contrastive", settings=Settings(epochs=12, least_steps=50, batch=256, learning_rate=2e-3)),
)
