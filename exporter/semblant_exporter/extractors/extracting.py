"""From a folder of pictures and a pretrained network to `encoder.onnx`, without training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from semblant_search.encoder import Encoder, EncoderCard
from semblant_search.errors import DataError, InvalidInput
from semblant_search.images import Fit
from torch.nn.functional import normalize

from semblant_exporter import pictures
from semblant_exporter.checkpoint import write_atomically
from semblant_exporter.export import ExportReport, Graph, build_encoder
from semblant_exporter.listing import list_pictures
from semblant_exporter.objectives import to_images
from semblant_exporter.pictures import spread_out
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
"""Wider features, and those of few pictures, are reduced by way of the (smaller) matrix of products between pictures."""
_SHRINKAGE = 1e-3
_POWERS = (0.0, 0.25, 0.5, 1.0)
_MOST_ASKED = 200


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
        dim: reduce to so many numbers by PCA, or to as many as the pictures have directions; None keeps all.
        whiten: True lets each direction count the same, False leaves them as they are; None: as far as the guide without labels
            says; needs `dim`.
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
    whiten: bool | None = None
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
        InvalidInput: options that do not go together.
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
    reduction, dim, power = None, model.dim, 0.0
    if job.dim is not None:
        features = _features(model, array.pixels, on_progress)
        dim = min(job.dim, model.dim, len(features) - 1)
        if dim < 1:
            raise DataError("one picture has no directions to reduce to; give at least 2, or keep all numbers with --dim 0")
        power = _best_power(model, array.pixels, features, dim) if job.whiten is None else float(job.whiten)
        reduction = fit_reduction(features, dim, power=power)
    cells, shape = _cells(model, array.pixels) if job.cells else (None, None)
    card = EncoderCard(
        name=job.name or f"{job.arch}-{job.pooling}",
        architecture=job.arch,
        fit=fit,
        dim=dim,
        cells=shape,
        objective="pretrained",
        training={
            "weights": source,
            "pooling": job.pooling,
            "features": model.dim,
            "whitened": power,
            "reduced_on": len(array) if reduction is not None else 0,
            "seed": job.seed,
        },
    )
    sample = spread_out(array.pixels, _CHECKED)
    data, difference = build_encoder(Graph(model, reduction, cells), card, sample)
    write_atomically(job.output, data)
    said = f"whitened to the power of {power:g}" if power else "not whitened"
    if job.dim is not None and dim < job.dim:
        said += f"; {dim} numbers in place of {job.dim}: {len(array)} pictures have no more directions"
    return ExportReport(job.output, card, Encoder(data).fingerprint, len(data), difference, len(sample), power > 0, said)


def fit_reduction(features: torch.Tensor, dim: int, *, power: float) -> Whitening:
    """PCA of features `[n, D]` to `dim` numbers, whitened to a power; `InvalidInput` if there are not that many directions."""
    count, width = features.shape
    if dim > min(width, count - 1):
        raise InvalidInput(
            f"dim {dim}: {count} pictures with {width} features each have {min(width, count - 1)} directions; "
            "choose fewer, or give more pictures"
        )
    if power and width <= _WIDEST_COVARIANCE:
        return fit_whitening(features, dim, power)
    mean = features.mean(0)  # [D]
    centred = (features - mean).double()
    if width <= min(_WIDEST_COVARIANCE, count):
        variances, directions = torch.linalg.eigh(centred.T @ centred / (count - 1))
        variances, directions = variances.flip(0)[:dim], directions.flip(1)[:, :dim]  # [dim], [D, dim]
    else:
        variances, weights = torch.linalg.eigh(centred @ centred.T / (count - 1))
        variances, weights = variances.flip(0)[:dim].clamp(min=1e-12), weights.flip(1)[:, :dim]
        directions = centred.T @ weights / (variances * (count - 1)).sqrt()  # [D, dim], unit columns
    scale = (variances + _SHRINKAGE * variances.mean()) ** (-power / 2) if power else torch.ones_like(variances)
    matrix = (directions * scale).T.float()  # [dim, D]
    return Whitening(matrix, -matrix @ mean)


def _best_power(model: Extractor, pixels: np.ndarray, features: torch.Tensor, dim: int) -> float:
    """The power of whitening that the guide without labels likes best, on pictures that the PCA was not fitted on."""
    from semblant_exporter.learners.guide import judge, two_views

    count = len(pixels)
    asked = np.random.default_rng(0).permutation(count)[: min(count // 5, _MOST_ASKED)]
    if not len(asked):
        return 0.0
    learned = np.setdiff1d(np.arange(count), asked)
    changed = _features(model, two_views(pixels[asked]), None)
    scores = {}
    for power in _POWERS:
        reduction = fit_reduction(features[learned], min(dim, len(learned) - 1), power=power)
        parts = (features[learned], features[asked], changed)
        scores[power] = judge(*(normalize(reduction(part), dim=1).numpy() for part in parts)).score
    return max(scores, key=lambda power: scores[power])


@torch.no_grad()
def _cells(model: Extractor, pixels: np.ndarray) -> tuple[Whitening, tuple[int, int]]:
    """Whitening of the vectors of all places of some pictures, and `(P, d)`."""
    some = spread_out(pixels, _CELL_PICTURES)
    parts = [
        model.feature_map(to_images(torch.from_numpy(some[begin : begin + _BATCH]))).flatten(2).transpose(1, 2)
        for begin in range(0, len(some), _BATCH)
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
