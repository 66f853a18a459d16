"""From the filter tree to an engine's filter. Qdrant Edge and qdrant-client mirror each other; a `Dialect` holds the rest."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from unicodedata import normalize
from weakref import WeakKeyDictionary

from semblant_search.collection import FieldType
from semblant_search.errors import WhereError
from semblant_search.shown import shown

from .expression import (
    MAX_CONDITIONS,
    And,
    Contains,
    Equals,
    Exists,
    Leaf,
    Not,
    OneOf,
    Or,
    Range,
    StartsWith,
    Where,
)
from .numbers import EXACT, Numbers, float_bounds, whole_numbers
from .places import Near, Within, outward, spans
from .values import Origin, Value, error_at, parse_time, value_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Dialect", "compile_where", "json_path", "unknown_field"]

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN = 60
_COMPARED = 100
"""Characters of a name that are compared with those of fields."""
_NUMBERS = (FieldType.INTEGER, FieldType.FLOAT)


@dataclass(frozen=True)
class Dialect:
    """How one engine spells a filter.

    Attributes:
        models: the module with `Filter`, `FieldCondition`, `MatchValue`, `MatchAny`, `MatchPrefix`, `MatchSubstring`.
        number_range, time_range: called with gt, gte, lt, lte; times are RFC 3339 strings.
        is_empty: called with a JSON path: missing, null or an empty list.
        boolean: how the engine wants a bool in `MatchValue`.
    """

    models: Any
    number_range: Callable[..., Any]
    time_range: Callable[..., Any]
    is_empty: Callable[[str], Any]
    boolean: Callable[[bool], Any]


def compile_where(where: Where, dialect: Dialect, fields: Mapping[str, FieldType]) -> Any:
    """The engine's `Filter` for a filter on a collection with these payload fields; kept with the filter for the next time.

    Raises:
        WhereError: an unknown field, or a comparison that the field's type does not have; points at the column. Also more
            than 10,000 conditions as the engine takes them: each value of a list on a field of decimals or dates is one.
    """
    kept: WeakKeyDictionary[Dialect, tuple[Any, Any]] | None = getattr(where, "_compiled", None)
    if kept is None:
        kept = WeakKeyDictionary()
        object.__setattr__(where, "_compiled", kept)
    of_fields, compiled = kept.get(dialect, (None, None))
    key = tuple(fields.items())
    if of_fields != key:
        condition = _Compiler(dialect, fields).condition(where)
        compiled = condition if isinstance(condition, dialect.models.Filter) else dialect.models.Filter(must=[condition])
        kept[dialect] = key, compiled
    return compiled


def json_path(name: str) -> str:
    """A field name as the JSON path that both engines read: keys that are not plain ASCII words are quoted."""
    return ".".join(key if _PLAIN_KEY.fullmatch(key) else f'"{key}"' for key in name.split("."))


def unknown_field(name: str, fields: Mapping[str, FieldType]) -> str:
    """The message for a field that the collection does not have, with the nearest names that it has."""
    if not isinstance(name, str):
        return f"field {shown(name)}: expected its name, as text"
    known = sorted(field for field in fields if not field.startswith("_")) or sorted(fields)
    near = difflib.get_close_matches(name[:_COMPARED], fields, n=3, cutoff=0.6)
    near += [field for field in known if field.lower() == name.lower() and field not in near]
    if near:
        advice = f"did you mean {' or '.join(near)}?"
    elif known:
        advice = f"there are {', '.join(map(_short, known[:12]))}{' and more' if len(known) > 12 else ''}"
    else:
        advice = "this collection has no metadata to filter on"
    return f"unknown field {shown(name)}; {advice}"


def _short(name: str) -> str:
    return name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"


class _Compiler:
    def __init__(self, dialect: Dialect, fields: Mapping[str, FieldType]) -> None:
        self.dialect = dialect
        self.models = dialect.models
        self.fields = fields

    def condition(self, where: Where) -> Any:
        where = self._named(where)
        if isinstance(where, And):
            wanted = [self.condition(term) for term in where.terms if not isinstance(term, Not)]
            unwanted = self._any([term.term for term in where.terms if isinstance(term, Not)])
            return self.models.Filter(must=wanted or None, must_not=unwanted or None)
        if isinstance(where, Or):
            return self.models.Filter(should=self._any(where.terms))
        if isinstance(where, Not):
            return self.models.Filter(must_not=[self.condition(where.term)])
        if isinstance(where, Equals):
            return self._equals(where, self._type(where.name, where.origin), where.value)
        if isinstance(where, Range):
            return self._range(where, self._type(where.name, where.origin))
        if isinstance(where, OneOf):
            return self._one_of(where, self._type(where.name, where.origin))
        if isinstance(where, Exists):
            self._type(where.name, where.origin)
            return self.models.Filter(must_not=[self.dialect.is_empty(json_path(where.name))])
        if isinstance(where, (StartsWith, Contains)):
            return self._text(where, self._type(where.name, where.origin))
        if isinstance(where, (Within, Near)):
            return self._place(where, self._type(where.name, where.origin))
        raise WhereError(f"{where!r}: expected a filter")

    def _any(self, terms: Sequence[Where]) -> list[Any]:
        """Conditions of which one must hold. Values that one field may equal become one list, which an engine looks up."""
        conditions: list[Any] = []
        values: dict[tuple[str, type], dict[str | int, None]] = {}
        for term in map(self._named, terms):
            if isinstance(term, Equals) and (value := self._looked_up(term)) is not None:
                values.setdefault((term.name, type(value)), {})[value] = None
            else:
                conditions.append(self.condition(term))
        for (name, _), several in values.items():
            match = (
                self.models.MatchAny(any=list(several))
                if len(several) > 1
                else self.models.MatchValue(value=next(iter(several)))
            )
            conditions.append(self._match(name, match))
        return conditions

    def _looked_up(self, node: Equals) -> str | int | None:
        kind, value = self._type(node.name, node.origin), node.value
        if (kind is FieldType.KEYWORD and isinstance(value, str)) or (kind is FieldType.INTEGER and type(value) is int):
            return value
        return None

    def _named(self, where: Where) -> Where:
        """The same, of the field whose name is written in another form of Unicode: a filter in text is read in NFKC."""
        if not isinstance(where, Leaf) or not isinstance(where.name, str) or where.name.isascii() or where.name in self.fields:
            return where
        wanted = normalize("NFKC", where.name)
        alike = [field for field in self.fields if not field.isascii() and normalize("NFKC", field) == wanted]
        return replace(where, name=alike[0]) if len(alike) == 1 else where

    def _type(self, name: str, origin: Origin | None) -> FieldType | None:
        """The declared type; None for a key below a known one, which may hold anything."""
        if name in self.fields:
            return self.fields[name]
        keys = name.split(".")
        if any(".".join(keys[:n]) in self.fields for n in range(1, len(keys))):
            return None
        raise error_at(unknown_field(name, self.fields), origin, at_value=False)

    def _match(self, name: str, match: Any) -> Any:
        return self.models.FieldCondition(key=json_path(name), match=match)

    def _equals(self, node: Equals | OneOf, kind: FieldType | None, value: Value) -> Any:
        name, origin = node.name, node.origin
        if isinstance(value, bool):
            _require(name, kind, (FieldType.BOOL,), value, origin)
            return self._match(name, self.models.MatchValue(value=self.dialect.boolean(value)))
        if isinstance(value, (int, float)):
            _require(name, kind, _NUMBERS, value, origin)
            if kind is FieldType.INTEGER or (kind is None and abs(value) >= EXACT and isinstance(value, int)):
                whole = int(value)
                fits = whole == value and -(2**63) <= whole < 2**63
                return self._match(name, self.models.MatchValue(value=whole)) if fits else self._nothing(name)
            return self._numbers(name, {"gte": value, "lte": value})  # a float field may hold 3 as well as 3.0
        if isinstance(value, str) and kind is not FieldType.DATETIME:
            _require(name, kind, (FieldType.KEYWORD,), value, origin)
            return self._match(name, self.models.MatchValue(value=value))
        time = _time(name, kind, value, origin)
        return self._times(name, gte=time, lte=time)

    def _range(self, node: Range, kind: FieldType | None) -> Any:
        bounds = {bound: value for bound in ("gt", "gte", "lt", "lte") if (value := getattr(node, bound)) is not None}
        if all(isinstance(value, (int, float)) for value in bounds.values()):
            _require(node.name, kind, _NUMBERS, next(iter(bounds.values())), node.origin)
            if kind is FieldType.INTEGER:
                return self._whole_numbers(node.name, whole_numbers(**bounds))
            far = [value for value in bounds.values() if isinstance(value, int) and abs(value) > EXACT]
            if kind is None and far:
                raise error_at(
                    f"{far[0]}: {node.name} has no type of its own, and beyond 2^53 such numbers compare as decimals, not "
                    "exactly; ask with == or in, or give the number a metadata column of its own",
                    node.origin,
                )
            return self._numbers(node.name, bounds)
        for value in bounds.values():
            if isinstance(value, (int, float)):
                raise error_at(f"{value_text(value)}: one bound is a number and the other is not", node.origin)
        if kind is FieldType.KEYWORD:
            raise error_at(
                f"{node.name} holds text, which has no order here; compare it with ==, in, startswith or contains", node.origin
            )
        return self._times(node.name, **{bound: _time(node.name, kind, value, node.origin) for bound, value in bounds.items()})

    def _one_of(self, node: OneOf, kind: FieldType | None) -> Any:
        texts: dict[str, None] = {}
        whole: dict[int, None] = {}
        rest: dict[tuple[type, Value], Value] = {}
        for value in node.values:
            if isinstance(value, str) and kind is not FieldType.DATETIME:
                texts[value] = None
            elif kind is FieldType.INTEGER and type(value) is int:
                whole[value] = None
            else:
                rest[type(value), value] = value
        if len(rest) > MAX_CONDITIONS:
            raise error_at(
                f"a list of {len(rest):,} values for {node.name}; the limit is {MAX_CONDITIONS:,} for decimals and dates, "
                "which are compared one by one",
                node.origin,
            )
        conditions = [self._equals(node, kind, value) for value in rest.values()]
        if texts:
            _require(node.name, kind, (FieldType.KEYWORD,), next(iter(texts)), node.origin)
            conditions.append(self._match(node.name, self.models.MatchAny(any=list(texts))))
        if whole:
            conditions.append(self._match(node.name, self.models.MatchAny(any=list(whole))))
        if not conditions:
            return self._nothing(node.name)
        return conditions[0] if len(conditions) == 1 else self.models.Filter(should=conditions)

    def _text(self, node: StartsWith | Contains, kind: FieldType | None) -> Any:
        function = "startswith" if isinstance(node, StartsWith) else "contains"
        if kind not in (FieldType.KEYWORD, None):
            raise error_at(f"{function} looks at text, but {node.name} is {_A[kind]}", node.origin, at_value=False)
        if isinstance(node, StartsWith):
            return self._match(node.name, self.models.MatchPrefix(prefix=node.text))
        return self._match(node.name, self.models.MatchSubstring(substring=node.text))

    def _place(self, node: Within | Near, kind: FieldType | None) -> Any:
        function = "within" if isinstance(node, Within) else "near"
        if kind not in (FieldType.GEO, None):
            raise error_at(f"{function} looks at places, but {node.name} is {_A[kind]}", node.origin, at_value=False)
        if isinstance(node, Near):
            circle = self.models.GeoRadius(center=self._point(node.lat, node.lon), radius=node.km * 1000)
            return self.models.FieldCondition(key=json_path(node.name), geo_radius=circle)
        boxes = [self._box(node, west, east) for west, east in spans(node.west, node.east)]
        return boxes[0] if len(boxes) == 1 else self.models.Filter(should=boxes)

    def _box(self, node: Within, west: float, east: float) -> Any:
        south, north = outward(node.south, node.north, 90)
        box = self.models.GeoBoundingBox(top_left=self._point(north, west), bottom_right=self._point(south, east))
        return self.models.FieldCondition(key=json_path(node.name), geo_bounding_box=box)

    def _point(self, lat: float, lon: float) -> Any:
        return self.models.GeoPoint(lon=lon, lat=lat)

    def _numbers(self, name: str, bounds: dict[str, float]) -> Any:
        exact = float_bounds(bounds)
        if exact is None:
            return self._nothing(name)
        return self.models.FieldCondition(key=json_path(name), range=self.dialect.number_range(**exact))

    def _whole_numbers(self, name: str, numbers: Numbers) -> Any:
        conditions = [self._match(name, self.models.MatchAny(any=numbers.listed))] if numbers.listed else []
        if numbers.bounds:
            number_range = self.dialect.number_range(**numbers.bounds)
            conditions.append(self.models.FieldCondition(key=json_path(name), range=number_range))
        if not conditions:
            return self._nothing(name)
        return conditions[0] if len(conditions) == 1 else self.models.Filter(should=conditions)

    def _times(self, name: str, **bounds: dt.date | dt.datetime) -> Any:
        """A day as a lower or upper bound stands for its beginning or its end, so that `<=` includes it."""
        edges: dict[str, str] = {}
        for bound, time in bounds.items():
            if isinstance(time, dt.datetime):
                edges[bound] = _rfc3339(time)
                continue
            after = bound in ("gt", "lte")  # the moment in question is the first of the next day
            if after and time == dt.date.max:
                if bound == "gt":  # nothing comes after the last day; up to it is no bound at all
                    return self._nothing(name)
                continue
            start = dt.datetime.combine(time, dt.time(), dt.timezone.utc) + dt.timedelta(days=after)
            edges[{"gt": "gte", "lte": "lt"}.get(bound, bound)] = _rfc3339(start)
        edges = edges or {"gte": "0001-01-01T00:00:00Z"}
        return self.models.FieldCondition(key=json_path(name), range=self.dialect.time_range(**edges))

    def _nothing(self, name: str) -> Any:
        empty = self.dialect.is_empty(json_path(name))
        return self.models.Filter(must=[empty], must_not=[empty])


_A = {
    FieldType.KEYWORD: "text",
    FieldType.INTEGER: "a whole number",
    FieldType.FLOAT: "a number",
    FieldType.BOOL: "true or false",
    FieldType.DATETIME: "a date",
    FieldType.GEO: "a place",
}


def _require(name: str, kind: FieldType | None, allowed: tuple[FieldType, ...], value: Value, origin: Origin | None) -> None:
    if kind is None or kind in allowed:
        return
    advice = {
        FieldType.KEYWORD: f'write {name} == "…" with quotes',
        FieldType.INTEGER: f"write {name} == 3 without quotes",
        FieldType.FLOAT: f"write {name} == 3.5 without quotes",
        FieldType.BOOL: f"write {name} == true or {name} == false",
        FieldType.DATETIME: f'write {name} == "2024-05-01" or {name} < "2024-05-01T12:00:00Z"',
        FieldType.GEO: f"write within({name}, south, west, north, east) or near({name}, latitude, longitude, kilometres)",
    }[kind]
    raise error_at(f"{value_text(value)}: {name} is {_A[kind]}; {advice}", origin)


def _time(name: str, kind: FieldType | None, value: Value, origin: Origin | None) -> dt.date | dt.datetime:
    if not isinstance(value, (str, dt.date)):
        raise error_at(f"{value_text(value)}: expected a date", origin)
    _require(name, kind, (FieldType.DATETIME,), value, origin)
    time = parse_time(value) if isinstance(value, str) else value
    if time is None:
        what = f"{name} is a date" if kind is FieldType.DATETIME else "only numbers and dates have an order"
        raise error_at(f"{value_text(value)}: {what}; expected ISO 8601 such as 2024-05-01 or 2024-05-01T12:00:00Z", origin)
    return time


def _rfc3339(time: dt.datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
