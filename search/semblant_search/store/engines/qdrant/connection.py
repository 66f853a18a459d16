"""Requests to a Qdrant server: tried again where that can help, and failing with Semblant's errors where it cannot."""

from __future__ import annotations

import base64
import logging
import math
import os
import random
import re
import threading
import time
from dataclasses import dataclass
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from semblant_search.errors import CollectionNotFound, InvalidInput, StoreDenied, StoreError, StoreUnavailable
from semblant_search.shown import shown, without_password

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx
    from qdrant_client import QdrantClient
    from tenacity import RetryCallState

__all__ = ["Connection", "Deadline", "RetryPolicy", "connect"]

_logger = logging.getLogger(__name__)
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_TRY_AGAIN_GRPC = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED"})
_NO_ROOM = 507
_NO_ROOM_GRPC = "qdrant-insufficient-storage"  # in the metadata of what has the code of a busy server
_TOO_LARGE = "split your request"  # of a rate limit: it will not pass later either
_GONE = re.compile(r"[Cc]ollection .*(not found|n't exist|not exist)")
_LONGEST_TIME = 1e9  # seconds, some thirty years
_LOCKED = re.compile(r"\b[Ll]ocked|Write operations are forbidden")
_RIGHTS = re.compile(r"^Forbidden: |access .*is required|[Aa]ccess to ")
_DENIED_GRPC = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED"})


@dataclass(frozen=True)
class RetryPolicy:
    """How long to believe in a server that does not answer.

    Every request of a store can be repeated without harm: points are written under their ids.

    Attributes:
        attempts: tries of one call, at least 1.
        first_wait: seconds before the second try; each further wait may be twice as long. The wait is drawn at random between
            half of that and all of it, so that many clients do not come back together.
        longest_wait: seconds. What the server itself asks for (`Retry-After`) is waited out while there is time.
        total_timeout: seconds for one call with all its tries; None is the `timeout` of the client, which is otherwise for one
            try. A try gets what is left of it.
        stall: seconds without progress after which indexes that a server builds are not waited for any longer.
    """

    attempts: int = 5
    first_wait: float = 0.2
    longest_wait: float = 10.0
    total_timeout: float | None = None
    stall: float = 3600.0

    def __post_init__(self) -> None:
        total = 0 if self.total_timeout is None else self.total_timeout
        times = (self.first_wait, self.longest_wait, total, self.stall)
        if not isinstance(self.attempts, int) or not 1 <= self.attempts < 2**31 or not all(map(_is_time, times)):
            given = ", ".join(f"{name}={shown(value)}" for name, value in vars(self).items())
            raise InvalidInput(
                f"RetryPolicy({given}): expected at least one attempt and no negative times: a whole number, and seconds"
            )

    def wait(self, attempt: int, asked: float | None) -> float:
        """Seconds to wait after the `attempt`-th try (from 1); `asked` is the server's own wish."""
        ceiling = min(self.first_wait * 2.0 ** (attempt - 1), self.longest_wait)
        drawn = random.uniform(ceiling / 2, ceiling)
        return drawn if asked is None else max(asked, drawn)


def _is_time(seconds: object) -> bool:
    return isinstance(seconds, (int, float)) and 0 <= seconds <= _LONGEST_TIME


class Connection:
    """A qdrant-client whose failures are `StoreUnavailable`, `StoreDenied` or `StoreError`.

    Args:
        client: REST or gRPC, or a local one in tests.
        location: the URL without a password, for messages.
        retry: when to try again.
        timeout: seconds for one try, and for all of them where the policy has no time of its own.
        deadline: where a client of `connect` reads how long a try may take; a user's own client has its own time-out.
        reconnect: makes another client, for a process that was forked: two processes on one socket read each other's answers.
            None for a user's own client, which such a process may not use.
        others: make clients of the cluster's other nodes. Where one does not answer, the next try is the next one's.
    """

    def __init__(
        self,
        client: QdrantClient,
        location: str,
        retry: RetryPolicy,
        timeout: float,
        deadline: Deadline | None = None,
        reconnect: Callable[[], QdrantClient] | None = None,
        others: Sequence[Callable[[], QdrantClient]] = (),
    ) -> None:
        import tenacity

        self.client = client
        self.location = location
        self.retry = retry
        self._timeout = timeout
        self._total = timeout if retry.total_timeout is None else retry.total_timeout
        self._deadline = deadline or Deadline()
        self._nodes = [] if reconnect is None else [reconnect, *others]
        self._node = 0
        self._clients = {0: client}
        self._switching = threading.Lock()
        self._process = os.getpid()
        self._closed = False
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(StoreUnavailable),
            stop=tenacity.stop_after_attempt(retry.attempts) | tenacity.stop_before_delay(self._total),
            wait=self._wait,
            before_sleep=tenacity.before_sleep_log(_logger, logging.INFO),
            reraise=True,
        )

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of the client, again and again where that can help and while there is time."""
        if self._closed:
            raise StoreError(f"database {self.location!r} is closed; open it again")
        if os.getpid() != self._process:
            self._open_after_fork()
        return self._retrying(self._attempt, time.monotonic() + self._total, method, arguments, options)

    def ask_once(self, method: str, *arguments: Any, seconds: float) -> Any:
        """Call a method of the client once, for what is said of a failure: nobody waits for it for long."""
        return self._attempt(time.monotonic() + seconds, method, arguments, {})

    def close(self) -> None:
        """Release the sockets; further calls raise `StoreError`."""
        if not self._closed:
            self._closed = True
            for client in self._clients.values():
                client.close()

    def _open_after_fork(self) -> None:
        if not self._nodes:
            raise StoreError(
                f"database {self.location!r}: its QdrantClient was made in process {self._process}, before this one was "
                "forked; make a new one in each process"
            )
        self.client, self._process = self._nodes[self._node](), os.getpid()
        self._clients, self._switching = {self._node: self.client}, threading.Lock()

    def _attempt(self, end: float, method: str, arguments: Any, options: Any) -> Any:
        self._deadline.at = min(end, time.monotonic() + self._timeout)
        client = self.client
        function: Callable[..., Any] = getattr(client, method)
        try:
            return function(*arguments, **options)
        except Exception as error:
            failure = _translate(error, self.location)
            if isinstance(failure, StoreUnavailable):
                self._leave(client)
            raise failure from error

    def _leave(self, failed: QdrantClient) -> None:
        """Let all further requests go to the next node."""
        with self._switching:
            if len(self._nodes) > 1 and self.client is failed:  # not another thread before
                self._node = (self._node + 1) % len(self._nodes)
                if self._node not in self._clients:
                    self._clients[self._node] = self._nodes[self._node]()
                self.client = self._clients[self._node]

    def _wait(self, state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome is not None else None
        cause = failure.__cause__ if failure is not None else None
        return self.retry.wait(state.attempt_number, _asked_wait(cause) if isinstance(cause, Exception) else None)


class Deadline(threading.local):
    """When the request that a thread is sending has to be answered, by `time.monotonic()`."""

    at: float = float("inf")

    def __init__(self, nodes: int = 1) -> None:
        self.nodes = nodes

    def limit(self, request: httpx.Request) -> None:
        """A hook of httpx's: none of connecting, sending and waiting for the answer takes longer than is left.

        With several nodes connecting takes its share at most, or a machine that is gone would take the others' time, too.
        """
        left = max(self.at - time.monotonic(), 0.001)
        limits = request.extensions.get("timeout", {})
        request.extensions["timeout"] = {
            name: min(left / (self.nodes if name == "connect" else 1), limits.get(name) or left)
            for name in ("connect", "read", "write", "pool")
        }


def connect(url: str, *, api_key: str | None, timeout: float, deadline: Deadline | None = None) -> QdrantClient:
    """A client for `http(s)://host[:port]` or `grpc(s)://host[:port]`; nothing is sent yet. Raises `InvalidInput`.

    The ports are 6333 and 6334 where the URL has none (443 for https, as hosted clusters have it, only if written). A user and
    password before the host (`https://user:password@host`), as proxies ask for them, are sent as HTTP's basic authentication.
    """
    from qdrant_client import QdrantClient

    if timeout <= 0:
        raise InvalidInput(f"timeout {timeout}: expected more than 0 seconds")
    location = without_password(url)
    host, port, reason = None, None, "names no server"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        host, reason = None, str(error)
    if not host:  # not raised above, and without the reason: that one quotes parts of the password
        reason = reason if location == url else "is no URL; in a password, write / as %2F, # as %23, ? as %3F and @ as %40"
        raise InvalidInput(f"database {location!r}: {reason}; expected a URL such as http://localhost:6333")
    # As headers: qdrant-client warns of a key over plain http, which is the user's own network and choice.
    headers = {} if api_key is None else {"api-key": api_key}
    _, at, place = parts.netloc.rpartition("@")
    if at:
        pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        url = urlunsplit(parts._replace(netloc=place))
    scheme = parts.scheme.lower()
    options: dict[str, Any] = {"headers": headers, "timeout": math.ceil(timeout), "check_compatibility": False}
    if deadline is not None:  # of a gRPC client for the few calls that there is only REST for
        options["event_hooks"] = {"request": [deadline.limit]}
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
    if isinstance(error, ValueError) and _GONE.search(str(error)):  # of qdrant-client's local mode
        return _gone(location, _first_line(error))
    return StoreError(f"database {location!r}: {_first_line(error)}")


def _asked_wait(error: Exception) -> float | None:
    """Seconds that the server asks to wait (`Retry-After`); dates are not read."""
    from qdrant_client.http.exceptions import UnexpectedResponse

    if isinstance(error, UnexpectedResponse):
        asked = error.headers.get("Retry-After", "")
        return min(float(asked), _LONGEST_TIME) if asked.isdecimal() else None
    return getattr(error, "retry_after_s", None)


def _stranger(error: Exception, location: str) -> StoreError:
    service = (
        location.replace("http", "semblant", 1) if location.startswith(("http://", "https://")) else "semblant://host:8765"
    )
    return StoreError(
        f"server {location!r} does not answer as Qdrant does; is the URL right? A Semblant service is {service} "
        f"({_first_line(error)})"
    )


def _by_status(error: Any, location: str) -> StoreError:
    content = bytes(error.content or b"")
    try:
        detail = str(error.structured()["status"]["error"])
    except (ValueError, KeyError, TypeError):
        detail = content[:200].decode(errors="replace").strip() or str(error.reason_phrase)
    if error.status_code in (401, 403):
        return StoreDenied(_denied(error.status_code, detail, location))
    if error.status_code == _NO_ROOM:
        return _full(location, f"507: {detail}")
    if error.status_code in _TRY_AGAIN and _TOO_LARGE not in detail:
        return StoreUnavailable(f"server {location!r} answers {error.status_code} ({detail}); try again later")
    if error.status_code == 404 and _GONE.search(detail):
        return _gone(location, detail)
    if content.lstrip().startswith(b"<"):  # a page: Qdrant answers in JSON, whatever went wrong
        return _stranger(error, location)
    return StoreError(f"server {location!r} answers {error.status_code}: {detail}")


def _denied(status: int, detail: str, location: str) -> str:
    if status == 401:
        return f"server {location!r} refuses this API key (401: {detail}); give the right one (--api-key, api_key=…)"
    if _LOCKED.search(detail):
        return f"server {location!r} is locked against writes (403: {detail}); who runs it has to unlock it, no key does"
    if _RIGHTS.search(detail):
        return (
            f"server {location!r} does not allow this to the API key (403: {detail}); give one that may (--api-key, api_key=…)"
        )
    return (
        f"server {location!r} refuses the request (403: {detail}): it, or a proxy before it, is closed to this machine, this "
        "request or this API key (--api-key, api_key=…)"
    )


def _by_code(error: Any, location: str) -> StoreError:
    code = error.code().name if callable(getattr(error, "code", None)) else "UNKNOWN"
    detail = error.details() if callable(getattr(error, "details", None)) else str(error)
    if code in _DENIED_GRPC:
        return StoreDenied(f"server {location!r} refuses this API key ({detail}); give the right one (--api-key, api_key=…)")
    metadata = error.trailing_metadata() if callable(getattr(error, "trailing_metadata", None)) else None
    if any(key == _NO_ROOM_GRPC for key, _ in metadata or ()):
        return _full(location, f"{code}: {detail}")
    if code == "INTERNAL":
        return StoreUnavailable(f"server {location!r} answers {code} ({detail}); try again later")
    if code in _TRY_AGAIN_GRPC and _TOO_LARGE not in str(detail):
        return StoreUnavailable(f"server {location!r} cannot be reached or is busy ({code}: {detail}); is it running?")
    if code == "NOT_FOUND" and _GONE.search(detail):
        return _gone(location, detail)
    return StoreError(f"server {location!r} answers {code}: {detail}")


def _full(location: str, detail: str) -> StoreError:
    return StoreError(f"server {location!r} has no room for more ({detail}); give it more, or delete what is not needed")


def _gone(location: str, detail: str) -> CollectionNotFound:
    return CollectionNotFound(f"server {location!r} does not have it any more, it was deleted or rebuilt meanwhile: {detail}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
