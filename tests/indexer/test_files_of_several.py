"""Files that hold several pictures, files that another library reads, and ZIP archives, as a job takes them."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from semblant_indexer import IndexJob
from semblant_indexer.sources import open_source
from semblant_search import SearchClient
from semblant_search.errors import InvalidInput
from support.trees import by_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport

SHADES = [
    Image.effect_mandelbrot((96, 72), (-2 + 0.2 * number, -1, 1, 1), 40 + 9 * number).convert("RGB") for number in range(6)
]


def scan(path: Path, *pages: Image.Image) -> Path:
    first, *others = (page.copy() for page in pages)  # Pillow keeps settings of what it saves
    first.save(path, save_all=True, append_images=others)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (root := tmp_path / "p").mkdir()
    scan(root / "a.tif", *SHADES[:3])
    scan(root / "b.gif", *SHADES[3:])
    SHADES[5].save(root / "c.png")
    (root / "a.tif.json").write_text('{"n": 7}')
    return root


def test_of_each_file_the_first_picture_is_taken_or_all(
    folder: Path, index: Callable[..., IndexReport], tmp_path: Path
) -> None:
    assert index(folder).account == "found 3 = 3 indexed + 0 unchanged + 0 duplicate + 0 failed + 0 skipped"
    assert index(folder, frames="all").account == "found 7 = 4 indexed + 3 unchanged + 0 duplicate + 0 failed + 0 skipped"
    assert index(folder, frames="all").account == "found 7 = 0 indexed + 7 unchanged + 0 duplicate + 0 failed + 0 skipped"
    first = folder.as_uri() + "/a.tif"
    with SearchClient(tmp_path / "db") as client:
        third = client.get(first + "#frame=3")
        assert (third.metadata["n"], third.facts["_width"], third.facts["_format"], third.path) == (7, 96, "TIFF", None)
        assert third.facts["_bytes"] == (folder / "a.tif").stat().st_size
        assert len({picture.facts["_sha256"] for picture in client.pictures()}) == 7
        SHADES[2].save(tmp_path / "query.png")
        (best,) = client.search(tmp_path / "query.png", limit=1)
        assert best.uri == first + "#frame=3"
        assert client.search(first + "#frame=3", limit=1)[0].uri != best.uri
    scan(folder / "a.tif", *SHADES[:2])  # a page is gone, and the file another one
    report = index(folder, frames="all", prune=True, prune_limit=0.5)
    assert (report.found, report.indexed, report.pruned, report.points) == (6, 2, 1, 6)


def test_a_frame_that_is_not_indexed_can_be_asked_for(folder: Path, index: Callable[..., IndexReport], tmp_path: Path) -> None:
    index(folder)
    with SearchClient(tmp_path / "db") as client:
        hits = client.search(folder.as_uri() + "/b.gif#frame=3", limit=1)
        assert hits[0].uri == folder.as_uri() + "/c.png"


def test_other_frames_than_the_last_time_prune_nothing_at_first(folder: Path, index: Callable[..., IndexReport]) -> None:
    index(folder, frames="all")
    report = index(folder, frames=2, prune=True, prune_limit=1.0)
    assert (report.found, report.pruned) == (5, 0)
    assert "--frames" in str(report.unpruned)
    assert index(folder, frames=2, prune=True, prune_limit=1.0).points == 5


def test_so_many_pictures_of_a_file_are_spread_over_it(tmp_path: Path) -> None:
    (root := tmp_path / "p").mkdir()
    scan(root / "a.tif", *SHADES)
    for wanted, names in ((1, ["a.tif"]), (2, ["a.tif", "a.tif#frame=4"]), (3, ["a.tif", "a.tif#frame=3", "a.tif#frame=5"])):
        assert list(by_name(open_source(str(root), frames=wanted))) == names
    assert len(by_name(open_source(str(root), frames="all"))) == 6


@pytest.mark.parametrize("frames", ["some", 0, -1, True, "1.5", None, 100_001])
def test_what_is_no_number_of_frames_says_so(frames: Any) -> None:
    with pytest.raises(InvalidInput, match="expected 'first', 'all' or a number"):
        IndexJob("p", None, "db", frames=frames)


def test_a_file_that_brings_the_counting_down_costs_its_other_pictures_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from semblant_indexer.sources import several

    (folder / "aa.tif").write_bytes((folder / "a.tif").read_bytes())
    crash = "import os,sys\nfrom semblant_indexer.sources import counting\nreal=counting._answer\n"
    crash += "counting._answer=lambda place: os._exit(9) if place.endswith('/a.tif') else real(place)\ncounting.main()"
    monkeypatch.setattr(several, "COMMAND", ("-c", crash))
    source = open_source(str(folder), frames="all")
    assert [name for name in by_name(source) if "#" in name] == [
        "aa.tif#frame=2",
        "aa.tif#frame=3",
        "b.gif#frame=2",
        "b.gif#frame=3",
    ]
    assert any("cannot be counted" in note and "a.tif" in note for note in source.notes)


def test_what_another_library_reads_is_skipped_with_the_line_that_installs_it(
    tmp_path: Path, index: Callable[..., IndexReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    (root := tmp_path / "p").mkdir()
    SHADES[0].save(root / "a.png")
    SHADES[0].save(root / "named.heic", "JPEG")  # by its content
    kinds = {
        "f.mov": b"\0\0\0\x18ftypqt  \0\0\0\0qt      ",
        "g.pdf": b"%PDF-1.7\n",
        "h.SVG": b"<svg xmlns=''/>",
        "i.jxl": b"\xff\x0a00",
    }
    for name, data in kinds.items():
        (root / name).write_bytes(data)
    zipfile.ZipFile(root / "old album.zip", "w").close()
    # Workers are processes of their own: a module that is not there hides the one that is.
    (hidden := tmp_path / "hidden").mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util as u\nreal = u.find_spec\n"
        "hide = lambda name, *rest: None if name in ('av', 'pypdfium2', 'resvg_py', 'pillow_jxl') else real(name, *rest)\n"
        "u.find_spec = hide\n"
    )
    with monkeypatch.context() as without:
        without.syspath_prepend(hidden)
        report = index(root)
    assert report.account == "found 7 = 2 indexed + 0 unchanged + 0 duplicate + 0 failed + 5 skipped"
    assert (report.exit_code, report.failures) == (0, ())
    for extra in ("video", "pdf", "svg", "jxl"):
        assert sum(f"pip install 'semblant-search[{extra}]'" in note for note in report.notes) == 1
    assert any(f"semblant index '{root}/old album.zip'" in note for note in report.notes)


def test_a_zip_archive_is_read_in_place_as_a_tar_is(tmp_path: Path, index: Callable[..., IndexReport]) -> None:
    picture, pages = io.BytesIO(), io.BytesIO()
    SHADES[0].save(picture, "PNG")
    first, *others = (page.copy() for page in SHADES[1:4])
    first.save(pages, "TIFF", save_all=True, append_images=others)
    with zipfile.ZipFile(tmp_path / "album.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/a b.png", picture.getvalue())
        archive.writestr("x/a b.json", '{"n": 5}')
        archive.writestr("ä:1.tif", pages.getvalue())
        archive.writestr("__MACOSX/._a.png", b"1")
        archive.writestr("bad.png", b"nope")
        archive.writestr("notes.txt", "hello")
        archive.mkdir("empty")
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "x/a b.png")
    report = index(tmp_path / "album.zip", frames="all")
    assert (report.found, report.indexed, report.failed) == (5, 4, 1)
    notes = " ".join(report.notes)
    assert "1 __MACOSX" in notes
    assert "members that are links" in notes
    base = (tmp_path / "album.zip").as_uri()
    with SearchClient(tmp_path / "db") as client:
        uris = {picture.uri: picture.metadata for picture in client.pictures()}
    assert uris[f"{base}#x/a%20b.png"] == {"n": 5}
    assert uris.keys() >= {f"{base}#%C3%A4:1.tif", f"{base}#%C3%A4:1.tif#frame=2", f"{base}#%C3%A4:1.tif#frame=3"}
    assert index(tmp_path / "album.zip", frames="all").unchanged == 4


def test_a_broken_zip_archive_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\3\4" + bytes(100))
    (item,) = open_source(str(tmp_path / "a.zip")).items()
    assert item.problem is not None
    assert item.problem.reason == "unreadable"
    assert "as a ZIP archive" in item.problem.message
