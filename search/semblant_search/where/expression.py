"""The filter tree: frozen nodes that print as the expression they stand for, so that `parse_where(str(w)) == w`."""

from __future__ import annotations

import keyword
from dataclasses import dataclass, field
from typing import Any

from semblant_search.errors import WhereError

from .values import Origin, Value, check_text, check_value, error_at, shown, value_text

__all__ = [
    "And",
    "Contains",
    "Equals",
    "Exists",
    "Leaf",
    "Not",
    "OneOf",
    "Or",
    "Range",
    "StartsWith",
    "Where",
    "name_text",
    "one_of",
]

MAX_DEPTH = 64
"""Levels of and/or/not inside each other. Far beyond what people write, far below what recursion can take."""

MAX_CONDITIONS = 10_000
"""In one filter. Engines take a second for as many, and four for twice as many: they compare them with each other."""

MAX_VALUES = 100_000
"""In one list. Engines look a list up, in time that grows as its length."""

_WORDS = frozenset({"true", "false", "null"})


class Where:
    """A filter. Combine with `&`, `|` and `~`; compare with `==`; print to get its expression. Immutable, hashable."""

    @property
    def depth(self) -> int:
        """Levels of and/or/not, this node included."""
        return 1

    @property
    def size(self) -> int:
        """Conditions in it."""
        return 1

    def __getstate__(self) -> dict[str, Any]:
        """Without what the compiler keeps with a filter, for copies and pickles."""
        return {name: value for name, value in vars(self).items() if name != "_compiled"}

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
            checked = check_value(value, self.origin)
            if isinstance(checked, bool):
                raise error_at(f"{value_text(checked)}: true and false have no order; compare them with ==", self.origin)
            object.__setattr__(self, bound, checked)
        object.__setattr__(self, "kind", ",".join(type(getattr(self, bound)).__name__ for bound in bounds))

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
        if len(self.values) > MAX_VALUES:
            raise error_at(f"a list of more than {MAX_VALUES:,} values for {self.name!r}, which is the limit", self.origin)
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
        object.__setattr__(self, "text", check_text(self.text, "startswith", self.origin))

    def __str__(self) -> str:
        return f"startswith({name_text(self.name)}, {value_text(self.text)})"


@dataclass(frozen=True)
class Contains(Leaf):
    """`contains(name, "text")`."""

    text: str
    origin: Origin | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "text", check_text(self.text, "contains", self.origin))

    def __str__(self) -> str:
        return f"contains({name_text(self.name)}, {value_text(self.text)})"


@dataclass(frozen=True)
class _Counted(Where):
    """A node above others: what is below it is counted once, when it is made."""

    levels: int = field(init=False, compare=False, repr=False)
    conditions: int = field(init=False, compare=False, repr=False)

    @property
    def depth(self) -> int:
        """Levels of and/or/not, this node included."""
        return self.levels

    @property
    def size(self) -> int:
        """Conditions in it."""
        return self.conditions

    def _count(self, below: int, conditions: int) -> None:
        if below >= MAX_DEPTH:
            raise WhereError(f"a filter of more than {MAX_DEPTH} levels of and/or/not inside each other; write it flatter")
        if conditions > MAX_CONDITIONS:
            raise WhereError(
                f"a filter of {conditions:,} conditions; the limit is {MAX_CONDITIONS:,}. Several values of one field are one "
                "condition as a list: F(…).in_([…]), or in […]"
            )
        object.__setattr__(self, "levels", below + 1)
        object.__setattr__(self, "conditions", conditions)


@dataclass(frozen=True)
class _Combined(_Counted):
    """At least two terms; terms of the same kind are taken in, so that long chains stay flat."""

    terms: tuple[Where, ...]

    def __post_init__(self) -> None:
        flat: list[Where] = []
        below = 0
        for term in self.terms:
            if not isinstance(term, Where):
                raise WhereError(f"{shown(term)}: expected a filter, such as F('price') < 100")
            same = type(term) is type(self)
            flat.extend(term.terms if same else (term,))  # type: ignore[attr-defined]
            below = max(below, term.depth - same)
        if len(flat) < 2:
            raise WhereError(f"{type(self).__name__} of {len(flat)} filters: expected two or more")
        self._count(below, sum(term.size for term in self.terms))
        object.__setattr__(self, "terms", tuple(flat))


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
class Not(_Counted):
    """The term does not match. `~where` builds it and drops double negations."""

    term: Where

    def __post_init__(self) -> None:
        if not isinstance(self.term, Where) or isinstance(self.term, Not):
            raise WhereError(f"{shown(self.term)}: expected a filter that is not itself negated; write ~filter")
        self._count(self.term.depth, self.term.size)

    def __str__(self) -> str:
        term = self.term
        if isinstance(term, Equals):
            return f"{name_text(term.name)} != {value_text(term.value)}"
        if isinstance(term, OneOf):
            return f"{name_text(term.name)} not in {str(term)[len(name_text(term.name)) + 4 :]}"
        return f"not {term}" if isinstance(term, Leaf) and not isinstance(term, Range) else f"not ({term})"


def one_of(name: str, values: tuple[Value | None, ...], origin: Origin | None = None) -> Where:
    """`name in [values]`, where None stands for "no value"."""
    given = OneOf(name, tuple(value for value in values if value is not None), origin)
    if len(given.values) == len(values):
        return given
    missing = Not(Exists(name, origin))
    return Or((given, missing)) if given.values else missing


MOST_KEYS = 32
"""In a field name. Deeper is no metadata, but an attempt to exhaust a parser."""


def check_name(name: object) -> None:
    """Accept a field name: keys with dots between them. `WhereError` for what no payload key can be."""
    if not isinstance(name, str) or not all(name.split(".")):
        raise WhereError(f"field name {shown(name)}: expected text such as 'price' or 'camera.model'")
    if name.count(".") >= MOST_KEYS:
        raise WhereError(f"field name {name[:40]}…: more than {MOST_KEYS} keys with dots between them")
    if any(character in '"[]\\' for character in name) or not name.isprintable():
        raise WhereError(f"field name {shown(name)}: quotes, brackets, backslashes and control characters cannot be in a name")


def name_text(name: str) -> str:
    """A field name as it is written in an expression."""
    parts = name.split(".")
    plain = all(part.isidentifier() and not keyword.iskeyword(part) for part in parts) and name not in _WORDS
    # Python normalises identifiers to NFKC, so that only ASCII names are safe to write bare.
    return name if plain and name.isascii() else f"field({value_text(name)})"
