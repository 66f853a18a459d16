"""Objects of JSON as strangers write them, reduced to what fields can hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from semblant_search.errors import MetadataError
from semblant_search.writing.looks import is_place

from .field_names import field_name, nested, unlike

if TYPE_CHECKING:
    from .losses import Losses

__all__ = ["kept_record", "read_json"]

_NAMES = ("name", "label", "title", "text", "value", "id")
"""What stands for an object in a list of objects; the first that is there."""
_DEEPEST = 16
_MOST_DIGITS = 1000
"""Longer whole numbers stay text: Python reads no more than some thousands of digits."""


def read_json(text: str) -> Any:
    """A value of JSON, with `NaN`, which some write. Raises `ValueError` on what is none, or is nested beyond measure."""
    try:
        return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) <= _MOST_DIGITS else digits)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def kept_record(record: dict[str, Any], place: str, losses: Losses) -> dict[str, Any]:
    """What fields can hold of an object.

    Names that no field can have are left out with their values. A list of objects becomes the list of their names.

    Args:
        record: an object of JSON.
        place: file and line, for `losses`.
        losses: hears of what is left out.
    """
    if "shapes" in record and "imagePath" in record:  # labelme: the picture itself, and its own size, are known
        record = {name: value for name, value in record.items() if name not in ("imageData", "imageWidth", "imageHeight")}
    return _kept(record, "", place, losses)


def _kept(record: dict[str, Any], prefix: str, place: str, losses: Losses) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    if any("." in given for given in record):
        record = _with_keys_within(record)
    for given, value in record.items():
        try:
            name = field_name(given, [given.partition(".")[0]])  # its dots that mean something are gone by now
        except MetadataError as error:
            losses.add("metadata fields whose names cannot be a field's", f"{place}: {error}")
            continue
        if unlike(name, given):
            if name in record or name in kept:
                losses.add("metadata fields that have the name of another one", f"{place}: {given!r}")
                continue
            losses.add("metadata fields", f"{place}: {given!r} as {name!r}", told="kept under other names")
        full = prefix + name
        if isinstance(value, list):
            value = _list(value, full, place, losses)
            if value is None:
                continue
        elif isinstance(value, dict) and not is_place(value):
            if full.count(".") >= _DEEPEST:
                losses.add(f"values of metadata field {full!r} that are nested too deeply", place)
                continue
            value = _kept(value, f"{full}.", place, losses)
        kept[name] = value
    return kept


def _with_keys_within(record: dict[str, Any]) -> dict[str, Any]:
    """The same, a key with dots as keys within each other where none of the others is in the way."""
    plain = {name: value for name, value in record.items() if "." not in name}
    left: dict[str, Any] = {}
    within: list[tuple[str, Any]] = []
    for given, value in record.items():
        if "." not in given:
            continue
        try:
            is_path = field_name(given, [*plain, *(name for name, _ in within)]) == given
        except MetadataError:
            is_path = False
        is_path = is_path and not any(name.startswith(f"{given}.") for name, _ in within)
        if is_path:
            within.append((given, value))
        else:
            left[given] = value
    return {**plain, **left, **nested(within)}


def _list(values: list[Any], name: str, place: str, losses: Losses) -> list[Any] | None:
    if all(value is None or isinstance(value, (str, bool, int, float)) or is_place(value) for value in values):
        return values
    kept: list[Any] = []
    nested = 0
    for value in values:
        if isinstance(value, dict) and not is_place(value):
            named = next((value[key] for key in _NAMES if isinstance(value.get(key), (str, int)) and value[key] != ""), None)
            if named is not None and named not in kept:
                kept.append(named)
        elif isinstance(value, (list, dict)):
            nested += 1
        elif value is not None:
            kept.append(value)
    if any(isinstance(value, dict) for value in values):
        rest = "of which only the names are kept" if kept else "without names"
        losses.add(f"details of metadata field {name!r}, a list of objects {rest}", place)
    if nested:
        losses.add(f"lists within lists in metadata field {name!r}", place)
    return kept or None
