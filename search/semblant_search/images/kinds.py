"""Kinds of file that Pillow does not decode by itself: what each is by its first bytes, and what would read it."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from semblant_search.errors import ImageError

from .strangers import are_strangers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import ImageFile

__all__ = ["OtherKind", "is_tiff", "is_unknown_to_pillow", "other_jpeg", "other_kind", "rare_packing", "raw_by_tags"]

_NOT_READ = "not a picture in a format that Semblant reads"
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AUDIO_BRANDS = (b"M4A ", b"M4B ", b"M4P ", b"F4A ")


_REDUCED, _PHOTOMETRIC, _OTHER_PICTURES, _DNG_VERSION = 254, 262, 330, 50706
_COMPRESSION, _RARE_PACKINGS = 259, {34887: "LERC", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL"}
_OF_RAW = (32803, 34892)
"""Photometric interpretations: a mosaic of colours, linear raw."""


@dataclass(frozen=True)
class OtherKind:
    """A kind of file beside those of Pillow.

    Attributes:
        name: as people call it.
        advice: what to do, where no library reads it here.
        extra: the extra of `semblant-search` that reads it; None where nothing does.
        module: of the library that comes with the extra.
        is_active: whether reading it does what the file says, or takes what time and memory the file likes: a service does not
            read such a file of a stranger.
    """

    name: str
    advice: str = ""
    extra: str | None = None
    module: str = ""
    is_active: bool = False

    @property
    def is_readable(self) -> bool:
        """Whether its library is installed."""
        return self.extra is not None and find_spec(self.module) is not None

    def opened(self, data: bytes, name: str, fragment: str | None = None) -> ImageFile.ImageFile:
        """The picture, not yet decoded. Raises `ImageError`, which says what it is and what reads it."""
        self.check(name)
        return cast("ImageFile.ImageFile", self._reader.opened(data, fragment, name))

    def other_frames(self, data: bytes, name: str) -> list[str]:
        """See `frames.other_frames`."""
        self.check(name)
        return cast("list[str]", self._reader.other_frames(data))

    def check(self, name: str) -> None:
        """Raise `ImageError` where its library is not installed, or there is none."""
        if self.is_active and are_strangers():
            raise ImageError(f"{name}: is {self.name}, which a service does not read; send a PNG of it", reason="unsupported")
        if self.is_readable:
            return
        if self.extra is None:
            raise ImageError(f"{name}: is {self.name}, {_NOT_READ}; {self.advice}", reason="not-an-image")
        said = f"which needs another library: pip install 'semblant-search[{self.extra}]'"
        raise ImageError(f"{name}: is {self.name}, {said}", reason="unsupported")

    @property
    def _reader(self) -> Any:
        return import_module(f"semblant_search.images.library.{self.extra}")


_HEIF = OtherKind("a HEIC picture", extra="heif", module="pillow_heif")
_VIDEO = OtherKind("a video", extra="video", module="av", is_active=True)
_RAW = OtherKind("a camera's raw file", extra="raw", module="rawpy", is_active=True)
_JXL = OtherKind("a JPEG XL picture", extra="jxl", module="pillow_jxl")
_SVG = OtherKind("an SVG drawing", extra="svg", module="resvg_py", is_active=True)
_PDF = OtherKind("a PDF document", extra="pdf", module="pypdfium2", is_active=True)
_DEEP_PSD = OtherKind("a Photoshop file of 16 or 32 bits a channel", "save it with 8, or as PNG or TIFF")
_JPEG_LS = OtherKind("a JPEG-LS picture", "convert it to PNG, for instance by ffmpeg, or by pip install imagecodecs")
_DEEP_JPEG = OtherKind("a JPEG of 12 bits a colour", "convert it to PNG or TIFF, for instance by djpeg of libjpeg-turbo 3")
_HTML = OtherKind("a page of the web (HTML)", "a server may have sent it in place of a picture: fetch that again")
_KRITA = OtherKind("a Krita drawing (KRA)", "export it as PNG")
_ORA = OtherKind("an OpenRaster drawing (ORA)", "export it as PNG")
_OFFICE = OtherKind("a document of an office program", "save its pictures as files of their own")
_OF_ZIPS = ((b"application/x-krita", _KRITA), (b"image/openraster", _ORA), (b"application/vnd.oasis", _OFFICE))
_KINDS: tuple[tuple[bytes, int, OtherKind], ...] = (
    (b"%PDF-", 0, _PDF),
    (b"\xff\x0a", 0, _JXL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", 0, _JXL),
    (b"FUJIFILMCCD-RAW", 0, _RAW),
    (b"IIRO", 0, _RAW),
    (b"IIU\0", 0, _RAW),
    (b"CR\2", 8, _RAW),
    (b"FOVb", 0, _RAW),
    (b"\0MRM", 0, _RAW),
    (b"\x1aE\xdf\xa3", 0, _VIDEO),
    (b"AVI ", 8, _VIDEO),
    (b"FLV\1", 0, _VIDEO),
    (b"0&\xb2u\x8ef\xcf\x11", 0, _VIDEO),
    (b"\0\0\1\xba", 0, _VIDEO),
    (b"\0\0\1\xb3", 0, _VIDEO),
    (b"moov", 4, _VIDEO),
    (b"mdat", 4, _VIDEO),
    (b"wide", 4, _VIDEO),
    (b"PK\3\4", 0, OtherKind("a ZIP archive", "index it as a source of its own: semblant index ARCHIVE.zip")),
    (
        b"CgBI",
        12,
        OtherKind("a PNG made for iPhone apps (CgBI)", "convert it back by pngcrush -revert-iphone-optimizations"),
    ),
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
    (b"8BPS\0\2", 0, OtherKind("a large Photoshop file (PSB)", "save it as PSD, PNG or TIFF")),
    (
        b"\x8aMNG\r\n\x1a\n",
        0,
        OtherKind("an animation of PNGs (MNG)", "convert its first frame to PNG, for instance by ffmpeg"),
    ),
    (b"\x8bJNG\r\n\x1a\n", 0, OtherKind("a JPEG with transparency (JNG)", "convert it to PNG, for instance with ImageMagick")),
    (
        b"\xc5\xd0\xd3\xc6",
        0,
        OtherKind("a PostScript drawing with a preview (DOS EPS)", "draw it as PNG, for instance with Ghostscript"),
    ),
    (
        b"\xd7\xcd\xc6\x9a",
        0,
        OtherKind("a drawing of Windows (WMF)", "draw it as PNG, for instance with LibreOffice or Inkscape"),
    ),
    (b" EMF", 40, OtherKind("a drawing of Windows (EMF)", "draw it as PNG, for instance with LibreOffice or Inkscape")),
    (b"/* XPM */", 0, OtherKind("an XPM picture", "convert it to PNG, for instance with ImageMagick")),
    (b"PF4\n", 0, OtherKind("a PFM picture of colours", "convert it to PNG or TIFF, for instance with ImageMagick")),
    (b"SDPX", 0, OtherKind("a DPX picture of film", "convert it to PNG or TIFF, for instance by ffmpeg")),
    (b"XPDS", 0, OtherKind("a DPX picture of film", "convert it to PNG or TIFF, for instance by ffmpeg")),
    (b"\x80*_\xd7", 0, OtherKind("a Cineon picture of film", "convert it to PNG or TIFF, for instance by ffmpeg")),
    (b"\xabKTX ", 0, OtherKind("a KTX texture", "convert it to PNG, for instance by ktx extract")),
    (b"\x13\xab\xa1\x5c", 0, OtherKind("an ASTC texture", "convert it to PNG by astcenc")),
    (b"farbfeld", 0, OtherKind("a farbfeld picture", "convert it to PNG by ff2png")),
    (b"Paint Shop Pro Image File\n", 0, OtherKind("a Paint Shop Pro picture", "save it as PNG")),
    (b"PDN3", 0, OtherKind("a Paint.NET picture", "save it as PNG")),
    (b"AC10", 0, OtherKind("an AutoCAD drawing (DWG)", "draw it as PDF or PNG")),
    (b"\x89HDF\r\n\x1a\n", 0, OtherKind("an HDF5 file", "write its pictures as PNG or TIFF, for instance by pip install h5py")),
    (b"ILBM", 8, OtherKind("a picture of the Amiga (ILBM)", "convert it to PNG, for instance by ffmpeg")),
    (b"PBM ", 8, OtherKind("a picture of the Amiga (PBM)", "convert it to PNG, for instance by ffmpeg")),
    (b"{\\rtf", 0, OtherKind("a text (RTF)", "save its pictures as files of their own")),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        0,
        OtherKind("a document of an older Office", "save its pictures as files of their own"),
    ),
    (b"\x1f\x8b", 0, OtherKind("a file packed by gzip", "unpack it by gunzip")),
    (b"7z\xbc\xaf'\x1c", 0, OtherKind("a 7Z archive", "unpack it and index the folder")),
    (b"Rar!\x1a\x07", 0, OtherKind("a RAR archive", "unpack it and index the folder")),
    (b"bplist00", 0, OtherKind("a property list of Apple's", "it holds no picture")),
    (b"version https://git-lfs", 0, OtherKind("a pointer of Git LFS", "fetch the picture itself by git lfs pull")),
)
"""First bytes, where they stand, and what they are."""


def other_kind(data: bytes) -> OtherKind | None:
    """What these bytes are, where it is none of the formats of Pillow that are read; None where it may be one."""
    if data.startswith(b"PK\3\4") and (packed := _of_zip(data)) is not None:
        return packed
    if _is_svg(data):  # also one that gzip packed
        return _SVG
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
        return _VIDEO if data[8:12] not in _AUDIO_BRANDS else None
    if any(data[start : start + 2 * size + 1 : size] == b"GGG" for start, size in ((0, 188), (4, 192))):
        return _VIDEO  # packets of an MPEG transport stream, as cameras and as broadcasters write it
    return _HTML if data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html")) else None


def other_jpeg(data: bytes) -> OtherKind | None:
    """What a file is that begins as a JPEG, and is of none of the ways of coding that Pillow decodes; None for others."""
    place = 2
    while data[place : place + 1] == b"\xff":
        marker = data[place + 1] if place + 1 < len(data) else 0
        if marker == 0xFF:
            place += 1
            continue
        if marker == 0xF7:
            return _JPEG_LS
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return _DEEP_JPEG if data[place + 4 : place + 5] == b"\x0c" else None
        if marker == 0xDA:
            return None
        place += 2 + max(2, int.from_bytes(data[place + 2 : place + 4], "big"))
    return None


def _of_zip(data: bytes) -> OtherKind | None:
    """By the first member, which such programs write first and do not compress."""
    length = int.from_bytes(data[26:28], "little")
    head = data[30 : 30 + length + 80]
    if head.startswith(b"mimetype"):
        return next((kind for mark, kind in _OF_ZIPS if mark in head[length:]), None)
    return _OFFICE if head.startswith(b"[Content_Types].xml") else None


def _is_svg(data: bytes) -> bool:
    """Also compressed, and with a comment or a document type before the drawing."""
    head = data[:4096]
    if data.startswith(b"\x1f\x8b"):
        try:
            head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data[:65536], 4096)
        except zlib.error:
            return False
    head = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.replace(b"\0", b"")[2:]
    if b"<html" in head.lower() or b"<!doctype html" in head.lower():
        return False  # a page with a drawing in it, such as a server's that has no picture
    return head.startswith(b"<") and re.search(rb"<(?:[A-Za-z_][\w.-]*:)?svg[\s>]", head) is not None


def raw_by_tags(tags: Mapping[int, Any]) -> OtherKind | None:
    """A camera's raw file in the shape of a TIFF (DNG, NEF, ARW, …), whose first picture is a preview; None for a picture."""
    mosaic = tags.get(_PHOTOMETRIC) in _OF_RAW or (tags.get(_REDUCED, 0) == 1 and _OTHER_PICTURES in tags)
    return _RAW if _DNG_VERSION in tags or mosaic else None


def rare_packing(tags: Mapping[int, Any]) -> str | None:
    """How a TIFF is compressed that Pillow opens, and decodes only where its libtiff was built with that codec."""
    return _RARE_PACKINGS.get(int(tags.get(_COMPRESSION, 1)))


def is_unknown_to_pillow(data: bytes) -> bool:
    """Whether it is a TIFF of more than 4 GB, big-endian, which Pillow takes for a smaller one, and warns of."""
    return data.startswith(b"MM\0+")


def is_tiff(data: bytes) -> bool:
    """Also of more than 4 GB (BigTIFF)."""
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
