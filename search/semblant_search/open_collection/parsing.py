"""From a service's JSON to what the client answers with."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from semblant_search.results import FeatureHit, Hit, HitGroup, Picture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from semblant_search.duplicates import DuplicateGroup
    from semblant_search.writing.relocating import Relocation
    from semblant_search.writing.source_changes import SourceSummary

__all__ = ["duplicate_group_of", "feature_hit_of", "group_of", "hit_of", "picture_of", "relocation_of", "source_of"]

_TUPLES = ("transform", "polygon", "pairs", "part_in_query", "part_in_hit")


def picture_of(told: Mapping[str, Any]) -> Picture:
    """A picture of the collection."""
    vector = told.get("vector")
    row = None if vector is None else np.array(vector, dtype=np.float32)
    return Picture(told["id"], told["uri"], told["metadata"], told["facts"], vector=row)


def hit_of(told: Mapping[str, Any]) -> Hit:
    """A hit by look."""
    return Hit(**_known(Hit, told))


def feature_hit_of(told: Mapping[str, Any]) -> FeatureHit:
    """A hit with its proof."""
    facts = _known(FeatureHit, told)
    for name in _TUPLES:
        if facts.get(name) is not None:
            facts[name] = tuple(tuple(float(number) for number in row) for row in facts[name])
    return FeatureHit(**facts)


def source_of(told: Mapping[str, Any]) -> SourceSummary:
    """A source of the collection."""
    from semblant_search.writing.source_changes import SourceSummary

    return SourceSummary(**_known(SourceSummary, told))


def relocation_of(told: Mapping[str, Any]) -> Relocation:
    """What became of a source that moved."""
    from semblant_search.writing.relocating import Relocation

    return Relocation(**_known(Relocation, told))


def group_of(told: Mapping[str, Any]) -> HitGroup:
    """The hits of a value."""
    return HitGroup(told["value"], [hit_of(hit) for hit in told["hits"]])


def duplicate_group_of(told: Mapping[str, Any]) -> DuplicateGroup:
    """A group of duplicates."""
    from semblant_search.duplicates import Duplicate, DuplicateGroup

    others = tuple(Duplicate(**{**_known(Duplicate, other), "why": tuple(other["why"])}) for other in told["others"])
    names = {uri: tuple(names) for uri, names in told["other_names"].items()}
    return DuplicateGroup(picture_of(told["representative"]), others, names)


def _known(kind: type[Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """What a dataclass has fields for: a newer service may tell more."""
    return {field.name: told[field.name] for field in fields(kind) if field.name in told}
