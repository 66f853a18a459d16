"""The filter tree: frozen nodes that print as the expression they stand for, so that `parse_where(str(w)) == w`."""

from __future__ import annotations

import datetime as dt
import keyword
import math
import re
from dataclasses import dataclass, field

from semblant_search.errors import WhereError

__all__ = [
    "And",
    "Contains",
    "Equals",
    "Exists",
    "Leaf",
    "Not",
    "OneOf",
    "Or",
    "Origin",
    "Range",
    "StartsWith",
    "Value",
    "Where",
    "one_of",
    "parse_time",
]

Value = str | int | float | bool | dt.date | dt.datetime
"""What a field is compared with. A `date` is a whole day in UTC; a `datetime` without a zone is UTC."""

MAX_DEPTH = 64
"""Levels of and/or/not inside each other. Far beyond what people write, far below what recursion can take."""

_INT64 = range(-(2**63), 2**63)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_ZONE = re.compile(r"([+-]\d\d)(\d\d)$", re.ASCII)
_DECIMALS = re.compile(r"\.(\d+)", re.ASCII)
_WORDS = frozenset({"true", "false", "null"})


@dataclass(frozen=True)
class Origin:
    """Where in an expression a condition stands: 0-based character offsets of its beginning and of its value."""

    expression: str
    column: int
    value_column: int


class Where:
    """A filter. Combine with `&`, `|` and `~`; compare with `==`; print to get its expression. Immutable, hashable."""

    @property
    def depth(self) -> int:
        """Levels of and/or/not, this node included."""
        return 1

    def __and__(self, other: Where) -> Where:
        return And((self, other)) if isinstance(other, Where) else NotImplemented

    def __or__(self, other: Where) -> Where:
        return Or((self, other)) if isinstance(other, Where) else NotImplemented

    def __invert__(self) -> Where:
        # Two-valued logic, so that a double negation is none; this also bounds what a loop of `~` can build.
        return self.term if isinstance(self, Not) else Not(self)

    def __bool__(self) -> bool:
        raise WhereError(
            "a filter has no truth value by itself: in Python combine filters with &, | and ~ (with parentheses around each "
            "comparison), write F(…).between(low, high) for a range, and compare with `is None` to see whether there is one"
        )


@dataclass(frozen=True)
class Leaf(Where):
    """A condition on one field. `name` has dots between nested keys."""

    name: str

    def __post_init__(self) -> None:
        check_name(self.name)


@dataclass(frozen=True)
class Equals(Leaf):
    """`name == value`."""

    value: Value
    origin: Origin | None = field(default=None, compare=False, repr=False)
    # 1, 1.0 and True are equal in Python, but not the same condition.
    kind: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "value", check_value(self.value, self.origin))
        object.__setattr__(self, "kind", type(self.value).__name__)

    def __str__(self) -> str:
        return f"{name_text(self.name)} == {value_text(self.value)}"


@dataclass(frozen=True)
class Range(Leaf):
    """One value of the field lies between the bounds; at most one lower and one upper bound, at least one of them."""

    gt: Value | None = None
    gte: Value | None = None
    lt: Value | None = None
    lte: Value | None = None
    origin: Origin | None = field(default=None, compare=False, repr=False)
    kind: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds = {bound: getattr(self, bound) for bound in ("gt", "gte", "lt", "lte")}
        given = {bound: value for bound, value in bounds.items() if value is not None}
        if not given or {"gt", "gte"} <= given.keys() or {"lt", "lte"} <= given.keys():
            raise WhereError(f"range of {self.name!r}: expected one lower bound, one upper bound, or both")
        for bound, value in given.items():
            if isinstance(value, bool):
                raise _error(f"{value_text(value)}: true and false have no order; compare them with ==", self.origin)
            object.__setattr__(self, bound, check_value(value, self.origin))
        object.__setattr__(self, "kind", ",".join(type(value).__name__ for value in bounds.values()))

    def __str__(self) -> str:
        name = name_text(self.name)
        low = self.gt if self.gt is not None else self.gte
        high = self.lt if self.lt is not None else self.lte
        below, above = "<" if self.gt is not None else "<=", "<" if self.lt is not None else "<="
        if low is not None and high is not None:
            return f"{value_text(low)} {below} {name} {above} {value_text(high)}"
        if high is not None:
            return f"{name} {above} {value_text(high)}"
        return f"{name} {'>' if self.gt is not None else '>='} {value_text(low)}"  # type: ignore[arg-type]


@dataclass(frozen=True)
class OneOf(Leaf):
    """`name in [values]`; an empty list matches nothing."""

    values: tuple[Value, ...]
    origin: Origin | None = field(default=None, compare=False, repr=False)
    kind: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "values", tuple(check_value(value, self.origin) for value in self.values))
        object.__setattr__(self, "kind", ",".join(type(value).__name__ for value in self.values))

    def __str__(self) -> str:
        return f"{name_text(self.name)} in [{', '.join(map(value_text, self.values))}]"


@dataclass(frozen=True)
class Exists(Leaf):
    """`exists(name)`: not missing, not null, not an empty list."""

    origin: Origin | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"exists({name_text(self.name)})"


@dataclass(frozen=True)
class StartsWith(Leaf):
    """`startswith(name, "text")`."""

    text: str
    origin: Origin | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text(self.text, "startswith", self.origin)

    def __str__(self) -> str:
        return f"startswith({name_text(self.name)}, {value_text(self.text)})"


@dataclass(frozen=True)
class Contains(Leaf):
    """`contains(name, "text")`."""

    text: str
    origin: Origin | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text(self.text, "contains", self.origin)

    def __str__(self) -> str:
        return f"contains({name_text(self.name)}, {value_text(self.text)})"


@dataclass(frozen=True)
class _Combined(Where):
    """At least two terms; terms of the same kind are taken in, so that long chains stay flat."""

    terms: tuple[Where, ...]
    levels: int = field(init=False, compare=False, repr=False)

    @property
    def depth(self) -> int:
        """Levels of and/or/not, this node included."""
        return self.levels

    def __post_init__(self) -> None:
        flat: list[Where] = []
        for term in self.terms:
            if not isinstance(term, Where):
                raise WhereError(f"{term!r}: expected a filter, such as F('price') < 100")
            flat.extend(term.terms if type(term) is type(self) else (term,))
        if len(flat) < 2:
            raise WhereError(f"{type(self).__name__} of {len(flat)} filters: expected two or more")
        object.__setattr__(self, "terms", tuple(flat))
        _set_depth(self, max(term.depth for term in flat))


@dataclass(frozen=True)
class And(_Combined):
    """All terms match."""

    def __str__(self) -> str:
        return " and ".join(f"({term})" if isinstance(term, Or) else str(term) for term in self.terms)


@dataclass(frozen=True)
class Or(_Combined):
    """At least one term matches."""

    def __str__(self) -> str:
        return " or ".join(map(str, self.terms))


@dataclass(frozen=True)
class Not(Where):
    """The term does not match. `~where` builds it and drops double negations."""

    term: Where
    levels: int = field(init=False, compare=False, repr=False)

    @property
    def depth(self) -> int:
        """Levels of and/or/not, this node included."""
        return self.levels

    def __post_init__(self) -> None:
        if not isinstance(self.term, Where) or isinstance(self.term, Not):
            raise WhereError(f"{self.term!r}: expected a filter that is not itself negated; write ~filter")
        _set_depth(self, self.term.depth)

    def __str__(self) -> str:
        term = self.term
        if isinstance(term, Equals):
            return f"{name_text(term.name)} != {value_text(term.value)}"
        if isinstance(term, OneOf):
            return f"{name_text(term.name)} not in {str(term)[len(name_text(term.name)) + 4 :]}"
        return f"not {term}" if isinstance(term, (Exists, StartsWith, Contains)) else f"not ({term})"


def one_of(name: str, values: tuple[Value | None, ...], origin: Origin | None = None) -> Where:
    """`name in [values]`, where None stands for "no value"."""
    given = OneOf(name, tuple(value for value in values if value is not None), origin)
    if None not in values:
        return given
    missing = Not(Exists(name, origin))
    return Or((given, missing)) if given.values else missing


def _set_depth(node: Where, below: int) -> None:
    if below >= MAX_DEPTH:
        raise WhereError(f"a filter of more than {MAX_DEPTH} levels of and/or/not inside each other; write it flatter")
    object.__setattr__(node, "levels", below + 1)


def _error(message: str, origin: Origin | None) -> WhereError:
    if origin is None:
        return WhereError(message)
    return WhereError(message, expression=origin.expression, column=origin.value_column)


MOST_KEYS = 32
"""In a field name. Deeper is no metadata, but an attempt to exhaust a parser."""


def check_name(name: object) -> None:
    """Accept a field name: keys with dots between them. `WhereError` for what no payload key can be."""
    if not isinstance(name, str) or not all(name.split(".")):
        raise WhereError(f"field name {name!r}: expected text such as 'price' or 'camera.model'")
    if name.count(".") >= MOST_KEYS:
        raise WhereError(f"field name {name[:40]}…: more than {MOST_KEYS} keys with dots between them")
    if any(character in '"[]\\' for character in name) or not name.isprintable():
        raise WhereError(f"field name {name!r}: quotes, brackets, backslashes and control characters cannot be in a name")


def check_text(text: object, function: str, origin: Origin | None) -> None:
    """Accept the text of `startswith` and `contains`."""
    if not isinstance(text, str):
        raise _error(f"{function}: {text!r} is not text; put it in quotes", origin)
    check_value(text, origin)


def check_value(value: object, origin: Origin | None = None) -> Value:
    """Accept a value that both engines can compare with; datetimes come back in UTC."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if value not in _INT64:
            raise _error(f"{str(value)[:40]}: whole numbers must fit in 64 bits", origin)
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _error(f"{value}: only finite numbers can be compared with", origin)
        return float(value)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _error(f"{value!r}: is not valid Unicode (it holds half of a surrogate pair)", origin) from None
        return str(value)
    if isinstance(value, dt.datetime):
        try:
            return value.replace(tzinfo=dt.timezone.utc) if value.tzinfo is None else value.astimezone(dt.timezone.utc)
        except OverflowError:
            raise _error(f"{value}: beyond the years 1 to 9999 in UTC", origin) from None
    if isinstance(value, dt.date):
        return value
    raise _error(f"{value!r}: expected text, a number, true, false or a date, not {type(value).__name__}", origin)


def parse_time(text: str) -> dt.date | dt.datetime | None:
    """A day (`2024-05-01`), or an instant in ISO 8601 (`2024-05-01T12:00:00Z`; no zone means UTC); None for other text."""
    if not _DAY.match(text):
        return None
    try:
        if len(text) == 10:
            return dt.date.fromisoformat(text)
        # Python 3.10 reads neither `Z`, nor `+0200`, nor other than 3 or 6 decimals.
        text = _ZONE.sub(r"\1:\2", text[:-1] + "+00:00" if text[-1:] in ("Z", "z") else text)
        instant = dt.datetime.fromisoformat(_DECIMALS.sub(lambda found: f".{found[1][:6]:0<6}", text))
        return instant.replace(tzinfo=dt.timezone.utc) if instant.tzinfo is None else instant.astimezone(dt.timezone.utc)
    except (ValueError, OverflowError):
        return None


def name_text(name: str) -> str:
    """A field name as it is written in an expression."""
    parts = name.split(".")
    plain = all(part.isidentifier() and not keyword.iskeyword(part) for part in parts) and name not in _WORDS
    # Python normalises identifiers to NFKC, so that only ASCII names are safe to write bare.
    return name if plain and name.isascii() else f"field({value_text(name)})"


def value_text(value: Value) -> str:
    """A value as it is written in an expression."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return f'date("{value.isoformat().replace("+00:00", "Z")}")'
    if isinstance(value, dt.date):
        return f'date("{value.isoformat()}")'
    text = repr(value)
    return f'"{text[1:-1]}"' if isinstance(value, str) and text[0] == "'" and '"' not in value else text
