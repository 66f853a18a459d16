"""What is not read says which kind it is, and what would read it."""

from __future__ import annotations

import gzip
import io
import zipfile
from typing import TYPE_CHECKING

import pytest
from semblant_search.errors import ImageError
from semblant_search.images import open_image
from support.shown import COLOURS, encoded

if TYPE_CHECKING:
    from pathlib import Path

JPEG = encoded(COLOURS, "JPEG")
BASELINE = b"\xff\xc0\x00\x11\x08"


def zipped(first: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(first, content)
        archive.writestr("other.xml", b"<x/>")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (JPEG.replace(BASELINE, b"\xff\xf7\x00\x11\x08"), "a JPEG-LS picture"),
        (JPEG.replace(BASELINE, b"\xff\xc0\x00\x11\x0c"), "a JPEG of 12 bits a colour"),
        (b"8BPS\0\2" + bytes(6) + b"\0\3\0\0\0\x10\0\0\0\x10\0\x08\0\3", "a large Photoshop file"),
        (b"\x8aMNG\r\n\x1a\n" + bytes(40), "MNG"),
        (b"\x8bJNG\r\n\x1a\n" + bytes(40), "JNG"),
        (b"\xc5\xd0\xd3\xc6" + bytes(28) + b"%!PS-Adobe", "DOS EPS"),
        (b"\xd7\xcd\xc6\x9a" + bytes(40), "WMF"),
        (b"\1\0\0\0" + bytes(36) + b" EMF" + bytes(40), "EMF"),
        (b"/* XPM */\nstatic char *x[] = {", "an XPM picture"),
        (b"SDPX" + bytes(60), "a DPX picture"),
        (b"\xabKTX 11\xbb\r\n\x1a\n", "a KTX texture"),
        (b"farbfeld" + bytes(40), "farbfeld"),
        (b"FORM\0\0\0\x20ILBMBMHD" + bytes(40), "Amiga"),
        (b"<!DOCTYPE html>\n<html><svg></svg></html>", "a page of the web"),
        (b"\xef\xbb\xbf\n<html><body>404", "a page of the web"),
        (zipped("mimetype", b"application/x-krita"), "a Krita drawing"),
        (zipped("mimetype", b"image/openraster"), "an OpenRaster drawing"),
        (zipped("mimetype", b"application/vnd.oasis.opendocument.text"), "an office program"),
        (zipped("[Content_Types].xml", b"<x/>"), "an office program"),
        (zipped("a.jpg", b"x"), "a ZIP archive"),
        (gzip.compress(b"x" * 100), "packed by gzip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(60), "an older Office"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
    ],
)
def test_a_file_that_is_not_read_says_its_kind_and_what_to_do(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError) as caught:
        open_image(path)
    assert words in str(caught.value)
    assert "; " in str(caught.value)
    assert caught.value.reason == "not-an-image"


def test_other_jpegs_are_what_they_were() -> None:
    assert open_image(JPEG).size == COLOURS.size
    with pytest.raises(ImageError, match="begins like a JPEG, but is cut short or broken"):
        open_image(JPEG[:20])


def test_a_drawing_that_gzip_packed_is_a_drawing() -> None:
    pytest.importorskip("resvg_py")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="4"><rect width="8" height="4" fill="red"/></svg>'
    assert open_image(gzip.compress(svg)).size[0] > 0
