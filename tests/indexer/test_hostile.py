"""Pictures that crash, stall or trick a decoder, and what the pool does about it."""

from __future__ import annotations

import io
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
from PIL import Image
from semblant_indexer.pool import WorkerPool
from semblant_indexer.worker import Decoded, Rejected, Task, WorkerConfig
from semblant_search import Fit
from semblant_search.errors import SemblantError
from semblant_search.images import fit_image, open_image
from support.processes import decode_workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from semblant_indexer import IndexReport
    from semblant_indexer.pool import Batch

FIT = Fit(28, 28, 1)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound picture that takes a decoder a second or so: 80 megapixels of noise."""
    path = tmp_path_factory.mktemp("slow") / "slow.png"
    noise = np.random.default_rng(0).integers(0, 256, (4000, 5000), dtype=np.uint8)
    Image.fromarray(np.tile(noise, (2, 2))).save(path, compress_level=1)
    return path


def decode(pool: WorkerPool, paths: list[Path], meanwhile: Callable[[], None] = lambda: None) -> Batch:
    pool.submit(Task(0, [(str(path), frozenset()) for path in paths]))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        meanwhile()
        for batch in pool.collect(0.02):
            return batch
    raise AssertionError("no answer")


def test_a_picture_that_takes_too_long_costs_itself_only(slow: Path, photos: Path) -> None:
    others = [photos / "coffee.png", photos / "rocket.jpg"]
    with closing(WorkerPool(WorkerConfig(FIT, 10**9), workers=1, slots=1, batch=3, patience=0.3)) as pool:
        batch = decode(pool, [others[0], slow, others[1]])
        first, second, third = batch.results
        assert isinstance(second, Rejected)
        assert (second.reason, "longer than 0.3 s" in second.message) == ("timeout", True)
        assert isinstance(first, Decoded)
        assert isinstance(third, Decoded)
        for pixels, path in zip(pool.pixels[0], others, strict=False):
            np.testing.assert_array_equal(pixels, fit_image(open_image(path, at_least=(28, 28)), FIT))


def test_a_job_has_the_patience_that_it_is_told(slow: Path, index: Callable[..., IndexReport]) -> None:
    report = index(slow.parent, patience=0.3, max_pixels=10**9)
    assert report.reasons == {"timeout": 1}
    assert "longer than 0.3 s" in report.failures[0].message


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_worker_that_dies_costs_at_most_its_picture(slow: Path, photos: Path, deaths: int) -> None:
    """Killed at a picture once, it is tried again: that may have been anything. Killed there twice, the picture is to blame."""
    left, others = [deaths], [photos / "coffee.png", photos / "rocket.jpg"]
    with closing(WorkerPool(WorkerConfig(FIT, 10**9), workers=1, slots=1, batch=3, patience=60)) as pool:
        results = decode(pool, [others[0], slow, others[1]], murder_at(pool, slow, left)).results
        for row, path in zip((0, 2 if deaths == 1 else 1), others, strict=True):  # in the order of the batch
            np.testing.assert_array_equal(pool.pixels[0, row], fit_image(open_image(path, at_least=(28, 28)), FIT))
    assert left == [0]
    assert [isinstance(result, Decoded) for result in results] == [True, deaths == 1, True]
    if deaths == 2:
        assert isinstance(results[1], Rejected)
        assert results[1].reason == "crashed"


@pytest.mark.parametrize(
    ("program", "message"),
    [("exit 7", "ended with exit code 7"), ("kill -9 $$", "ended by signal 9"), ("exec sleep 60", "not begun after 0.3 s")],
)
def test_workers_that_cannot_start_end_the_run_with_an_error(
    pictures: Path,
    index: Callable[..., IndexReport],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    message: str,
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{program}\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    monkeypatch.setattr("semblant_indexer.pool._START_PATIENCE", 0.3)
    with pytest.raises(SemblantError, match=f"workers do not start .*{message}"):
        index(pictures, workers=2)
    monkeypatch.setattr("sys.executable", str(tmp_path / "nowhere"))
    with pytest.raises(SemblantError, match="cannot be started: No such file"):
        index(pictures)
    monkeypatch.undo()
    assert index(pictures).points == 30


def murder_at(pool: WorkerPool, victim: Path, left: list[int]) -> Callable[[], None]:
    """Kills the worker when it is at this picture, as often as `left` says."""

    struck: set[int] = set()

    def strike() -> None:
        # One that was killed is at its picture until the pool notices.
        alive = [process for process in decode_workers() if process.pid not in struck]
        if left[0] and alive and pool.current == [str(victim)]:
            for process in alive:
                struck.add(process.pid)
                process.kill()
            left[0] -= 1

    return strike


def hostile_folder(root: Path, photo: Path) -> int:
    """Fill a folder with what goes wrong; returns how many names of pictures it has."""
    root.mkdir()
    image = Image.open(photo).convert("RGB").resize((90, 60))
    files: dict[str, bytes] = {}

    def encoded(kind: str, **options: object) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    for kind, suffix in (("PNG", "png"), ("JPEG", "jpg"), ("GIF", "gif"), ("WEBP", "webp"), ("TIFF", "tif"), ("BMP", "bmp")):
        data = encoded(kind)
        for length in (0, 1, 2, 3, 4, 7, 8, 11, 12, 16, 20, 25, 29, 33, 41, 60, 100, 200, len(data) // 2, len(data) - 1):
            files[f"cut-{length:05d}.{suffix}"] = data[:length]
        for place in range(0, 40, 4):
            files[f"flip-{place:02d}.{suffix}"] = data[:place] + b"\xff\x00\xff\x00" + data[place + 4 :]
    for width, height in ((0, 0), (0, 10), (2**31 - 1, 1), (1, 2**31 - 1), (65500, 65500), (2**31 - 1, 2**31 - 1)):
        head = struct.pack(">II", width, height) + b"\x08\x02\x00\x00\x00"
        files[f"size-{width}x{height}.png"] = b"".join([encoded("PNG")[:8], chunk(b"IHDR", head), chunk(b"IDAT", b"x")])
    head = chunk(b"IHDR", struct.pack(">II", 9000, 9000) + b"\x08\x00\x00\x00\x00")
    body = chunk(b"IDAT", zlib.compress(bytes(9001 * 9000), 9))
    files["bomb.png"] = encoded("PNG")[:8] + head + body + chunk(b"IEND", b"")
    text = zlib.compress(bytes(60_000_000), 9)
    files["text-bomb.png"] = encoded("PNG")[:33] + chunk(b"zTXt", b"k\0\0" + text) + encoded("PNG")[33:]
    files["icc.png"] = encoded("PNG")[:33] + chunk(b"iCCP", b"x\0\0" + b"junk" * 9) + encoded("PNG")[33:]
    for number, exif in enumerate((b"", b"x", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*" + b"\xff" * 60)):
        files[f"exif-{number}.jpg"] = encoded("JPEG", exif=exif)
    files["wrong.jpg"], files["wrong.png"] = encoded("PNG"), encoded("GIF")
    files["page.png"], files["script.gif"] = b"<html></html>", b"#!/bin/sh\n"
    files["zeros.png"], files["noise.jpg"] = bytes(100_000), os.urandom(100_000)
    for name, data in files.items():
        (root / name).write_bytes(data)
    deep = root
    for level in range(60):
        deep /= f"level-{level}"
    deep.mkdir(parents=True)
    (deep / "deep.png").write_bytes(encoded("PNG"))
    os.mkfifo(root / "pipe.png")
    (root / "loop.png").symlink_to(root / "loop.png")
    (root / "nowhere.png").symlink_to("nowhere")
    (root / "folder.png").mkdir()
    return len(files) + 4


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_folder_of_hostile_files_is_accounted_for_one_by_one(
    photos: Path, tmp_path: Path, index: Callable[..., IndexReport]
) -> None:
    names = hostile_folder(tmp_path / "hostile", photos / "coffee.png")
    assert names >= 200
    door = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(tmp_path / "hostile")  # a socket's path has to be short
    try:
        door.bind("socket.png")
    finally:
        os.chdir(here)
    peak, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            for process in decode_workers():
                with suppress(psutil.Error):
                    peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    report = index(tmp_path / "hostile", patience=20)
    stop.set()
    watcher.join()
    door.close()
    assert report.found == names + 1
    assert report.adds_up
    assert report.skipped == 2
    assert report.points == report.indexed
    assert set(report.reasons) <= {"empty", "truncated", "not-an-image", "too-large", "unreadable", "missing", "unsupported"}
    assert len(report.failures) == report.failed
    assert all(failure.message for failure in report.failures)
    indexed = report.indexed
    assert indexed >= 12  # what decodes all the same: damaged metadata, wrong names, flipped bytes that matter little
    assert 0 < peak[0] < 700e6
    again = index(tmp_path / "hostile", patience=20)
    assert (again.unchanged, again.encoded) == (indexed, 0)


def test_a_worker_that_waits_for_a_silent_server_ends_with_its_job(encoder_file: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.png"
        (tmp_path / "list.csv").write_text(f"file\n{url}\n")
        code = "import sys; from semblant_indexer import IndexJob, run; run(IndexJob(*sys.argv[1:], orb=None, workers=1))"
        job = subprocess.Popen([sys.executable, "-c", code, tmp_path / "list.csv", encoder_file, tmp_path / "db"])
        connection, _ = silent.accept()  # nothing is ever answered
        with connection:
            workers = psutil.Process(job.pid).children(recursive=True)
            job.kill()
            job.wait()
            assert workers
            _, alive = psutil.wait_procs(workers, timeout=60)
            for each in alive:
                each.kill()
            assert alive == []
