"""What is the program's own stays as it is: filters of warnings, Pillow's limit, OpenCV's threads, whichever thread asks us."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
import threading
import time
import warnings
import zlib
from typing import TYPE_CHECKING

import cv2
import pytest
from PIL import Image
from semblant_search import SearchClient
from semblant_search.errors import ImageError
from semblant_search.images import open_image, open_picture
from semblant_search.images.headers import open_header

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "ICO", "TGA", "PCX", "SGI")
PHOTOGRAPH = Image.effect_mandelbrot((320, 200), (-2.0, -1.5, 1.0, 1.5), 60).convert("RGB")


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def warned_of() -> bytes:
    """A TIFF whose last tag points beyond its end: Pillow warns, and decodes it."""
    tiff = bytearray(encoded(PHOTOGRAPH, "TIFF"))
    directory = int.from_bytes(tiff[4:8], "little")
    count = int.from_bytes(tiff[directory : directory + 2], "little")
    last = directory + 2 + 12 * (count - 1)
    tiff[last : last + 12] = (59932).to_bytes(2, "little") + (2).to_bytes(2, "little") + b"\xff\xff\x00\x00\xff\xff\xff\x7f"
    return bytes(tiff)


def globals_of_the_host() -> object:
    return (tuple(warnings.filters), id(warnings.filters), warnings.showwarning, Image.MAX_IMAGE_PIXELS, cv2.getNumThreads())


def test_eight_threads_that_do_all_that_a_client_does_change_nothing_of_the_host(
    index: Callable[..., None], pictures: list[Path], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at while they are at it, too: a filter that is put back later is a change to all other threads meanwhile."""
    index(tmp_path / "db", [*pictures[:20], photos / "chelsea.png"])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 123_456)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(3)
    cat, damaged = (photos / "chelsea.png").read_bytes(), encoded(PHOTOGRAPH)[:3000]
    stop, failed, done = threading.Event(), [], itertools.count()

    def refused() -> None:
        with pytest.raises(ImageError):
            open_image(damaged)

    with SearchClient(tmp_path / "db") as client:
        work = [
            lambda: open_image(encoded(PHOTOGRAPH, "JPEG"), at_least=(50, 50)),
            lambda: client.search(cat),
            lambda: client.search_features(cat, region=(50, 50, 200, 200)),
            lambda: client.search_fused(cat),
            lambda: client.count(rf'label != "C:\dir {next(done)}"'),  # of an odd backslash, Python's parser warns
            lambda: client.embed([cat, PHOTOGRAPH]),
            client.duplicates,
            refused,
        ]

        def keep_at_it(task: Callable[[], object]) -> None:
            try:
                while not stop.is_set():
                    task()
                    next(done)
            except BaseException as error:
                failed.append(error)
                raise

        before, seen = globals_of_the_host(), set()
        at_work = [threading.Thread(target=keep_at_it, args=(task,)) for task in work]
        for thread in at_work:
            thread.start()
        until = time.monotonic() + 4
        while time.monotonic() < until:
            seen.add(globals_of_the_host())
            time.sleep(0.0005)
        stop.set()
        for thread in at_work:
            thread.join()
    after = globals_of_the_host()
    cv2.setNumThreads(threads)
    assert not failed
    assert seen == {before}
    assert after == before


def test_the_program_s_limit_for_pillow_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("PNG", "JPEG", "GIF", "BMP", "PPM", "TGA", "JPEG2000"):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        assert open_image(encoded(PHOTOGRAPH, kind)).size == (320, 200)
        assert Image.MAX_IMAGE_PIXELS == 100
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
        with pytest.raises(ImageError, match="over the limit"):
            open_image(encoded(PHOTOGRAPH, kind), max_pixels=100)


def test_where_a_plugin_of_pillow_asks_for_it_by_itself_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for kind in ("WEBP", "TIFF"):
        with pytest.raises(ImageError, match=r"Pillow refuses its size by PIL\.Image\.MAX_IMAGE_PIXELS") as caught:
            open_image(encoded(PHOTOGRAPH, kind))
        assert caught.value.reason == "too-large"


def test_what_pillow_warns_of_is_heard_by_the_program_and_decoded() -> None:
    with pytest.warns(UserWarning, match="Truncated File Read"):
        assert open_image(warned_of()).size == (320, 200)


def test_a_program_that_makes_errors_of_warnings_gets_one_of_ours() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match="this program makes errors of warnings"):
            open_image(warned_of())


def test_an_exif_block_that_breaks_off_is_nothing_to_warn_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_image(encoded(PHOTOGRAPH, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")).size == (320, 200)


def test_an_icon_is_as_large_as_the_pictures_in_it_before_they_are_decoded() -> None:
    data = bytearray(encoded(PHOTOGRAPH.resize((64, 48)), "ICO", sizes=[(64, 48)]))
    data[6:8] = (2, 2)
    start = int.from_bytes(data[18:22], "little")
    for wide in (3000, 2**31 - 1):
        data[start + 16 : start + 20] = wide.to_bytes(4, "big")
        data[start + 29 : start + 33] = zlib.crc32(data[start + 12 : start + 29]).to_bytes(4, "big")
        with pytest.raises(ImageError, match=rf"{wide}×48 is .* over the limit") as caught:
            open_image(bytes(data), max_pixels=100_000)
        assert caught.value.reason == "too-large"


@pytest.mark.parametrize("options", [{}, {"bitmap_format": "bmp"}, {"sizes": [(16, 16), (32, 32), (64, 64)]}])
def test_icons_are_decoded_at_their_largest(options: dict[str, object]) -> None:
    picture = open_picture(encoded(PHOTOGRAPH.resize((64, 64)), "ICO", **options), max_pixels=64 * 64)
    assert (picture.width, picture.height) == (64, 64)


@pytest.mark.parametrize(
    "kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "ICO", "TGA", "PCX", "SGI"]
)
def test_each_format_is_known_as_pillow_knows_it(kind: str) -> None:
    data = encoded(PHOTOGRAPH.resize((64, 48)), kind)
    with Image.open(io.BytesIO(data)) as expected, open_header(data) as found:
        assert (found.format, found.size, found.mode) == (expected.format, expected.size, expected.mode)


@pytest.mark.parametrize("setting", ["", "cv2.setNumThreads(3)"], ids=["as it comes", "as the program sets it"])
def test_opencv_s_threads_are_left_to_the_program(setting: str) -> None:
    count = "import cv2; print(cv2.getNumThreads())"
    ask = "import numpy as np; from semblant_search.orb import extract; extract(np.zeros((50, 50), np.uint8))"
    printed = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for code in (
            f"import cv2; {setting}; {ask}; {count}" if setting else f"{ask}; {count}",
            f"import cv2; {setting or 'pass'}; {count}",
        )
    ]
    assert printed[0] == printed[1]
