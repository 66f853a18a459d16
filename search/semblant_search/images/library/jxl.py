"""JPEG XL, by pillow-jxl-plugin.

Its plugin decodes whatever it opens, so that it is asked for pixels only once the size is known, which the file's own head
tells (ISO/IEC 18181-1, annex D). Importing it puts it into Pillow's register, where it would stand in the way of nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from semblant_search.errors import ImageError
from semblant_search.images.boxes import boxes
from semblant_search.images.frames import no_such

from .base import LibraryPicture

if TYPE_CHECKING:
    from PIL import ImageFile

__all__ = ["opened", "other_frames", "size_in"]

_RATIOS = (None, (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Of width to height, by their number in the head."""
_SIZE_BITS = (9, 13, 18, 30)
_BARE = b"\xff\x0a"


class _Bits:
    """Bits from the lowest of the first byte on."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        found = self._number & ((1 << count) - 1)
        self._number >>= count
        return found


def size_in(data: bytes) -> tuple[int, int]:
    """`(width, height)` of the first codestream of a file, before it is turned. Raises `SyntaxError` where there is none."""
    stream = data if data.startswith(_BARE) else b""
    for kind, start, end in () if stream else boxes(data, 0, len(data)):
        if kind in (b"jxlc", b"jxlp"):
            start += 4 if kind == b"jxlp" else 0
            stream = data[start : min(end, start + 64)]
            break
    if not stream.startswith(_BARE):
        raise SyntaxError("not a JPEG XL picture")
    bits = _Bits(stream[2:64])
    is_small = bits.take(1)

    def side() -> int:
        return (bits.take(5) + 1) * 8 if is_small else bits.take(_SIZE_BITS[bits.take(2)]) + 1

    height = side()
    ratio = _RATIOS[bits.take(3)]
    return (side() if ratio is None else height * ratio[0] // ratio[1]), height


class JxlPicture(LibraryPicture):
    """One picture of JPEG XL; upright as it comes."""

    format = "JXL"
    format_description = "JPEG XL"

    def _open(self) -> None:
        self._size = size_in(self._data)
        self._mode = "RGB"

    def decoded(self) -> Image.Image:
        """As its file says; the profile of its colours is known only then."""
        from pillow_jxl import Decoder

        was_jpeg, facts, pixels, profile, _ = Decoder(num_threads=1)(self._data)
        if was_jpeg:
            from semblant_search.images.headers import open_header

            picture = open_header(pixels)
            picture.load()
            self.info["icc_profile"] = picture.info.get("icc_profile")
            return picture
        if facts.mode not in ("L", "LA", "RGB", "RGBA", "I;16", "F", "F;16"):
            raise ImageError(
                f"is a JPEG XL picture of mode {facts.mode}, which is not read; save it as PNG", reason="unsupported"
            )
        self.info["icc_profile"] = profile
        mode = facts.mode.partition(";")[0] if facts.mode == "F;16" else facts.mode
        return Image.frombytes(mode, (facts.width, facts.height), pixels)


def opened(data: bytes, fragment: str | None, name: str) -> ImageFile.ImageFile:
    """See the package."""
    if fragment is not None:
        raise no_such(name, fragment)
    return JxlPicture(data)


def other_frames(data: bytes) -> list[str]:  # noqa: ARG001
    """None: the library decodes the first one only."""
    return []
