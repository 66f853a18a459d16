"""Answers that may take longer than a request: begun by one, fetched by another with the ticket that it got."""

from __future__ import annotations

import asyncio
import secrets
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from .problems import ServiceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["LongAnswers", "Working"]

_ABANDONED_SECONDS = 60.0
"""After which nobody is expected to come back with a ticket."""
_WAITING = 16


class Working(NamedTuple):
    """What is told of an answer that is not there yet.

    Attributes:
        ticket: to ask again with.
        done: how far it is, in what is counted.
        seconds: since it was asked for.
    """

    ticket: str
    done: int
    seconds: float


class _Work:
    def __init__(self, question: object) -> None:
        self.question = question
        self.begun = self.asked = monotonic()
        self.done = 0
        self.waiting = 0
        self.ended = False
        self.task: asyncio.Task[Any] | None = None

    def on_progress(self, done: int) -> None:
        """Note how far it is. Raises where nobody waits for it any more. Called in another thread."""
        self.done = done
        if self.ended:
            raise ServiceError("stopping", "the service is being stopped; ask again")
        if self.waiting == 0 and monotonic() - self.asked > _ABANDONED_SECONDS:
            raise ServiceError("invalid-request", "ticket: nobody came back for this answer in time", pointer="/ticket")


class LongAnswers:
    """Works one out after the other. Belongs to one event loop."""

    def __init__(self) -> None:
        self._works: dict[str, _Work] = {}
        self._turn = asyncio.Lock()

    async def ask(
        self, question: object, work_out: Callable[[Callable[[int], None]], Awaitable[Any]], ticket: str | None, within: float
    ) -> Any:
        """The answer, or `Working` where that takes longer than `within` seconds.

        Args:
            question: what is asked, by whom; the one who comes back has to ask the same.
            work_out: makes the answer; is given a function to tell how far it is, which ends the work by raising.
            ticket: of an earlier `Working`, or None to begin.
            within: seconds to wait at most.

        Raises:
            ServiceError: a ticket of no work, or too much waits.
            SemblantError: what working it out raises.
        """
        self._forget()
        if ticket is None:
            ticket, work = self._begin(question, work_out)
        else:
            known = self._works.get(ticket)
            if known is None or known.question != question:
                raise ServiceError(
                    "invalid-request", "ticket: this answer was given already, or is none; ask without one", pointer="/ticket"
                )
            work = known
        assert work.task is not None
        work.waiting += 1
        try:
            done, _ = await asyncio.wait({work.task}, timeout=within)
        finally:
            work.waiting -= 1
            work.asked = monotonic()
        if not done:
            return Working(ticket, work.done, work.asked - work.begun)
        self._works.pop(ticket, None)
        return work.task.result()

    def close(self) -> None:
        """End what is at work as soon as it tells how far it is."""
        for work in self._works.values():
            work.ended = True

    def _begin(self, question: object, work_out: Callable[[Callable[[int], None]], Awaitable[Any]]) -> tuple[str, _Work]:
        if sum(not _is_over(work) for work in self._works.values()) >= _WAITING:
            raise ServiceError("too-busy", f"{_WAITING} such questions are at work already", headers={"Retry-After": "10"})
        work = _Work(question)

        async def in_turn() -> Any:
            async with self._turn:
                work.on_progress(0)
                return await work_out(work.on_progress)

        work.task = asyncio.create_task(in_turn())
        ticket = secrets.token_urlsafe(16)
        self._works[ticket] = work
        return ticket, work

    def _forget(self) -> None:
        """Let go of answers that nobody came back for."""
        for ticket, work in list(self._works.items()):
            if _is_over(work) and work.waiting == 0 and monotonic() - work.asked > _ABANDONED_SECONDS:
                assert work.task is not None
                if not work.task.cancelled():
                    work.task.exception()  # seen, so that asyncio does not warn of it
                del self._works[ticket]


def _is_over(work: _Work) -> bool:
    return work.task is not None and work.task.done()
