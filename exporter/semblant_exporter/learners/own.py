"""A network of the user's own in `learn`: any ONNX that takes pictures, looked through and mapped like those known by name.

The file that comes of it holds the network's graph as it was given, and the head in operators that every opset from 13 on
knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from semblant_search.encoder import Encoder
from semblant_search.errors import TrainingError
from semblant_search.images import Fit
from torch import nn

from semblant_exporter.export import TOLERANCE
from semblant_exporter.extractors.onnx_network import OnnxNetwork, OnnxOptions, Part

if TYPE_CHECKING:
    from pathlib import Path

    from semblant_search.encoder import EncoderCard
    from torch import Tensor

    from semblant_exporter.extractors.onnx_network import Tail

    from .head import Head
    from .stem import Network, Raster, Stem

__all__ = ["OwnNetwork", "own_encoder"]

_SIDE = 224
"""Pixels where the file takes any size: what most such networks were trained with."""


class OwnNetwork(nn.Module):
    """As `stem.Network`, but run by ONNX Runtime: a map or tokens pooled in two ways, or vectors as they are.

    Attributes:
        blocks: numbers of each pooled vector.
        size: `(height, width)` that it takes, or that is given to it.
        source: where its weights came from.

    Raises:
        InvalidInput: no ONNX that takes pictures and gives features.
        TrainingError: it does not run on pictures, or takes no batches of any size.
    """

    def __init__(self, path: Path, options: OnnxOptions) -> None:
        super().__init__()
        self.network = OnnxNetwork(path, options, all_poolings=True)
        self.name, self.source = path.stem, f"file {path.name}"
        self.size = self.network.side or (_SIDE, _SIDE)
        grey = np.full((2, *self.fit.shape), 127, np.uint8)
        grey[1, : self.size[0] // 2] = 64  # two that differ: whether a batch is mixed is looked at with them
        width = self.network.features(self.fit, grey).shape[1]
        kinds = len(self.network.poolings)
        self.blocks = (width // kinds,) * kinds

    @property
    def fit(self) -> Fit:
        """How pictures are fitted for it."""
        return Fit(*self.size, 3)

    def forward(self, images: Tensor) -> Tensor:
        """`[N, sum of blocks]` of images `[N, 3, H, W]` in 0–1 that were uint8 before."""
        pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        return self.network.features(self.fit, pixels)


def own_encoder(stem: Stem, head: Head, card: EncoderCard, pictures: np.ndarray) -> bytes:
    """The bytes of an encoder file: the network, beside it a raster of pixels if the stem has one, and the head.

    Args:
        stem: an `OwnNetwork`, and perhaps a `Raster` after it.
        head: fitted on its blocks.
        card: goes in as metadata.
        pictures: real ones to compare on, uint8 `[n, H, W, 3]`.

    Raises:
        TrainingError: the file differs from what was measured by more than `TOLERANCE`.
    """
    own, *rest = stem.members
    assert isinstance(own, OwnNetwork)

    def mapped(last: str) -> Part:
        return _head(head, last, own.blocks, [_raster(part, card.fit) for part in rest])

    tail: Tail = mapped
    data = own.network.encoder(card.fit, [tail], card)
    with torch.no_grad():
        expected = nn.functional.normalize(head(stem.split(stem(torch.from_numpy(np.array(pictures))))), dim=1).numpy()
    difference = float(np.abs(Encoder(data).encode(np.array(pictures)) - expected).max())
    if not difference <= TOLERANCE:
        raise TrainingError(f"{own.name}: the encoder differs from the network by {difference:.2g}; nothing was written")
    return data


def _raster(raster: Network | OwnNetwork | Raster, fit: Fit) -> Part:
    """What `stem.Raster` computes, from the uint8 `images` themselves: places, channels first, square-rooted."""
    from onnx import TensorProto, helper

    places = round((raster.blocks[0] / 3) ** 0.5)
    cell = [fit.height // places, fit.width // places]
    nodes = [
        helper.make_node("Cast", ["images"], ["semblant/levels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["semblant/levels"], ["semblant/planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["semblant/planes"], ["semblant/means"], kernel_shape=cell, strides=cell),
        helper.make_node(
            "Slice",
            ["semblant/means", "semblant/raster/first", "semblant/raster/end", "semblant/raster/sides"],
            ["semblant/raster-means"],
        ),
        helper.make_node("Mul", ["semblant/raster-means", "semblant/raster/brightest"], ["semblant/colours"]),
        helper.make_node("Add", ["semblant/colours", "semblant/raster/little"], ["semblant/raised-colours"]),
        helper.make_node("Sqrt", ["semblant/raised-colours"], ["semblant/roots"]),
        helper.make_node("Flatten", ["semblant/roots"], ["semblant/raster"], axis=1),
    ]
    corners = {"first": [0, 0], "end": [places, places], "sides": [2, 3]}
    constants: dict[str, np.ndarray] = {
        **{name: np.array(value, np.int64) for name, value in corners.items()},
        "brightest": np.array(1 / 255, np.float32),
        "little": np.array(1e-6, np.float32),
    }
    return Part(nodes, "semblant/raster", [(f"semblant/raster/{name}", value) for name, value in constants.items()])


def _head(head: Head, features: str, blocks: tuple[int, ...], beside: list[Part]) -> Part:
    """The head on the network's features `[N, sum of blocks]`, and on further blocks."""
    from onnx import helper

    nodes = [node for part in beside for node in part.nodes]
    constants = [constant for part in beside for constant in part.constants]
    names = [f"semblant/block{number}" for number in range(len(blocks))]
    nodes.append(helper.make_node("Split", [features, "semblant/sizes"], names, axis=1))
    constants.append(("semblant/sizes", np.array(blocks, np.int64)))
    reduced = []
    for number, (name, block) in enumerate(zip([*names, *(part.last for part in beside)], head.blocks, strict=True)):
        own = f"semblant/{number}"
        if block.root:
            nodes += [
                helper.make_node("Sign", [name], [f"{own}/sign"]),
                helper.make_node("Abs", [name], [f"{own}/size"]),
                helper.make_node("Sqrt", [f"{own}/size"], [f"{own}/root"]),
                helper.make_node("Mul", [f"{own}/sign", f"{own}/root"], [f"{own}/rooted"]),
            ]
            name = f"{own}/rooted"
        nodes += [
            helper.make_node("Sub", [name, f"{own}/mean"], [f"{own}/centred"]),
            helper.make_node("LpNormalization", [f"{own}/centred"], [f"{own}/unit"], axis=1, p=2),
            _linear(f"{own}/unit", own, block.linear, constants),
        ]
        mean = block.mean
        assert isinstance(mean, torch.Tensor)
        constants.append((f"{own}/mean", mean.detach().numpy()))
        reduced.append(f"{own}/mapped")
    nodes += [
        helper.make_node("Concat", reduced, ["semblant/joined"], axis=1),
        _linear("semblant/joined", "semblant/joint", head.joint, constants),
        helper.make_node("LpNormalization", ["semblant/joint/mapped"], ["semblant/z"], axis=1, p=2),
        _linear("semblant/z", "semblant/end", head.last, constants),
    ]
    return Part(nodes, "semblant/end/mapped", constants)


def _linear(given: str, own: str, layer: Any, constants: list[tuple[str, np.ndarray]]) -> Any:
    from onnx import helper

    constants += [(f"{own}/matrix", layer.weight.detach().numpy()), (f"{own}/bias", layer.bias.detach().numpy())]
    return helper.make_node("Gemm", [given, f"{own}/matrix", f"{own}/bias"], [f"{own}/mapped"], transB=1)
