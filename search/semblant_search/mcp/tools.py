"""The tools: what a model may ask of a collection, each a call of `SearchClient`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from semblant_search.collection import FieldType
from semblant_search.errors import SemblantError
from semblant_search.file_access import only_under
from semblant_search.shown import counted

from . import contents

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_search.client import SearchClient

    from .naming import AllowedFiles

__all__ = ["ReadingTools", "WritingTools"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_MOST = 50
_MOST_GROUPS = 20
_VALUES = 8
"""Of a field, where a collection is described."""

PictureName = Annotated[
    str, Field(description="A picture: the path of a file under an allowed folder, or the URI or id of one of the collection.")
]
Where = Annotated[
    str | None,
    Field(
        description="Only pictures whose metadata match: label == 'boot' and price < 100; also !=, in ['a', 'b'], not. "
        "Dates are text in RFC 3339. describe_collection names the fields."
    ),
]
Limit = Annotated[int, Field(ge=1, le=_MOST, description="Pictures at most.")]
Thumbnails = Annotated[bool, Field(description=f"Add small pictures of the first {contents.MOST_THUMBNAILS}; costs context.")]
Region = Annotated[
    list[float] | None,
    Field(min_length=4, max_length=4, description="Look for this part of the picture: x, y, width, height in pixels."),
]
Metadata = Annotated[dict[str, Any], Field(description="Names and values: text, numbers, booleans, or lists of them.")]


def _tool(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """Its failures as the model shall read them, and no file but the allowed ones is opened meanwhile."""

    @functools.wraps(method)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        tools: Any = args[0]
        try:
            with only_under(tools.files.roots()):
                return method(*args, **kwargs)
        except SemblantError as error:
            raise ToolError(str(error)) from error

    return call


class ReadingTools:
    """Those that change nothing. Their docstrings are what the model reads."""

    def __init__(self, client: SearchClient, files: AllowedFiles) -> None:
        self.client = client
        self.files = files

    @_tool
    def describe_collection(self) -> list[Any]:
        """What is in this collection: how many pictures, from where, and which metadata fields with their commonest values."""
        manifest = self.client.manifest
        lines = [f"Collection {manifest.collection!r}: {counted(self.client.count(), 'picture')}."]
        lines += [
            f"Source {one.name!r}: {counted(one.pictures, 'picture')} of {one.root}"
            for one in self.client.sources()
            if one.root
        ]
        lines += [f"Compared by {manifest.encoder.name} ({manifest.dim} numbers a picture)."]
        lines += ["It can be searched by details." if manifest.orb else "It was indexed without details."]
        for name, kind in sorted(manifest.fields.items()):
            if name.startswith("_"):
                continue
            told = f"Field {name} ({kind.value})"
            if kind in (FieldType.KEYWORD, FieldType.BOOL):
                told += ": " + contents.rows(self.client.facet(name, limit=_VALUES).items())
            lines.append(told)
        return [contents.text("\n".join(lines))]

    @_tool
    def search_by_picture(
        self,
        picture: PictureName,
        limit: Limit = 10,
        where: Where = None,
        min_score: Annotated[float | None, Field(ge=-1, le=1, description="Least similarity, a cosine.")] = None,
        region: Region = None,
        unique: Annotated[bool, Field(description="One of each group of copies.")] = False,
        diversity: Annotated[float | None, Field(ge=0, le=1, description="How much hits differ from each other.")] = None,
        thumbnails: Thumbnails = False,
    ) -> list[Any]:
        """Find the pictures that look most like one, best first."""
        hits = self.client.search(
            self.files.query(picture),
            limit,
            where=where,
            min_score=min_score,
            region=None if region is None else tuple(region),
            unique=unique,
            diversity=diversity,
        )
        return contents.pictures(f"{len(hits)} pictures like it:", hits, client=self.client if thumbnails else None)

    @_tool
    def search_by_details(
        self,
        picture: PictureName,
        limit: Limit = 10,
        where: Where = None,
        min_confidence: Annotated[float | None, Field(ge=0, le=1, description="Least probability of a hit.")] = None,
        region: Region = None,
        shared_parts: Annotated[bool, Field(description="Also pictures that have only a part in common.")] = False,
        thumbnails: Thumbnails = False,
    ) -> list[Any]:
        """Find the pictures that contain what one shows: copies, crops, rotated or scaled ones. Each hit is proven."""
        given = {} if min_confidence is None else {"min_confidence": min_confidence}
        hits = self.client.search_features(
            self.files.query(picture),
            limit,
            where=where,
            region=None if region is None else tuple(region),
            shared_parts=shared_parts,
            **given,  # type: ignore[arg-type]
        )
        return contents.pictures(f"{len(hits)} pictures share its details:", hits, client=self.client if thumbnails else None)

    @_tool
    def list_pictures(
        self,
        where: Where = None,
        limit: Limit = 20,
        order_by: Annotated[str | None, Field(description="A field of numbers or dates.")] = None,
        descending: Annotated[bool, Field(description="With order_by: the highest value first.")] = False,
        cursor: Annotated[str | None, Field(description="Of the answer before: go on.")] = None,
        thumbnails: Thumbnails = False,
    ) -> list[Any]:
        """List the pictures that match a filter, and say how many there are."""
        page = self.client.scroll(limit, where=where, order_by=order_by, descending=descending, cursor=cursor)
        head = f"{self.client.count(where):,} pictures match; these are {len(page.pictures)} of them:"
        more = [] if page.cursor is None else [contents.text(f"There are more: cursor {page.cursor}")]
        return [*contents.pictures(head, page.pictures, client=self.client if thumbnails else None), *more]

    @_tool
    def list_values(
        self,
        field: Annotated[str, Field(description="A metadata field.")],
        where: Where = None,
        limit: Annotated[int, Field(ge=1, le=1000, description="Values at most.")] = 50,
    ) -> list[Any]:
        """The values of a metadata field, most frequent first, with how many pictures have each."""
        values = self.client.facet(field, where=where, limit=limit)
        return [contents.text("\n".join(f"{value}: {count:,}" for value, count in values.items()) or "No values.")]

    @_tool
    def find_duplicates(self, where: Where = None) -> list[Any]:
        """Groups of files that are one and the same picture, and which to keep. Reads all files: minutes for many."""
        return contents.duplicates(self.client.duplicates(where=where), _MOST_GROUPS)

    @_tool
    def show_picture(self, picture: PictureName) -> list[Any]:
        """A picture of the collection: its metadata, what is known of its file, and a thumbnail."""
        found = self.client.get(self.files.name(picture))
        facts = "\n".join(f"{name.removeprefix('_')}: {value}" for name, value in sorted(found.facts.items()))
        return [*contents.pictures("The picture:", [found], client=self.client), contents.text(facts)]


class WritingTools(ReadingTools):
    """Those that change the collection; files stay as they are."""

    @_tool
    def add_picture(
        self,
        path: Annotated[str, Field(description="A file under an allowed folder.")],
        metadata: Metadata | None = None,
        uri: Annotated[str | None, Field(description="Its name, such as shop://items/17; else that of the file.")] = None,
    ) -> list[Any]:
        """Add a picture to the collection, or replace the one of the same name."""
        added = self.client.add(self.files.file(path), metadata or {}, uri=uri)
        return contents.pictures("Added:", [added], client=None)

    @_tool
    def update_metadata(
        self, pictures: Annotated[list[PictureName], Field(min_length=1, max_length=1000)], metadata: Metadata
    ) -> list[Any]:
        """Change metadata of pictures of the collection; fields that are not named stay, null takes one away."""
        count = self.client.update_metadata([self.files.name(one) for one in pictures], metadata)
        return [contents.text(f"Changed {counted(count, 'picture')}.")]

    @_tool
    def delete_pictures(self, pictures: Annotated[list[PictureName], Field(min_length=1, max_length=1000)]) -> list[Any]:
        """Take pictures out of the collection. Their files stay."""
        count = self.client.delete([self.files.name(one) for one in pictures])
        return [contents.text(f"Removed {counted(count, 'picture')} from the collection.")]
