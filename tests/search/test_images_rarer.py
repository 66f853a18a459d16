"""Pixels of rarer kinds of files: BMP with other masks, JPEG 2000 on its side and deep, ranges of TIFF, damage amid a JPEG."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image
from semblant_search.errors import ImageError
from semblant_search.images import open_image
from support.shown import COLOURS, SHOWN, away, encoded

RGB = np.asarray(COLOURS).astype(np.uint32)


def bmp(bits: int, masks: tuple[int, ...], *, top_down: bool = False, alpha: int = 0, head: int = 56) -> bytes:
    """The picture with its colours in the bits of these masks, and transparency in those of the fourth."""
    number = np.zeros(RGB.shape[:2], np.uint64)
    channels = [RGB[..., 0], RGB[..., 1], RGB[..., 2], np.full(RGB.shape[:2], alpha)]
    for channel, mask in zip(channels, masks, strict=False):
        if mask:
            lowest = mask & -mask
            number |= np.rint(channel * (mask // lowest / 255)).astype(np.uint64) * np.uint64(lowest)
    rows = number if top_down else np.flipud(number)
    pixels = rows.astype(f"<u{bits // 8}").tobytes()
    high, wide = RGB.shape[:2]
    info = struct.pack("<IiiHHIIiiII", head, wide, -high if top_down else high, 1, bits, 3, len(pixels), 0, 0, 0, 0)
    info += struct.pack(f"<{len(masks)}I", *masks)
    info = info.ljust(max(head, len(info)), b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + len(info) + len(pixels), 0, 0, 14 + len(info)) + info + pixels


@pytest.mark.parametrize(
    ("bits", "masks", "levels"),
    [
        (32, (0xFF, 0xFF00, 0xFF0000), 256),
        (32, (0x3FF00000, 0xFFC00, 0x3FF), 256),
        (32, (0x3FF, 0xFFC00, 0x3FF00000), 256),
        (32, (0xFF00, 0xFF, 0xFF0000), 256),
        (16, (0xF00, 0xF0, 0xF, 0xF000), 16),
        (16, (0xF800, 0x7C0, 0x3E), 32),
        (16, (0x1F, 0x7E0, 0xF800), 32),
    ],
)
@pytest.mark.parametrize("top_down", [False, True])
def test_a_bmp_has_its_colours_in_the_bits_of_its_masks(bits: int, masks: tuple[int, ...], levels: int, top_down: bool) -> None:
    data = bmp(bits, masks, top_down=top_down, alpha=255 if len(masks) == 4 else 0, head=40 if len(masks) == 3 else 56)
    shown = open_image(data)
    assert shown.size == COLOURS.size
    step = 255 / (levels - 1)
    assert np.abs(np.asarray(shown.convert("RGB")).astype(float) - RGB).max() <= step / 2 + 0.51
    assert away(shown, COLOURS) <= step / 4 + 0.01


def test_bits_of_a_bmp_for_transparency_are_heeded_unless_all_are_zero() -> None:
    half = open_image(bmp(16, (0xF00, 0xF0, 0xF, 0xF000), alpha=119))
    assert half.mode == "RGBA"
    assert half.getchannel("A").getextrema() == (119, 119)
    assert open_image(bmp(16, (0xF00, 0xF0, 0xF, 0xF000), alpha=0)).mode == "RGB"


def test_a_bmp_with_masks_that_is_cut_or_has_none_is_an_error() -> None:
    with pytest.raises(ImageError) as caught:
        open_image(bmp(32, (0xFF, 0xFF00, 0xFF0000))[:-100])
    assert caught.value.reason == "truncated"
    with pytest.raises(ImageError):
        open_image(bmp(32, (0x5, 0xFF00, 0xFF0000)))
    with pytest.raises(ImageError) as caught:
        open_image(bmp(32, (0xFF, 0xFF00, 0xFF0000)), max_pixels=100)
    assert caught.value.reason == "too-large"


def _tag(entry: bytes) -> int:
    return int.from_bytes(entry[:2], "little")


def with_range(tiff: bytes, low: int, high: int) -> bytes:
    """The same TIFF, which says of its samples what is black and what white."""
    start = int.from_bytes(tiff[4:8], "little")
    count = int.from_bytes(tiff[start : start + 2], "little")
    entries: list[bytes] = [tiff[place : place + 12] for place in range(start + 2, start + 2 + 12 * count, 12)]
    tiff += bytes(len(tiff) % 2)
    entries += [struct.pack("<HHII", 340 + each, 3, 3, len(tiff) + 6 * each) for each in (0, 1)]
    values = struct.pack("<6H", low, low, low, high, high, high)
    entries.sort(key=_tag)
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return tiff[:4] + struct.pack("<I", len(tiff) + len(values)) + tiff[8:] + values + directory


@pytest.mark.parametrize("compression", ["lzw", "deflate", "none"])
@pytest.mark.parametrize("predictor", ["none", "horizontal"])
def test_a_tiff_s_own_range_is_heeded_however_it_is_packed(compression: str, predictor: str) -> None:
    pyvips = pytest.importorskip("pyvips")
    wide = pyvips.Image.new_from_array((RGB * 16).astype(np.uint16)).copy(interpretation="rgb16")
    tiff = with_range(bytes(wide.tiffsave_buffer(compression=compression, predictor=predictor)), 0, 4080)
    assert away(open_image(tiff), COLOURS) == 0


def exif_of(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x0110] = orientation, "Camera"
    return exif.tobytes()


@pytest.mark.parametrize("begins", [b"", b"Exif\0\0"])
def test_a_jpeg_2000_that_lies_on_its_side_is_turned(begins: bytes) -> None:
    content = b"JpgTiffExif->JP2" + begins + exif_of(6).removeprefix(b"Exif\0\0")
    data = encoded(COLOURS, "JPEG2000")
    box = struct.pack(">I", 8 + len(content)) + b"uuid" + content
    place = data.index(b"jp2c") - 4
    shown = open_image(data[:place] + box + data[place:])
    assert shown.size == (60, 80)
    assert away(shown, COLOURS.transpose(Image.Transpose.ROTATE_270)) == 0


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_whose_end_stands_amid_its_pixels_is_cut(share: float, options: dict[str, bool]) -> None:
    data = encoded(COLOURS, "JPEG", quality=95, **options)
    place = int(len(data) * share)
    with pytest.raises(ImageError) as caught:
        open_image(data[:place] + b"\xff\xd9\0" + data[place + 3 :])
    assert caught.value.reason == "truncated"
    with pytest.raises(ImageError):
        open_image(data[:place] + b"\xff\xd9\0" + data[place + 3 :], at_least=(20, 20), luma=True)


@pytest.mark.parametrize("behind", [b"\0" * 100, b"SEFT" * 20, b"x" * 90 + b"\xff\xd9", encoded(COLOURS, "JPEG")])
def test_a_jpeg_with_something_behind_it_is_whole(behind: bytes) -> None:
    data = encoded(COLOURS, "JPEG", quality=95)
    assert open_image(data + behind).tobytes() == open_image(data).tobytes()


RAMP = np.linspace(0, 255, 80)


@pytest.mark.parametrize(
    ("file", "channels"),
    [
        pytest.param("whites_lossy_16.jp2", [RAMP, RAMP[::-1], np.full(80, 255.0)], id="lossy"),
        pytest.param("whites_alpha_10.jp2", [RAMP, RAMP[::-1], np.full(80, 255.0)], id="transparent"),
        pytest.param("whites_grey_alpha_12.jp2", [RAMP], id="greys"),
    ],
)
def test_white_of_a_deep_jpeg_2000_is_not_black(file: str, channels: list[np.ndarray]) -> None:
    """Ramps, whose lower rows are the less transparent, by OpenJPEG. Pillow rounds 65,535 to 256, and keeps 0."""
    shown = np.asarray(open_image(SHOWN / file), np.float64)  # [60, 80, c]
    for number, expected in enumerate(channels):
        assert np.abs(shown[..., number] - expected).max() < 2


def test_white_of_a_deep_jpeg_2000_without_loss_is_white() -> None:
    cv2 = pytest.importorskip("cv2")
    blue_first = RGB[..., ::-1].astype(np.uint16) * 257
    blue_first[:9] = 65535
    expected = COLOURS.copy()
    expected.paste((255, 255, 255), (0, 0, 80, 9))
    assert away(open_image(cv2.imencode(".jp2", blue_first)[1].tobytes()), expected) < 1


def icon(*pictures: tuple[int, int, np.ndarray]) -> bytes:
    """An ICO of bitmaps of 32 × 32: bits that the directory says, bits of the bitmap, and its levels `[32, 32, c]`."""
    bodies = []
    for _, bits, levels in pictures:
        mask = bytes(4 * 32)
        palette = bytes(value for level in range(256) for value in (level, level, level, 0)) if bits == 8 else b""
        head = struct.pack("<IiiHHIIiiII", 40, 32, 64, 1, bits, 0, 0, 0, 0, 0, 0)
        bodies.append(head + palette + np.flipud(levels).astype(np.uint8).tobytes() + mask)
    start, directory = 6 + 16 * len(pictures), struct.pack("<HHH", 0, 1, len(pictures))
    for (said, _, _), body in zip(pictures, bodies, strict=True):
        directory += struct.pack("<BBBBHHII", 32, 32, 0, 0, 1, said, len(body), start)
        start += len(body)
    return directory + b"".join(bodies)


@pytest.mark.parametrize("said", [(8, 32), (0, 0), (0, 32)], ids=["told", "not told", "half told"])
@pytest.mark.parametrize("order", [1, -1])
def test_of_an_icon_s_pictures_of_one_size_the_deepest_is_shown(said: tuple[int, int], order: int) -> None:
    """As Windows and browsers do: the others are for screens of few colours. Pillow takes the first of those."""
    few, many = np.full((32, 32), 200), np.full((32, 32, 4), (10, 20, 30, 128))
    shown = open_image(icon(*[(said[0], 8, few), (said[1], 32, many)][::order]))
    assert shown.getpixel((5, 5)) == (30, 20, 10, 128)


@pytest.mark.parametrize("said", [0, 24])
def test_an_icon_s_transparency_is_heeded_where_its_directory_does_not_tell_of_it(said: int) -> None:
    assert open_image(icon((said, 32, np.full((32, 32, 4), (10, 20, 30, 128))))).getpixel((5, 5)) == (30, 20, 10, 128)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_an_end_amid_a_large_jpeg_is_found_wherever_it_stands(options: dict[str, bool]) -> None:
    """It is looked for only from about where the decoder stopped, which took a tenth of the time of a large picture."""
    noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), np.uint8)
    data = encoded(Image.fromarray(noise), "JPEG", quality=95, **options)
    assert len(data) > 3 * (1 << 18)
    assert open_image(data).size == (1200, 900)
    for share in (0.02, 0.3, 0.6, 0.97):
        place = int(len(data) * share)
        cut = data[:place] + b"\xff\xd9\0" + data[place + 3 :]
        for size in (None, (64, 64)):
            with pytest.raises(ImageError) as caught:
                open_image(cut, at_least=size)
            assert caught.value.reason == "truncated"
