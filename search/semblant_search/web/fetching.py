"""Pictures by their URLs, from named hosts only, and never from an address that is not public.

A name is resolved once, every address that it has is looked at, and the connection goes to one of these: a second answer of
the resolver (DNS rebinding) has no say. A redirect is a new URL, with all checks from the beginning.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import anyio
import httpx

from semblant_search.errors import InvalidInput
from semblant_search.shown import shown_name

from .problems import ServiceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["AllowedHost", "PictureFetcher", "allowed_host", "is_public", "system_resolver"]

_REDIRECTS = 3
_PORTS = {"http": 80, "https": 443}
_HEADERS = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "semblant"}
_IPV6_GLOBAL = ipaddress.ip_network("2000::/3")
_IPV6_TUNNELS = (ipaddress.ip_network("2002::/16"), ipaddress.ip_network("2001::/32"))
"""6to4 and Teredo: they lead to the IPv4 address that they hold."""

if TYPE_CHECKING:
    Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
    """The addresses of a host, as text."""


@dataclass(frozen=True)
class AllowedHost:
    """A host whose pictures may be fetched.

    Attributes:
        name: in lower case, as DNS has it; for all hosts below it, with `subdomains`.
        port: the only one; None for those of http and https.
        subdomains: `*.shop.example`: hosts below the name, and not the name itself.
    """

    name: str
    port: int | None = None
    subdomains: bool = False

    def allows(self, host: str, port: int, scheme: str) -> bool:
        """Whether it is this one."""
        named = host.endswith(f".{self.name}") if self.subdomains else host == self.name
        return named and port == (_PORTS[scheme] if self.port is None else self.port)


def allowed_host(text: str) -> AllowedHost:
    """`shop.example`, `shop.example:8080` or `*.shop.example`. Raises `InvalidInput`."""
    subdomains = text.startswith("*.")
    try:
        parts = urlsplit(f"//{text.removeprefix('*.')}")
        host, port = _host(parts.hostname or ""), parts.port
    except ValueError:
        host, port = "", None
    if not host or "*" in host or parts.path or parts.query or parts.fragment or parts.username is not None:
        raise InvalidInput(
            f"host {shown_name(text)}: expected a name such as shop.example, *.shop.example or shop.example:8080"
        )
    return AllowedHost(host, port, subdomains)


async def system_resolver(host: str, port: int) -> list[str]:
    """What the system says."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def is_public(address: str) -> bool:
    """Whether an address is one of the public Internet, and of no machine or network of its own."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:  # with a zone, or none at all
        return False
    if ip.version == 6 and (ip not in _IPV6_GLOBAL or any(ip in network for network in _IPV6_TUNNELS)):
        return False  # also ::ffff:127.0.0.1, 64:ff9b::7f00:1 and the like
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class PictureFetcher:
    """Fetches pictures of allowed hosts.

    Args:
        hosts: that may be asked.
        max_bytes: of a picture.
        timeout: seconds for one picture, with all its redirects.
        resolver: of names.
        transport: that connects; None is the usual.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        *,
        max_bytes: int,
        timeout: float,
        resolver: Resolver = system_resolver,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._hosts = tuple(map(allowed_host, hosts))
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._resolver = resolver
        self._transport = transport
        self._tls = httpx.create_ssl_context(trust_env=False)

    async def fetch(self, url: str) -> bytes:
        """The bytes at a URL. Raises `ServiceError`; whether they are a picture, decoding says."""
        try:
            with anyio.fail_after(self._timeout):
                # Neither proxies nor credentials of the environment; a client of its own, so that nothing is kept between two.
                async with httpx.AsyncClient(
                    trust_env=False, verify=self._tls, transport=self._transport, timeout=self._timeout
                ) as client:
                    return await self._follow(client, url)
        except TimeoutError as error:
            raise _refused(url, f"was not fetched within {self._timeout:g} seconds") from error
        except httpx.TimeoutException as error:
            raise _refused(url, f"was not fetched within {self._timeout:g} seconds") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _refused(url, "cannot be fetched: the host does not answer as it should") from error

    async def _follow(self, client: httpx.AsyncClient, url: str) -> bytes:
        asked = url
        for _ in range(_REDIRECTS + 1):
            request = await self._request(client, asked)
            response = await client.send(request, stream=True, follow_redirects=False)
            try:
                location = response.headers.get("location")
                if not response.is_redirect or location is None:
                    return await self._read(response, url)
            finally:
                await response.aclose()
            asked = urljoin(asked, location)
        raise _refused(url, f"leads on more than {_REDIRECTS} times")

    async def _request(self, client: httpx.AsyncClient, url: str) -> httpx.Request:
        """A request to an address that was looked at, for the host that was named."""
        try:
            parts = urlsplit(url)
            host, port = _host(parts.hostname or ""), parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError as error:
            raise _refused(url, "is no URL") from error
        if parts.scheme not in _PORTS or not host or parts.username is not None:
            raise _refused(url, "expected http://… or https://…, without a user")
        if not any(allowed.allows(host, port, parts.scheme) for allowed in self._hosts):
            raise _refused(url, "its host is none of those whose pictures this service fetches")
        try:
            addresses = await self._resolver(host, port)
        except OSError as error:
            raise _refused(url, "its host is not known") from error
        if not addresses or not all(map(is_public, addresses)):
            raise _refused(url, "its host is at no public address")
        pinned = httpx.URL(url).copy_with(host=addresses[0], fragment=None)
        named = host if port == _PORTS[parts.scheme] else f"{host}:{port}"
        extensions: dict[str, Any] = {"sni_hostname": host}  # whose certificate it must be
        return client.build_request("GET", pinned, headers={**_HEADERS, "Host": named}, extensions=extensions)

    async def _read(self, response: httpx.Response, url: str) -> bytes:
        if response.status_code != 200:
            raise _refused(url, f"is answered with status {response.status_code}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise _refused(url, "is answered with packed content, which was not asked for")
        too_large = _refused(url, f"has more than {self._max_bytes:,} bytes")
        told = response.headers.get("content-length", "")
        if told.isdecimal() and int(told) > self._max_bytes:
            raise too_large
        pieces: list[bytes] = []
        size = 0
        async for piece in response.aiter_raw():
            size += len(piece)
            if size > self._max_bytes:
                raise too_large
            pieces.append(piece)
        return b"".join(pieces)


def _host(name: str) -> str:
    """A name as DNS has it. Raises `ValueError`."""
    if not name or ":" in name:  # an IPv6 address
        return name
    return name.rstrip(".").encode("idna").decode("ascii").lower()


def _refused(url: str, why: str) -> ServiceError:
    return ServiceError("url-refused", f"{shown_name(url)}: {why}", pointer="/url")
