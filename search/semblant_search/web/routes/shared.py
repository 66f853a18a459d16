"""What the routes share: JSON answers, and the problems that each may answer with."""

from typing import Any

import msgspec
from starlette.responses import Response

from semblant_search.web.problems import statuses

__all__ = ["PROBLEMS", "REQUEST_ID_PARAMETER", "answer"]

PROBLEMS = statuses(401, 403, 404, 409, 413, 415, 422, 429, 500, 501, 502, 503, 504)
"""The statuses that a route may answer with beside its own."""


def answer(values: Any, status: int = 200) -> Response:
    """An answer. It is not checked against its model again: that takes longer than a search; the tests do."""
    return Response(msgspec.json.encode(values), status, media_type="application/json")


REQUEST_ID_PARAMETER = {
    "name": "X-Request-Id",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "What the service's log and the answer call this request: 1 to 64 of A–Z, a–z, 0–9, `.`, `_`, `-`; else one "
    "is made up.",
}
"""As all operations take it. Said of those with two kinds of body: without, openapi-python-client writes bad code for these."""
