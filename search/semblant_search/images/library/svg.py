"""SVG drawings, by resvg: no scripts, no animation; and nothing but the file itself is read, however it asks for more."""

from __future__ import annotations

import gzip
import io
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from PIL import Image

from semblant_search.errors import ImageError
from semblant_search.images.frames import no_such

from .base import LibraryPicture, scale_within

if TYPE_CHECKING:
    from PIL import ImageFile

__all__ = ["opened", "other_frames"]

_LONGEST, _LEAST = 2048, 512
"""Pixels of the longer side of what is drawn: a drawing has none of its own, and icons are small."""
_MOST_BYTES = 20_000_000
_MOST_USED = 100_000
"""Elements, those that stand for others counted with them."""
_LENGTH = re.compile(r"\s*([0-9]*\.?[0-9]+(?:e[-+]?[0-9]+)?)\s*(px|pt|pc|mm|cm|in|em|ex)?\s*", re.ASCII | re.IGNORECASE)
_UNITS = {"": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0, "em": 16.0, "ex": 8.0}
_LINKS = ("href", "{http://www.w3.org/1999/xlink}href")
_DEFAULT = (300.0, 150.0)
"""Of a drawing that says no size, as browsers have it."""


class SvgDrawing(LibraryPicture):
    """A drawing at its own size, or larger or smaller where that is beyond measure."""

    format = "SVG"
    format_description = "SVG drawing"

    def _open(self) -> None:
        self._root = _parsed(self._data)
        width, height = _size(self._root)
        longest = max(width, height)
        scale = scale_within(width, height, max(1.0, _LEAST / longest), _LONGEST)
        self._size = max(round(width * scale), 1), max(round(height * scale), 1)
        self._mode = "RGBA"
        self._root.attrib.setdefault("viewBox", f"0 0 {width:g} {height:g}")
        self._root.attrib.update(width=str(self._size[0]), height=str(self._size[1]))

    def decoded(self) -> Image.Image:
        """Drawn on nothing."""
        import resvg_py

        text = ElementTree.tostring(self._root, encoding="unicode")
        try:
            drawn = resvg_py.svg_to_bytes(svg_string=text)
        except ValueError as error:
            raise ImageError(f"is an SVG drawing that cannot be drawn: {error}", reason="not-an-image") from error
        with Image.open(io.BytesIO(drawn)) as picture:
            return picture.convert("RGBA")


def opened(data: bytes, fragment: str | None, name: str) -> ImageFile.ImageFile:
    """See the package."""
    if fragment is not None:
        raise no_such(name, fragment)
    return SvgDrawing(data)


def other_frames(data: bytes) -> list[str]:  # noqa: ARG001
    """None."""
    return []


def _parsed(data: bytes) -> ElementTree.Element:
    """The drawing, less what it asks for of other files. Raises `ImageError`."""
    if data.startswith(b"\x1f\x8b"):
        try:
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(_MOST_BYTES + 1)
        except (OSError, EOFError) as error:
            raise ImageError(f"is an SVG drawing that cannot be unpacked: {error}", reason="truncated") from error
    if len(data) > _MOST_BYTES:
        raise ImageError(f"is an SVG drawing of more than {_MOST_BYTES:,} bytes", reason="too-large")
    try:
        root = ElementTree.fromstring(data)  # expat bears no entities that multiply, and follows none to other files
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ImageError(f"is an SVG drawing that is no XML: {error}", reason="not-an-image") from error
    if root.tag.rpartition("}")[2] != "svg":
        raise ImageError("is XML, but no SVG drawing", reason="not-an-image")
    for element in root.iter():
        for link in _LINKS:
            target = element.get(link)
            if target is not None and not target.lstrip().startswith(("#", "data:image/")):
                del element.attrib[link]
    _check_uses(root)
    return root


def _check_uses(root: ElementTree.Element) -> None:
    """Raise `ImageError` where elements that stand for others make more of them than anybody draws."""
    named = {element.get("id"): element for element in root.iter() if element.get("id")}
    counted: dict[ElementTree.Element, int] = {}

    def weight(element: ElementTree.Element, within: int) -> int:
        if element in counted:
            return counted[element]
        if within > 200:
            return _MOST_USED + 1
        counted[element] = 1  # what stands for itself is not drawn
        total = 1 + sum(weight(child, within + 1) for child in element)
        for link in _LINKS:
            target = named.get((element.get(link) or "").strip().removeprefix("#"))
            if target is not None:
                total += weight(target, within + 1)
        counted[element] = min(total, _MOST_USED + 1)
        return counted[element]

    if weight(root, 0) > _MOST_USED:
        raise ImageError(f"is an SVG drawing of more than {_MOST_USED:,} elements", reason="too-large")


def _size(root: ElementTree.Element) -> tuple[float, float]:
    """In pixels: by width and height, else by the view box."""
    box: tuple[float, float] | None = None
    try:
        numbers = [float(number) for number in re.split(r"[\s,]+", root.get("viewBox", "").strip())]
        if len(numbers) == 4 and 0 < numbers[2] < 1e9 and 0 < numbers[3] < 1e9:
            box = numbers[2], numbers[3]
    except ValueError:
        pass
    width, height = _length(root.get("width")), _length(root.get("height"))
    if box is not None:
        if width is None and height is None:
            return box
        width = width if width is not None else (height or 0) * box[0] / box[1]
        height = height if height is not None else width * box[1] / box[0]
    width, height = _DEFAULT[0] if width is None else width, _DEFAULT[1] if height is None else height
    if not (0 < width < 1e9 and 0 < height < 1e9):
        raise ImageError("is an SVG drawing without a size", reason="empty")
    return width, height


def _length(text: str | None) -> float | None:
    found = _LENGTH.fullmatch(text or "")
    return None if found is None else float(found[1]) * _UNITS[(found[2] or "").lower()]
