"""All records in the order of a field, which engines give only page by page, with ties in any order."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, NamedTuple

from semblant_search.collection import FieldType
from semblant_search.errors import InvalidInput
from semblant_search.where import And, Not, Range
from semblant_search.where.compiler import unknown_field
from semblant_search.where.values import parse_time

from .facets import values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from semblant_search.collection import Manifest
    from semblant_search.where import Where

    from .engines.base import Paths
    from .queries import OrderBy
    from .records import Record

    OrderedPage = Callable[["OrderBy", "Where | None", Paths, Sequence[str], int], tuple[list[tuple[float, Record]], bool]]
    Pages = Callable[["Where | None", Paths, Sequence[str], int, "str | None"], Iterator[Record]]

__all__ = ["Position", "check_order", "ordered", "value_of"]

_ORDERED = (FieldType.INTEGER, FieldType.FLOAT, FieldType.DATETIME)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


class Position(NamedTuple):
    """The record that a page begins with, or would if it were still there: its id, and in the order of a field its value."""

    id: str
    value: float | None = None


def check_order(order: OrderBy, manifest: Manifest) -> None:
    """Raise `InvalidInput` unless the field has an order."""
    kind = manifest.fields.get(order.field)
    if kind is None:
        raise InvalidInput(unknown_field(order.field, manifest.fields), argument="order_by")
    if kind not in _ORDERED:
        raise InvalidInput(
            f"order by {order.field!r}: it is {kind.value}; expected an integer, float or datetime field", argument="order_by"
        )


def ordered(
    page: OrderedPage,
    pages: Pages,
    order: OrderBy,
    manifest: Manifest,
    where: Where | None,
    paths: Paths,
    vectors: Sequence[str],
    batch: int,
    start: Position | None = None,
) -> Iterator[tuple[float, Record]]:
    """Every record once, with the field's value and in its order, ties by id; from `start` on.

    Of a full page, the records before its last value are complete. Those that tie at that value are read by a filter, in the
    order of their ids; then it goes on behind it.
    """
    rest = where
    if start is not None and start.value is not None:
        tied, rest = _at_and_behind(order, manifest, where, start.value)
        for record in pages(tied, paths, vectors, batch, start.id):
            yield start.value, record
    while True:
        found, full = page(order, rest, paths, vectors, batch)
        last = found[-1][0] if full and found else None
        before: dict[str, tuple[float, Record]] = {}  # a record with several values counts at its first
        for value, record in found:
            if value != last:
                before.setdefault(record.id, (value, record))
        sign = -1 if order.descending else 1
        for value, record in sorted(before.values(), key=lambda pair: (sign * pair[0], pair[1].id)):
            yield value, record
        if last is None:
            return
        tied, behind = _at_and_behind(order, manifest, where, last)
        for record in pages(tied, paths, vectors, batch, None):
            yield last, record
        rest = behind


def _at_and_behind(order: OrderBy, manifest: Manifest, where: Where | None, value: float) -> tuple[Where, Where]:
    """Filters for the records that come at a value, and for those that come later."""
    field = order.field
    try:
        at = _EPOCH + dt.timedelta(microseconds=value) if manifest.fields[field] is FieldType.DATETIME else value
    except OverflowError as error:  # no engine said so
        raise InvalidInput(f"position {value!r}: expected microseconds since 1970") from error
    if order.descending:
        reached, passed, ahead = Range(field, gt=at), Range(field, gte=at), Range(field, lt=at)
    else:
        reached, passed, ahead = Range(field, lt=at), Range(field, lte=at), Range(field, gt=at)
    # Behind it in all of its values: one that was there at an earlier value does not come again.
    return _all(where, Range(field, gte=at, lte=at), Not(reached)), _all(where, ahead, Not(passed))


def value_of(payload: Mapping[str, Any], order: OrderBy, manifest: Manifest) -> float | None:
    """Where a record comes in the order: its lowest value (descending: its highest), dates as microseconds since 1970."""
    choose = max if order.descending else min
    found = values_of(payload, order.field)
    if manifest.fields[order.field] is FieldType.DATETIME:
        times = [_microseconds(time) for value in found if isinstance(value, str) and (time := parse_time(value)) is not None]
        return choose(times, default=None)
    return choose((value for value in found if not isinstance(value, (str, bool))), default=None)


def _microseconds(time: dt.date) -> int:
    instant = time if isinstance(time, dt.datetime) else dt.datetime(time.year, time.month, time.day, tzinfo=dt.timezone.utc)
    return (instant - _EPOCH) // dt.timedelta(microseconds=1)


def _all(where: Where | None, *terms: Where) -> Where:
    return And(terms if where is None else (where, *terms))
