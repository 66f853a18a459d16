"""From the features of frozen networks to 128 numbers: a few linear maps, fitted on the pictures without labels in seconds.

Each block of features (a network's map, pooled in one way) is centred, brought to unit length and reduced by PCA; the blocks
side by side are reduced again, and then, where the pictures are enough, mapped by a ridge regression onto the mean of each
picture's neighbours beside its place in the graph of all neighbours, which is the same linear map for pictures that come later.
Last comes a PCA to the numbers of the vector, whitened as far as the collection wants it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from semblant_exporter.extractors.extracting import fit_reduction
from semblant_exporter.whitening import fit_whitening, ledoit_wolf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from semblant_exporter.whitening import Whitening

__all__ = ["FEWEST_FOR_NEIGHBOURS", "FEWEST_FOR_PLACES", "Head", "HeadOptions", "fit_head", "fit_heads"]

BLOCK_NUMBERS = 384
JOINT_NUMBERS = 512
NEIGHBOURS = 80
"""That the ridge's targets are averaged over: measured on photographs, where 80 is more than a class has of few pictures."""
_NEIGHBOUR_SHARE = 16
"""One in so many of all pictures at most."""
_GRAPH_NUMBERS = 128
"""Coordinates in the graph of neighbours: 64 were worse by .003 of P@10, 32 by .01."""
_GRAPH_SHARE = 4
"""One for so many pictures at most."""
_GRAPH_STEPS = 60
_ROUNDS = 3
"""Of mapping: each begins with the neighbours that the last one found. The second and third bring .005, a fourth nothing."""
_WORTH_ROUNDS = 1000
"""Pictures from which on: of 500 and 800 more rounds cost a hundredth of accuracy."""
_ROUND_NUMBERS, _ROUND_POWER = 128, 0.25
"""Of the vectors by which a round finds neighbours."""
FEWEST_FOR_NEIGHBOURS = 300
"""Below, a class may have fewer pictures than the targets have neighbours: at 15 a class, accuracy fell."""
FEWEST_FOR_PLACES = 20
_FEW_SHARE, _FEW_LEAST, _FEW_MOST = 7, 5, 10
"""Neighbours in the graph of few pictures: one for so many pictures, and at least and at most so many."""
_FEW_GRAPH_NUMBERS = 7
"""Of few pictures: over 200 sets of 6 × 6 and of 6 × 12, seven to twenty did as well."""
_RIDGE = 0.1


@dataclass(frozen=True)
class HeadOptions:
    """How features become vectors.

    Attributes:
        dim: numbers of a vector, at most.
        power: of whitening, 0–1.
        root: take the square root of each feature, keeping its sign: loud ones count less.
        neighbours: map onto the mean of each picture's neighbours, beside its place in the graph of all; of few pictures onto
            themselves beside that place.
        weights: of the blocks beside each other; None: all alike.
    """

    dim: int = 128
    power: float = 0.0
    root: bool = False
    neighbours: bool = True
    weights: tuple[float, ...] | None = None


class Head(nn.Module):
    """`forward` maps the blocks, each `[N, d]`, to `[N, D]`, not of unit length.

    Attributes:
        shrinkage: how far the variances that whitening divides by were moved towards their mean.
    """

    def __init__(self, blocks: Sequence[_Block], joint: nn.Linear, last: nn.Linear, shrinkage: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.joint, self.last, self.shrinkage = joint, last, shrinkage
        self.dim = last.out_features

    def forward(self, blocks: Sequence[Tensor]) -> Tensor:
        """Vectors `[N, D]`."""
        parts = [block(features) for block, features in zip(self.blocks, blocks, strict=True)]  # each [N, 384]
        z = F.normalize(self.joint(torch.cat(parts, 1)), dim=1)  # [N, 512]
        vectors: Tensor = self.last(z)  # [N, D]
        return vectors


class _Block(nn.Module):
    """One kind of features: centred, of unit length, reduced."""

    mean: Tensor

    def __init__(self, mean: Tensor, reduction: Whitening, weight: float, *, root: bool) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.linear, self.root = _linear(reduction.matrix * weight, reduction.bias * weight), root

    def forward(self, features: Tensor) -> Tensor:
        """`[N, d]` to `[N, 384]`."""
        if self.root:
            features = features.sign() * features.abs().sqrt()
        reduced: Tensor = self.linear(F.normalize(features - self.mean, dim=1))
        return reduced


@torch.no_grad()
def fit_head(blocks: Sequence[Tensor], options: HeadOptions) -> Head:
    """Fit on features of the pictures that are learned from, each block `[n, d]`, n at least 2."""
    return next(fit_heads(blocks, options, [options.power]))


@torch.no_grad()
def fit_heads(blocks: Sequence[Tensor], options: HeadOptions, powers: Sequence[float]) -> Iterator[Head]:
    """As `fit_head`, one head for each power of whitening: all else is fitted once."""
    count = len(blocks[0])
    weights = options.weights or (1.0,) * len(blocks)
    fitted = [_fit_block(features, weight, options) for features, weight in zip(blocks, weights, strict=True)]
    side_by_side = torch.cat([block(features) for block, features in zip(fitted, blocks, strict=True)], 1)  # [n, B · 384]
    joint = _of(fit_reduction(side_by_side, min(JOINT_NUMBERS, side_by_side.shape[1], count - 1), power=0.0))
    z = F.normalize(joint(side_by_side), dim=1)  # [n, 512]
    smoothing = _mapping(z) if options.neighbours else None
    mapped = z if smoothing is None else z @ smoothing  # [n, 512]
    shrinkage = ledoit_wolf(mapped)
    for power in powers:
        reduction = fit_whitening(mapped, min(options.dim, z.shape[1]), power, shrinkage)
        matrix = reduction.matrix if smoothing is None else reduction.matrix @ smoothing.T  # [D, 512]
        yield Head(fitted, joint, _linear(matrix, reduction.bias), shrinkage if power else 0.0).eval()


def _fit_block(features: Tensor, weight: float, options: HeadOptions) -> _Block:
    if options.root:
        features = features.sign() * features.abs().sqrt()
    mean = features.mean(0)
    unit = F.normalize(features - mean, dim=1)  # [n, d]
    reduction = fit_reduction(unit, min(BLOCK_NUMBERS, unit.shape[1], len(unit) - 1), power=0.0)
    return _Block(mean, reduction, weight, root=options.root)


def _mapping(z: Tensor) -> Tensor | None:
    if len(z) < FEWEST_FOR_PLACES:
        return None
    return _onto_places(z) if len(z) < FEWEST_FOR_NEIGHBOURS else _onto_neighbours(z)


def _onto_places(z: Tensor) -> Tensor:
    """`[d, t]`: of few pictures, whose neighbours are of other classes too often: a ridge onto themselves and their places."""
    weights = _neighbour_weights(z, min(_FEW_MOST, max(_FEW_LEAST, len(z) // _FEW_SHARE)), 1).to_dense()
    both = weights + weights.T
    scale = both.sum(1).clamp(min=1e-9).rsqrt()  # [n]
    values, vectors = torch.linalg.eigh((scale[:, None] * both * scale).double())
    kept = slice(-_FEW_GRAPH_NUMBERS, None)
    places = F.normalize(vectors[:, kept] * values[kept].clamp(min=0), dim=1).float()
    return _ridge(z, torch.cat([z, places], 1))


def _onto_neighbours(z: Tensor) -> Tensor:
    """`[d, t]`: a ridge regression of unit vectors `[n, d]` onto themselves plus their neighbours, and onto their places."""
    found, mapping = z, torch.empty(0)
    for last in range(_ROUNDS - 1 if len(z) >= _WORTH_ROUNDS else 0, -1, -1):
        weights = _neighbour_weights(found, min(NEIGHBOURS, len(z) // _NEIGHBOUR_SHARE), 3)
        around = F.normalize(found + weights @ found, dim=1)  # [n, d]
        mapping = _ridge(z, torch.cat([around, _places_in_graph(weights)], 1))
        if last:
            mapped = z @ mapping
            reduction = fit_whitening(mapped, min(_ROUND_NUMBERS, mapped.shape[1]), _ROUND_POWER)
            found = F.normalize(reduction(mapped), dim=1)
    return mapping


def _ridge(z: Tensor, wanted: Tensor) -> Tensor:
    """`[d, t]`: from unit vectors `[n, d]` to targets `[n, t]`."""
    exact = z.double()
    products = exact.T @ exact  # [d, d]
    ridge: Tensor = _RIDGE * products.diagonal().mean() * torch.eye(len(products), dtype=torch.float64)
    solved: Tensor = torch.linalg.solve(products + ridge, exact.T @ wanted.double())
    return solved.float()


def _neighbour_weights(z: Tensor, k: int, power: int) -> Tensor:
    """Sparse `[n, n]`: for each unit vector its k nearest, by a power of their cosine."""
    count = len(z)
    rows, values = [], []
    for part in torch.split(torch.arange(count), 1024):
        cosines = z[part] @ z.T  # [b, n]
        cosines[torch.arange(len(part)), part] = -1  # a picture is no neighbour of itself
        best, places = cosines.topk(k, dim=1)
        rows.append(places)
        values.append(best.clamp(min=0).pow(power))
    places = torch.stack([torch.arange(count).repeat_interleave(k), torch.cat(rows).flatten()])  # [2, n · k]
    return torch.sparse_coo_tensor(places, torch.cat(values).flatten(), (count, count), check_invariants=True).coalesce()


def _places_in_graph(weights: Tensor) -> Tensor:
    """Unit vectors `[n, m]`, m 128 or a quarter of n: near where many short ways through the graph lead, as within a kind.

    Source: Ng, Jordan, Weiss: On Spectral Clustering (2001); of the normalised graph the eigenvectors of the largest values,
    weighted by these.
    """
    both = (weights + weights.T).coalesce()
    scale = torch.sparse.sum(both, 1).to_dense().clamp(min=1e-9).rsqrt()  # [n]
    row, column = both.indices()
    values = both.values() * scale[row] * scale[column]
    normalised = torch.sparse_coo_tensor(both.indices(), values, both.shape, check_invariants=True).coalesce()
    numbers = min(_GRAPH_NUMBERS, len(scale) // _GRAPH_SHARE)
    start = torch.randn(len(scale), numbers, generator=torch.Generator().manual_seed(0))
    values, vectors = torch.lobpcg(normalised, k=numbers, X=start, niter=_GRAPH_STEPS, largest=True)
    return F.normalize(vectors * values.clamp(min=0), dim=1)


def _of(reduction: Whitening) -> nn.Linear:
    return _linear(reduction.matrix, reduction.bias)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight, layer.bias = nn.Parameter(weight.detach().clone()), nn.Parameter(bias.detach().clone())
    return layer
