"""From a folder of pictures and a pretrained network to `encoder.onnx`, without training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from semblant_search.encoder import Encoder, EncoderCard
from semblant_search.errors import InvalidInput
from semblant_search.images import Fit

from semblant_exporter import pictures
from semblant_exporter.checkpoint import write_atomically
from semblant_exporter.export import ExportReport, Graph, build_encoder
from semblant_exporter.listing import list_pictures
from semblant_exporter.objectives import to_images
from semblant_exporter.whitening import Whitening, fit_whitening

from .backbones import backbone, load_weights
from .extractor import Extractor, ExtractorConfig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Progress = Callable[[str, int, int | None], None]

__all__ = ["ExtractJob", "extract", "fit_reduction"]

_LOOKED_AT = 4000
"""Pictures that the reduction is fitted on; a seeded sample of larger sets."""
_BATCH = 32
_CHECKED = 32
_CELL_NUMBERS = 64
_CELL_PICTURES = 500
_WIDEST_COVARIANCE = 2048
"""Wider features are reduced by way of the (smaller) matrix of products between pictures."""
_SHRINKAGE = 1e-3


@dataclass(frozen=True)
class ExtractJob:
    """What to make.

    Attributes:
        arch: name in `BACKBONES`.
        directory: pictures to fit the reduction on.
        output: the file to write.
        weights: a file of weights; None: those that a package carries, else torchvision's download.
        size: `(height, width)` in pixels; None: what the network was trained with.
        pooling: `gap`, `gem` or `flatten`.
        dim: reduce to so many numbers by PCA; None keeps all.
        whiten: let each direction count the same; needs `dim`.
        cells: also put out a vector for each place of the feature map, for region queries.
        policy: how pictures are fitted.
        name: for people; None: the network's.
        seed: fixes the sample.
    """

    arch: str
    directory: Path
    output: Path
    weights: Path | None = None
    size: tuple[int, int] | None = None
    pooling: str = "gap"
    dim: int | None = 128
    whiten: bool = True
    cells: bool = False
    policy: str = "pad"
    name: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.dim is not None and self.dim < 1:
            raise InvalidInput(f"dim {self.dim}: expected at least 1")


def extract(job: ExtractJob, on_progress: Progress | None = None) -> ExportReport:
    """Write an encoder from a pretrained network; nothing is learned but the PCA of its features on the given pictures.

    Raises:
        InvalidInput: options that do not go together, or more dimensions than pictures or features allow.
        TrainingError: no weights, wrong or broken ones, or ONNX Runtime and PyTorch disagree.
        DataError: no usable pictures.
    """
    entry = backbone(job.arch)
    height, width = job.size or (entry.side, entry.side)
    config = ExtractorConfig(job.arch, job.pooling, height, width)
    network, source = load_weights(entry, job.weights)
    model = Extractor(config, network).eval()
    fit = Fit(height, width, 3, policy=job.policy)
    listing = list_pictures(job.directory)
    order = np.random.default_rng(job.seed).permutation(len(listing.paths))[:_LOOKED_AT]
    array = pictures.load(listing.take(sorted(order.tolist())), fit, on_progress=on_progress)
    reduction = None
    if job.dim is not None:
        reduction = fit_reduction(_features(model, array.pixels, on_progress), job.dim, whiten=job.whiten)
    cells, shape = _cells(model, array.pixels) if job.cells else (None, None)
    card = EncoderCard(
        name=job.name or f"{job.arch}-{job.pooling}",
        architecture=job.arch,
        fit=fit,
        dim=job.dim or model.dim,
        cells=shape,
        objective="pretrained",
        training={
            "weights": source,
            "pooling": job.pooling,
            "features": model.dim,
            "whitened": reduction is not None and job.whiten,
            "reduced_on": len(array) if reduction is not None else 0,
            "seed": job.seed,
        },
    )
    sample = np.array(array.pixels[:_CHECKED])
    data, difference = build_encoder(Graph(model, reduction, cells), card, sample)
    write_atomically(job.output, data)
    whitened = reduction is not None and job.whiten
    return ExportReport(job.output, card, Encoder(data).fingerprint, len(data), difference, len(sample), whitened)


def fit_reduction(features: torch.Tensor, dim: int, *, whiten: bool) -> Whitening:
    """PCA of features `[n, D]` to `dim` numbers, whitened or not; `InvalidInput` if there are not that many directions."""
    count, width = features.shape
    if dim > min(width, count - 1):
        raise InvalidInput(
            f"dim {dim}: {count} pictures with {width} features each have {min(width, count - 1)} directions; "
            "choose fewer, or give more pictures"
        )
    if whiten and width <= _WIDEST_COVARIANCE:
        return fit_whitening(features, dim)
    mean = features.mean(0)  # [D]
    centred = (features - mean).double()
    if width <= _WIDEST_COVARIANCE:
        variances, directions = torch.linalg.eigh(centred.T @ centred / (count - 1))
        variances, directions = variances.flip(0)[:dim], directions.flip(1)[:, :dim]  # [dim], [D, dim]
    else:
        variances, weights = torch.linalg.eigh(centred @ centred.T / (count - 1))
        variances, weights = variances.flip(0)[:dim].clamp(min=1e-12), weights.flip(1)[:, :dim]
        directions = centred.T @ weights / (variances * (count - 1)).sqrt()  # [D, dim], unit columns
    scale = (variances + _SHRINKAGE * variances.mean()).rsqrt() if whiten else torch.ones_like(variances)
    matrix = (directions * scale).T.float()  # [dim, D]
    return Whitening(matrix, -matrix @ mean)


@torch.no_grad()
def _cells(model: Extractor, pixels: np.ndarray) -> tuple[Whitening, tuple[int, int]]:
    """Whitening of the vectors of all places of some pictures, and `(P, d)`."""
    parts = [
        model.feature_map(to_images(torch.from_numpy(np.array(pixels[begin : begin + _BATCH])))).flatten(2).transpose(1, 2)
        for begin in range(0, min(len(pixels), _CELL_PICTURES), _BATCH)
    ]
    places = torch.cat(parts)  # [n, P, channels]
    numbers = min(_CELL_NUMBERS, places.shape[2])
    return fit_whitening(places.flatten(0, 1), numbers), (places.shape[1], numbers)


@torch.no_grad()
def _features(model: Extractor, pixels: np.ndarray, on_progress: Progress | None) -> torch.Tensor:
    """`[n, D]` of pictures uint8 `[n, H, W, 3]`."""
    parts = []
    for begin in range(0, len(pixels), _BATCH):
        parts.append(model.encode(to_images(torch.from_numpy(np.array(pixels[begin : begin + _BATCH])))))
        if on_progress is not None:
            on_progress("looking at pictures", min(begin + _BATCH, len(pixels)), len(pixels))
    return torch.cat(parts)
