"""JSON that is kept in files and servers, to and from the frozen dataclasses that say what must be in it.

msgspec checks names and types by the annotations of a dataclass; what a `__post_init__` refuses is refused here, too. Whatever
is wrong with a file is an error of Semblant's that names the file and the field. msgspec loads at the first use.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_type_hints

if TYPE_CHECKING:
    from .errors import SemblantError

__all__ = ["MAY_BE_MISSING", "parse_object", "read_model", "write_model"]

Model = TypeVar("Model")

MAY_BE_MISSING = {"may_be_missing": True}
"""Metadata of a dataclass's field that a file need not name: it came later. A default is for Python, not for files."""


def parse_object(data: bytes | str, *, what: str, error: type[SemblantError], advice: str) -> dict[str, Any]:
    """The JSON object in a file, unchecked.

    Args:
        data: the content; text in UTF-8.
        what: what the file is, with its name, such as `'…/manifest.json'`.
        error: raised for anything but a JSON object, nested beyond what Python reads included.
        advice: what to do then.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as cause:  # not UTF-8 and a number of thousands of digits are ValueErrors, too
        why = "nested too deeply" if isinstance(cause, RecursionError) else f"damaged (not JSON: {str(cause)[:200]})"
        raise error(f"{what} is {why}; {advice}") from cause
    if not isinstance(value, dict):
        raise error(f"{what} is not a JSON object, but {type(value).__name__}; {advice}")
    return value


def read_model(kind: type[Model], data: object, *, what: str, error: type[SemblantError], advice: str) -> Model:
    """A dataclass from JSON values; names that it does not have are left alone.

    Raises:
        SemblantError: `error`, that names the field: missing, of another type, or with a value that the dataclass refuses.
    """
    import msgspec

    missing = _missing(kind, data)
    if missing is not None:
        raise error(f"{what} is incomplete: it has no {missing}; {advice}")
    try:
        return msgspec.convert(dict(data) if isinstance(data, Mapping) else data, kind)
    except (msgspec.ValidationError, RecursionError, OverflowError) as cause:
        raise error(f"{what} is incomplete or wrong: {str(cause)[:300]}; {advice}") from cause


def write_model(value: object) -> dict[str, Any]:
    """The JSON values of a dataclass, in the order of its fields."""
    import msgspec

    return cast("dict[str, Any]", _lists(msgspec.to_builtins(value, enc_hook=_plain)))


def _missing(kind: type, data: object) -> str | None:
    """The path of the first fact that is not there, of this dataclass or of one in it."""
    if not is_dataclass(kind) or not isinstance(data, Mapping):
        return None
    types = get_type_hints(kind)
    for each in fields(kind):
        if each.name not in data:
            if not each.metadata.get("may_be_missing"):
                return repr(each.name)
            continue
        below = _missing(types[each.name], data[each.name])
        if below is not None:
            return f"{below} in {each.name!r}"
    return None


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{value!r} of type {type(value).__name__} is no JSON value")


def _lists(value: object) -> object:
    """As JSON will be read back: it has no tuples."""
    if isinstance(value, dict):
        return {name: _lists(below) for name, below in value.items()}
    return [_lists(below) for below in value] if isinstance(value, (list, tuple)) else value
