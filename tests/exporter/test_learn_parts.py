"""What `learn` is made of: the guide without labels, and the linear maps from features to vectors."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from semblant_exporter import metrics
from semblant_exporter.learners.guide import Guide, judge, neighbours_looked_at, two_views
from semblant_exporter.learners.head import (
    FEWEST_FOR_PLACES,
    HeadOptions,
    _neighbour_weights,
    _places_in_graph,
    fit_head,
    fit_heads,
)
from semblant_exporter.learners.rows import Made, Row, best, reason
from semblant_exporter.learners.stem import Network, Raster, Stem, features
from semblant_search.images import Fit
from torch.nn.functional import normalize

CLASSES = 8


def drawn(count: int, seed: int, noise: float) -> tuple[torch.Tensor, np.ndarray]:
    """Features `[count, 40]` of classes, with noise in all directions but those that tell them apart, and labels."""
    random = torch.Generator().manual_seed(seed)
    centres = torch.randn(CLASSES, 40, generator=torch.Generator().manual_seed(9))
    labels = torch.randint(CLASSES, (count,), generator=random)
    return centres[labels] + noise * torch.randn(count, 40, generator=random), labels.numpy()


def unit(features: torch.Tensor) -> np.ndarray:
    return normalize(features, dim=1).detach().numpy()


def test_the_guide_is_what_it_is_defined_as() -> None:
    index, _ = drawn(60, 1, 1.0)
    asked, _ = drawn(7, 2, 1.0)
    changed, _ = drawn(7, 3, 1.0)
    vectors = [unit(part) for part in (index, asked, changed)]
    found = judge(*vectors)
    k = 10
    near = [np.argsort(-(queries @ vectors[0].T), axis=1, kind="stable")[:, :k] for queries in vectors[1:]]
    own = vectors[0] @ vectors[0].T
    np.fill_diagonal(own, -2)
    around = np.argsort(-own, axis=1, kind="stable")[:, :k]
    shared = np.mean([len(set(one) & set(other)) / k for one, other in zip(*near, strict=True)])
    transitive = np.mean([[len(set(around[row]) & set(one)) / k for row in one] for one in near[0]])
    assert [found.shared, found.transitive] == pytest.approx([shared, transitive])
    assert found.score == pytest.approx((shared + transitive) / 2)
    assert judge(vectors[0], vectors[1], vectors[1]).shared == 1


def test_the_guide_prefers_vectors_that_know_the_classes_better() -> None:
    scores = []
    for noise in (0.5, 1.0, 2.0, 4.0):
        index, _ = drawn(400, 1, noise)
        asked, _ = drawn(100, 2, noise)
        again = asked + noise * 0.5 * torch.randn(asked.shape, generator=torch.Generator().manual_seed(3))
        scores.append(judge(*(unit(part) for part in (index, asked, again))).score)
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(("pictures", "k"), [(3, 1), (5, 1), (20, 5), (40, 10), (4000, 10)])
def test_few_pictures_are_asked_for_fewer_neighbours(pictures: int, k: int) -> None:
    assert neighbours_looked_at(pictures) == k


def test_changed_views_are_others_and_always_the_same() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (70, 24, 32, 3), dtype=np.uint8)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    views = two_views(pixels)
    assert views.shape == pixels.shape
    assert views.dtype == np.uint8
    assert np.array_equal(two_views(pixels), views)
    assert not np.array_equal(two_views(pixels, seed=1), views)
    assert (np.abs(views.astype(int) - pixels).mean((1, 2, 3)) > 5).all()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_head_has_as_many_numbers_as_pictures_allow() -> None:
    few, _ = drawn(12, 1, 1.0)
    assert fit_head([few, few[:, :30]], HeadOptions()).dim == 11
    assert fit_head([few], HeadOptions(dim=5)).dim == 5
    many, _ = drawn(200, 1, 1.0)
    head = fit_head([many, many.abs()], HeadOptions(dim=128, power=0.5))
    assert head([many, many.abs()]).shape == (200, 80)


def test_the_powers_of_whitening_are_those_of_one_head() -> None:
    features, _ = drawn(200, 1, 1.0)
    options = HeadOptions(dim=8)
    plain, half, whole = fit_heads([features], options, [0.0, 0.5, 1.0])
    with torch.no_grad():
        deviations = [head([features]).std(0) for head in (plain, half, whole)]
    spreads = [float(each.max() / each.min()) for each in deviations]
    assert spreads[0] > spreads[1] > spreads[2]
    assert spreads[2] < 1.5
    torch.testing.assert_close(fit_head([features], HeadOptions(dim=8, power=0.5))([features]), half([features]))


def test_a_block_counts_by_its_weight() -> None:
    loud, quiet = drawn(200, 1, 1.0)[0], torch.randn(200, 40, generator=torch.Generator().manual_seed(7))
    alone = unit(fit_head([loud], HeadOptions(neighbours=False))([loud]))
    for weight, least in ((0.01, 0.95), (1.0, 0.0)):
        head = fit_head([loud, quiet], HeadOptions(neighbours=False, weights=(1.0, weight)))
        both = unit(head([loud, quiet]))
        agree = np.corrcoef((both @ both.T).ravel(), (alone @ alone.T).ravel())[0, 1]
        assert agree > least
    assert agree < 0.95


def test_neighbours_means_bring_classes_together_for_pictures_that_come_later() -> None:
    learned, labels = drawn(600, 1, 1.6)
    later, asked = drawn(200, 2, 1.6)
    found = {}
    for smoothed in (False, True):
        head = fit_head([learned], HeadOptions(neighbours=smoothed))
        near = metrics.nearest(unit(head([learned])), unit(head([later])), 10)
        found[smoothed] = float(metrics.precision_at(metrics.matches(near, labels, asked), 10).mean())
    assert found[True] > found[False] + 0.02


def test_few_pictures_are_brought_together_by_their_places_in_the_graph() -> None:
    """Of themselves and of pictures that come later; of a handful nothing is known, and they are left as they are."""
    found: dict[tuple[str, bool], list[float]] = {}
    for seed in range(5):
        learned, labels = drawn(72, 10 + seed, 1.8)
        later, asked = drawn(100, 20 + seed, 1.8)
        for mapped in (False, True):
            head = fit_head([learned], HeadOptions(neighbours=mapped))
            index = unit(head([learned]))
            for name, vectors, own, skip in (
                ("own", index, labels, np.arange(72)),
                ("later", unit(head([later])), asked, None),
            ):
                near = metrics.nearest(index, vectors, 5, exclude=skip)
                score = float(metrics.precision_at(metrics.matches(near, labels, own), 5).mean())
                found.setdefault((name, mapped), []).append(score)
    for name in ("own", "later"):
        assert np.mean(found[name, True]) > np.mean(found[name, False]) + 0.02
    few = learned[: FEWEST_FOR_PLACES - 1]
    one, other = (fit_head([few], HeadOptions(neighbours=mapped))([later]) for mapped in (False, True))
    assert torch.equal(one, other)


def test_places_in_the_graph_are_those_of_its_eigenvectors() -> None:
    """Pictures that many short ways join are near each other there, also where few are neighbours themselves."""
    features, labels = drawn(400, 1, 0.7)
    weights = _neighbour_weights(normalize(features, dim=1), 25, 3)
    places = _places_in_graph(weights)
    numbers = places.shape[1]
    assert numbers == 100  # a quarter of the pictures
    both = (weights + weights.T).to_dense()
    scale = both.sum(1).rsqrt()
    values, vectors = torch.linalg.eigh(scale[:, None] * both * scale)
    expected = normalize(vectors[:, -numbers:] * values[-numbers:].clamp(min=0), dim=1)
    apart = (places @ places.T - expected @ expected.T).abs()
    assert (apart < 0.02).float().mean() > 0.98  # the last are found nearly: their values lie close to the next
    alike = labels[:, None] == labels
    cosines = (places @ places.T).numpy()
    assert cosines[alike].mean() > cosines[~alike].mean() + 0.2
    assert torch.equal(_places_in_graph(weights), places)


def test_a_raster_is_the_root_of_mean_colours() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (2, 32, 48, 3), dtype=np.uint8)
    stem = Stem([Raster()])
    expected = np.sqrt(pixels.reshape(2, 16, 2, 16, 3, 3).mean((2, 4)) / 255).transpose(0, 3, 1, 2).reshape(2, -1)
    np.testing.assert_allclose(stem(torch.from_numpy(pixels)).numpy(), expected, atol=1e-4)
    assert stem.blocks == (768,)


def test_a_network_pools_by_strength_and_by_place() -> None:
    torch.manual_seed(0)
    network = Network("efficientnet-lite0").eval()
    images = torch.rand(2, 3, 96, 64)
    with torch.no_grad():
        pooled, found = network(images), network.network((images - network.mean) / network.std)  # [2, 1280, 3, 2]
    down, across = np.array([-2, 0, 2]) / 3, np.array([-0.5, 0.5])
    weights = np.exp(-(down[:, None] ** 2 + across[None] ** 2) / 0.5)
    centred = (found.numpy() * weights / weights.sum()).sum((2, 3))
    np.testing.assert_allclose(pooled[:, 1280:].numpy(), centred, atol=1e-4)
    np.testing.assert_allclose(
        pooled[:, :1280].numpy(), (found.clamp(min=1e-6).numpy() ** 3).mean((2, 3)) ** (1 / 3), atol=1e-4
    )
    assert (network.blocks, network.side) == ((1280, 1280), 224)


def _made(way: str, shared: float, transitive: float, *, comparable: bool = True, k: int = 10) -> Made:
    row = Row(way, f"{way}, as it is", Guide(shared, transitive, k), 1.0, 0.5, comparable=comparable)
    return Made(row, torch.nn.Identity, Fit(8, 8, 1), way, "none", {}, np.zeros((1, 1), np.float32))


def test_the_reason_gives_the_numbers_that_were_chosen_by() -> None:
    """Means over neighbours raise both by themselves, so that a way with them looked better than the one that was taken."""
    pixels, network = _made("pixels", 0.69, 0.70), _made("pretrained", 0.60, 0.61)
    smoothed = _made("pretrained", 0.70, 0.72, comparable=False)
    made = [pixels, network, smoothed]
    assert best(made) is pixels
    told = reason(pixels, made, wanted=None, asked=32)
    assert "keeps 69% of ten neighbours when a picture changes and 70%" in told
    assert told.endswith("the next, pretrained (pretrained, as it is), 60% and 61%")
    better = _made("pretrained", 0.75, 0.76)
    assert best([pixels, better, smoothed]) is smoothed
    told = reason(smoothed, [pixels, better, smoothed], wanted=None, asked=32)
    assert "keeps 75% of" in told
    assert told.endswith("the next, pixels (pixels, as it is), 69% and 70%")


def test_as_many_neighbours_are_named_as_were_looked_at() -> None:
    """Of few pictures, a quarter of as many: not ten."""
    made = [_made("pixels", 0.5, 0.5, k=3), _made("pretrained", 0.6, 0.61, k=3)]
    assert "keeps 60% of three neighbours when a picture changes" in reason(made[1], made, wanted=None, asked=4)
    assert made[0].row.to_json() | {"P@3": 0.5, "k": 3} == made[0].row.to_json()
    one = [_made("pixels", 0.5, 0.5, k=1), _made("pretrained", 0.6, 0.61, k=1)]
    told = reason(one[1], one, wanted=None, asked=1)
    assert "60% of the nearest neighbours" in told
    assert "on 1 picture that it did not learn from" in told
    random = np.random.default_rng(0)
    index, asked = (random.normal(size=(count, 8)).astype(np.float32) for count in (14, 5))
    assert judge(index, asked, asked).k == 3


def test_what_was_broken_off_is_no_reason_for_another_way() -> None:
    made = [_made("pixels", 0.69, 0.70), _made("pretrained", 0.60, 0.61)]
    told = reason(made[1], made, wanted="distilled", asked=32, untried=["distilled"])
    assert told == "--way distilled was asked for, but broken off before it was there: pretrained is the best until then"
    assert reason(made[0], made[:1], wanted=None, asked=3, untried=["pretrained", "fused"]) == (
        "nothing else was tried; broken off before pretrained and fused were tried"
    )
    assert reason(made[0], made[:1], wanted=None, asked=3) == "nothing else could be tried"
    assert reason(made[1], made, wanted="pretrained", asked=3) == "--way pretrained was asked for"


def test_each_member_of_a_stem_is_timed_alone() -> None:
    """A way that looks at pixels alone takes less time than one with a network beside them."""

    class Slow(Raster):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            time.sleep(0.01)
            return super().forward(images)

    pixels = np.random.default_rng(0).integers(0, 255, (6, 16, 16, 3), dtype=np.uint8)
    stem = Stem([Slow(), Raster()])
    found, ms = features(stem, Fit(16, 16, 3), pixels)
    assert (found.shape, len(ms)) == ((6, 1536), 2)
    torch.testing.assert_close(found[:, :768], found[:, 768:])
    assert ms[0] >= 10 / 6
