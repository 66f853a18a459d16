"""Jobs of a Semblant service: asked for, and heard as server-sent events."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from semblant_search.errors import StoreError, StoreUnavailable
from semblant_search.jobs import Job, JobEvent, JobFailure, JobProgress
from semblant_search.json_models import read_model

from .http import NoSuchAddressError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from .http import ServiceConnection

__all__ = ["JobEvents", "ServiceJobs"]

_Model = TypeVar("_Model")

_SILENCE = 30.0
"""Seconds without a word, twice what a service leaves between two signs of life, after which a connection counts as broken."""
_AGAIN = 0.5
_MODELS: Mapping[str, type[Any]] = {"job": Job, "end": Job, "progress": JobProgress, "failure": JobFailure}


class ServiceJobs:
    """See `JobClient`. Thread-safe."""

    def __init__(self, service: ServiceConnection) -> None:
        self._service = service

    def all(self) -> list[Job]:
        """The newest first."""
        return [self._job(one) for one in self._asked(lambda: self._service.get("/jobs"))["jobs"]]

    def get(self, id: str) -> Job:
        """One of them."""
        return self._job(self._asked(lambda: self._service.get(f"/jobs/{id}")))

    def start(self, source: str | os.PathLike[str], kind: str, options: Mapping[str, Any]) -> Job:
        """A new one, begun."""
        name = os.fspath(source) if isinstance(source, os.PathLike) else source
        values = {"source": name, "kind": kind, **{key: _plain(value) for key, value in options.items()}}
        return self._job(self._asked(lambda: self._service.send("POST", "/jobs", values, once=True)))

    def cancel(self, id: str) -> Job:
        """One that is told to end."""
        return self._job(self._asked(lambda: self._service.send("POST", f"/jobs/{id}/cancel", {})))

    def follow(self, id: str, after: int | None) -> JobEvents:
        """The events behind one. What cannot be followed raises now."""
        self.get(id)
        return JobEvents(self._service, id, after)

    def _job(self, values: object) -> Job:
        return _read(self._service, Job, values)

    def _asked(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except NoSuchAddressError as error:
            raise StoreError(
                f"service {self._service.location!r} runs no jobs: semblant-indexer is not installed where it runs"
            ) from error


class JobEvents:
    """The events of a job, one by one. An iterator; `close` it where it is not heard to its end.

    Args:
        service: what runs the job.
        id: of the job.
        last: the number of the last event that was heard, or None.
    """

    def __init__(self, service: ServiceConnection, id: str, last: int | None) -> None:
        self._service = service
        self._left = False
        self._told = self._events(id, last)

    def __iter__(self) -> JobEvents:
        return self

    def __next__(self) -> JobEvent:
        return next(self._told)

    def close(self) -> None:
        """Let go of the connection; where another thread waits for an event, at the service's next sign of life."""
        self._left = True
        with suppress(ValueError):  # the other thread is in it
            self._told.close()

    def _events(self, id: str, last: int | None) -> Generator[JobEvent, None, None]:
        heard = time.monotonic()
        while not self._left:
            headers = {} if last is None else {"Last-Event-ID": str(last)}
            broken = StoreUnavailable(f"service {self._service.location!r} says nothing any more of job {id}")
            try:
                with self._service.stream(f"/jobs/{id}/events", headers, _SILENCE) as lines:
                    if lines is None:
                        return
                    for event in self._read(lines):
                        if event is not None:
                            last = event.number
                            yield event
                        heard = time.monotonic()
                        if self._left or (event is not None and event.name == "end"):
                            return
            except StoreUnavailable as error:
                broken = error
            if time.monotonic() - heard > self._service.timeout + _SILENCE:
                raise broken
            time.sleep(_AGAIN)

    def _read(self, lines: Iterator[str]) -> Iterator[JobEvent | None]:
        """The events of a stream (in the form of HTML's EventSource), and None for other signs of life."""
        told: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            if line:
                told[name] = value.removeprefix(" ")
                continue
            yield self._event(told) if {"event", "id", "data"} <= told.keys() else None
            told = {}

    def _event(self, told: Mapping[str, str]) -> JobEvent:
        try:
            number, data = int(told["id"]), json.loads(told["data"])
        except (ValueError, RecursionError) as error:
            raise StoreError(f"service {self._service.location!r} tells what is no event of a job") from error
        model = _MODELS.get(told["event"])
        return JobEvent(number, told["event"], data if model is None else _read(self._service, model, data))


def _read(service: ServiceConnection, kind: type[_Model], values: object) -> _Model:
    what = f"what service {service.location!r} says of a job"
    return read_model(kind, values, what=what, error=StoreError, advice="is its version that of this client?")


def _plain(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return list(value) if isinstance(value, (tuple, set, frozenset)) else value
