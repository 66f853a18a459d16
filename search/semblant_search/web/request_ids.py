"""What a request is called: in the log, in the answer's header, and in every problem."""

from __future__ import annotations

import logging
import re
import secrets
from typing import TYPE_CHECKING

from . import problems

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from .problems import Problem

__all__ = ["REQUEST_ID", "request_id_of", "unrouted"]

_logger = logging.getLogger(__name__)
REQUEST_ID = "X-Request-Id"
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id_of(given: str) -> str:
    """What the caller calls the request, if that can be written anywhere; else a new id."""
    return given if _SANE_ID.fullmatch(given) else secrets.token_hex(8)


def unrouted(problem: Problem, given: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a request that no route has taken.

    Args:
        problem: why.
        given: what the caller calls the request, or nothing.
        headers: more of them.
    """
    problem.request_id = request_id_of(given)
    _logger.info(
        "%s %s %d",
        problem.request_id,
        problem.code,
        problem.status,
        extra={"request_id": problem.request_id, "operation": None, "status": problem.status},
    )
    own = {REQUEST_ID: problem.request_id, "X-Content-Type-Options": "nosniff"}
    return problems.response(problem, {**(headers or {}), **own})
