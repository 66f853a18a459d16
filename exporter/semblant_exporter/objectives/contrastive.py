"""Two views of a picture belong together: the term that teaches what may change about a picture without making it another."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F  # noqa: N812
from semblant_search.errors import InvalidInput
from torch import Tensor, nn

from semblant_exporter.augment import Views, view
from semblant_exporter.models.base import Autoencoder, Model

from .base import Losses, Objective, reconstruction_loss, spread


@dataclass(frozen=True)
class ContrastiveConfig:
    """Two views of a picture must agree, and the numbers of a vector must each say something of their own (VICReg).

    Attributes:
        views: how far views go.
        width: of the projector's layers.
        invariance, variance, covariance: weights of the three terms.
        reconstruction: weight of drawing unchanged pictures from their latents; 0 leaves the decoder untrained.
        drawn: share of a batch that is drawn. All would take a third of a step's time, and find no more.
    """

    views: Views = field(default_factory=Views)
    width: int = 512
    invariance: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0
    reconstruction: float = 2.0
    drawn: float = 0.25

    def __post_init__(self) -> None:
        if not isinstance(self.views, Views):  # from JSON
            object.__setattr__(self, "views", Views(**self.views))
        if not 0 < self.drawn <= 1:
            raise InvalidInput(f"drawn {self.drawn}: expected a share of the batch, above 0 and at most 1")


class Contrastive(Objective):
    """Views of one picture agree, vectors stay spread out, and the picture can still be drawn from them.

    Source: Bardes, Ponce, LeCun: VICReg (2022), with a reconstruction beside it so that the decoder learns as well.
    """

    Config = ContrastiveConfig
    validation = "finding the other view"

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
        """`loss`, and beside it `agreement` (mean squared difference of projected views) and `reconstruction` (BCE a pixel).

        In evaluation `loss` is `matching` of the latents: VICReg's covariance grows on held-out pictures while their
        neighbours still get better, and would stop the training, or keep its weights, halfway.
        """
        latent = model.encode(self.with_views(model, images))  # [2N + n, D]
        losses = self.terms(model, latent, images)
        return losses if self.training else {**losses, "loss": matching(latent[: 2 * len(images)])}

    def with_views(self, model: Model, images: Tensor) -> Tensor:
        """What a step encodes of images `[N, C, H, W]`: two views of each, then those n that are drawn, `[2N + n, C, H, W]`.

        Drawn from the latent of a view, pictures are blurred: of what a view changed, the decoder sees only the result.
        """
        views = [view(images, self.config.views), view(images, self.config.views)]
        return torch.cat([*views, images[: self._drawn(model, len(images))]])

    def terms(self, model: Model, latent: Tensor, images: Tensor) -> Losses:
        """The losses of the latents `[2N + n, D]` of `with_views(model, images)`."""
        config, count = self.config, len(images)
        first, second = self.projector(latent[: 2 * count]).float().chunk(2)  # 2 × [N, width]
        invariance = F.mse_loss(first, second)
        variance, covariance = spread(first, second)
        loss = config.invariance * invariance + config.variance * variance + config.covariance * covariance
        terms = {"agreement": invariance}
        if (drawn := self._drawn(model, count)) and isinstance(model, Autoencoder):
            logits = model.decode(latent[2 * count :])  # [n, C, H, W]
            terms["reconstruction"] = reconstruction_loss(logits, images[:drawn], "bce")
            loss = loss + config.reconstruction * terms["reconstruction"]
        return {"loss": loss, **terms}

    def _drawn(self, model: Model, count: int) -> int:
        if not (self.config.reconstruction and isinstance(model, Autoencoder)):
            return 0
        share: int = math.ceil(self.config.drawn * count)
        return min(count, max(2, share))  # batch normalisation needs two


def matching(latent: Tensor) -> Tensor:
    """How hard each picture's second view is to find by the first: cross-entropy among all N of the batch, by cosine.

    Source: the InfoNCE loss (van den Oord et al., 2018), at temperature 0.1, of centred latents `[2N, D]`.
    """
    latent = latent.float()
    first, second = F.normalize(latent - latent.mean(0), dim=1).chunk(2)  # 2 × [N, D]
    with torch.autocast(latent.device.type, enabled=False):  # these cosines choose the epoch
        scores = first @ second.T / 0.1  # [N, N]
    return F.cross_entropy(scores, torch.arange(len(first), device=latent.device))
