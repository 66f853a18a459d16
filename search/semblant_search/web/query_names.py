"""The names in a query string: one that a route does not know would be ignored, and a misspelt filter finds everything."""

from __future__ import annotations

from difflib import get_close_matches
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from fastapi.exceptions import RequestValidationError
from fastapi.security import APIKeyQuery
from pydantic import BaseModel

from semblant_search.shown import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.dependencies.models import Dependant
    from fastapi.routing import APIRoute
    from starlette.requests import Request

__all__ = ["check_query", "dependant_of"]

_LONGEST = 100
_LISTS = (list, set, tuple, frozenset)


def check_query(request: Request, route: APIRoute) -> None:
    """Raise `RequestValidationError` for a parameter that the route does not take, and for one that is given twice.

    What the dependencies of an app take that the route is in, is taken, too.
    """
    if not request.scope.get("query_string"):
        return
    known = dict(_taken(dependant_of(request, route)))
    faults = []
    for name in request.query_params:
        count = len(request.query_params.getlist(name))
        if name not in known:
            faults.append(_fault(name, f"there is no parameter {shown(name)} here; {_advice(name, sorted(known))}"))
        elif count > 1 and not known[name]:
            faults.append(_fault(name, f"is given {count} times: expected it once"))
    if faults:
        raise RequestValidationError(faults)


def dependant_of(request: Request, route: APIRoute) -> Dependant:
    """What is asked of a request. Newer FastAPI notes the dependencies of an app beside the route, not in it."""
    context = request.scope.get("fastapi", {}).get("effective_route_context")
    found: Dependant = getattr(context, "dependant", route.dependant)
    return found


def _taken(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """The parameters with whether each may be repeated."""
    for field in dependant.query_params:
        kinds = _kinds(field.field_info.annotation)
        models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not models:
            yield field.alias, _is_list(kinds)
        for model in models:  # which stands for its fields
            for name, one in model.model_fields.items():
                yield one.alias or name, _is_list(_kinds(one.annotation))
    if isinstance(dependant.call, APIKeyQuery):
        yield dependant.call.model.name, False
    for needed in dependant.dependencies:
        yield from _taken(needed)


def _kinds(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _is_list(kinds: tuple[Any, ...]) -> bool:
    return any((get_origin(kind) or kind) in _LISTS for kind in kinds)


def _advice(name: str, known: list[str]) -> str:
    if close := get_close_matches(name[:_LONGEST], known, n=1):
        return f"did you mean {close[0]!r}?"
    return f"there are {', '.join(known)}" if known else "it takes none"


def _fault(name: str, told: str) -> dict[str, Any]:
    return {"type": "parameter", "loc": ("query", name[:_LONGEST]), "msg": told, "input": None}
