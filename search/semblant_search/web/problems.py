"""Errors as RFC 9457 problems: a status, a code that stays the same, where the fault is, and what to do.

Every error of `errors.py` has a row in `_PROBLEMS`; nothing else leaves the service with a text of its own.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from semblant_search import errors
from semblant_search.images.opening import RAISE_MAX_PIXELS
from semblant_search.shown import without_users

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Fault", "Problem", "ServiceError", "of_error", "of_fault", "of_validation", "response"]

MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:semblant:problem:"


class Fault(BaseModel):
    """One fault of a request."""

    pointer: str = Field(description="JSON pointer to the value at fault, or `#query/name` and `#path/name` of a parameter.")
    detail: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": f"{_TYPE}invalid-filter",
                "title": "The filter cannot be used",
                "status": 422,
                "detail": "unknown field 'prize'; did you mean 'price'?",
                "code": "invalid-filter",
                "pointer": "/where",
                "column": 0,
                "request_id": "4f6d1c0b9a2e4d55",
            }
        }
    )

    type: str = Field(description="A URN made of the code.")
    title: str = Field(description="The kind of problem, the same for every one of its code.")
    status: int
    detail: str = Field(description="What was given, what was expected, and what to do.")
    code: str = Field(description="Short and stable, for programs.")
    pointer: str | None = Field(None, description="Of the first fault: a JSON pointer, or `#query/name`.")
    column: int | None = Field(None, description="Of a filter: 0-based offset at which the fault begins.")
    reason: str | None = Field(None, description="Of a picture: why it cannot be used, in one word.")
    errors: list[Fault] | None = Field(None, description="All faults of a request that does not have the form of one.")
    request_id: str | None = Field(None, description="What the service's log calls this request.")


class ServiceError(errors.SemblantError):
    """A problem that the service itself has with a request.

    Attributes:
        code: a key of `_SERVICE`.
        headers: that go with the answer.
        pointer: to the value at fault.
    """

    def __init__(self, code: str, detail: str, *, headers: Mapping[str, str] | None = None, pointer: str | None = None) -> None:
        self.code = code
        self.headers = dict(headers or {})
        self.pointer = pointer
        super().__init__(detail)


class _Kind(NamedTuple):
    status: int
    code: str
    title: str


_JOB_RUNNING = _Kind(409, "job-running", "Another job is at work")
_PROBLEMS: tuple[tuple[type[errors.SemblantError], _Kind], ...] = (
    (errors.WhereError, _Kind(422, "invalid-filter", "The filter cannot be used")),
    (errors.MetadataError, _Kind(422, "invalid-metadata", "The metadata cannot be used")),
    (errors.InvalidInput, _Kind(422, "invalid-input", "An argument cannot be used")),
    (errors.NoFeaturesError, _Kind(422, "no-features", "The picture has too few details to ask with")),
    (errors.ImageError, _Kind(422, "unusable-picture", "The picture cannot be used")),
    (errors.EncoderMismatch, _Kind(503, "encoder-unavailable", "Pictures cannot be encoded")),
    (errors.EncoderError, _Kind(503, "encoder-unavailable", "Pictures cannot be encoded")),
    (errors.CollectionNotFound, _Kind(404, "collection-not-found", "There is no such collection")),
    (errors.PointNotFound, _Kind(404, "picture-not-found", "The collection has no such picture")),
    (errors.NotIndexed, _Kind(409, "not-indexed", "The collection was indexed without what is asked for")),
    (errors.StoreLocked, _Kind(503, "database-locked", "Another process has the database")),
    (errors.StoreUnavailable, _Kind(503, "database-unavailable", "The database does not answer")),
    (errors.StoreDenied, _Kind(502, "database-denied", "The database refuses the service's key")),
    (errors.StoreError, _Kind(500, "database-failed", "The database failed")),
    (errors.MissingExtra, _Kind(501, "not-installed", "The service lacks an optional dependency")),
)
_SERVICE = {
    "invalid-request": _Kind(422, "invalid-request", "The request does not have the expected form"),
    "url-refused": _Kind(422, "url-refused", "The URL cannot be used"),
    "unsupported-media-type": _Kind(415, "unsupported-media-type", "The body is of a type that is not read"),
    "body-too-large": _Kind(413, "body-too-large", "The body is too large"),
    "picture-too-large": _Kind(413, "picture-too-large", "The picture has too many pixels"),
    "too-busy": _Kind(429, "too-busy", "Too many requests are at work"),
    "timed-out": _Kind(504, "timed-out", "The request took too long"),
    "starting": _Kind(503, "starting", "The service is starting"),
    "stopping": _Kind(503, "stopping", "The service is being stopped"),
    "key-required": _Kind(401, "key-required", "A key is required"),
    "key-refused": _Kind(401, "key-refused", "The key is not known, has expired, or was revoked"),
    "keys-unavailable": _Kind(503, "keys-unavailable", "The service cannot read its keys"),
    "origin-refused": _Kind(403, "origin-refused", "A page of another origin may not ask"),
    "scope-missing": _Kind(403, "scope-missing", "The key does not allow this"),
    "file-not-at-hand": _Kind(404, "file-not-at-hand", "The picture's file is not at hand"),
    "file-gone": _Kind(410, "file-gone", "The picture's file is gone"),
    "not-offered": _Kind(403, "not-offered", "The service does not offer this"),
    "job-running": _JOB_RUNNING,
    "job-not-found": _Kind(404, "job-not-found", "There is no such job"),
    "source-refused": _Kind(403, "source-refused", "Jobs may not read this"),
    "map-not-ready": _Kind(503, "map-not-ready", "The map is being read"),
    "map-changed": _Kind(409, "map-changed", "The map is another one by now"),
    "not-found": _Kind(404, "not-found", "There is no such address"),
    "method-not-allowed": _Kind(405, "method-not-allowed", "The address does not know this method"),
    "internal-error": _Kind(500, "internal-error", "The service failed"),
}


def of_error(error: errors.SemblantError) -> Problem:
    """The problem that an error of Semblant's is."""
    if isinstance(error, ServiceError):
        return _problem(_SERVICE[error.code], str(error), pointer=error.pointer)
    if isinstance(error, errors.ImageError) and error.reason == "too-large":
        told = str(error).replace(
            RAISE_MAX_PIXELS, "make it smaller, or have the service take more (`semblant serve --max-pixels`)"
        )
        return _problem(_SERVICE["picture-too-large"], told, reason=error.reason)
    if isinstance(error, errors.JobAtWork):
        told, _, _ = str(error).partition("; ")  # what a command can do: wait
        return _problem(_JOB_RUNNING, f"{told}; ask again when it is done")
    kind = next((kind for known, kind in _PROBLEMS if isinstance(error, known)), _SERVICE["internal-error"])
    where = error if isinstance(error, errors.WhereError) else None
    argument = "metadata" if isinstance(error, errors.MetadataError) else getattr(error, "argument", None)
    return _problem(
        kind,
        str(error),
        pointer=None if argument is None else f"/{argument}",
        column=None if where is None else where.column,
        reason=error.reason if isinstance(error, errors.ImageError) else None,
    )


def of_fault(code: str, detail: str) -> Problem:
    """A problem of the service itself, by its code."""
    return _problem(_SERVICE[code], detail)


def of_validation(faults: Sequence[Mapping[str, Any]]) -> Problem:
    """A request that does not have the form of one, from what pydantic says of it. Values are not repeated."""
    named = [Fault(pointer=_pointer(fault["loc"]), detail=without_users(str(fault["msg"]))) for fault in faults]
    first = named[0]
    more = f" (and {len(named) - 1} more: see errors)" if len(named) > 1 else ""
    detail = f"{first.pointer or 'the body'}: {first.detail}{more}"
    return _problem(_SERVICE["invalid-request"], detail, pointer=first.pointer, errors=named)


def response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The answer."""
    told = problem.model_dump(exclude_none=True)
    return Response(msgspec.json.encode(told), problem.status, dict(headers or {}), MEDIA_TYPE)


def statuses(*codes: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: which statuses it has beside 200, as problems."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {code: {"description": HTTPStatus(code).phrase, "content": content} for code in codes}


def _problem(kind: _Kind, detail: str, **facts: Any) -> Problem:
    return Problem(type=_TYPE + kind.code, title=kind.title, status=kind.status, detail=detail, code=kind.code, **facts)


def _pointer(place: Sequence[object]) -> str:
    """`('body', 'like', 0, 'weight')` as `/like/0/weight`; a parameter as `#query/limit`."""
    if not place:
        return ""
    where, *names = place
    if where == "body":
        if len(names) == 1 and isinstance(names[0], int):  # a place in a text that is no JSON
            return ""
        # pydantic names the branch of a union that it tried, which is no part of the document
        parts = [str(name) for name in names if not (isinstance(name, str) and ("[" in name or "-" in name))]
        return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
    return f"#{where}/{'/'.join(map(str, names))}"
