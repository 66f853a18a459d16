"""Random views of pictures: what may change about a picture without making it another one.

Batched, with parameters drawn for each picture (torchvision's transforms draw one set for a whole batch).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

__all__ = ["Views", "view"]


@dataclass(frozen=True)
class Views:
    """How far a view may be from its picture.

    Attributes:
        flip: probability of a horizontal mirror image.
        shift: largest move, as a share of the side.
        zoom: largest change of size, as a natural logarithm: 0.1 is from 90 % to 110 %.
        stretch: largest change of the aspect ratio, likewise.
        rotate: largest angle in degrees.
        exposure: largest change of brightness, as a natural logarithm.
        gamma: largest change of the mid-tones: the logarithm of the exponent that brightness is raised to.
        colour: largest change of the balance between channels, likewise; only where there are three.
        grey: probability of losing the colour; only where there are three channels.
        erase: probability of a rectangle of noise, with sides of 1/7 to 4/7 of the picture's.
    """

    flip: float = 0.5
    shift: float = 0.06
    zoom: float = 0.1
    stretch: float = 0.06
    rotate: float = 5.0
    exposure: float = 0.4
    gamma: float = 0.7
    colour: float = 0.2
    grey: float = 0.1
    erase: float = 0.0


def view(images: Tensor, views: Views) -> Tensor:
    """One random view of each picture: float `[N, C, H, W]` in 0–1, as the input."""
    images = _warp(images, views)
    count, channels = images.shape[:2]
    if channels == 3:
        grey = images.mean(1, keepdim=True)  # [N, 1, H, W]
        images = torch.where(torch.rand(count, 1, 1, 1, device=images.device) < views.grey, grey, images)
        images = images * torch.exp(_symmetric(images, count, channels, 1, 1) * views.colour)
    if views.gamma:
        images = images.clamp(min=1e-3) ** torch.exp(_symmetric(images, count, 1, 1, 1) * views.gamma)
    if views.exposure:
        images = images * torch.exp(_symmetric(images, count, 1, 1, 1) * views.exposure)
    images = images.clamp(0, 1)
    return _erase(images, views.erase) if views.erase else images


def _warp(images: Tensor, views: Views) -> Tensor:
    count, device = len(images), images.device
    zoom = torch.exp(_symmetric(images, count) * views.zoom)
    stretch = torch.exp(_symmetric(images, count) * views.stretch)
    angle = _symmetric(images, count) * math.radians(views.rotate)
    mirror = torch.where(torch.rand(count, device=device) < views.flip, -1.0, 1.0)
    shift = _symmetric(images, count, 2) * 2 * views.shift  # affine_grid counts a side as 2
    cos, sin = torch.cos(angle), torch.sin(angle)
    tall = images.shape[2] / images.shape[3]  # a turn is one of pixels, and both sides count as 2
    across = torch.stack([mirror * zoom * stretch * cos, -zoom / stretch * sin * tall, shift[:, 0]], 1)  # [N, 3]
    down = torch.stack([mirror * zoom * stretch * sin / tall, zoom / stretch * cos, shift[:, 1]], 1)  # [N, 3]
    grid = F.affine_grid(torch.stack([across, down], 1), list(images.shape), align_corners=False)  # [N, H, W, 2]
    # The border goes on outside the picture, so that white backgrounds stay white and black ones black.
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _erase(images: Tensor, probability: float) -> Tensor:
    count, _, height, width = images.shape
    inside = torch.rand(count, 1, 1, 1, device=images.device) < probability
    for axis, side in ((2, height), (3, width)):
        places = torch.arange(side, device=images.device).view([-1 if dim == axis else 1 for dim in range(4)])
        centre = torch.rand(count, 1, 1, 1, device=images.device) * side
        reach = (1 + 3 * torch.rand(count, 1, 1, 1, device=images.device)) * side / 14
        inside = inside & ((places - centre).abs() < reach)
    return torch.where(inside, torch.rand(count, 1, 1, 1, device=images.device), images)


def _symmetric(like: Tensor, *shape: int) -> Tensor:
    """Uniform in -1–1."""
    return torch.rand(*shape, device=like.device) * 2 - 1
