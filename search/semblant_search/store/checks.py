"""What both stores check before an engine sees it, so that bad input fails alike and names what was expected."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from semblant_search.collection import FieldType
from semblant_search.errors import InvalidInput, PointNotFound
from semblant_search.where.compiler import json_path, unknown_field

from .engines.feature_numbers import to_numbers
from .records import SparseVector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from semblant_search.collection import Manifest
    from semblant_search.where import Where

    from .records import Point, Store, VectorQuery

__all__ = [
    "FACET_TYPES",
    "by_count",
    "cells_asked",
    "check_asset_name",
    "check_facet",
    "check_found",
    "check_generation",
    "check_ids",
    "check_payload",
    "check_points",
    "check_query",
    "count_values",
    "is_generation",
    "no_cells",
    "not_found",
    "payload_paths",
]

FACET_TYPES = (FieldType.KEYWORD, FieldType.INTEGER, FieldType.BOOL)
"""Types that the engines count themselves; others are counted from the payloads."""


def check_query(query: VectorQuery, manifest: Manifest) -> None:
    """Raise `InvalidInput` for what no engine could answer."""
    if query.limit < 1:
        raise InvalidInput(f"limit {query.limit}: expected at least 1")
    if query.offset < 0:
        raise InvalidInput(f"offset {query.offset}: expected at least 0")
    if query.ef_search is not None and query.ef_search < 1:
        raise InvalidInput(f"ef_search {query.ef_search}: expected at least 1")
    vector = query.vector
    if isinstance(vector, SparseVector):
        if manifest.orb is None:
            raise InvalidInput(f"collection {manifest.collection!r} was indexed without ORB features; index it again with them")
        _check_sparse(vector)
    elif vector.ndim == 2:
        shape = manifest.encoder.cells
        if shape is None:
            raise InvalidInput(no_cells(manifest))
        if len(vector) == 0 or vector.shape[1] != shape[1]:
            raise InvalidInput(f"query cells of shape {list(vector.shape)}: expected [1 or more, {shape[1]}]")
        if not np.isfinite(vector).all():
            raise InvalidInput("query cells: hold NaN or infinity")
    elif vector.shape != (manifest.dim,):
        raise InvalidInput(
            f"query vector of shape {list(vector.shape)}: collection {manifest.collection!r} expects [{manifest.dim}]"
        )
    elif not np.isfinite(vector).all():
        raise InvalidInput("query vector: holds NaN or infinity")


def cells_asked(query: VectorQuery) -> int:
    """By what an engine's score is divided: it adds up over the asked cells, and one vector counts as one."""
    return len(query.vector) if isinstance(query.vector, np.ndarray) and query.vector.ndim == 2 else 1


def no_cells(manifest: Manifest) -> str:
    """The message for a search by region in a collection without cells."""
    return (
        f"collection {manifest.collection!r} keeps no cells, which a search by region needs: its encoder "
        f"{manifest.encoder.name!r} has none; export it with --cells and index with it, or search for the region by its "
        "details (--features)"
    )


def check_points(points: Sequence[Point], manifest: Manifest) -> np.ndarray:
    """The dense vectors as one float32 `[n, D]`; raises `InvalidInput` for points that do not fit the collection."""
    check_ids([point.id for point in points])
    expected = (manifest.dim,)
    for point in points:
        if point.image.shape != expected:
            raise InvalidInput(f"point {point.id}: image vector of shape {list(point.image.shape)}, expected {list(expected)}")
        if (point.orb is not None or point.features is not None) and manifest.orb is None:
            raise InvalidInput(f"point {point.id} has ORB features, but collection {manifest.collection!r} keeps none")
        if point.orb is not None:
            _check_sparse(point.orb)
        if point.features is not None:
            width = int((manifest.orb or {})["feature_bytes"])
            if point.features.dtype != np.uint8 or point.features.ndim != 2 or point.features.shape[1] != width:
                raise InvalidInput(
                    f"point {point.id}: features of {point.features.dtype} {list(point.features.shape)}, "
                    f"expected uint8 [n, {width}]"
                )
            if not np.isfinite(to_numbers(point.features)).all():
                raise InvalidInput(f"point {point.id}: features hold a NaN when read as float32; make them with orb.pack")
        if point.cells is not None and (manifest.encoder.cells is None or point.cells.shape[1:] != manifest.encoder.cells[1:]):
            raise InvalidInput(
                f"point {point.id}: cells of shape {list(point.cells.shape)}, the encoder's are {manifest.encoder.cells}"
            )
    matrix = np.stack([point.image for point in points]).astype(np.float32, copy=False)
    finite = np.isfinite(matrix).all(axis=1)
    if not finite.all():
        raise InvalidInput(f"point {points[int(np.argmin(finite))].id}: image vector holds NaN or infinity")
    return matrix


def check_payload(payload: Mapping[str, Any], id: str) -> None:
    """Raise `InvalidInput` unless the payload is JSON: NaN and infinity are not."""
    stack: list[Any] = [dict(payload)]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if not all(isinstance(key, str) for key in value):
                raise InvalidInput(f"point {id}: payload keys must be text, not {sorted(map(repr, value))}")
            stack.extend(value.values())
        elif isinstance(value, (list, tuple)):
            stack.extend(value)
        elif isinstance(value, float):
            if value != value or value in (float("inf"), float("-inf")):
                raise InvalidInput(f"point {id}: payload holds {value}, which JSON has no number for; leave the field out")
        elif value is not None and not isinstance(value, (str, bool, int)):
            raise InvalidInput(f"point {id}: payload holds {value!r} of type {type(value).__name__}, expected JSON values")


def check_found(ids: Sequence[str], records: Iterable[Any], manifest: Manifest) -> None:
    """Raise `PointNotFound` for the first id that is not among the points that an engine retrieved."""
    there = {str(record.id) for record in records}
    for id in ids:
        if id not in there:
            raise PointNotFound(f"collection {manifest.collection!r} has no point {id}")


def check_ids(ids: Iterable[str]) -> None:
    """Raise `InvalidInput` for what is not a UUID."""
    for id in ids:
        try:
            uuid.UUID(id)
        except (ValueError, AttributeError, TypeError):
            raise InvalidInput(f"point id {id!r}: expected a UUID such as point_id(uri) returns") from None


def check_facet(field: str, limit: int, manifest: Manifest) -> FieldType:
    """The type of a field that can be counted by value."""
    if limit < 1:
        raise InvalidInput(f"limit {limit}: expected at least 1")
    kind = manifest.fields.get(field)
    if kind is None:
        raise InvalidInput(unknown_field(field, manifest.fields))
    if kind is FieldType.GEO:
        raise InvalidInput(f"field {field!r}: places are not counted by value; use a filter")
    return kind


def count_values(store: Store, field: str, where: Where | None) -> dict[Any, int]:
    """Points for each distinct value of a field, by reading the payloads: for types that the engines do not count."""
    counts: Counter[Any] = Counter()
    for record in store.scroll(where=where, fields=[field]):
        value: Any = record.payload
        for key in field.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        values = value if isinstance(value, list) else [value]
        counts.update({item for item in values if isinstance(item, (str, int, float))})
    return counts


def by_count(counts: Mapping[Any, int], limit: int) -> dict[Any, int]:
    """Most frequent first, ties by value."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], isinstance(item[0], str), item[0]))
    return dict(ordered[:limit])


def payload_paths(fields: Sequence[str] | None) -> bool | list[str]:
    """What to ask an engine for: True is the whole payload, False none of it."""
    if fields is None:
        return True
    return [json_path(field) for field in fields] if fields else False


def check_asset_name(name: str) -> None:
    """Accept a plain file name, or raise `InvalidInput`."""
    if not name or name.startswith(".") or not all(c.isascii() and (c.isalnum() or c in "._-") for c in name):
        raise InvalidInput(f"asset name {name!r}: expected letters, digits, '.', '-' or '_'")


def is_generation(name: str) -> bool:
    """`g0001`, `g0002`, …"""
    return len(name) >= 5 and name[0] == "g" and name[1:].isascii() and name[1:].isdigit()


def check_generation(name: str) -> str:
    """Accept a generation's name, or raise `InvalidInput`."""
    if not is_generation(name):
        raise InvalidInput(f"generation {name!r}: expected a name such as 'g0001'")
    return name


def not_found(location: str, collection: str, serving: dict[str, str]) -> str:
    """The message for a collection that is not there."""
    there = f"there: {', '.join(sorted(serving))}" if serving else "it has none yet"
    return f"database {location!r} has no collection {collection!r}; {there}"


def _check_sparse(vector: SparseVector) -> None:
    if vector.indices.ndim != 1 or vector.indices.shape != vector.values.shape:
        raise InvalidInput(
            f"sparse vector of {list(vector.indices.shape)} indices and {list(vector.values.shape)} values, expected [n] twice"
        )
    if not np.isfinite(vector.values).all():
        raise InvalidInput("sparse vector: holds NaN or infinity")
    if len(np.unique(vector.indices)) != len(vector.indices):
        raise InvalidInput("sparse vector: an index occurs twice")
