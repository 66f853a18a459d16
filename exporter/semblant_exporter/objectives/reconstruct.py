"""Draw the picture again from its latent: what an autoencoder is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from semblant_search.errors import InvalidInput

from .base import Losses, Objective, needs_decoder, reconstruction_loss

if TYPE_CHECKING:
    from torch import Tensor

    from semblant_exporter.models.base import Model


@dataclass(frozen=True)
class ReconstructConfig:
    """What a reconstruction is measured by.

    Attributes:
        loss: `bce` (sigmoid cross-entropy a pixel) or `mse` (squared error of the sigmoid).
        flip: probability of learning from a picture's mirror image instead of it.
    """

    loss: str = "bce"
    flip: float = 0.0

    def __post_init__(self) -> None:
        if self.loss not in ("bce", "mse"):
            raise InvalidInput(f"reconstruction loss {self.loss!r}: expected bce or mse")
        if not 0 <= self.flip <= 1:
            raise InvalidInput(f"flip {self.flip}: expected a probability, 0 to 1")


class Reconstruct(Objective):
    """Draw the picture again from its latent."""

    Config = ReconstructConfig

    def __init__(self, config: ReconstructConfig, model: Model) -> None:
        super().__init__()
        self.config = config
        needs_decoder(model, "reconstruct")

    def losses(self, model: Model, images: Tensor, labels: Tensor | None) -> Losses:  # noqa: ARG002
        """`loss`, a mean over pixels."""
        autoencoder = needs_decoder(model, "reconstruct")
        if self.config.flip and self.training:
            mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < self.config.flip
            images = torch.where(mirrored, images.flip(3), images)
        logits = autoencoder.decode(autoencoder.encode(images))  # [N, C, H, W]
        return {"loss": reconstruction_loss(logits, images, self.config.loss)}
