"""What every route does around its own work: read a bounded body, wait for a turn, end in time, say problems, count."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import anyio
from fastapi import params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from semblant_search.errors import SemblantError
from semblant_search.file_access import only_under
from semblant_search.images.strangers import of_strangers
from semblant_search.stages import recorded_by

from . import problems
from .forms import read_form
from .problems import ServiceError
from .query_names import check_query
from .request_ids import REQUEST_ID, request_id_of
from .short_way import ShortWay

if TYPE_CHECKING:
    from fastapi import APIRouter
    from pydantic import BaseModel
    from starlette.types import Message

    from .access import Scope
    from .problems import Problem
    from .service import Service

__all__ = ["add_heads", "form_of", "route_class"]

_logger = logging.getLogger(__name__)
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_FORM = "_semblant_form"
_FORM_TYPE = "multipart/form-data"
_JSON = "application/json"
_WITHOUT_BODY = {"GET", "HEAD", "DELETE"}
"""What is asked for is in the address."""
_READING = {"GET", "HEAD"}
_DIGITS = 1000
_HANGS_UP = 499  # nobody reads it; nginx's number for the log


class _Form(NamedTuple):
    model: type[BaseModel]
    only: bool


def form_of(model: type[BaseModel], *, only: bool = False) -> Callable[[Any], Any]:
    """Mark a route that takes its model as a form, too, or only so: then the model is `request.state.form`.

    The files of the form are `request.state.pictures`.
    """

    def mark(endpoint: Any) -> Any:
        setattr(endpoint, _FORM, _Form(model, only))
        return endpoint

    return mark


def route_class(service: Service, *, waits: bool = True) -> type[APIRoute]:
    """The class of a service's routes.

    Args:
        service: whose.
        waits: whether requests take turns, and need a key; False for those that only say how the service is.
    """

    class ServiceRoute(APIRoute):
        def get_route_handler(self) -> Handler:
            inner = super().get_route_handler()
            form: _Form | None = getattr(self.endpoint, _FORM, None)
            scope = _scope_of(self.endpoint)
            short = ShortWay.of(self, service)

            async def answer(request: Request) -> Response:
                if not waits:
                    return await inner(request)
                access = service.admit(request, scope)  # before the body is read
                check_query(request, self)
                with service.telemetry.stage("read"):
                    body = await _body(request, service.settings.max_body)
                request.state.pictures = []
                content_type: bytes | None = None
                kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
                if kind == _FORM_TYPE and form is not None:
                    given = request.headers["content-type"]
                    values, pictures = await read_form(given, body, form.model, service.settings.max_pictures)
                    body, content_type = json.dumps(values).encode(), _JSON.encode()
                    request.state.pictures = pictures
                    if form.only:
                        request.state.form = _validated(form.model, values)
                elif (body and kind != _JSON) or (form is not None and form.only):
                    kinds = [] if form is not None and form.only else [_JSON]
                    expected = " or ".join(kinds + ([] if form is None else [_FORM_TYPE]))
                    raise ServiceError("unsupported-media-type", f"{kind or 'no Content-Type'}: expected {expected}")
                async with service.turn():
                    strange = nullcontext() if form is None else of_strangers()
                    with only_under(()), strange:  # a route that reads files says which
                        asked = None if short is None else short.arguments(request, body, access)
                        if asked is not None:
                            answered: Response = await self.endpoint(**asked)
                            return answered
                        return await inner(_with_body(request, body, content_type=content_type))

            async def handle(request: Request) -> Response:
                begun = perf_counter()
                request.state.request_id = request_id_of(request.headers.get(REQUEST_ID, ""))
                operation = self.operation_id or self.name
                telemetry = service.telemetry
                with (
                    service.metrics.at_work.track_inprogress(),
                    telemetry.request(operation, request.method, request.state.request_id, request.headers) as answered,
                    recorded_by(telemetry.stage),
                ):
                    response = await _answered(request, answer, service, changes=scope != "search")
                    answered.with_status(response.status_code)
                if request.method == "HEAD":
                    response = _without_body(response)
                response.headers[REQUEST_ID] = request.state.request_id
                response.headers.setdefault("X-Content-Type-Options", "nosniff")
                taken = perf_counter() - begun
                service.metrics.requests.labels(operation, response.status_code).observe(taken)
                _logger.info(
                    "%s %s %d %.1f ms",
                    request.state.request_id,
                    operation,
                    response.status_code,
                    taken * 1000,
                    extra={
                        "request_id": request.state.request_id,
                        "operation": operation,
                        "status": response.status_code,
                        "seconds": taken,
                        "key": getattr(request.state, "key", None),
                    },
                )
                return response

            return handle

    return ServiceRoute


def add_heads(router: APIRouter) -> None:
    """Answer HEAD wherever a router answers GET, as probes and `curl -I` ask; the OpenAPI does not say so."""
    for route in [*router.routes]:
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
            router.add_api_route(
                route.path,
                route.endpoint,
                methods=["HEAD"],
                operation_id=route.operation_id,
                response_model=None,
                include_in_schema=False,
            )


def _without_body(response: Response) -> Response:
    """What is said of an answer; one that is a stream is not begun."""
    head = Response(status_code=response.status_code)
    head.raw_headers = response.raw_headers
    return head


def _scope_of(endpoint: Callable[..., Any]) -> Scope:
    """What a route takes, as its argument says; one that does not say is for who may do everything."""
    for parameter in inspect.signature(endpoint).parameters.values():
        for said in (parameter.default, *getattr(parameter.annotation, "__metadata__", ())):
            if isinstance(said, params.Security) and said.scopes:
                return cast("Scope", said.scopes[-1])
    return "admin"


async def _answered(request: Request, answer: Handler, service: Service, *, changes: bool) -> Response:
    headers: dict[str, str] = {}
    try:
        with anyio.fail_after(service.settings.timeout):
            return await answer(request)
    except ClientDisconnect:
        return Response(status_code=_HANGS_UP)
    except TimeoutError:
        detail = f"it was not answered within {service.settings.timeout:g} seconds"
        if changes and request.method not in _READING:  # what has begun in a thread goes on
            detail += "; what it asked for may still be done: look before you ask for it again"
        problem = problems.of_fault("timed-out", detail)
    except RequestValidationError as error:
        problem = problems.of_validation(error.errors())
    except SemblantError as error:
        problem = problems.of_error(error)
        headers = error.headers if isinstance(error, ServiceError) else {}
        if problem.status == 503:
            headers = {"Retry-After": "2", **headers}
    except HTTPException as error:
        if error.status_code != 400 or error.__cause__ is None:
            raise  # of a dependency of the app that these routes are in
        problem = problems.of_fault("invalid-request", str(error.detail))  # FastAPI's, for a body that cannot be read
    except Exception:
        _logger.exception("%s failed", request.state.request_id)
        problem = problems.of_fault(
            "internal-error", f"the service's log says why, under the request id {request.state.request_id}"
        )
    return _said(problem, headers, request, service)


def _said(problem: Problem, headers: dict[str, str], request: Request, service: Service) -> Response:
    service.metrics.problems.labels(problem.code).inc()
    problem.request_id = request.state.request_id
    if request.method in _WITHOUT_BODY and (problem.pointer or "").startswith("/"):
        problem.pointer = f"#query{problem.pointer}"
    return problems.response(problem, headers)


def _validated(model: type[BaseModel], values: object) -> BaseModel:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise RequestValidationError([{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]) from error


async def _body(request: Request, most: int) -> bytes:
    """The whole body. Raises `ServiceError` as soon as it is known to be too large."""
    too_large = ServiceError("body-too-large", f"the body has more than {most:,} bytes, which this service takes at most")
    told = request.headers.get("content-length", "")
    if told.isdecimal() and (len(told) > _DIGITS or int(told) > most):  # Python reads no number of thousands of digits
        raise too_large
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > most:
            raise too_large
        pieces.append(piece)
    return b"".join(pieces)


def _with_body(request: Request, body: bytes, *, content_type: bytes | None = None) -> Request:
    """The same request with a body that was read, or another one."""
    scope = dict(request.scope)
    if content_type is not None:
        kept = [(name, value) for name, value in scope["headers"] if name not in (b"content-type", b"content-length")]
        scope["headers"] = [*kept, (b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await request.receive()

    return Request(scope, receive)
