"""PCA of the pixels as an encoder: the best that a linear map can do without labels, fitted in seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from semblant_search.encoder import EncoderCard
from torch import nn
from torch.nn.functional import normalize

from semblant_exporter.export import build_encoder
from semblant_exporter.extractors.extracting import fit_reduction
from semblant_exporter.objectives import to_images

if TYPE_CHECKING:
    from semblant_search.images import Fit

    from semblant_exporter.whitening import Whitening

__all__ = ["pca_encoder"]

_LOOKED_AT = 4000


class _Projection(nn.Module):
    def __init__(self, reduction: Whitening) -> None:
        super().__init__()
        self.linear = nn.Linear(reduction.matrix.shape[1], reduction.matrix.shape[0])
        self.linear.weight, self.linear.bias = nn.Parameter(reduction.matrix), nn.Parameter(reduction.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embeddings float32 `[N, D]` of pictures uint8 `[N, H, W, C]`."""
        return normalize(self.linear(to_images(images).flatten(1)), dim=1)


def pca_encoder(pictures: np.ndarray, fit: Fit, *, dim: int = 128, name: str = "pca", seed: int = 0) -> bytes:
    """The file of an encoder: pixels uint8 `[n, h, w, c]` whitened by PCA to `dim` numbers, or as many as `n` allows.

    Raises:
        InvalidInput: fewer than two pictures.
    """
    order = np.random.default_rng(seed).permutation(len(pictures))[:_LOOKED_AT]
    chosen = np.array(pictures[np.sort(order)])
    flat = to_images(torch.from_numpy(chosen)).flatten(1)
    reduction = fit_reduction(flat, min(dim, flat.shape[1], len(flat) - 1), power=1.0)
    card = EncoderCard(
        name=name,
        architecture="pca",
        fit=fit,
        dim=len(reduction.bias),
        objective="pca",
        training={"pictures": len(chosen), "seed": seed},
    )
    return build_encoder(_Projection(reduction).eval(), card, chosen[:256])[0]
