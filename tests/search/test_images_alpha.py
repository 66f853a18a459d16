"""A channel that a header does not declare as transparency is none, whatever Pillow takes it for."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image
from semblant_search.images import open_image
from support.shown import COLOURS, GREY, PHOTOGRAPH, away, encoded

RGB = np.asarray(COLOURS)
CLEAR = np.zeros_like(GREY)


def psd(channels: list[np.ndarray], layers: int | None, resources: bytes = b"") -> bytes:
    """Of 8 bits, with a count of layers of which none follows; None for no such block."""
    height, width = channels[0].shape
    block = b"" if layers is None else struct.pack(">Ih", 2, layers)
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, len(channels), height, width, 8, 3)
    parts = (b"", resources, block)
    return head + b"".join(struct.pack(">I", len(part)) + part for part in parts) + b"\0\0" + np.stack(channels).tobytes()


@pytest.mark.parametrize(("layers", "mode"), [(None, "RGB"), (1, "RGB"), (0, "RGB"), (-1, "RGBA")])
@pytest.mark.parametrize("resources", [b"", b"8BIM\x03\xed\0\0\0\0\0\2ab"], ids=["bare", "with a resource"])
def test_a_saved_selection_of_photoshop_is_no_transparency(layers: int | None, mode: str, resources: bytes) -> None:
    shown = open_image(psd([*np.moveaxis(RGB, -1, 0), CLEAR], layers, resources))
    assert shown.mode == mode
    assert away(shown.convert("RGB"), COLOURS) == 0


@pytest.mark.parametrize(("declared", "mode"), [(False, "RGB"), (True, "RGBA")])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_fourth_sample_of_a_tiff_that_has_no_word_for_it_is_no_transparency(
    declared: bool, mode: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    data = encoded(Image.merge("RGBA", (*COLOURS.split(), Image.fromarray(CLEAR))), "TIFF", exif=exif)
    if not declared:
        data = without_tag(data, 338)
    shown = open_image(data)
    assert (shown.mode, shown.getexif().get(0x010F)) == (mode, "Maker")
    upright = COLOURS.transpose(Image.Transpose.ROTATE_270) if orientation == 6 else COLOURS
    assert away(shown.convert("RGB"), upright) == 0


def without_tag(data: bytes, tag: int) -> bytes:
    """The same TIFF (little-endian, one directory) without one of its tags."""
    start = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, start)[0]
    entries = [data[place : place + 12] for place in range(start + 2, start + 2 + 12 * count, 12)]
    kept = [entry for entry in entries if struct.unpack_from("<H", entry)[0] != tag]
    assert len(kept) == count - 1
    directory = struct.pack("<H", len(kept)) + b"".join(kept) + bytes(16)
    return data[:start] + directory + data[start + len(directory) :]


@pytest.mark.parametrize(("kind", "mode"), [(b"\0\0", "plain"), (b"\xff\xff", "plain"), (b"\0\1", "clear"), (b"\0\2", "clear")])
def test_a_channel_of_a_jp2_is_transparency_where_its_box_says_so(kind: bytes, mode: str) -> None:
    alpha = Image.fromarray(CLEAR)
    for picture, modes in (
        (Image.merge("RGBA", (*COLOURS.split(), alpha)), {"plain": "RGB", "clear": "RGBA"}),
        (Image.merge("LA", (PHOTOGRAPH, alpha)), {"plain": "L", "clear": "LA"}),
    ):
        data = bytearray(encoded(picture, "JPEG2000", irreversible=False))
        last = data.index(b"cdef") + 4 + 2 + 6 * (len(picture.getbands()) - 1)
        data[last + 2 : last + 4] = kind
        shown = open_image(bytes(data))
        assert shown.mode == modes[mode]
        plain = Image.merge("RGB", picture.split()[:3]) if picture.mode == "RGBA" else PHOTOGRAPH
        assert away(shown.convert("RGB"), plain) == 0


def test_an_alpha_channel_of_a_caller_s_image_stays() -> None:
    clear = COLOURS.copy()
    clear.putalpha(PHOTOGRAPH)
    with Image.open(io.BytesIO(without_tag(encoded(clear, "TIFF"), 338))) as image:
        assert open_image(image).mode == "RGBA"
