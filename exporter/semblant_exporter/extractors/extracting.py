"""From a folder of pictures and a pretrained network to `encoder.onnx`, without training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from semblant_search.encoder import Encoder, EncoderCard
from semblant_search.errors import DataError, InvalidInput, TrainingError
from semblant_search.images import Fit
from semblant_search.shown import counted
from torch.nn.functional import normalize

from semblant_exporter import pictures
from semblant_exporter.checkpoint import check_writable, write_atomically
from semblant_exporter.export import TOLERANCE, ExportReport, Graph, build_encoder
from semblant_exporter.listing import list_pictures
from semblant_exporter.objectives import to_images
from semblant_exporter.pictures import spread_out
from semblant_exporter.whitening import Whitening, fit_whitening

from .backbones import IMAGENET, backbone, load_weights
from .extractor import Extractor, ExtractorConfig
from .onnx_network import OnnxNetwork, OnnxOptions, is_onnx, reduced

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_exporter.pictures import PictureArray

    Progress = Callable[[str, int, int | None], None]
    Features = Callable[[np.ndarray, Progress | None], torch.Tensor]

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
        arch: name in `BACKBONES`, or the path of an ONNX file that takes pictures.
        directory: pictures to fit the reduction on.
        output: the file to write.
        weights: a file of weights; None: those that a package carries, else torchvision's download.
        size: `(height, width)` in pixels; None: what the network was trained with.
        pooling: `gap`, `gem` or `flatten`; of an ONNX file that gives tokens, `cls`, too.
        dim: reduce to so many numbers by PCA, or to as many as the pictures have directions; None keeps all.
        whiten: True lets each direction count the same, False leaves them as they are; None: as far as the guide without labels
            says; needs `dim`.
        cells: also put out a vector for each place of the feature map, for region queries.
        policy: how pictures are fitted.
        name: for people; None: the network's.
        seed: fixes the sample.
        mean, std: of each channel for pixels in 0–1, as the ONNX file expects them; None: ImageNet's.
        features: name of the ONNX file's output to take; None: the first.
        mirror: take the mean with what is seen of the mirror image, for twice the time; not of an ONNX file.
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
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    features: str | None = None
    mirror: bool = False

    def __post_init__(self) -> None:
        if self.dim is not None and self.dim < 1:
            raise InvalidInput(f"dim {self.dim}: expected at least 1")
        if self.std is not None and min(self.std) <= 0:
            raise InvalidInput(f"std {self.std}: expected three numbers above 0, for pixels in 0–1")


def extract(job: ExtractJob, on_progress: Progress | None = None) -> ExportReport:
    """Write an encoder from a pretrained network; nothing is learned but the PCA of its features on the given pictures.

    Raises:
        InvalidInput: options that do not go together.
        TrainingError: no weights, wrong or broken ones, a place that cannot be written, or ONNX Runtime and PyTorch disagree.
        DataError: no usable pictures.
    """
    own = [name for name in ("mean", "std", "features") if getattr(job, name) is not None]
    if own and not is_onnx(job.arch):
        raise InvalidInput(f"{own[0]} with {job.arch}: its own are known; they are for ONNX files")
    if is_onnx(job.arch) and (job.cells or job.mirror or job.weights is not None):
        raise InvalidInput(
            f"{job.arch}: an ONNX file has its weights, and gives neither cells nor the mean with the mirror image; "
            "leave --weights, --cells and --mirror away"
        )
    check_writable(job.output)
    return _extract_onnx(job, on_progress) if is_onnx(job.arch) else _extract_known(job, on_progress)


def _extract_known(job: ExtractJob, on_progress: Progress | None) -> ExportReport:
    entry = backbone(job.arch)
    height, width = job.size or (entry.side, entry.side)
    config = ExtractorConfig(job.arch, job.pooling, height, width, job.mirror)
    network, source = load_weights(entry, job.weights, on_progress)
    model = Extractor(config, network).eval()
    fit = Fit(height, width, 3, policy=job.policy)
    array = _sample(job, fit, on_progress)
    reduction, power = _reduce(job, lambda pixels, progress: _features(model, pixels, progress), array, on_progress)
    cells, shape = _cells(model, array.pixels) if job.cells else (None, None)
    dim = model.dim if reduction is None else len(reduction.bias)
    card = _card(
        job, job.arch, fit, dim, power, len(array), {"weights": source, "features": model.dim, "mirror": job.mirror}, shape
    )
    sample = spread_out(array.pixels, _CHECKED)
    data, difference = build_encoder(Graph(model, reduction, cells), card, sample)
    return _write(job, card, data, difference, len(sample), len(array))


def _extract_onnx(job: ExtractJob, on_progress: Progress | None) -> ExportReport:
    path = Path(job.arch)
    options = OnnxOptions(job.mean or IMAGENET[0], job.std or IMAGENET[1], job.pooling, job.features)
    network = OnnxNetwork(path, options)
    if job.size and network.side and job.size != network.side:
        raise InvalidInput(f"size {job.size[0]}×{job.size[1]}: {path.name} takes {network.side[0]}×{network.side[1]} alone")
    height, width = job.size or network.side or (224, 224)
    fit = Fit(height, width, 3, policy=job.policy)
    array = _sample(job, fit, on_progress)

    def look(pixels: np.ndarray, progress: Progress | None) -> torch.Tensor:
        return network.features(fit, pixels, progress)

    reduction, power = _reduce(job, look, array, on_progress)
    sample = spread_out(array.pixels, _CHECKED)
    expected = look(sample, None) if reduction is None else reduction(look(sample, None))  # [n, D]
    facts = {"weights": f"file {path.name}", "features": network.dim, "mean": options.mean, "std": options.std}
    card = _card(job, path.stem, fit, expected.shape[1], power, len(array), facts)
    data = network.encoder(fit, [] if reduction is None else [reduced(reduction)], card)
    difference = float(np.abs(Encoder(data).encode(np.array(sample)) - normalize(expected, dim=1).numpy()).max())
    if not difference <= TOLERANCE:
        raise TrainingError(f"{path.name}: the encoder differs from the network by {difference:.2g}; nothing was written")
    return _write(job, card, data, difference, len(sample), len(array))


def _sample(job: ExtractJob, fit: Fit, on_progress: Progress | None) -> PictureArray:
    listing = list_pictures(job.directory)
    order = np.random.default_rng(job.seed).permutation(len(listing.paths))[:_LOOKED_AT]
    return pictures.load(listing.take(sorted(order.tolist())), fit, on_progress=on_progress)


def _reduce(
    job: ExtractJob, look: Features, array: PictureArray, on_progress: Progress | None
) -> tuple[Whitening | None, float]:
    """The PCA that is asked for, fitted on the sample, and its power of whitening; None to keep all numbers."""
    if job.dim is None:
        return None, 0.0
    features = look(array.pixels, on_progress)
    dim = min(job.dim, features.shape[1], len(features) - 1)
    if dim < 1:
        raise DataError("one picture has no directions to reduce to; give at least 2, or keep all numbers with --dim 0")
    power = _best_power(look, array.pixels, features, dim) if job.whiten is None else float(job.whiten)
    return fit_reduction(features, dim, power=power), power


def _card(
    job: ExtractJob,
    arch: str,
    fit: Fit,
    dim: int,
    power: float,
    looked_at: int,
    facts: dict[str, object],
    cells: tuple[int, int] | None = None,
) -> EncoderCard:
    return EncoderCard(
        name=job.name or f"{arch}-{job.pooling}",
        architecture=arch,
        fit=fit,
        dim=dim,
        cells=cells,
        objective="pretrained",
        training={
            **facts,
            "pooling": job.pooling,
            "whitened": power,
            "reduced_on": looked_at if job.dim is not None else 0,
            "seed": job.seed,
        },
    )


def _write(job: ExtractJob, card: EncoderCard, data: bytes, difference: float, checked: int, looked_at: int) -> ExportReport:
    write_atomically(job.output, data)
    power = card.training["whitened"]
    said = f"whitened to the power of {power:g}" if power else "not whitened"
    if job.dim is not None and card.dim < job.dim:
        said += (
            f"; {counted(card.dim, 'number')} in place of {job.dim}: {counted(looked_at, 'picture')} have no more directions"
        )
    return ExportReport(job.output, card, Encoder(data).fingerprint, len(data), difference, checked, power > 0, said)


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


def _best_power(look: Features, pixels: np.ndarray, features: torch.Tensor, dim: int) -> float:
    """The power of whitening that the guide without labels likes best, on pictures that the PCA was not fitted on."""
    from semblant_exporter.learners.guide import judge, two_views

    count = len(pixels)
    asked = np.random.default_rng(0).permutation(count)[: min(count // 5, _MOST_ASKED)]
    if not len(asked):
        return 0.0
    learned = np.setdiff1d(np.arange(count), asked)
    changed = look(two_views(pixels[asked]), None)
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
