"""A field's values as an index of colours for each picture of a map, and what each colour stands for."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
from semblant_search import FieldType
from semblant_search.errors import InvalidInput
from semblant_search.shown import shown

from semblant_indexer.analysis.runs import read_run

from .points import columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.store import Store

    from .points import MapPoints

__all__ = ["NONE", "OTHER", "read_colours"]

NONE, OTHER = 255, 254
"""Colours of pictures without a value, and of those whose value is too rare for a colour of its own."""
_MOST = 30
"""Values that have a colour of their own."""
_STEPS = 64
"""Colours of a field of numbers, from its lowest to its highest value."""
_GRID = 32


def read_colours(store: Store, points: MapPoints, field: str, *, named: bool) -> bytes:
    """A column of colours, and a legend in its head.

    Args:
        store: of the map.
        points: whose colours.
        field: its name.
        named: whether clusters' names may be told: not to who sees some pictures only.

    Raises:
        InvalidInput: there is no such field, or it has no values that could be colours.
    """
    kind = store.manifest.fields.get(field)
    if kind is None or kind is FieldType.GEO:
        there = ", ".join(sorted(name for name, one in store.manifest.fields.items() if one is not FieldType.GEO))
        raise InvalidInput(f"field {shown(field)}: expected one of {there}")
    values: list[Any] = [None] * len(points)
    ids, found = [], []
    for record in store.scroll(fields=[field]):
        if (value := _value(record.payload, field)) is not None:
            ids.append(record.id)
            found.append(value)
    for row, value in zip(points.rows(ids).tolist(), found, strict=True):
        if row >= 0:
            values[row] = value
    if kind in (FieldType.FLOAT, FieldType.DATETIME) or (kind is FieldType.INTEGER and len(_distinct(values)) > _MOST):
        return _ramp(field, values, dates=kind is FieldType.DATETIME)
    names = _names(store) if field == "_cluster" and named else {}
    return _categories(field, values, points, names)


def _value(payload: Any, field: str) -> Any:
    value = payload
    for name in [field] if field in payload else field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, list):
        value = value[0] if value else None
    return value if isinstance(value, (str, bool, int, float)) else None


def _distinct(values: Sequence[Any]) -> set[Any]:
    return {value for value in values if value is not None}


def _names(store: Store) -> dict[int, str]:
    run = read_run(store, "clusters")
    return {} if run is None else {one["cluster"]: one["name"] for one in run.results["clusters"] if one["name"]}


def _categories(field: str, values: Sequence[Any], points: MapPoints, names: dict[int, str]) -> bytes:
    counts = Counter(value for value in values if value is not None)
    common = counts.most_common(_MOST)
    if field == "_cluster":
        common.sort()
    places = {value: place for place, (value, _) in enumerate(common)}
    column = np.array([NONE if value is None else places.get(value, OTHER) for value in values], np.uint8)
    legend = []
    for value, place in places.items():
        x, y = _middle(points, column == place)
        legend.append({"value": value, "label": _label(field, value, names), "count": counts[value], "x": x, "y": y})
    told = {"field": field, "kind": "categories", "legend": legend, "other": int((column == OTHER).sum())}
    return columns({**told, "none": int((column == NONE).sum())}, {"colour": column})


def _label(field: str, value: Any, names: dict[int, str]) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field != "_cluster":
        return str(value)
    return names.get(value, f"cluster {value}" if value >= 0 else "in no cluster")


def _middle(points: MapPoints, chosen: np.ndarray) -> tuple[float, float]:
    """Where most of them lie, 0–1: the median around the fullest place of a coarse grid."""
    places = np.stack([points.x[chosen], points.y[chosen]], axis=1) / 65_535
    cells = np.minimum((places * _GRID).astype(int), _GRID - 1)
    counts = np.zeros((_GRID + 2, _GRID + 2))
    np.add.at(counts, (cells[:, 0] + 1, cells[:, 1] + 1), 1)
    around = sum(counts[i : i + _GRID, j : j + _GRID] for i in range(3) for j in range(3))
    fullest = np.array(np.unravel_index(np.argmax(around), (_GRID, _GRID)))
    near = (np.abs(cells - fullest) <= 1).all(axis=1)
    middle = np.median(places[near], axis=0)
    return round(float(middle[0]), 5), round(float(middle[1]), 5)


def _ramp(field: str, values: Sequence[Any], *, dates: bool) -> bytes:
    numbers = np.array([np.nan if value is None else _number(value) for value in values], np.float64)
    there = np.isfinite(numbers)
    column = np.full(len(numbers), NONE, np.uint8)
    if not there.any():
        return columns(
            {"field": field, "kind": "categories", "legend": [], "other": 0, "none": len(values)}, {"colour": column}
        )
    # A few far values would leave one colour for all others.
    low, high = np.quantile(numbers[there], [0.02, 0.98])
    if low == high:
        low, high = numbers[there].min(), numbers[there].max()
    scaled = (numbers[there] - low) / ((high - low) or 1.0)
    column[there] = (scaled.clip(0, 1) * (_STEPS - 1)).round()
    ends = [datetime.fromtimestamp(one, timezone.utc).isoformat() if dates else float(one) for one in (low, high)]
    told = {"field": field, "kind": "ramp", "low": ends[0], "high": ends[1], "steps": _STEPS, "none": int((~there).sum())}
    return columns(told, {"colour": column})


def _number(value: object) -> float:
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
        except ValueError:
            return float("nan")
    return float(value)  # type: ignore[arg-type]
