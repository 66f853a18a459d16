"""Metadata: what type a column has, and how its values become payload.

A type is inferred from the whole column, never from its first rows: integers and floats together are floats, and a column
that mixes anything else is text. Types can be declared instead; then a value that does not fit is its picture's error.
"""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from semblant_search.collection import FieldType, check_field_name, wider
from semblant_search.errors import MetadataError
from semblant_search.shown import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["TypeInference", "clean_text", "convert_record", "parse_date", "parse_declaration"]

_INTEGER = re.compile(r"[+-]?(0|[1-9]\d{0,18})")  # no leading zeros: 00123 is an article number, not a quantity
_MOST_BITS = 3322  # 1,000 digits: Python writes no more than some thousands
_INT64 = range(-(2**63), 2**63)
_FLOAT = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?( ?(Z|[+-]\d\d:?\d\d))?)?")
_BOOLS = {"true": True, "false": False, "yes": True, "no": False}


@lru_cache(maxsize=65536)
def _kind_of_text(text: str) -> FieldType | None:
    if _INTEGER.fullmatch(text) and int(text) in _INT64:
        return FieldType.INTEGER
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return FieldType.FLOAT
    if text.lower() in ("true", "false"):
        return FieldType.BOOL
    return _kind_of_date(text)


def _kind_of_date(text: str) -> FieldType | None:
    """None for a date that no calendar has in UTC, such as the first day of year 1 east of Greenwich."""
    if not _DATE.fullmatch(text):
        return FieldType.KEYWORD
    if parse_date(text) is not None:
        return FieldType.DATETIME
    return None if _is_date_elsewhere(text) else FieldType.KEYWORD


def _kind_of_json(value: Any) -> FieldType | None:
    if isinstance(value, bool):
        return FieldType.BOOL
    if isinstance(value, int):
        return FieldType.INTEGER if value in _INT64 else FieldType.KEYWORD
    if isinstance(value, float):
        return FieldType.FLOAT
    return _kind_of_date(value) if isinstance(value, str) else FieldType.KEYWORD


class TypeInference:
    """Collects what the values of each field are. Nested fields have names with dots; lists are judged by their elements.

    Args:
        text: values come from a text format, where `12` may be a number; otherwise they carry their own types.
        declared: types that the user gave; they are not inferred.
    """

    def __init__(self, *, text: bool, declared: Mapping[str, FieldType] | None = None) -> None:
        self._kind_of = _kind_of_text if text else _kind_of_json
        self._kinds: dict[str, FieldType] = {}
        self._first: dict[str, tuple[Any, int]] = {}
        self._mixed: dict[str, str] = {}
        self._beyond: dict[str, tuple[Any, int]] = {}
        """Dates that are none in UTC: text, unless the field holds dates; then each is the error of its picture."""
        self._declared = dict(declared or {})

    def add(self, record: Mapping[str, Any], line: int) -> None:
        """Take one row into account. Raises `MetadataError` on a field name that cannot be a payload field."""
        for name, value in _leaves(record, ""):
            if name in self._declared:
                continue
            kind = FieldType.GEO if isinstance(value, dict) else self._kind_of(value)
            known = self._kinds.get(name)
            if kind is None:
                self._beyond.setdefault(name, (value, line))
                kind = FieldType.KEYWORD if known not in (None, FieldType.DATETIME) else known
            if known is None and kind is not None:
                self._kinds[name] = kind
                self._first[name] = (value, line)
                if name in self._beyond and kind is not FieldType.DATETIME:
                    self._merge(name, kind, FieldType.KEYWORD, *self._beyond[name])
            elif known is not kind and known is not None and kind is not None:
                self._merge(name, known, kind, value, line)

    def adopt(self, fields: Mapping[str, FieldType]) -> None:
        """Take the types of a collection's fields that are wider than what the values say: a shorter table has fewer kinds."""
        for name, kind in self.fields.items():
            known = fields.get(name)
            text = known is FieldType.KEYWORD and kind is not FieldType.GEO
            if known is not None and (text or wider(known, kind) is known):
                self._declared[name] = known

    def _merge(self, name: str, known: FieldType, kind: FieldType, value: Any, line: int) -> None:
        numbers = {FieldType.INTEGER, FieldType.FLOAT}
        if {known, kind} <= numbers:
            self._kinds[name] = FieldType.FLOAT
            return
        if FieldType.GEO in (known, kind):
            first, first_line = self._first[name]
            raise MetadataError(
                f"metadata field {name!r} is a place in some rows and something else in others: "
                f"{shown(first)} (line {first_line}), {shown(value)} (line {line}); make them alike"
            )
        if known is not FieldType.KEYWORD:
            first, first_line = self._first[name]
            self._mixed[name] = (
                f"metadata field {name!r} mixes types: {shown(first)} (line {first_line}) and {shown(value)} (line {line}); "
                f"kept as text (declare a type to have misfits reported instead)"
            )
        self._kinds[name] = FieldType.KEYWORD

    @property
    def fields(self) -> dict[str, FieldType]:
        """The type of every field seen, and of every declared one."""
        return {**dict.fromkeys(self._beyond, FieldType.KEYWORD), **self._kinds, **self._declared}

    @property
    def notes(self) -> list[str]:
        """One line for each column that mixes types."""
        return list(self._mixed.values())


def convert_record(record: Mapping[str, Any], fields: Mapping[str, FieldType], prefix: str = "") -> dict[str, Any]:
    """Payload from a row: empty values left out, the others brought to their field's type.

    Raises:
        MetadataError: a value does not fit a declared type.
    """
    payload: dict[str, Any] = {}
    for name, value in record.items():
        full = prefix + name
        if value is None or value == "":
            continue
        if isinstance(value, dict) and not _is_geo(value) and fields.get(full) is not FieldType.GEO:
            nested = convert_record(value, fields, full + ".")
            if nested:
                payload[name] = nested
        elif isinstance(value, list):
            converted = [_convert(element, fields[full], full) for element in value if element not in (None, "")]
            if converted:
                payload[name] = converted
        else:
            payload[name] = _convert(value, fields[full], full)
    return payload


def parse_declaration(text: str) -> tuple[str, FieldType]:
    """`price:float` → `("price", FieldType.FLOAT)`. Raises `MetadataError`."""
    name, _, kind = text.rpartition(":")
    try:
        field_type = FieldType(kind.strip().lower())
    except ValueError:
        kinds = ", ".join(member.value for member in FieldType)
        raise MetadataError(f"field declaration {text!r}: expected NAME:TYPE with a type out of {kinds}") from None
    for part in name.strip().split("."):
        check_field_name(part)
    return name.strip(), field_type


def clean_text(text: str) -> str:
    """Text that a database can hold: bytes that are not UTF-8 (from file names, say) become `\ufffd`."""
    return text if text.isascii() else text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _leaves(record: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        full = prefix + name
        if value is None or value == "":
            continue
        if isinstance(value, dict) and not _is_geo(value):
            for inner in value:
                check_field_name(inner)
            yield from _leaves(value, full + ".")
        elif isinstance(value, list):
            yield from ((full, element) for element in _flat(value, full) if element not in (None, ""))
        else:
            yield full, value


def _flat(values: Iterable[Any], name: str) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (list, dict)) and not _is_geo(value):
            raise MetadataError(f"metadata field {name!r}: lists may hold plain values only, found {shown(value)}")
        yield value


def _is_geo(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"lat", "lon"}
        and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value.values())
    )


def _convert(value: Any, kind: FieldType, name: str) -> Any:
    if kind is FieldType.KEYWORD:
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise MetadataError(
                f"metadata field {name!r}: {shown(value)}; whole numbers beyond 64 bits are kept as text, and beyond "
                "1,000 digits not at all"
            )
        return clean_text(value) if isinstance(value, str) else json.dumps(value)
    if isinstance(value, str):
        converted = _from_text(value, kind)
    elif kind is FieldType.FLOAT and isinstance(value, (int, float)) and not isinstance(value, bool):
        converted = float(value) if math.isfinite(value) else None
    elif kind is FieldType.INTEGER and isinstance(value, int) and not isinstance(value, bool):
        converted = value if value in _INT64 else None
    elif kind is FieldType.BOOL and isinstance(value, bool):
        converted = value
    elif kind is FieldType.GEO and _is_geo(value):
        converted = _place(value["lat"], value["lon"])
    else:
        converted = None
    if converted is None:
        raise MetadataError(f"metadata field {name!r}: {shown(value)} is not a value of type {kind.value}")
    return converted


@lru_cache(maxsize=65536)
def _from_text(text: str, kind: FieldType) -> Any:
    text = text.strip()
    if kind is FieldType.INTEGER:
        return int(text) if _INTEGER.fullmatch(text) and int(text) in _INT64 else None
    if kind is FieldType.FLOAT:
        return float(text) if _FLOAT.fullmatch(text) and math.isfinite(float(text)) else None
    if kind is FieldType.BOOL:
        return _BOOLS.get(text.lower(), {"1": True, "0": False}.get(text))
    if kind is FieldType.DATETIME:
        return parse_date(text)
    latitude, _, longitude = text.partition(",")
    try:
        return _place(float(latitude), float(longitude))
    except ValueError:
        return None


def _place(latitude: float, longitude: float) -> dict[str, float] | None:
    """A place on Earth, or None; also for NaN."""
    return {"lat": latitude, "lon": longitude} if abs(latitude) <= 90 and abs(longitude) <= 180 else None


def parse_date(text: str) -> str | None:
    """RFC 3339 in UTC; a time without a zone is taken as UTC, as Qdrant does."""
    text = text.strip()
    if not _DATE.fullmatch(text):
        return None
    try:
        moment = _moment(text)
        moment = moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)
    except (ValueError, OverflowError):  # beyond the years 1 to 9999 in UTC
        return None
    return moment.isoformat().replace("+00:00", "Z")


def _moment(text: str) -> datetime:
    # Python 3.10 reads neither `Z`, nor `+0200`, nor other than 3 or 6 decimals.
    text = re.sub(r" ?Z$", "+00:00", text)
    text = re.sub(r" ?([+-]\d\d):?(\d\d)$", r"\1:\2", text) if len(text) > 10 else text
    text = re.sub(r"\.(\d{1,9})", lambda match: "." + match.group(1)[:6].ljust(6, "0"), text)
    return datetime.fromisoformat(text)


def _is_date_elsewhere(text: str) -> bool:
    """Whether it is a date in its own time zone."""
    try:
        _moment(text)
    except ValueError:
        return False
    return True
