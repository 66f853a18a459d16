"""What a picture may be given as: paths, bytes of all kinds, open files; and what is said of what is none of these."""

from __future__ import annotations

import io
import mmap
import os
import tempfile
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from semblant_search import SearchClient, draw_gallery
from semblant_search.errors import ImageError, InvalidInput
from semblant_search.images import open_image, open_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def client(photos: Path, index: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchClient]:
    db = tmp_path_factory.mktemp("photos") / "photos.db"
    index(db, [photos / name for name in ("chelsea.png", "coffee.png", "rocket.jpg")])
    with SearchClient(db) as client:
        yield client


@pytest.fixture(scope="module")
def cat(photos: Path) -> bytes:
    return (photos / "chelsea.png").read_bytes()


def after_writing(data: bytes) -> io.BytesIO:
    """As `image.save(buffer)` leaves it: at its end."""
    buffer = io.BytesIO()
    buffer.write(data)
    return buffer


KINDS: dict[str, Callable[[bytes], Any]] = {
    "bytearray": bytearray,
    "memoryview": memoryview,
    "every second byte": lambda data: memoryview(bytes(np.repeat(np.frombuffer(data, np.uint8), 2)))[::2],
    "BytesIO": io.BytesIO,
    "BytesIO after writing": after_writing,
    "buffered": lambda data: io.BufferedReader(io.BytesIO(data)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_of_all_kinds_are_pictures_everywhere(client: SearchClient, cat: bytes, kind: str) -> None:
    make = KINDS[kind]
    expected = [hit.id for hit in client.search(cat)]
    np.testing.assert_array_equal(np.asarray(open_image(make(cat))), np.asarray(open_image(cat)))
    assert [hit.id for hit in client.search(make(cat))] == expected
    assert client.search_fused(make(cat))[0].verdict == "copy"
    assert client.search_features(make(cat), 1)[0].verdict == "copy"
    assert client.search_features(make(cat), 1, region=(100, 50, 200, 200))[0].id == expected[0]
    assert [[hit.id for hit in hits] for hits in client.search_batch([make(cat), make(cat)])] == [expected, expected]
    np.testing.assert_array_equal(client.embed([make(cat)]), client.embed([cat]))
    assert (
        draw_gallery(client.search(make(cat)), query=make(cat)).tobytes()
        == draw_gallery(client.search(cat), query=cat).tobytes()
    )


def test_open_files_are_read_whole_and_left_where_they_stood(client: SearchClient, photos: Path, tmp_path: Path) -> None:
    path = photos / "chelsea.png"
    for buffering in (0, -1):
        with path.open("rb", buffering=buffering) as file:
            file.seek(100)
            assert open_picture(file).format == "PNG"
            assert client.search_fused(file)[0].score > 0
            assert file.tell() == 100
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "cat.png")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, archive.open("cat.png") as member:
        assert open_image(member).size == open_image(path).size
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert open_image(mapped).size == open_image(path).size  # type: ignore[arg-type]


def test_a_pipe_is_read_once_also_where_it_is_needed_twice(client: SearchClient, photos: Path) -> None:
    data = (photos / "coffee.png").read_bytes()
    small = io.BytesIO()
    open_image(data).resize((150, 100)).save(small, "JPEG", quality=90)  # fits a pipe
    reading, writing = os.pipe()
    with open(writing, "wb") as sink:  # noqa: PTH123 - a descriptor
        sink.write(small.getvalue())
    with open(reading, "rb") as pipe:  # noqa: PTH123
        hits = client.search_fused(pipe)
    assert hits[0].uri.endswith("coffee.png")


def test_a_file_that_is_open_for_text_says_how_to_open_it(client: SearchClient, photos: Path) -> None:
    with (photos / "chelsea.png").open() as text:
        asks: list[Callable[[Any], object]] = [
            open_image,
            client.search,
            client.search_features,
            lambda file: client.embed([file]),
        ]
        for ask in asks:
            with pytest.raises(ImageError, match=r"open file '.*chelsea\.png': is open for text; .* mode 'rb'") as caught:
                ask(text)
            assert caught.value.reason == "unsupported"
    with pytest.raises(ImageError, match="open StringIO: is open for text"):
        open_image(io.StringIO("abc"))  # type: ignore[arg-type]
    with tempfile.NamedTemporaryFile("w+") as wrapped:
        wrapped.write("abc")
        wrapped.flush()
        with pytest.raises(ImageError, match="is open for text"):
            open_image(wrapped)


def test_open_files_that_cannot_be_read_say_so(cat: bytes, tmp_path: Path) -> None:
    closed = io.BytesIO(cat)
    closed.close()
    with pytest.raises(ImageError, match=r"open BytesIO: cannot be read: .*closed") as caught:
        open_image(closed)
    assert caught.value.reason == "unreadable"
    with (tmp_path / "new.png").open("wb") as file, pytest.raises(ImageError, match=r"open file .*new\.png.*cannot be read"):
        open_image(file)
    with pytest.raises(ImageError, match="open BytesIO: is empty") as caught:
        open_image(io.BytesIO())
    assert caught.value.reason == "empty"
    with pytest.raises(ImageError, match="open BytesIO: has more bytes than the limit of 64,000,000") as caught:
        open_image(io.BytesIO(bytes(64_000_001)), max_pixels=1)
    assert caught.value.reason == "too-large"
    released = memoryview(cat)
    released.release()
    with pytest.raises(ImageError, match="memoryview"):
        open_image(released)


@pytest.mark.parametrize("wrong", [None, 5, ["a.png"], {"picture": 1}, object(), Image])
def test_what_is_no_picture_at_all_says_what_is(client: SearchClient, wrong: Any) -> None:
    for ask in (open_image, client.search, client.search_features):
        with pytest.raises(ImageError, match=rf"{type(wrong).__name__}: expected a picture: a path, the bytes") as caught:
            ask(wrong)
        assert caught.value.reason == "unsupported"


@pytest.mark.parametrize("kind", KINDS)
def test_one_picture_is_no_list_of_them(client: SearchClient, cat: bytes, kind: str) -> None:
    """Bytes and open files can be gone through, too: number by number, line by line."""
    for ask in (client.embed, client.search_batch):
        with pytest.raises(InvalidInput, match="expected a list of pictures, not one"):
            ask(KINDS[kind](cat))
