"""Batch normalisations are folded into convolutions only where that gives the same numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from semblant_exporter.folding import folded
from torch import Tensor, nn

EXAMPLE = torch.rand((2, 3, 8, 8), generator=torch.Generator().manual_seed(1))


def _learned(channels: int) -> nn.BatchNorm2d:
    """One whose numbers are not those of the beginning."""
    layer = nn.BatchNorm2d(channels)
    for values in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
        assert values is not None
        nn.init.uniform_(values, 0.5, 2)
    return layer


class _Network(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.second, self.scaled = _learned(4), _learned(4)  # not in the order in which they are used
        self.first, self.after = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1, bias=False)
        self.plain = nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, x: Tensor) -> Any:
        found = self.first(x)
        if self.kind == "also read":
            return self.second(found) + found.relu()
        if self.kind == "used twice":
            return self.second(found) + self.first(x * 2)
        if self.kind == "between":
            return self.second(found.relu())
        if self.kind == "of the batch":
            return self.plain(found)
        known = self.second(found).relu()
        return (known, self.scaled(self.after(known))) if self.kind == "two" else self.scaled(self.after(known))


def _left(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("kind", ["one", "two"])
def test_what_scales_a_convolution_is_folded_into_it(kind: str) -> None:
    torch.manual_seed(2)
    network = _Network(kind).eval()
    other = folded(network, EXAMPLE)
    assert (_left(network), _left(other)) == (3, 1)
    for one, two in zip(network(EXAMPLE * 3), other(EXAMPLE * 3), strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["also read", "used twice", "between", "of the batch"])
def test_whatever_else_is_left_as_it_is(kind: str) -> None:
    torch.manual_seed(2)
    network = _Network(kind)
    other = folded(network, EXAMPLE)
    assert _left(other) == _left(network) == 3
    torch.testing.assert_close(other(EXAMPLE), network(EXAMPLE))


def test_the_network_that_is_given_stays_what_it_is() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), _learned(4), nn.ReLU())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert _left(folded(network, EXAMPLE)) == 0
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())
