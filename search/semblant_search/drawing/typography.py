"""Text in drawings: a font that has the letters, and lines cut to a width. Pillow only."""

from __future__ import annotations

from functools import lru_cache

from PIL import ImageFont

__all__ = ["Typography"]

_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "Arial Unicode.ttf",
    "segoeui.ttf",
    "msyh.ttc",
)
"""Tried, in this order, for letters that Pillow's own font lacks; a system need have none of them."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


class Typography:
    """One font at any size, for all texts of a drawing.

    Args:
        file: a font file that Pillow finds, or None for the font that comes with Pillow.
    """

    def __init__(self, file: str | None = None) -> None:
        self._file = file

    @classmethod
    def covering(cls, text: str) -> Typography:
        """Pillow's own font, the same everywhere, if it has the text's letters; else the system font that lacks the fewest."""
        wanted = {letter for letter in _clean(text) if not letter.isspace()}
        own = sum(not _has_letter(None, letter) for letter in wanted)
        if own == 0:
            return cls()
        lacking = {file: sum(not _has_letter(file, letter) for letter in wanted) for file in _SYSTEM_FONTS if _exists(file)}
        best = min(lacking, key=lambda file: lacking[file], default=None)
        return cls(best if best is not None and lacking[best] < own else None)

    def font(self, size: int) -> Font:
        """The font with letters of `size` pixels."""
        return _font(self._file, size)

    def length(self, text: str, size: int) -> float:
        """The width of the text on one line, in pixels."""
        return self.font(size).getlength(_clean(text))

    def elide(self, text: str, size: int, width: float) -> str:
        """The text on one line, cut to `width` pixels; what is left out becomes `…`."""
        text, font = _clean(text), self.font(size)
        if font.getlength(text) <= width:
            return text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if font.getlength(text[:middle].rstrip() + "…") <= width else (low, middle - 1)
        return text[:low].rstrip() + "…"


@lru_cache(maxsize=64)
def _font(file: str | None, size: int) -> Font:
    return ImageFont.load_default(size) if file is None else ImageFont.truetype(file, size)


@lru_cache(maxsize=16)
def _exists(file: str) -> bool:
    try:
        ImageFont.truetype(file, 16)
    except OSError:
        return False
    return True


@lru_cache(maxsize=4096)
def _has_letter(file: str | None, letter: str) -> bool:
    """Whether the font draws the letter as something else than its sign for letters that it lacks."""
    font = _font(file, 16)
    return bytes(font.getmask(letter)) != bytes(font.getmask("\U0010fffe"))


def _clean(text: str) -> str:
    """One line of letters that can be drawn: control characters and halves of surrogate pairs become `·`."""
    return "".join(letter if letter.isprintable() else "·" for letter in text)
