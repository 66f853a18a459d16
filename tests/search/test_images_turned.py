"""Pictures that lie on their side in the file: upright once, whatever container holds them, and never turned a second time."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image, PngImagePlugin
from semblant_search.images import open_image, open_picture
from semblant_search.writing.exif import exif_facts, exif_facts_of
from support.shown import COLOURS, away, encoded

if TYPE_CHECKING:
    from pathlib import Path

_LYING = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
"""How Pillow numbers what undoes each orientation."""
_FACTS = {"_camera": "Nikon D70", "_taken_at": "2020-05-06T07:08:09Z"}


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0110], exif[0x0132] = orientation, "Nikon", "D70", "2020:05:06 07:08:09"
    return exif


def lying(orientation: int) -> Image.Image:
    return COLOURS if orientation == 1 else COLOURS.transpose(Image.Transpose(_LYING[orientation]))


def in_container(kind: str, orientation: int) -> bytes:
    picture, exif = lying(orientation), exif_of(orientation)
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
        return encoded(picture, kind, exif=exif.tobytes(), quality=95, chroma=444)
    if kind == "raw profile":  # as ImageMagick writes EXIF into a PNG
        block = exif.tobytes()
        text = PngImagePlugin.PngInfo()
        text.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n", zip=True)
        return encoded(picture, "PNG", pnginfo=text)
    if kind == "XMP":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", f'<x tiff:Orientation="{orientation}"/>')
        return encoded(picture, "PNG", pnginfo=text)
    return encoded(picture, kind, exif=exif, quality=100, lossless=True)


def jxl_of_jpeg(folder: Path, orientation: int) -> bytes:
    """As `cjxl photo.jpg` makes it: the JPEG comes back to the byte, its EXIF block is packed."""
    pytest.importorskip("pillow_jxl")
    photo = folder / "photo.jpg"
    photo.write_bytes(in_container("JPEG", orientation))
    with Image.open(photo) as picture:
        return encoded(picture, "JXL", lossless_jpeg=True)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF", "raw profile", "XMP"])
def test_a_picture_is_turned_upright_once(kind: str, orientation: int) -> None:
    data = in_container(kind, orientation)
    opened = open_picture(data)
    assert (opened.width, opened.height) == opened.image.size == (80, 60)
    assert away(opened.image, COLOURS) < 5
    again = open_image(opened.image)
    assert again.size == (80, 60)
    assert away(again, opened.image) == 0
    with Image.open(io.BytesIO(data)) as of_caller:
        assert away(open_image(of_caller), COLOURS) < 5


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF", "raw profile"])
def test_a_picture_that_was_turned_keeps_what_its_camera_says(kind: str) -> None:
    assert exif_facts(open_image(in_container(kind, 6))) == _FACTS


@pytest.mark.parametrize("order", [b"II", b"MM"])
def test_an_orientation_of_32_bits_turns_a_picture_once(order: bytes) -> None:
    little = order == b"II"

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, "little" if little else "big")

    head = order + number(42, 2) + number(8, 4) + number(1, 2)
    block = head + number(0x0112, 2) + number(4, 2) + number(1, 4) + number(6, 4) + bytes(4)
    opened = open_image(encoded(lying(6), "PNG", exif=block))
    assert opened.size == open_image(opened).size == (80, 60)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_made_into_jpeg_xl_is_turned_as_the_jpeg(tmp_path: Path, orientation: int) -> None:
    made, photo = open_picture(jxl_of_jpeg(tmp_path, orientation)), open_image(tmp_path / "photo.jpg")
    assert (made.width, made.height, made.format) == (80, 60, "JXL")
    assert made.image.size == (80, 60)
    assert away(made.image, photo) == 0
    assert away(open_image(made.image), photo) == 0


def test_jpeg_xl_that_was_no_jpeg_is_turned_by_its_codestream_alone() -> None:
    pytest.importorskip("pillow_jxl")
    data = encoded(COLOURS, "JXL", lossless=True, exif=exif_of(6).tobytes())
    opened = open_image(data)
    assert opened.size == open_image(opened).size == (80, 60)
    assert away(opened, COLOURS) == 0


def test_jpeg_xl_that_a_caller_opened_is_turned_where_it_was_a_jpeg(tmp_path: Path) -> None:
    made = jxl_of_jpeg(tmp_path, 6)
    for data in (made, encoded(COLOURS, "JXL", lossless=True, exif=exif_of(6).tobytes())):
        with Image.open(io.BytesIO(data)) as of_caller:
            assert open_image(of_caller).size == (80, 60)


def test_jpeg_xl_tells_what_the_camera_wrote_into_it(tmp_path: Path) -> None:
    for data in (jxl_of_jpeg(tmp_path, 6), encoded(COLOURS, "JXL", exif=exif_of(1).tobytes())):
        assert exif_facts(open_image(data)) == exif_facts_of(data) == _FACTS


@pytest.mark.parametrize("offset", [0, 3])
def test_the_exif_box_of_jpeg_xl_says_where_its_block_begins(offset: int) -> None:
    pytest.importorskip("pillow_jxl")
    stream = encoded(COLOURS, "JXL", lossless=True)
    content = offset.to_bytes(4, "big") + bytes(offset) + exif_of(1).tobytes().removeprefix(b"Exif\0\0")
    parts = (b"JXL ", b"\r\n\x87\n"), (b"ftyp", b"jxl \0\0\0\0jxl "), (b"Exif", content), (b"jxlc", stream)
    data = b"".join((8 + len(inside)).to_bytes(4, "big") + name + inside for name, inside in parts)
    assert exif_facts(open_image(data)) == exif_facts_of(data) == _FACTS
