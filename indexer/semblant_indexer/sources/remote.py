"""Pictures below a URL that fsspec can list: `s3://`, `gs://`, `memory://`, …"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from semblant_search.errors import InvalidInput, MissingExtra

from .base import Item
from .folder import PICTURE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from semblant_search.collection import FieldType

__all__ = ["RemoteFolderSource"]


class RemoteFolderSource:
    """Every file below a URL that has a picture's name, in the order of names; its folder is its `label`.

    Raises:
        InvalidInput: the URL cannot be listed.
        MissingExtra: fsspec, or its package for this kind of URL, is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") + "/"
        try:
            import fsspec

            self._files, self._root = fsspec.core.url_to_fs(url)
            if not self._files.isdir(self._root):
                raise InvalidInput(f"source {url!r}: no such folder")
        except ImportError as error:
            raise MissingExtra(f"a source such as {url!r} ({error})", "semblant-indexer[remote]") from error
        except (OSError, ValueError) as error:
            if isinstance(error, InvalidInput):
                raise
            raise InvalidInput(f"source {url!r} cannot be listed: {error}") from error

    @property
    def scope(self) -> str:
        """The URL, with a slash at the end."""
        return self._url

    @property
    def fields(self) -> dict[str, FieldType]:
        """`label`."""
        from semblant_search.collection import FieldType

        return {"label": FieldType.KEYWORD}

    @property
    def notes(self) -> list[str]:
        """Nothing."""
        return []

    def items(self) -> Iterator[Item]:
        """One item a file."""
        root = self._root.rstrip("/") + "/"
        for path, facts in sorted(self._files.find(self._root, detail=True).items()):
            name = path.removeprefix(root)
            if name.rpartition(".")[2].lower() in PICTURE_SUFFIXES and "/." not in f"/{name}":
                folder = name.rpartition("/")[0].rpartition("/")[2]
                metadata = {"label": folder} if folder else {}
                yield Item(self._url + name, int(facts.get("size") or -1), _changed(facts), metadata)


def _changed(facts: dict[str, Any]) -> int:
    """Nanoseconds of the last change, by whatever name a file system tells it; -1 where it does not."""
    for name in ("LastModified", "mtime", "last_modified", "updated", "created"):
        value = facts.get(name)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value.replace("Z", "+00:00"))
            except ValueError:
                continue
        if isinstance(value, datetime):
            value = value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)
            value = value.timestamp()
        if isinstance(value, (int, float)):
            return int(value * 1e9)
    return -1
