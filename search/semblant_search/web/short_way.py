"""The way from a body to an endpoint without FastAPI, whose solving of dependencies takes as long as a search.

It is for requests in which there is nothing to solve or to say: who asks is known already, and the body is a sound model. All
others take FastAPI's way, which has the words for what is wrong with them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel

from .query_names import dependant_of

if TYPE_CHECKING:
    from fastapi.dependencies.models import Dependant
    from fastapi.routing import APIRoute
    from starlette.requests import Request
    from typing_extensions import Self

    from .access import Access
    from .service import Service

__all__ = ["ShortWay"]


class ShortWay(NamedTuple):
    """Of an endpoint that takes who asks, one model, and perhaps the request itself: by which names, and which model."""

    route: APIRoute
    service: Service
    access: str
    body: str
    model: type[BaseModel]
    request: str | None

    @classmethod
    def of(cls, route: APIRoute, service: Service) -> Self | None:
        """That of a route, or None where an endpoint takes anything else."""
        found = route.dependant
        others = (found.path_params, found.query_params, found.header_params, found.cookie_params)
        access = _access_of(found, service)
        if access is None or any(others) or len(found.body_params) != 1:
            return None
        more = (found.http_connection_param_name, found.websocket_param_name, found.response_param_name)
        if any(more) or found.background_tasks_param_name or found.security_scopes_param_name:
            return None
        (body,) = found.body_params
        model = body.field_info.annotation
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return None
        return cls(route, service, access, body.name, model, found.request_param_name)

    def arguments(self, request: Request, body: bytes, access: Access) -> dict[str, Any] | None:
        """What the endpoint is called with; None where only FastAPI knows.

        Args:
            request: whose it is.
            body: all of it, known to be JSON if anything.
            access: who asks.
        """
        # An app that the routes are in may have dependencies of its own, or put others in the place of some.
        if getattr(request.scope.get("app"), "dependency_overrides", None):
            return None
        if _is_watched(request) or _access_of(dependant_of(request, self.route), self.service) is None:
            return None
        try:
            query = self.model.model_validate(json.loads(body))
        except (ValueError, RecursionError):  # pydantic's, and what is no JSON
            return None
        asked: dict[str, Any] = {self.access: access, self.body: query}
        if self.request is not None:
            asked[self.request] = request
        return asked


def _is_watched(request: Request) -> bool:
    """Whether FastAPI itself (from 0.165 on) traces or logs it: only its own way notes its spans and what it solved."""
    noted = request.scope.get("fastapi.telemetry")
    return getattr(noted, "span", None) is not None or getattr(noted, "logger", None) is not None


def _access_of(dependant: Dependant, service: Service) -> str | None:
    """The name of the argument that says who asks, where it is the only thing that is to be found out."""
    needed = dependant.dependencies
    return needed[0].name if len(needed) == 1 and needed[0].call == service.access_of else None
