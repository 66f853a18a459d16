"""A set of pictures is written whole or not at all, into a place of its own, from sources that are checked."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from semblant_exporter import data
from semblant_exporter.data import debian
from semblant_exporter.data.folder import FACTS_FILE, NewFolder, write_once
from semblant_search.errors import DataError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable


def fill(*files: str) -> Callable[[NewFolder], None]:
    def write(new: NewFolder) -> None:
        new.source = "a drawer"
        for file in files:
            new.add(file, file.encode(), {"label": file[0], "n": len(new)})

    return write


def test_a_set_is_written_with_its_table_in_the_order_of_files(tmp_path: Path) -> None:
    report = write_once(tmp_path / "set", "toy", fill("b/2.png", "a/ü, 1.png", "b/1.png"))
    assert (report.directory, report.pictures, report.categories, report.source, report.written) == (
        tmp_path / "set", 3, 2, "a drawer", True,
    )  # fmt: skip
    with (tmp_path / "set" / "metadata.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"file": "a/ü, 1.png", "label": "a", "n": "1"},
            {"file": "b/1.png", "label": "b", "n": "2"},
            {"file": "b/2.png", "label": "b", "n": "0"},
        ]
    assert (tmp_path / "set" / "b" / "2.png").read_bytes() == b"b/2.png"
    facts = json.loads((tmp_path / "set" / FACTS_FILE).read_text())
    assert facts == {"set": "toy", "pictures": 3, "categories": 2, "source": "a drawer"}
    again = write_once(tmp_path / "set", "toy", lambda _: pytest.fail("it is there already"))
    assert (again.pictures, again.categories, again.source, again.written) == (3, 2, "a drawer", False)
    assert again.seconds >= 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["set"]


def test_a_set_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(new: NewFolder) -> None:
        new.add("a/1.png", b"x", {"label": "a"})
        raise DataError("the source broke off")

    (tmp_path / "set").mkdir()
    (tmp_path / ".set.partial-old").mkdir()  # of a call that was killed
    (tmp_path / ".settle.partial-old").mkdir()  # of another set
    with pytest.raises(DataError, match="broke off"):
        write_once(tmp_path / "set", "toy", fail)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".settle.partial-old", "set"]
    assert list((tmp_path / "set").iterdir()) == []
    with pytest.raises(DataError, match="toy: its source holds no pictures"):
        write_once(tmp_path / "set", "toy", fill())
    assert write_once(tmp_path / "set", "toy", fill("a/1.png")).written


@pytest.mark.parametrize("kind", ["file", "folder", "facts", "other", "fewer", "more"])
def test_what_is_there_already_is_left_alone(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "set"
    error: type[Exception] = InvalidInput
    if kind == "file":
        target.write_text("mine")
        message = "is a file; name a new folder"
    elif kind == "folder":
        target.mkdir()
        (target / "b mine.txt").write_text("mine")
        (target / "a mine.txt").write_text("mine")
        message = r"holds 2 other things \('a mine\.txt', …\); name a new or an empty folder"
    elif kind == "facts":
        target.mkdir()
        (target / FACTS_FILE).write_text("{}")
        message = "holds 1 other things"
    else:
        write_once(target, "toy" if kind != "other" else "another", fill("a/1.png", "a/2.png"))
        error, message = DataError, "of the 2 pictures of 'toy' are there; delete the folder"
        if kind == "fewer":
            (target / "a" / "1.png").unlink()
        elif kind == "more":
            shutil.copy(target / "a" / "1.png", target / "a" / "3.png")
        else:
            error, message = InvalidInput, "holds the set 'another', not 'toy'; name another folder"
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=message):
        write_once(target, "toy", lambda _: pytest.fail("nothing is to be written"))
    assert sorted(tmp_path.rglob("*")) == before


def package(folder: Path, name: str, root: str, files: dict[str, bytes], sums: dict[str, str] | None = None) -> Path:
    """A Debian package, made by dpkg-deb itself."""
    tree = folder / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: none <none@example.org>\nDescription: test\n"
    )
    if sums is not None:
        (tree / "DEBIAN" / "md5sums").write_text("".join(f"{value}  {path}\n" for path, value in sums.items()))
    for path, content in files.items():
        (tree / root / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / root / path).write_bytes(content)
    (tree / root / "link.png").symlink_to("nowhere.png")
    deb = folder / f"{name}_1_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, deb], check=True, capture_output=True)
    return deb


needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no dpkg-deb on this machine")


@needs_dpkg
def test_a_package_is_read_without_being_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deb = package(tmp_path, "toys", "usr/share/x", {"a.png": b"1", "b/c.png": b"22"}, {"usr/share/x/a.png": "0" * 32})
    assert dict(debian.files(deb)) == {"usr/share/x/a.png": b"1", "usr/share/x/b/c.png": b"22"}  # links are left out
    assert debian.checksums(deb) == {"usr/share/x/a.png": "0" * 32}
    monkeypatch.setenv("SEMBLANT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "debian").mkdir(parents=True)
    for version in ("1", "2"):
        shutil.copy(deb, tmp_path / "cache" / "debian" / f"toys_{version}_all.deb")
    assert debian.fetch("toys").name == "toys_2_all.deb"  # what is there is not downloaded again
    cut = tmp_path / "cut.deb"
    cut.write_bytes(deb.read_bytes()[:200])
    for read in (debian.checksums, lambda path: list(debian.files(path))):
        copy = tmp_path / "damaged.deb"
        shutil.copy(cut, copy)
        with pytest.raises(DataError, match="cut short or damaged, and was deleted"):
            read(copy)
        assert not copy.exists()


@needs_dpkg
@pytest.mark.skipif(Path("/usr/share/openclipart/png").is_dir(), reason="the installed package is taken before the cache")
def test_clip_art_that_is_damaged_or_not_all_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    info = PngInfo()
    info.add_text("Title", "Owl")
    Image.new("RGB", (2, 2)).save(tmp_path / "owl.png", pnginfo=info)
    owl = (tmp_path / "owl.png").read_bytes()
    path = "usr/share/openclipart/png/animals/owl.png"
    monkeypatch.setenv("SEMBLANT_CACHE", str(tmp_path / "cache"))
    for number, (known, message) in enumerate(
        [
            (hashlib.md5(owl).hexdigest(), "holds 1 pictures, expected 6900; is it release 0.18"),
            ("0" * 32, r"animals/owl\.png is damaged"),
        ]
    ):
        deb = package(tmp_path / str(number), "openclipart-png", path.rpartition("/")[0], {"owl.png": owl}, {path: known})
        (tmp_path / "cache" / "debian").mkdir(parents=True, exist_ok=True)
        shutil.copy(deb, tmp_path / "cache" / "debian")
        with pytest.raises(DataError, match=message):
            data.clipart(tmp_path / "art")
        assert not (tmp_path / "art").exists()
