"""What a sample's number means: greys and colours of any type of number are the same picture."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin
from semblant_search.errors import ImageError
from semblant_search.images import open_image
from semblant_search.writing.exif import exif_facts
from support.shown import GREY, PHOTOGRAPH, away, chunk, encoded
from support.variants import grey_profile, png


def tiff(values: np.ndarray, **tags: Any) -> bytes:
    """A TIFF of any samples."""
    import tifffile

    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, metadata=None, **{"photometric": "minisblack", **tags})
    return buffer.getvalue()


SHARES: np.ndarray = GREY / 255
SAMPLES: dict[str, np.ndarray] = {
    "u8": (SHARES * 255).astype(np.uint8),
    "u16": np.rint(SHARES * 65535).astype(np.uint16),
    "u32": np.rint(SHARES * (2**32 - 1)).astype(np.uint32),
    "u64": (SHARES * (2.0**64 - 2048)).astype(np.uint64),
    "i8": (np.rint(SHARES * 255) - 128).astype(np.int8),
    "i16": (np.rint(SHARES * 65535) - 2**15).astype(np.int16),
    "i32": (np.rint(SHARES * (2**32 - 1)) - 2**31).astype(np.int32),
    "f16": SHARES.astype(np.float16),
    "f32": SHARES.astype(np.float32),
    "f64": SHARES,
}


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("kind", SAMPLES)
def test_samples_of_any_type_are_the_same_picture(kind: str, photometric: str, byteorder: str) -> None:
    """darktable#18815, Pillow#5248, Pillow#3159: a negative, numbers that wrapped, black."""
    pytest.importorskip("tifffile")
    values = SAMPLES[kind]
    if photometric == "miniswhite":
        values = 1 - values if values.dtype.kind == "f" else ~values
    shown = open_image(tiff(values, photometric=photometric, byteorder=byteorder))
    assert shown.mode == "L"
    assert np.abs(np.asarray(shown, int) - GREY).max() <= 1


@pytest.mark.parametrize("kind", ["u16", "u32", "i16", "f16", "f32", "f64"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colours_of_any_samples_are_read(kind: str, planar: str) -> None:
    pytest.importorskip("tifffile")
    values = np.stack([SAMPLES[kind]] * 3, axis=-1 if planar == "contig" else 0)
    shown = open_image(tiff(values, photometric="rgb", planarconfig=planar))
    assert shown.mode == "RGB"
    assert away(shown, PHOTOGRAPH) < 1


@pytest.mark.parametrize("kind", ["u16", "f32"])
@pytest.mark.parametrize("extra", ["unassalpha", "assocalpha"])
def test_transparency_of_any_samples_is_read(kind: str, extra: str) -> None:
    pytest.importorskip("tifffile")
    full = 65535 if kind == "u16" else 1
    half = np.full_like(SAMPLES[kind], full // 2 if kind == "u16" else 0.5)
    colours = SAMPLES[kind] if extra == "unassalpha" else (SAMPLES[kind] / 2).astype(half.dtype)
    shown = open_image(tiff(np.stack([colours] * 3 + [half], axis=-1), photometric="rgb", extrasamples=[extra]))
    assert shown.mode == "RGBA"
    assert np.abs(np.asarray(shown, int)[..., 3] - 127.5).max() <= 1
    assert away(shown.convert("RGB"), PHOTOGRAPH) < 1.5


@pytest.mark.parametrize(("kind", "code"), [("u16", "H"), ("f32", "f"), ("i16", "h")])
def test_the_range_that_a_file_gives_its_samples_is_theirs(kind: str, code: str) -> None:
    pytest.importorskip("tifffile")
    values = (SHARES * 1000).astype(SAMPLES[kind].dtype)
    number = {"H": 3, "f": 11, "h": 8}[code]
    shown = open_image(tiff(values, extratags=[(340, number, 1, 0, True), (341, number, 1, 1000, True)]))
    assert np.abs(np.asarray(shown, int) - GREY).max() <= 1


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_the_range_that_a_file_gives_its_colours_is_theirs(channels: int, compression: str | None) -> None:
    """Of 12 bits in 16 the picture was nearly black."""
    pytest.importorskip("tifffile")
    values = np.stack([np.rint(SHARES * 4080).astype(np.uint16)] * 3 + [np.full(GREY.shape, 65535, np.uint16)], axis=-1)
    said = [(340, 3, 3, (0, 0, 0), True), (341, 3, 3, (4080, 4080, 4080), True)]
    extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    shown = open_image(tiff(values[..., :channels], photometric="rgb", extratags=said, compression=compression, **extra))
    assert shown.mode == ("RGBA" if channels == 4 else "RGB")
    assert away(shown.convert("RGB"), PHOTOGRAPH) < 0.6


def test_colours_whose_range_cannot_be_heeded_are_read_without_it() -> None:
    """LZW, which tifffile does not unpack by itself."""
    pyvips = pytest.importorskip("pyvips")
    wide = pyvips.Image.new_from_array(np.stack([SAMPLES["u16"]] * 3, axis=-1)).copy(interpretation="rgb16")
    data = wide.tiffsave_buffer(compression="lzw")
    place = data.index(struct.pack("<HHI", 296, 3, 1))  # the unit of its resolution
    data = data[:place] + struct.pack("<HHII", 341, 3, 3, len(data)) + data[place + 12 :] + struct.pack("<3H", *[60000] * 3)
    assert away(open_image(data), PHOTOGRAPH) < 9


def test_the_display_range_that_imagej_writes_is_that_of_its_samples() -> None:
    pytest.importorskip("tifffile")
    shown = open_image(tiff((SHARES * 255).astype(np.float32), description="ImageJ=1.54f\nmin=0.0\nmax=255.0\n"))
    assert np.abs(np.asarray(shown, int) - GREY).max() <= 1


def test_one_value_beyond_the_range_does_not_change_the_scale() -> None:
    """Pillow#3159: the picture was black."""
    values = SHARES.astype(np.float32)
    values[0, 0] = 1.02
    shown = np.asarray(open_image(encoded(Image.fromarray(values), "TIFF")), int)
    assert np.abs(shown - GREY).max(where=GREY < 255, initial=0, axis=None) <= (255 if GREY[0, 0] < 255 else 1)
    assert abs(shown.mean() - GREY.mean()) < 1


@pytest.mark.parametrize("maxval", [1, 15, 100, 255, 1000, 4095, 65535])
@pytest.mark.parametrize("plain", [False, True])
def test_the_maxval_of_a_pgm_is_white(maxval: int, plain: bool) -> None:
    values = np.rint(SHARES * maxval * 0.5).astype(int)  # no pixel is white
    if plain:
        data = f"P2\n80 60\n{maxval}\n".encode() + b"\n".join(b" ".join(b"%d" % v for v in row) for row in values)
    else:
        data = f"P5\n80 60\n{maxval}\n".encode() + values.astype(">u2" if maxval > 255 else "u1").tobytes()
    assert np.abs(np.asarray(open_image(data).convert("L"), int) - values * 255 / maxval).max() <= 1


def test_a_tiff_that_is_not_read_says_what_kind_it_is_and_what_reads_it() -> None:
    pytest.importorskip("tifffile")
    with pytest.raises(ImageError, match="is a TIFF of 64-bit complex float samples, 1 a pixel") as caught:
        open_image(tiff(SHARES.astype(np.complex64)))
    assert caught.value.reason == "unsupported"
    ask = (
        "import sys; sys.modules['tifffile'] = None\nimport importlib.util as u; f = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'tifffile' else f(name, *rest)\n"
        "from semblant_search.images import open_image\nopen_image(sys.stdin.buffer.read())"
    )
    ended = subprocess.run([sys.executable, "-c", ask], input=tiff(SHARES), capture_output=True, check=False)
    assert b"is a TIFF of 64-bit float samples" in ended.stderr
    assert b"pip install 'semblant-search[tiff]'" in ended.stderr


def test_twelve_bits_in_a_tiff_are_twelve() -> None:
    values = np.rint(SHARES * 4095).astype(int).reshape(60, 40, 2)
    packed = np.stack([values[..., 0] >> 4, (values[..., 0] & 15) << 4 | values[..., 1] >> 8, values[..., 1] & 255], axis=-1)
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in {256: 80, 257: 60, 258: 12, 259: 1, 262: 1, 277: 1, 278: 60, 279: packed.size}.items():
        directory[tag] = value
    directory.tagtype[273] = 4
    directory[273] = 0  # from where the directory ends
    buffer = io.BytesIO()
    directory.save(buffer)
    data = buffer.getvalue() + packed.astype(np.uint8).tobytes()
    assert np.abs(np.asarray(open_image(data), int) - GREY).max() <= 1


@pytest.mark.parametrize("kind", ["u8", "u16", "f32", "f64"])
def test_what_a_camera_says_is_kept_of_deep_pictures(kind: str) -> None:
    exif = [(271, 2, 0, "Acme", True), (306, 2, 20, "2024:05:06 07:08:09", True)]
    facts = exif_facts(open_image(tiff(SAMPLES[kind], extratags=exif)))
    assert facts["_camera"] == "Acme"
    assert str(facts["_taken_at"]).startswith("2024-05-06")


def test_what_a_camera_says_is_kept_of_a_deep_png() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Acme"
    assert exif_facts(open_image(encoded(Image.fromarray(SAMPLES["u16"]), exif=exif))) == {"_camera": "Acme"}


def test_lzw_of_wide_samples_names_the_library_that_reads_it() -> None:
    pytest.importorskip("tifffile")
    if find_spec("imagecodecs") is not None:
        pytest.skip("it is installed")
    data = bytearray(tiff(SAMPLES["f64"]))
    place = data.index(struct.pack("<HHI", 259, 3, 1)) + 8
    data[place] = 5
    with pytest.raises(ImageError, match=r"TIFF of 64-bit float samples.* compressed .* pip install imagecodecs") as caught:
        open_image(bytes(data))
    assert caught.value.reason == "unsupported"


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "u8"])
def test_deep_greys_keep_their_depth_until_their_profile_is_heeded(kind: str) -> None:
    """Eight bits of linear light are too few in the dark: two levels away on average."""
    light = np.where(SHARES <= 0.04045, SHARES / 12.92, ((SHARES + 0.055) / 1.055) ** 2.4)
    values = (light * (1 if kind.startswith("f") else 2.0**64 - 2048)).astype(kind)
    assert away(open_image(tiff(values, iccprofile=grey_profile(1.0))), PHOTOGRAPH) < 0.2


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_transparent_grey_of_a_png_is_transparent_at_any_depth(bits: int) -> None:
    values = np.rint(SHARES * (2**bits - 1)).astype(int)[..., None]
    key = int(np.median(values))
    shown = open_image(png(bits, 0, values, chunk(b"tRNS", struct.pack(">H", key))))
    np.testing.assert_array_equal(np.asarray(shown.getchannel("A")), np.where(values[..., 0] == key, 0, 255))


def test_a_tiff_that_is_packed_as_nothing_here_unpacks_is_named() -> None:
    """It was `decoder error -2`, and no picture."""
    pyvips = pytest.importorskip("pyvips")
    picture = pyvips.Image.new_from_array(np.asarray(PHOTOGRAPH)).copy(interpretation="b-w").colourspace("srgb")
    try:
        data = picture.tiffsave_buffer(compression="webp", lossless=True)
    except pyvips.Error:
        pytest.skip("libvips was built without WebP in TIFF")
    with pytest.raises(
        ImageError, match="is a TIFF compressed as WebP, which is not read; save it with deflate or LZW"
    ) as caught:
        open_image(data)
    assert caught.value.reason == "unsupported"
