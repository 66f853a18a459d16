"""What a model is trained for: the registry. An objective is a module that turns a batch into losses for a model."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from semblant_search.errors import InvalidInput

from .base import Objective, Task, to_images
from .contrastive import Contrastive
from .reconstruct import Reconstruct
from .restore import Colorize, Denoise, Inpaint, Restore, Superres
from .triplet import Triplet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from semblant_exporter.models.base import Model

__all__ = ["OBJECTIVES", "Objective", "Restore", "Task", "build", "options_json", "to_images"]

OBJECTIVES: dict[str, Any] = {
    "colorize": Colorize,
    "contrastive": Contrastive,
    "denoise": Denoise,
    "inpaint": Inpaint,
    "reconstruct": Reconstruct,
    "superres": Superres,
    "triplet": Triplet,
}


def build(name: str, options: Mapping[str, Any], model: Model) -> Objective:
    """A new objective for a model; `InvalidInput` names what exists, or says what an option may be."""
    if name not in OBJECTIVES:
        raise InvalidInput(f"objective {name!r}: expected one of {', '.join(sorted(OBJECTIVES))}")
    kind = OBJECTIVES[name]
    try:
        config = kind.Config(**options)
    except TypeError as error:
        raise InvalidInput(f"options of objective {name!r}: {error}; found {dict(options)!r}") from error
    objective: Objective = kind(config, model)
    return objective


def options_json(objective: Objective) -> dict[str, Any]:
    """The options that `build` needs to make the objective again."""
    return asdict(objective.config)
