"""Bytes of pictures from files, tars and URLs, and what decode workers make of them."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from semblant_indexer.pool import Batch, WorkerPool
from semblant_indexer.reading import name_of, read_content, tar_member
from semblant_indexer.worker import Decoded, Rejected, Task, Unchanged, WorkerConfig
from semblant_search import Encoder, Fit
from semblant_search.errors import ImageError
from semblant_search.images import fit_image, most_bytes, open_image, to_grey
from semblant_search.orb import OrbSettings, Vocabulary, extract, pack, thumbnail, unpack
from support.processes import decode_workers

if TYPE_CHECKING:
    from pathlib import Path

FIT = Fit(28, 28, 1)


@pytest.fixture
def ten(tmp_path: Path) -> Path:
    path = tmp_path / "ten.bin"
    path.write_bytes(b"0123456789")
    return path


def test_bytes_come_from_files_tars_and_urls(ten: Path) -> None:
    assert read_content(str(ten), 10) == (b"0123456789", ten.stat().st_mtime_ns, 10)
    assert read_content(f"local://{ten}", 10) == (b"0123456789", -1, 10)
    for path in (str(ten), f"local://{ten}"):
        assert read_content(tar_member(path, 3, 4), 10) == (b"3456", -1, 4)
        assert read_content(tar_member(path, 0, 10), 10) == (b"0123456789", -1, 10)
    assert tar_member("a:b.tar", 512, 9) == "tar:512:9:a:b.tar"


@pytest.mark.parametrize(
    ("place", "limit", "reason", "message"),
    [
        ("{ten}", 9, "too-large", "ten.bin"),
        ("local://{ten}", 9, "too-large", "more than 9 bytes"),
        ("tar:0:10:{ten}", 9, "too-large", "more than 9 bytes"),
        ("{ten}.no", 9, "missing", "no such file"),
        ("local://{ten}.no", 9, "missing", "no such file"),
        ("tar:0:4:{ten}.no", 9, "missing", "no such file"),
        ("{folder}", 9, "", "{folder}"),
        ("tar:8:5:{ten}", 10, "truncated", "ends 3 bytes early"),
        ("tar:7:4:{ten}", 10, "truncated", "ends 1 bytes early"),
        ("tar:8:5:local://{ten}", 10, "truncated", "ends 3 bytes early"),
        ("tar:10:5:{ten}", 10, "empty", "is empty"),
        ("local://{empty}", 10, "empty", "is empty"),
        ("{empty}", 10, "empty", "empty"),
        ("nosuch://host/x", 10, "unreadable", "cannot be read"),
    ],
)
def test_what_cannot_be_read_has_a_reason(ten: Path, tmp_path: Path, place: str, limit: int, reason: str, message: str) -> None:
    (tmp_path / "empty.bin").touch()
    names = {"ten": ten, "folder": tmp_path, "empty": tmp_path / "empty.bin"}
    with pytest.raises(ImageError, match=message.format(**names)) as caught:
        read_content(place.format(**names), limit)
    assert caught.value.reason == (reason or "unreadable")


def test_a_picture_in_a_tar_is_named_by_its_tar() -> None:
    assert name_of("tar:512:9:/x/a:b.tar") == "/x/a:b.tar"
    assert name_of("/x/a.png") == "/x/a.png"
    assert name_of("https://host/a.png") == "https://host/a.png"


def test_files_are_read_up_to_what_their_pixels_can_take() -> None:
    assert most_bytes(1) == most_bytes(8_000_000) == 64_000_000
    assert most_bytes(100_000_000) == 800_000_000


def answer(pool: WorkerPool, slot: int, files: list[tuple[str, frozenset[str]]]) -> Batch:
    pool.submit(Task(slot, files))
    while not (done := pool.collect(1.0)):
        pass
    return done[0]


def test_workers_tell_facts_and_write_pixels_in_order(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for someone who works in a folder with names of Python's own."""
    (tmp_path / "numpy.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    known = photos / "rocket.jpg"
    (tmp_path / "bad.png").write_text("no picture")
    sha256 = hashlib.sha256(known.read_bytes()).hexdigest()
    places = [photos / "coffee.png", known, tmp_path / "bad.png", photos / "text.png", known]
    with closing(WorkerPool(WorkerConfig(FIT, 10**9), workers=1, slots=3, batch=5, patience=60)) as pool:
        contents = [frozenset({"0" * 64}), frozenset({"1" * 64, sha256}), frozenset[str](), frozenset[str](), frozenset({"0"})]
        batch = answer(pool, 2, [(str(path), content) for path, content in zip(places, contents, strict=True)])
        assert (pool.idle, pool.busy, pool.current) == (1, 0, [])
        assert batch.task.slot == 2
        first, same, bad, second, third = batch.results
        facts = known.stat()
        assert same == Unchanged(sha256, facts.st_size, facts.st_mtime_ns)
        assert isinstance(bad, Rejected)
        assert (bad.reason, str(tmp_path / "bad.png") in bad.message) == ("not-an-image", True)
        shown = [(first, places[0]), (second, places[3]), (third, known)]
        for row, (result, path) in enumerate(shown):
            assert isinstance(result, Decoded)
            with Image.open(path) as image:
                assert (result.width, result.height, result.format) == (*image.size, image.format)
            assert result.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
            assert (result.size, result.mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)
            assert (result.features, result.words, result.exif) == (None, None, None)
            np.testing.assert_array_equal(pool.pixels[2, row], fit_image(open_image(path, at_least=(28, 28)), FIT))
        assert len(decode_workers()) == 1
    assert not decode_workers()


def test_workers_extract_features_and_words_as_a_search_does(photos: Path, encoder_file: Path, tmp_path: Path) -> None:
    settings, words = OrbSettings(features=150), Vocabulary.general()
    path, flat, large = photos / "coffee.png", tmp_path / "flat.png", tmp_path / "large.jpg"
    Image.new("L", (64, 64), 128).save(flat)
    with Image.open(photos / "rocket.jpg") as image:
        image.resize((1600, 1100)).save(large, quality=95)
    config = WorkerConfig(FIT, 10**9, settings, words.to_bytes(), exif=True)
    with closing(WorkerPool(config, workers=1, slots=1, batch=3, patience=60)) as pool:
        results = answer(pool, 0, [(str(one), frozenset()) for one in (path, flat, large)]).results
        np.testing.assert_array_equal(pool.pixels[0, 0], Encoder(encoder_file).prepare(path))
        np.testing.assert_array_equal(pool.pixels[0, 2], Encoder(encoder_file).prepare(large))
    for result, one in ((results[0], path), (results[2], large)):
        assert isinstance(result, Decoded)
        side = settings.longest_side
        grey = to_grey(open_image(one, at_least=(side, side), luma=True), longest_side=side)
        found = extract(grey, settings)
        assert 0 < len(found) <= 150
        np.testing.assert_array_equal(result.features, pack(found, thumbnail(grey, 64)))
        assert result.features is not None
        expected = words.sparse(unpack(result.features))  # one bit in some thousand descriptors is lost in packing
        assert result.words is not None
        np.testing.assert_array_equal(result.words[0], expected.indices)
        np.testing.assert_array_equal(result.words[1], expected.values)
        assert result.exif is not None
    assert isinstance(results[2], Decoded)
    assert (results[2].width, results[2].height) == (1600, 1100)  # though it was decoded at a smaller scale
    assert isinstance(results[1], Decoded)
    assert (results[1].features, results[1].words) == (None, None)


def test_features_alone_have_no_words(photos: Path) -> None:
    config = WorkerConfig(FIT, 10**9, OrbSettings())
    with closing(WorkerPool(config, workers=1, slots=1, batch=1, patience=60)) as pool:
        (result,) = answer(pool, 0, [(str(photos / "text.png"), frozenset())]).results
    assert isinstance(result, Decoded)
    assert result.features is not None
    assert result.words is None


def test_a_bad_picture_in_a_tar_is_named_and_large_ones_are_refused(photos: Path, tmp_path: Path) -> None:
    shutil.copyfile(photos / "coffee.png", tmp_path / "coffee.png")
    (tmp_path / "bad.png").write_text("no picture")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(tmp_path / "bad.png", "bad.png")
        tar.add(tmp_path / "coffee.png", "coffee.png")
    with tarfile.open(tmp_path / "x.tar") as tar:
        places = [tar_member(str(tmp_path / "x.tar"), member.offset_data, member.size) for member in tar]
    with closing(WorkerPool(WorkerConfig(FIT, 600 * 400 - 1), workers=1, slots=1, batch=2, patience=60)) as pool:
        bad, large = answer(pool, 0, [(place, frozenset()) for place in places]).results
    assert isinstance(bad, Rejected)
    assert (bad.reason, bad.message.startswith(repr(str(tmp_path / "x.tar")))) == ("not-an-image", True)
    assert isinstance(large, Rejected)
    assert large.reason == "too-large"
