"""The Python form of a filter: `F("price") < 100`."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from semblant_search.errors import WhereError

from .expression import MAX_VALUES, Contains, Equals, Exists, Not, Range, StartsWith, Where, check_name, one_of
from .parser import parse_where
from .places import Near, Within
from .values import Value, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["F", "as_where"]


class F:
    """A payload field to be compared: `F("price") < 100`, `F("camera.model") == "X100"`; each comparison is a `Where`.

    Comparing with None asks whether there is no value: `F("price") == None` is `~F("price").exists()`.
    """

    __slots__ = ("name",)
    __array_ufunc__ = None  # NumPy leaves `np.int64(3) < F("n")` to the field
    __hash__ = None  # type: ignore[assignment]  # `==` builds a filter, so that a set of fields would lie

    def __init__(self, name: str) -> None:
        check_name(name)
        self.name = name

    def __repr__(self) -> str:
        return f"F({self.name!r})"

    def __eq__(self, value: Value | None) -> Where:  # type: ignore[override]
        return Not(Exists(self.name)) if value is None else Equals(self.name, value)

    def __ne__(self, value: Value | None) -> Where:  # type: ignore[override]
        return ~(self == value)

    def __lt__(self, value: Value) -> Where:
        return Range(self.name, lt=value)

    def __le__(self, value: Value) -> Where:
        return Range(self.name, lte=value)

    def __gt__(self, value: Value) -> Where:
        return Range(self.name, gt=value)

    def __ge__(self, value: Value) -> Where:
        return Range(self.name, gte=value)

    def __bool__(self) -> bool:
        raise WhereError(f"F({self.name!r}) has no truth value: compare it, such as F({self.name!r}) == True")

    def between(self, low: Value, high: Value) -> Where:
        """`low <= field <= high`, both bounds included."""
        return Range(self.name, gte=low, lte=high)

    def in_(self, values: Iterable[Value | None]) -> Where:
        """Equal to one of the values, 100,000 at most; None among them stands for "no value"."""
        if isinstance(values, (str, bytes)):
            raise WhereError(f"F({self.name!r}).in_({shown(values)}): expected a list of values, not one text")
        try:
            given = tuple(islice(values, MAX_VALUES + 1))
        except TypeError:
            raise WhereError(f"F({self.name!r}).in_({shown(values)}): expected a list of values, not one value") from None
        return one_of(self.name, given)

    def exists(self) -> Where:
        """There is a value: not missing, not null, not an empty list."""
        return Exists(self.name)

    def startswith(self, text: str) -> Where:
        """Text that begins with `text`; upper and lower case differ."""
        return StartsWith(self.name, text)

    def contains(self, text: str) -> Where:
        """Text that has `text` somewhere in it; upper and lower case differ."""
        return Contains(self.name, text)

    def within(self, south: float, west: float, north: float, east: float) -> Where:
        """A place in this rectangle, in degrees; across the 180th meridian where `west` is greater than `east`."""
        return Within(self.name, south, west, north, east)

    def near(self, lat: float, lon: float, km: float) -> Where:
        """A place less than `km` kilometres from there."""
        return Near(self.name, lat, lon, km)


def as_where(where: str | Where | None) -> Where | None:
    """An expression, a filter, or nothing, as a filter or nothing. Raises `WhereError`."""
    if where is None or isinstance(where, Where):
        return where
    if isinstance(where, str):
        return parse_where(where)
    hint = f"; compare the field, such as {where!r} == …" if isinstance(where, F) else ""
    raise WhereError(f"filter {shown(where)}: expected an expression in a string, or a filter built with F(…){hint}")
