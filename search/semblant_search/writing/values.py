"""Metadata as a Python program gives it: its values as JSON, and the types of their fields by the rules of tables."""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np

from semblant_search.collection import FieldType, check_field_name
from semblant_search.errors import MetadataError
from semblant_search.shown import shown

from .metadata import TypeInference, convert_record

__all__ = ["NewField", "as_json", "fields_of", "typed"]

_MOST_LEVELS = 16
_ALSO_FIT = {(FieldType.INTEGER, FieldType.FLOAT), (FieldType.DATETIME, FieldType.KEYWORD)}
"""Kinds of values, and the other type of field that each may go into: 3 among decimals, and text that reads as a date."""


class NewField(NamedTuple):
    """A field that an item of a call makes: its type, and for messages the value and the place of the item."""

    kind: FieldType
    value: Any
    place: int


def as_json(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """The same with values of JSON.

    Takes text, bool, numbers (NumPy's and `Decimal`, too), `datetime` (without a zone: UTC) and `date`, lists of these, places
    `{"lat": …, "lon": …}`, and mappings of names to all that. UUIDs and paths are text. None stays, and means no value.

    Raises:
        MetadataError: another type of value; a name that is Semblant's own or cannot be a field's.
    """
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise MetadataError(f"metadata {shown(metadata)}: expected a mapping of names to values, such as {{'price': 9.5}}")
    for name in metadata:
        if not isinstance(name, str):
            raise MetadataError(f"metadata field {shown(name)}: expected a text as its name")
        check_field_name(name)
    return {name: _value(value, name, 0) for name, value in metadata.items()}


def fields_of(records: Mapping[int, Mapping[str, Any]], known: Mapping[str, FieldType]) -> dict[str, NewField]:
    """New fields of numbers: decimals, where any of these records has them; otherwise the first value of a field decides.

    Args:
        records: by their places among the items.
        known: the collection's fields.
    """
    numbers = {FieldType.INTEGER, FieldType.FLOAT}
    fields = dict(known)
    found: dict[str, NewField] = {}
    for place, record in records.items():
        for name, kind in _kinds(record).items():
            if name not in fields and _above(name, fields) is None and _below(name, fields) is None:
                fields[name] = kind
                if kind in numbers:
                    found[name] = NewField(kind, _value_of(record, name), place)
            elif kind is FieldType.FLOAT and name in found and found[name].kind is FieldType.INTEGER:
                found[name] = NewField(kind, _value_of(record, name), place)
    return found


def typed(
    record: Mapping[str, Any],
    known: Mapping[str, FieldType],
    new: Mapping[str, NewField] = MappingProxyType({}),
    place: int = 0,
) -> tuple[dict[str, Any], dict[str, NewField]]:
    """Payload of a record of JSON values, and its fields that are in neither `known` nor `new` yet.

    As in a table, empty values are left out and dates become RFC 3339 in UTC.

    Args:
        record: of one item.
        known: the collection's fields.
        new: fields that other items of the same call make.
        place: that of the item.

    Raises:
        MetadataError: a value does not fit the type that its field has; a name that holds values, and names below it.
    """
    kinds = _kinds(record)
    fields = {**known, **{name: field.kind for name, field in new.items()}}
    for name, kind in kinds.items():
        field = fields.get(name, kind)
        if kind is not field and (kind, field) not in _ALSO_FIT:
            raise MetadataError(
                f"metadata field {name!r} holds {field.value} {_since(name, new)}; "
                f"{_described(_value_of(record, name), kind)}: convert the value, or give it another name"
                + ("" if name in new else ", or build the collection anew with --rebuild for another type")
            )
        if name not in fields:
            _check_levels(name, fields, new)
    made = {name: NewField(kind, _value_of(record, name), place) for name, kind in kinds.items() if name not in fields}
    return convert_record(record, {**kinds, **fields}), made


def _check_levels(name: str, fields: Mapping[str, FieldType], new: Mapping[str, NewField]) -> None:
    """Raise `MetadataError` where a new name would hold a value in some pictures, and names below it in others."""
    above, below = _above(name, fields), _below(name, fields)
    if above is not None:
        raise MetadataError(
            f"metadata field {above!r} holds {fields[above].value} {_since(above, new)}, so that it has no names below it, as "
            f"{name!r} is one; give one of the two another name"
        )
    if below is not None:
        raise MetadataError(
            f"metadata field {name!r} has names below it {_since(below, new)}, such as {below!r}, so that it holds no value of "
            "its own; give one of the two another name"
        )


def _above(name: str, fields: Mapping[str, FieldType]) -> str | None:
    """A field whose value would hold this name."""
    keys = name.split(".")
    return next((above for n in range(1, len(keys)) if (above := ".".join(keys[:n])) in fields), None)


def _below(name: str, fields: Mapping[str, FieldType]) -> str | None:
    """A field that would lie in this one's value."""
    return next((below for below in fields if below.startswith(f"{name}.")), None)


def _since(name: str, new: Mapping[str, NewField]) -> str:
    if name not in new:
        return "in this collection"
    field = new[name]
    return f"since pictures[{field.place}] of this call, where {_described(field.value, field.kind)}"


def _described(value: object, kind: FieldType) -> str:
    far = isinstance(value, int) and kind is FieldType.KEYWORD
    return f"{shown(value)} is {kind.value}{', as whole numbers beyond 64 bits are' if far else ''}"


def _value_of(record: Mapping[str, Any], name: str) -> Any:
    """The value that a field's type comes from: of a list the first that is none of another kind."""
    value = _at(record, name)
    if not isinstance(value, list):
        return value
    return next((one for one in value if isinstance(one, int) and not isinstance(one, bool) and abs(one) >= 2**63), value)


def _kinds(record: Mapping[str, Any]) -> dict[str, FieldType]:
    inference = TypeInference(text=False)
    inference.add(record, 1)
    if (name := inference.mixed_place) is not None:
        raise MetadataError(
            f"metadata field {name!r} holds a place and something else: {shown(_at(record, name))}; make them alike"
        )
    return inference.fields


def _at(record: Mapping[str, Any], name: str) -> object:
    value: Any = record
    for part in name.split("."):
        value = value[part]
    return value


def _text(value: str, name: str) -> str:
    """The same. Raises `MetadataError` for half of a surrogate pair, which no database holds."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise MetadataError(
            f"metadata field {name!r}: {shown(value)} holds half of a surrogate pair at character {error.start}, which is no "
            "text; leave it out, or give the whole character"
        ) from error
    return value


def _value(value: Any, name: str, level: int) -> Any:
    given = value
    if isinstance(value, (np.generic, np.ndarray)):
        if value.dtype.kind == "M":  # in its own unit, finer or coarser ones are mere numbers to Python
            value = value.astype("datetime64[us]")
        value = value.tolist() if value.dtype.kind != "m" else value
        if isinstance(given, np.datetime64) and isinstance(value, int):
            raise MetadataError(f"metadata field {name!r}: {shown(given)}: beyond the years 1 to 9999")
    if isinstance(value, str):
        return _text(value, name)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, date) and value != value:  # pandas' NaT, a datetime by name only, is no value
        return None
    if isinstance(value, datetime):
        try:
            value = value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)
        except OverflowError as error:
            raise MetadataError(f"metadata field {name!r}: {shown(given)}: beyond the years 1 to 9999 in UTC") from error
        return value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value) if not value.is_snan() else float("nan")
    if isinstance(value, (UUID, PurePath)):
        return _text(str(value), name)
    if level < _MOST_LEVELS and isinstance(value, (list, tuple, Set)):
        return [_value(one, name, level + 1) for one in value]
    if level < _MOST_LEVELS and isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _value(one, f"{name}.{key}", level + 1) for key, one in value.items()}
    raise MetadataError(
        f"metadata field {name!r}: {shown(value)} is {type(value).__name__}; expected text, bool, a number, a datetime, a list "
        "of these, or a place {'lat': …, 'lon': …}"
    )
