"""Counting pictures by the values of a field."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from semblant_search.collection import FieldType
from semblant_search.errors import InvalidInput
from semblant_search.where.compiler import unknown_field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from semblant_search.collection import Manifest

    from .records import Record

__all__ = ["COUNTED_BY_ENGINES", "by_count", "check_facet", "count_values", "values_of"]

COUNTED_BY_ENGINES = (FieldType.KEYWORD, FieldType.INTEGER, FieldType.BOOL)
"""Types that the engines count themselves; others are counted from the payloads."""


def check_facet(field: str, limit: int, manifest: Manifest) -> FieldType:
    """The type of a field that can be counted by value. Raises `InvalidInput`."""
    if limit < 1:
        raise InvalidInput(f"limit {limit}: expected at least 1")
    kind = manifest.fields.get(field) if isinstance(field, str) else None
    if kind is None:
        raise InvalidInput(unknown_field(field, manifest.fields), argument="field")
    if kind is FieldType.GEO:
        raise InvalidInput(f"field {field!r}: places are not counted by value; use a filter", argument="field")
    return kind


def values_of(payload: Mapping[str, Any], field: str) -> set[Any]:
    """The distinct values of a field of one picture: none, one, or those of a list."""
    value: Any = payload
    for key in field.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    values = value if isinstance(value, list) else [value]
    return {item for item in values if isinstance(item, (str, int, float))}


def count_values(records: Iterable[Record], field: str) -> dict[Any, int]:
    """Points for each distinct value of a field, from their payloads: for types that the engines do not count."""
    counts: Counter[Any] = Counter()
    for record in records:
        counts.update(values_of(record.payload, field))
    return counts


def by_count(counts: Mapping[Any, int], limit: int) -> dict[Any, int]:
    """Most frequent first, ties by value; values that no picture has (any more) are none."""
    there = [item for item in counts.items() if item[1] > 0]
    there.sort(key=lambda item: (-item[1], isinstance(item[0], str), item[0]))
    return dict(there[:limit])
