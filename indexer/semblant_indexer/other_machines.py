r"""Paths in tables that were made on another machine: `C:\Users\me\set\cat\1.jpg`, `/home/me/set/cat/1.jpg`.

Of a folder's pictures the one is meant whose path below that folder ends the row's path; what stands before it is a folder of
the other machine, and of several that it may be the one counts by which the most rows name pictures.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

__all__ = ["OtherRoots", "elsewhere", "uploaded"]

_UPLOADED = re.compile(r"(?:https?://[^/]+)?/data/upload/(?:\d+/)?[0-9a-f]{8}-([^/]+)")
_LOCAL_FILES = re.compile(r"(?:https?://[^/]+/|/)?data/local-files/?\?d=(.+)")
"""Addresses of Label Studio: of a picture that it was given, and of one that it was told of."""
_DRIVE = re.compile(r"[A-Za-z]:/")
_SAMPLE = 10_000
"""Rows that tell where the folder is."""


def elsewhere(path: str) -> str | None:
    """An absolute path as a table has it, with slashes; None for a relative one, and for a URL."""
    if (local := _LOCAL_FILES.fullmatch(path)) is not None:
        path = "/" + unquote(local[1]).replace("\\", "/").lstrip("/")
    elif path.startswith("file://"):
        path = unquote(path.removeprefix("file://"))
    return path if path.startswith("/") or _DRIVE.match(path) else None


def uploaded(path: str) -> str | None:
    """The name of a picture under which it was given to Label Studio, which puts eight digits before it; None for others."""
    found = _UPLOADED.fullmatch(path)
    return None if found is None else found[1]


class OtherRoots:
    """Folders of other machines that stand for the folder of the pictures.

    Args:
        paths: absolute paths of rows that name no file of this machine.
        below: the paths of pictures below their folder, without regard to case.
    """

    def __init__(self, paths: Iterable[str], below: Collection[str]) -> None:
        self._votes: Counter[str] = Counter()
        for path in paths:
            self._votes.update(cut.root for cut in _cuts(path) if cut.below.casefold() in below)

    @staticmethod
    def sample(paths: Iterable[str]) -> list[str]:
        """As many of the paths as are needed."""
        return [path for _, path in zip(range(_SAMPLE), paths, strict=False)]

    def below(self, path: str) -> str | None:
        """What of a path lies below the folder that stands for that of the pictures; None where none does."""
        found = max((cut for cut in _cuts(path) if cut.root in self._votes), key=self._weight, default=None)
        return None if found is None else found.below

    def _weight(self, cut: _Cut) -> tuple[int, int]:
        return self._votes[cut.root], -len(cut.root)


class _Cut(NamedTuple):
    root: str
    below: str


def _cuts(path: str) -> Iterator[_Cut]:
    """Every way to take a path apart."""
    for place, character in enumerate(path):
        if character == "/" and place + 1 < len(path):
            yield _Cut(path[:place], path[place + 1 :])
