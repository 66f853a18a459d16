"""Every picture of a corpus of files is what a second decoder, libvips, makes of it: a level away at most, on the average."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from semblant_search.images import flatten, open_image
from support.shown import COLOURS, GREY
from support.variants import variants

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pyvips = pytest.importorskip("pyvips")
tifffile = pytest.importorskip("tifffile")

REASONS = {
    "png grey": "libvips does not take a profile of greys from a PNG; of JPEG and TIFF it does, and agrees",
    "tiff unspecified": "libvips takes an extra channel for transparency that the header does not declare as that",
    "tiff cmyk": "without a profile, libvips takes one of its own for CMYK; browsers count plainly",
    "tiff lab": "libvips does not read Lab of 8 bits",
}
"""Where the two may differ, and why: by how names begin."""


def by_libvips() -> Iterator[tuple[str, bytes]]:
    """Kinds that Pillow does not write."""
    colour = pyvips.Image.new_from_array(np.asarray(COLOURS)).copy(interpretation="srgb")
    grey = pyvips.Image.new_from_array(GREY).copy(interpretation="b-w")
    deep = (colour * 257).cast("ushort").copy(interpretation="rgb16")
    ink = colour.icc_transform("cmyk", input_profile="srgb", intent="perceptual")
    yield "vips tiff of ink with its profile", ink.tiffsave_buffer()
    for interlaced in (True, False):
        yield f"vips jpeg of ink with its profile {interlaced}", ink.jpegsave_buffer(Q=95, interlace=interlaced)
        for name, picture in (("colour", colour), ("deep", deep), ("grey", grey)):
            yield f"vips png {name} {interlaced}", picture.pngsave_buffer(interlace=interlaced)
        for bits in (1, 2, 4):
            yield f"vips png {bits} bits {interlaced}", grey.pngsave_buffer(interlace=interlaced, bitdepth=bits)
            yield f"vips tiff {bits} bits white {interlaced}", grey.tiffsave_buffer(bitdepth=bits, miniswhite=interlaced)
        yield f"vips png palette {interlaced}", colour.pngsave_buffer(interlace=interlaced, palette=True)
    for name in ("p3", "srgb"):
        for depth in (8, 16):
            other = colour.icc_transform(name, input_profile="srgb", depth=depth)
            yield f"vips png in {name} of {depth}", other.pngsave_buffer()
            yield f"vips tiff in {name} of {depth}", other.tiffsave_buffer()
    for compression in ("lzw", "deflate", "packbits", "none"):
        for name, picture in (("colour", colour), ("deep", deep)):
            for big in (True, False):
                options = {"compression": compression, "predictor": "horizontal", "bigtiff": big}
                yield f"vips tiff {name} {compression} {big}", picture.tiffsave_buffer(**options)
                tiles = {"tile": True, "tile_width": 16, "tile_height": 16, "pyramid": True}
                yield f"vips tiff tiles {name} {compression} {big}", picture.tiffsave_buffer(**options, **tiles)


@pytest.fixture(scope="module")
def corpus() -> Mapping[str, bytes]:
    return {**variants(), **dict(by_libvips())}


def second_opinion(data: bytes) -> np.ndarray:
    """uint8 `[h, w, 3]` in sRGB over white, upright."""
    image = pyvips.Image.new_from_buffer(data, "", fail_on="none").autorot()
    if image.get_typeof("icc-profile-data"):
        try:
            image = image.icc_transform("srgb", embedded=True, intent="perceptual", depth=8)
        except pyvips.Error:  # a broken profile
            image.remove("icc-profile-data")
    image = image.colourspace("srgb")
    if image.hasalpha():
        image = image.flatten(background=[255, 255, 255])
    pixels = image.cast("uchar").numpy()
    alike: np.ndarray = np.broadcast_to(pixels.reshape(image.height, image.width, -1), (image.height, image.width, 3))
    return alike


def planes_by_tifffile(data: bytes) -> np.ndarray:
    """Of the kind of TIFF that libvips does not read: tiles, one plane for each colour."""
    values = np.moveaxis(tifffile.imread(io.BytesIO(data)), 0, -1)
    levels: np.ndarray = np.rint(values / np.iinfo(values.dtype).max * 255)
    return levels


def test_a_second_decoder_sees_the_same(corpus: Mapping[str, bytes]) -> None:
    assert len(corpus) > 450
    away = {}
    for name, data in corpus.items():
        shown = np.asarray(flatten(open_image(data), (255, 255, 255)).convert("RGB"), float)
        if not name.startswith(tuple(REASONS)):
            tiled = name.startswith("tiff tiles") and "separate" in name
            expected = planes_by_tifffile(data) if tiled else second_opinion(data)
            away[name] = float(np.abs(shown - expected).mean()) if shown.shape == expected.shape else 255.0
    assert {name: difference for name, difference in away.items() if difference > 1} == {}
    assert np.median(list(away.values())) < 0.1
