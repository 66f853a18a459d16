"""What is checked of every request before any route: who a browser says is asking, and how many are connected.

Without keys anyone on this machine may ask, and that includes the pages in its browser: one of another origin, or one that had
its name resolve to 127.0.0.1 (DNS rebinding), is refused.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from . import problems
from .request_ids import REQUEST_ID, unrouted

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["OriginGuard", "is_loopback"]


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class OriginGuard:
    """Refuses requests that a browser sends for a page of another origin.

    Args:
        app: what is guarded.
        origins: others that may ask, as `https://shop.example`.
        loopback_only: the Host must be a name of this machine.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str], *, loopback_only: bool) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._loopback_only = loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a problem, or go on."""
        if scope["type"] == "http" and (why := self._refusal(headers := dict(scope["headers"]))) is not None:
            given = headers.get(REQUEST_ID.lower().encode(), b"").decode("latin-1")
            response = unrouted(problems.of_fault("origin-refused", why), given)
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, headers: dict[bytes, bytes]) -> str | None:
        host = headers.get(b"host", b"").decode("latin-1")
        if self._loopback_only and not _is_here(host):
            return "this service is for programs of its own machine: ask it as localhost or 127.0.0.1"
        origin = headers.get(b"origin", b"").decode("latin-1")
        if not origin or origin in self._origins or urlsplit(origin).netloc.lower() == host.lower():
            return None
        return "a page of another origin may not ask (`semblant serve --cors ORIGIN` names those that may)"


@lru_cache(maxsize=64)
def _is_here(host: str) -> bool:
    """Whether `localhost:8765` is a name of this machine: nearly all requests name the same."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
