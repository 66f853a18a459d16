"""The header of a picture file: what it says it is, before anything is decoded.

`PIL.Image.open` measures each file by `PIL.Image.MAX_IMAGE_PIXELS`, and warns or refuses. That is a limit of the whole program,
which is not ours to change, not even for a moment: other threads open pictures meanwhile. So Pillow's plugins are asked one by
one, as `open` does it, and callers check the size by a limit of their own. What a plugin itself warns of, as damaged metadata,
the program hears or silences as it likes.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

from semblant_search.errors import ImageError
from semblant_search.frame_names import split_bytes

from .boxes import jp2_exif
from .embedded import embedded_profile
from .frames import page_number, seek
from .kinds import is_tiff, is_unknown_to_pillow, other_jpeg, other_kind, raw_by_tags
from .png import SIGNATURE, readable_png

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL import ImageFile

__all__ = ["as_icon", "icon_sizes", "open_header"]

# Raster formats that Pillow decodes by itself: no EPS (it would start Ghostscript), no documents, no stubs.
_FORMATS = (
    "PNG",
    "JPEG",
    "GIF",
    "WEBP",
    "BMP",
    "TIFF",
    "PPM",
    "AVIF",
    "JPEG2000",
    "ICO",
    "TGA",
    "PCX",
    "QOI",
    "SGI",
    "DIB",
    "PSD",
)
_SIGNATURES = (
    (SIGNATURE, "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"RIFF", "WebP"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
)


def open_header(data: bytes, name: str = "picture") -> ImageFile.ImageFile:
    """The picture of these bytes, not yet decoded: its size, mode and format. Errors begin with the name.

    What its bytes are decides, never its name. `info["icc_profile"]` is the profile of its colours by all that a PNG says.

    Raises:
        ImageError: empty, cut short, of no format that Semblant reads, or without the frame that is asked for. What Pillow
            raises on damaged ones passes.
    """
    data, fragment = split_bytes(data)
    if not data:
        raise ImageError(f"{name}: is empty (0 bytes)", reason="empty")
    if data.startswith(SIGNATURE) and data[12:16] != b"CgBI":
        readable, profile = readable_png(data)
        picture = _parsed(readable, "PNG")
        if picture is not None and not isinstance(picture, str):
            seek(picture, fragment, name)
            return _png_with_colours(picture, data[24], profile)
    other = None if data.startswith(b"\xff\xd8\xff") else other_kind(data)
    if other is not None:
        return _with_colours(other.opened(data, name, fragment), data)
    missing = []
    for kind in () if is_unknown_to_pillow(data) else _FORMATS:
        found = _parsed(data, kind)
        if isinstance(found, str):
            missing.append(found)
        elif found is not None:
            if fragment is not None and kind == "TIFF":
                return _page(found, data, fragment, name)
            seek(found, fragment, name)
            return _as_wide_tiff(data, name, found) or _with_colours(found, data)
    why = f" ({missing[0]})" if missing else ""
    wide = _as_wide_tiff(data, name, number=page_number(fragment, name))
    if wide is not None:
        return wide
    if (jpeg := other_jpeg(data) if data.startswith(b"\xff\xd8\xff") else None) is not None:
        jpeg.check(name)
    for magic, kind in _SIGNATURES:
        if data.startswith(magic) or magic.startswith(data):
            raise ImageError(f"{name}: begins like a {kind}, but is cut short or broken{why}", reason="truncated")
    raise ImageError(
        f"{name}: is not a picture in a format that Semblant reads (PNG, JPEG, GIF, WebP, AVIF, TIFF, BMP, …){why}",
        reason="not-an-image",
    )


def _page(found: ImageFile.ImageFile, data: bytes, fragment: str, name: str) -> ImageFile.ImageFile:
    """Another page of a TIFF, which may be of another kind than its first."""
    number = page_number(fragment, name)
    try:
        seek(found, fragment, name)
    except ImageError:
        raise
    except Exception:  # of a kind that Pillow does not read; its errors have no common base
        wide = _as_wide_tiff(data, name, number=number)
        if wide is None:
            raise
        return wide
    return _as_wide_tiff(data, name, found, number=number) or _with_colours(found, data)


def _parsed(data: bytes, kind: str) -> ImageFile.ImageFile | str | None:
    """The picture as one plugin of Pillow understands it; None where it is of another kind, text where Pillow lacks a codec."""
    from PIL import Image

    Image.preinit()
    if kind not in Image.OPEN:
        Image.init()
    if kind not in Image.OPEN:  # Pillow came to know it later, or was built without
        return None
    factory, accepts = Image.OPEN[kind]
    if kind == "JPEG":
        from .jpeg import FirstJpeg

        factory = FirstJpeg
    if kind == "PNG":
        from .grey_alpha import GreyAlphaPng

        factory = GreyAlphaPng if GreyAlphaPng.reads(data) else factory
    try:
        accepted = accepts is None or accepts(data[:16])
        if not accepted or isinstance(accepted, str):
            return accepted or None
        return _masked(data, factory) if kind == "BMP" else factory(io.BytesIO(data), "")
    except (SyntaxError, IndexError, TypeError, struct.error):  # what plugins say no with
        return None


def _masked(data: bytes, factory: Callable[[io.BytesIO, str], ImageFile.ImageFile]) -> ImageFile.ImageFile:
    """A BMP, also one whose masks of bits Pillow does not know, or whose runs it reads otherwise."""
    from .bmp import MaskedBmp, has_masks
    from .packed_bmp import PackedBmp, is_packed

    if is_packed(data):
        return PackedBmp(data)
    try:
        return factory(io.BytesIO(data), "")
    except OSError:
        if not has_masks(data):
            raise
    return MaskedBmp(data)


def _as_wide_tiff(
    data: bytes, name: str, found: ImageFile.ImageFile | None = None, number: int = 0
) -> ImageFile.ImageFile | None:
    """A page of a TIFF that Pillow does not know, or takes for another kind; None for all else."""
    if not is_tiff(data) or (found is not None and found.format != "TIFF"):
        return None
    from .tiff import is_misread, wide_tiff

    raw = None if found is None else raw_by_tags(getattr(found, "tag_v2", {}))
    if raw is not None:
        return raw.opened(data, name)
    return wide_tiff(data, name, number) if found is None or is_misread(found) else None


def _png_with_colours(picture: ImageFile.ImageFile, bits: int, profile: bytes | None) -> ImageFile.ImageFile:
    """The same, with the profile of its colours, and its transparent grey as Pillow scales the others."""
    if profile is not None:
        picture.info["icc_profile"] = profile
    key = picture.info.get("transparency")
    if isinstance(key, int) and picture.mode == "L" and bits in (2, 4):
        picture.info["transparency"] = key * 255 // (2**bits - 1)
    return picture


def _with_colours(picture: ImageFile.ImageFile, data: bytes) -> ImageFile.ImageFile:
    """The same, with the ICC profile of its colours, and the EXIF block of a JP2, where Pillow passes them by."""
    if not picture.info.get("icc_profile"):
        profile = embedded_profile(picture, data)
        if profile is not None:
            picture.info["icc_profile"] = profile
    if picture.format == "JPEG2000" and "exif" not in picture.info and (block := jp2_exif(data)) is not None:
        picture.info["exif"] = block
    return picture


def as_icon(data: bytes) -> bytes:
    """An icon as if the largest and then deepest of its pictures, which viewers show, were its only one; all else as it is.

    Pillow takes the one of fewest colours, and believes the directory's bits, which many writers leave out.
    """
    data = _cursor_as_icon(data)
    if not data.startswith(b"\0\0\1\0"):
        return data
    found = []
    for entry in range(6, min(6 + 16 * int.from_bytes(data[4:6], "little"), len(data) - 15), 16):
        start = int.from_bytes(data[entry + 12 : entry + 16], "little")
        head = data[start : start + 16]
        if start == 0 or len(head) < 16:
            continue
        is_png, is_bitmap = head.startswith(_SIGNATURES[0][0]), head.startswith(b"\x28\0\0\0")
        bits = 32 if is_png else int.from_bytes(head[14:16] if is_bitmap else data[entry + 6 : entry + 8], "little")
        found.append(((data[entry] or 256) * (data[entry + 1] or 256), bits, -entry))
    if not found:
        return data
    _, bits, entry = max(found)
    best = data[-entry : 6 - entry] + bits.to_bytes(2, "little") + data[8 - entry : 16 - entry]
    return data[:4] + b"\1\0" + best[:2] + b"\0" + best[3:] + data[22:]


def _cursor_as_icon(data: bytes) -> bytes:
    """A cursor of Windows (CUR) as the icon that it is but for its number, and the place where it points; all else as it is.

    A TGA may begin with the same four bytes, and has zeros where the cursor counts its pictures.
    """
    count = int.from_bytes(data[4:6], "little")
    if not data.startswith(b"\0\0\2\0") or count == 0 or 6 + 16 * count > len(data):
        return data
    icon = bytearray(data)
    icon[2] = 1
    for entry in range(6, 6 + 16 * count, 16):
        start = int.from_bytes(data[entry + 12 : entry + 16], "little")
        if not 6 + 16 * count <= start < len(data):
            return data
        is_png = data.startswith(_SIGNATURES[0][0], start)
        icon[entry + 4 : entry + 8] = b"\1\0" + (b"\x20\0" if is_png else data[start + 14 : start + 16].ljust(2, b"\0"))
    return bytes(icon)


def icon_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """`(width, height)` of the pictures in an ICO file by their own headers; nothing of other files.

    What its directory says of them may be less, and Pillow decodes them to read the header.
    """
    if not data.startswith(b"\0\0\1\0"):
        return
    count = int.from_bytes(data[4:6], "little")
    for entry in range(6, min(6 + 16 * count, len(data) - 15), 16):
        start = int.from_bytes(data[entry + 12 : entry + 16], "little")
        header = data[start : start + 24]
        if start == 0 or len(header) < 24:
            continue
        if header.startswith(_SIGNATURES[0][0]):
            yield int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")
        elif header[:4] != b"\x0c\0\0\0":  # but for the oldest kind, which has 16 bits for each side
            # A bitmap, and below it another one of what is transparent.
            high = abs(int.from_bytes(header[8:12], "little", signed=True)) // 2
            yield int.from_bytes(header[4:8], "little"), high
