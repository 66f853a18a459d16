"""What every model offers to objectives, the export and the figures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from semblant_search.images import Fit

    from semblant_exporter.trainer import Settings


class Model(nn.Module, ABC):
    """Pictures to vectors.

    Attributes:
        config: the frozen dataclass that `build` needs to make it again; its fields are JSON values.
        dim: D, numbers in a latent vector.
    """

    config: Any
    dim: int

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """Latent vectors `[N, D]`, neither whitened nor of unit length, of images `[N, C, H, W]` in 0–1."""

    @abstractmethod
    def feature_map(self, images: Tensor) -> Tensor:
        """The last feature map that still knows places, `[N, d, h, w]`, of images `[N, C, H, W]` in 0–1."""

    def latent_layer(self) -> nn.Linear | None:
        """The linear layer that ends `encode`, so that an affine map of the latent folds into it; None if there is none."""
        return None

    def begin(self, pictures: np.ndarray) -> None:
        """Called once before the first step with what will be learned from, uint8 `[n, H, W, C]`."""

    def forward(self, images: Tensor) -> Tensor:
        """The same as `encode`."""
        return self.encode(images)


class Autoencoder(Model):
    """A model that also draws the picture again.

    Attributes:
        picture_shape: `(height, width, channels)` of the pictures that it takes and draws.
    """

    picture_shape: tuple[int, int, int]

    @abstractmethod
    def decode(self, latent: Tensor) -> Tensor:
        """Logits `[N, C, H, W]` of the pixels, of latents `[N, D]`; their sigmoid is the picture in 0–1."""


@dataclass(frozen=True)
class Recipe:
    """How an architecture is trained when its user says nothing else.

    Attributes:
        objective: name in `objectives.OBJECTIVES`.
        settings: of the trainer.
        options: of the objective, where its own defaults are not wanted.
    """

    objective: str
    settings: Settings
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Architecture:
    """One entry of the registry.

    Attributes:
        name: what `--arch` takes.
        summary: one line for people.
        config: the frozen dataclass, with fields `height`, `width`, `channels` and `dim` where these can be chosen.
        build: makes an untrained model from a config.
        recipe: how it is trained.
        fit: the only way pictures can be fitted to it, or None if it takes any size and channel count.
        dim: the only latent size it has, or None if it can be chosen.
        side: pixels of a side that it takes where nothing is said, or None: the pictures' own, or what a CPU learns from.
    """

    name: str
    summary: str
    config: Callable[..., Any]
    build: Callable[[Any], Model]
    recipe: Recipe
    fit: Fit | None = None
    dim: int | None = None
    side: int | None = None
