"""Every file of a folder is in the account: pictures, a system's files, links, and all others by kind."""

from __future__ import annotations

import os
import tarfile
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from semblant_indexer.sources import open_source
from semblant_indexer.sources.selection import Selection
from semblant_indexer.sources.system_files import system_kind
from support.trees import by_name, names_of, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport

SYSTEM = (
    "@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg", "sub/@eaDir/b.jpg", ".thumbnails/normal/1.png", "#recycle/c.jpg",
    ".Trash-1000/files/d.jpg", "__MACOSX/e.jpg", ".stversions/f~2020.jpg", "lost+found/g.jpg", "._a.jpg", "sub/._b.jpg",
    ".DS_Store", "sub/Thumbs.db",
    "$RECYCLE.BIN/S-1/h.jpg", "System Volume Information/i.jpg", "@Recycle/j.jpg", ".Trashes/k.jpg", "DESKTOP.INI",
)  # fmt: skip
OWN = ("a.jpg", "sub/b.jpg", "thumbnails/c.jpg", "recycle/d.jpg", "Trash/e.jpg")


@pytest.mark.parametrize("place", ["", "local://"])
def test_what_systems_keep_is_left_out_and_counted_by_kind(tmp_path: Path, place: str) -> None:
    root = tree(tmp_path / "p", *OWN, *SYSTEM)
    source = open_source(f"{place}{root}")
    base = root if not place else f"local://{root}"
    assert sorted(names_of(source, base)) == sorted(OWN)
    (note,) = source.notes
    assert note.startswith(
        "system files and folders left out: 2 @eaDir, 2 AppleDouble, 1 #recycle, 1 $RECYCLE.BIN, 1 .DS_Store"
    )
    assert note.endswith("(--include-system takes them)")
    for kind in ("1 .stversions", "1 .thumbnails", "1 .Trash,", "1 __MACOSX", "1 lost+found", "1 Thumbs.db", "1 desktop.ini"):
        assert kind in note
    everything = open_source(f"{place}{root}", selection=Selection(include_system=True))
    assert len(names_of(everything, base)) == len(OWN) + len(SYSTEM) - 3
    assert everything.notes == ["3 files without a picture's name left alone: 1 DB, 1 INI, 1 without suffix"]


PROGRAMS = (
    "@tmp/a.jpg", "_gsdata_/b.jpg", "Cat Previews.lrdata/1/c.jpg", "Cat Smart Previews.LRDATA/d.jpg", "Cat.lrcat-data/e.jpg",
    "P.photoslibrary/resources/derivatives/f.jpg", "P.photoslibrary/database/g.jpg", "Old.aplibrary/Previews/h.jpg",
    "Old.migratedphotolibrary/Thumbnails/i.jpg",
)  # fmt: skip
ORIGINALS = ("P.photoslibrary/originals/0/a.jpg", "Old.aplibrary/Masters/2010/b.jpg", "lrdata/c.jpg", "resources/d.jpg")


@pytest.mark.parametrize("place", ["folder", "local", "tar"])
def test_what_programs_make_of_pictures_is_left_out_and_originals_of_libraries_are_taken(tmp_path: Path, place: str) -> None:
    root = tree(tmp_path / "p", *PROGRAMS, *ORIGINALS)
    source: Path | str = root
    if place == "local":
        source = f"local://{root}"
    elif place == "tar":
        with tarfile.open(tmp_path / "p.tar", "w") as tar:
            for name in (*PROGRAMS, *ORIGINALS):
                tar.add(root / name, name)
        source = tmp_path / "p.tar"
    opened = open_source(str(source))
    found = [unquote(item.uri) for item in opened.items()]
    assert len(found) == len(ORIGINALS)
    assert all(any(uri.endswith(name) for uri in found) for name in ORIGINALS)
    (note,) = [note for note in opened.notes if "system files" in note]
    for kind in ("2 *.lrdata", "2 parts of *.photoslibrary", "1 @tmp", "1 _gsdata_", "1 *.lrcat-data"):
        assert kind in note
    everything = open_source(str(source), selection=Selection(include_system=True))
    assert len(list(everything.items())) == len(PROGRAMS) + len(ORIGINALS)


def test_a_photo_library_may_be_indexed_itself(tmp_path: Path) -> None:
    root = tree(tmp_path / "P.photoslibrary", "originals/a.jpg", "resources/b.jpg")
    assert names_of(open_source(str(root)), root) == ["originals/a.jpg"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("@EADIR", "@eaDir"), (".Trash-501", ".Trash"), ("._x", "AppleDouble"), ("._", None), ("a._x", None), ("trash", None)],
)
def test_systems_files_are_known_by_name(name: str, kind: str | None) -> None:
    assert system_kind(name) == kind


def test_a_folder_of_a_system_s_may_be_indexed_itself(tmp_path: Path) -> None:
    root = tree(tmp_path / "@eaDir", "a.jpg")
    assert names_of(open_source(str(root)), root) == ["a.jpg"]


def test_other_files_are_counted_by_kind(tmp_path: Path) -> None:
    names = [*(f"{number}.HEIC2" for number in range(14)), *(f"{number}.mp3" for number in range(3)), "notes", "a.tar.gz"]
    root = tree(tmp_path / "p", "a.jpg", "metadata.csv", ".hidden/b.jpg", *names)
    (root / "metadata.csv").write_text("file,n\na.jpg,1\n")
    (root / "a.json").write_text("{}")
    (root / "b.json").write_text("{}")
    source = open_source(str(root))
    assert len(list(source.items())) == 1
    assert source.notes == [
        "1 sidecar used",
        "20 files without a picture's name left alone: 14 HEIC2, 3 MP3, 1 JSON, 1 TAR.GZ, 1 without suffix",
        "archives that are not looked into: 1 TAR.GZ (unpack them, or pack them anew as ZIP or TAR)",
        "hidden files and folders left out: 1 (--hidden takes them)",
    ]


def test_a_link_to_a_picture_of_the_folder_is_no_second_picture(pictures: Path, index: Callable[..., IndexReport]) -> None:
    real = sorted((pictures / "coat").iterdir())[0]
    (pictures / "album_link.png").symlink_to(real)
    (pictures / "bag" / "again.png").symlink_to("../album_link.png")
    os.link(real, pictures / "sneaker" / "zz.png")
    report = index(pictures, duplicates="flag")
    assert (report.found, report.indexed, report.points) == (30, 30, 30)
    assert any(note.startswith("3 links left out: the pictures are there under their own names") for note in report.notes)


@pytest.mark.parametrize("hard", [False, True])
def test_the_name_of_the_file_counts_and_not_that_of_a_link_before_it(tmp_path: Path, hard: bool) -> None:
    root = tree(tmp_path / "p", "zz/real.jpg")
    (root / "album_link.jpg").symlink_to("zz/real.jpg")
    if hard:
        os.link(root / "zz" / "real.jpg", root / "zz" / "same.jpg")
    assert names_of(open_source(str(root)), root) == ["zz/real.jpg"]


def test_of_links_to_a_picture_elsewhere_the_first_counts(tmp_path: Path) -> None:
    outside = tree(tmp_path / "outside", "o.jpg", "o.txt")
    root = tree(tmp_path / "p", "z/real.jpg", ".hidden/h.jpg", "@eaDir/t.jpg", "raw/r.jpg")
    for name, target in (("b.jpg", outside / "o.jpg"), ("a.jpg", outside / "o.jpg"), ("t.jpg", outside / "o.txt")):
        (root / name).symlink_to(target)
    for name, left_out in (("h.jpg", ".hidden/h.jpg"), ("s.jpg", "@eaDir/t.jpg"), ("r.jpg", "raw/r.jpg")):
        (root / name).symlink_to(root / left_out)  # to what is left out where it lies
    source = open_source(str(root), selection=Selection(exclude=("raw",)))
    assert names_of(source, root) == ["a.jpg", "h.jpg", "r.jpg", "s.jpg", "t.jpg", "z/real.jpg"]
    assert any(note.startswith("1 link left out: the picture is there under its own name") for note in source.notes)


def test_sidecars_and_tables_below_a_linked_folder_are_read(tmp_path: Path) -> None:
    outside = tree(tmp_path / "outside", "o.jpg", "deep/d.jpg")
    (outside / "o.jpg.json").write_text('{"n": 1}')
    (outside / "deep" / "metadata.csv").write_text("file,n\nd.jpg,2\n")
    root = tree(tmp_path / "p", "a.jpg")
    (root / "link").symlink_to(outside)
    (root / "metadata.csv").write_text("file,m\nlink/o.jpg,3\na.jpg,4\n")
    assert {name: dict(item.metadata) for name, item in by_name(open_source(str(root))).items()} == {
        "a.jpg": {"m": 4},
        "o.jpg": {"label": "link", "n": 1, "m": 3},
        "d.jpg": {"label": "deep", "n": 2},
    }
