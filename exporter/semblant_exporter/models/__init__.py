"""The registry of models. A model is one file with its frozen config, its network and the recipe it is trained by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from semblant_search.errors import InvalidInput

from . import cae, cae_512, cae_spatial, fashion_mnist_2018, pretrained, simple_ae
from .base import Architecture, Autoencoder, Model, Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ARCHITECTURES", "Architecture", "Autoencoder", "Model", "Recipe", "architecture", "build"]

ARCHITECTURES: dict[str, Architecture] = {
    entry.name: entry
    for entry in (
        cae.ARCHITECTURE,
        cae_512.ARCHITECTURE,
        cae_spatial.ARCHITECTURE,
        fashion_mnist_2018.ARCHITECTURE,
        pretrained.ARCHITECTURE,
        simple_ae.ARCHITECTURE,
    )
}


def architecture(name: str) -> Architecture:
    """Look an architecture up; `InvalidInput` names those that exist."""
    try:
        return ARCHITECTURES[name]
    except KeyError:
        raise InvalidInput(f"architecture {name!r}: expected one of {', '.join(sorted(ARCHITECTURES))}") from None


def build(name: str, config: Mapping[str, Any]) -> Model:
    """A new, untrained model from the JSON form of its config; `InvalidInput` on values that it cannot have."""
    entry = architecture(name)
    try:
        return entry.build(entry.config(**config))
    except TypeError as error:
        raise InvalidInput(f"config of {name!r}: {error}; found {dict(config)!r}") from error
