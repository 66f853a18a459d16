"""Arguments that a tool does not take, told so that a model gives the right ones next: what was given, what was expected."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from semblant_search.shown import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import ValidationError

__all__ = ["refused", "unknown_arguments", "unknown_tool"]

_MOST = 3
"""Arguments that are told of at a time."""
_NOUNS = {"string": ("text", "texts"), "number": ("a number", "numbers"), "integer": ("a whole number", "whole numbers")}


def unknown_tool(name: str, known: Iterable[str]) -> str:
    """What is said of a tool that there is not."""
    names = list(known)
    return f"{shown(name)}: is no tool{_meant(name, names)}; expected one of {', '.join(names)}"


def unknown_arguments(tool: str, schema: Mapping[str, Any], given: Mapping[str, Any]) -> str | None:
    """What is said of arguments whose names a tool does not know; None where it knows all.

    `schema` is the JSON schema of its arguments.
    """
    known = list(schema.get("properties", {}))
    unknown = [name for name in given if name not in known]
    if not unknown:
        return None
    takes = f"it takes {', '.join(known)}" if known else "it takes none; leave them away"
    return _lines(tool, [f"{shown(name)} is no argument{_meant(name, known)}; {takes}" for name in unknown])


def refused(tool: str, schema: Mapping[str, Any], given: Mapping[str, Any], error: ValidationError) -> str:
    """What is said of arguments that are missing, of another type, or out of range: a line for each."""
    said: dict[str, str] = {}
    for fault in error.errors(include_url=False, include_input=False):
        name = str(fault["loc"][0]) if fault["loc"] else ""
        about = schema.get("properties", {}).get(name, {})
        expected = f"expected {_expected(about)}{_described(about)}"
        if name not in given:
            said.setdefault(name, f"{name} is missing: {expected}")
            continue
        away = "" if name in schema.get("required", ()) else f"; or leave it away{_default(about)}"
        said.setdefault(name, f"{name}={shown(given[name])}: {expected}{away}")
    return _lines(tool, list(said.values()))


def _lines(tool: str, said: list[str]) -> str:
    more = [f"and {len(said) - _MOST} more"] if len(said) > _MOST else []
    return "\n".join(f"{tool}: {line}" for line in [*said[:_MOST], *more])


def _meant(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _kind(about: Mapping[str, Any]) -> Mapping[str, Any]:
    """Its schema where it is given: null is what leaving it away means."""
    kinds: list[Mapping[str, Any]] = about.get("anyOf", [about])
    return next((kind for kind in kinds if kind.get("type") != "null"), about)


def _expected(about: Mapping[str, Any]) -> str:
    kind = _kind(about)
    name = kind.get("type")
    if name == "array":
        least, most = kind.get("minItems"), kind.get("maxItems")
        count = "" if least is None or most is None else f"{least} " if least == most else f"{least} to {most:,} "
        return f"a list of {count}{_NOUNS.get(kind.get('items', {}).get('type', ''), ('', 'values'))[1]}"
    if name == "boolean":
        return "true or false"
    if name == "object":
        return "an object"
    low, high = kind.get("minimum"), kind.get("maximum")
    return _NOUNS.get(str(name), ("a value", ""))[0] + ("" if low is None or high is None else f" from {low} to {high:,}")


def _described(about: Mapping[str, Any]) -> str:
    """Its first sentence or two, as the tool's schema has it."""
    text = str(
        about.get("description") or _kind(about).get("description") or _kind(about.get("items", {})).get("description", "")
    )
    return f" ({text.rstrip('.')})" if text else ""


def _default(about: Mapping[str, Any]) -> str:
    default = about.get("default")
    return "" if default is None else f", for {str(default).lower()}"
