"""What a ledger's rows say: pictures to look at, and what became of them."""

from __future__ import annotations

from typing import NamedTuple

from semblant_search.collection import uri_path

__all__ = ["TRANSIENT", "Entry", "Todo"]

TRANSIENT = ("missing", "unreadable", "timeout", "crashed", "too-large", "metadata", "unsupported")
"""Reasons that may be gone next time without the file having changed. Others are a matter of the file's content."""


class Todo(NamedTuple):
    """A picture that the run has to look at.

    Attributes:
        payload: its metadata, as JSON.
        metadata: a hash of that.
        sha256: of the content that its point was made from, or None if it has no point.
        same_file: its point was made from it as it is, for size and time are what they were.
        same_metadata: the metadata is what it was.
        place: where to read it, if its URI does not say it.
        elsewhere: contents of its size whose files are gone: this may be one of them under a new name.
        unknown_metadata: it has a point, but the ledger does not know what metadata of this source that has.
    """

    uri: str
    size: int
    mtime_ns: int
    payload: str
    metadata: str
    sha256: str | None = None
    same_file: bool = False
    same_metadata: bool = False
    elsewhere: frozenset[str] = frozenset()
    place: str | None = None
    unknown_metadata: bool = False

    @property
    def where(self) -> str:
        """Where a worker reads it: a path, a URL or a place in a tar."""
        if self.place is not None:
            return self.place
        path = uri_path(self.uri)
        return str(path) if path is not None else self.uri

    @property
    def known(self) -> frozenset[str]:
        """Contents that need no decoding, for they have a point already."""
        return self.elsewhere if self.sha256 is None else frozenset((self.sha256,))


class Entry(NamedTuple):
    """What became of a picture.

    Attributes:
        point: whether it has a point.
        written: whether this run wrote the point.
    """

    uri: str
    size: int
    mtime_ns: int
    sha256: str | None
    metadata: str | None
    outcome: str
    reason: str | None = None
    message: str | None = None
    point: bool = True
    written: bool = False
