"""Finding one of the pictures within a file, and which there are. `frame_names` says what they are called."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from semblant_search.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

__all__ = ["MOMENT", "chosen", "no_such", "other_frames", "page_number", "seek"]

_MOST = 100_000
"""Pictures of a file that are counted."""
MOMENT = "t="
_EVERY = 10
"""Seconds from one moment of a film to the next, where all are wanted."""
_REDUCED_PAGE = 254
"""TIFF's `NewSubfileType`, whose first bit says that a page is a smaller copy of another one."""


def seek(picture: Image.Image, fragment: str | None, name: str) -> None:
    """Go to a frame of an opened picture, which is at its first one. Raises `ImageError` where there is none."""
    if fragment is None:
        return
    number = page_number(fragment, name)
    try:
        picture.seek(number)
    except EOFError as error:
        raise no_such(name, fragment) from error


def page_number(fragment: str | None, name: str) -> int:
    """Of a frame in its file, from 0. Raises `ImageError` for what is named in another way."""
    kind, _, number = (fragment or "frame=1").partition("=")
    if kind != "frame":
        raise no_such(name, str(fragment))
    return int(number) - 1


def no_such(name: str, fragment: str) -> ImageError:
    """The error for a picture that a file does not have."""
    return ImageError(f"{name}: has no {fragment.replace('=', ' ')}", reason="missing")


def other_frames(data: bytes, name: str = "picture") -> list[str]:
    """Fragments of all pictures of a file but the first; of a film those of each full second.

    This may take a native library: a program that has to live on asks for it in another process.

    Raises:
        ImageError: no picture.
    """
    from .headers import open_header
    from .kinds import is_tiff, other_kind
    from .tiff import pages

    kind = other_kind(data)
    if kind is not None and not data.startswith(b"\xff\xd8\xff"):
        return kind.other_frames(data, name)
    if is_tiff(data):
        found = enumerate(islice(pages(data), _MOST), start=1)
        return [f"frame={number}" for number, tags in found if number > 1 and not int(tags.get(_REDUCED_PAGE, 0)) & 1]
    with open_header(data, name) as picture:
        if picture.format in ("PSD", "ICO"):  # layers and sizes of one picture
            return []
        count = min(int(getattr(picture, "n_frames", 1)), _MOST)
    return [f"frame={number}" for number in range(2, count + 1)]


def chosen(others: Sequence[str], wanted: int | None) -> list[str]:
    """Of all pictures of a file but the first those that are wanted: so many with the first, evenly spread; None is all.

    All of a film is one picture every ten seconds.
    """
    if wanted is None:
        return [each for each in others if not each.startswith(MOMENT) or int(float(each[2:])) % _EVERY == 0]
    if wanted > len(others):
        return list(others)
    every = (len(others) + 1) / wanted
    return [others[int(number * every) - 1] for number in range(1, wanted)]
