"""Contents put together around the one to keep, and the decoded pictures by which they are compared."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from semblant_search.errors import ImageError
from semblant_search.images import DEFAULT_MAX_PIXELS, read_file

from .copies import NO_COPY, copy_proof
from .decoding import DecodedPicture, decode, views
from .pixels import ORIENTATIONS

if TYPE_CHECKING:
    from .copies import CopyProof
    from .files import Content
    from .signatures import Signature

__all__ = ["Changed", "Cluster", "Copy", "DecodedPictures", "area_of", "difference", "signature_of_content"]

_KEPT_BYTES = 200_000_000


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


class DecodedPictures:
    """The pixels of the contents that were compared last."""

    def __init__(self, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        self._max_pixels = max_pixels
        self._kept: OrderedDict[str, DecodedPicture] = OrderedDict()
        self._bytes = 0

    def of(self, content: Content) -> DecodedPicture | None:
        """None where the file changed since it was read first, or went."""
        kept = self._kept.get(content.sha256)
        if kept is None:
            name = content.first
            try:
                if name.path is None or name.file is None:
                    return None
                data, facts = read_file(name.path)
                if (facts.st_size, facts.st_mtime_ns) != name.file[2:]:
                    return None
                kept = decode(data, self._max_pixels)
            except ImageError:
                return None
            self._kept[content.sha256] = kept
            self._bytes += kept.nbytes
        self._kept.move_to_end(content.sha256)
        while self._bytes > _KEPT_BYTES and len(self._kept) > 2:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return kept

    def proof(self, larger: Content, smaller: Content, orientation: int) -> CopyProof:
        """`copy_proof` of two contents, the worst of their `views`; `NO_COPY` where one cannot be read any more."""
        one, other = self.of(larger), self.of(smaller)
        pairs = None if one is None or other is None else views(one.turned(orientation), other)
        if pairs is None:
            return NO_COPY
        worst: CopyProof | None = None
        for first, second in pairs:
            if first.area < second.area:
                first, second = second, first
            proof = copy_proof(first, second)
            if worst is None or proof.distance > worst.distance:
                worst = proof
            if worst == NO_COPY:
                break
        assert worst is not None
        assert one is not None
        assert other is not None
        # Numbers of two spaces are never quite the same: a faint change may hide in what was rounded.
        return worst if one.profile == other.profile else worst._replace(sure=False)
