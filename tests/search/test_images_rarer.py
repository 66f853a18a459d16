"""Pixels of rarer kinds of files: BMP with other masks, JPEG XL and JPEG 2000 that lie on their side, damage amid a JPEG."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from semblant_search.errors import ImageError
from semblant_search.images import open_image
from support.shown import COLOURS, away

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
    assert half.getextrema()[3] == (119, 119)
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
