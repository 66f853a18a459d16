"""What a source is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from semblant_search.collection import uri_path
from semblant_search.file_access import real_place

from semblant_indexer.url_reading import is_web_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from semblant_search.collection import FieldType

__all__ = ["Item", "Problem", "Source", "only_within"]


class Problem(NamedTuple):
    """Why an item goes no further: `outcome` is `failed` or `skipped`, `reason` a short stable code."""

    outcome: str
    reason: str
    message: str


class Item(NamedTuple):
    """One picture to be indexed, or one thing that looked like it.

    Attributes:
        uri: canonical.
        size: bytes, or -1 where only reading tells.
        mtime_ns: time of the last change, or -1 where only reading tells.
        metadata: payload under the user's own names.
        problem: None for a picture that can be tried.
        place: where workers read it (see `reading`), or None where the URI says it.
    """

    uri: str
    size: int = -1
    mtime_ns: int = -1
    metadata: Mapping[str, Any] = {}
    problem: Problem | None = None
    place: str | None = None


class Source(Protocol):
    """A stream of items, the same ones in the same order as long as nothing changes."""

    @property
    def scope(self) -> str:
        """The source's own URI: what it held once and holds no longer counts as removed. A folder's ends with a slash."""
        ...

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """The types of all metadata that items can carry; known before the first item."""
        ...

    def adopt_types(self, known: Mapping[str, FieldType]) -> None:
        """Convert metadata to the types of a collection's fields where those are wider; before the first item."""
        ...

    @property
    def tables(self) -> Sequence[str]:
        """Paths or addresses of the metadata tables that it came with, and of which rows are about its pictures."""
        ...

    @property
    def second_names(self) -> Mapping[str, Sequence[str]]:
        """URIs of other names of pictures' very files, by the URI of the picture; complete after the last item."""
        return {}

    @property
    def notes(self) -> Sequence[str]:
        """What a user should know about the source; complete after the last item."""
        ...

    @property
    def incomplete(self) -> Sequence[str]:
        """Why there may be pictures that were not seen; nothing after a whole scan. Complete after the last item."""
        ...

    def items(self) -> Iterator[Item]:
        """All items. Raises `InvalidInput` where the source as a whole cannot be used."""
        ...


def only_within(item: Item, roots: Sequence[Path]) -> Item:
    """The item, to be skipped where its file, once links are followed, lies in none of the folders, which are resolved."""
    if item.place is not None and not is_web_url(item.place):  # the member of a tar, which is the source itself
        return item
    path = uri_path(item.uri)
    real = None if path is None else real_place(path)
    if real is not None and any(root in Path(real).parents for root in roots):
        return item
    return Item(item.uri, problem=Problem("skipped", "outside", f"{item.uri}: lies outside of the folders that may be read"))
