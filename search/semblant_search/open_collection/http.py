"""Requests to a Semblant service: connections, tries, and problems as the errors that they stand for."""

from __future__ import annotations

import json
import logging
import os
import ssl
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from semblant_search import errors
from semblant_search.errors import ImageError, InvalidInput, StoreDenied, StoreError, StoreUnavailable, WhereError
from semblant_search.fork_safe import ForkSafeLock
from semblant_search.shown import shown_error, without_password

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import httpx
    from tenacity import RetryCallState

__all__ = ["SCHEMES", "NoSuchAddressError", "ServiceConnection"]

_logger = logging.getLogger(__name__)


class NoSuchAddressError(StoreError):
    """The service does not know the address: a part of it is not installed, or it is of another version."""


SCHEMES = {"semblant": "http", "semblants": "https"}
"""Of a service's address, and what is spoken then."""
PORT = 8765
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 2.0
_ERRORS: Mapping[str, type[errors.SemblantError]] = {
    "invalid-metadata": errors.MetadataError,
    "invalid-input": InvalidInput,
    "invalid-request": InvalidInput,
    "body-too-large": InvalidInput,
    "encoder-unavailable": errors.EncoderError,
    "collection-not-found": errors.CollectionNotFound,
    "picture-not-found": errors.PointNotFound,
    "not-indexed": errors.NotIndexed,
    "database-locked": errors.StoreLocked,
    "key-required": StoreDenied,
    "key-refused": StoreDenied,
    "scope-missing": StoreDenied,
    "origin-refused": StoreDenied,
    "not-offered": StoreDenied,
    "database-denied": StoreDenied,
    "database-unavailable": StoreUnavailable,
    "keys-unavailable": StoreUnavailable,
    "starting": StoreUnavailable,
    "stopping": StoreUnavailable,
    "too-busy": StoreUnavailable,
    "job-running": errors.JobAtWork,
    "job-not-found": InvalidInput,
    "source-refused": InvalidInput,
    "not-found": NoSuchAddressError,
    "timed-out": StoreUnavailable,
}
_PASSING = {"starting", "stopping", "too-busy", "database-unavailable"}
"""What may be over soon."""


class ServiceConnection:
    """A service, asked again where that can help and while there is time. Thread-safe, and good after `os.fork()`.

    Args:
        address: `semblant://host:port`, or `semblants://` for TLS.
        key: sent as a bearer token, or None.
        timeout: seconds for one call with all its tries.

    Raises:
        InvalidInput: an address that is none, or holds a user and password.
    """

    def __init__(self, address: str, key: str | None, timeout: float) -> None:
        self.location = without_password(address)
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port or PORT
        except ValueError as error:
            raise InvalidInput(f"service {self.location!r}: is no address; expected semblant://host:{PORT}") from error
        if not host or parts.query or parts.fragment:
            raise InvalidInput(f"service {self.location!r}: expected semblant://host:{PORT}")
        if parts.username is not None:
            raise InvalidInput(f"service {self.location!r}: keys are given as api_key=…, not in the address")
        if key is not None and not (isinstance(key, str) and key.isascii() and key.isprintable()):
            raise InvalidInput(
                "the API key has characters that no key has, such as a line break at its end; give it without them"
            )
        shown_host = f"[{host}]" if ":" in host else host
        self._base = f"{SCHEMES[parts.scheme.lower()]}://{shown_host}:{port}{parts.path.rstrip('/')}/v1"
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self.timeout = timeout
        self._lock = ForkSafeLock()
        self._client: httpx.Client | None = None
        self._process = 0
        self.closed = False

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON answer to a GET; parameters that are None are left out."""
        return self._ask("GET", path, params={name: value for name, value in parameters.items() if value is not None})

    def get_picture(self, path: str, **parameters: Any) -> bytes:
        """The picture that answers a GET."""
        return bytes(self._ask("GET", path, picture=True, params=parameters))

    def send(self, method: str, path: str, values: object, *, once: bool = False) -> Any:
        """The JSON answer to a request with a JSON body.

        Args:
            method, path, values: of the request.
            once: what it does would be answered otherwise the second time, so that it is not asked again where its answer
                was lost.
        """
        try:
            content = json.dumps(values, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(f"what was given cannot be sent to a service: {shown_error(error)}") from error
        return self._ask(method, path, once=once, content=content, headers={"Content-Type": "application/json"})

    def upload(self, path: str, pictures: Sequence[bytes], fields: Sequence[tuple[str, str]]) -> Any:
        """The JSON answer to a form with pictures."""
        parts: list[Any] = [("picture", ("picture", data, "application/octet-stream")) for data in pictures]
        try:
            parts += [(name, (None, value.encode())) for name, value in fields]
        except UnicodeEncodeError as error:
            raise InvalidInput(f"half of a surrogate pair cannot be sent to a service: {shown_error(error)}") from error
        return self._ask("POST", path, files=parts)

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str], silence: float) -> Iterator[Iterator[str] | None]:
        """The lines of an answer as they come; None where there are none to come (204).

        Raises:
            StoreUnavailable: the connection cannot be made, breaks, or says nothing for `silence` seconds; also inside the
                block.
        """
        import httpx

        limits = httpx.Timeout(self.timeout, read=silence)
        try:
            with self._opened().stream("GET", self._base + path, headers=dict(headers), timeout=limits) as response:
                if not response.is_success:
                    response.read()
                    raise self._error(response)[0]
                yield None if response.status_code == 204 else response.iter_lines()
        except httpx.HTTPError as error:
            told = f"service {self.location!r} cannot be reached: {shown_error(error)}"
            raise _tls_fault(error, self.location) or StoreUnavailable(told) from error

    def close(self) -> None:
        """Release the connections. Closing twice is no error."""
        self.closed = True
        with self._lock:
            client, self._client = self._client, None
        if client is not None and self._process == os.getpid():
            client.close()

    def _ask(self, method: str, path: str, *, once: bool = False, picture: bool = False, **body: Any) -> Any:
        import tenacity

        until = time.monotonic() + self.timeout
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_PassingError),
            stop=tenacity.stop_before_delay(self.timeout),
            wait=_wait,
            before_sleep=tenacity.before_sleep_log(_logger, logging.INFO),
            reraise=True,
        )
        try:
            return retrying(self._attempt, until, method, path, body, once=once, picture=picture)
        except _PassingError as passing:
            raise passing.error from passing.error.__cause__

    def _attempt(self, until: float, method: str, path: str, body: Mapping[str, Any], *, once: bool, picture: bool) -> Any:
        """Ask once. Raises `_PassingError` where another try may help."""
        import httpx

        left = max(0.001, until - time.monotonic())
        try:
            response = self._opened().request(method, self._base + path, timeout=left, **body)
        except httpx.TimeoutException as cause:
            raise StoreUnavailable(f"service {self.location!r} did not answer within {self.timeout:g} seconds") from cause
        except (UnicodeEncodeError, httpx.InvalidURL) as cause:  # a parameter that no address holds
            raise InvalidInput(f"what was given cannot be sent to a service: {shown_error(cause)}") from cause
        except httpx.HTTPError as cause:
            if (refused := _tls_fault(cause, self.location)) is not None:
                raise refused from cause
            lost = once and not isinstance(cause, httpx.ConnectError)
            told = "broke off, and may have done what it was asked for" if lost else "cannot be reached"
            error: errors.SemblantError = StoreUnavailable(f"service {self.location!r} {told}: {shown_error(cause)}")
            if lost:
                raise error from cause
            error.__cause__ = cause
            raise _PassingError(error) from cause
        if response.is_success:
            return self._picture(response) if picture else self._read(response)
        error, passing = self._error(response)
        if passing:
            raise _PassingError(error, _seconds(response.headers.get("retry-after")))
        raise error

    def _opened(self) -> httpx.Client:
        """The connections of this process: those of the one that it was forked from are not to be read by two."""
        import httpx

        with self._lock:
            if self.closed:
                raise StoreError("this SearchClient is closed; make a new one")
            if self._client is None or self._process != os.getpid():
                self._client, self._process = httpx.Client(headers=self._headers), os.getpid()
            return self._client

    def _picture(self, response: httpx.Response) -> bytes:
        if not response.headers.get("content-type", "").startswith("image/"):
            raise StoreError(f"service {self.location!r} answers with what is no picture; is it a Semblant service?")
        return response.content

    def _read(self, response: httpx.Response) -> Any:
        try:
            value = response.json()
        except (ValueError, RecursionError) as error:
            raise StoreError(f"service {self.location!r} answers with what is no JSON; is it a Semblant service?") from error
        if not isinstance(value, dict):
            raise StoreError(
                f"service {self.location!r} answers with a JSON {type(value).__name__}, no object; is it a Semblant service?"
            )
        return _Answer(value, self.location)

    def _error(self, response: httpx.Response) -> tuple[errors.SemblantError, bool]:
        """The error that an answer stands for, and whether another try may help."""
        try:
            problem = response.json()
            code, detail = str(problem["code"]), str(problem["detail"])
        except (ValueError, KeyError, TypeError):
            text = f"service {self.location!r} answers with {response.status_code} and no problem; is it a Semblant service?"
            kind = NoSuchAddressError if response.status_code == 404 else StoreError
            return kind(text), response.status_code in (502, 503, 504)
        return error_of(problem, code, detail), code in _PASSING


class _PassingError(Exception):
    """What may be over soon: the error to raise where it is not, and the seconds that the service asks to wait."""

    def __init__(self, error: errors.SemblantError, asked: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.asked = asked


def _wait(state: RetryCallState) -> float:
    """Seconds to the next try: twice as long each time, and no less than the service asks for."""
    failure = state.outcome.exception() if state.outcome is not None else None
    asked = failure.asked if isinstance(failure, _PassingError) else None
    return min(max(_FIRST_WAIT * 2.0 ** min(state.attempt_number - 1, 16), asked or 0.0), _LONGEST_WAIT)


class _Answer(dict[str, Any]):
    """What a service answers. What is missing in it is an error of Semblant's: it may be another service, or an older one."""

    def __init__(self, values: Mapping[str, Any], location: str) -> None:
        super().__init__(values)
        self._location = location

    def __missing__(self, name: str) -> Any:
        raise StoreError(
            f"service {self._location!r} answers without {name!r}; is it a Semblant service, of the version of this client?"
        )


def error_of(problem: Mapping[str, Any], code: str, detail: str) -> errors.SemblantError:
    """The error that a problem stands for."""
    if code == "invalid-filter":
        return WhereError(detail, column=problem.get("column"))
    if code == "no-features":
        return errors.NoFeaturesError(detail)
    if code in ("unusable-picture", "picture-too-large"):
        return ImageError(detail, reason=str(problem.get("reason", "unreadable")))
    if code in ("file-not-at-hand", "file-gone"):
        return ImageError(detail, reason="missing")
    return _ERRORS.get(code, StoreError)(detail)


_NO_TLS = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"}
"""What OpenSSL's versions say of an answer that is none of TLS."""


def _tls_fault(error: BaseException, location: str) -> StoreUnavailable | None:
    """The error of a connection that TLS refuses, which no other try makes; None of one that merely broke off."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if cause is None or isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return None
    if cause.reason in _NO_TLS:
        plain = location.replace("semblants://", "semblant://", 1)
        return StoreUnavailable(f"service {location!r} does not speak TLS: expected a port that does, or {plain!r} without TLS")
    if isinstance(cause, ssl.SSLCertVerificationError):
        return StoreUnavailable(
            f"service {location!r} has a certificate that cannot be trusted ({cause.verify_message}); SSL_CERT_FILE names the "
            "file of an authority of your own"
        )
    return StoreUnavailable(f"service {location!r} cannot be asked over TLS: {shown_error(cause)}")


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
