"""Connections whose client takes its time are ended: slow headers, a body that trickles in, an answer that nobody reads.

uvicorn bounds how long a connection may be idle between requests, and nothing of a request itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

__all__ = ["bounded_protocol"]


def bounded_protocol(*, headers: float, body: float, answer: float) -> type[HttpToolsProtocol]:
    """For uvicorn's `http`.

    Args:
        headers: seconds from a connection, or the first byte of a request, to the end of its headers.
        body: seconds from there to the end of its body.
        answer: seconds in which a client must take some of an answer.
    """

    class BoundedProtocol(HttpToolsProtocol):
        _reading: asyncio.TimerHandle | None = None
        _writing: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._read_within(headers)

        def connection_lost(self, exc: Exception | None) -> None:
            self._read_within(None)
            self._write_within(None)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._reading is None and (self.cycle is None or self.cycle.response_complete):
                self._read_within(headers)  # empty lines between requests begin none, and are no rest either
            super().data_received(data)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._read_within(headers)

        def on_headers_complete(self) -> None:
            super().on_headers_complete()
            self._read_within(body)

        def on_message_complete(self) -> None:
            super().on_message_complete()
            self._read_within(None)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._write_within(answer)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._write_within(None)

        def _read_within(self, seconds: float | None) -> None:
            if self._reading is not None:
                self._reading.cancel()
            self._reading = None if seconds is None else self.loop.call_later(seconds, self._end)

        def _write_within(self, seconds: float | None) -> None:
            if self._writing is not None:
                self._writing.cancel()
            self._writing = None if seconds is None else self.loop.call_later(seconds, self._end)

        def _end(self) -> None:
            self.transport.abort()

    return BoundedProtocol
