"""Every objective and every model learns from real pictures: better than an untrained one, by a margin."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from semblant_exporter import metrics, models, objectives
from semblant_exporter.objectives import to_images
from semblant_exporter.objectives.contrastive import matching
from semblant_exporter.objectives.triplet import TripletConfig, confusion, triplet_loss
from semblant_exporter.restoring import psnr, restore
from semblant_exporter.training import learn, load_model, make_plan
from semblant_exporter.whitening import embed
from semblant_search.errors import ImageError, InvalidInput
from semblant_search.images import Fit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Fashion

GREY28 = Fit(28, 28, 1)
COLOUR32 = Fit(32, 32, 3)


@pytest.fixture(scope="session")
def patches(photos: Path) -> np.ndarray:
    """960 squares of 32×32 pixels in colour from photographs, uint8 `[n, 32, 32, 3]`; the last 160 are of other photographs."""
    from PIL import Image

    squares = []
    for names in (("astronaut", "coffee", "rocket"), ("chelsea",)):
        for name in names:
            path = next(photos.glob(f"{name}.*"))
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB").resize((320, 256)))
            cut = pixels.reshape(8, 32, 10, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3)
            squares.append(cut)
            squares.append(cut[:, :, ::-1])
    train, test = np.concatenate(squares[:-2]), np.concatenate(squares[-2:])
    return np.concatenate([np.tile(train, (2, 1, 1, 1))[:800], test])


@pytest.fixture(scope="module")
def restorer(fashion: Fashion, patches: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The model directory of an objective, trained once for all tests that restore with it. Not to be changed."""

    @cache
    def train(objective: str) -> Path:
        colour, folder = objective == "colorize", tmp_path_factory.mktemp("restorer") / objective
        epochs = 3 if objective == "denoise" else 4
        plan = make_plan(COLOUR32 if colour else GREY28, objective=objective, epochs=epochs, batch=25)
        learn(plan, patches[:800] if colour else fashion.train[::2], folder)
        return folder

    return train


@pytest.mark.parametrize("objective", ["denoise", "inpaint", "superres", "colorize"])
def test_restoring_unseen_pictures_wins_decibels(
    objective: str, fashion: Fashion, patches: np.ndarray, restorer: Callable[[str], Path]
) -> None:
    unseen = patches[800:] if objective == "colorize" else fashion.test
    trained = load_model(restorer(objective))
    assert isinstance(trained.model, models.Autoencoder)
    originals = to_images(torch.from_numpy(unseen.copy()))
    torch.manual_seed(0)
    degraded = trained.objective.degrade(originals)
    with torch.no_grad():
        restored = trained.objective.draw(trained.model, degraded)
    gain = np.mean(psnr(restored, originals)) - np.mean(psnr(degraded, originals))
    assert gain > {"denoise": 3.0, "inpaint": 3.0, "superres": 0.5, "colorize": 0.3}[objective]


@pytest.mark.parametrize("objective", ["denoise", "inpaint", "colorize", "superres"])
def test_degrading_changes_pictures_within_range(objective: str, patches: np.ndarray) -> None:
    model = models.build("cae", {"height": 32, "width": 32, "channels": 3, "dim": 8, "base": 4})
    images = to_images(torch.from_numpy(patches[:30]))
    degraded = objectives.build(objective, {}, model).degrade(images)
    assert degraded.shape == images.shape
    assert 0 <= float(degraded.min()) <= float(degraded.max()) <= 1
    changed = (degraded != images).flatten(1).float().mean(1)
    assert float(changed.min()) > 0.005
    if objective == "inpaint":  # most of a picture stays, to the last bit
        assert float(changed.mean()) < 0.5


@pytest.mark.parametrize("kind", ["gaussian", "salt-and-pepper", "cross-hairs"])
def test_each_kind_of_noise_can_be_had_alone(kind: str, fashion: Fashion) -> None:
    model = models.build("cae", {"height": 28, "width": 28, "channels": 1, "dim": 8, "base": 4})
    images = to_images(torch.from_numpy(fashion.test[:50].copy()))
    degraded = objectives.build("denoise", {"kinds": [kind]}, model).degrade(images)
    changed = (degraded != images).float().mean().item()
    low, high = {"gaussian": (0.4, 1.0), "salt-and-pepper": (0.03, 0.12), "cross-hairs": (0.05, 0.3)}[kind]
    assert low < changed < high


@pytest.mark.parametrize(
    ("arch", "fit", "dim", "share"),
    [
        ("simple-ae", GREY28, 128, 0.35),
        ("cae-512", GREY28, 512, 0.35),
        ("cae-spatial", COLOUR32, 16, 0.7),
    ],
)
def test_every_model_learns_to_draw_pictures_again(
    arch: str, fit: Fit, dim: int, share: float, fashion: Fashion, patches: np.ndarray, tmp_path: Path
) -> None:
    pictures = fashion.train[::2] if fit.channels == 1 else patches
    plan = make_plan(fit, arch=arch, objective="reconstruct", options={"loss": "mse"}, epochs=4, batch=32)
    report = learn(plan, pictures, tmp_path / "m")
    assert report.best < share * report.untrained
    assert load_model(tmp_path / "m").model.dim == dim


@pytest.mark.parametrize("decoder", ["transposed", "upsample"])
@pytest.mark.parametrize("size", [(16, 16), (33, 50)])
def test_cae_512_draws_pictures_of_the_size_that_it_was_given(decoder: str, size: tuple[int, int]) -> None:
    model = models.build("cae-512", {"height": size[0], "width": size[1], "channels": 3, "dim": 8, "decoder": decoder}).eval()
    assert isinstance(model, models.Autoencoder)
    images = torch.rand(2, 3, *size)
    assert model.decode(model.encode(images)).shape == images.shape


def test_cae_spatial_at_its_published_size() -> None:
    model = models.build("cae-spatial", {"height": 512, "width": 512, "channels": 3}).eval()
    assert isinstance(model, models.Autoencoder)
    images = torch.rand(1, 3, 512, 512)
    latent = model.encode(images)
    assert latent.shape == (1, 16 * 16 * 16)
    assert model.decode(latent).shape == images.shape


def precision_at_10(folder: Path, fashion: Fashion) -> float:
    model = load_model(folder).model
    there, asked = (
        torch.nn.functional.normalize(embed(model, pictures), dim=1).numpy() for pictures in (fashion.train, fashion.test)
    )
    found = metrics.nearest(there, asked, 10)
    return float(metrics.precision_at(metrics.matches(found, fashion.train_labels, fashion.test_labels), 10).mean())


@pytest.mark.parametrize(
    ("mining", "labelled", "batch", "epochs", "gain"),
    [("semi-hard", 2000, 50, 12, 0.03), ("semi-hard", 200, 100, 8, 0.02)],  # test_losses.py has the other ways of mining
)
def test_labels_improve_a_trained_encoder(
    mining: str, labelled: int, batch: int, epochs: int, gain: float, trained: Path, fashion: Fashion, tmp_path: Path
) -> None:
    labels = fashion.train_labels.copy()
    labels[np.random.default_rng(7).permutation(2000)[labelled:]] = -1
    plan = make_plan(GREY28, objective="triplet", options={"mining": mining}, epochs=epochs, batch=batch, learning_rate=1e-3)
    report = learn(plan, fashion.train, tmp_path / "model", labels=labels, start_from=trained)
    assert report.best_epoch == epochs or labelled == 2000  # twenty held-out labels cannot tell a better epoch
    assert precision_at_10(tmp_path / "model", fashion) > precision_at_10(trained, fashion) + gain


@pytest.mark.parametrize("labels", [None, np.full(2000, -1), np.where(np.arange(2000) % 2, 3, -1)])
def test_triplets_need_two_labels(labels: np.ndarray | None, fashion: Fashion, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="at least two labels"):
        learn(make_plan(GREY28, objective="triplet"), fashion.train, tmp_path / "model", labels=labels)


def test_starting_from_a_model_of_another_shape(trained: Path, fashion: Fashion, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="128 numbers is another model"):
        learn(make_plan(GREY28, dim=32), fashion.train, tmp_path / "model", start_from=trained)


def test_colour_cannot_be_learned_from_grey_pictures() -> None:
    with pytest.raises(InvalidInput, match="in colour"):
        make_plan(GREY28, objective="colorize")


def test_superres_needs_a_size_that_divides() -> None:
    with pytest.raises(InvalidInput, match="27×27 is no multiple"):
        make_plan(Fit(27, 27, 1), objective="superres")


def test_restore_fills_the_transparent_parts_of_a_picture(
    fashion: Fashion, restorer: Callable[[str], Path], tmp_path: Path
) -> None:
    from PIL import Image

    model = restorer("inpaint")
    sounds = fashion.test[::20, :, :, 0]
    alpha = np.full((28, 28), 255, np.uint8)
    alpha[10:18, 10:18] = 0
    for number, sound in enumerate(sounds):
        Image.fromarray(np.dstack([np.where(alpha, sound, 0), alpha]), "LA").save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    given = [*(tmp_path / f"{number}.png" for number in range(len(sounds))), tmp_path / "broken.png"]
    report = restore(model, given, tmp_path / "out")
    assert len(report.failures) == 1
    restored = np.stack([np.asarray(Image.open(item.path)) for item in report.restored]).astype(float)
    hole = np.s_[:, 10:18, 10:18]
    assert np.abs(restored[hole] - sounds[hole]).mean() < 0.8 * np.abs(127.0 - sounds[hole]).mean()
    assert report.figure.exists()
    with pytest.raises(ImageError, match=r"broken\.png"):
        restore(model, [tmp_path / "broken.png"], tmp_path / "out")


def test_restore_doubles_the_resolution(fashion: Fashion, tmp_path: Path) -> None:
    from PIL import Image

    learn(make_plan(GREY28, objective="superres", epochs=1), fashion.train[::10], tmp_path / "model")
    Image.fromarray(fashion.test[0, ::2, ::2, 0]).save(tmp_path / "small.png")
    report = restore(tmp_path / "model", [tmp_path / "small.png"] * 2, tmp_path / "out")
    assert [item.path.name for item in report.restored] == ["small.png", "small-2.png"]
    with Image.open(report.restored[0].path) as image:
        assert image.size == (28, 28)


def test_restore_measures_what_it_wins_back(fashion_mnist: Path, restorer: Callable[[str], Path], tmp_path: Path) -> None:
    pictures = sorted((fashion_mnist / "test" / "bag").iterdir())[:20]
    report = restore(restorer("denoise"), pictures, tmp_path / "out", degrade=True)
    before, after = ([getattr(item, name) for item in report.restored] for name in ("psnr_before", "psnr_after"))
    assert np.mean(after) > np.mean(before) + 2


def test_views_that_find_each_other_make_a_low_validation_loss() -> None:
    first = torch.nn.functional.one_hot(torch.arange(8), 16).float()
    assert matching(torch.cat([first, first])) < 0.1
    assert matching(torch.cat([first, first.roll(1, 0)])) > 5
    assert matching(torch.ones(2, 16)) == 0  # one picture alone, as the last batch may be


def test_neighbours_of_other_labels_are_confusion() -> None:
    labels = torch.tensor([0, 1, 0, 1])
    apart = torch.nn.functional.one_hot(labels, 8).float()
    assert confusion(torch.cat([apart, apart]), labels) < 1e-6
    mixed = torch.nn.functional.one_hot(torch.tensor([0, 0, 1, 1]), 8).float()
    assert confusion(torch.cat([mixed, mixed]), labels) > 0.99
    assert confusion(torch.ones(2, 8), torch.tensor([3])) == 0  # one picture alone has no neighbours


@pytest.mark.parametrize("mining", ["soft", "semi-hard", "hard"])
def test_triplets_pull_labels_apart(mining: str) -> None:
    config = TripletConfig(mining=mining)
    vectors = torch.randn(12, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    labels = torch.arange(12) % 3
    optimizer = torch.optim.Adam([vectors], lr=0.05)
    for _ in range(60):
        loss = triplet_loss(torch.nn.functional.normalize(vectors, dim=1), labels, config)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    units = torch.nn.functional.normalize(vectors.detach(), dim=1)
    scores, same = units @ units.T, labels[:, None] == labels[None, :]
    assert scores[same].min() > scores[~same].max()
    alone = torch.nn.functional.normalize(torch.randn(4, 8), dim=1).requires_grad_()
    triplet_loss(alone, torch.zeros(4, dtype=torch.long), config).backward()  # type: ignore[no-untyped-call]
    assert alone.grad is not None
    assert not alone.grad.any()  # no negatives: nothing to learn, and no number that is none
    assert triplet_loss(alone[:0], torch.zeros(0, dtype=torch.long), config) == 0  # as in a batch without labels
