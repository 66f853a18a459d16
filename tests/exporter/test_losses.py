"""Every loss against its definition, computed apart: in NumPy, or one triplet at a time."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from semblant_exporter import models, objectives
from semblant_exporter.augment import Views
from semblant_exporter.objectives.base import reconstruction_loss, spread
from semblant_exporter.objectives.contrastive import Contrastive, ContrastiveConfig, matching
from semblant_exporter.objectives.triplet import Triplet, TripletConfig, confusion, triplet_loss
from semblant_search.errors import InvalidInput
from torch.nn.functional import normalize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from semblant_exporter.objectives import Objective

STILL = {"flip": 0.0, "shift": 0.0, "zoom": 0.0, "stretch": 0.0, "rotate": 0.0, "exposure": 0.0, "gamma": 0.0, "colour": 0.0}


@pytest.fixture(autouse=True)
def _values_alone() -> Iterator[None]:
    """Gradients are for trainings."""
    with torch.no_grad():
        yield


def tiny(name: str = "simple-ae", **config: int) -> models.Autoencoder:
    torch.manual_seed(0)
    model = models.build(name, {"height": 8, "width": 8, "channels": 1, "dim": 4, **config})
    assert isinstance(model, models.Autoencoder)
    return model.eval()


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    """Uniform in 0–1."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def build(name: str, options: dict[str, object], model: models.Model, *, training: bool) -> Objective:
    torch.manual_seed(1)
    return objectives.build(name, options, model).train(training)


def test_covariances_and_the_cosines_that_choose_an_epoch_are_of_32_bits() -> None:
    """Autocast would multiply them in 8 bits of mantissa."""
    vectors = random(64, 16, seed=2) * torch.tensor([100.0] + [1.0] * 15)
    variance, covariance = spread(vectors)
    hard = matching(vectors)
    with torch.autocast("cpu", torch.bfloat16):
        again = spread(vectors)
        assert float(matching(vectors)) == float(hard)
    assert (float(again[0]), float(again[1])) == (float(variance), float(covariance))


def test_a_reconstruction_is_a_mean_over_pixels() -> None:
    logits = torch.tensor([[[[0.0, 2.0], [-1.0, 3.0]]]])
    images = torch.tensor([[[[0.0, 1.0], [0.5, 0.25]]]])
    drawn = 1 / (1 + np.exp(-logits.numpy()))
    pixels = images.numpy()
    bce = -(pixels * np.log(drawn) + (1 - pixels) * np.log(1 - drawn))
    assert float(reconstruction_loss(logits, images, "bce")) == pytest.approx(bce.mean())
    assert float(reconstruction_loss(logits, images, "mse")) == pytest.approx(((drawn - pixels) ** 2).mean())
    half = reconstruction_loss(torch.zeros(3, 1, 4, 4), torch.rand(3, 1, 4, 4), "bce")
    assert float(half) == pytest.approx(math.log(2))  # grey is wrong by one bit, whatever the picture


@pytest.mark.parametrize("loss", ["bce", "mse"])
def test_learning_to_draw_measures_the_picture_itself(loss: str) -> None:
    model, images = tiny(), random(6, 1, 8, 8)
    logits = model.decode(model.encode(images))
    expected = float(reconstruction_loss(logits, images, loss))
    for training in (True, False):
        losses = build("reconstruct", {"loss": loss}, model, training=training).losses(model, images, None)
        assert float(losses["loss"]) == pytest.approx(expected)
    mirrored = images.flip(3)
    flipped = float(reconstruction_loss(model.decode(model.encode(mirrored)), mirrored, loss))
    assert flipped != pytest.approx(expected)
    for training, value in ((True, flipped), (False, expected)):  # what is measured is not changed
        losses = build("reconstruct", {"loss": loss, "flip": 1.0}, model, training=training).losses(model, images, None)
        assert float(losses["loss"]) == pytest.approx(value)


def test_a_share_of_the_pictures_is_mirrored_and_so_is_what_they_are_compared_with() -> None:
    class Whole(models.Autoencoder):
        """Draws what it sees, and remembers it."""

        dim = 64
        picture_shape = (8, 8, 1)

        def encode(self, images: torch.Tensor) -> torch.Tensor:
            self.seen = images
            return images.flatten(1)

        def feature_map(self, images: torch.Tensor) -> torch.Tensor:
            return images

        def decode(self, latent: torch.Tensor) -> torch.Tensor:
            return (latent.view(-1, 1, 8, 8) > 0.5) * 200.0 - 100

    left = torch.zeros(1000, 1, 8, 8)
    left[:, :, :, :2] = 1
    model = Whole()
    objective = build("reconstruct", {"loss": "mse", "flip": 0.25}, model, training=True)
    assert float(objective.losses(model, left, None)["loss"]) < 1e-6
    mirrored = model.seen[:, 0, 0, 7] == 1
    assert 0.2 < float(mirrored.float().mean()) < 0.3
    assert torch.equal(mirrored, model.seen[:, 0, 0, 0] == 0)


def test_spread_is_the_variance_and_covariance_of_vicreg() -> None:
    first, second = random(20, 5).double() * 3, random(20, 5, seed=1).double() * 0.2
    variance, covariance = spread(first, second)
    expected_variance = expected_covariance = 0.0
    for part in (first.numpy(), second.numpy()):
        matrix = np.cov(part, rowvar=False)
        deviations = np.sqrt(np.diag(matrix) + 1e-4)
        expected_variance += np.maximum(0, 1 - deviations).mean() / 2
        expected_covariance += (matrix**2).sum() / 5 - (np.diag(matrix) ** 2).sum() / 5
    assert float(variance) == pytest.approx(expected_variance)
    assert float(covariance) == pytest.approx(expected_covariance)
    assert float(spread(first)[1]) != pytest.approx(float(covariance))


def test_finding_the_other_view_is_a_cross_entropy_at_a_temperature_of_one_tenth() -> None:
    latent = random(12, 5).numpy().astype(np.float64)
    centred = latent - latent.mean(0)
    units = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    scores = units[:6] @ units[6:].T / 0.1
    likely = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    expected = -np.log(np.diag(likely)).mean()
    assert float(matching(torch.from_numpy(latent))) == pytest.approx(expected, rel=1e-4)


def test_confusion_is_that_of_neighbourhood_components_at_a_temperature_of_one_twentieth() -> None:
    units = normalize(random(8, 3) - 0.5, dim=1).double().numpy()
    labels = [0, 1, 0, 2]
    wrong = []
    for anchor in range(8):
        others = [row for row in range(8) if row % 4 != anchor % 4]  # not itself, and not the other view of it
        weights = {row: math.exp(float(units[anchor] @ units[row]) / 0.05) for row in others}
        same = sum(weight for row, weight in weights.items() if labels[row % 4] == labels[anchor % 4])
        wrong.append(1 - same / sum(weights.values()))
    found = confusion(torch.from_numpy(units).float(), torch.tensor(labels))
    assert float(found) == pytest.approx(np.mean(wrong), rel=1e-4)


def by_hand(scores: np.ndarray, labels: list[int], config: TripletConfig) -> float:
    """A triplet loss one pair at a time."""
    losses = []
    everybody = range(len(labels))
    for anchor in everybody:
        positives = [row for row in everybody if row != anchor and labels[row] == labels[anchor]]
        negatives = [row for row in everybody if labels[row] != labels[anchor]]
        if config.mining == "hard":
            if positives and negatives:
                furthest, nearest = min(scores[anchor, positives]), max(scores[anchor, negatives])
                losses.append(max(0.0, nearest - furthest + config.margin))
            continue
        for positive in positives:
            own = scores[anchor, positive]
            if config.mining == "semi-hard":
                beyond = [score for score in scores[anchor, negatives] if score < own]
                negative = max(beyond) if beyond else min(scores[anchor, negatives])
                losses.append(max(0.0, negative - own + config.margin))
            else:
                heat = config.temperature
                nearest = heat * math.log(sum(math.exp(score / heat) for score in scores[anchor, negatives]))
                losses.append(heat * math.log1p(math.exp((nearest - own + config.margin) / heat)))
    return float(np.mean(losses))


@pytest.mark.parametrize("mining", ["soft", "semi-hard", "hard"])
@pytest.mark.parametrize("seed", range(4))
def test_triplets_are_mined_as_their_names_say(mining: str, seed: int) -> None:
    labels = [0, 0, 1, 2, 1, 0, 2, 3]
    vectors = normalize(random(8, 3, seed=seed) - 0.4, dim=1)
    scores = (vectors @ vectors.T).double().numpy()
    for config in (TripletConfig(mining=mining), TripletConfig(mining=mining, margin=0.05, temperature=0.3)):
        found = triplet_loss(vectors, torch.tensor(labels), config)
        assert float(found) == pytest.approx(by_hand(scores, labels, config), rel=1e-4, abs=1e-6)


def test_the_options_of_triplets_are_those_documented() -> None:
    config = TripletConfig()
    assert (config.margin, config.mining, config.temperature, config.unlabelled) == (0.3, "semi-hard", 0.1, 0.05)
    with_views = TripletConfig(views={"flip": 0.0})  # type: ignore[arg-type]  # as JSON has it
    assert with_views.views == replace(Views(), flip=0.0)


@pytest.mark.parametrize("unlabelled", [0.05, 0.0])
def test_a_triplet_step_sets_labelled_pictures_beside_all(unlabelled: float) -> None:
    model, images = tiny("cae", base=4), random(8, 1, 8, 8)
    labels = torch.tensor([0, 0, 1, -1, 1, -1, 2, 2])
    known = labels >= 0
    options: dict[str, object] = {"views": {**STILL, "grey": 0.0}, "unlabelled": unlabelled, "mining": "hard"}
    objective = build("triplet", options, model, training=True)
    assert isinstance(objective, Triplet)
    config = objective.config
    with torch.no_grad():
        latent = model.encode(objective.beside.with_views(model, images))
        units = normalize(latent[:16], dim=1)[known.repeat(2)]
        triplets = triplet_loss(units, labels[known].repeat(2), config)
        beside = objective.beside.terms(model, latent, images)["loss"]
        losses = objective.losses(model, images, labels)
        assert float(losses["triplet"]) == pytest.approx(float(triplets), rel=1e-4)
        assert float(losses["loss"]) == pytest.approx(float(triplets + unlabelled * beside), rel=1e-4)
        judged = objective.eval().losses(model, images, labels)
        expected = confusion(units, labels[known]) + unlabelled * matching(latent[:16])
        assert float(judged["loss"]) == pytest.approx(float(expected), rel=1e-4)
        without = objective.train().losses(model, images, None)
        assert set(without) == {"loss"}


def test_labelled_pictures_are_repeated_until_they_are_as_many_as_the_others() -> None:
    objective = build("triplet", {}, tiny(), training=True)
    labels = np.array([-1, 4, -1, -1, 5, -1, -1])
    assert objective.rows(labels, 7).tolist() == [0, 2, 3, 5, 6, 1, 4, 1, 4]  # 5 others by 2: twice
    few = np.full(1000, -1)
    few[[3, 7]] = 0, 1
    assert np.bincount(objective.rows(few, 1000))[[3, 7, 8]].tolist() == [20, 20, 1]
    assert sorted(objective.rows(np.array([0, 1, 1]), 3).tolist()) == [0, 1, 2]
    for labelled, judges in ((99, None), (100, 100)):
        held_out = np.where(np.arange(300) < labelled, 1, -1)
        chosen = objective.judges(held_out, 300)
        assert (None if chosen is None else len(chosen)) == judges
    assert objective.judges(None, 300) is None
    assert not objective.whiten


@pytest.mark.parametrize(("share", "count", "drawn"), [(0.25, 10, 3), (0.25, 4, 2), (0.25, 1, 1), (1.0, 5, 5), (0.01, 100, 2)])
def test_a_share_of_the_batch_is_drawn(share: float, count: int, drawn: int) -> None:
    model = tiny()
    objective = build("contrastive", {"drawn": share}, model, training=True)
    assert isinstance(objective, Contrastive)
    images = random(count, 1, 8, 8)
    shown = objective.with_views(model, images)
    assert len(shown) == 2 * count + drawn
    assert torch.equal(shown[2 * count :], images[:drawn])  # as they are, not as a view of them
    assert not torch.equal(shown[:count], shown[count : 2 * count])  # two views, not one twice


def test_the_terms_of_the_contrastive_loss_are_weighted() -> None:
    model, images = tiny(), random(8, 1, 8, 8)
    torch.manual_seed(1)
    objective = Contrastive(ContrastiveConfig(), model)
    config = objective.config
    assert (config.invariance, config.variance, config.covariance, config.reconstruction) == (25, 25, 1, 2)
    with torch.no_grad():
        shown = objective.with_views(model, images)
        latent = model.encode(shown)
        first, second = objective.projector(latent[:16]).chunk(2)
        invariance = float(((first - second) ** 2).mean())
        variance, covariance = spread(first, second)
        drawn = float(reconstruction_loss(model.decode(latent[16:]), images[:2], "bce"))
        terms = objective.terms(model, latent, images)
    assert float(terms["agreement"]) == pytest.approx(invariance, rel=1e-4)
    assert float(terms["reconstruction"]) == pytest.approx(drawn, rel=1e-4)
    assert float(terms["loss"]) == pytest.approx(
        25 * invariance + 25 * float(variance) + float(covariance) + 2 * drawn, rel=1e-4
    )
    undrawn = build("contrastive", {"reconstruction": 0.0, "views": STILL}, model, training=True)
    assert set(undrawn.losses(model, images, None)) == {"loss", "agreement"}
    judged = build("contrastive", {"views": {**STILL, "grey": 0.0}}, model, training=False).losses(model, images, None)
    assert float(judged["loss"]) == pytest.approx(float(matching(model.encode(images).repeat(2, 1))), rel=1e-4)
    assert objective.validation == "finding the other view"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("reconstruct", {"loss": "mae"}, "expected bce or mse"),
        ("reconstruct", {"flip": 1.5}, "flip 1.5: expected a probability"),
        ("reconstruct", {"flip": -0.1}, "flip -0.1: expected a probability"),
        ("contrastive", {"drawn": 0}, "drawn 0: expected a share"),
        ("contrastive", {"drawn": 1.1}, "drawn 1.1: expected a share"),
        ("triplet", {"mining": "easy"}, "mining 'easy': expected soft, semi-hard or hard"),
        ("triplet", {"margin": 0}, "margin 0: expected"),
        ("triplet", {"margin": 2}, "margin 2: expected"),
        ("triplet", {"temperature": 0}, "temperature 0: expected"),
        ("triplet", {"temperature": 2}, "temperature 2: expected"),
        ("denoise", {"kinds": ["blur"]}, r"kinds of noise \['blur'\]"),
        ("denoise", {"kinds": []}, "kinds of noise"),
        ("inpaint", {"holes": 0}, "holes 0"),
        ("inpaint", {"smallest": 0.5, "largest": 0.4}, "0.5 to 0.4"),
        ("inpaint", {"smallest": 0}, "shares below 1"),
        ("inpaint", {"largest": 1}, "shares below 1"),
        ("superres", {"factor": 5}, "factor 5: expected 2, 3 or 4"),
        ("superres", {"factor": 3}, "by 3: 8×8 is no multiple"),
    ],
)
def test_options_out_of_range_are_refused(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        objectives.build(name, options, tiny())


def test_pictures_are_numbers_from_0_to_1_channel_by_channel() -> None:
    pictures = torch.arange(256, dtype=torch.uint8).repeat(3)[: 2 * 4 * 5 * 3].view(2, 4, 5, 3)
    images = objectives.to_images(pictures)
    assert (images.shape, images.dtype) == ((2, 3, 4, 5), torch.float32)
    assert float(images[1, 2, 3, 4]) == pytest.approx(float(pictures[1, 3, 4, 2]) / 255)
    assert float(objectives.to_images(torch.full((1, 1, 1, 1), 255, dtype=torch.uint8))) == 1
