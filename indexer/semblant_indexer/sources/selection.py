"""Which files of a folder a job looks at."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

from semblant_search.errors import InvalidInput

from .system_files import system_kind

__all__ = ["Selection", "checked_frames"]

_MOST_FRAMES = 100_000


@dataclass(frozen=True)
class Selection:
    """Patterns as shells have them: `*`, `?`, `[a-z]`; `*` stands for slashes, too.

    A pattern without a slash is compared with a name, one with a slash with the whole path below the folder: `*.jpg`,
    `2024/*`, `*/raw/*`.

    Attributes:
        include: if any, only files that match one of them are taken.
        exclude: files, and folders with all that is in them, that are left out; has the last word.
        hidden: take names with a leading dot as well.
        include_system: take what systems keep beside a user's files (`@eaDir`, `.thumbnails`, `__MACOSX`), too.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hidden: bool = False
    include_system: bool = False

    def __post_init__(self) -> None:
        for pattern in (*self.include, *self.exclude):
            if not isinstance(pattern, str) or not pattern.strip("/"):
                raise InvalidInput(f"pattern {pattern!r}: expected one such as '*.jpg' or 'raw/*'")

    def leaves_out(self, name: str, folder: str = "") -> str | None:
        """Why a name in a folder of that name is left alone: `hidden`, or what kind of a system's it is; None for others."""
        kind = system_kind(name, folder)
        if kind is not None:
            return None if self.include_system else kind
        return "hidden" if name.startswith(".") and not self.hidden else None

    @property
    def everything(self) -> bool:
        """Whether no pattern leaves anything out."""
        return not self.include and not self.exclude

    def takes_folder(self, path: str) -> bool:
        """Whether to look into a folder; `path` is relative to the source, with slashes."""
        return not _matches(path, self.exclude)

    def takes_file(self, path: str) -> bool:
        """Whether to take a file, if its folder is taken."""
        return (not self.include or _matches(path, self.include)) and not _matches(path, self.exclude)


def checked_frames(given: object) -> str | int:
    """Which pictures of a file that has several are taken: `first`, `all`, or how many. Raises `InvalidInput`."""
    if given in ("first", "all"):
        return str(given)
    number = int(given) if isinstance(given, str) and given.isascii() and given.isdigit() else given
    if isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= _MOST_FRAMES:
        return number
    raise InvalidInput(f"frames {given!r}: expected 'first', 'all' or a number from 1 to {_MOST_FRAMES:,}")


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    of_names, of_paths = _compiled(patterns)
    return any(
        one is not None and one.match(text) is not None for one, text in ((of_names, path.rpartition("/")[2]), (of_paths, path))
    )


@lru_cache(maxsize=64)
def _compiled(patterns: tuple[str, ...]) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
    """All patterns in one for names and one for paths, None where there are none: there may be hundreds, and many files."""
    of_names = [translate(pattern) for pattern in patterns if "/" not in pattern]
    of_paths = [translate(pattern.strip("/")) for pattern in patterns if "/" in pattern]
    return _any(of_names), _any(of_paths)


def _any(expressions: list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(expressions)) if expressions else None
