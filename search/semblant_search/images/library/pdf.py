"""Pages of PDF documents, by pypdfium2: drawn without forms' scripts, which its builds of PDFium do not have."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from semblant_search.errors import ImageError
from semblant_search.images.frames import no_such

from .base import LibraryPicture, scale_within

if TYPE_CHECKING:
    from PIL import Image, ImageFile

__all__ = ["opened", "other_frames"]

_SCALE = 2.0
"""Pixels for a point: 144 to the inch."""
_LONGEST = 2048
_MOST_PAGES = 10_000
_LOCK = threading.Lock()
"""PDFium works for one thread at a time."""


class PdfPage(LibraryPicture):
    """A page on white."""

    format = "PDF"
    format_description = "Page of a PDF document"

    def _open(self) -> None:
        with _LOCK, _document(self._data) as document:
            if self.number >= len(document):
                raise ImageError(f"has no {(self._fragment or 'page=1').replace('=', ' ')}", reason="missing")
            width, height = document.get_page_size(self.number)
        if not (width > 0 and height > 0):
            raise ImageError("is a PDF page without a size", reason="empty")
        self._scale = scale_within(width, height, _SCALE, _LONGEST)
        self._size = max(round(width * self._scale), 1), max(round(height * self._scale), 1)
        self._mode = "RGB"

    def decoded(self) -> Image.Image:
        """Drawn."""
        with _LOCK, _document(self._data) as document:
            page: Image.Image = document[self.number].render(scale=self._scale).to_pil()
        return page.convert("RGB")


def opened(data: bytes, fragment: str | None, name: str) -> ImageFile.ImageFile:
    """See the package."""
    if fragment is not None and not fragment.startswith("page="):
        raise no_such(name, fragment)
    return PdfPage(data, fragment)


def other_frames(data: bytes) -> list[str]:
    """All pages but the first."""
    with _LOCK, _document(data) as document:
        return [f"page={number}" for number in range(2, min(len(document), _MOST_PAGES) + 1)]


def _document(data: bytes) -> Any:
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise ImageError("is a PDF document that needs a password", reason="unreadable") from error
        raise ImageError(f"is a PDF document that cannot be read: {error}", reason="not-an-image") from error
