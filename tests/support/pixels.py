"""Looking for something drawn: exact pixels, whatever is around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw
from semblant_search.drawing.typography import Typography

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["boxes", "find", "find_text", "is_colour"]


def is_colour(drawing: Image.Image, colour: str, near: int = 0) -> np.ndarray:
    """Where a drawing has a colour, bool `[h, w]`."""
    wanted = np.array(Image.new("RGB", (1, 1), colour).getpixel((0, 0)))
    return np.asarray((np.abs(np.asarray(drawing.convert("RGB")).astype(int) - wanted) <= near).all(axis=2))


def find(drawing: Image.Image, part: Image.Image) -> list[tuple[int, int]]:
    """The places `(x, y)` at which these very pixels appear."""
    import cv2

    whole, wanted = np.asarray(drawing.convert("RGB")), np.asarray(part.convert("RGB"))
    if any(a < b for a, b in zip(whole.shape, wanted.shape, strict=True)):
        return []
    away = cv2.matchTemplate(whole[..., 0], wanted[..., 0], cv2.TM_SQDIFF)  # one channel tells nearly all
    rows, columns = np.nonzero(away < 1 + wanted[..., 0].size)  # its sums are not exact
    size = wanted.shape
    return [
        (int(x), int(y))
        for x, y in zip(columns, rows, strict=True)
        if (whole[y : y + size[0], x : x + size[1]] == wanted).all()
    ]


def find_text(drawing: Image.Image, text: str, size: int, colour: str, *, others: Sequence[str] = ()) -> list[tuple[int, int]]:
    """The places at which a text is written on white, in the font that a drawing with `others` besides takes."""
    font = Typography.covering("".join([text, *others])).font(size)
    canvas = Image.new("RGB", (1600, 60), "white")
    ImageDraw.Draw(canvas).text((10, 10), text, fill=colour, font=font)
    ink = np.argwhere((np.asarray(canvas) != 255).any(axis=2))
    (top, left), (bottom, right) = ink.min(axis=0), ink.max(axis=0) + 1
    return find(drawing, canvas.crop((int(left), int(top), int(right), int(bottom))))


def boxes(mask: np.ndarray) -> list[tuple[int, int, int, int]]:
    """The boxes `(left, top, right, bottom)` around what hangs together in a mask, from left to right, top to bottom."""
    import cv2

    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    found = [(int(x), int(y), int(x + w), int(y + h)) for x, y, w, h, _ in stats[1:]]
    return sorted(found, key=lambda box: (box[1], box[0]))
