"""Kinds of file that Pillow does not decode by itself: what each is by its first bytes, and what would read it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from semblant_search.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import ImageFile

__all__ = ["OtherKind", "is_tiff", "other_kind", "raw_by_tags"]

_NOT_READ = "not a picture in a format that Semblant reads"
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_VIDEO_BRANDS = (
    b"isom",
    b"iso2",
    b"iso4",
    b"iso5",
    b"iso6",
    b"mp41",
    b"mp42",
    b"avc1",
    b"M4V ",
    b"qt  ",
    b"3gp4",
    b"dash",
)


_REDUCED, _PHOTOMETRIC, _OTHER_PICTURES, _DNG_VERSION = 254, 262, 330, 50706
_OF_RAW = (32803, 34892)
"""Photometric interpretations: a mosaic of colours, linear raw."""


@dataclass(frozen=True)
class OtherKind:
    """A kind of file beside those of Pillow.

    Attributes:
        name: as people call it.
        advice: what would read it, or what to do.
        module: the optional library that reads it here; None where nothing does.
    """

    name: str
    advice: str
    module: str | None = None

    def opened(self, data: bytes, name: str) -> ImageFile.ImageFile:
        """The picture, not yet decoded, where its library is installed; else `ImageError` says what it is and what reads it."""
        if self.module == "pillow_heif" and find_spec("pillow_heif") is not None:
            import pillow_heif

            plugin: Any = pillow_heif.HeifImageFile  # as it is, not put into Pillow's register, which is the program's own
            return cast("ImageFile.ImageFile", plugin(io.BytesIO(data), ""))
        reason = "unsupported" if self.module else "not-an-image"
        raise ImageError(f"{name}: is {self.name}, {_NOT_READ}; {self.advice}", reason=reason)


_HEIF = OtherKind("a HEIC picture", "it needs another library: pip install 'semblant-search[heif]'", "pillow_heif")
_VIDEO = OtherKind("a video", "take frames out of it, for instance with ffmpeg, and index those")
_RAW = OtherKind("a camera's raw file", "develop it to JPEG or TIFF, for instance with darktable or pip install rawpy")
_JXL = OtherKind("a JPEG XL picture", "convert it to PNG or JPEG, for instance by djxl or pip install pillow-jxl-plugin")
_SVG = OtherKind("an SVG drawing", "draw it as PNG, for instance by rsvg-convert or pip install resvg-py")
_DEEP_PSD = OtherKind("a Photoshop file of 16 or 32 bits a channel", "save it with 8, or as PNG or TIFF")
_KINDS: tuple[tuple[bytes, int, OtherKind], ...] = (
    (b"%PDF-", 0, OtherKind("a PDF document", "draw its pages as PNG, for instance by pdftoppm or pip install pypdfium2")),
    (b"\xff\x0a", 0, _JXL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", 0, _JXL),
    (b"FUJIFILMCCD-RAW", 0, _RAW),
    (b"IIRO", 0, _RAW),
    (b"IIU\0", 0, _RAW),
    (b"CR\2", 8, _RAW),
    (b"\x1aE\xdf\xa3", 0, _VIDEO),
    (b"AVI ", 8, _VIDEO),
    (b"PK\3\4", 0, OtherKind("a ZIP archive", "unpack it, and index the folder")),
    (b"gimp xcf", 0, OtherKind("a GIMP drawing (XCF)", "export it as PNG")),
    (b"v/1\1", 0, OtherKind("an OpenEXR picture", "convert it to PNG or TIFF, for instance with ImageMagick")),
    (b"#?RADIANCE", 0, OtherKind("a Radiance HDR picture", "convert it to PNG or TIFF, for instance with ImageMagick")),
    (b"II\xbc\1", 0, OtherKind("a JPEG XR picture", "convert it to PNG or JPEG")),
    (b"DICM", 128, OtherKind("a DICOM picture", "convert it to PNG or TIFF, for instance by pip install pydicom")),
    (b"%!PS", 0, OtherKind("a PostScript drawing", "draw it as PNG, for instance with Ghostscript")),
    (b"P7\n", 0, OtherKind("a PAM picture", "convert it to PNG, for instance by pamtopng")),
    (b"PF\n", 0, OtherKind("a PFM picture of colours", "convert it to PNG or TIFF, for instance with ImageMagick")),
    (b"AT&TFORM", 0, OtherKind("a DjVu document", "draw its pages as TIFF, for instance by ddjvu")),
    (b"DDS ", 0, OtherKind("a DDS texture", "convert it to PNG, for instance with ImageMagick")),
    (b"icns", 0, OtherKind("an icon of macOS (ICNS)", "convert it to PNG, for instance by icns2png")),
    (b"SIMPLE  =", 0, OtherKind("a FITS picture", "convert it to PNG or TIFF, for instance by pip install astropy")),
    (b"FLIF", 0, OtherKind("a FLIF picture", "convert it to PNG by flif")),
    (b"BPG\xfb", 0, OtherKind("a BPG picture", "convert it to PNG by bpgdec")),
)
"""First bytes, where they stand, and what they are."""


def other_kind(data: bytes) -> OtherKind | None:
    """What these bytes are, where it is none of the formats of Pillow that are read; None where it may be one."""
    for magic, place, kind in _KINDS:
        if data.startswith(magic, place):
            return kind
    if data.startswith(b"8BPS") and data[22:24] in (b"\0\x10", b"\0 "):
        return _DEEP_PSD
    if data[4:8] == b"ftyp":
        brands = {data[8:12], *(data[start : start + 4] for start in range(16, min(int.from_bytes(data[:4], "big"), 256), 4))}
        if not brands.isdisjoint((b"avif", b"avis")):
            return None
        if b"crx " in brands:
            return _RAW
        if not brands.isdisjoint(_HEIF_BRANDS):
            return _HEIF
        return _VIDEO if not brands.isdisjoint(_VIDEO_BRANDS) else None
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    return _SVG if head.startswith(b"<") and b"<svg" in head else None


def raw_by_tags(tags: Mapping[int, Any]) -> OtherKind | None:
    """A camera's raw file in the shape of a TIFF (DNG, NEF, ARW, …), whose first picture is a preview; None for a picture."""
    mosaic = tags.get(_PHOTOMETRIC) in _OF_RAW or (tags.get(_REDUCED, 0) == 1 and _OTHER_PICTURES in tags)
    return _RAW if _DNG_VERSION in tags or mosaic else None


def is_tiff(data: bytes) -> bool:
    """Also of more than 4 GB (BigTIFF)."""
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
