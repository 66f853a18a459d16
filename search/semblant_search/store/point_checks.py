"""What is checked of points and payloads before an engine sees them, so that bad ones fail alike and name what was expected."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np

from semblant_search.errors import InvalidInput, PointNotFound

from .engines.feature_numbers import to_numbers
from .query_checks import check_sparse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from semblant_search.collection import Manifest

    from .records import Point

__all__ = ["check_found", "check_ids", "check_payload", "check_points"]


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
            check_sparse(point.orb)
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
