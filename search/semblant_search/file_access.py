"""Which files may be opened for the pictures of a collection.

A picture's name may be that of a file, and whoever may add pictures gives them names. For a program of its user's every such
file may be opened; a service opens those under the folders that it gives out, and treats others as not at hand.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from .collection import uri_path
from .errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from .writing.source_changes import SourceSummary

__all__ = ["file_rule", "is_under", "only_under", "real_place", "source_folders"]

_roots: ContextVar[tuple[str | None, ...] | None] = ContextVar("semblant_file_roots", default=None)


@contextmanager
def only_under(roots: Iterable[Path]) -> Iterator[None]:
    """Within it, calls open files of pictures under these folders only, links followed. Threads of a copied context, too."""
    token = _roots.set(tuple(map(real_place, roots)))
    try:
        yield
    finally:
        _roots.reset(token)


def file_rule() -> Callable[[Path], bool]:
    """Says of a path whether the file of a picture may be opened there: as things are now, in any thread."""
    roots = _roots.get()
    if roots is None:
        return lambda _path: True
    return lambda path: is_under(real_place(path), roots)


def real_place(path: str | Path) -> str | None:
    """Where a path leads, links followed; None for one that no file system takes, such as one with a NUL."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return None


def is_under(place: str | None, roots: Iterable[str | None]) -> bool:
    """Whether a real path (`real_place`) is one of these real folders, or lies under one. One that is None does neither."""
    return place is not None and any(
        root is not None and (place == root or place.startswith(root.rstrip(os.sep) + os.sep)) for root in roots
    )


def source_folders(sources: Iterable[SourceSummary]) -> tuple[Path, ...]:
    """The local folders that were indexed."""
    folders = []
    for source in sources:
        try:
            path = uri_path(source.root) if source.root.endswith("/") else None
        except InvalidInput:
            continue
        if path is not None:
            folders.append(path)
    return tuple(folders)
