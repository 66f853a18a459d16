"""Metadata as a Python program gives it: its values as JSON, and the types of their fields by the rules of tables."""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np

from semblant_search.collection import FieldType, check_field_name
from semblant_search.errors import MetadataError
from semblant_search.where.values import shown

from .metadata import TypeInference, convert_record

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["as_json", "fields_of", "typed"]

_MOST_LEVELS = 16
_ALSO_FIT = {(FieldType.INTEGER, FieldType.FLOAT), (FieldType.DATETIME, FieldType.KEYWORD)}
"""Kinds of values, and the other type of field that each may go into: 3 among decimals, and text that reads as a date."""


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


def fields_of(records: Iterable[Mapping[str, Any]], known: Mapping[str, FieldType]) -> dict[str, FieldType]:
    """The types of numbers in fields that a collection does not know yet: decimals, where any of these records has them."""
    numbers = {FieldType.INTEGER, FieldType.FLOAT}
    found: dict[str, FieldType] = {}
    for record in records:
        for name, kind in _kinds(record).items():
            if kind in numbers and name not in known:
                found[name] = FieldType.FLOAT if FieldType.FLOAT in (kind, found.get(name)) else kind
    return found


def typed(record: Mapping[str, Any], fields: Mapping[str, FieldType]) -> tuple[dict[str, Any], dict[str, FieldType]]:
    """Payload of a record of JSON values, and the types of its fields that are not in `fields` yet.

    As in a table, empty values are left out and dates become RFC 3339 in UTC.

    Raises:
        MetadataError: a value does not fit the type that its field has.
    """
    kinds = _kinds(record)
    for name, kind in kinds.items():
        known = fields.get(name, kind)
        if kind is not known and (kind, known) not in _ALSO_FIT:
            raise MetadataError(
                f"metadata field {name!r} holds {known.value} in this collection; {shown(_at(record, name))} is {kind.value}: "
                "convert the value, give it another name, or build the collection anew with --rebuild for another type"
            )
    return convert_record(record, {**kinds, **fields}), {name: kind for name, kind in kinds.items() if name not in fields}


def _kinds(record: Mapping[str, Any]) -> dict[str, FieldType]:
    inference = TypeInference(text=False)
    inference.add(record, 1)
    return inference.fields


def _at(record: Mapping[str, Any], name: str) -> object:
    value: Any = record
    for part in name.split("."):
        value = value[part]
    return value


def _value(value: Any, name: str, level: int) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, datetime):
        value = value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)
        return value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, (UUID, PurePath)):
        return str(value)
    if level < _MOST_LEVELS and isinstance(value, (list, tuple, Set)):
        return [_value(one, name, level + 1) for one in value]
    if level < _MOST_LEVELS and isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _value(one, f"{name}.{key}", level + 1) for key, one in value.items()}
    raise MetadataError(
        f"metadata field {name!r}: {shown(value)} is {type(value).__name__}; expected text, bool, a number, a datetime, a list "
        "of these, or a place {'lat': …, 'lon': …}"
    )
