"""Pillow without its warnings and its global size limit, safely between threads."""

from __future__ import annotations

import threading
import warnings
from typing import Any

__all__ = ["PILLOW_QUIET"]


class _Quiet:
    """Pillow warns about damaged metadata of pictures that it decodes all the same; that is no news to a user.

    `warnings.catch_warnings` is not safe between threads, so the first thread in silences Pillow and the last one out
    restores the filters. Pillow's own size limit is a global, too; ours is an argument, so Pillow's is lifted meanwhile.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._context: warnings.catch_warnings[Any] | None = None
        self._limit: int | None = None

    def __enter__(self) -> None:
        from PIL import Image

        with self._lock:
            if self._inside == 0:
                self._context = warnings.catch_warnings()
                self._context.__enter__()
                warnings.filterwarnings("ignore", module="PIL")
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        from PIL import Image

        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._context is not None:
                Image.MAX_IMAGE_PIXELS = self._limit
                self._context.__exit__(None, None, None)


PILLOW_QUIET = _Quiet()
