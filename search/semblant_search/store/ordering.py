"""All records in the order of a field, which engines give only page by page, with ties in any order."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from semblant_search.collection import FieldType
from semblant_search.errors import InvalidInput
from semblant_search.where import And, Not, Range
from semblant_search.where.compiler import unknown_field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from semblant_search.collection import Manifest
    from semblant_search.where import Where

    from .engines.base import Paths
    from .queries import OrderBy
    from .records import Record

    OrderedPage = Callable[["OrderBy", "Where | None", Paths, Sequence[str], int], list[tuple[float, Record]]]
    Pages = Callable[["Where | None", Paths, Sequence[str], int], Iterator[Record]]

__all__ = ["check_order", "ordered"]

_ORDERED = (FieldType.INTEGER, FieldType.FLOAT, FieldType.DATETIME)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


def check_order(order: OrderBy, manifest: Manifest) -> None:
    """Raise `InvalidInput` unless the field has an order."""
    kind = manifest.fields.get(order.field)
    if kind is None:
        raise InvalidInput(unknown_field(order.field, manifest.fields))
    if kind not in _ORDERED:
        raise InvalidInput(f"order by {order.field!r}: it is {kind.value}; expected an integer, float or datetime field")


def ordered(
    page: OrderedPage,
    pages: Pages,
    order: OrderBy,
    manifest: Manifest,
    where: Where | None,
    paths: Paths,
    vectors: Sequence[str],
    batch: int,
) -> Iterator[Record]:
    """Every record once, by the field's value, ties by id.

    Of a full page, the records before its last value are complete. Those that tie at that value are read by a filter, in the
    order of their ids; then it goes on behind it.
    """
    rest = where
    while True:
        found = page(order, rest, paths, vectors, batch)
        last = found[-1][0] if len(found) == batch else None
        before: dict[str, tuple[float, Record]] = {}  # a record with several values counts at its first
        for value, record in found:
            if value != last:
                before.setdefault(record.id, (value, record))
        sign = -1 if order.descending else 1
        for _, record in sorted(before.values(), key=lambda pair: (sign * pair[0], pair[1].id)):
            yield record
        if last is None:
            return
        edge = _EPOCH + dt.timedelta(microseconds=last) if manifest.fields[order.field] is FieldType.DATETIME else last
        field = order.field
        if order.descending:
            reached, passed, ahead = Range(field, gt=edge), Range(field, gte=edge), Range(field, lt=edge)
        else:
            reached, passed, ahead = Range(field, lt=edge), Range(field, lte=edge), Range(field, gt=edge)
        yield from pages(_all(rest, Range(field, gte=edge, lte=edge), Not(reached)), paths, vectors, batch)
        # Behind it in all of its values: one that was there at an earlier value does not come again.
        rest = _all(where, ahead, Not(passed))


def _all(where: Where | None, *terms: Where) -> Where:
    return And(terms if where is None else (where, *terms))
