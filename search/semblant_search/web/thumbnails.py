"""Thumbnails: made once, upright and flattened to what a browser shows, and kept on disk within a bound."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from semblant_search.errors import ImageError
from semblant_search.images.small import THUMBNAIL_SIDES, webp_thumbnail

if TYPE_CHECKING:
    from .settings import ServiceSettings

__all__ = ["MEDIA_TYPE", "Thumbnails"]

MEDIA_TYPE = "image/webp"
_SUFFIX = ".webp"
_RECIPE = "1"
"""Another number where thumbnails of the same file look otherwise."""
_KEPT_SHARE = 0.8
"""Of the bound, after old ones were deleted."""


class Thumbnails:
    """Named by the content of the picture, so that one is good for ever. Thread-safe."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._folder = settings.cache or default_cache()
        self._max_pixels = settings.max_pixels
        self._most = settings.cache_bytes
        self._lock = threading.Lock()
        self._bytes: int | None = None

    @staticmethod
    def tag(content: str, size: int) -> str:
        """What tells it from every other one: for an ETag."""
        return f"{content[:32]}-{size}-{_RECIPE}"

    def find(self, content: str, size: int) -> bytes | None:
        """One that was made before, or is made of a larger one, by the picture's SHA-256.

        Of a picture that was sent there is no file: its larger thumbnails are all that there is.
        """
        for side in THUMBNAIL_SIDES[THUMBNAIL_SIDES.index(size) :]:
            path = self._path(content, side)
            try:
                data = path.read_bytes()
                os.utime(path)  # the last to go
            except OSError:
                continue
            if side == size:
                return data
            with contextlib.suppress(ImageError):  # one that was damaged
                return self.make(content, size, data)
        return None

    def make(self, content: str, size: int, data: bytes) -> bytes:
        """Make one of a picture's file, and keep it. Raises `ImageError`."""
        made = webp_thumbnail(data, size, self._max_pixels)
        self._keep(self._path(content, size), made)
        return made

    def _path(self, content: str, size: int) -> Path:
        return self._folder / content[:2] / (self.tag(content, size) + _SUFFIX)

    def _keep(self, path: Path, data: bytes) -> None:
        """Write it; a full or read-only disk costs the next one its time, and no answer."""
        if not self._most:
            return
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=_SUFFIX)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                os.replace(name, path)  # noqa: PTH105
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
            self._bound(len(data))

    def _bound(self, added: int) -> None:
        with self._lock:
            if self._bytes is None:
                self._bytes = sum(size for _, size, _ in self._all())
            else:
                self._bytes += added
            if self._bytes <= self._most:
                return
            left = self._bytes
            for _, size, path in sorted(self._all()):
                if left <= _KEPT_SHARE * self._most:
                    break
                path.unlink(missing_ok=True)
                left -= size
            self._bytes = left

    def _all(self) -> list[tuple[float, int, Path]]:
        """Time of use, bytes and path of each."""
        found = []
        for path in self._folder.glob(f"*/*{_SUFFIX}"):
            with contextlib.suppress(OSError):
                facts = path.stat()
                found.append((facts.st_mtime, facts.st_size, path))
        return found


def default_cache() -> Path:
    """`$SEMBLANT_CACHE/thumbnails`, else that of the user's caches."""
    own = os.environ.get("SEMBLANT_CACHE")
    base = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "semblant"
    return base / "thumbnails"
