"""`semblant data`: sets of real pictures as folders of PNG files."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from semblant_exporter import data
from semblant_search.errors import DataError
from support.offline import without_network

SEMBLANT = Path(sysconfig.get_path("scripts")) / "semblant"


def rows(directory: Path) -> list[dict[str, str]]:
    with (directory / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def run(*arguments: str | Path, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SEMBLANT_CACHE": str(cache)}
    return subprocess.run([SEMBLANT, "data", *arguments], capture_output=True, text=True, env=environment, check=False)


def test_fashion_mnist_is_70_000_pictures_with_labels(fashion_mnist: Path) -> None:
    table = rows(fashion_mnist)
    assert list(table[0]) == ["file", "label", "label_id", "split"]
    assert Counter((row["split"], row["label"]) for row in table) == {
        (split, label): count for split, count in (("train", 6000), ("test", 1000)) for label in data.FASHION_MNIST_CATEGORIES
    }
    assert all(data.FASHION_MNIST_CATEGORIES[int(row["label_id"])] == row["label"] for row in table)
    assert all((fashion_mnist / row["file"]).is_file() for row in table)
    assert sorted(entry.name for entry in (fashion_mnist / "train").iterdir()) == [
        "ankle-boot", "bag", "coat", "dress", "pullover", "sandal", "shirt", "sneaker", "t-shirt-top", "trouser",
    ]  # fmt: skip


def test_a_fashion_mnist_picture_holds_the_published_pixels(fashion_mnist: Path) -> None:
    with Image.open(fashion_mnist / "train" / "ankle-boot" / "00000.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (28, 28)
    assert pixels.dtype == np.uint8
    assert pixels.sum() == 76247  # of the first picture of train-images-idx3-ubyte


def test_clip_art_knows_its_categories_titles_and_artists(clipart: Path) -> None:
    table = {row["file"]: row for row in rows(clipart)}
    assert len(table) == 6900 == sum(1 for _ in clipart.rglob("*.png"))
    owl = table["animals/birds/owl_on_branch_ganson.png"]
    assert (owl["label"], owl["category"], owl["artist"]) == ("animals/birds", "animals", "Gerald G.")
    assert owl["title"].lower() == "owl on branch"
    assert table["shapes/stars/star_71pt16step.png"]["title"] == "star 71pt16step"  # its PNG title names the whole series
    assert not [row["artist"] for row in table.values() if "@" in row["artist"]]
    assert "Moisés Rincón Maza" in {row["artist"] for row in table.values()}


def test_a_second_call_does_nothing(clipart: Path, shared_cache: Path) -> None:
    before = (clipart / "metadata.csv").stat().st_mtime_ns
    report = data.clipart(clipart)
    assert not report.written
    assert report.pictures == 6900
    assert (clipart / "metadata.csv").stat().st_mtime_ns == before
    done = run("clipart", clipart, cache=shared_cache)
    assert done.returncode == 0
    assert "6,900 pictures are there already" in done.stdout


def test_a_killed_call_leaves_no_half_set_and_the_next_one_tidies_up(
    fashion_mnist: Path, shared_cache: Path, tmp_path: Path
) -> None:
    target = tmp_path / "fashion"
    code = f"from semblant_exporter import data; data.fashion_mnist({str(target)!r})"
    environment = {**os.environ, "SEMBLANT_CACHE": str(shared_cache)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".fashion.partial-*/train/*/*.png")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not target.exists()
    assert len(list(tmp_path.iterdir())) == 1

    with pytest.raises(RuntimeError, match="enough"):  # the next call, itself interrupted
        data.fashion_mnist(target, on_progress=_stop)
    assert list(tmp_path.iterdir()) == []


def _stop(step: str, done: int, total: int | None) -> None:
    raise RuntimeError("enough")


def test_two_calls_at_once_fill_an_empty_folder_once(clipart: Path, shared_cache: Path, tmp_path: Path) -> None:
    target = tmp_path / "clip art"
    target.mkdir()
    environment = {**os.environ, "SEMBLANT_CACHE": str(shared_cache)}
    command = [str(SEMBLANT), "data", "clipart", str(target)]
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate()[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert sum("are there already" in line for line in said) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip art"]
    assert len(rows(target)) == 6900


@pytest.mark.parametrize("kind", ["file", "folder", "other set"])
def test_a_place_that_is_taken_is_refused_and_left_alone(kind: str, clipart: Path, shared_cache: Path, tmp_path: Path) -> None:
    target = tmp_path / "taken"
    if kind == "file":
        target.write_text("mine")
    elif kind == "folder":
        target.mkdir()
        (target / "mine.txt").write_text("mine")
    else:
        target = clipart
    before = sorted(target.parent.iterdir())
    done = run("fashion-mnist", target, cache=shared_cache)
    assert done.returncode == 2
    assert "name a new" in done.stderr or "name another folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(target.parent.iterdir()) == before


def test_a_set_with_pictures_missing_is_named_not_passed_off_as_whole(
    monkeypatch: pytest.MonkeyPatch, clipart: Path, tmp_path: Path
) -> None:
    target = tmp_path / "art"
    (target / "animals").mkdir(parents=True)
    for file in (".semblant-data.json", "metadata.csv"):
        (target / file).write_bytes((clipart / file).read_bytes())
    with pytest.raises(DataError, match="0 of the 6900 pictures"):
        data.clipart(target)


def test_a_folder_that_cannot_be_written_says_so(shared_cache: Path) -> None:
    done = run("clipart", "/proc/nowhere", cache=shared_cache)
    assert done.returncode == 1
    assert "'/proc/nowhere': cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_any_source_every_one_that_was_tried_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEMBLANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))  # no apt-get
    without_network(monkeypatch)
    with pytest.raises(DataError, match="no apt-get on this machine"):
        data.clipart(tmp_path / "art")
    assert not (tmp_path / "art").exists()


def test_a_damaged_package_is_thrown_away_with_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, clipart: Path, shared_cache: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEMBLANT_CACHE", str(tmp_path / "cache"))
    whole = next((shared_cache / "debian").glob("openclipart-png_*.deb"))
    cut = tmp_path / "cache" / "debian" / whole.name
    cut.parent.mkdir(parents=True)
    cut.write_bytes(whole.read_bytes()[:2_000_000])
    with pytest.raises(DataError, match="damaged"):
        data.clipart(tmp_path / "art")
    assert not cut.exists()
    assert not (tmp_path / "art").exists()


def test_damaged_idx_files_are_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEMBLANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))  # no apt-get
    raw = tmp_path / "cache" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (raw / name).write_bytes(b"\0" * 100)
    with pytest.raises(DataError, match=r"no source can be reached[\s\S]*train-images-idx3-ubyte is damaged"):
        data.fashion_mnist(tmp_path / "fashion")
    assert not (tmp_path / "fashion").exists()
