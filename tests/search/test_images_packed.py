"""BMP of runs of pixels, and of two bits a pixel, as Chromium shows them."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from semblant_search.errors import ImageError
from semblant_search.images import open_image

PALETTE = np.array([[90, 0, 70], [200, 40, 30], [20, 160, 60], [240, 220, 10]], np.uint8)


def bmp(width: int, height: int, bits: int, compression: int, pixels: bytes) -> bytes:
    colours = b"".join(bytes((*colour[::-1], 0)) for colour in PALETTE.tolist())
    start = 54 + len(colours)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(pixels), 0, 0, len(PALETTE), 0)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + info + colours + pixels


def shown(data: bytes) -> list[list[int | None]]:
    """The palette's entry of each pixel from the top row on; None where it is black, which is none of them."""
    image = open_image(data)
    assert image.mode == "RGB"
    entries: dict[tuple[int, ...], int | None] = {tuple(colour): number for number, colour in enumerate(PALETTE.tolist())}
    return [[entries[tuple(pixel)] if any(pixel) else None for pixel in row] for row in np.asarray(image).tolist()]


@pytest.mark.parametrize(
    ("runs", "rows"),
    [
        pytest.param("0401 0000 0402 0000 0403 0001", [[3] * 4, [2] * 4, [1] * 4], id="whole"),
        pytest.param("0401 0000 0402 0000 0403", [[3] * 4, [2] * 4, [1] * 4], id="no end"),
        pytest.param("0401 0000 0000 0403 0001", [[3] * 4, [None] * 4, [1] * 4], id="empty row"),
        pytest.param("0401 0001", [[None] * 4, [None] * 4, [1] * 4], id="early end"),
        pytest.param("0401 0002 0101 0201 0001", None, id="move to nowhere"),
        pytest.param("0101 0002 0101 0202 0001", [[None] * 4, [None, None, 2, 2], [1, None, None, None]], id="move"),
        pytest.param("0003 010203 00 0101 0000 0402 0000 0403 0001", [[3] * 4, [2] * 4, [1, 2, 3, 1]], id="absolute"),
        pytest.param("0901 0000 0402 0000 0403 0001", [[3] * 4, [2] * 4, [1] * 4], id="beyond the row"),
        pytest.param("0201 0000 0402 0000 0403 0001", [[3] * 4, [2] * 4, [1, 1, None, None]], id="short row"),
    ],
)
def test_runs_of_a_bmp_are_read(runs: str, rows: list[list[int | None]] | None) -> None:
    data = bmp(4, 3, 8, 1, bytes.fromhex(runs))
    assert shown(data) == rows if rows is not None else open_image(data).size == (4, 3)


def test_runs_of_four_bits_are_read() -> None:
    runs = "0512 0000 0005 1230 10 00 0001"
    assert shown(bmp(5, 2, 4, 2, bytes.fromhex(runs))) == [[1, 2, 3, 0, 1], [1, 2, 1, 2, 1]]


def test_runs_that_break_off_are_cut() -> None:
    with pytest.raises(ImageError) as caught:
        open_image(bmp(4, 3, 8, 1, bytes.fromhex("0401 0000 0402")))
    assert caught.value.reason == "truncated"


@pytest.mark.parametrize("height", [2, -2])
def test_a_bmp_of_two_bits_is_read(height: int) -> None:
    data = bmp(5, height, 2, 0, bytes.fromhex("1b000000 e4c00000"))
    rows: list[list[int | None]] = [[0, 1, 2, 3, 0], [3, 2, 1, 0, 3]]
    assert shown(data) == (rows if height < 0 else rows[::-1])
    with pytest.raises(ImageError) as caught:
        open_image(data[:-4])
    assert caught.value.reason == "truncated"
