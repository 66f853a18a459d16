"""Conditions on places: within a rectangle of the globe, or near a point."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .expression import Leaf, name_text
from .values import Origin, check_value, error_at, shown, value_text

__all__ = ["Near", "Within", "outward", "spans"]

_HAIR = 1e-9
"""Degrees: a tenth of a millimetre."""
_HALF_ROUND_KM = 20_015.2
"""From a place to the opposite one."""


@dataclass(frozen=True)
class Within(Leaf):
    """`within(name, south, west, north, east)`: in that rectangle of degrees, its edges included.

    Where `west` is greater than `east`, it is the one across the 180th meridian.
    """

    south: float
    west: float
    north: float
    east: float
    origin: Origin | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for side, most in (("south", 90), ("west", 180), ("north", 90), ("east", 180)):
            object.__setattr__(self, side, _degrees(getattr(self, side), f"within: {side}", most, self.origin))
        if self.south > self.north:
            raise error_at(
                f"within: south {self.south:g} is north of {self.north:g}; the form is within(place, south, west, north, east)",
                self.origin,
            )

    def __str__(self) -> str:
        sides = ", ".join(value_text(side) for side in (self.south, self.west, self.north, self.east))
        return f"within({name_text(self.name)}, {sides})"


@dataclass(frozen=True)
class Near(Leaf):
    """`near(name, lat, lon, km)`: less than so many kilometres from there, along the globe."""

    lat: float
    lon: float
    km: float
    origin: Origin | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "lat", _degrees(self.lat, "near: lat", 90, self.origin))
        object.__setattr__(self, "lon", _degrees(self.lon, "near: lon", 180, self.origin))
        km = _number(self.km, "near: km", self.origin)
        if not 0 < km <= _HALF_ROUND_KM:
            raise error_at(f"near: {km:g} kilometres; expected more than 0, and at most half around the globe", self.origin)
        object.__setattr__(self, "km", km)

    def __str__(self) -> str:
        return f"near({name_text(self.name)}, {value_text(self.lat)}, {value_text(self.lon)}, {value_text(self.km)})"


def outward(low: float, high: float, most: float) -> tuple[float, float]:
    """The bounds a hair further out, as engines leave the edges of a rectangle out.

    A hair less than there are degrees at most: Edge's index finds nothing in what ends at a pole or the 180th meridian.
    """
    return max(_HAIR - most, low - _HAIR), min(most - _HAIR, high + _HAIR)


def spans(west: float, east: float) -> list[tuple[float, float]]:
    """`(left, right)` of the rectangles that an engine is asked for, any of which.

    Beyond the 180th meridian there are no degrees, so that an edge there cannot be moved outward: a narrow rectangle across it,
    left > right, has what lies on it. Edge's index finds nothing in wide ones across it.
    """
    if west > east:
        return [*spans(west, 180), *spans(-180, east)]
    found = [outward(west, east, 180)]
    if west == -180:
        found.append((180.0, min(found[0][1], -179.0)))
    if east == 180:
        found.append((max(found[0][0], 179.0), -180.0))
    return found


def _number(value: object, what: str, origin: Origin | None) -> float:
    checked = check_value(value, origin)
    if isinstance(checked, bool) or not isinstance(checked, (int, float)):
        raise error_at(f"{what} {shown(value)}: expected a number", origin)
    return float(checked)


def _degrees(value: object, what: str, most: int, origin: Origin | None) -> float:
    degrees = _number(value, what, origin)
    if not math.fabs(degrees) <= most:
        raise error_at(f"{what} {degrees:g}: expected degrees from -{most} to {most}", origin)
    return degrees
