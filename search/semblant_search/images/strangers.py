"""Whose files are being read: one's own, or those that strangers send to a service."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["are_strangers", "of_strangers"]

_strangers: ContextVar[bool] = ContextVar("semblant_strangers", default=False)


@contextmanager
def of_strangers() -> Iterator[None]:
    """Within it no file is read that takes what time and memory it likes (`OtherKind.is_active`). Also in copied contexts."""
    token = _strangers.set(True)
    try:
        yield
    finally:
        _strangers.reset(token)


def are_strangers() -> bool:
    """Whether the files that are read here are strangers'."""
    return _strangers.get()
