"""Ctrl-C, and SIGTERM alike, in commands that keep what they have until then."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["one_interrupt"]

_STILL = b"\nbroken off already: what was best so far is being written; once more ends at once, without it\n"


@contextmanager
def one_interrupt() -> Iterator[None]:
    """The first signal raises `KeyboardInterrupt`; the second, which would lose what is written then, is only answered."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 2:
            with suppress(OSError):
                os.write(2, _STILL)  # what is at work may be writing to Python's own stderr
        else:
            signal.default_int_handler(number, frame)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
