"""Origins of other pages that may ask, and what their browsers are told before they do (CORS)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware

from semblant_search.errors import InvalidInput
from semblant_search.shown import shown

from . import problems
from .request_ids import REQUEST_ID, unrouted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.datastructures import Headers
    from starlette.responses import Response
    from starlette.types import ASGIApp

__all__ = ["NamedOrigins", "origins_of"]

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_HOST = re.compile(r"[a-z0-9]([a-z0-9_.-]*[a-z0-9])?|\[[0-9a-f:.]+\]")
_USUAL_PORTS = {"http": 80, "https": 443}
_METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE")
_SENT = ("Authorization", "Content-Type", "If-None-Match", "Last-Event-ID", REQUEST_ID)
_READ = ("ETag", "Location", "Retry-After", REQUEST_ID)


def origins_of(given: Iterable[str]) -> tuple[str, ...]:
    """The origins as browsers write them: `https://shop.example` of `HTTPS://Shop.example/`.

    Raises:
        InvalidInput: what no browser sends; any origin (`*`), too.
    """
    if isinstance(given, (str, bytes)):
        raise InvalidInput(f"origins {shown(given)}: expected several, as in a tuple or a list, not one")
    return tuple(dict.fromkeys(map(_origin, given)))


def _origin(given: str) -> str:
    if not isinstance(given, str):
        raise InvalidInput(f"origin {shown(given)}: expected text, such as https://shop.example")
    if given == "*":
        raise InvalidInput("origins '*': name those whose pages may ask; any page may not")
    try:
        parts = urlsplit(given.lower())
        scheme, port = parts.scheme, parts.port
        host = parts.netloc.removesuffix(f":{port}").removesuffix(":").encode("idna").decode()
    except ValueError:  # a port that is none, a name that no host has
        scheme, host, port = "", "", None
    rest = given.partition("://")[2].rstrip("/")
    if not _SCHEME.fullmatch(scheme) or not _HOST.fullmatch(host) or set(rest) & set("/?#@"):
        raise InvalidInput(
            f"origin {shown(given)}: expected scheme://host or scheme://host:port of one page's address, such as "
            "https://shop.example, and nothing after it"
        )
    return f"{scheme}://{host}" if port in (None, _USUAL_PORTS.get(scheme)) else f"{scheme}://{host}:{port}"


class NamedOrigins(CORSMiddleware):
    """Says to browsers which pages may ask; who may not is told so as a problem.

    Args:
        app: what is asked.
        origins: whose pages may ask, as `origins_of` gives them.
    """

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        super().__init__(app, allow_origins=[*origins], allow_methods=_METHODS, allow_headers=_SENT, expose_headers=_READ)

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer to what a browser asks before a request."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        told = (
            "a page of another origin may not ask (`semblant serve --cors ORIGIN` names those that may); one that may asks by "
            f"{', '.join(_METHODS)}, with the headers {', '.join(_SENT)}"
        )
        refused = unrouted(problems.of_fault("origin-refused", told), request_headers.get(REQUEST_ID, ""))
        for name, value in response.headers.items():
            if name.startswith("access-control-") or name == "vary":
                refused.headers[name] = value
        return refused
