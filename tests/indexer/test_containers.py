"""Archives that are damaged, compressed or lie in a folder: what is in reach is read, and the rest is named with what to do."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest
from semblant_indexer.sources import open_source
from semblant_search.errors import InvalidInput
from support.trees import tree

if TYPE_CHECKING:
    from pathlib import Path


def packed(path: Path, *names: str, size: int = 600) -> list[int]:
    """A tar with members of this many bytes; returns where their headers begin."""
    with tarfile.open(path, "w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = size
            tar.addfile(info, io.BytesIO(b"x" * size))
    with tarfile.open(path) as tar:
        return [member.offset for member in tar]


def read(place: Path) -> tuple[list[str], list[str], list[str]]:
    """Names of pictures, messages of problems, and notes."""
    source = open_source(str(place))
    items = list(source.items())
    names = [item.uri.rpartition("#")[2] for item in items if item.problem is None]
    return names, [item.problem.message for item in items if item.problem is not None], list(source.notes)


def test_a_broken_header_amid_a_tar_is_told_of_with_the_member_before_it(tmp_path: Path) -> None:
    place = tmp_path / "p.tar"
    starts = packed(place, "a.jpg", "b.jpg", "c.jpg")
    content = bytearray(place.read_bytes())
    content[starts[1] : starts[1] + 512] = b"\xff" * 512
    place.write_bytes(content)
    source = open_source(str(place))
    items = list(source.items())
    assert [item.uri.rpartition("#")[2] for item in items if item.problem is None] == ["a.jpg"]
    (problem,) = [item.problem for item in items if item.problem is not None]
    assert "a broken header at byte" in problem.message
    assert "the last member that was found is 'a.jpg'" in problem.message
    assert source.incomplete  # nothing behind it counts as gone


@pytest.mark.parametrize("cut", [100, 800, 1100])
def test_a_tar_that_is_cut_names_its_last_member(tmp_path: Path, cut: int) -> None:
    place = tmp_path / "p.tar"
    starts = packed(place, "a.jpg", "b.jpg", "c.jpg")
    place.write_bytes(place.read_bytes()[: starts[1] + cut])
    names, problems, _ = read(place)
    assert "a.jpg" in names
    assert len(problems) == 1
    assert "the last member that was found is" in problems[0]


@pytest.mark.parametrize("name", ["p.tar", "q.TAR"])
def test_a_whole_tar_is_no_broken_one(tmp_path: Path, name: str) -> None:
    packed(tmp_path / name, "a.jpg", "b.jpg")
    assert read(tmp_path / name) == (["a.jpg", "b.jpg"], [], [])


def test_archives_in_a_folder_are_counted_by_kind_with_what_would_read_them(tmp_path: Path) -> None:
    names = ("x.tar", "y.tar.gz", "z.tgz", "sub/w.tar.xz", "v.7z", "u.rar", "notes.gz")
    root = tree(tmp_path / "p", "a.jpg", *names)
    notes = read(root)[2]
    assert any(
        "7 files without a picture's name left alone" in note and "2 TAR.GZ" in note and "1 TAR.XZ" in note for note in notes
    )
    assert "archives are sources of their own: 1 TAR (semblant index FILE.tar)" in notes
    (note,) = [note for note in notes if "not looked into" in note]
    assert "2 TAR.GZ, 1 7Z, 1 RAR, 1 TAR.XZ (unpack them" in note
    assert "GZ (" not in note.replace("TAR.GZ", "")


@pytest.mark.parametrize("name", ["p.tar.gz", "p.tgz", "p.tar.bz2", "p.7z", "p.rar"])
@pytest.mark.parametrize("scheme", ["", "local://"])
def test_a_compressed_archive_as_a_source_is_refused_with_what_to_do(tmp_path: Path, name: str, scheme: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InvalidInput, match="archive, in which no picture can be read by itself; unpack it"):
        open_source(f"{scheme}{tmp_path / name}")
