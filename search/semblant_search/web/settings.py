"""What a service allows, each with its default."""

from __future__ import annotations

import os
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from semblant_search.errors import InvalidInput
from semblant_search.shown import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ServiceSettings"]


@dataclass(frozen=True)
class ServiceSettings:
    """What a service allows.

    Attributes:
        max_body: bytes of a request's body.
        max_pixels: larger pictures are refused before they are decoded.
        max_limit: hits or pictures in the answer to one search or list, those of all groups together.
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
        roots: folders (as paths or text) whose files may be given out, as thumbnails too; none means those that were indexed.
        job_roots: folders whose pictures jobs may index; none means that no job may be started.
        cache: folder of the thumbnails; None means Semblant's cache.
        cache_bytes: bytes of all thumbnails together.

    Raises:
        InvalidInput: a value that is out of its range, or of another type.
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
        for name in ("roots", "job_roots"):
            folders = tuple(_folder(name, folder) for folder in _several(name, getattr(self, name)))
            object.__setattr__(self, name, folders)
        object.__setattr__(self, "allow_urls", tuple(_several("allow_urls", self.allow_urls)))
        if self.cache is not None:
            object.__setattr__(self, "cache", _folder("cache", self.cache))
        for name in ("max_body", "max_pixels", "max_limit", "max_filter", "max_queries", "max_pictures", "concurrency"):
            _check_count(name, getattr(self, name), 1)
        for name in ("queue", "cache_bytes"):
            _check_count(name, getattr(self, name), 0)
        for name in ("timeout", "header_timeout", "url_timeout"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= 86_400:
                raise InvalidInput(f"{name} {shown(value)}: expected seconds, more than 0, a day at most")
        for name in ("originals", "read_only"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidInput(f"{name} {shown(getattr(self, name))}: expected True or False")


def _check_count(name: str, value: Any, least: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InvalidInput(f"{name} {shown(value)}: expected a whole number, at least {least}")


def _several(name: str, values: Any) -> Iterable[Any]:
    """The same, unless it is one of them where several are expected: text would be gone through letter by letter."""
    if isinstance(values, (str, bytes, os.PathLike)):
        raise InvalidInput(f"{name} {shown(values)}: expected several, as in a tuple or a list, not one")
    return cast("Iterable[Any]", values)


def _folder(name: str, folder: Any) -> Path:
    """A folder that is given as a path or as text."""
    if not isinstance(folder, (str, os.PathLike)):
        raise InvalidInput(f"{name} {shown(folder)}: expected a folder, as a path or as text")
    return Path(folder)
