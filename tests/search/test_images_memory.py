"""What decoding one picture costs: memory bounded by its pixels, whatever the file says that it is."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from semblant_search import SearchClient
from semblant_search.errors import ImageError, InvalidInput
from semblant_search.images import open_image, read_file, to_grey
from semblant_search.images.opening import BYTES_PER_PIXEL

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 2000
PEAK = """
import sys
from semblant_search.images import open_image, to_grey
from PIL import Image

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024

data = open(sys.argv[1], "rb").read()
Image.init()
to_grey(Image.new("RGBA", (8, 8)), longest_side=4)
before = peak()
to_grey(open_image(data, max_pixels=10**9), longest_side=480)
print(peak() - before - len(data))
"""


def large(mode: str) -> Image.Image:
    rng = np.random.default_rng(1)
    if mode in ("I;16", "I", "F"):
        kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        return Image.fromarray((rng.integers(0, 60000, (SIDE, 1)) + np.zeros((1, SIDE))).astype(kind))
    return Image.fromarray(rng.integers(0, 256, (25, 25, 4), dtype=np.uint8)).resize((SIDE, SIDE)).convert(mode)


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
@pytest.mark.parametrize(
    ("mode", "kind", "options", "most"),
    [
        ("I;16", "PNG", {}, 6),
        ("I", "TIFF", {"compression": "tiff_lzw"}, 9),
        ("F", "TIFF", {"compression": "tiff_lzw"}, 12),
        ("RGBA", "PNG", {}, 8),
        ("LA", "PNG", {}, 8),
        ("CMYK", "JPEG", {"progressive": True}, 16),
        ("RGBA", "WEBP", {"lossless": True, "method": 0}, BYTES_PER_PIXEL),
        ("RGBA", "JPEG2000", {}, BYTES_PER_PIXEL),
    ],
)
def test_decoding_takes_no_more_than_so_many_bytes_a_pixel(
    tmp_path: Path, mode: str, kind: str, options: dict[str, object], most: int
) -> None:
    path = tmp_path / "large"
    large(mode).save(path, kind, **options)
    done = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < most * SIDE * SIDE


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_greys_of_transparent_pictures_are_those_of_the_whole_over_white(mode: str) -> None:
    picture = large(mode).resize((1500, 1400))
    below = Image.new("RGB", picture.size, "white")
    below.paste(picture.convert("RGBA"), mask=picture.getchannel("A"))
    np.testing.assert_array_equal(to_grey(picture, longest_side=1500), np.asarray(below.convert("L")))


@pytest.mark.parametrize(("mode", "full"), [("I;16", 65535), ("I", 65535), ("F", 1)])
def test_grey_of_many_bits_is_scaled_alike_in_all_of_a_large_picture(mode: str, full: int) -> None:
    values = np.zeros((1400, 1500), np.float64)
    values[:700] = np.linspace(0, full * 0.4, 1500)
    values[-1, -1] = full
    kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
    expected = np.rint(values.astype(kind) * np.float64(255 / full)).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(open_image(Image.fromarray(values.astype(kind)))), expected)


def test_a_file_of_more_bytes_than_its_pixels_can_have_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "endless.png"
    with path.open("wb") as file:
        file.truncate(64_000_001)
    with pytest.raises(ImageError, match=r"64,000,001 bytes, more than the limit of 64,000,000") as caught:
        open_image(path, max_pixels=1000)
    assert caught.value.reason == "too-large"
    assert len(read_file(path)[0]) == 64_000_001


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_client_refuses_what_is_larger_than_it_was_told(db: Path) -> None:
    with SearchClient(db, max_pixels=10_000) as client:
        assert client.search(png(100, 100), limit=1)
        for ask in (
            lambda: client.search(png(101, 100)),
            lambda: client.search_fused(png(101, 100)),
            lambda: client.search_batch([png(101, 100)]),
            lambda: client.search_features(png(101, 100)),
            lambda: client.search_features(png(101, 100), region=(0, 0, 5, 5)),
            lambda: client.embed([png(101, 100)]),
        ):
            with pytest.raises(ImageError, match=r"101×100 .* raise max_pixels \(SearchClient\(max_pixels=…\)") as caught:
                ask()
            assert caught.value.reason == "too-large"


@pytest.mark.parametrize("wrong", [0, -1, True, 1e8, "1"])
def test_a_limit_that_is_no_number_of_pixels_is_refused(tmp_path: Path, wrong: object) -> None:
    with pytest.raises(InvalidInput, match=r"max_pixels .*: expected a whole number of pixels"):
        SearchClient(tmp_path / "db", max_pixels=wrong)  # type: ignore[arg-type]
