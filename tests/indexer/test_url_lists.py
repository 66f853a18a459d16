"""Lists of URLs: read several at once but not too many from one host, tried again, and named without their signatures."""

from __future__ import annotations

import http.server
import io
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from semblant_indexer.url_reading import FROM_ONE_HOST, ReadAhead, read_web_url, unsigned
from semblant_search import ImageError, canonical_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from semblant_indexer import IndexReport
    from semblant_search.store import Record

S3 = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=me%2F20260101&X-Amz-Date=20260101T000000Z&X-Amz-Signature="


class Host(http.server.ThreadingHTTPServer):
    """Answers pictures by their names: the number in it is the seed of its pixels."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.at_once = self.most_at_once = 0
        self.agents: set[str] = set()
        self.asked: list[str] = []
        self.troubles: dict[str, list[tuple[int, dict[str, str]]]] = {}
        """By path: what is answered first."""
        self.seconds = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Host

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        with self.server.lock:
            self.server.asked.append(self.path)
            self.server.agents.add(self.headers["User-Agent"])
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
            troubles = self.server.troubles.get(path, [])
            status, headers = troubles.pop(0) if troubles else (200, {})
        time.sleep(self.server.seconds)
        data = picture(int(path.strip("/").split(".")[0])) if status == 200 else b""
        with self.server.lock:
            self.server.at_once -= 1
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (28, 28), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def host() -> Iterator[Host]:
    server = Host()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def listed(folder: Path, *urls: str) -> Path:
    (folder / "list.csv").write_text("url\n" + "".join(f"{url}\n" for url in urls))
    return folder / "list.csv"


def test_a_list_of_urls_is_indexed_in_one_request_each_by_a_name_of_its_own(
    host: Host, index: Callable[..., IndexReport], tmp_path: Path
) -> None:
    report = index(listed(tmp_path, *(f"{host.url}/{number}.png" for number in range(20))), workers=2)
    assert (report.indexed, report.failed) == (20, 0)
    assert len(host.asked) == 20
    assert host.agents == {"semblant-indexer"}
    assert 1 <= host.most_at_once <= FROM_ONE_HOST


def test_hosts_are_asked_several_at_once_each_up_to_its_limit(host: Host) -> None:
    other = Host()
    threading.Thread(target=other.serve_forever, daemon=True).start()
    host.seconds = other.seconds = 0.2
    urls = [f"{one.url}/{number}.png" for number in range(12) for one in (host, other)]
    ahead = ReadAhead(10**6, 3)
    ahead.expect([*urls, "/a/path.png"])
    assert ahead.take("/a/path.png") is None
    assert [ahead.take(url) for url in urls] == [picture(number) for number in range(12) for _ in range(2)]
    assert (host.most_at_once, other.most_at_once) == (3, 3)
    other.shutdown()
    other.server_close()


def test_what_may_pass_is_tried_again_and_the_rest_is_not(host: Host) -> None:
    host.troubles = {
        "/1.png": [(503, {}), (429, {"Retry-After": "0"})],
        "/2.png": [(503, {})] * 9,
        "/3.png": [(403, {})],
        "/4.png": [(404, {})],
    }
    assert read_web_url(f"{host.url}/1.png", 10**6) == picture(1)
    found = []
    for number in (2, 3, 4):
        with pytest.raises(ImageError, match=f"/{number}.png") as caught:
            read_web_url(f"{host.url}/{number}.png", 10**6)
        found.append((caught.value.reason, sum(path == f"/{number}.png" for path in host.asked)))
    assert found == [("unreadable", 4), ("unreadable", 1), ("missing", 1)]
    with pytest.raises(ImageError, match="more than 99 bytes") as caught:
        read_web_url(f"{host.url}/5.png", 99)
    assert caught.value.reason == "too-large"


def test_presigned_urls_are_read_by_their_signatures_and_named_without_them(
    host: Host, index: Callable[..., IndexReport], records: Callable[..., dict[str, Record]], tmp_path: Path
) -> None:
    names = [f"{host.url}/{number}.png" for number in range(3)]
    host.troubles["/2.png"] = [(403, {})] * 2
    for signature in ("abc", "def"):
        report = index(listed(tmp_path, *(f"{name}?{S3}{signature}" for name in names)))
        assert report.found == 3
        assert set(records()) == {canonical_uri(name) for name in names[:2]}
        assert all(signature in path for path in host.asked[-3:])
        (failure,) = report.failures
        assert failure.uri == names[2]
        assert "abc" not in str(report.to_json()) + (tmp_path / "db" / "images" / "failures.jsonl").read_text()
    assert report.unchanged == 2


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (f"https://b.s3.amazonaws.com/a%20b.jpg?versionId=3&{S3}0a", "https://b.s3.amazonaws.com/a%20b.jpg?versionId=3"),
        ("https://b.s3.amazonaws.com/a.jpg?AWSAccessKeyId=A&Signature=b%2F&Expires=17", "https://b.s3.amazonaws.com/a.jpg"),
        ("https://storage.googleapis.com/b/a.jpg?X-Goog-Date=1&X-Goog-Signature=ab", "https://storage.googleapis.com/b/a.jpg"),
        (
            "https://x.blob.core.windows.net/c/a.jpg?sv=2024&se=2026&sr=b&sp=r&sig=a%3D",
            "https://x.blob.core.windows.net/c/a.jpg",
        ),
        ("https://d1.cloudfront.net/a.jpg?w=9&Policy=p&Signature=s&Key-Pair-Id=k", "https://d1.cloudfront.net/a.jpg?w=9"),
        ("https://host/a.jpg?sig=nature&id=7", "https://host/a.jpg?sig=nature&id=7"),
        ("https://host/a.jpg?signature=art", "https://host/a.jpg?signature=art"),
        ("s3://bucket/a.jpg?X-Amz-Signature=1", "s3://bucket/a.jpg?X-Amz-Signature=1"),
    ],
)
def test_signatures_are_known_by_their_parameters(url: str, name: str) -> None:
    assert unsigned(url) == name
