"""Each network is the one it is named for: layer by layer, against the same layers written out; and its recipe."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from semblant_exporter import models
from semblant_exporter.extractors import BACKBONES, Extractor, ExtractorConfig, gem
from semblant_exporter.models.cae import CaeConfig
from semblant_exporter.training import make_plan
from semblant_search.errors import InvalidInput
from semblant_search.images import Fit

SIZE28 = {"height": 28, "width": 28, "channels": 1}


def autoencoder(name: str, config: dict[str, Any]) -> models.Autoencoder:
    torch.manual_seed(0)
    model = models.build(name, config)
    assert isinstance(model, models.Autoencoder)
    return model


def layers(module: torch.nn.Module) -> list[str]:
    """Kinds and shapes of the layers, in order."""
    found = []
    for layer in module.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
            shape = f"{layer.in_channels}→{layer.out_channels}"
            kernel = "×".join(map(str, layer.kernel_size))
            found.append(
                f"{type(layer).__name__} {shape} {kernel} /{layer.stride[0]}{' bias' if layer.bias is not None else ''}"
            )
        elif isinstance(layer, torch.nn.Linear):
            found.append(f"Linear {layer.in_features}→{layer.out_features}{' bias' if layer.bias is not None else ''}")
        elif isinstance(layer, torch.nn.BatchNorm2d):
            found.append(f"BatchNorm2d {layer.num_features}")
        elif not list(layer.children()):
            found.append(type(layer).__name__)
    return found


@torch.no_grad()
def test_the_network_of_2018_computes_what_was_published() -> None:
    """Conv 3×3 to 16, 8 and 8 channels, each with ReLU and a pooling of "same" padding; and back by nearest neighbours."""
    model = autoencoder("fashion-mnist-2018", {})
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.copy_(torch.randn_like(parameter) * 0.1)
    kernels = [parameter for parameter in model.parameters() if parameter.ndim == 4]
    biases = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    assert [tuple(kernel.shape) for kernel in kernels] == [
        (16, 1, 3, 3), (8, 16, 3, 3), (8, 8, 3, 3), (8, 8, 3, 3), (8, 8, 3, 3), (16, 8, 3, 3), (1, 16, 3, 3),
    ]  # fmt: skip
    x = images = torch.rand(3, 1, 28, 28)
    for place, (pad, side) in enumerate([(0, 14), (0, 7), (1, 4)]):
        x = torch.conv2d(x, kernels[place], biases[place], padding=1).clamp(min=0)
        padded = torch.full((*x.shape[:2], x.shape[2] + pad, x.shape[3] + pad), -math.inf)
        padded[:, :, : x.shape[2], : x.shape[3]] = x
        x = padded.unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5))
        assert x.shape[2:] == (side, side)
    torch.testing.assert_close(model.encode(images), x.flatten(1))
    torch.testing.assert_close(model.feature_map(images), x)
    for place, side in ((3, 7), (4, 14), (5, 28)):
        nearest = (torch.arange(side) * x.shape[2] / side).long()
        x = torch.conv2d(x[:, :, nearest][:, :, :, nearest], kernels[place], biases[place], padding=1).clamp(min=0)
    x = torch.conv2d(x, kernels[6], biases[6], padding=1)  # no ReLU: these are logits
    torch.testing.assert_close(model.decode(model.encode(images)), x)


def test_its_weights_begin_as_xavier_has_them() -> None:
    model = autoencoder("fashion-mnist-2018", {})
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            assert layer.bias is not None
            bound = math.sqrt(6 / (9 * (layer.in_channels + layer.out_channels)))
            assert 0.8 * bound < float(layer.weight.detach().abs().max()) <= bound
            assert not layer.bias.any()


ARCHITECTURES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    (
        "cae",
        {**SIZE28, "dim": 64},
        [
            "Conv2d 1→32 3×3 /2", "BatchNorm2d 32", "ReLU", "Conv2d 32→64 3×3 /2", "BatchNorm2d 64", "ReLU",
            "Conv2d 64→128 3×3 /2", "BatchNorm2d 128", "ReLU",
        ],
        [
            "BatchNorm2d 128", "ReLU", "ConvTranspose2d 128→64 3×3 /2", "BatchNorm2d 64", "ReLU",
            "ConvTranspose2d 64→32 4×4 /2", "BatchNorm2d 32", "ReLU", "ConvTranspose2d 32→1 4×4 /2 bias",
        ],
    ),
    (
        "cae-512",
        {**SIZE28, "dim": 16},
        [
            name
            for before, after in ((1, 32), (32, 64), (64, 128), (128, 256))
            for name in (f"Conv2d {before}→{after} 3×3 /1", f"BatchNorm2d {after}", "ReLU", "MaxPool2d")
        ],
        [
            "ReLU", "ConvTranspose2d 256→128 4×4 /2 bias", "BatchNorm2d 128", "ReLU", "ConvTranspose2d 128→64 3×3 /2 bias",
            "BatchNorm2d 64", "ReLU", "ConvTranspose2d 64→32 4×4 /2 bias", "BatchNorm2d 32", "ReLU",
            "ConvTranspose2d 32→1 4×4 /2 bias",
        ],
    ),
    (
        "cae-spatial",
        {"height": 64, "width": 32, "channels": 3},
        [
            "Conv2d 3→16 3×3 /2 bias", "BatchNorm2d 16", "ReLU", "Conv2d 16→32 3×3 /2 bias", "BatchNorm2d 32", "ReLU",
            "Conv2d 32→64 3×3 /2 bias", "BatchNorm2d 64", "ReLU", "Conv2d 64→64 3×3 /2 bias", "BatchNorm2d 64", "ReLU",
            "Conv2d 64→16 3×3 /2 bias",
        ],
        [
            "ConvTranspose2d 16→64 4×4 /2 bias", "BatchNorm2d 64", "ReLU", "ConvTranspose2d 64→64 4×4 /2 bias",
            "BatchNorm2d 64", "ReLU", "ConvTranspose2d 64→32 4×4 /2 bias", "BatchNorm2d 32", "ReLU",
            "ConvTranspose2d 32→16 4×4 /2 bias", "BatchNorm2d 16", "ReLU", "ConvTranspose2d 16→3 4×4 /2 bias",
        ],
    ),
    (
        "simple-ae",
        {**SIZE28, "dim": 8},
        ["Flatten", "Linear 784→512 bias", "ReLU"],
        ["Linear 8→512 bias", "ReLU", "Linear 512→784 bias"],
    ),
]  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize(("name", "config", "down", "up"), ARCHITECTURES)
def test_the_layers_of_each_network(name: str, config: dict[str, Any], down: list[str], up: list[str]) -> None:
    model = autoencoder(name, config).eval()
    first: Any = model.hidden if name == "simple-ae" else model.down
    assert layers(first) == down
    last: Any = model.up
    assert layers(last) == up
    images = torch.rand(2, config["channels"], config["height"], config["width"])
    latent = model.encode(images)
    assert latent.shape == (2, model.dim)
    assert model.decode(latent).shape == images.shape
    features = model.feature_map(images)
    end = model.latent_layer()
    if end is None:
        torch.testing.assert_close(latent, features.flatten(1))
    else:
        torch.testing.assert_close(latent, F.linear(features.flatten(1), end.weight, end.bias))
        assert end.out_features == config["dim"]
    torch.testing.assert_close(model(images), latent)


def test_cae_512_may_resize_instead() -> None:
    model = autoencoder("cae-512", {**SIZE28, "dim": 8, "decoder": "upsample"})
    up: Any = model.up
    assert [name for name in layers(up) if "Conv" in name] == [
        "Conv2d 256→128 3×3 /1 bias", "Conv2d 128→64 3×3 /1 bias", "Conv2d 64→32 3×3 /1 bias", "Conv2d 32→1 3×3 /1 bias",
    ]  # fmt: skip
    assert layers(up).count("Upsample") == 4


def test_cae_halves_to_six_pixels_and_widens_to_256_channels() -> None:
    assert CaeConfig(28, 28, 1).sizes() == [(28, 28), (14, 14), (7, 7), (4, 4)]
    assert CaeConfig(64, 48, 3).sizes() == [(64, 48), (32, 24), (16, 12), (8, 6), (4, 3)]
    assert CaeConfig(6, 5, 1).sizes() == [(6, 5), (3, 3)]
    assert CaeConfig(12, 12, 1).sizes() == [(12, 12), (6, 6)]
    assert CaeConfig(256, 256, 3).widths() == [32, 64, 128, 256, 256, 256]
    assert (CaeConfig(28, 28, 1).dim, CaeConfig(28, 28, 1).base) == (128, 32)


RECIPES = {  # objective, options, epochs, batch, learning rate, optimizer, schedule
    "cae": ("contrastive", {}, 12, 256, 2e-3, "adamw", "one-cycle"),
    "cae-512": ("reconstruct", {"loss": "mse", "flip": 0.5}, 50, 64, 1e-3, "adam", "constant"),
    "cae-spatial": ("reconstruct", {"loss": "mse", "flip": 0.0}, 30, 32, 1e-3, "adam", "constant"),
    "efficientnet-lite0": ("contrastive", {}, 5, 64, 3e-4, "adamw", "one-cycle"),
    "fashion-mnist-2018": ("reconstruct", {"loss": "bce", "flip": 0.0}, 20, 400, 1e-3, "adam", "constant"),
    "simple-ae": ("reconstruct", {"loss": "bce", "flip": 0.0}, 20, 128, 1e-3, "adamw", "one-cycle"),
}


@pytest.mark.parametrize("name", sorted(models.ARCHITECTURES))
def test_the_recipe_of_each_network(name: str) -> None:
    fit = models.architecture(name).fit or Fit(32, 32, 3)
    plan = make_plan(fit, arch=name)
    chosen = plan.settings
    objective, options, *settings = RECIPES[name]
    assert plan.objective == objective
    assert {option: plan.options[option] for option in options} == options
    assert [chosen.epochs, chosen.batch, chosen.learning_rate, chosen.optimizer, chosen.schedule] == settings
    assert chosen.precision != "auto"  # resuming elsewhere must not change it
    if name == "fashion-mnist-2018":
        assert (chosen.clip_norm, chosen.patience, chosen.weight_decay, chosen.precision) == (None, None, 0.0, "float32")
    elif options.get("loss") == "mse":
        assert chosen.weight_decay == 0


def test_a_plan_is_the_recipe_with_what_was_given() -> None:
    fit = Fit(28, 28, 1)
    plan = make_plan(fit, arch="cae-512", dim=9, epochs=None, minutes=3.0, batch=7, seed=5)
    assert (plan.config["dim"], plan.settings.epochs, plan.settings.minutes) == (9, None, 3.0)  # minutes replace the epochs
    assert (plan.settings.batch, plan.settings.seed, plan.settings.optimizer) == (7, 5, "adam")
    assert make_plan(fit, epochs=4, minutes=3.0).settings.epochs == 4
    assert make_plan(fit, arch="cae-512", options={"loss": "bce"}).options == {"loss": "bce", "flip": 0.5}
    assert make_plan(fit, arch="cae-512", objective="reconstruct").options == {"loss": "mse", "flip": 0.5}
    assert make_plan(fit, arch="cae", objective="reconstruct").options == {"loss": "bce", "flip": 0.0}
    with pytest.raises(InvalidInput, match="'grow'"):  # the recipe's own options do not go with another objective
        make_plan(fit, arch="cae-512", objective="contrastive", options={"grow": 1})
    assert "loss" not in make_plan(fit, arch="cae-512", objective="contrastive").options
    assert make_plan(fit, arch="fashion-mnist-2018", dim=128).config == {}
    assert type(plan).from_json(plan.to_json()) == plan
    other = replace(fit, policy="crop")
    assert make_plan(other).fit == other
    with pytest.raises(InvalidInput, match="takes pictures of 28×28×1 only, not 32×28×1"):
        make_plan(Fit(32, 28, 1), arch="fashion-mnist-2018")


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("cae", {"height": 3, "width": 9, "channels": 1}, "3×9 pixels: cae needs at least 4×4"),
        ("cae", {**SIZE28, "dim": 0}, "dim 0"),
        ("cae", {**SIZE28, "base": 0}, "base 0"),
        ("cae", {**SIZE28, "depth": 1}, "config of 'cae'.*depth"),
        ("cae-512", {"height": 15, "width": 99, "channels": 1}, "15×99: cae-512 needs at least 16×16"),
        ("cae-512", {**SIZE28, "dim": 0}, "dim 0"),
        ("cae-512", {**SIZE28, "decoder": "x"}, "decoder 'x'"),
        ("cae-spatial", {"height": 32, "width": 48, "channels": 1}, "32×48 pixels: .* multiples of 32"),
        ("cae-spatial", {"height": 48, "width": 32, "channels": 1}, "48×32 pixels"),
        ("cae-spatial", {"height": 32, "width": 32, "channels": 1, "depth": 0}, "depth 0"),
        ("simple-ae", {**SIZE28, "dim": 0}, "dim 0"),
        ("simple-ae", {**SIZE28, "hidden": 0}, "hidden 0"),
        ("efficientnet-lite0", {"height": 64, "width": 64, "dim": 0}, "dim 0"),
    ],
)
def test_networks_that_cannot_be_are_refused(name: str, config: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        models.build(name, config)


@torch.no_grad()
@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_pretrained_networks_see_pixels_as_they_were_trained_to(name: str) -> None:
    """With nothing in the network's place, what it would be shown comes out."""
    lite = name.startswith("efficientnet-lite")
    mean, std = ((127 / 255,) * 3, (128 / 255,) * 3) if lite else ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    images = torch.rand(2, 3, 32, 40)
    shown = (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    pooled = {
        "gap": shown.mean((2, 3)),
        "gem": (shown.clamp(min=1e-6) ** 3).mean((2, 3)) ** (1 / 3),
        "flatten": shown.flatten(1),
    }
    for pooling, expected in pooled.items():
        extractor = Extractor(ExtractorConfig(name, pooling, 32, 40), torch.nn.Identity())
        assert extractor.dim == expected.shape[1]
        torch.testing.assert_close(extractor.encode(images), expected)
        torch.testing.assert_close(extractor.feature_map(images), shown)
    assert BACKBONES[name].side == (256 if name[-5:] in ("lite1", "lite2") else 224)


def test_the_generalised_mean_takes_negative_responses_for_none() -> None:
    features = torch.tensor([[[[2.0, 1.0], [-5.0, 0.0]]]])
    assert float(gem(features, 3.0)) == pytest.approx((9 / 4) ** (1 / 3), rel=1e-4)
    assert float(gem(features, 1.0)) == pytest.approx(3 / 4, rel=1e-4)


@torch.no_grad()
def test_vgg_is_cut_before_its_last_pooling() -> None:
    for name, convolutions in (("vgg16", 13), ("vgg19", 16)):
        net = BACKBONES[name].build()
        assert sum(isinstance(layer, torch.nn.Conv2d) for layer in net.modules()) == convolutions
        assert sum(isinstance(layer, torch.nn.MaxPool2d) for layer in net.modules()) == 4
