"""The decoded pictures and the glances by which contents are compared, as many of the last as fit into memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

from semblant_search.errors import ImageError
from semblant_search.images import DEFAULT_MAX_PIXELS, read_file

from .copies import NO_COPY, copy_proof
from .decoding import DecodedPicture, decode, views
from .glances import Glance, differ, glance_at
from .signatures import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from .copies import CopyProof
    from .files import Content
    from .signatures import Box

__all__ = ["DecodedPictures"]

_PICTURE_BYTES, _GLANCE_BYTES = 200_000_000, 100_000_000
_Kept = TypeVar("_Kept")


class _LastUsed(Generic[_Kept]):
    """Values by name, of which those that were asked for last are kept."""

    def __init__(self, most_bytes: int, nbytes: Callable[[_Kept], int]) -> None:
        self._most_bytes, self._nbytes = most_bytes, nbytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0

    def of(self, name: str, make: Callable[[], _Kept | None]) -> _Kept | None:
        """What is kept by a name, made where nothing is; None, which is not kept, where it cannot be made."""
        kept = self._kept.get(name)
        if kept is None:
            kept = make()
            if kept is None:
                return None
            self._kept[name] = kept
            self._bytes += self._nbytes(kept)
        self._kept.move_to_end(name)
        while self._bytes > self._most_bytes and len(self._kept) > 2:
            self._bytes -= self._nbytes(self._kept.popitem(last=False)[1])
        return kept


class DecodedPictures:
    """The pixels of the contents that were compared last, and what a glance shows of many more."""

    def __init__(self, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        self._max_pixels = max_pixels
        self._pictures = _LastUsed[DecodedPicture](_PICTURE_BYTES, lambda picture: picture.nbytes)
        self._glances = _LastUsed[tuple[Glance | None]](_GLANCE_BYTES, lambda kept: 0 if kept[0] is None else kept[0].nbytes)

    def of(self, content: Content) -> DecodedPicture | None:
        """None where the file changed since it was read first, or went."""
        return self._pictures.of(content.sha256, lambda: self._decoded(content))

    def _decoded(self, content: Content) -> DecodedPicture | None:
        name = content.first
        try:
            if name.path is None or name.file is None:
                return None
            data, facts = read_file(name.path)
            if (facts.st_size, facts.st_mtime_ns) != name.file[2:]:
                return None
            return decode(data, self._max_pixels)
        except ImageError:
            return None

    def differ(self, one: Content, other: Content, orientation: int, one_box: Box = WHOLE, other_box: Box = WHOLE) -> bool:
        """`glances.differ` of two contents; False, which says nothing, where one cannot be read any more."""
        first, second = self._glance(one), self._glance(other)
        return first is not None and second is not None and differ(first, second, orientation, one_box, other_box)

    def _glance(self, content: Content) -> Glance | None:
        def look() -> tuple[Glance | None] | None:
            picture = self.of(content)
            return None if picture is None else (glance_at(picture),)

        kept = self._glances.of(content.sha256, look)
        return None if kept is None else kept[0]

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
