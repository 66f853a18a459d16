"""PCA whitening of latents: directions count alike in a cosine, however loud they are. Without labels, like the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from semblant_search.errors import InvalidInput

from semblant_exporter.augment import Views, view
from semblant_exporter.objectives import to_images

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from semblant_exporter.models import Model

__all__ = ["LATENT_POWER", "Whitening", "copies_recall", "embed", "fit_whitening", "ledoit_wolf"]

_SHRINKAGE = 1e-3
"""Of the mean variance, added to each: directions that hardly vary are noise, and must not be blown up to full size."""
LATENT_POWER = 0.7
"""For latents that were learned: their weakest directions hold more noise than the others, and are left a little weaker."""
_COPIES = Views(shift=0.08, zoom=0.15, stretch=0.05, rotate=8.0, exposure=0.25, gamma=0.0)
_MOST_COPIES = 4000


@dataclass(frozen=True)
class Whitening:
    """`latent @ matrix.T + bias`: `matrix` float32 `[k, D]`, `bias` float32 `[k]`, strongest directions first."""

    matrix: Tensor
    bias: Tensor

    def __call__(self, latents: Tensor) -> Tensor:
        """`[N, D]` to `[N, k]`."""
        return F.linear(latents, self.matrix, self.bias)


def fit_whitening(latents: Tensor, dim: int | None = None, power: float = 1.0, shrinkage: float = 0.0) -> Whitening:
    """Fit on latents `[n, D]`, and keep the strongest directions.

    Args:
        latents: the sample.
        dim: how many directions to keep; None: all.
        power: of the deviation that each direction is divided by: 1 makes all alike, 0 leaves them as they are.
        shrinkage: from 0 to 1, how far variances are moved towards their mean first; `ledoit_wolf` says how far they should.

    Raises:
        InvalidInput: there are not that many directions.
    """
    size = latents.shape[1]
    if dim is not None and not 1 <= dim <= size:
        raise InvalidInput(f"dim {dim}: the latent has {size} numbers; choose 1 to {size}")
    exact = latents.double()
    mean = exact.mean(0)  # [D]
    variances, directions = torch.linalg.eigh((exact - mean).T @ (exact - mean) / max(1, len(exact) - 1))  # [D], [D, D]
    variances, directions = variances.flip(0).clamp(min=0), directions.flip(1)
    shrunk = (1 - shrinkage) * variances + (shrinkage + _SHRINKAGE) * variances.mean()  # [D]
    scale = (shrunk + 1e-12) ** (-power / 2)  # [D]
    matrix = (directions * scale).T[: dim or size]  # [k, D]
    return Whitening(matrix.float(), (-matrix @ mean).float())


def ledoit_wolf(latents: Tensor) -> float:
    """How much of a covariance of latents `[n, D]` is chance, 0–1: nearly all of few samples, nearly nothing of many.

    Source: Ledoit and Wolf: A well-conditioned estimator for large-dimensional covariance matrices (2004).
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    return float(ledoit_wolf_shrinkage(latents.double().numpy())) if len(latents) > 1 else 1.0


@torch.no_grad()
def embed(model: Model, pictures: np.ndarray, batch: int = 256) -> Tensor:
    """Latents float32 `[n, D]` of pictures uint8 `[n, H, W, C]`."""
    parts = (torch.from_numpy(np.array(pictures[start : start + batch])) for start in range(0, len(pictures), batch))
    return torch.cat([model.encode(to_images(part)) for part in parts])


@torch.no_grad()
def copies_recall(
    model: Model, pictures: np.ndarray, transform: Callable[[Tensor], Tensor], seed: int = 0
) -> tuple[float, int]:
    """How often a slightly changed copy finds its own picture first among all (0–1), and among how many.

    A quality that needs no labels.

    Args:
        model: in evaluation mode.
        pictures: uint8 `[n, H, W, C]`; at most 4,000 of them are used.
        transform: of latents `[N, D]`, before they are compared by cosine.
        seed: fixes the changes.
    """
    chosen = np.array(pictures[:_MOST_COPIES])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        copies = (view(to_images(torch.from_numpy(chosen)), _COPIES) * 255).round().byte()
    originals, changed = embed(model, chosen), embed(model, copies.permute(0, 2, 3, 1).numpy())
    scores = F.normalize(transform(changed)) @ F.normalize(transform(originals)).T  # [n, n]
    return float((scores.argmax(1) == torch.arange(len(scores))).float().mean()), len(chosen)
