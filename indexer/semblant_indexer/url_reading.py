"""Pictures behind https:// and http://: read several at once, politely, and again where that can help."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from semblant_search.errors import ImageError
from semblant_search.shown import shown_error, shown_name, without_users

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Future

    import httpx

__all__ = ["FROM_ONE_HOST", "ReadAhead", "is_web_url", "read_web_url", "unsigned"]

FROM_ONE_HOST = 16
"""Requests at once to one host, by all workers of a machine together."""
_AHEAD = 32
"""Pictures that a worker reads before it gets to them: their bytes wait in memory."""
_ATTEMPTS = 4
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0
_TIMEOUT = 30.0
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_GONE = frozenset({404, 410})
_HEADERS = {"User-Agent": "semblant-indexer", "Accept": "image/*, */*;q=0.5"}
_PLAIN_SIGNATURE = frozenset(
    {"signature", "expires", "policy", "key-pair-id", "awsaccesskeyid", "googleaccessid", "ossaccesskeyid"}
)
_AZURE = frozenset(
    "sv ss srt sr sp st se spr sip sig si sdd skoid sktid skt ske sks skv saoid suoid scid".split()  # noqa: SIM905
)


def is_web_url(place: str) -> bool:
    """Whether `read_web_url` reads it."""
    return place[:8].lower().startswith(("https://", "http://"))


def unsigned(url: str) -> str:
    """A presigned URL without its signature, which is another one every time: the name of what it leads to.

    Signatures of S3 and what speaks like it, Google Cloud Storage, Azure (SAS) and CloudFront; any other URL as it is.
    """
    if "?" not in url or not is_web_url(url):
        return url
    parts = urlsplit(url)
    pairs = parts.query.split("&")
    names = [pair.partition("=")[0].lower() for pair in pairs]
    there = set(names)
    gone: set[str] = set()
    for prefix in ("x-amz-", "x-goog-"):
        if f"{prefix}signature" in there:
            gone |= {name for name in there if name.startswith(prefix)}
    if "signature" in there and there & {"expires", "policy"}:
        gone |= _PLAIN_SIGNATURE | {"x-amz-security-token"}
    if "sig" in there and there & {"se", "si"} and dict(parse_qsl(parts.query)).get("sig"):
        gone |= _AZURE
    kept = "&".join(pair for pair, name in zip(pairs, names, strict=True) if name not in gone)
    return urlunsplit(parts._replace(query=kept)) if gone else url


def read_web_url(url: str, limit: int, client: httpx.Client | None = None) -> bytes:
    """The bytes behind a URL, in one request; what may pass is tried again with growing, random pauses.

    Raises:
        ImageError: not there, not readable, empty, or of more than `limit` bytes.
    """
    name = shown_name(unsigned(url))
    if client is None:
        with _client() as own:
            return read_web_url(url, limit, own)
    for attempt in range(1, _ATTEMPTS + 1):
        problem, pause = "", 0.0
        try:
            with client.stream("GET", url) as answer:
                if answer.status_code == 200:
                    return _body(answer, name, limit)
                problem = f"the server answers {answer.status_code} {answer.reason_phrase}".strip()
                if answer.status_code in _GONE:
                    raise ImageError(f"{name}: no such file ({problem})", reason="missing")
                if answer.status_code not in _TRY_AGAIN:
                    break
                asked = answer.headers.get("Retry-After", "")
                pause = float(asked) if asked.isdecimal() else 0.0
        except ImageError:
            raise
        except Exception as error:  # httpx's own, and what a URL that is none comes to
            problem = without_users(shown_error(error)).replace(url, unsigned(url)) or type(error).__name__
            if not _may_pass(error):
                break
        if attempt < _ATTEMPTS:
            drawn = min(_FIRST_WAIT * 2 ** (attempt - 1), _LONGEST_WAIT) * random.uniform(0.5, 1)
            time.sleep(min(max(pause, drawn), _LONGEST_WAIT))
    raise ImageError(f"{name}: cannot be read: {problem}", reason="unreadable")


def _body(answer: httpx.Response, name: str, limit: int) -> bytes:
    parts, size = [], 0
    for part in answer.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > limit:
            raise ImageError(f"{name}: has more than {limit:,} bytes, the limit", reason="too-large")
    if not size:
        raise ImageError(f"{name}: is empty (0 bytes)", reason="empty")
    return b"".join(parts)


def _may_pass(error: Exception) -> bool:
    import httpx

    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)


def _client() -> httpx.Client:
    import httpx

    limits = httpx.Limits(max_connections=_AHEAD, max_keepalive_connections=_AHEAD)
    return httpx.Client(headers=_HEADERS, follow_redirects=True, timeout=_TIMEOUT, limits=limits)


class ReadAhead:
    """Reads the URLs of a batch while its worker decodes those before them.

    Args:
        limit: bytes that one may have.
        from_one_host: requests at once to one host.
    """

    def __init__(self, limit: int, from_one_host: int) -> None:
        self._limit = limit
        self._from_one_host = max(1, from_one_host)
        self._hosts: dict[str, threading.Semaphore] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._client: httpx.Client | None = None
        self._waiting: deque[str] = deque()
        self._begun: dict[str, Future[bytes]] = {}

    def expect(self, places: Iterable[str]) -> None:
        """Begin with those of some places that are URLs of the web; what was expected before is dropped."""
        self._waiting = deque(dict.fromkeys(place for place in places if is_web_url(place)))
        self._begun.clear()
        self._go_on()

    def take(self, place: str) -> bytes | None:
        """The bytes behind a URL, once they are there; None for a place that is none. Errors as `read_web_url`."""
        future = self._begun.pop(place, None)
        if future is None:
            return None
        try:
            return future.result()
        finally:
            self._go_on()

    def _go_on(self) -> None:
        while self._waiting and len(self._begun) < _AHEAD:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_AHEAD, thread_name_prefix="semblant-url")
                self._client = _client()
            url = self._waiting.popleft()
            host = urlsplit(url).netloc.rpartition("@")[2].lower()
            places = self._hosts.setdefault(host, threading.Semaphore(self._from_one_host))
            self._begun[url] = self._pool.submit(self._one, url, places)

    def _one(self, url: str, places: threading.Semaphore) -> bytes:
        with places:
            return read_web_url(url, self._limit, self._client)
