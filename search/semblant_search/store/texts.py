"""Values of payload as the text that metadata of another type becomes."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from semblant_search.where.compiler import json_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .engines.base import Engine
    from .records import Record

__all__ = ["as_text", "make_text", "with_text"]

_TOGETHER = 1000


def as_text(value: Any) -> Any:
    """A value as text, as a column of text takes it: `59.9` as `"59.9"`, `true` as `"true"`; lists by their elements."""
    if isinstance(value, list):
        return [as_text(element) for element in value]
    return value if isinstance(value, str) or value is None else json.dumps(value)


def with_text(payload: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """A payload in which some fields are text; names with dots are of nested ones."""
    changed = dict(payload)
    for name in fields:
        first, _, rest = name.partition(".")
        value = changed.get(first)
        if value is None or (rest and not isinstance(value, dict)):
            continue
        changed[first] = with_text(value, [rest]) if rest else as_text(value)
    return changed


def make_text(engine: Engine, fields: Sequence[str]) -> None:
    """Write the values of fields as text, in all points. Again, after a crash, it does the rest."""
    records = _holding(engine, fields) if fields else iter(())
    while part := list(islice(records, _TOGETHER)):
        there = engine.retrieve([record.id for record in part], True, ())
        engine.overwrite({record.id: with_text(record.payload, fields) for record in there})


def _holding(engine: Engine, fields: Sequence[str]) -> Iterator[Record]:
    """The points in which some of the fields are no text."""
    paths, start = [json_path(name) for name in fields], None
    while True:
        records, start = engine.scroll(None, paths, (), _TOGETHER, start)
        yield from (record for record in records if with_text(record.payload, fields) != record.payload)
        if start is None:
            return
