"""Files whose damage no browser minds are read; what is not read says what it is. Public reports are named beside the tests."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from semblant_search.errors import ImageError
from semblant_search.images import open_image, open_picture
from support.shown import COLOURS, GREY, PHOTOGRAPH, SHOWN, away, chunk, encoded, with_chunks
from support.variants import png


@pytest.mark.parametrize(("bits", "mode"), [(0, "RGB"), (8, "RGBA")])
def test_a_tga_is_transparent_only_where_its_header_says_so(bits: int, mode: str) -> None:
    """Pillow#9473: it was white."""
    clear = COLOURS.copy()
    clear.putalpha(0)
    data = bytearray(encoded(clear, "TGA"))
    data[17] = data[17] & 0xF0 | bits
    shown = open_image(bytes(data))
    assert shown.mode == mode
    assert away(shown.convert("RGB"), COLOURS) == 0


def long_text(kind: str) -> bytes:
    if kind == "zTXt":
        return chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2_000_000)))
    if kind == "iTXt":
        return chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(b"x" * 2_000_000))
    if kind == "profile":
        return chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(2_000_000)))
    if kind == "XMP":
        return chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"x" * 2_000_000))
    return chunk(kind.encode(), b"\x01\x02\x03")


@pytest.mark.parametrize(
    "kind", ["zTXt", "iTXt", "profile", "XMP", "tEXt", "eXIf", "pHYs", "gAMA", "cHRM", "sRGB", "tIME", "hIST", "acTL", "fcTL"]
)
@pytest.mark.parametrize("crc", ["right", "wrong"])
def test_chunks_that_are_no_pixels_do_not_matter(kind: str, crc: str) -> None:
    """Pillow#8363, Pillow#5978: long, broken or with a wrong checksum."""
    extra = long_text(kind)
    if crc == "wrong":
        extra = extra[:-1] + bytes((extra[-1] ^ 1,))
    plain = encoded(COLOURS)
    for data in (with_chunks(plain, extra), plain[:-12] + extra + plain[-12:]):
        assert away(open_image(data), COLOURS) == 0


def test_what_matters_of_a_png_is_kept() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    text = PngInfo()
    text.add_text("Comment", "x" * 2_000_000, zip=True)
    text.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    assert open_image(encoded(COLOURS, exif=exif)).size == (60, 80)
    assert open_image(encoded(COLOURS, pnginfo=text)).size == (60, 80)
    assert open_image(encoded(COLOURS.convert("RGB"), transparency=(1, 2, 3))).mode == "RGBA"


@pytest.mark.parametrize("interlaced", [False, True])
def test_pixels_of_a_png_that_are_all_there_need_no_right_checksum(interlaced: bool) -> None:
    """libpng warns of it and browsers show the picture."""
    for picture in (COLOURS, PHOTOGRAPH, COLOURS.resize((900, 700))):
        plain = png_of(picture, interlaced)
        place = plain.index(b"IDAT") - 4
        first, last = place + 8, plain.rindex(b"IEND") - 4
        pixels = plain[first : last - 4]
        wrong = pixels[:-1] + bytes((pixels[-1] ^ 1,))
        halves = chunk(b"IDAT", wrong[:99]) + chunk(b"IDAT", wrong[99:])
        for chunks in (chunk(b"IDAT", wrong), halves):
            assert away(open_image(plain[:place] + chunks + plain[last:]), picture) == 0
        damaged = pixels[: len(pixels) // 2] + bytes(100)
        with pytest.raises(ImageError):
            open_image(plain[:place] + chunk(b"IDAT", damaged) + plain[last:])


def png_of(picture: Image.Image, interlaced: bool) -> bytes:
    """With all its pixels in one chunk."""
    if interlaced:
        pyvips = pytest.importorskip("pyvips")
        plain: bytes = pyvips.Image.new_from_array(np.asarray(picture)).pngsave_buffer(interlace=True, strip=True)
    else:
        plain = encoded(picture)
    start, end, place, pixels = plain.index(b"IDAT") - 4, plain.rindex(b"IEND") - 4, plain.index(b"IDAT") - 4, b""
    while place < end:
        size = int.from_bytes(plain[place : place + 4], "big")
        pixels += plain[place + 8 : place + 8 + size]
        place += 12 + size
    return plain[:start] + chunk(b"IDAT", pixels) + plain[end:]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1"])
@pytest.mark.parametrize("length", [0, 1, 3, 8, 300])
def test_a_png_s_transparency_of_a_wrong_length_is_passed_by(mode: str, length: int) -> None:
    picture = COLOURS.quantize(4) if mode == "P" else COLOURS.convert(mode)
    data = encoded(picture)
    place = data.index(b"IDAT") - 4
    if mode == "P" and length in (1, 3):
        length = 5  # those two are right for four colours
    shown = open_image(data[:place] + chunk(b"tRNS", bytes(length)) + data[place:])
    assert shown.mode == open_image(data).mode
    assert away(shown, open_image(data)) == 0


@pytest.mark.parametrize("length", [1, 3, 4])
def test_a_png_s_palette_is_transparent_as_far_as_its_chunk_goes(length: int) -> None:
    data = encoded(COLOURS.quantize(4))
    place = data.index(b"IDAT") - 4
    shown = open_image(data[:place] + chunk(b"tRNS", bytes(length)) + data[place:])
    assert shown.mode == "RGBA"
    assert sorted(set(np.asarray(shown)[..., 3].ravel())) == ([0] if length == 4 else [0, 255])


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 100, "subsampling": 0}])
@pytest.mark.parametrize("tail", [b"", bytes(100), b"\xff", b"\xff\xff\xff"])
def test_a_jpeg_without_its_end_is_read_where_no_pixel_is_missing(options: dict[str, object], tail: bytes) -> None:
    for picture in (COLOURS, PHOTOGRAPH, COLOURS.resize((333, 201))):
        data = encoded(picture, "JPEG", **options)
        assert open_image(data[:-2] + tail).tobytes() == open_image(data).tobytes()
        small = {"at_least": (10, 10)}
        assert open_image(data[:-2] + tail, **small).tobytes() == open_image(data, **small).tobytes()  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", [20, 100, 1000])
def test_a_jpeg_whose_last_pixels_are_missing_is_truncated(missing: int) -> None:
    data = encoded(COLOURS.resize((320, 240)), "JPEG")
    with pytest.raises(ImageError) as caught:
        open_image(data[:-missing])
    assert caught.value.reason == "truncated"


def test_more_pictures_behind_a_jpeg_are_not_what_viewers_show() -> None:
    """czkawka#1039."""
    data = encoded(COLOURS, "MPO", save_all=True, append_images=[PHOTOGRAPH.convert("RGB")])
    picture = open_picture(data)
    assert picture.format == "JPEG"
    assert away(picture.image, COLOURS) < 8
    assert open_picture(encoded(COLOURS.resize((800, 600)), "MPO", save_all=True), at_least=(60, 80)).image.size == (200, 150)


def test_an_exif_block_that_breaks_off_behind_the_orientation_still_turns_the_picture() -> None:
    """czkawka#1199."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = open_picture(SHOWN / "trunc_ifd_after_orientation.jpg")
    assert (picture.width, picture.height) == (120, 160)
    assert abs(np.asarray(picture.image).mean() - 151.5) < 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC picture"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "a video"),
        (b"\0\0\0\x18ftypqt  \0\0\0\0qt      ", "a video"),
        (b"\x1aE\xdf\xa3" + bytes(40), "a video"),
        (b"\0\0\0\x14ftypXAVC\0\0\0\0XAVC", "a video"),
        ((b"G" + bytes(187)) * 3, "a video"),
        ((bytes(4) + b"G" + bytes(187)) * 3, "a video"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a camera's raw file"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(100), "a camera's raw file"),
        (b"\xff\x0a" + bytes(40), "a JPEG XL picture"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40), "a JPEG XL picture"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"PK\3\4" + bytes(40), "a ZIP archive"),
        (b"8BPS\0\1" + bytes(6) + b"\0\3" + bytes(8) + b"\0\x10\0\3", "a Photoshop file of 16 or 32 bits a channel"),
        (b"P7\nWIDTH 1\n", "a PAM picture"),
        (b"PF\n1 1\n-1.0\n" + bytes(12), "a PFM picture of colours"),
        (b"DDS " + bytes(124), "a DDS texture"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_read_says_what_it_is_and_what_would_read_it(
    data: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from semblant_search.images import kinds

    monkeypatch.setattr(kinds, "find_spec", lambda name: None)
    with pytest.raises(ImageError, match=f"is {words}, (not a picture|which needs another library: pip install ').+") as caught:
        open_image(data)
    assert caught.value.reason == ("unsupported" if "pip install" in str(caught.value) else "not-an-image")


def test_a_raw_file_in_the_shape_of_a_tiff_is_not_taken_for_its_preview() -> None:
    """A DNG, and a NEF, whose first directory is a thumbnail."""
    for tags in ({50706: b"\1\4\0\0"}, {254: 1, 330: 8}, {262: 32803}):
        with pytest.raises(ImageError, match=r"a camera's raw file"):
            open_image(encoded(COLOURS, "TIFF", tiffinfo=tags) if 262 not in tags else mosaic())
    assert open_image(encoded(COLOURS, "TIFF", tiffinfo={254: 1})).size == COLOURS.size


def mosaic() -> bytes:
    data = bytearray(encoded(PHOTOGRAPH, "TIFF"))
    place = data.index((262).to_bytes(2, "little") + b"\3\0\1\0\0\0")
    data[place + 8 : place + 10] = (32803).to_bytes(2, "little")
    return bytes(data)


def test_heic_is_read_where_its_library_is_installed() -> None:
    heif = pytest.importorskip("pillow_heif")
    registered = dict(Image.OPEN)
    buffer = io.BytesIO()
    heif.from_pillow(COLOURS).save(buffer, quality=95)
    picture = open_picture(buffer.getvalue())
    assert (picture.format, picture.image.mode, picture.width, picture.height) == ("HEIF", "RGB", 80, 60)
    assert away(picture.image, COLOURS) < 8
    assert registered == Image.OPEN  # Pillow's register is the program's own
    with pytest.raises(ImageError, match="over the limit"):
        open_picture(buffer.getvalue(), max_pixels=1000)


def test_a_big_endian_bigtiff_is_read_without_a_warning() -> None:
    """Pillow takes it for a small one, and warns of what it finds there."""
    tifffile = pytest.importorskip("tifffile")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.asarray(COLOURS), photometric="rgb", bigtiff=True, byteorder=">", metadata=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_image(buffer.getvalue()).tobytes() == COLOURS.tobytes()


def test_a_webp_that_is_shorter_than_it_says_is_cut() -> None:
    with pytest.raises(ImageError) as caught:
        open_image(encoded(COLOURS, "WEBP")[:-20])
    assert caught.value.reason == "truncated"


def test_a_page_with_a_drawing_in_it_is_none() -> None:
    page = b"<!DOCTYPE html><html><body><svg xmlns='http://www.w3.org/2000/svg'></svg></body></html>"
    with pytest.raises(ImageError, match=r"is a page of the web \(HTML\), not a picture in a format") as caught:
        open_image(page)
    assert caught.value.reason == "not-an-image"


def test_transparency_of_a_png_that_stands_too_late_or_too_early_is_passed_by() -> None:
    palette, clear = chunk(b"PLTE", bytes(range(256)) * 3), chunk(b"tRNS", bytes(256))
    levels = GREY[..., None]
    shown = open_image(png(8, 3, levels, palette))
    assert open_image(png(8, 3, levels, clear, palette)).tobytes() == shown.tobytes()
    behind = png(8, 0, levels)
    key = chunk(b"tRNS", int(GREY[30, 40]).to_bytes(2, "big"))
    assert open_image(behind[:-12] + key + behind[-12:]).mode == "L"


@pytest.mark.parametrize("other", [1, 256, 257], ids=["lower byte", "upper byte", "both"])
def test_a_transparent_colour_of_16_bits_is_that_colour_only(other: int) -> None:
    """Pillow compares its lower bytes with the upper ones of the pixels."""
    samples = np.full((60, 80, 3), (0x1234, 0x5678, 0x9ABC), np.uint16)
    samples[:30] += np.uint16(other)
    key = chunk(b"tRNS", struct.pack(">3H", 0x1234, 0x5678, 0x9ABC))
    shown = np.asarray(open_image(png(16, 2, samples, key)))
    assert shown.shape == (60, 80, 4)
    assert (shown[:30, :, 3].min(), shown[30:, :, 3].max()) == (255, 0)
    assert shown[40, 40, :3].tolist() == [0x12, 0x56, 0x9A]
