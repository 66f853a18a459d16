"""Batch normalisations that only scale what a convolution gives, folded into it: the same numbers from half the layers.

ONNX Runtime folds them anyway; done before a network is traced, tracing takes half as long.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.hooks import RemovableHandle

__all__ = ["folded"]

_ALIKE = 1e-4
_Module = TypeVar("_Module", bound=nn.Module)


@torch.no_grad()
def folded(network: _Module, example: Tensor) -> _Module:
    """A copy in evaluation mode whose batch normalisations are folded, or the network itself where that changes what it gives.

    Args:
        network: takes one tensor, gives one or several.
        example: what it is tried on.
    """
    network = network.eval()
    other = copy.deepcopy(network)
    pairs, given = _pairs(other, example)
    names = {module: name for name, module in other.named_modules()}
    for convolution, normalisation in pairs:
        _put(other, names[convolution], fuse_conv_bn_eval(convolution, normalisation))
        _put(other, names[normalisation], nn.Identity())
    # What else reads a convolution's output would notice.
    both = zip(_several(given), _several(other(example)), strict=True)
    alike = all(torch.allclose(one, two, atol=_ALIKE, rtol=_ALIKE) for one, two in both)
    return other if pairs and alike else network


def _pairs(network: nn.Module, example: Tensor) -> tuple[list[tuple[nn.Conv2d, nn.BatchNorm2d]], Tensor | tuple[Tensor, ...]]:
    """Convolutions that are used once, and what takes their output as it is; and what the network gives as it is."""
    given: list[tuple[nn.Conv2d, Tensor]] = []
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def note(module: nn.Module, _: object, output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        given.append((module, output))

    def match(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        pairs.extend((convolution, module) for convolution, output in given if output is inputs[0])

    hooks: list[RemovableHandle] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(note))
        elif isinstance(module, nn.BatchNorm2d) and module.track_running_stats:
            hooks.append(module.register_forward_pre_hook(match))
    found = network(example)
    for hook in hooks:
        hook.remove()
    often = [module for pair in pairs for module in pair]
    once = [(one, two) for one, two in pairs if often.count(one) == often.count(two) == [c for c, _ in given].count(one) == 1]
    return once, found


def _put(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, module)


def _several(found: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return found if isinstance(found, tuple) else (found,)
