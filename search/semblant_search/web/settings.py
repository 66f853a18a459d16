"""What a service allows, each with its default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from semblant_search.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ServiceSettings"]


@dataclass(frozen=True)
class ServiceSettings:
    """What a service allows.

    Attributes:
        max_body: bytes of a request's body.
        max_pixels: larger pictures are refused before they are decoded.
        max_limit: hits or pictures in one answer.
        max_filter: characters of a filter.
        max_queries: searches in one request.
        max_pictures: pictures that one request may add.
        concurrency: requests at work at once.
        queue: requests that wait for their turn; more are told to come again.
        timeout: seconds of a request, with the reading of its body.
        header_timeout: seconds that `semblant serve` waits for the headers of a request.
        originals: whether the files themselves are given out.
        allow_urls: hosts whose pictures are fetched for a search: `shop.example`, `*.shop.example`, `shop.example:8080`. None
            means that no URL is taken.
        url_timeout: seconds to fetch a picture.
        read_only: refuse what changes a collection.
        roots: folders whose files may be given out, as thumbnails too; none means the folders that were indexed.
        job_roots: folders whose pictures jobs may index; none means that no job may be started.
        cache: folder of the thumbnails; None means Semblant's cache.
        cache_bytes: bytes of all thumbnails together.
    """

    max_body: int = 64_000_000
    max_pixels: int = 50_000_000
    max_limit: int = 1000
    max_filter: int = 20_000
    max_queries: int = 64
    max_pictures: int = 64
    concurrency: int = 8
    queue: int = 256
    timeout: float = 30.0
    header_timeout: float = 10.0
    originals: bool = False
    allow_urls: tuple[str, ...] = ()
    url_timeout: float = 10.0
    read_only: bool = False
    roots: tuple[Path, ...] = ()
    job_roots: tuple[Path, ...] = ()
    cache: Path | None = None
    cache_bytes: int = 1_000_000_000

    def __post_init__(self) -> None:
        for name in ("max_body", "max_pixels", "max_limit", "max_filter", "max_queries", "max_pictures", "concurrency"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} {getattr(self, name)}: expected at least 1")
        if self.queue < 0 or self.cache_bytes < 0:
            raise InvalidInput("queue and cache_bytes: expected 0 or more")
        for name in ("timeout", "header_timeout", "url_timeout"):
            if not 0 < getattr(self, name) <= 86_400:
                raise InvalidInput(f"{name} {getattr(self, name)}: expected seconds, more than 0, a day at most")
