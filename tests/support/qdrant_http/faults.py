"""What a server answers that does not do what it was asked."""

from __future__ import annotations

FAULTS = ("refuse", "429", "503", "reset before", "reset after", "cut", "stall")


class Refused(Exception):  # noqa: N818
    """An answer with a status of its own, and perhaps with headers."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


def not_found(name: str) -> Refused:
    return Refused(404, f"Not found: Collection `{name}` doesn't exist!")


def strict(message: str) -> Refused:
    """As the server words it."""
    return Refused(400, f"Bad request: {message}")
