"""Where the bins of a histogram begin and end."""

from __future__ import annotations

import math
import sys
from datetime import datetime, timedelta, timezone

__all__ = ["date_edges", "number_edges"]

_STEPS = (1, 2, 2.5, 5, 10)
_LARGEST = sys.float_info.max
_END = datetime.max.replace(tzinfo=timezone.utc)
"""Dates end here: the last bin ends with it."""


def number_edges(low: float, high: float, bins: int, *, whole: bool = False) -> list[float]:
    """Edges of at most `bins` bins of a round width from `low` or a little less to `high` or a little more.

    >>> number_edges(3, 97, 10)
    [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0]
    """
    if low == high:
        return [low, low]
    least = (high - low) / bins
    if not math.isfinite(least):  # the difference may be more than a number can be
        least = high / bins - low / bins
    if not math.isfinite(least):
        return [low, high]
    power = 10.0 ** max(-307, math.floor(math.log10(least))) if least > 0 else 1.0
    widths = [step * power * scale for scale in (1, 10) for step in _STEPS]
    for width in widths:
        if whole and width != max(1, round(width)):
            width = max(1, round(width))
        if not math.isfinite(width):
            break
        first = math.floor(low / width)
        count = max(1, math.ceil(high / width) - first)
        if count <= bins:
            # By a quotient of whole numbers where the width is below one: 3 * .1 is not .3.
            edges = [_tidy((first + place) * width, width) for place in range(count + 1)]
            return [min(max(edge, -_LARGEST), _LARGEST) for edge in edges]
    return [low, high]


def date_edges(low: str, high: str, bins: int) -> tuple[str, list[str]]:
    """The finest unit of which `bins` bins are enough, and their edges, RFC 3339 in UTC."""
    first, last = _moment(low), _moment(high)
    for unit in ("hour", "day", "month", "year"):
        edges = [_floor(first, unit)]
        while edges[-1] <= last and edges[-1] < _END and len(edges) <= bins + 1:
            edges.append(_next(edges[-1], unit))
        if len(edges) <= bins + 1:
            return unit, [_text(edge) for edge in edges]
    years = math.ceil((last.year + 1 - first.year) / bins)
    found = [first.year + years * place for place in range(bins + 1)]
    while found[-2] > last.year:
        found.pop()
    return "year", [f"{year:04d}-01-01T00:00:00Z" if year <= _END.year else _text(_END) for year in found]


def _tidy(value: float, width: float) -> float:
    digits = max(0, 2 - math.floor(math.log10(width)))
    return round(value, digits) if digits <= 300 else value


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)


def _floor(moment: datetime, unit: str) -> datetime:
    moment = moment.replace(minute=0, second=0, microsecond=0)
    if unit != "hour":
        moment = moment.replace(hour=0)
    if unit in ("month", "year"):
        moment = moment.replace(day=1)
    return moment.replace(month=1) if unit == "year" else moment


def _next(moment: datetime, unit: str) -> datetime:
    try:
        return _after(moment, unit)
    except (OverflowError, ValueError):
        return _END


def _after(moment: datetime, unit: str) -> datetime:
    if unit == "hour":
        return moment + timedelta(hours=1)
    if unit == "day":
        return moment + timedelta(days=1)
    if unit == "month":
        return moment.replace(year=moment.year + moment.month // 12, month=moment.month % 12 + 1)
    return moment.replace(year=moment.year + 1)


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
