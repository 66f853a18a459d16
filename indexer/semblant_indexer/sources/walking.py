"""The walk through a folder: which files are pictures, which lie beside them, and what is left alone."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from semblant_indexer.picture_names import has_picture_suffix
from semblant_indexer.uris import UriBase

from .sidecar_names import sidecars_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .selection import Selection

__all__ = ["Folder", "LeftOut", "Unlisted", "Walk"]


class Folder(NamedTuple):
    """A folder as it was listed.

    Attributes:
        path: as the walk came to it.
        base: makes URIs of its files.
        pictures: its files with a picture's name, in order, but links to pictures that are seen under their own names.
        second: names of those that are seen under another name.
        others: names of its other files.
        sidecars: names of the files that say something about a picture, by the picture's name, be it a second one.
    """

    path: str
    base: UriBase
    pictures: list[os.DirEntry[str]]
    second: list[str]
    others: list[str]
    sidecars: dict[str, list[str]]


class Unlisted(NamedTuple):
    """A folder that cannot be listed."""

    path: str
    base: UriBase
    message: str


class LeftOut:
    """What one walk left alone.

    Attributes:
        by_patterns: pictures and folders.
        hidden: files and folders with a leading dot.
        system: a system's files and folders, by kind.
        names: links, and second names, of pictures that are seen under another name.
        second: path of each such picture, with its other paths.
        incomplete: why there may be pictures that were not seen.
    """

    def __init__(self) -> None:
        self.by_patterns = 0
        self.hidden = 0
        self.system: Counter[str] = Counter()
        self.names = 0
        self._firsts: dict[str, str] = {}
        self.incomplete: list[str] = []

    @property
    def second(self) -> dict[str, list[str]]:
        """See above."""
        found: dict[str, list[str]] = {}
        for name, first in self._firsts.items():
            found.setdefault(self._firsts.get(first, first), []).append(name)  # a link leads to a hard link's second name
        return found

    def add_name(self, first: str, name: str) -> None:
        """Note another name of a picture."""
        self.names += 1
        self._firsts[name] = first


class Walk:
    """Goes through a folder in the order of names. Links to folders are followed after all real folders, each folder once.

    A file that is reached by several names is one picture: the name of the file itself counts, not that of a link. The folders
    are known after a whole walk, so that only later ones can tell for sure which links are second names.
    """

    def __init__(self, root: Path, selection: Selection) -> None:
        self._root = str(root)
        self._selection = selection
        self._folders: dict[tuple[int, int], str] = {}

    def folders(self, left: LeftOut, *, whole: bool = True) -> Iterator[Folder | Unlisted]:
        """Every folder; `left` hears of what is left alone. Without `whole` second names that are no links are taken, too."""
        seen: dict[tuple[int, int], str] = {}
        named: dict[tuple[int, int], str] = {}
        links: list[str] = []
        for start_is_link in (False, True):
            stack = [self._root] if not start_is_link else links[::-1]
            while stack:
                path = stack.pop()
                base = UriBase(Path(path))
                try:
                    facts = Path(path).stat()
                    if seen.setdefault((facts.st_dev, facts.st_ino), path) is not path:
                        continue
                    with os.scandir(path) as listing:
                        entries = sorted(listing, key=lambda entry: entry.name)
                except OSError as error:
                    message = f"{path!r}: the folder cannot be listed: {error.strerror or error}"
                    left.incomplete.append(message)
                    yield Unlisted(path, base, message)
                    continue
                below: list[str] = []
                pictures: list[os.DirEntry[str]] = []
                second: list[str] = []
                others: list[str] = []
                for entry in entries:
                    if not self._takes_name(entry.name, path.rpartition(os.sep)[2], left):
                        continue
                    is_folder = _is_folder(entry)
                    if not is_folder and entry.is_symlink() and self._may_hide_a_folder(entry):
                        left.incomplete.append(f"{entry.path!r}: a link to nothing (remove it, or leave it out by --exclude)")
                    picture = not is_folder and has_picture_suffix(entry.name)
                    if not self._chosen(entry.path, is_folder=is_folder):
                        left.by_patterns += is_folder or picture
                        continue
                    if is_folder:
                        (links if entry.is_symlink() and not start_is_link else below).append(entry.path)
                    elif not picture:
                        others.append(entry.name)
                    elif (whole or entry.is_symlink()) and (first := self._first_name(entry, named)) is not None:
                        left.add_name(first, entry.path)
                        second.append(entry.name)
                    else:
                        pictures.append(entry)
                stack.extend(reversed(below))
                sidecars = sidecars_of((*(entry.name for entry in pictures), *second), others) if others else {}
                yield Folder(path, base, pictures, second, others, sidecars)
        self._folders = seen

    def _takes_name(self, name: str, folder: str, left: LeftOut) -> bool:
        why = self._selection.leaves_out(name, folder)
        if why == "hidden":
            left.hidden += 1
        elif why is not None:
            left.system[why] += 1
        return why is None

    def _may_hide_a_folder(self, link: os.DirEntry[str]) -> bool:
        """Whether a link to nothing may lead to a folder to look into at other times, on a disk that is not mounted now."""
        return not os.path.exists(link.path) and self._chosen(link.path, is_folder=True)  # noqa: PTH110 - which never raises

    def _chosen(self, place: str, *, is_folder: bool) -> bool:
        if self._selection.everything:
            return True
        path = place[len(self._root) :].strip(os.sep).replace(os.sep, "/")
        return self._selection.takes_folder(path) if is_folder else self._selection.takes_file(path)

    def _first_name(self, entry: os.DirEntry[str], named: dict[tuple[int, int], str]) -> str | None:
        """The other path under which a picture is there, or was there; None for the first one."""
        try:
            facts = entry.stat()
        except OSError:
            return None
        file = facts.st_dev, facts.st_ino
        if entry.is_symlink():
            if (seen := self._seen(os.path.realpath(entry.path))) is not None:
                return seen
        elif facts.st_nlink < 2:
            return None
        first = named.setdefault(file, entry.path)
        return first if first != entry.path else None

    def _seen(self, path: str) -> str | None:
        """The path of a real file that is one of the walk's own, as the walk comes to it."""
        folder, _, name = path.rpartition(os.sep)
        try:
            facts = Path(folder or os.sep).stat()
        except OSError:
            return None
        walked = self._folders.get((facts.st_dev, facts.st_ino))
        if walked is None or not has_picture_suffix(name) or self._selection.leaves_out(name) is not None:
            return None
        walked += os.sep + name
        return walked if self._chosen(walked, is_folder=False) else None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, say; if it has a picture's name, it is reported as one that cannot be read
        return False
