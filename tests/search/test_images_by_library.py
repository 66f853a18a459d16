"""Kinds of pictures that optional libraries read: as others show them, within bounds, and without doing what they ask for."""

from __future__ import annotations

import base64
import gzip
import io
import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from semblant_search.errors import ImageError
from semblant_search.frame_names import frame_bytes
from semblant_search.images import open_image, open_picture
from semblant_search.images.frames import chosen, other_frames
from semblant_search.images.strangers import of_strangers
from support.shown import COLOURS, PHOTOGRAPH, away, encoded

if TYPE_CHECKING:
    from pathlib import Path

RED = Image.new("RGB", (80, 60), (200, 10, 10))
CIRCLE = (
    "<svg xmlns='http://www.w3.org/2000/svg' xmlns:x='http://www.w3.org/1999/xlink' {size}>"
    "<rect width='100%' height='100%' fill='#c80a0a'/>{more}</svg>"
)


def svg(more: str = "", size: str = "width='640' height='480'") -> bytes:
    return CIRCLE.format(size=size, more=more).encode()


def jxl(picture: Image.Image = COLOURS, **options: Any) -> bytes:
    pytest.importorskip("pillow_jxl")
    return encoded(picture, "JXL", **{"lossless": True, **options})


def pdf(*pages: Image.Image) -> bytes:
    pytest.importorskip("pypdfium2")
    first, *others = pages or (COLOURS.resize((320, 240)),)
    return encoded(first, "PDF", save_all=True, append_images=others, quality=95)


def film(*pictures: Image.Image, rate: int = 2, kind: str = "mp4", turned: int = 0) -> bytes:
    av = pytest.importorskip("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind) as container:
        stream = container.add_stream("mpeg4", rate=Fraction(rate))
        stream.width, stream.height = pictures[0].size
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())
    data = buffer.getvalue()
    if turned == 90:  # the matrix of the track's header (ISO/IEC 14496-12, 8.3.2)
        plain = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
        place = data.index(plain, data.index(b"tkhd"))
        matrix = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
        data = data[:place] + matrix + data[place + len(plain) :]
    return data


def dng(picture: Image.Image = COLOURS) -> bytes:
    """A raw file of the picture, its mosaic red, green, green, blue."""
    pytest.importorskip("rawpy")
    import tifffile

    # The camera's own numbers are linear.
    levels = np.asarray(picture.resize((320, 240), Image.Resampling.NEAREST), np.float64) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    mosaic = linear[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = linear[::2, ::2, 0], linear[1::2, 1::2, 2]
    from_xyz = [3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570]
    rational = [part for number in from_xyz for part in (round(number * 10000), 10000)]
    tags = [
        (50706, 1, 4, (1, 4, 0, 0), True),
        (50708, 2, 0, "Semblant", True),
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, (0, 1, 1, 2), True),
        (50721, 10, 9, rational, True),
        (50728, 5, 3, (1, 1, 1, 1, 1, 1), True),
        (50778, 3, 1, 21, True),
        (50717, 4, 1, 65535, True),
    ]
    buffer = io.BytesIO()
    values = np.rint(mosaic * 65535).astype(np.uint16)
    tifffile.imwrite(buffer, values, photometric=32803, extratags=tags, metadata=None)
    return buffer.getvalue()


def test_greys_of_16_bits_in_jpeg_xl_are_what_its_profile_says() -> None:
    """The library writes them with a profile of linear light, which is what their numbers are then."""
    shares = np.asarray(COLOURS.convert("L")) / 255
    light = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    found = open_image(jxl(Image.fromarray(np.rint(light * 65535).astype(np.uint16))))
    assert found.mode == "L"
    assert np.abs(np.asarray(found) - shares * 255).mean() < 0.5


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("boxed", [False, True])
def test_jpeg_xl_is_what_was_saved(mode: str, boxed: bool) -> None:
    picture = COLOURS.convert(mode)
    found = open_picture(jxl(picture, use_container=boxed))
    assert (found.format, found.image.mode, found.width, found.height) == ("JXL", mode, 80, 60)
    assert found.image.tobytes() == picture.tobytes()


@pytest.mark.parametrize("size", [(8, 8), (256, 256), (257, 100), (3, 700), (160, 90), (640, 480), (1, 1), (1000, 500)])
def test_the_size_of_jpeg_xl_is_known_before_it_is_decoded(size: tuple[int, int]) -> None:
    data = jxl(COLOURS.resize(size))
    from semblant_search.images.library.jxl import size_in

    assert size_in(data) == size
    with pytest.raises(ImageError, match="over the limit"):
        open_image(data, max_pixels=size[0] * size[1] - 1) if size != (1, 1) else open_image(jxl(), max_pixels=1)


def test_jpeg_xl_of_a_jpeg_is_that_jpeg(tmp_path: Path) -> None:
    COLOURS.save(tmp_path / "a.jpg", quality=95)
    with Image.open(tmp_path / "a.jpg") as picture:
        data = jxl(picture, lossless_jpeg=True)
    assert away(open_image(data), open_image(tmp_path / "a.jpg")) < 1.5  # libjxl decodes its blocks more smoothly


def test_a_drawing_has_its_own_size_or_one_within_bounds() -> None:
    pytest.importorskip("resvg_py")
    sizes = {
        "width='640' height='480'": (640, 480),
        "viewBox='0 0 64 32'": (512, 256),
        "width='8in' viewBox='0 0 4 3'": (768, 576),
        "width='90000' height='45000'": (2048, 1024),
        "width='100%' height='100%' viewBox='0 0 20 10'": (512, 256),
        "width='1000000000000' height='1' viewBox='0 0 9 9'": None,
        "": (512, 256),
    }
    for size, expected in sizes.items():
        if expected is None:
            with pytest.raises(ImageError, match="without a size"):
                open_image(svg(size=size))
            continue
        found = open_picture(svg(size=size))
        assert (found.format, (found.width, found.height), found.image.size) == ("SVG", expected, expected)
        assert tuple(np.asarray(found.image)[5, 5]) == (200, 10, 10, 255)


def test_a_drawing_is_read_compressed_behind_comments_and_in_utf_16() -> None:
    pytest.importorskip("resvg_py")
    plain = open_image(svg()).tobytes()
    text = svg().decode()
    head = "<?xml version='1.0' encoding='{}'?>\n<!-- " + "x" * 2000 + " -->\n<!DOCTYPE svg>\n"
    assert open_image(gzip.compress(svg())).tobytes() == plain
    assert open_image((head.format("utf-8") + text).encode()).tobytes() == plain
    assert open_image(("<?xml version='1.0' encoding='utf-16'?>" + text).encode("utf-16")).tobytes() == plain
    entity = "<!DOCTYPE svg [<!ENTITY ns 'http://www.w3.org/2000/svg'>]>" + text.replace("http://www.w3.org/2000/svg", "&ns;")
    assert open_image(entity.encode()).tobytes() == plain


@pytest.mark.parametrize("link", ["href", "x:href"])
def test_a_drawing_reads_nothing_but_itself(link: str, tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    PHOTOGRAPH.resize((640, 480)).save(tmp_path / "secret.png")
    inner = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><image href='{tmp_path}/secret.png' width='9'/></svg>"
    )
    nested = "data:image/svg+xml;base64," + base64.b64encode(inner.encode()).decode()
    plain = open_image(svg()).tobytes()
    places = (f"{tmp_path}/secret.png", f"file://{tmp_path}/secret.png", "http://127.0.0.1:9/x.png", nested)
    for place in places:
        data = svg(f"<image {link}='{place}' width='640' height='480'/>")
        assert open_image(data).tobytes() == plain, place
    png = "data:image/png;base64," + base64.b64encode((tmp_path / "secret.png").read_bytes()).decode()
    assert open_image(svg(f"<image {link}='{png}' width='640' height='480'/>")).tobytes() != plain
    entity = f"<!DOCTYPE svg [<!ENTITY e SYSTEM 'file://{tmp_path}/secret.png'>]>" + svg("<text>&e;</text>").decode()
    with pytest.raises(ImageError, match="no XML"):
        open_image(entity.encode())


def test_a_drawing_that_multiplies_is_refused() -> None:
    pytest.importorskip("resvg_py")
    layers = "".join(f"<g id='l{n}'>" + f"<use href='#l{n - 1}'/>" * 10 + "</g>" for n in range(1, 12))
    with pytest.raises(ImageError, match="more than 100,000 elements"):
        open_image(svg(f"<defs><rect id='l0' width='1' height='1'/>{layers}</defs><use href='#l11'/>"))
    laughs = "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12))
    bomb = f"<!DOCTYPE svg [<!ENTITY a0 'aaaaaaaaaa'>{laughs}]>" + svg("<text>&a11;</text>").decode()
    with pytest.raises(ImageError, match="no XML"):
        open_image(bomb.encode())
    deep = "<g>" * 5000 + "</g>" * 5000
    with pytest.raises(ImageError):
        open_image(svg(deep))
    circle = "<g id='a'><use href='#b'/></g><g id='b'><use href='#a'/></g>"
    with pytest.raises(ImageError, match="cannot be drawn"):
        open_image(svg(circle))


def test_pages_of_a_document_are_drawn_within_bounds() -> None:
    data = pdf(COLOURS.resize((320, 240)), RED.resize((400, 400)), RED.resize((9000, 100)))
    found = [open_picture(frame_bytes(data, fragment)) for fragment in (None, "page=2", "page=3")]
    assert [(page.format, page.width, page.height) for page in found] == [
        ("PDF", 640, 480),
        ("PDF", 800, 800),
        ("PDF", 2048, 23),
    ]
    assert away(found[0].image, COLOURS.resize((640, 480))) < 6
    assert away(found[1].image, RED.resize((800, 800))) < 2
    assert other_frames(data) == ["page=2", "page=3"]
    with pytest.raises(ImageError, match="has no page 4") as caught:
        open_image(frame_bytes(data, "page=4"))
    assert caught.value.reason == "missing"
    for broken in (data[:200], b"%PDF-1.7\n" + bytes(200)):
        with pytest.raises(ImageError, match="PDF document that cannot be read"):
            open_image(broken)


def test_a_raw_file_is_developed_the_same_whatever_it_shows() -> None:
    found = open_picture(dng())
    assert (found.format, found.width, found.height) == ("RAW", 320, 240)
    middle = np.asarray(found.image, float)[20:-20, 20:-20]
    expected = np.asarray(COLOURS.resize((320, 240), Image.Resampling.NEAREST), float)[20:-20, 20:-20]
    assert np.abs(middle.mean(axis=(0, 1)) - expected.mean(axis=(0, 1))).max() < 6
    dark = Image.fromarray((np.asarray(COLOURS) // 4).astype(np.uint8))
    assert np.asarray(open_image(dng(dark)), float).mean() < np.asarray(found.image, float).mean() / 2
    with pytest.raises(ImageError, match="over the limit"):
        open_image(dng(), max_pixels=1000)


@pytest.mark.parametrize("kind", ["mp4", "mov", "matroska", "avi"])
def test_moments_of_a_film_are_what_is_shown_then(kind: str) -> None:
    greys = [Image.new("RGB", (80, 60), (5 * number,) * 3) for number in range(50)]
    data = film(*greys, kind=kind)
    for fragment, number in ((None, 0), ("t=1", 2), ("t=10", 20), ("t=20.5", 41)):
        found = open_picture(frame_bytes(data, fragment))
        assert (found.format, found.width, found.height) == ("VIDEO", 80, 60)
        assert abs(np.asarray(found.image, float).mean() - 5 * number) < 4, fragment
    others = other_frames(data)
    assert others == [f"t={second}" for second in range(1, 25)]
    assert chosen(others, None) == ["t=10", "t=20"]
    assert chosen(others, 4) == ["t=6", "t=12", "t=18"]
    with pytest.raises(ImageError, match="over the limit"):
        open_image(data, max_pixels=1000)


def test_a_film_is_upright_and_a_broken_one_is_named() -> None:
    found = open_picture(film(COLOURS, turned=90))
    assert (found.width, found.height) == (60, 80)
    assert away(found.image, COLOURS.transpose(Image.Transpose.ROTATE_270)) < 12
    with pytest.raises(ImageError, match="a video that cannot be read"):
        open_image(film(COLOURS)[:60])


def test_a_service_reads_no_active_file_of_a_stranger() -> None:
    for data in (svg(), pdf(), film(COLOURS), dng(), gzip.compress(svg())):
        with of_strangers(), pytest.raises(ImageError, match="which a service does not read; send a PNG of it") as caught:
            open_image(data)
        assert caught.value.reason == "unsupported"
    with of_strangers():
        assert open_image(encoded(COLOURS)).size == COLOURS.size
        assert open_image(jxl()).size == COLOURS.size


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "WEBP", "PNG", "AVIF"])
def test_each_frame_of_a_file_is_a_picture_of_its_own(kind: str) -> None:
    green = Image.new("RGB", COLOURS.size, (10, 200, 10))
    options = {} if kind == "TIFF" else {"duration": 100}
    first, second = COLOURS.copy(), RED.copy()  # Pillow keeps settings of what it saves
    data = encoded(first, kind, save_all=True, append_images=[second, green], **options)
    assert other_frames(data) == ["frame=2", "frame=3"]
    assert open_image(frame_bytes(data, "frame=1")).tobytes() == open_image(data).tobytes()
    for number, picture in ((2, RED), (3, green)):
        assert away(open_image(frame_bytes(data, f"frame={number}")), picture) < 4
    with pytest.raises(ImageError, match="has no frame 4") as caught:
        open_image(frame_bytes(data, "frame=4"))
    assert caught.value.reason == "missing"
    with pytest.raises(ImageError, match="has no page 2"):
        open_image(frame_bytes(data, "page=2"))


def test_pages_of_a_tiff_may_be_of_other_kinds_and_smaller_copies_are_none() -> None:
    tifffile = pytest.importorskip("tifffile")
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(np.asarray(COLOURS), photometric="rgb", metadata=None)
        writer.write(np.asarray(RED)[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
        writer.write(np.asarray(PHOTOGRAPH, np.float64) / 255, metadata=None)
        writer.write(np.asarray(PHOTOGRAPH, np.uint16) * 257, photometric="miniswhite", metadata=None)
    data = buffer.getvalue()
    assert other_frames(data) == ["frame=3", "frame=4"]
    assert away(open_image(frame_bytes(data, "frame=3")), PHOTOGRAPH) < 1
    assert away(open_image(frame_bytes(data, "frame=4")), Image.eval(PHOTOGRAPH, lambda level: 255 - level)) < 1


def test_a_file_of_one_picture_has_no_others() -> None:
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "AVIF"):
        assert other_frames(encoded(COLOURS, kind)) == [], kind
    assert other_frames(encoded(COLOURS, "MPO", save_all=True, append_images=[RED])) == []  # as viewers show it


def test_what_is_no_name_of_a_frame_is_none() -> None:
    from semblant_search.frame_names import split_bytes, split_uri

    assert split_uri("file:///a.tif#frame=2") == ("file:///a.tif", "frame=2")
    for uri in ("file:///a.tif", "file:///s.tar#frame=0", "file:///s.tar#a.jpg", "file:///s.tar#frame=02", "file:///a#frame=x"):
        assert split_uri(uri) == (uri, None)
    for data in (b"semblant:frame ", b"semblant:frame x\nabc", b"semblant:frame frame=2", b"semblant:frame " + b"9" * 99):
        assert split_bytes(data) == (data, None)
        with pytest.raises(ImageError):
            open_image(data)
