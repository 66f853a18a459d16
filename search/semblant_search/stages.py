"""The stages of a call, for a program that times them, as the service does. Where nobody listens they cost nothing."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Recorder = Callable[["Stage"], AbstractContextManager[object]]
    """Makes what is entered before a stage and left after it, in any thread."""

__all__ = ["STAGES", "Stage", "in_stage", "recorded_by"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
Stage = Literal["read", "decode", "encode", "search", "verify", "thumbnail"]
STAGES: tuple[Stage, ...] = ("read", "decode", "encode", "search", "verify", "thumbnail")
"""A body or a file is read; pixels are made of it; an embedding of these; the database is asked; details of candidates are
compared; a thumbnail is made, which has a stage of decoding in it."""
_recorder: ContextVar[Recorder | None] = ContextVar("semblant_stages", default=None)


def in_stage(name: Stage) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Mark a function whose calls are a stage."""

    def mark(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            recorder = _recorder.get()
            if recorder is None:
                return function(*args, **kwargs)
            with recorder(name):
                return function(*args, **kwargs)

        return call

    return mark


@contextmanager
def recorded_by(recorder: Recorder) -> Iterator[None]:
    """Within it, stages are told to a recorder; threads of a copied context, too."""
    token = _recorder.set(recorder)
    try:
        yield
    finally:
        _recorder.reset(token)
