"""JPEG XL, by pillow-jxl-plugin.

Its plugin decodes whatever it opens, so that it is asked for pixels only once the size is known, which the file's own head
tells (ISO/IEC 18181-1, annex D). Importing it puts it into Pillow's register, where it would stand in the way of nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image

from semblant_search.errors import ImageError
from semblant_search.images.boxes import boxes
from semblant_search.images.exif import orientation_in, say_upright
from semblant_search.images.frames import no_such
from semblant_search.images.headers import open_header
from semblant_search.images.turning import upright

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
    """One picture of JPEG XL, upright: turned by its codestream, or by the EXIF block of the JPEG that it was made from."""

    format = "JXL"
    format_description = "JPEG XL"

    def _open(self) -> None:
        self._size = size_in(self._data)
        self._mode = "RGB"
        self.info.update(_exif_in(self._data))
        say_upright(self.info)

    def getexif(self) -> Image.Exif:
        """Also what is packed, and comes back with the JPEG that the file was made from."""
        if (
            "exif" not in self.info
            and self._data
            and any(kind == b"jbrd" for kind, _, _ in boxes(self._data, 0, len(self._data)))
        ):
            was_jpeg, _, jpeg, _, _ = self._unpacked()
            self.info.update(_exif_of(open_header(jpeg)) if was_jpeg else {})
            say_upright(self.info)
        return super().getexif()

    def _unpacked(self) -> tuple[bool, Any, bytes, bytes, Any]:
        from pillow_jxl import Decoder

        unpacked: tuple[bool, Any, bytes, bytes, Any] = Decoder(num_threads=1)(self._data)
        return unpacked

    def decoded(self) -> Image.Image:
        """As its file says; the profile of its colours is known only then."""
        was_jpeg, facts, pixels, profile, _ = self._unpacked()
        if was_jpeg:
            jpeg = open_header(pixels)
            jpeg.load()
            self.info.update({"icc_profile": jpeg.info.get("icc_profile"), **_exif_of(jpeg)})
            say_upright(self.info)
            return upright(jpeg, orientation_in(jpeg.info) or 1)
        if facts.mode not in ("L", "LA", "RGB", "RGBA", "I;16", "F", "F;16"):
            raise ImageError(
                f"is a JPEG XL picture of mode {facts.mode}, which is not read; save it as PNG", reason="unsupported"
            )
        self.info["icc_profile"] = profile
        mode = facts.mode.partition(";")[0] if facts.mode == "F;16" else facts.mode
        return Image.frombytes(mode, (facts.width, facts.height), pixels)


def _exif_in(data: bytes) -> dict[str, bytes]:
    """The EXIF block of the file's boxes, as `info` has it; not one that is packed (by Brotli)."""
    found: dict[str, bytes] = {}
    for kind, start, end in () if data.startswith(_BARE) else boxes(data, 0, len(data)):
        if kind == b"Exif":  # ISO/IEC 18181-2, 9.4: the place of the block in it, and all else; some write the block alone
            block = data[start:end]
            bare = block[:4] in (b"II*\0", b"MM\0*")
            found.setdefault("exif", block if bare else block[4 + int.from_bytes(block[:4], "big") :])
    return found


def _exif_of(jpeg: Image.Image) -> dict[str, bytes]:
    return {"exif": jpeg.info["exif"]} if "exif" in jpeg.info else {}


def opened(data: bytes, fragment: str | None, name: str) -> ImageFile.ImageFile:
    """See the package."""
    if fragment is not None:
        raise no_such(name, fragment)
    return JxlPicture(data)


def other_frames(data: bytes) -> list[str]:  # noqa: ARG001
    """None: the library decodes the first one only."""
    return []
