"""Metadata: what type a column has, and how its values become payload.

A type is inferred from the whole column, never from its first rows: integers and floats together are floats, and a column
that mixes anything else is text. How numbers and dates are written is told by the columns, too (see `ways`). Types can be
declared instead; then a value that does not fit is an error.
"""

from __future__ import annotations

import json
import math
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from semblant_search.collection import FieldType, check_field_name, wider
from semblant_search.errors import MetadataError
from semblant_search.shown import shown

from .looks import INT64, Look, is_place, look_of_json, look_of_text, means_nothing, number, parse_date
from .odd_writing import ANSWERS, SPREADSHEET_BOOLS
from .ways import (
    DATES,
    NUMBERS,
    ODD_DATES,
    ODD_NUMBERS,
    UNKNOWN,
    Ways,
    clash,
    common_ways,
    date_in,
    kind_of,
    number_in,
    way_note,
    ways_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["TypeInference", "clean_text", "convert_record", "parse_date", "parse_declaration"]

_MOST_BITS = 3322  # 1,000 digits: Python writes no more than some thousands
_NO_WAYS: Mapping[str, Ways] = MappingProxyType({})
_BOOLS = {"true": True, "false": False, **SPREADSHEET_BOOLS, **ANSWERS}
_PLAIN_NUMBERS = "kept as text (write numbers as 1234.5)"
_PLAIN_DATES = "kept as text (write dates as 2024-05-31, or 2024-05-31T12:30:00Z)"
_HINTS = (
    (Look.HUGE, {Look.INTEGER, Look.LONG}, "whole numbers beyond 64 bits are kept as text"),
    (Look.ZEROS, {Look.INTEGER, Look.LONG}, "leading zeros would be lost, so that it is kept as text"),
    (
        Look.THREE,
        NUMBERS | ODD_NUMBERS,
        "a comma before three digits may part thousands or decimals; kept as text (write numbers as 1234.5)",
    ),
    (Look.SPACED, NUMBERS | ODD_NUMBERS, f"it may be none, and is {_PLAIN_NUMBERS}"),
    *((look, NUMBERS | ODD_NUMBERS | {Look.ZEROS, Look.HUGE}, _PLAIN_NUMBERS) for look in (*Look,) if look in ODD_NUMBERS),
    (Look.DAY, {Look.DATETIME, Look.YEAR_FIRST, Look.DOTTED}, f"either may be meant; {_PLAIN_DATES}"),
    (
        Look.CLOCK,
        DATES | ODD_DATES,
        "kept as text (write durations as numbers, and moments as 2024-05-31T12:30:00Z)",
    ),
    *((look, DATES | ODD_DATES, _PLAIN_DATES) for look in (*Look,) if look in ODD_DATES),
    (Look.ANSWER, {Look.BOOL, Look.BOOL_WORD}, "kept as text (--field NAME:bool reads truth values)"),
)
"""Looks of columns that are text though they do not look it, what may be among them, and what a user should know."""


class TypeInference:
    """Collects what the values of each field are. Nested fields have names with dots; lists are judged by their elements.

    Args:
        text: values come from a text format, where `12` may be a number; otherwise they carry their own types.
        declared: types that the user gave; they are not inferred.
    """

    def __init__(self, *, text: bool, declared: Mapping[str, FieldType] | None = None) -> None:
        self._text = text
        self._looks: dict[str, dict[Look, tuple[Any, int | str]]] = {}
        """Of each field the looks of its values in their order, with the first value of each and its line."""
        self._declared = dict(declared or {})
        self._given = frozenset(self._declared)
        self._fields: dict[str, FieldType] | None = None
        self._ways: dict[str, Ways] = {}
        self._others = UNKNOWN

    def add(self, record: Mapping[str, Any], line: int | str, *, text: bool | None = None) -> None:
        """Take one row into account: of a line, or of a file of its own. `text` says otherwise for this row.

        Raises `MetadataError` on a field name that cannot be a payload field, and on what no field can hold.
        """
        look_of = look_of_text if (self._text if text is None else text) else look_of_json
        for name, value in _leaves(record, ""):
            looks = self._looks.get(name)
            if looks is None:
                looks = self._looks[name] = {}
            look = Look.GEO if isinstance(value, dict) else look_of(value)
            if look not in looks:
                looks[look] = value, line
                self._fields = None

    def declare(self, fields: Mapping[str, FieldType]) -> None:
        """Give types to fields, whatever their values say."""
        self._declared.update(fields)
        self._given |= frozenset(fields)
        self._fields = None

    def adopt(self, fields: Mapping[str, FieldType]) -> None:
        """Take the types of a collection's fields where those hold more than the values say: a shorter table has fewer kinds.

        Where some values of a column have the collection's type and others do not, the others are what does not fit; where
        none has, the field is to become one of text.
        """
        for name, kind in self.fields.items():
            known = fields.get(name)
            if known is None:
                continue
            looks = self._looks.get(name, {}).keys() - {Look.NOTHING, Look.NAN}
            if known is FieldType.KEYWORD or (not looks and name not in self._given):
                self._declared[name] = known
            elif (both := wider(known, kind)) is not FieldType.KEYWORD:
                self._declared[name] = both
            elif name not in self._given:
                found = {wider(known, kind_of((look,), self._others)) for look in looks}
                fitting = found - {FieldType.KEYWORD} or found
                self._declared[name] = fitting.pop() if len(fitting) == 1 else FieldType.FLOAT
        self._fields = None

    @property
    def fields(self) -> dict[str, FieldType]:
        """The type of every field seen, and of every declared one."""
        return dict(self._settled())

    @property
    def seen(self) -> frozenset[str]:
        """The fields that had a value."""
        return frozenset(self._looks)

    @property
    def notes(self) -> list[str]:
        """One line for each column that did not become what it looks like, and for each in which something means nothing."""
        return [note for name, looks in self._looks.items() if (note := self._note(name, looks)) is not None]

    @property
    def mixed_place(self) -> str | None:
        """A field that holds a place and something else; None where there is none."""
        return next((name for name, looks in self._looks.items() if Look.GEO in looks and len(looks) > 1), None)

    def convert(self, record: Mapping[str, Any], misfit: Callable[[str, str], None] | None = None) -> dict[str, Any]:
        """Payload from a row that was added before: what stands for no value is left out, and so is what does not fit.

        Args:
            record: the row.
            misfit: hears of each value that does not fit: the field, and what is wrong with it.
        """
        return convert_record(record, self._settled(), misfit=misfit or _unheard, ways=self._ways)

    def _settled(self) -> Mapping[str, FieldType]:
        if self._fields is None:
            self._others = common_ways(self._looks.values())
            kinds = {name: kind_of(looks, self._others) for name, looks in self._looks.items()}
            self._ways = {name: ways_of(looks, self._others) for name, looks in self._looks.items()}
            self._fields = {**kinds, **self._declared}
        return self._fields

    def _note(self, name: str, looks: dict[Look, tuple[Any, int | str]]) -> str | None:
        kind = self._settled()[name]
        if kind is not FieldType.KEYWORD:
            read = way_note(looks, self._ways[name])
            nothing = f"{_at(looks[Look.NOTHING])} and the like are taken as no value" if Look.NOTHING in looks else ""
            if read is not None:
                nothing = f"{read[1]}, as {_at(looks[read[0]])}{'; ' if nothing else ''}{nothing}"
            return f"metadata field {name!r}: {nothing}" if nothing else None
        if name in self._given:
            return None
        some = looks.keys() - {Look.NOTHING, Look.NAN}
        for look, others, hint in _HINTS:
            if look in looks and some <= {look, *others} and some != {Look.ZEROS}:
                return f"metadata field {name!r} looks like a {look.value} in some rows, such as {_at(looks[look])}: {hint}"
        two = clash(looks)
        if two is None:
            return None
        return (
            f"metadata field {name!r} mixes types: {_at(looks[two[0]])} and {_at(looks[two[1]])}; "
            f"kept as text (declare a type to have misfits left out instead)"
        )


def convert_record(
    record: Mapping[str, Any],
    fields: Mapping[str, FieldType],
    prefix: str = "",
    *,
    misfit: Callable[[str, str], None] | None = None,
    ways: Mapping[str, Ways] = _NO_WAYS,
) -> dict[str, Any]:
    """Payload from a row: empty values left out, the others brought to their field's type.

    Args:
        record: the row.
        fields: the type of each field in it.
        prefix: of the names in `fields`.
        misfit: hears of each value that does not fit; it is left out, and so is what stands for no value. None raises.
        ways: how numbers and dates are written, by field.

    Raises:
        MetadataError: a value does not fit a declared type.
    """
    payload: dict[str, Any] = {}
    for name, value in record.items():
        full = prefix + name
        if value is None or value == "":
            continue
        if isinstance(value, dict) and not is_place(value) and fields.get(full) is not FieldType.GEO:
            nested = convert_record(value, fields, full + ".", misfit=misfit, ways=ways)
            if nested:
                payload[name] = nested
        elif isinstance(value, list):
            elements = (_fitted(each, fields[full], full, misfit, ways) for each in value if each not in (None, ""))
            if converted := [element for element in elements if element is not None]:
                payload[name] = converted
        elif (fitted := _fitted(value, fields[full], full, misfit, ways)) is not None:
            payload[name] = fitted
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
        if isinstance(value, dict) and not is_place(value):
            for inner in value:
                check_field_name(inner)
            yield from _leaves(value, full + ".")
        elif isinstance(value, list):
            yield from ((full, element) for element in _flat(value, full) if element not in (None, ""))
        else:
            yield full, value


def _flat(values: Iterable[Any], name: str) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (list, dict)) and not is_place(value):
            raise MetadataError(f"metadata field {name!r}: lists may hold plain values only, found {shown(value)}")
        yield value


def _at(found: tuple[Any, int | str]) -> str:
    value, place = found
    return f"{shown(value)} ({f'line {place}' if isinstance(place, int) else place})"


def _unheard(_name: str, _problem: str) -> None:
    """For those who only want what fits."""


def _fitted(value: Any, kind: FieldType, name: str, misfit: Callable[[str, str], None] | None, ways: Mapping[str, Ways]) -> Any:
    if misfit is None:
        return _convert(value, kind, name)
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, str) and kind is not FieldType.KEYWORD and means_nothing(value):
        return None
    try:
        return _convert(value, kind, name, ways.get(name, UNKNOWN))
    except MetadataError as error:
        misfit(name, str(error))
        return None


def _convert(value: Any, kind: FieldType, name: str, ways: Ways = UNKNOWN) -> Any:
    if kind is FieldType.KEYWORD:
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise MetadataError(
                f"metadata field {name!r}: {shown(value)}; whole numbers beyond 64 bits are kept as text, and beyond "
                "1,000 digits not at all"
            )
        return clean_text(value) if isinstance(value, str) else json.dumps(value)
    if isinstance(value, str):
        converted = _from_text(value, kind, ways)
    elif kind is FieldType.FLOAT and isinstance(value, (int, float)) and not isinstance(value, bool):
        converted = _finite(value)
    elif kind is FieldType.INTEGER and isinstance(value, int) and not isinstance(value, bool):
        converted = value if value in INT64 else None
    elif kind is FieldType.BOOL and isinstance(value, bool):
        converted = value
    elif kind is FieldType.GEO and is_place(value):
        converted = _place(value["lat"], value["lon"])
    else:
        converted = None
    if converted is None:
        raise MetadataError(f"metadata field {name!r}: {shown(value)} is not a value of type {kind.value}")
    return converted


def _finite(value: float) -> float | None:
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number beyond all floats
        return None


@lru_cache(maxsize=65536)
def _from_text(text: str, kind: FieldType, ways: Ways) -> Any:
    text = text.strip()
    if kind in (FieldType.INTEGER, FieldType.FLOAT):
        return number(number_in(text, ways), kind)
    if kind is FieldType.BOOL:
        return _BOOLS.get(text.lower(), {"1": True, "0": False}.get(text))
    if kind is FieldType.DATETIME:
        return parse_date(text) or date_in(text, ways)
    latitude, _, longitude = text.partition(",")
    try:
        return _place(float(latitude), float(longitude))
    except ValueError:
        return None


def _place(latitude: float, longitude: float) -> dict[str, float] | None:
    """A place on Earth, or None; also for NaN."""
    return {"lat": latitude, "lon": longitude} if abs(latitude) <= 90 and abs(longitude) <= 180 else None
