"""What each kind of restoring takes away, and how what is won back is measured."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image
from semblant_exporter import models, objectives
from semblant_exporter.restoring import psnr, restore, to_pixels
from semblant_exporter.training import learn, make_plan
from semblant_search.errors import ImageError, InvalidInput
from semblant_search.images import Fit

if TYPE_CHECKING:
    from semblant_exporter.objectives import Restore

    from .conftest import Fashion


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def spoiler(name: str, channels: int = 3, side: int = 32, **options: object) -> tuple[Restore, models.Autoencoder]:
    model = models.build("simple-ae", {"height": side, "width": side, "channels": channels, "dim": 4, "hidden": 8})
    assert isinstance(model, models.Autoencoder)
    objective = objectives.build(name, options, model)
    assert isinstance(objective, objectives.Restore)
    return objective, model


def test_noise_has_the_deviation_that_was_asked_for() -> None:
    grey = torch.full((50, 3, 32, 32), 0.5)
    for deviation in (0.05, 0.1):
        noise = spoiler("denoise", kinds=["gaussian"], deviation=deviation)[0].degrade(grey) - 0.5
        assert float(noise.std()) == pytest.approx(deviation, rel=0.02)
        assert abs(float(noise.mean())) < 0.001
    loud = spoiler("denoise", kinds=["gaussian"], deviation=3.0)[0].degrade(grey)
    assert (float(loud.min()), float(loud.max())) == (0, 1)


def test_salt_and_pepper_are_as_many_and_hit_all_channels() -> None:
    grey = torch.full((50, 3, 32, 32), 0.5)
    spoilt = spoiler("denoise", kinds=["salt-and-pepper"], share=0.2)[0].degrade(grey)
    for colour in (0.0, 1.0):
        assert float((spoilt == colour).float().mean()) == pytest.approx(0.1, abs=0.005)
    assert torch.equal(spoilt, spoilt[:, :1].expand_as(spoilt))


def test_cross_hairs_are_two_lines_and_a_ring() -> None:
    grey = torch.full((200, 1, 56, 56), 0.5)
    spoilt = spoiler("denoise", 1, 56, kinds=["cross-hairs"])[0].degrade(grey)[:, 0]
    assert set(spoilt.flatten().tolist()) == {0.0, 0.5, 1.0}
    painted = spoilt != 0.5
    white = (spoilt == 1).any(2).any(1)
    assert 0.35 < float(white.float().mean()) < 0.65
    assert not ((spoilt == 0).any(2).any(1) & white).any()  # one colour for each picture
    lines, columns = painted.all(2).sum(1), painted.all(1).sum(1)
    assert set(lines.tolist()) <= {1, 2, 3}
    assert set(columns.tolist()) <= {1, 2, 3}
    where = painted.all(2).float().argmax(1)
    assert 14 - 2 <= int(where.min()) < 18
    assert 38 < int(where.max()) <= 42 + 1  # a quarter of the side remains on both sides
    rest = painted & ~painted.all(2)[:, :, None] & ~painted.all(1)[:, None, :]
    assert (rest.sum((1, 2)) > 20).all()  # the ring


def test_every_kind_of_noise_gets_its_share_of_the_pictures() -> None:
    grey = torch.full((600, 1, 16, 16), 0.5)
    spoilt = spoiler("denoise", 1, 16)[0].degrade(grey)
    values = [len(set(picture.flatten().tolist())) for picture in spoilt]
    shares = np.array([sum(many > 3 for many in values), sum(many == 3 for many in values), sum(many == 2 for many in values)])
    assert (np.abs(shares / 600 - 1 / 3) < 0.07).all()  # Gaussian, salt and pepper, cross-hairs


def test_holes_are_grey_blocks_of_the_sizes_asked_for() -> None:
    white = torch.ones(300, 3, 40, 40)
    one = spoiler("inpaint", 3, 40, holes=1, smallest=0.2, largest=0.4)[0].degrade(white)
    assert set(one.flatten().tolist()) == {0.5, 1.0}
    gone = (one == 0.5).all(1)
    assert torch.equal(gone, (one == 0.5).any(1))
    tall, wide = gone.any(2).sum(1), gone.any(1).sum(1)
    assert torch.equal(gone.sum((1, 2)), tall * wide)
    for side in (tall, wide):
        assert int(side.min()) == pytest.approx(8, abs=1)
        assert int(side.max()) == pytest.approx(16, abs=1)
    assert gone[:, 0].any()
    assert gone[:, -1].any()  # up to every border
    several = (spoiler("inpaint", 3, 40, holes=3, smallest=0.2, largest=0.4)[0].degrade(white) == 0.5).float().mean()
    assert 1.5 < float(several / gone.float().mean()) < 2  # one for sure, and two more by halves


def test_colour_is_lost_to_luma() -> None:
    images = torch.rand(4, 3, 32, 32)
    spoilt = spoiler("colorize")[0].degrade(images)
    luma = 0.299 * images[:, 0] + 0.587 * images[:, 1] + 0.114 * images[:, 2]
    for channel in range(3):
        torch.testing.assert_close(spoilt[:, channel], luma)


@pytest.mark.parametrize("factor", [2, 4])
def test_resolution_is_lost_to_means_and_small_pictures_are_enlarged(factor: int) -> None:
    objective, _ = spoiler("superres", factor=factor)
    images = torch.rand(4, 3, 32, 32)
    small = images.view(4, 3, 32 // factor, factor, 32 // factor, factor).mean((3, 5))
    enlarged = F.interpolate(small, size=(32, 32), mode="bicubic", align_corners=False).clamp(0, 1)
    torch.testing.assert_close(objective.degrade(images), enlarged)
    torch.testing.assert_close(objective.shown(small), enlarged)
    assert objective.fit(Fit(32, 32, 3, policy="crop")) == Fit(32 // factor, 32 // factor, 3, policy="crop")
    assert spoiler("denoise")[0].fit(Fit(32, 32, 3)) == Fit(32, 32, 3)
    assert torch.equal(spoiler("inpaint")[0].shown(images), images)


@torch.no_grad()
def test_the_loss_is_of_the_restored_picture_and_of_what_the_decoder_draws() -> None:
    objective, model = spoiler("colorize")
    images = torch.rand(5, 3, 32, 32)
    shown = objective.degrade(images)
    drawn = torch.sigmoid(model.decode(model.encode(shown)))
    restored = shown + objective.finish(torch.cat([shown, drawn], 1))
    losses = objective.losses(model, images, None)
    error = float((restored - images).square().mean())
    assert float(losses["loss"]) == pytest.approx(error + float((drawn - images).square().mean()), rel=1e-4)
    assert float(losses["psnr"]) == pytest.approx(-10 * math.log10(error), rel=1e-4)
    torch.testing.assert_close(objective.draw(model, shown), restored.clamp(0, 1))


def test_decibels() -> None:
    images = torch.full((3, 1, 4, 4), 0.5)
    spoilt = images.clone()
    spoilt[1] += 0.1
    spoilt[2, 0, 0] += 0.1  # a quarter of it
    assert psnr(spoilt, images) == pytest.approx([100, 20, 20 + 10 * math.log10(4)], abs=1e-3)


def test_numbers_become_pixels_to_the_nearest_level() -> None:
    images = torch.tensor([-0.1, 0.0, 0.4 / 255, 0.6 / 255, 254.4 / 255, 254.6 / 255, 1.2, 0.5]).view(2, 1, 2, 2)
    pixels = to_pixels(images)
    assert pixels.shape == (2, 2, 2, 1)
    assert pixels.dtype == np.uint8
    assert pixels.flatten().tolist() == [0, 0, 0, 1, 254, 255, 255, 128]


@pytest.fixture(scope="module")
def denoiser(fashion: Fashion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("denoiser") / "model"
    learn(make_plan(Fit(28, 28, 1), arch="simple-ae", dim=8, objective="denoise", epochs=1), fashion.train[::20], out)
    return out


def test_restored_pictures_have_names_of_their_own_and_their_measures(denoiser: Path, fashion: Fashion, tmp_path: Path) -> None:
    given = []
    for number, name in enumerate(("a/shoe.png", "b/shoe.png", "b/restored.png")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(fashion.test[number, :, :, 0]).save(path)
        given.append(path)
    report = restore(denoiser, given, tmp_path / "out", degrade=True, seed=4)
    assert [item.path.name for item in report.restored] == ["shoe.png", "shoe-2.png", "restored-2.png"]
    assert [item.source for item in report.restored] == [str(path) for path in given]
    assert report.figure == tmp_path / "out" / "restored.png"
    assert report.figure.exists()
    sound = fashion.test[:3, :, :, 0].astype(float) / 255
    for number, item in enumerate(report.restored):
        with Image.open(item.path) as image:
            error = float(np.square(np.asarray(image) / 255 - sound[number]).mean())
        assert item.psnr_after == pytest.approx(-10 * math.log10(error), abs=0.1)
        assert item.psnr_before is not None
        assert item.psnr_before == round(item.psnr_before, 2)
    again = restore(denoiser, given, tmp_path / "again", degrade=True, seed=4)
    assert [item.psnr_before for item in again.restored] == [item.psnr_before for item in report.restored]
    other = restore(denoiser, given, tmp_path / "other", degrade=True, seed=5)
    assert [item.psnr_before for item in other.restored] != [item.psnr_before for item in report.restored]
    plain = restore(denoiser, given[:1], tmp_path / "plain")
    assert plain.to_json() == {
        "restored": [
            {"source": str(given[0]), "path": str(tmp_path / "plain" / "shoe.png"), "psnr_before": None, "psnr_after": None}
        ],
        "figure": str(tmp_path / "plain" / "restored.png"),
        "failures": [],
    }


def test_nothing_to_restore_is_a_clear_error(denoiser: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="name at least one"):
        restore(denoiser, [], tmp_path / "out")
    with pytest.raises(ImageError, match="not one of the pictures can be used"):
        restore(denoiser, [tmp_path / "none.png"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_a_model_never_learned_to_restore_cannot_be_measured(photos: Path, tmp_path: Path) -> None:
    """A plain autoencoder was shown sound pictures: there are no decibels to win back."""
    tiny = Path(__file__).parent / "tiny"
    with pytest.raises(InvalidInput, match=r"spoils no pictures, so there is nothing to win back; leave --degrade away"):
        restore(tiny, [photos / "camera.png"], tmp_path / "out", degrade=True)
    assert not (tmp_path / "out").exists()
