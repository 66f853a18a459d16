"""Which pictures a model may name: those of the collection, and files under the allowed folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from semblant_search.collection import uri_path
from semblant_search.errors import InvalidInput
from semblant_search.file_access import is_under, real_place, source_folders
from semblant_search.querying.resolving import id_of
from semblant_search.shown import shown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.client import SearchClient

__all__ = ["AllowedFiles"]


class AllowedFiles:
    """The files that may be read.

    Args:
        client: of the collection.
        roots: folders; none means those that were indexed, or no folder for a service's collection, whose files are elsewhere.
        remote: the collection is a service's.
    """

    def __init__(self, client: SearchClient, roots: Sequence[Path], *, remote: bool) -> None:
        self._client = client
        self._given = tuple(roots)
        self._remote = remote

    def roots(self) -> tuple[Path, ...]:
        """The folders, as they are now."""
        return self._given or (() if self._remote else source_folders(self._client.sources()))

    def query(self, picture: str) -> str | Path:
        """What a search takes: an allowed file, else the point id of a picture of the collection; never another file's path."""
        path = _local(picture)
        if path is not None and self._allows(path):
            return path
        return self.name(picture)

    def name(self, picture: str) -> str:
        """The point id of a picture of the collection. Raises `InvalidInput` where there is none."""
        id = id_of(picture)
        if self._client.get_many([id])[0] is None:
            path = _local(picture)
            known = "" if path is None or self._allows(path) else f", and its file lies in none of {self._shown()}"
            raise InvalidInput(f"{shown_name(picture)}: is no picture of the collection{known}")
        return id

    def file(self, picture: str) -> Path:
        """An allowed file. Raises `InvalidInput`."""
        path = _local(picture)
        if path is None or not self._allows(path):
            raise InvalidInput(f"{shown_name(picture)}: expected the path of a file under {self._shown()}")
        return path

    def _allows(self, path: Path) -> bool:
        return is_under(real_place(path), map(real_place, self.roots()))

    def _shown(self) -> str:
        folders = ", ".join(map(str, self.roots()))
        return f"the folders that may be read ({folders or 'none: `semblant mcp --root DIR` names them'})"


def _local(picture: str) -> Path | None:
    """The path that a name is, or None for a point id or another URI."""
    if "://" in picture:
        return uri_path(picture)
    return None if len(picture) == 36 and id_of(picture) == picture.lower() else Path(picture)
