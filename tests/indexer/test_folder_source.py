"""Which files of a folder are pictures, in what order they come, and what is known about each before it is read."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from semblant_indexer.picture_names import PICTURE_SUFFIXES, has_picture_suffix
from semblant_indexer.sources import FolderSource, Item, open_source
from semblant_indexer.sources.selection import Selection
from semblant_indexer.uris import UriBase
from semblant_search import canonical_uri
from semblant_search.errors import InvalidInput, MetadataError
from semblant_search.images import headers, open_image
from support.shown import COLOURS, encoded
from support.trees import by_name, names_of, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer.sources import Source


def test_a_folder_is_walked_in_the_order_of_names_files_first_wherever_they_are(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "b/2.png", "b/10.png", "b/a/x.png", "a/z.png", "c.png", "B.png", "a.png", "é.png", "b/b/y.png")
    source = FolderSource(root)
    assert source.scope == canonical_uri(root) + "/"
    expected = ["B.png", "a.png", "c.png", "%C3%A9.png", "a/z.png", "b/10.png", "b/2.png", "b/a/x.png", "b/b/y.png"]
    assert names_of(source, root) == expected
    assert names_of(source, root) == expected  # as often as asked
    assert source.notes == []


def test_an_item_knows_its_file(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "bag/a.png")
    os.utime(root / "bag" / "a.png", ns=(1, 123456789))
    (item,) = FolderSource(root).items()
    assert item == Item(canonical_uri(root / "bag/a.png"), len("bag/a.png"), 123456789, {"label": "bag"}, None, None)


def test_every_common_suffix_is_a_picture_s_and_others_are_counted(tmp_path: Path) -> None:
    common = "png apng jpg jpeg jpe jfif gif webp avif tif tiff bmp dib ppm pgm pbm pnm jp2 j2k ico tga pcx qoi psd"
    suffixes = set(common.split())
    assert suffixes <= PICTURE_SUFFIXES
    assert all(has_picture_suffix(f"x.{suffix}") and has_picture_suffix(f"x.y.{suffix.upper()}") for suffix in suffixes)
    assert not any(map(has_picture_suffix, ("x.txt", "x.png.txt", "x.json", "x", "x.", "x.pngx", "x.mp3", "x.zip")))
    root = tree(tmp_path / "p", "a.PNG", "b.Jpg", "notes.txt", "table.csv", "c.mp3", "noending", "d.png.bak")
    source = FolderSource(root)
    assert names_of(source, root) == ["a.PNG", "b.Jpg"]
    assert source.notes == ["5 files without a picture's name left alone: 1 BAK, 1 CSV, 1 MP3, 1 TXT, 1 without suffix"]
    (root / "table.csv").unlink()
    for name in ("notes.txt", "c.mp3", "noending"):
        (root / name).unlink()
    assert names_of(source, root) == ["a.PNG", "b.Jpg"]
    assert source.notes == ["1 file without a picture's name left alone: 1 BAK"]


def test_each_format_that_is_read_has_its_names() -> None:
    Image.init()
    read = {*headers._FORMATS, "MPO", "CUR", "HEIF", "JXL"}
    names = {suffix.removeprefix(".") for suffix, kind in Image.EXTENSION.items() if kind in read}
    assert names - PICTURE_SUFFIXES == {"pfm", "vst", "bw"}  # far more files of other kinds have these
    others = "mpo sgi rgb j2c jpx jps jfi pjpeg insp btf avifs tpic"
    assert set(others.split()) <= PICTURE_SUFFIXES


@pytest.mark.parametrize(
    ("name", "kind"), [("left.mpo", "MPO"), ("old.sgi", "SGI"), ("old.rgb", "SGI"), ("scan.jpx", "JPEG2000")]
)
def test_files_of_rarer_names_are_found_and_read(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).write_bytes(encoded(COLOURS, kind))
    (item,) = FolderSource(tmp_path).items()
    assert item.uri == canonical_uri(tmp_path / name)
    assert open_image(tmp_path / name).size == COLOURS.size


def test_hidden_names_are_taken_only_when_asked_for(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a.png", ".b.png", ".thumbs/c.png", "d/.e/f.png", ".notes")
    assert names_of(FolderSource(root), root) == ["a.png"]
    source = FolderSource(root)
    assert len(list(source.items())) == 1
    assert source.notes == ["hidden files and folders left out: 4 (--hidden takes them)"]
    with_hidden = [".b.png", "a.png", ".thumbs/c.png", "d/.e/f.png"]
    assert names_of(open_source(str(root), selection=Selection(hidden=True)), root) == with_hidden
    remote = open_source(f"local://{root}", selection=Selection(hidden=True))
    assert sorted(names_of(remote, f"local://{root}")) == sorted(with_hidden)
    assert names_of(open_source(f"local://{root}"), f"local://{root}") == ["a.png"]


@pytest.mark.parametrize(
    ("include", "exclude", "expected", "left_out"),
    [
        ((), (), ["a.png", "b.jpg", "raw/c.png", "x/raw/d.jpg", "x/y/e.png"], 0),
        (("*.png",), (), ["a.png", "raw/c.png", "x/y/e.png"], 2),
        (("*.png", "b.*"), (), ["a.png", "b.jpg", "raw/c.png", "x/y/e.png"], 1),
        ((), ("*.png",), ["b.jpg", "x/raw/d.jpg"], 3),
        ((), ("raw",), ["a.png", "b.jpg", "x/y/e.png"], 2),
        ((), ("raw/",), ["a.png", "b.jpg", "x/raw/d.jpg", "x/y/e.png"], 1),
        ((), ("raw/*",), ["a.png", "b.jpg", "x/raw/d.jpg", "x/y/e.png"], 1),
        ((), ("*/raw/*",), ["a.png", "b.jpg", "raw/c.png", "x/y/e.png"], 1),
        ((), ("x",), ["a.png", "b.jpg", "raw/c.png"], 1),
        (("x/*",), (), ["x/raw/d.jpg", "x/y/e.png"], 3),
        (("/x/*",), (), ["x/raw/d.jpg", "x/y/e.png"], 3),
        (("x/*",), ("*.jpg",), ["x/y/e.png"], 4),
        (("?.png",), ("[b-e].*",), ["a.png"], 4),
        (("*.PNG",), (), [], 5),
    ],
)
def test_patterns_choose_by_name_or_by_path(
    tmp_path: Path, include: tuple[str, ...], exclude: tuple[str, ...], expected: list[str], left_out: int
) -> None:
    root = tree(tmp_path / "p", "a.png", "b.jpg", "raw/c.png", "x/raw/d.jpg", "x/y/e.png", "x/y/e.txt")
    source = open_source(str(root), selection=Selection(include, exclude))
    assert names_of(source, root) == expected
    note = f"{left_out} file{'s' if left_out > 1 else ''} or folders left out by patterns"
    assert [each for each in source.notes if "patterns" in each] == ([note] if left_out else [])
    remote = open_source(f"local://{root}", selection=Selection(include, exclude))
    assert sorted(names_of(remote, f"local://{root}")) == sorted(expected)


@pytest.mark.parametrize("pattern", ["", "/", "//", 3, None])
def test_patterns_that_match_nothing_are_refused(pattern: Any) -> None:
    for patterns in ({"include": (pattern,)}, {"exclude": ("*.png", pattern)}):
        with pytest.raises(InvalidInput, match="pattern"):
            Selection(**patterns)


def test_real_folders_come_before_links_and_each_once(tmp_path: Path) -> None:
    outside = tree(tmp_path / "outside", "o.png", "deep/d.png")
    root = tree(tmp_path / "p", "z/real.png")
    (root / "a-link").symlink_to(root / "z")  # its name comes first, but its folder is a real one
    (root / "b-link").symlink_to(outside)
    (root / "c-link").symlink_to(outside)
    (root / "z" / "up").symlink_to(root)
    (root / "file.png").symlink_to(outside / "o.png")
    source = FolderSource(root)
    assert names_of(source, root) == ["z/real.png", "b-link/o.png", "b-link/deep/d.png"]
    assert source.notes == ["1 link left out: the picture is there under its own name"]


def test_what_cannot_be_read_is_a_problem_with_its_reason(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "good.png")
    (root / "gone.png").symlink_to(root / "nowhere")
    (root / "loop.png").symlink_to(root / "loop.png")
    os.mkfifo(root / "pipe.png")
    (root / "folder.png").mkdir()
    items = by_name(FolderSource(root))
    problems = {name: (item.problem.outcome, item.problem.reason) for name, item in items.items() if item.problem}
    assert problems == {
        "gone.png": ("failed", "missing"),
        "loop.png": ("failed", "unreadable"),
        "pipe.png": ("skipped", "special-file"),
    }
    assert "a link to nothing" in items["gone.png"].problem.message  # type: ignore[union-attr]
    assert set(items) == {"good.png", *problems}
    assert (items["gone.png"].size, items["gone.png"].mtime_ns) == (-1, -1)
    (item,) = FolderSource(tmp_path / "nowhere").items()
    assert item.problem is not None
    assert (item.problem.reason, item.uri) == ("unreadable", canonical_uri(tmp_path / "nowhere") + "/")


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda root: open_source(str(root / "none")), InvalidInput, "no such folder or list"),
        (lambda root: open_source(str(root / "none.csv")), InvalidInput, "no such folder or list"),
        (lambda root: open_source(str(root / "a.png")), MetadataError, "expected a .csv, .tsv, .jsonl, .json or .parquet"),
        (lambda root: open_source(str(root), metadata=root / "none.csv"), InvalidInput, "no such file"),
        (lambda root: open_source(str(root / "list.csv"), metadata=root / "list.csv"), InvalidInput, "metadata of its own"),
        (lambda root: open_source(f"local://{root}", metadata=root / "list.csv"), InvalidInput, "--metadata is for folders"),
        (lambda root: open_source(f"local://{root}/none"), InvalidInput, "no such folder"),
        (lambda root: open_source(f"local://{root}/none.csv"), InvalidInput, "no such file or folder"),
        (lambda root: open_source(str(root / "list.csv"), selection=Selection(hidden=True)), InvalidInput, "are for folders"),
        (lambda root: open_source(str(root / "s.tar"), selection=Selection(("a",))), InvalidInput, "are for folders"),
        (lambda root: open_source(f"local://{root}/list.csv", selection=Selection(("a",))), InvalidInput, "are for folders"),
        (lambda root: open_source("nosuch://x/y"), InvalidInput, "nosuch"),
    ],
)  # fmt: skip
def test_sources_that_are_none_are_refused(
    tmp_path: Path, make: Callable[[Path], Source], error: type[Exception], words: str
) -> None:
    root = tree(tmp_path / "p", "a.png", "s.tar")
    (root / "list.csv").write_text("file\na.png\n")
    with pytest.raises(error, match=words):
        make(root)


def test_a_folder_may_be_given_as_a_uri(tmp_path: Path) -> None:
    root = tree(tmp_path / "with space", "a.png")
    assert names_of(open_source(root.as_uri()), root) == ["a.png"]
    assert json.dumps(open_source(str(root)).scope) == json.dumps(open_source(root.as_uri()).scope)


def test_a_folder_that_is_named_through_a_link_gives_its_pictures_the_names_of_their_files(tmp_path: Path) -> None:
    far = tree(tmp_path / "far", "below/a.png", "b.png")
    here = tree(tmp_path / "here", "b.png", "c.png")
    (here / "link").symlink_to(far / "below")
    assert FolderSource(here / "link" / "..").scope == canonical_uri(far) + "/"
    assert [item.uri for item in FolderSource(here / "link" / "..").items()] == [
        canonical_uri(far / "b.png"),
        canonical_uri(far / "below" / "a.png"),
    ]
    linked = canonical_uri(here / "link" / "a.png")
    assert linked.endswith("/here/link/a.png")
    assert [item.uri for item in FolderSource(here).items()][-1] == linked
    assert UriBase(here / "link").join("../b.png") == canonical_uri(far / "b.png")
