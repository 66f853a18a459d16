"""What a field is compared with: which values there are, how they are checked, read and written."""

from __future__ import annotations

import datetime as dt
import math
import re
import sys
from dataclasses import dataclass
from typing import Any

from semblant_search.errors import WhereError
from semblant_search.shown import shown

__all__ = ["Origin", "Value", "check_text", "check_value", "error_at", "parse_time", "shown", "value_text"]

Value = str | int | float | bool | dt.date | dt.datetime
"""What a field is compared with. A `date` is a whole day in UTC; a `datetime` without a zone is UTC."""

_INT64 = range(-(2**63), 2**63)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_ZONE = re.compile(r"([+-]\d\d)(\d\d)$", re.ASCII)
_DECIMALS = re.compile(r"\.(\d+)", re.ASCII)


@dataclass(frozen=True)
class Origin:
    """Where in an expression a condition stands: 0-based character offsets of its beginning and of its value."""

    expression: str
    column: int
    value_column: int


def error_at(message: str, origin: Origin | None, *, at_value: bool = True) -> WhereError:
    """An error that points into the expression, where there is one."""
    if origin is None:
        return WhereError(message)
    return WhereError(message, expression=origin.expression, column=origin.value_column if at_value else origin.column)


def check_text(text: object, function: str, origin: Origin | None) -> str:
    """The text of `startswith` and `contains`. Raises `WhereError`."""
    if not isinstance(text, str):
        raise error_at(f"{function}: {shown(text)} is not text; put it in quotes", origin)
    return str(check_value(text, origin))


def check_value(value: object, origin: Origin | None = None) -> Value:
    """A value that engines can compare with; datetimes in UTC, NumPy's scalars as Python's. Raises `WhereError`."""
    value = _plain(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if value not in _INT64:
            raise error_at(f"{shown(value)}: whole numbers must fit in 64 bits", origin)
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise error_at(f"{value}: only finite numbers can be compared with", origin)
        return float(value)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise error_at(f"{shown(value)}: is not valid Unicode (it holds half of a surrogate pair)", origin) from None
        return str(value)
    if isinstance(value, dt.date) and value != value:  # pandas' NaT is a datetime by name only
        raise error_at(f"{value}: is no time; leave such values out, or ask whether there is one with exists", origin)
    if isinstance(value, dt.datetime):
        try:
            return value.replace(tzinfo=dt.timezone.utc) if value.tzinfo is None else value.astimezone(dt.timezone.utc)
        except OverflowError:
            raise error_at(f"{value}: beyond the years 1 to 9999 in UTC", origin) from None
    if isinstance(value, dt.date):
        return value
    raise error_at(
        f"{shown(value)}: expected text, a number, true, false or a date, not {type(value).__name__}{_advice(value)}", origin
    )


def _plain(value: object) -> object:
    """NumPy's scalar as the Python value that it is, anything else as it is; loads nothing."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.generic):
        return value
    if isinstance(value, numpy.floating):
        return float(value)
    if isinstance(value, numpy.datetime64):
        time = value.item()
        # Finer than microseconds, and beyond the years of Python, NumPy answers with a count.
        time = value.astype("datetime64[us]").item() if isinstance(time, int) else time
        return time if isinstance(time, dt.date) else value
    return value if isinstance(value, numpy.timedelta64) else value.item()


def _advice(value: object) -> str:
    if hasattr(value, "__iter__"):
        return "; a filter compares with one value, or with one of several: F(…).in_([…]), or in […]"
    return ""


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
