"""Learning from labels: pictures of one label closer together than pictures of different ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from semblant_search.errors import InvalidInput

from semblant_exporter.augment import Views

from .base import Losses, Objective
from .contrastive import Contrastive, ContrastiveConfig, matching

if TYPE_CHECKING:
    from torch import Tensor

    from semblant_exporter.models.base import Model

MOST_REPEATS = 20
"""How often an epoch shows a labelled picture at most, where few are labelled: more would only learn them by heart."""

FEWEST_JUDGES = 100
"""Held-out pictures with labels that can tell which epoch is best: to twenty, the first one often seems so, and the last is."""


@dataclass(frozen=True)
class TripletConfig:
    """How labels are used.

    Attributes:
        views: how far views go.
        margin: by how much a picture of another label must be further away, in cosine.
        mining: which negatives of a batch an anchor and its positive are set against: `soft` (all, the nearer the heavier),
            `semi-hard` (of those further away than the positive, the nearest; FaceNet) or `hard` (the nearest of all, against
            the furthest positive).
        temperature: of `soft`, in cosine: towards 0, only the nearest negative counts.
        unlabelled: weight of the contrastive term on all pictures of a batch, labelled or not.
    """

    views: Views = field(default_factory=Views)
    margin: float = 0.3
    mining: str = "semi-hard"
    temperature: float = 0.1
    unlabelled: float = 0.05

    def __post_init__(self) -> None:
        if not isinstance(self.views, Views):  # from JSON
            object.__setattr__(self, "views", Views(**self.views))
        if self.mining not in ("soft", "semi-hard", "hard"):
            raise InvalidInput(f"mining {self.mining!r}: expected soft, semi-hard or hard")
        if not 0 < self.margin < 2:
            raise InvalidInput(f"margin {self.margin}: expected a difference of cosines, between 0 and 2")
        if not 0 < self.temperature < 2:
            raise InvalidInput(f"temperature {self.temperature}: expected a difference of cosines, between 0 and 2")


class Triplet(Objective):
    """A triplet loss on the unit vectors that are searched, with the contrastive term on everything beside it.

    Sources: Schroff, Kalenichenko, Philbin: FaceNet (2015), for semi-hard mining; Sohn: Improved deep metric learning with
    multi-class N-pair loss objective (2016), for setting a pair against all negatives at once.
    """

    Config = TripletConfig
    whiten = False  # the distances themselves were learned
    validation = "neighbours of other labels"

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

    def judges(self, labels: np.ndarray | None, count: int) -> np.ndarray | None:  # noqa: ARG002
        """Those with labels, if they are enough."""
        labelled = np.flatnonzero(labels >= 0) if labels is not None else np.arange(0)
        return labelled if len(labelled) >= FEWEST_JUDGES else None

    def losses(self, model: Model, images: Tensor, labels: Tensor | None) -> Losses:
        """`loss`, and `triplet` of it.

        In evaluation, `confusion` stands for the triplets, and how hard views find each other for the contrastive term: both
        get better for as long as neighbours do, where losses that know no bound are ruled by the few that stay wrong.
        """
        latent = model.encode(self.beside.with_views(model, images))  # [2N + n, D]
        views = latent[: 2 * len(images)].float()  # [2N, D]
        terms = {}
        loss = torch.zeros((), device=images.device)
        if labels is not None:
            known = labels >= 0  # [N]
            units = F.normalize(views, dim=1)[known.repeat(2)]  # [2n, D]
            terms["triplet"] = triplet_loss(units, labels[known].repeat(2), self.config)
            loss = loss + (terms["triplet"] if self.training else confusion(units, labels[known]))
        if self.config.unlabelled:
            beside = self.beside.terms(model, latent, images)["loss"] if self.training else matching(views)
            loss = loss + self.config.unlabelled * beside
        return {"loss": loss, **terms}


def triplet_loss(vectors: Tensor, labels: Tensor, config: TripletConfig) -> Tensor:
    """The mean over triplets of unit vectors `[n, D]` with labels `[n]`, a scalar; 0 where there are none."""
    if len(labels) == 0:
        return vectors.sum()
    with torch.autocast(vectors.device.type, enabled=False):  # cosines of 8 bits would hide which is nearer
        scores = vectors @ vectors.T  # [n, n]
    same = labels[:, None] == labels[None, :]  # [n, n]
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    if config.mining == "hard":
        losses = F.relu(_hard(scores, same, positive) + config.margin)
    elif config.mining == "semi-hard":
        losses = F.relu(_semi_hard(scores, same, positive) + config.margin)
    else:
        nearest = config.temperature * (scores / config.temperature).masked_fill(same, _NEVER).logsumexp(1)  # [n], smoothly
        excess = (nearest[:, None] - scores)[positive] + config.margin
        losses = config.temperature * F.softplus(excess / config.temperature)
    return losses.mean() if len(losses) else vectors.sum() * 0


def confusion(vectors: Tensor, labels: Tensor) -> Tensor:
    """Share of a view's neighbours that have another label, each weighted by how near it is; 0 to 1.

    Source: neighbourhood components analysis (Goldberger et al., 2004), at temperature 0.05, of unit vectors `[2N, D]` of two
    views of each of N pictures with labels `[N]`; views of the same picture are no neighbours.
    """
    count = len(labels)
    if count < 2:
        return vectors.sum() * 0
    itself = torch.eye(count, dtype=torch.bool, device=vectors.device).repeat(2, 2)  # [2N, 2N]
    with torch.autocast(vectors.device.type, enabled=False):
        near = (vectors @ vectors.T / 0.05).masked_fill(itself, _NEVER).softmax(1)  # [2N, 2N]
    same = (labels[:, None] == labels[None, :]).repeat(2, 2)  # [2N, 2N]
    return 1 - (near * same).sum(1).mean()


def _hard(scores: Tensor, same: Tensor, positive: Tensor) -> Tensor:
    """By how much each anchor's nearest negative is nearer than its furthest positive, of cosines `[n, n]`."""
    furthest = scores.masked_fill(~positive, 2).min(1).values  # [n]
    nearest = scores.masked_fill(same, -2).max(1).values  # [n]
    return (nearest - furthest)[(furthest <= 1) & (nearest >= -1)]


def _semi_hard(scores: Tensor, same: Tensor, positive: Tensor) -> Tensor:
    """By how much the nearest negative beyond a positive is nearer than it, for pairs of an anchor and a positive (some)."""
    anchors, positives = positive.nonzero(as_tuple=True)  # [p], [p]
    if len(anchors) > _MOST_PAIRS:
        chosen = torch.randperm(len(anchors), device=scores.device)[:_MOST_PAIRS]
        anchors, positives = anchors[chosen], positives[chosen]
    own = scores[anchors, positives][:, None]  # [p, 1]
    others = scores[anchors].masked_fill(same[anchors], -2)  # [p, n]
    beyond = others.masked_fill(others >= own, -2).max(1).values  # [p]
    furthest = scores[anchors].masked_fill(same[anchors], 2).min(1).values  # [p]
    negative = torch.where(beyond >= -1, beyond, furthest)  # where none is beyond, the furthest one
    return (negative - own[:, 0])[negative <= 1]


_MOST_PAIRS = 2048
_NEVER = -1e9
"""A cosine by its temperature that no two vectors have; finite, so that an anchor without negatives has a gradient of 0."""
