"""Random views: each change does what it is named for, on real pictures, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from semblant_exporter import pictures
from semblant_exporter.augment import Views, view
from semblant_exporter.objectives import to_images
from semblant_search.images import Fit

if TYPE_CHECKING:
    from pathlib import Path

STILL = Views(flip=0, shift=0, zoom=0, stretch=0, rotate=0, exposure=0, gamma=0, colour=0, grey=0)


@pytest.fixture
def images(photos: Path) -> torch.Tensor:
    """Photographs, `[N, 3, 32, 32]` in 0–1."""
    torch.manual_seed(0)
    return to_images(torch.from_numpy(np.array(pictures.load(photos, Fit(32, 32, 3)).pixels)))


def test_a_view_without_changes_is_the_picture(images: torch.Tensor) -> None:
    torch.testing.assert_close(view(images, STILL), images, atol=1e-4, rtol=0)


def test_the_default_view_is_another_picture_of_the_same_shape_and_range(images: torch.Tensor) -> None:
    changed = view(images, Views())
    assert changed.shape == images.shape
    assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
    assert ((changed - images).abs().mean(dim=(1, 2, 3)) > 0.005).all()
    assert not torch.equal(view(images, Views()), changed)


def test_flip_mirrors(images: torch.Tensor) -> None:
    torch.testing.assert_close(view(images, replace(STILL, flip=1.0)), images.flip(3), atol=1e-4, rtol=0)


@pytest.mark.parametrize("change", ["exposure", "gamma"])
def test_light_changes_keep_the_order_of_brightness(change: str, images: torch.Tensor) -> None:
    changed = view(images, replace(STILL, **{change: 0.8}))
    order = images.flatten(1).argsort(1)
    steps = changed.flatten(1).gather(1, order).diff(dim=1)
    assert float(steps.min()) > -1e-3
    assert float((changed - images).abs().mean()) > 0.02


def test_gamma_keeps_black_and_white() -> None:
    ends = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2).repeat(16, 1, 4, 1)
    torch.testing.assert_close(view(ends, replace(STILL, gamma=0.5)), ends, atol=0.02, rtol=0)


def test_grey_takes_the_colour_away(images: torch.Tensor) -> None:
    changed = view(images, replace(STILL, grey=1.0))
    torch.testing.assert_close(changed, changed.mean(1, keepdim=True).expand_as(changed), atol=1e-5, rtol=0)


def test_erasing_replaces_a_rectangle_and_leaves_the_rest(images: torch.Tensor) -> None:
    differs = ((view(images, replace(STILL, erase=1.0)) - images).abs() > 0.01).any(dim=1)  # [N, H, W]
    share = differs.float().mean(dim=(1, 2))
    assert float(share.max()) < 0.5
    assert float((share > 0).float().mean()) > 0.9
