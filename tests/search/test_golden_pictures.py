"""What encoders and features see of real files, to the level: a change makes stored vectors and new ones differ unnoticed.

One level of tolerance lets other decoders of JPEG and WebP round otherwise. Another `reducing_gap`, filter, padding or grey
differs by more somewhere in these pictures; each was tried.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from semblant_search import Encoder
from semblant_search.images import fit_image, open_image, open_picture, to_grey
from support.golden import FITS, GOLDEN, GREY_SIDE, picture_files

if TYPE_CHECKING:
    from pathlib import Path

FILES = picture_files()
MODES = {
    "alpha.png": ("RGBA", 80, 80, "PNG"),
    "animated.gif": ("RGB", 64, 48, "GIF"),
    "cmyk.jpg": ("RGB", 150, 100, "JPEG"),
    "colour-key.png": ("RGBA", 60, 44, "PNG"),
    "colour.png": ("RGB", 64, 65, "PNG"),
    "colour.tiff": ("RGB", 50, 40, "TIFF"),
    "grey-16.png": ("L", 40, 30, "PNG"),
    "grey-16.tiff": ("L", 40, 30, "TIFF"),
    "grey-alpha.png": ("LA", 70, 90, "PNG"),
    "grey.png": ("L", 96, 90, "PNG"),
    "letters.png": ("RGB", 224, 86, "PNG"),
    "lossy.webp": ("RGB", 180, 120, "WEBP"),
    "palette-clear.png": ("RGBA", 111, 74, "PNG"),
    "palette.png": ("RGB", 120, 80, "PNG"),
    "profile.jpg": ("RGB", 200, 133, "JPEG"),
    "progressive.jpg": ("RGB", 240, 162, "JPEG"),
    "strip.png": ("RGB", 150, 11, "PNG"),
    "tiny.bmp": ("RGB", 7, 5, "BMP"),
    "turned.jpg": ("RGB", 203, 150, "JPEG"),
    "two-levels.png": ("L", 300, 149, "PNG"),
}


@cache
def fitted() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "fitted.npz") as arrays:
        return dict(arrays)


@cache
def vectors() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "vectors.npz") as arrays:
        return dict(arrays)


def expected(path: Path, part: str) -> np.ndarray:
    """One of the golden pictures of a file, which lie one after the other."""
    flat, start = fitted()[path.name], 0
    for name, fit in FITS.items():
        size = int(np.prod(fit.shape))
        if name == part:
            return flat[start : start + size].reshape(fit.shape)
        start += size
    return flat[start:]


def tolerance(path: Path) -> int:
    return 1 if path.suffix in (".jpg", ".webp") else 0


def difference(left: np.ndarray, right: np.ndarray) -> int:
    assert left.dtype == right.dtype == np.uint8
    assert left.shape == right.shape
    return int(np.abs(left.astype(int) - right).max())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_seen_as_it_was(path: Path) -> None:
    picture = open_picture(path)
    assert (picture.image.mode, picture.width, picture.height, picture.format) == MODES[path.name]
    assert picture.image.size == (picture.width, picture.height)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_fitted_as_it_was(path: Path, fit: str) -> None:
    assert difference(fit_image(open_image(path), FITS[fit]), expected(path, fit)) <= tolerance(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_features_see_the_grey_that_they_saw(path: Path) -> None:
    grey = to_grey(open_image(path), longest_side=GREY_SIDE)
    assert difference(grey.ravel(), expected(path, "grey")) <= tolerance(path)
    assert max(grey.shape) == min(GREY_SIDE, *[max(MODES[path.name][1:3])])


def test_an_encoder_makes_the_vectors_that_it_made() -> None:
    encoder, golden = Encoder(GOLDEN / "encoder.onnx", threads=1), vectors()
    assert [path.name for path in FILES] == golden["names"].tolist()
    embedding, cells = encoder.encode_with_cells(golden["pixels"])
    np.testing.assert_allclose(embedding, golden["embedding"], atol=1e-5)
    np.testing.assert_allclose(cells, golden["cells"], atol=1e-5)


@pytest.mark.parametrize("number", range(len(FILES)), ids=[path.name for path in FILES])
def test_an_encoder_is_given_the_pixels_that_it_was_given(number: int) -> None:
    """A JPEG is decoded at a reduced scale on this way."""
    encoder = Encoder(GOLDEN / "encoder.onnx", threads=1)
    assert difference(encoder.prepare(FILES[number]), vectors()["pixels"][number]) <= tolerance(FILES[number])
