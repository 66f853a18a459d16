"""Requests to a Qdrant server: tried again where that can help, and failing with Semblant's errors where it cannot."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from semblant_search.errors import InvalidInput, StoreDenied, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from qdrant_client import QdrantClient

__all__ = ["Connection", "RetryPolicy", "connect"]

_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_TRY_AGAIN_GRPC = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED"})
_DENIED_GRPC = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED"})


@dataclass(frozen=True)
class RetryPolicy:
    """How long to believe in a server that does not answer.

    Every request of a store can be repeated without harm: points are written under their ids.

    Attributes:
        attempts: tries of one request, at least 1.
        first_wait: seconds before the second try; each further wait may be twice as long. The wait is drawn at random up to
            that, so that many clients do not come back together.
        longest_wait: seconds, also for what the server itself asks for (`Retry-After`).
        patience: seconds after which a request is not tried again.
        stall: seconds without progress after which indexes that a server builds are not waited for any longer.
    """

    attempts: int = 5
    first_wait: float = 0.2
    longest_wait: float = 10.0
    patience: float = 60.0
    stall: float = 3600.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or min(self.first_wait, self.longest_wait, self.patience, self.stall) < 0:
            raise InvalidInput(f"{self}: expected at least one attempt and no negative times")

    def wait(self, attempt: int, asked: float | None) -> float:
        """Seconds to wait after the `attempt`-th try (from 1); `asked` is the server's own wish."""
        ceiling = min(self.first_wait * 2.0 ** (attempt - 1), self.longest_wait)
        drawn = random.uniform(ceiling / 2, ceiling)
        return drawn if asked is None else min(max(asked, drawn), self.longest_wait)


class Connection:
    """A qdrant-client whose failures are `StoreUnavailable`, `StoreDenied` or `StoreError`.

    Args:
        client: REST or gRPC, or a local one in tests.
        location: the URL, for messages.
        retry: when to try again.
    """

    def __init__(self, client: QdrantClient, location: str, retry: RetryPolicy) -> None:
        self.client = client
        self.location = location
        self.retry = retry
        self._closed = False

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of the client, again and again where that can help."""
        if self._closed:
            raise StoreError(f"database {self.location!r} is closed; open it again")
        function: Callable[..., Any] = getattr(self.client, method)
        started = time.monotonic()
        for attempt in range(1, self.retry.attempts + 1):
            try:
                return function(*arguments, **options)
            except Exception as error:
                failure = _translate(error, self.location)
                waited = time.monotonic() - started
                if not isinstance(failure, StoreUnavailable) or attempt == self.retry.attempts or waited > self.retry.patience:
                    raise failure from error
                pause = self.retry.wait(attempt, _asked_wait(error))
            time.sleep(pause)
        raise AssertionError  # the last attempt returns or raises

    def close(self) -> None:
        """Release the sockets; further calls raise `StoreError`."""
        if not self._closed:
            self._closed = True
            self.client.close()


def connect(url: str, *, api_key: str | None, timeout: float) -> QdrantClient:
    """A client for `http(s)://host[:port]` or `grpc(s)://host[:port]`; nothing is sent yet. Raises `InvalidInput`.

    The ports are 6333 and 6334 where the URL has none (443 for https, as hosted clusters have it, only if written).
    """
    import warnings

    from qdrant_client import QdrantClient

    if timeout <= 0:
        raise InvalidInput(f"timeout {timeout}: expected more than 0 seconds")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput(f"database {url!r}: {error}; expected a URL such as http://localhost:6333") from error
    if not host:
        raise InvalidInput(f"database {url!r}: names no server; expected a URL such as http://localhost:6333")
    scheme = parts.scheme.lower()
    options: dict[str, Any] = {"api_key": api_key, "timeout": max(1, round(timeout)), "check_compatibility": False}
    with warnings.catch_warnings():
        # A key over plain http is the user's own network and choice; the README says what it means.
        warnings.simplefilter("ignore", UserWarning)
        if scheme.startswith("grpc"):
            return QdrantClient(host=host, grpc_port=port or 6334, https=scheme == "grpcs", prefer_grpc=True, **options)
        return QdrantClient(url=url, **options)


def _translate(error: Exception, location: str) -> StoreError:
    """The Semblant error for one of qdrant-client's, httpx's or gRPC's. `StoreUnavailable` means: trying again may help."""
    from grpc import RpcError  # type: ignore[import-untyped]
    from qdrant_client.common.client_exceptions import QdrantException
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    if isinstance(error, StoreError):
        return error
    if isinstance(error, UnexpectedResponse):
        return _by_status(error, location)
    if isinstance(error, QdrantException):  # 429, and a Retry-After that is a number, or that is not: proxies write dates
        return StoreUnavailable(f"server {location!r} is busy ({error}); try again later")
    if isinstance(error, ResponseHandlingException):
        import httpx

        if isinstance(error.source, httpx.TimeoutException):
            return StoreUnavailable(f"server {location!r} did not answer in time; try again, or allow more time (timeout=…)")
        if isinstance(error.source, httpx.TransportError):
            return StoreUnavailable(
                f"server {location!r} cannot be reached ({str(error.source) or type(error.source).__name__}); is it running, "
                "and is the URL right?"
            )
        return _stranger(error.source, location)
    if isinstance(error, JSONDecodeError):
        return _stranger(error, location)
    if isinstance(error, RpcError):
        return _by_code(error, location)
    return StoreError(f"database {location!r}: {_first_line(error)}")


def _asked_wait(error: Exception) -> float | None:
    """Seconds that the server asks to wait (`Retry-After`); dates are not read."""
    from qdrant_client.http.exceptions import UnexpectedResponse

    if isinstance(error, UnexpectedResponse):
        asked = error.headers.get("Retry-After", "")
        return float(asked) if asked.isdecimal() else None
    return getattr(error, "retry_after_s", None)


def _stranger(error: Exception, location: str) -> StoreError:
    return StoreError(f"server {location!r} does not answer as Qdrant does; is the URL right? ({_first_line(error)})")


def _by_status(error: Any, location: str) -> StoreError:
    content = bytes(error.content or b"")
    try:
        detail = str(error.structured()["status"]["error"])
    except (ValueError, KeyError, TypeError):
        detail = content[:200].decode(errors="replace").strip() or str(error.reason_phrase)
    if error.status_code in (401, 403):
        return StoreDenied(
            f"server {location!r} refuses this API key ({error.status_code}: {detail}); "
            "give the right one (--api-key, api_key=…)"
        )
    if error.status_code in _TRY_AGAIN:
        return StoreUnavailable(f"server {location!r} answers {error.status_code} ({detail}); try again later")
    return StoreError(f"server {location!r} answers {error.status_code}: {detail}")


def _by_code(error: Any, location: str) -> StoreError:
    code = error.code().name if callable(getattr(error, "code", None)) else "UNKNOWN"
    detail = error.details() if callable(getattr(error, "details", None)) else str(error)
    if code in _DENIED_GRPC:
        return StoreDenied(f"server {location!r} refuses this API key ({detail}); give the right one (--api-key, api_key=…)")
    if code in _TRY_AGAIN_GRPC:
        return StoreUnavailable(f"server {location!r} cannot be reached or is busy ({code}: {detail}); is it running?")
    return StoreError(f"server {location!r} answers {code}: {detail}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
