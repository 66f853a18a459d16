"""What every objective offers, and the losses they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from semblant_search.errors import InvalidInput
from torch import Tensor, nn

from semblant_exporter.models.base import Autoencoder, Model

if TYPE_CHECKING:
    from semblant_search.images import Fit

__all__ = ["Losses", "Objective", "Task", "needs_decoder", "reconstruction_loss", "spread", "to_images"]

Losses = dict[str, Tensor]


class Objective(nn.Module, ABC):
    """Losses of a model on a batch; its own parameters, if any, are trained and kept with the model's.

    Attributes:
        config: frozen dataclass of JSON values.
        whiten: whether `whiten="auto"` may whiten what was trained so.
        validation: what `loss` measures in evaluation, where that is not the training loss.
    """

    config: Any
    whiten = True
    validation: str | None = None

    @abstractmethod
    def losses(self, model: Model, images: Tensor, labels: Tensor | None) -> Losses:
        """At least `loss`, a scalar to be minimised, of images `[N, C, H, W]` in 0–1 and labels `[N]`, -1 for none."""

    def degrade(self, images: Tensor) -> Tensor:
        """What the network is shown in place of `images`, both `[N, C, H, W]` in 0–1."""
        return images

    def draw(self, model: Autoencoder, images: Tensor) -> Tensor:
        """What the network makes of what it is shown, both `[N, C, H, W]` in 0–1."""
        return torch.sigmoid(model.decode(model.encode(images)).float())

    def rows(self, labels: np.ndarray | None, count: int) -> np.ndarray:  # noqa: ARG002
        """The rows of `count` training pictures that make an epoch, with repetitions; raises `InvalidInput` if none can."""
        return np.arange(count)

    def judges(self, labels: np.ndarray | None, count: int) -> np.ndarray | None:  # noqa: ARG002
        """The rows of `count` held-out pictures that tell which epoch is best; None if none can: the last one is kept then."""
        return np.arange(count)

    def fit(self, fit: Fit) -> Fit:
        """How a picture is fitted before `shown`; the model's own fit unless the objective enlarges."""
        return fit

    def shown(self, images: Tensor) -> Tensor:
        """What the network is shown of pictures that were fitted by `fit` and are degraded already."""
        return images


class Task(nn.Module):
    """A model and its objective as the one thing that a trainer trains."""

    def __init__(self, model: Model, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, pictures: Tensor, labels: Tensor | None) -> Losses:
        """Losses of pictures uint8 `[N, H, W, C]`."""
        return self.objective.losses(self.model, to_images(pictures), labels)


def to_images(pictures: Tensor) -> Tensor:
    """uint8 `[N, H, W, C]` to float32 `[N, C, H, W]` in 0–1."""
    return pictures.permute(0, 3, 1, 2).float() / 255


def reconstruction_loss(logits: Tensor, images: Tensor, kind: str) -> Tensor:
    """Mean over pixels, `bce` or `mse`, of logits and images `[N, C, H, W]`."""
    if kind == "bce":
        return F.binary_cross_entropy_with_logits(logits.float(), images)
    return F.mse_loss(torch.sigmoid(logits.float()), images)


def spread(*vectors: Tensor) -> tuple[Tensor, Tensor]:
    """VICReg's variance and covariance terms, means over sets of vectors `[N, d]`: both 0 for white noise of deviation 1."""
    device = vectors[0].device
    variance, covariance = torch.zeros((), device=device), torch.zeros((), device=device)
    for part in vectors:
        with torch.autocast(device.type, enabled=False):  # sums of products of 8 bits would be off by more than they tell
            centred = (part - part.mean(0)).float()  # [N, d]
            matrix = centred.T @ centred / max(1, len(part) - 1)  # [d, d]
        own = torch.diagonal(matrix)  # [d]
        variance = variance + F.relu(1 - (own + 1e-4).sqrt()).mean() / len(vectors)
        covariance = covariance + (matrix.square().sum() - own.square().sum()) / part.shape[1]
    return variance, covariance


def needs_decoder(model: Model, name: str) -> Autoencoder:
    """The model as an autoencoder, or `InvalidInput`."""
    if not isinstance(model, Autoencoder):
        raise InvalidInput(f"objective {name!r} needs a model with a decoder, which {type(model).__name__} has not")
    return model
