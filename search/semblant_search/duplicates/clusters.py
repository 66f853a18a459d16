"""Contents put together around the one to keep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .pixels import ORIENTATIONS

if TYPE_CHECKING:
    from .files import Content
    from .signatures import Signature

__all__ = ["Changed", "Cluster", "Copy", "area_of", "difference", "signature_of_content"]


@dataclass(frozen=True)
class Copy:
    """A content that was proven to be a copy of a cluster's first.

    Attributes:
        content: the files.
        why: words of `Duplicate.why`.
        sure: nothing of it would be lost with it, and no change could have gone unseen.
    """

    content: Content
    why: tuple[str, ...]
    sure: bool


@dataclass(frozen=True)
class Changed:
    """A content that shows what a cluster's first shows, changed. Attributes as in `Duplicate`."""

    content: Content
    why: tuple[str, ...]
    verdict: str = "none"
    probability: float = 1.0


@dataclass
class Cluster:
    """Contents that were compared with the first, which is the one to keep."""

    first: Content
    copies: list[Copy] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Number of files that are one and the same picture."""
        return len(self.first.files) + sum(len(copy.content.files) for copy in self.copies)


def signature_of_content(content: Content) -> Signature:
    """Of a content that could be decoded."""
    assert content.signature is not None
    return content.signature


def area_of(content: Content) -> int:
    """Pixels of a content that could be decoded."""
    width, height = signature_of_content(content).size
    return width * height


def difference(first: Content, content: Content, orientation: int) -> tuple[str, ...]:
    """What makes the difference between two files of one picture, in words of `Duplicate.why`."""
    one, other = signature_of_content(first), signature_of_content(content)
    size = one.size if orientation % 2 == 0 else one.size[::-1]
    why = [ORIENTATIONS[orientation]] if orientation else []
    if size != other.size:
        why.append("resized")
    if one.format != other.format:
        why.append("another format")
    if one.profile != other.profile:
        why.append("another colour profile")
    return tuple(why) or ("recompressed",)
