"""How a column's numbers and dates are written: `1.234,50` or `1,234.50`, `31/12/2024` or `12/31/2024`.

No locale is asked and none guessed. What a value can only mean decides for its column, and what all columns that tell agree on
for those that do not tell. Where values contradict each other, or none tells, the column is text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from semblant_search.collection import FieldType

from .looks import Look, parse_date, plain_minus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = [
    "DATES",
    "NUMBERS",
    "ODD_DATES",
    "ODD_NUMBERS",
    "UNKNOWN",
    "Ways",
    "clash",
    "common_ways",
    "date_in",
    "kind_of",
    "number_in",
    "way_note",
    "ways_of",
]


class Ways(NamedTuple):
    """What is known of how a column, or a table, is written.

    Attributes:
        decimal: the sign before decimals, `,` or `.`; nothing where it is not known.
        day_first: whether the day stands before the month where the year comes last; None where it is not known.
    """

    decimal: str = ""
    day_first: bool | None = None


UNKNOWN = Ways()
_DECIMAL_COMMA = frozenset({Look.COMMA, Look.WHOLE_DOTS, Look.GROUPED_COMMA})
_DECIMAL_DOT = frozenset({Look.FLOAT, Look.WHOLE_COMMAS, Look.GROUPED_DOT})
_FRACTIONS = frozenset({Look.FLOAT, Look.COMMA, Look.GROUPED_COMMA, Look.GROUPED_DOT})
_WHOLE_GROUPS = frozenset({Look.WHOLE_DOTS, Look.WHOLE_COMMAS, Look.GROUPED})
_GROUPS = _WHOLE_GROUPS | {Look.GROUPED_COMMA, Look.GROUPED_DOT, Look.SPACED}
NUMBERS = _FRACTIONS | _GROUPS | {Look.INTEGER, Look.LONG, Look.THREE, Look.DOT_THREE}
ODD_NUMBERS = frozenset({Look.UNIT, Look.BRACKETS, Look.CODED, Look.ODD_NUMBER})
"""What is a number to people, and text here."""
ODD_DATES = frozenset({Look.SHORT_DAY, Look.CLOCK, Look.PART_OF_DATE, Look.OTHER_DATE, Look.NAMED_MONTH, Look.NO_DATE})
"""What is a date or a time to people, and text here."""
_LOCAL_DATES = frozenset({Look.DAY_FIRST, Look.MONTH_FIRST, Look.DOTTED, Look.DAY})
DATES = _LOCAL_DATES | {Look.DATETIME, Look.BEYOND, Look.YEAR_FIRST}
_TEXTS = frozenset(
    {Look.TEXT, Look.ZEROS, Look.HUGE, Look.THREE, Look.SPACED, Look.DAY, Look.BEYOND, Look.ANSWER} | ODD_NUMBERS | ODD_DATES
)
"""What is text where nothing else is in the column."""
_BY_THE_WAY = {(Look.THREE, "."), (Look.DOT_THREE, ",")}
_SPACES = "\u00a0\u2009\u202f '’"
_IN = {
    decimal: re.compile(
        rf"[+-]?(?:\d+|[1-9]\d{{0,2}}([{other}{_SPACES}])\d{{3}}(?:\1\d{{3}})*)(?:\{sign}\d*)?(?:[eE][+-]?\d+)?"
    )
    for decimal, other, sign in ((",", ".", ","), (".", ",", "."), ("", "", "."))
}
"""Numbers of each way: digits, or threes with one separator between them, and what is behind the sign of decimals."""
_DAY_MONTH = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(.*)")
_YEAR_MONTH = re.compile(r"(\d{4})([./:])(\d{1,2})\2(\d{1,2})(.*)")
_TIME = re.compile(r"(?:,? |T)(\d{1,2})(:\d\d(?::\d\d(?:\.\d+)?)?)(?: ?([AaPp])[Mm])?(.*)")


def ways_of(looks: Collection[Look], others: Ways = UNKNOWN) -> Ways:
    """How a column is written; what its own values do not tell, `others` may."""
    seen = frozenset(looks)
    comma, dot = not seen.isdisjoint(_DECIMAL_COMMA), not seen.isdisjoint(_DECIMAL_DOT)
    decimal = "" if comma and dot else "," if comma else "." if dot else others.decimal
    first, last = not seen.isdisjoint({Look.DAY_FIRST, Look.DOTTED}), Look.MONTH_FIRST in seen
    return Ways(decimal, None if first and last else True if first else False if last else others.day_first)


def common_ways(columns: Iterable[Collection[Look]]) -> Ways:
    """What columns agree on, as far as they tell. A date with dots tells of no others: those have slashes."""
    every = [ways_of(set(looks) - {Look.DOTTED}) for looks in columns if kind_of(looks) is not FieldType.KEYWORD]
    decimals = {ways.decimal for ways in every} - {""}
    orders = {ways.day_first for ways in every} - {None}
    return Ways(decimals.pop() if len(decimals) == 1 else "", orders.pop() if len(orders) == 1 else None)


def kind_of(looks: Collection[Look], others: Ways = UNKNOWN) -> FieldType:
    """The type of a column with values of these looks; text for what goes together in no other way.

    Args:
        looks: of its values.
        others: how the table's other columns are written.
    """
    some = frozenset(looks) - {Look.NOTHING, Look.NAN}
    if not some:
        return FieldType.FLOAT if Look.NAN in looks else FieldType.KEYWORD
    if some <= NUMBERS:
        return _kind_of_numbers(some, ways_of(some, others).decimal)
    if some <= {Look.BOOL, Look.BOOL_WORD}:
        return FieldType.BOOL
    if some == {Look.GEO}:
        return FieldType.GEO
    if some <= DATES and some != {Look.BEYOND} and (not some & _LOCAL_DATES or _orders_agree(some, others)):
        return FieldType.DATETIME
    return FieldType.KEYWORD


def _kind_of_numbers(some: frozenset[Look], decimal: str) -> FieldType:
    contradict = some & _DECIMAL_COMMA and some & _DECIMAL_DOT
    lone_spaces = Look.SPACED in some and not some & (_FRACTIONS | _WHOLE_GROUPS)
    if contradict or lone_spaces or (Look.THREE in some and not decimal):
        return FieldType.KEYWORD
    has_fractions = some & _FRACTIONS or (Look.THREE in some and decimal == ",") or (Look.DOT_THREE in some and decimal != ",")
    if not has_fractions:
        return FieldType.INTEGER
    return FieldType.KEYWORD if Look.LONG in some else FieldType.FLOAT


def _orders_agree(some: frozenset[Look], others: Ways) -> bool:
    contradict = Look.MONTH_FIRST in some and some & {Look.DAY_FIRST, Look.DOTTED}
    told = ways_of(some - {Look.DOTTED}, others).day_first is not None
    return not contradict and (told or Look.DAY not in some)


def clash(looks: Collection[Look]) -> tuple[Look, Look] | None:
    """The first two looks, in their order, that do not go together; None where all do."""
    seen: list[Look] = []
    for look in looks:
        if look in (Look.NOTHING, Look.NAN):
            continue
        for other in seen:
            both_text = look in _TEXTS and other in _TEXTS
            if not both_text and kind_of((other, look)) is FieldType.KEYWORD:
                return other, look
        seen.append(look)
    return None


def way_note(looks: Collection[Look], ways: Ways) -> tuple[Look, str] | None:
    """How a column of numbers or dates was read, where it might be read otherwise, with a look that shows it."""
    thousands = [look for look in looks if look in _GROUPS or (look, ways.decimal) in _BY_THE_WAY]
    if thousands:
        decimals = "" if not ways.decimal else f", {'a comma' if ways.decimal == ',' else 'a point'} before decimals"
        return thousands[0], f"read with separated thousands{decimals}"
    if Look.BOOL_WORD in looks:
        return Look.BOOL_WORD, "read as truth values"
    dates = [look for look in looks if look in _LOCAL_DATES]
    if not dates:
        return None
    day_first = Look.DOTTED in dates or ways.day_first
    return dates[0], f"read with the {'day' if day_first else 'month'} first"


def number_in(text: str, ways: Ways) -> str:
    """A number with a decimal point and nothing between its thousands; what is none of that way, as it is."""
    text = plain_minus(text.strip())
    found = _IN[ways.decimal].fullmatch(text)
    if found is None:
        return text
    plain = text.replace(found[1], "") if found[1] else text
    return plain.replace(",", ".") if ways.decimal == "," else plain


def date_in(text: str, ways: Ways) -> str | None:
    """A date in a local way of writing as RFC 3339 in UTC; None for what is none of that way."""
    text = text.strip()
    if (found := _YEAR_MONTH.fullmatch(text)) is not None:
        year, _, month, day, rest = found.groups()
    elif (found := _DAY_MONTH.fullmatch(text)) is not None:
        day_first = True if found[2] == "." else ways.day_first
        if day_first is None:
            return None
        day, month = (found[1], found[3]) if day_first else (found[3], found[1])
        year, rest = found[4], found[5]
    else:
        return None
    time = ""
    if rest:
        moment = _TIME.fullmatch(rest)
        if moment is None:
            return None
        hour = int(moment[1])
        if moment[3]:
            if not 1 <= hour <= 12:
                return None
            hour = hour % 12 + (12 if moment[3].lower() == "p" else 0)
        time = f"T{hour:02}{moment[2]}{moment[4]}"
    return parse_date(f"{year}-{int(month):02}-{int(day):02}{time}")
