"""The pictures of a large folder that are indexed before all others, so that there is something to look at within seconds."""

from __future__ import annotations

import glob
from typing import TYPE_CHECKING

from .encoders import pictures_in

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FIRST", "first_pictures"]

FIRST = 100
"""How many these are: as many as a job takes patterns."""
_LARGE = 2 * FIRST


def first_pictures(folder: Path) -> list[str]:
    """Patterns of 100 pictures, spread evenly over the folder; none where it has no more than twice as many.

    >>> first_pictures(Path("shoes"))  # doctest: +SKIP
    ['/boots/0.png', '/boots/211.png', …]
    """
    paths = list(pictures_in(folder))
    if len(paths) <= _LARGE:
        return []
    chosen = [paths[number * len(paths) // FIRST].relative_to(folder).as_posix() for number in range(FIRST)]
    # The slash keeps it from being a picture of that name in any folder. A name that is no text cannot be asked for.
    return ["/" + glob.escape(path) for path in chosen if _is_text(path)]


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
