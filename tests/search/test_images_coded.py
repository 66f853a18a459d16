"""Colours that are told by code points (ITU-T H.273), as Chromium 156 shows them: PNG's cICP, AVIF's and HEIC's nclx."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from semblant_search.images import open_image
from semblant_search.images.icc import from_cicp
from support.shown import COLOURS, away, chunk, encoded, with_chunks

WRITTEN = [
    *((255, 255, 255), (190, 190, 190), (148, 148, 148), (60, 60, 60), (200, 40, 30), (30, 180, 60), (20, 60, 220)),
    *((230, 220, 40), (120, 20, 140), (90, 150, 160), (255, 0, 0), (0, 255, 0), (0, 0, 255), (30, 20, 10)),
]
PATCHES = Image.fromarray(np.repeat(np.array(WRITTEN, np.uint8)[None], 4, axis=0))


def coded(primaries: int, transfer: int, *, matrix: int = 0, full: int = 1) -> bytes:
    return with_chunks(encoded(PATCHES), chunk(b"cICP", bytes((primaries, transfer, matrix, full))))


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        pytest.param(
            (9, 16),
            "ffffff fdfdfd bbbbbb 1a1a1a ff0000 00ff00 0000ff ffd500 8a00ab 00bdda ff0000 00ff00 0000ff 060100",
            id="PQ",
        ),
        pytest.param(
            (1, 16),
            "ffffff fdfdfd bbbbbb 1a1a1a ff0402 02f812 0006ff ffe901 7201a3 39b7d8 ff0000 00ff00 0000ff 040100",
            id="PQ in BT.709",
        ),
        pytest.param(
            (9, 18),
            "ffffff b9b9b9 787878 272727 e60000 00aa00 0027d4 fad200 670067 007d85 ff0000 00ff00 0000f9 0f0401",
            id="HLG",
        ),
        pytest.param(
            (12, 18),
            "ffffff b9b9b9 787878 272727 c70000 00a412 002bd5 f2d800 5c0066 367a85 ff0000 00ff00 0000fa 0d0501",
            id="HLG in P3",
        ),
        pytest.param(
            (1, 1),
            "ffffff bababa 8e8e8e 313131 c51c12 12b031 0731da e5da1c 710786 51909b ff0000 00ff00 0000ff 120701",
            id="BT.709",
        ),
        pytest.param(
            (12, 6),
            "ffffff bababa 8e8e8e 313131 d70000 00b300 0032e3 e7da00 7c008b 37929d ff0000 00ff00 0000ff 130701",
            id="BT.601 in P3",
        ),
        pytest.param(
            (9, 7),
            "ffffff c5c5c5 9f9f9f 4d4e4e ff0024 00c733 004eeb f5e000 a2009f 00a7ac ff0000 00ff00 0000ff 362517",
            id="SMPTE 240M",
        ),
        pytest.param(
            (12, 17),
            "ffffff bdbdbd 8d8d8d 2c2c2c db0000 00b500 002de9 eedf00 780089 2e919c ff0000 00ff00 0000ff 0f0400",
            id="SMPTE 428",
        ),
    ],
)
def test_a_png_is_shown_as_its_code_points_say(code: tuple[int, int], shown: str) -> None:
    found = np.asarray(open_image(coded(*code)), int)[0].ravel()
    away_by = np.abs(found - list(bytes.fromhex(shown)))
    assert away_by.max() <= 3
    assert away_by.mean() < 0.5


@pytest.mark.parametrize(
    "code", [{"transfer": 2}, {"primaries": 2, "transfer": 1}, {"transfer": 13, "full": 0}, {"transfer": 16, "matrix": 9}]
)
def test_code_points_of_a_png_that_browsers_pass_by_count_for_nothing(code: dict[str, int]) -> None:
    data = coded(**{"primaries": 9, **code})
    assert away(open_image(data), PATCHES) == 0
    linear = chunk(b"gAMA", (100_000).to_bytes(4, "big"))
    assert away(open_image(with_chunks(data, linear)), open_image(with_chunks(encoded(PATCHES), linear))) == 0


def test_an_avif_in_the_curve_of_cameras_is_shown_as_srgb() -> None:
    """As Chromium does, and as pictures and films are written who mean sRGB."""
    assert from_cicp(1, 1) is None
    assert from_cicp(12, 1) == from_cicp(12, 13)


def test_greys_and_transparency_of_high_range_keep_their_shape() -> None:
    grey = COLOURS.convert("L")
    grey_png = with_chunks(encoded(grey), chunk(b"cICP", bytes((9, 16, 0, 1))))
    colour_png = with_chunks(encoded(grey.convert("RGB")), chunk(b"cICP", bytes((9, 16, 0, 1))))
    assert open_image(grey_png).mode == "L"
    assert away(open_image(grey_png), open_image(colour_png)) < 0.5
    clear = COLOURS.copy()
    clear.putalpha(grey)
    shown = open_image(with_chunks(encoded(clear), chunk(b"cICP", bytes((9, 18, 0, 1)))))
    np.testing.assert_array_equal(np.asarray(shown)[..., 3], np.asarray(grey))


@pytest.mark.parametrize("said", [b"", b"\x09", b"\0\0"], ids=["empty", "unknown", "long"])
def test_a_mark_of_srgb_that_is_none_counts_for_nothing(said: bytes) -> None:
    linear = chunk(b"gAMA", (100_000).to_bytes(4, "big"))
    shown = open_image(with_chunks(encoded(PATCHES), chunk(b"sRGB", said), linear))
    assert away(shown, open_image(with_chunks(encoded(PATCHES), linear))) == 0


def test_chromaticities_without_a_curve_count_for_nothing() -> None:
    """Chromium and Firefox heed them with gAMA only."""
    wide = b"".join(value.to_bytes(4, "big") for value in (34570, 35850, 73470, 26530, 15960, 84040, 3660, 10))
    assert away(open_image(with_chunks(encoded(PATCHES), chunk(b"cHRM", wide))), PATCHES) == 0
