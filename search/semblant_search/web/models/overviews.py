"""What the page asks for before anything is searched: what is allowed, folders, and how values are spread."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

__all__ = ["About", "Bin", "Folder", "Folders", "Histogram", "PlaceCell", "Places"]


class About(BaseModel):
    """What a service is and what its caller may do."""

    version: str
    collection: str = Field(description="The one that a request means which names none.")
    scope: Literal["search", "write", "admin"] = Field(description="What the caller may do, a read-only service considered.")
    limited: bool = Field(description="Whether the caller's key is for some pictures only.")
    originals: bool = Field(description="Whether files themselves are given out.")
    max_body: int = Field(description="Bytes of a request.")
    max_pixels: int
    max_limit: int = Field(description="Hits or pictures in one answer.")


class Folder(BaseModel):
    """A folder, with all that is below it."""

    name: str
    uri: str = Field(description="Ends with a slash; `startswith(_uri, …)` with it filters by the folder.")
    count: int


class Folders(BaseModel):
    """The folders within one."""

    uri: str = Field(description="The folder itself; that of all pictures where none was asked for.")
    folders: list[Folder]
    pictures: int = Field(description="Pictures that lie in it directly.")


class Bin(BaseModel):
    """Pictures from one value to another, which does not belong to it, but for the last one's."""

    low: float | str
    high: float | str
    count: int


class Histogram(BaseModel):
    """How the values of a field are spread. Without pictures that have one, there are no bins."""

    field: str
    kind: Literal["integer", "float", "datetime"]
    unit: Literal["year", "month", "day", "hour"] | None = Field(None, description="Of dates: what a bin is.")
    bins: list[Bin]


class PlaceCell(BaseModel):
    """Pictures whose places lie within a rectangle of degrees."""

    south: float
    west: float
    north: float
    east: float
    count: int


class Places(BaseModel):
    """Where the places of a field lie. Without pictures that have one, there are no cells."""

    field: str
    cells: list[PlaceCell]
