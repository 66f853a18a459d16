"""Learning from labels: pictures of one label closer together than pictures of different ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from semblant_search.errors import InvalidInput

from semblant_exporter.augment import Views, view

from .base import Losses, Objective
from .contrastive import Contrastive, ContrastiveConfig, matching

if TYPE_CHECKING:
    from torch import Tensor

    from semblant_exporter.models.base import Model

MOST_REPEATS = 20
"""How often an epoch shows a labelled picture at most, where few are labelled: more would only learn them by heart."""


@dataclass(frozen=True)
class TripletConfig:
    """How labels are used.

    Attributes:
        views: how far views go.
        margin: by how much a picture of another label must be further away, in cosine.
        mining: `semi-hard` (of the negatives further away than the positive, the nearest; FaceNet) or `hard` (the nearest of
            all, against the furthest positive).
        unlabelled: weight of the contrastive term on all pictures of a batch, labelled or not.
    """

    views: Views = field(default_factory=Views)
    margin: float = 0.3
    mining: str = "semi-hard"
    unlabelled: float = 0.05

    def __post_init__(self) -> None:
        if not isinstance(self.views, Views):  # from JSON
            object.__setattr__(self, "views", Views(**self.views))
        if self.mining not in ("semi-hard", "hard"):
            raise InvalidInput(f"mining {self.mining!r}: expected semi-hard or hard")
        if not 0 < self.margin < 2:
            raise InvalidInput(f"margin {self.margin}: expected a difference of cosines, between 0 and 2")


class Triplet(Objective):
    """A triplet loss on the unit vectors that are searched, with the contrastive term on everything beside it.

    Source: Schroff, Kalenichenko, Philbin: FaceNet (2015), for semi-hard mining.
    """

    Config = TripletConfig
    whiten = False  # the distances themselves were learned

    def __init__(self, config: TripletConfig, model: Model) -> None:
        super().__init__()
        self.config = config
        self.beside = Contrastive(ContrastiveConfig(config.views), model)

    def rows(self, labels: np.ndarray | None, count: int) -> np.ndarray:
        """All rows; labelled ones repeated until they are as many as the others, within reason."""
        if labels is None or len(np.unique(labels[labels >= 0])) < 2:
            raise InvalidInput(
                "objective 'triplet' needs pictures of at least two labels; name the metadata column with --label, or put the "
                "pictures into a folder for each label"
            )
        labelled = np.flatnonzero(labels >= 0)
        others = count - len(labelled)
        repeats = min(MOST_REPEATS, max(1, round(others / len(labelled))))
        return np.concatenate([np.flatnonzero(labels < 0), np.tile(labelled, repeats)])

    def losses(self, model: Model, images: Tensor, labels: Tensor | None) -> Losses:
        """`loss`, and `triplet` of it. In evaluation, how hard views find each other stands for the contrastive term."""
        first, second = view(images, self.config.views), view(images, self.config.views)
        latent = model.encode(torch.cat([first, second]))  # [2N, D]
        terms = {}
        loss = torch.zeros((), device=images.device)
        if labels is not None:
            known = labels.repeat(2) >= 0  # [2N]
            terms["triplet"] = self._triplet(F.normalize(latent.float()[known], dim=1), labels.repeat(2)[known])
            loss = loss + terms["triplet"]
        if self.config.unlabelled:
            beside = self.beside.terms(model, latent, images)["loss"] if self.training else matching(latent)
            loss = loss + self.config.unlabelled * beside
        return {"loss": loss, **terms}

    def _triplet(self, vectors: Tensor, labels: Tensor) -> Tensor:
        scores = vectors @ vectors.T  # [n, n], cosines
        same = labels[:, None] == labels[None, :]  # [n, n]
        positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        if self.config.mining == "hard":
            furthest = scores.masked_fill(~positive, 2).min(1).values  # [n]
            nearest = scores.masked_fill(same, -2).max(1).values  # [n]
            usable = (furthest <= 1) & (nearest >= -1)
            losses = F.relu(nearest - furthest + self.config.margin)[usable]
        else:
            anchors, positives = positive.nonzero(as_tuple=True)  # [p], [p]
            if len(anchors) > _MOST_PAIRS:
                chosen = torch.randperm(len(anchors), device=labels.device)[:_MOST_PAIRS]
                anchors, positives = anchors[chosen], positives[chosen]
            own = scores[anchors, positives][:, None]  # [p, 1]
            others = scores[anchors].masked_fill(same[anchors], -2)  # [p, n]
            # The nearest negative that is further away than the positive; where none is, the furthest one.
            beyond = others.masked_fill(others >= own, -2).max(1).values  # [p]
            furthest = scores[anchors].masked_fill(same[anchors], 2).min(1).values  # [p]
            negative = torch.where(beyond >= -1, beyond, furthest)
            losses = F.relu(negative - own[:, 0] + self.config.margin)[negative <= 1]
        return losses.mean() if len(losses) else vectors.sum() * 0


_MOST_PAIRS = 2048
