"""What a column or a key is called as a field: a dot in a name means a key within another one, as filters write it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from semblant_search.collection import check_field_name
from semblant_search.writing.metadata import clean_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["field_name", "nested", "unlike"]

_PART = re.compile(r"[^\W\d_][\w -]*")
_MEANT = re.compile(r'[."\[\]]+')


def field_name(given: str, taken: Collection[str] = ()) -> str:
    """The field of a column: `size.width` for that, `Obj_ No` for `Obj. No`.

    Where its dots may mean keys within each other they do, as in tables that were made of JSON, unless another column has the
    name of the outer key. Other dots, and brackets, quotes and control characters, become underscores.

    Args:
        given: the column's name.
        taken: names of the other columns.

    Raises:
        MetadataError: no field can have the name.
    """
    given = clean_text(given)
    if given.startswith("_"):
        check_field_name(given)
    parts = given.split(".")
    outer = {".".join(parts[:count]) for count in range(1, len(parts))}
    if all(map(_PART.fullmatch, parts)) and outer.isdisjoint(taken):
        return given
    name = "".join(character if character.isprintable() else "_" for character in _MEANT.sub("_", given))
    return check_field_name(name if name == given else name.strip("_ "))


def unlike(name: str, given: str) -> bool:
    """Whether a field has another name than its column."""
    return name != clean_text(given)


def nested(values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Fields with dots as objects within each other."""
    record: dict[str, Any] = {}
    for name, value in values:
        *outer, last = name.split(".")
        place = record
        for key in outer:
            place = place.setdefault(key, {})
        place[last] = value
    return record
