"""Numbers as engines compare them: bounds become 64-bit floats, and so do, in places, the whole numbers of a payload.

Beyond 2^53 several whole numbers become one float. What is returned here is right whichever of the two an engine does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

__all__ = ["Numbers", "float_bounds", "whole_numbers"]

EXACT = 2**53
"""Whole numbers nearer to zero than this are floats without loss."""

_LEAST, _MOST = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class Numbers:
    """A set of numbers: those that are listed and those between the bounds. No list and no bounds is the empty set.

    Attributes:
        listed: whole numbers, a few thousand at most.
        bounds: `gt` | `gte` and `lt` | `lte` as an engine takes them.
    """

    listed: list[int] = field(default_factory=list)
    bounds: dict[str, float] = field(default_factory=dict)


def whole_numbers(
    gt: float | None = None, gte: float | None = None, lt: float | None = None, lte: float | None = None
) -> Numbers:
    """The whole numbers of 64 bits between two bounds, either of which may be left out."""
    low = _LEAST if gt is None and gte is None else max(_LEAST, math.ceil(gte) if gt is None else math.floor(gt) + 1)  # type: ignore[arg-type]
    high = _MOST if lt is None and lte is None else min(_MOST, math.floor(lte) if lt is None else math.ceil(lt) - 1)  # type: ignore[arg-type]
    if low > high:
        return Numbers()
    # An end that is the end of all whole numbers needs no bound, so that none is rounded across it.
    first = float(_LEAST) if low == _LEAST else _float_from(low)
    last = math.inf if high == _MOST else _float_to(high)
    begin, end = min(int(first), high + 1), high + 1 if last == math.inf else int(last) + 1
    listed = [*range(low, begin), *range(max(end, low, begin), high + 1)]
    bounds: dict[str, float] = {}
    if first <= last:
        if low > _LEAST or high == _MOST:  # one bound at least: a field without a number is in no range
            bounds["gte"] = first
        if high < _MOST:
            bounds["lte"] = last
    return Numbers(listed, bounds)


def float_bounds(bounds: dict[str, float]) -> dict[str, float] | None:
    """The same range of 64-bit floats with bounds that are floats themselves; None where it holds none."""
    rounded: dict[str, float] = {}
    for name, bound in bounds.items():
        near = float(bound)
        if near == bound:  # Python compares a whole number with a float exactly
            rounded[name] = bound
        elif name in ("gt", "gte"):
            rounded["gt" if near < bound else "gte"] = near
        else:
            rounded["lt" if near > bound else "lte"] = near
    equal = bounds.get("gte") == bounds.get("lte") and "gte" in bounds
    return None if equal and rounded != bounds else rounded


def _float_from(low: int) -> float:
    """The first float that is not below `low`, and that no whole number below `low` is rounded to."""
    first = float(low)
    while int(first) < low or float(low - 1) >= first:
        first = math.nextafter(first, math.inf)
    return first


def _float_to(high: int) -> float:
    """The last float that is not above `high`, and that no whole number above `high` is rounded to."""
    last = float(high)
    while int(last) > high or float(high + 1) <= last:
        last = math.nextafter(last, -math.inf)
    return last
