"""How far views go: each parameter is the largest change, is reached, and has both signs. Measured on pictures of one slope."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import pytest
import torch
from semblant_exporter.augment import Views, view

STILL = Views(flip=0, shift=0, zoom=0, stretch=0, rotate=0, exposure=0, gamma=0, colour=0, grey=0)
COUNT, SIDE = 800, 32


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def slopes(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Change of brightness a pixel, across and down, at the middle of each picture: 2 × `[N]`."""
    middle = images[:, 0, SIDE // 2 - 4 : SIDE // 2 + 4, SIDE // 2 - 4 : SIDE // 2 + 4]
    return middle.diff(dim=2).mean((1, 2)), middle.diff(dim=1).mean((1, 2))


def ramp(axis: str) -> torch.Tensor:
    """Brightness is the place: from 0.1 to 0.9, across or down."""
    line = 0.1 + 0.8 * (torch.arange(SIDE) + 0.5) / SIDE
    picture = line.view(1, 1, 1, -1).expand(1, 1, SIDE, SIDE) if axis == "across" else line.view(1, 1, -1, 1)
    return picture.expand(COUNT, 1, SIDE, SIDE).contiguous()


STEP = 0.8 / SIDE


def reaches(values: torch.Tensor, most: float) -> None:
    """Uniform from `-most` to `most`."""
    assert float(values.max()) == pytest.approx(most, rel=0.03)
    assert float(values.min()) == pytest.approx(-most, rel=0.03)
    assert float(values.abs().mean()) == pytest.approx(most / 2, rel=0.1)


@pytest.mark.parametrize("axis", ["across", "down"])
def test_pictures_move_by_a_share_of_their_side(axis: str) -> None:
    changed = view(ramp(axis), replace(STILL, shift=0.1))
    here = SIDE // 2
    moved = (changed - ramp(axis))[:, 0, here, here] / STEP / SIDE
    reaches(moved, 0.1)
    other = slopes(changed)[1 if axis == "across" else 0]
    assert float(other.abs().max()) < 1e-5


def test_both_directions_move_apart_from_each_other() -> None:
    torch.manual_seed(1)
    across = view(ramp("across"), replace(STILL, shift=0.1))[:, 0, 16, 16]
    torch.manual_seed(1)
    down = view(ramp("down"), replace(STILL, shift=0.1))[:, 0, 16, 16]
    assert abs(float(torch.corrcoef(torch.stack([across, down]))[0, 1])) < 0.15


def test_zoom_changes_both_sides_alike_and_stretch_against_each_other() -> None:
    torch.manual_seed(1)
    across, _ = slopes(view(ramp("across"), replace(STILL, zoom=0.2)))
    torch.manual_seed(1)
    _, down = slopes(view(ramp("down"), replace(STILL, zoom=0.2)))
    reaches(torch.log(across / STEP), 0.2)
    torch.testing.assert_close(across, down, atol=1e-4, rtol=0)
    torch.manual_seed(1)
    across, _ = slopes(view(ramp("across"), replace(STILL, stretch=0.15)))
    torch.manual_seed(1)
    _, down = slopes(view(ramp("down"), replace(STILL, stretch=0.15)))
    reaches(torch.log(across / STEP), 0.15)
    torch.testing.assert_close(across * down, torch.full((COUNT,), STEP**2), atol=1e-5, rtol=1e-3)


def test_pictures_turn_by_degrees() -> None:
    across, down = slopes(view(ramp("across"), replace(STILL, rotate=12.0)))
    reaches(torch.rad2deg(torch.atan2(down, across)), 12.0)
    torch.testing.assert_close(across.square() + down.square(), torch.full((COUNT,), STEP**2), atol=1e-6, rtol=1e-3)


def test_flip_is_a_probability() -> None:
    across, down = slopes(view(ramp("across"), replace(STILL, flip=0.2)))
    assert float((across < 0).float().mean()) == pytest.approx(0.2, abs=0.04)
    assert (slopes(view(ramp("down"), replace(STILL, flip=1.0)))[1] > 0).all()  # a mirror image is not upside down
    assert float(down.abs().max()) < 1e-5


@pytest.mark.parametrize("channels", [1, 3])
def test_exposure_is_a_factor_and_gamma_an_exponent(channels: int) -> None:
    grey = torch.full((COUNT, channels, 4, 4), 0.4)
    lit = view(grey, replace(STILL, exposure=0.3))
    reaches(torch.log(lit[:, 0, 0, 0] / 0.4), 0.3)
    bent = view(grey, replace(STILL, gamma=0.5))
    reaches(torch.log(torch.log(bent[:, 0, 0, 0]) / math.log(0.4)), 0.5)
    for images in (lit, bent):
        torch.testing.assert_close(images, images[:, :1].expand_as(images))  # all channels alike
    assert float(view(torch.ones(COUNT, 1, 2, 2), replace(STILL, exposure=0.3)).max()) == 1  # never brighter than white


def test_colour_changes_each_channel_for_itself_and_only_where_there_are_three() -> None:
    tinted = view(torch.full((COUNT, 3, 4, 4), 0.4), replace(STILL, colour=0.2))
    for channel in range(3):
        reaches(torch.log(tinted[:, channel, 0, 0] / 0.4), 0.2)
    assert float((tinted[:, 0] - tinted[:, 1]).abs().mean()) > 0.02
    grey = torch.full((COUNT, 1, 4, 4), 0.4)
    torch.testing.assert_close(view(grey, replace(STILL, colour=0.2, grey=1.0)), grey)


def test_grey_is_a_probability_and_the_mean_of_the_channels() -> None:
    coloured = torch.tensor([0.2, 0.4, 0.9]).view(1, 3, 1, 1).repeat(COUNT, 1, 4, 4)
    changed = view(coloured, replace(STILL, grey=0.3))
    lost = (changed - 0.5).abs().amax((1, 2, 3)) < 1e-5
    assert float(lost.float().mean()) == pytest.approx(0.3, abs=0.05)
    torch.testing.assert_close(changed[~lost], coloured[~lost])


def test_what_is_erased_is_one_rectangle_of_one_to_four_sevenths_of_the_sides() -> None:
    images = torch.full((COUNT, 3, SIDE, SIDE), 0.5)
    changed = view(images, replace(STILL, erase=0.4))
    gone = (changed != 0.5).any(1)  # [N, H, W]
    erased = gone.flatten(1).any(1)
    assert float(erased.float().mean()) == pytest.approx(0.4, abs=0.05)
    tall, wide = gone.any(2).sum(1)[erased], gone.any(1).sum(1)[erased]
    assert torch.equal(gone[erased].sum((1, 2)), tall * wide)  # a rectangle
    for side in (tall, wide):
        assert SIDE * 4 / 7 - 2 < int(side.max()) <= math.ceil(SIDE * 4 / 7)
        assert int(side.median()) == pytest.approx(SIDE * 2.5 / 7 * 0.85, rel=0.15)  # some reach over the border
    assert int((tall != wide).sum()) > 50
    values = changed.amax((1, 2, 3))[erased], changed.amin((1, 2, 3))[erased]
    assert float(values[0].max()) > 0.95
    assert float(values[1].min()) < 0.05
    assert torch.equal(view(images, STILL), images)


def test_the_border_goes_on_outside_the_picture() -> None:
    white = torch.ones(50, 1, SIDE, SIDE)
    torch.testing.assert_close(view(white, replace(STILL, shift=0.4, rotate=30, zoom=0.5)), white)


def test_a_seed_makes_the_same_views_again() -> None:
    images = torch.rand(6, 3, SIDE, SIDE)
    torch.manual_seed(7)
    first = view(images, Views(erase=0.5))
    torch.manual_seed(7)
    assert torch.equal(view(images, Views(erase=0.5)), first)
    assert not torch.equal(view(images, Views(erase=0.5)), first)


def test_the_views_that_are_learned_from_by_default() -> None:
    assert asdict(Views()) == {
        "flip": 0.5,
        "shift": 0.06,
        "zoom": 0.1,
        "stretch": 0.06,
        "rotate": 5.0,
        "exposure": 0.4,
        "gamma": 0.7,
        "colour": 0.2,
        "grey": 0.1,
        "erase": 0.0,
    }


def test_a_turn_of_a_picture_that_is_no_square_shears_nothing() -> None:
    """A ramp along the side keeps its slope in pixels, whichever way the picture is longer."""
    for height, width in ((24, 48), (48, 24)):
        places = torch.linspace(0.2, 0.8, width).expand(height, width)
        turned = view(places.expand(COUNT, 1, height, width), replace(STILL, rotate=20.0))
        middle = turned[:, 0, height // 2 - 4 : height // 2 + 4, width // 2 - 4 : width // 2 + 4]
        across, down = middle.diff(dim=2).mean((1, 2)), middle.diff(dim=1).mean((1, 2))
        slope = torch.full((COUNT,), 0.6 / (width - 1))
        torch.testing.assert_close((across.square() + down.square()).sqrt(), slope, atol=1e-5, rtol=0.01)
