"""An app at an address of this machine, from its first answer to the end of its last one."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING, Any

from semblant_search.errors import SemblantError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from semblant_search.web import ServiceSettings

__all__ = ["ServeError", "listen", "serve_app"]

_FINISHING = 30
"""Seconds that requests at work have to end, when the service is told to stop."""
_CONNECTIONS = 1000


def serve_app(app: Any, listening: socket.socket, settings: ServiceSettings, announce: Callable[[], None]) -> None:
    """Serve until a signal, and say so once requests are answered: a program that waits for the line may ask at once."""
    import uvicorn

    from semblant_search.web.connections import bounded_protocol

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                announce()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
            # uvicorn's own raises the signal again in the end, which would leave the database open.
            self.force_exit = self.should_exit and sig == signal.SIGINT
            self.should_exit = True
            app.state.service.state = "stopping"  # what streams ends by itself, before requests are waited for

    config = uvicorn.Config(
        app,
        http=bounded_protocol(headers=settings.header_timeout, body=settings.timeout + _FINISHING, answer=settings.timeout),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_FINISHING,
        lifespan="on",
    )
    Server(config).run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """A socket of that address. Raises `InvalidInput` for one that is taken, or none of this machine's."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        why = error.strerror or str(error)
        raise ServeError(f"cannot listen at {host}:{port}: {why}; take another --port, or stop what has it") from error
    return listening


class ServeError(SemblantError):
    """The service cannot be reached where it was asked to be."""
