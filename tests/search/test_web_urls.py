"""Pictures by their URLs: off unless hosts are named, and from public addresses only, whatever names and redirects say.

The server is a real one of this machine. Its address is not public, so that what connects is told where the addresses lie that
the resolver of a test gives; the guard itself is as ever.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from semblant_search import InvalidInput
from semblant_search.web import ServiceSettings
from semblant_search.web.fetching import PictureFetcher, allowed_host, is_public
from semblant_search.web.problems import ServiceError
from support.service import problem, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_search.store import Database

PUBLIC = "93.184.216.34"
MOST = 200_000


class _Site(BaseHTTPRequestHandler):
    """Answers by the path: `/to?…` redirects; the others are named for what is wrong with them."""

    picture = b""
    asked: list[tuple[str, str]] = []  # noqa: RUF012 - of all requests

    def do_GET(self) -> None:
        self.asked.append((self.headers["Host"], self.path))
        name, _, rest = self.path.removeprefix("/").partition("?")
        if name == "to":
            self._answer(302, b"", Location=rest)
        elif name == "picture":
            self._answer(200, self.picture)
        elif name == "html":
            self._answer(200, b"<html><script>alert(1)</script></html>")
        elif name == "large":
            self._answer(200, b"", length=10**12)
        elif name == "packed":
            self._answer(200, b"\x1f\x8b", None, **{"Content-Encoding": "gzip"})
        elif name == "endless":
            self._pour(b"x" * 65_536, 0)
        elif name == "slow":
            self._pour(b"x", 0.05)
        else:
            self._answer(404, b"secret of the inside")

    def _answer(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def _pour(self, piece: bytes, pause: float) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(100_000):
                self.wfile.write(piece)
                time.sleep(pause)
        except OSError:
            pass

    def log_message(self, *_: Any) -> None:
        pass


class _Dialling(httpx.AsyncBaseTransport):
    """Connects to the server of this machine wherever a request wants to go, and notes where that is."""

    def __init__(self, port: int, verify: ssl.SSLContext | bool = True) -> None:
        self.dialled: list[str] = []
        self._port = port
        self._inner = httpx.AsyncHTTPTransport(verify=verify)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.dialled.append(request.url.host)
        request.url = request.url.copy_with(host="127.0.0.1", port=self._port)
        return await self._inner.handle_async_request(request)


class _Names:
    """A resolver that gives the addresses of a list, one answer after the other; the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def _listening(tls: ssl.SSLContext | None = None) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Site) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def port(shop_pictures: Path) -> Iterator[int]:
    _Site.picture = (shop_pictures / "photos" / "coins.png").read_bytes()
    with _listening() as port:
        yield port


def _fetcher(port: int, names: _Names, *hosts: str, timeout: float = 30.0) -> tuple[PictureFetcher, _Dialling]:
    transport = _Dialling(port)
    allowed = hosts or ("shop.example", "other.example")
    return PictureFetcher(allowed, max_bytes=MOST, timeout=timeout, resolver=names, transport=transport), transport


def _fetch(fetcher: PictureFetcher, url: str) -> bytes:
    return asyncio.run(fetcher.fetch(url))


def _refusal(fetcher: PictureFetcher, url: str) -> str:
    with pytest.raises(ServiceError) as refused:
        _fetch(fetcher, url)
    assert refused.value.code == "url-refused"
    assert "secret" not in str(refused.value)
    return str(refused.value)


def test_a_picture_comes_from_the_address_that_was_looked_at(port: int) -> None:
    """And a resolver that answers otherwise the second time is not asked a second time."""
    names = _Names([PUBLIC], ["127.0.0.1"])
    fetcher, transport = _fetcher(port, names)
    assert _fetch(fetcher, "http://shop.example/picture#x") == _Site.picture
    assert (names.asked, transport.dialled) == (["shop.example"], [PUBLIC])
    assert _Site.asked[-1] == ("shop.example", "/picture")
    assert "no public address" in _refusal(fetcher, "http://shop.example/picture")
    assert transport.dialled == [PUBLIC]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:93.184.216.34",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "",
        "shop.example",
    ],
)
def test_addresses_that_are_not_public_are_not_asked(port: int, address: str) -> None:
    for answer in ([address], [PUBLIC, address], [address, PUBLIC]):
        fetcher, transport = _fetcher(port, _Names(answer))
        assert "no public address" in _refusal(fetcher, "http://shop.example/picture")
        assert transport.dialled == []
    assert not is_public(address)


def test_public_addresses_are_public() -> None:
    assert all(map(is_public, (PUBLIC, "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001::5e")))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::1]", "[::ffff:7f00:1]", "localhost", "①②⑦.0.0.1"],
)
def test_other_ways_to_write_loopback_are_no_way_round(port: int, host: str) -> None:
    """Even where somebody allowed them: the system's own resolver reads them as numbers."""
    transport = _Dialling(port)
    for allowed in (("shop.example",), ("shop.example", host)):
        fetcher = PictureFetcher(allowed, max_bytes=MOST, timeout=10, transport=transport)
        _refusal(fetcher, f"http://{host}/picture")
    assert transport.dialled == []


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.example/picture",
        "http://shop.example.evil.example/picture",
        "http://evilshop.example/picture",
        "http://shop.example@evil.example/picture",
        "http://shop.example:pass@shop.example/picture",
        "http://evil.example#@shop.example/picture",
        "http://evil.example\\@shop.example/picture",
        "http://shop.example:22/picture",
        "http://shop.example:99999/picture",
        "https://shop.example:80/picture",
        "ftp://shop.example/picture",
        "file:///etc/passwd",
        "file://shop.example/etc/passwd",
        "gopher://shop.example/1",
        "data:image/png;base64,AAAA",
        "//shop.example/picture",
        "shop.example/picture",
        "http:///picture",
        "http://[::1/picture",
        "http://shop.exam\x00ple/picture",
        "http://" + "x" * 300 + ".example/",
        "",
    ],
)
def test_other_hosts_ports_and_schemes_are_not_asked(port: int, url: str) -> None:
    fetcher, transport = _fetcher(port, _Names([PUBLIC]))
    _refusal(fetcher, url)
    assert transport.dialled == []


def test_a_redirect_is_looked_at_like_the_first_url(port: int) -> None:
    fetcher, transport = _fetcher(port, _Names([PUBLIC]))
    assert _fetch(fetcher, "http://shop.example/to?http://other.example/picture") == _Site.picture
    assert _fetch(fetcher, "http://shop.example/to?/to?/to?/picture") == _Site.picture
    assert "more than 3 times" in _refusal(fetcher, "http://shop.example/to?/to?/to?/to?/picture")
    for place in ("http://evil.example/picture", "http://127.0.0.1/", "file:///etc/passwd", "http://shop.example:22/"):
        before = len(transport.dialled)
        _refusal(fetcher, f"http://shop.example/to?{place}")
        assert len(transport.dialled) == before + 1
    # The same name, at another address by then.
    fetcher, transport = _fetcher(port, _Names([PUBLIC], ["169.254.169.254"]))
    assert "no public address" in _refusal(fetcher, "http://shop.example/to?http://shop.example/picture")
    assert transport.dialled == [PUBLIC]


def test_bytes_and_time_are_bounded(port: int) -> None:
    fetcher, _ = _fetcher(port, _Names([PUBLIC]))
    for path in ("large", "endless"):
        assert "more than 200,000 bytes" in _refusal(fetcher, f"http://shop.example/{path}")
    assert "packed" in _refusal(fetcher, "http://shop.example/packed")
    assert "status 404" in _refusal(fetcher, "http://shop.example/missing")
    quick, _ = _fetcher(port, _Names([PUBLIC]), timeout=0.3)
    assert "within 0.3 seconds" in _refusal(quick, "http://shop.example/slow")


def test_a_certificate_is_that_of_the_host_that_was_named(tmp_path: Path, shop_pictures: Path) -> None:
    _Site.picture = (shop_pictures / "photos" / "coins.png").read_bytes()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.example")])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "shop.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    with _listening(server) as port:
        transport = _Dialling(port, ssl.create_default_context(cafile=str(pem)))
        hosts = ("shop.example", "other.example")
        fetcher = PictureFetcher(hosts, max_bytes=MOST, timeout=30, resolver=_Names([PUBLIC]), transport=transport)
        assert _fetch(fetcher, "https://shop.example/picture") == _Site.picture
        assert "does not answer as it should" in _refusal(fetcher, "https://other.example/picture")


def test_a_search_by_url_is_one_by_the_picture_there(own_shop: Database, port: int, shop_pictures: Path) -> None:
    settings = ServiceSettings(allow_urls=("shop.example",))
    with serving(own_shop, settings) as served:
        served.app.state.service.fetcher, transport = _fetcher(port, _Names([PUBLIC]), "shop.example")
        url = "http://shop.example/picture"
        post = served.http.post
        for path in ("/v1/search", "/v1/search/features", "/v1/search/fused"):
            sent = post(path, files={"picture": _Site.picture}, data={"limit": "3"}).json()["hits"]
            assert post(path, json={"url": url, "limit": 3}).json()["hits"] == sent
        assert post("/v1/search", data={"url": url}, files={"x": (None, b"")}).status_code == 422
        several = post("/v1/search", json={"queries": [{"url": url}, {"url": "http://evil.example/x"}]}).json()["answers"]
        assert len(several[0]["hits"]) == 10
        assert several[1]["code"] == "url-refused"
        problem(post("/v1/search", json={"url": "http://shop.example/html"}), 422, "unusable-picture")
        told = problem(post("/v1/search", json={"url": "http://shop.example/missing"}), 422, "url-refused")
        assert told["pointer"] == "/url"
        problem(post("/v1/search", data={"url": url}, files={"picture": _Site.picture}), 422, "invalid-input")
        assert set(transport.dialled) == {PUBLIC}


def test_urls_are_off_unless_hosts_are_named(own_shop: Database) -> None:
    with serving(own_shop) as served:
        told = problem(served.http.post("/v1/search", json={"url": "http://shop.example/picture"}), 403, "not-offered")
        assert "--allow-urls" in told["detail"]


@pytest.mark.parametrize(
    "text", ["", "*", "*.", "http://shop.example", "shop.example/x", "a@b", "shop.example:x", "a*.b", "[::1"]
)
def test_hosts_that_are_none(text: str) -> None:
    with pytest.raises(InvalidInput, match="expected a name"):
        allowed_host(text)


def test_hosts_below_a_name() -> None:
    below = allowed_host("*.Shop.Example.")
    assert below.allows("a.shop.example", 443, "https")
    assert not below.allows("shop.example", 443, "https")
    assert not below.allows("evilshop.example", 443, "https")
    assert not allowed_host("shop.example:8443").allows("shop.example", 443, "https")
    assert allowed_host("bücher.example").name == "xn--bcher-kva.example"
