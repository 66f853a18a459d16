"""What one value of metadata looks like. What its column becomes, all of the column's looks decide together."""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone
from enum import Enum
from functools import lru_cache
from typing import Any

from semblant_search.collection import FieldType

from .odd_writing import SPREADSHEET_BOOLS, odd_look

__all__ = ["INT64", "Look", "is_place", "look_of_json", "look_of_text", "means_nothing", "number", "parse_date", "plain_minus"]

INT64 = range(-(2**63), 2**63)
_EXACT = range(-(2**53), 2**53 + 1)
"""Whole numbers that a float holds exactly."""
_WHOLE = re.compile(r"[+-]?(0|[1-9]\d*)", re.ASCII)
_FLOAT = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_ZEROS = re.compile(r"0\d+", re.ASCII)  # an article number, not a quantity
_COMMA = re.compile(r"[+-]?(0|[1-9]\d*),\d+([eE][+-]?\d{1,3})?", re.ASCII)
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:([.,\u00a0\u2009\u202f '’])\d{3})(?:\1\d{3})*(?:([.,])\d+)?", re.ASCII)
_TIME = r"(?:(?:,? |T)\d{1,2}:\d\d(?::\d\d(?:\.\d{1,9})?)?(?: ?[AaPp][Mm])?)?"
_DAY = re.compile(rf"(\d{{1,2}})([./-])(\d{{1,2}})\2\d{{4}}{_TIME}", re.ASCII)
_YEAR_FIRST = re.compile(
    rf"\d{{4}}(?:/(?P<a>\d{{1,2}})/(?P<b>\d{{1,2}})|([.:])(?P<c>\d\d)\3(?P<d>\d\d)){_TIME}(?: ?(?:Z|[+-]\d\d:?\d\d))?",
    re.ASCII,
)
"""`2024.10.1` is a version."""
_SHORT_DAY = re.compile(rf"\d{{1,2}}([./-])\d{{1,2}}\1\d\d{_TIME}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?( ?(Z|UTC|GMT|[+-]\d\d:?\d\d))?)?")
_NO_CELL = {"#n/a", "#na", "#value!", "#ref!", "#div/0!", "#name?", "#null!", "#num!"}
_NO_WORD = {"n/a", "na", "n.a.", "n. a.", "<na>", "nan", "null", "none", "nil", "\\n"}
_NO_DATE = {"0000-00-00", "0000-00-00 00:00:00", "0000:00:00 00:00:00"}
_NOTHING = frozenset({*_NO_DATE, "", "-", "--", "---", "–", "—", "?", ".", *_NO_CELL, *_NO_WORD})


class Look(Enum):
    """What a value looks like; the values of the enum are for messages."""

    INTEGER = "whole number"
    LONG = "whole number that no float holds exactly"
    HUGE = "whole number beyond 64 bits"
    FLOAT = "number"
    COMMA = "number with a decimal comma"
    THREE = "number with three digits after its comma"
    """`1,234`: more than a thousand, or more than one? Other values may tell."""
    DOT_THREE = "number with three digits after its dot"
    """`1.234`: more than one, unless decimals have commas elsewhere."""
    WHOLE_COMMAS = "whole number with commas between thousands"
    WHOLE_DOTS = "whole number with dots between thousands"
    GROUPED = "whole number with apostrophes or no-break spaces between thousands"
    SPACED = "number with spaces between threes"
    """`555 123`: thousands, or a telephone's number? Other values of the column may tell."""
    GROUPED_COMMA = "number with separated thousands and a decimal comma"
    GROUPED_DOT = "number with separated thousands and a decimal dot"
    UNIT = "number with a currency or a percent sign, or with a unit"
    BRACKETS = "number with its sign behind it, or brackets for one"
    """`(5)`, as bookkeepers write what is below zero."""
    CODED = "number to another base than ten"
    ODD_NUMBER = "number in a way of writing that is not read"
    ZEROS = "number with leading zeros"
    BOOL = "truth value"
    BOOL_WORD = "truth value of a spreadsheet in another language"
    ANSWER = "truth value in words"
    """`ja`, `no`, `on`."""
    DATETIME = "date"
    BEYOND = "date that no calendar has in UTC"
    """Such as the first day of year 1 east of Greenwich: text, unless the column holds dates."""
    DAY_FIRST = "date whose day comes first"
    MONTH_FIRST = "date whose month comes first"
    DOTTED = "date with dots"
    """`31.12.2024`: the day comes first, whatever the column's others say."""
    DAY = "date whose day or month comes first"
    """`05/04/2024`: other values may tell."""
    SHORT_DAY = "date with a short year"
    YEAR_FIRST = "date whose year comes first"
    """`2024:05:31 12:30:00`, as ExifTool writes it, `2024/05/31`."""
    CLOCK = "time of day, or a duration"
    PART_OF_DATE = "month without a day"
    OTHER_DATE = "date in a way of writing that is not read"
    NAMED_MONTH = "date with the name of a month"
    NO_DATE = "date that no calendar has"
    GEO = "place"
    TEXT = "text"
    NOTHING = "no value"
    """`N/A` and the like: no value among numbers, dates and truth values, and text among text."""
    NAN = "not a number"


def means_nothing(text: str) -> bool:
    """Whether a text stands for a value that is not there, where numbers, dates or truth values are expected."""
    return len(text) <= 20 and text.strip().lower() in _NOTHING


def plain_minus(text: str) -> str:
    """A number with a hyphen in place of the minus of typographers (U+2212)."""
    return f"-{text[1:]}" if text[:1] == "−" else text


@lru_cache(maxsize=65536)
def look_of_text(text: str) -> Look:
    """The look of a cell in a text format, where `12` may be a number."""
    if means_nothing(text):
        return Look.NOTHING
    bare = plain_minus(text.strip())
    if _WHOLE.fullmatch(bare):
        return _of_whole(int(bare)) if len(bare) <= 20 else Look.HUGE
    if _FLOAT.fullmatch(bare) and math.isfinite(float(bare)):
        return Look.DOT_THREE if "." in bare and _GROUPED.fullmatch(bare) else Look.FLOAT
    if _ZEROS.fullmatch(bare):
        return Look.ZEROS
    if bare.lower() in ("true", "false"):
        return Look.BOOL
    if bare.isupper() and bare.lower() in SPREADSHEET_BOOLS:
        return Look.BOOL_WORD
    if (grouped := _GROUPED.fullmatch(bare)) is not None:
        return _of_groups(bare, *grouped.groups())
    if _COMMA.fullmatch(bare):
        return Look.COMMA
    look = _of_date(bare) if len(bare) < 40 else Look.TEXT
    if look is Look.TEXT and (odd := odd_look(bare)) is not None:
        return Look[odd]
    return look


def look_of_json(value: Any) -> Look:
    """The look of a value of JSON, which carries its own type; only text may be a date, ISO's or ExifTool's, or nothing."""
    if isinstance(value, bool):
        return Look.BOOL
    if isinstance(value, int):
        return _of_whole(value)
    if isinstance(value, float):
        return Look.NAN if math.isnan(value) else Look.FLOAT
    if isinstance(value, dict):
        return Look.GEO
    if not isinstance(value, str):
        return Look.TEXT
    if means_nothing(value):
        return Look.NOTHING
    look = _of_date(value) if len(value) < 40 else Look.TEXT
    is_date = look in (Look.DATETIME, Look.BEYOND) or (look is Look.YEAR_FIRST and value.strip()[4] == ":")
    return look if is_date else Look.TEXT


def _of_whole(value: int) -> Look:
    if value in _EXACT:
        return Look.INTEGER
    return Look.LONG if value in INT64 else Look.HUGE


def _of_groups(text: str, separator: str, decimal: str | None) -> Look:
    """Of digits in threes, with a sign of decimals behind them or without one."""
    if decimal is not None:
        if decimal == separator:
            return Look.TEXT  # `1,234,5`
        return Look.GROUPED_COMMA if decimal == "," else Look.GROUPED_DOT
    if int("".join(filter(str.isdigit, text))) not in _EXACT:
        return Look.HUGE
    once = text.count(separator) == 1
    if separator == ",":
        return Look.THREE if once else Look.WHOLE_COMMAS
    if separator == ".":
        return Look.WHOLE_DOTS  # once it is a number with a decimal point, and was seen as such
    return Look.SPACED if separator == " " else Look.GROUPED


def _of_date(text: str) -> Look:
    if not _DATE.fullmatch(text):
        return _of_local_date(text)
    if parse_date(text) is not None:
        return Look.DATETIME
    return Look.BEYOND if _is_date_elsewhere(text) else Look.TEXT


def _of_local_date(text: str) -> Look:
    if (found := _YEAR_FIRST.fullmatch(text)) is not None:
        month, day = int(found["a"] or found["c"]), int(found["b"] or found["d"])
        return Look.YEAR_FIRST if 1 <= month <= 12 and 1 <= day <= 31 else Look.TEXT
    found = _DAY.fullmatch(text)
    if found is None:
        return Look.SHORT_DAY if _SHORT_DAY.fullmatch(text) else Look.TEXT
    first, second = int(found[1]), int(found[3])
    if not (1 <= min(first, second) <= 12 and max(first, second) <= 31):
        return Look.TEXT
    if found[2] == ".":
        return Look.DOTTED if second <= 12 else Look.TEXT
    if first > 12:
        return Look.DAY_FIRST
    return Look.MONTH_FIRST if second > 12 else Look.DAY


def is_place(value: Any) -> bool:
    """Whether a value of JSON is `{"lat": …, "lon": …}`."""
    return (
        isinstance(value, dict)
        and value.keys() == {"lat", "lon"}
        and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value.values())
    )


def number(text: str, kind: FieldType) -> int | float | None:
    """The number that a text is: whole, or any; None for all other texts."""
    if kind is FieldType.INTEGER:
        return int(text) if _WHOLE.fullmatch(text) and len(text) <= 20 and int(text) in INT64 else None
    return float(text) if _FLOAT.fullmatch(text) and math.isfinite(float(text)) else None


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
    text = re.sub(r" ?(?:Z|UTC|GMT)$", "+00:00", text)
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
