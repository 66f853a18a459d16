"""What a model is trained for. An objective is a module that turns a batch of pictures into losses for a model.

Those that restore something are pairs of an input transform and a target (the picture itself); the contrastive one adds a term
between two views of each picture to the reconstruction.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812
from semblant_search.errors import InvalidInput
from torch import Tensor, nn

from .augment import Views, view
from .models.base import Autoencoder, Model

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OBJECTIVES", "Contrastive", "Objective", "Reconstruct", "Task", "build"]

Losses = dict[str, Tensor]


class Objective(nn.Module, ABC):
    """Losses of a model on a batch.

    Attributes:
        config: frozen dataclass of JSON values.
        inputs: for objectives that restore: what the network is shown instead of the picture.
    """

    config: Any

    @abstractmethod
    def losses(self, model: Model, images: Tensor, labels: Tensor | None) -> Losses:
        """At least `loss`, a scalar to be minimised, of images `[N, C, H, W]` in 0–1 and labels `[N]`, -1 for none."""

    def degrade(self, images: Tensor) -> Tensor:
        """What the network is shown in place of `images`, both `[N, C, H, W]` in 0–1."""
        return images


@dataclass(frozen=True)
class ReconstructConfig:
    """`loss`: `bce` (sigmoid cross-entropy a pixel) or `mse` (squared error of the sigmoid)."""

    loss: str = "bce"

    def __post_init__(self) -> None:
        if self.loss not in ("bce", "mse"):
            raise InvalidInput(f"reconstruction loss {self.loss!r}: expected bce or mse")


class Reconstruct(Objective):
    """Draw the picture again from its latent."""

    Config = ReconstructConfig

    def __init__(self, config: ReconstructConfig, model: Model) -> None:
        super().__init__()
        self.config = config
        _needs_decoder(model, "reconstruct")

    def losses(self, model: Model, images: Tensor, labels: Tensor | None) -> Losses:  # noqa: ARG002
        """`loss`, a mean over pixels."""
        assert isinstance(model, Autoencoder)
        logits = model.decode(model.encode(self.degrade(images)))  # [N, C, H, W]
        return {"loss": reconstruction_loss(logits, images, self.config.loss)}


@dataclass(frozen=True)
class ContrastiveConfig:
    """Two views of a picture must agree, and the numbers of a vector must each say something of their own (VICReg).

    Attributes:
        views: how far views go.
        width: of the projector's layers.
        invariance, variance, covariance: weights of the three terms.
        reconstruction: weight of drawing the unchanged picture from the latent of a view; 0 leaves the decoder untrained.
    """

    views: Views = field(default_factory=Views)
    width: int = 512
    invariance: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0
    reconstruction: float = 2.0

    def __post_init__(self) -> None:
        if not isinstance(self.views, Views):  # from JSON
            object.__setattr__(self, "views", Views(**self.views))


class Contrastive(Objective):
    """Views of one picture agree, vectors stay spread out, and the picture can still be drawn from them.

    Source: Bardes, Ponce, LeCun: VICReg (2022), with a reconstruction beside it so that the decoder learns as well.
    """

    Config = ContrastiveConfig

    def __init__(self, config: ContrastiveConfig, model: Model) -> None:
        super().__init__()
        self.config = config
        self.projector = nn.Sequential(
            nn.Linear(model.dim, config.width, bias=False),
            nn.BatchNorm1d(config.width),
            nn.ReLU(inplace=True),
            nn.Linear(config.width, config.width, bias=False),
        )

    def losses(self, model: Model, images: Tensor, labels: Tensor | None) -> Losses:  # noqa: ARG002
        """`loss`, and beside it `agreement` (mean squared difference of projected views) and `reconstruction` (BCE a pixel)."""
        both = torch.cat([view(images, self.config.views), view(images, self.config.views)])  # [2N, C, H, W]
        latent = model.encode(both)  # [2N, D]
        first, second = self.projector(latent).float().chunk(2)  # 2 × [N, width]
        invariance = F.mse_loss(first, second)
        variance, covariance = spread(first, second)
        config = self.config
        loss = config.invariance * invariance + config.variance * variance + config.covariance * covariance
        terms = {"agreement": invariance}
        if config.reconstruction and isinstance(model, Autoencoder):
            drawn = model.decode(latent[: len(images)])  # [N, C, H, W]
            terms["reconstruction"] = reconstruction_loss(drawn, images, "bce")
            loss = loss + config.reconstruction * terms["reconstruction"]
        return {"loss": loss, **terms}


class Task(nn.Module):
    """A model and its objective as the one thing that a trainer trains."""

    def __init__(self, model: Model, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, pictures: Tensor, labels: Tensor | None) -> Losses:
        """Losses of pictures uint8 `[N, H, W, C]`."""
        return self.objective.losses(self.model, to_images(pictures), labels)


OBJECTIVES: dict[str, Any] = {"reconstruct": Reconstruct, "contrastive": Contrastive}


def build(name: str, options: Mapping[str, Any], model: Model) -> Objective:
    """A new objective for a model; `InvalidInput` names what exists, or says what an option may be."""
    if name not in OBJECTIVES:
        raise InvalidInput(f"objective {name!r}: expected one of {', '.join(sorted(OBJECTIVES))}")
    kind = OBJECTIVES[name]
    try:
        config = kind.Config(**options)
    except TypeError as error:
        raise InvalidInput(f"options of objective {name!r}: {error}; found {dict(options)!r}") from error
    objective: Objective = kind(config, model)
    return objective


def options_json(objective: Objective) -> dict[str, Any]:
    """The options that `build` needs to make the objective again."""
    return asdict(objective.config)


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
    variance, covariance = torch.zeros(()), torch.zeros(())
    for part in vectors:
        centred = part - part.mean(0)  # [N, d]
        matrix = centred.T @ centred / (len(part) - 1)  # [d, d]
        own = torch.diagonal(matrix)  # [d]
        variance = variance + F.relu(1 - (own + 1e-4).sqrt()).mean() / len(vectors)
        covariance = covariance + (matrix.square().sum() - own.square().sum()) / part.shape[1]
    return variance, covariance


def _needs_decoder(model: Model, name: str) -> None:
    if not isinstance(model, Autoencoder):
        raise InvalidInput(f"objective {name!r} needs a model with a decoder, which {type(model).__name__} has not")
