"""Members of WebDataset tars: whose facts are whose, and what is said of those that are damaged, doubled or a system's."""

from __future__ import annotations

import io
import tarfile
import unicodedata
import zipfile
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from semblant_indexer.reading import read_content
from semblant_indexer.sources import open_source
from semblant_indexer.sources.selection import Selection

if TYPE_CHECKING:
    from pathlib import Path

Members = list[tuple[str, bytes]]


def packed(path: Path, members: Members) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def known(path: Path, **options: Any) -> tuple[dict[str, dict[str, Any]], list[str]]:
    source = open_source(str(path), **options)
    items = {unquote(item.uri.rpartition("#")[2]): dict(item.metadata) for item in source.items() if item.problem is None}
    return items, list(source.notes)


N1, N2, N3 = b'{"n": 1}', b'{"n": 2}', b'{"n": 3}'


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([("i.v1.jpg", b"x"), ("i.v1.json", N1), ("i.v2.jpg", b"y"), ("i.v2.json", N2)], {"i.v1.jpg": 1, "i.v2.jpg": 2}),
        ([("i.v1.json", N1), ("i.v2.json", N2), ("i.v1.jpg", b"x"), ("i.v2.jpg", b"y")], {"i.v1.jpg": 1, "i.v2.jpg": 2}),
        ([("1.jpg", b"x"), ("2.jpg", b"y"), ("1.json", N1), ("2.json", N2)], {"1.jpg": 1, "2.jpg": 2}),
        ([("1.json", N1), ("2.json", N2), ("2.jpg", b"y"), ("1.jpg", b"x")], {"2.jpg": 2, "1.jpg": 1}),
        ([("1.left.jpg", b"x"), ("1.right.jpg", b"y"), ("1.json", N1)], {"1.left.jpg": 1, "1.right.jpg": 1}),
        ([("1.left.jpg", b"x"), ("1.json", N1), ("2.jpg", b"y"), ("1.right.jpg", b"z")], {"1.left.jpg": 1, "2.jpg": None,
         "1.right.jpg": 1}),
        ([("1.left.jpg", b"x"), ("1.right.jpg", b"y"), ("1.json", N1), ("1.left.json", N2)],
         {"1.left.jpg": 2, "1.right.jpg": 1}),
        ([("img.jpg", b"x"), ("img.v1.jpg", b"y"), ("img.json", N1)], {"img.jpg": 1, "img.v1.jpg": None}),
        ([("a.jpg", b"x"), ("a.jpg.json", N1)], {"a.jpg": 1}),
        ([("s/1.jpg", b"x"), ("t/1.jpg", b"y"), ("t/1.json", N2), ("s/1.json", N1)], {"s/1.jpg": 1, "t/1.jpg": 2}),
        ([("./1.jpg", b"x"), ("./1.json", N1)], {"1.jpg": 1}),
        ([("a.b/1.jpg", b"x"), ("a.b/1.json", N1)], {"a.b/1.jpg": 1}),
        ([("1.JPG", b"x"), ("1.JSON", N1)], {"1.JPG": 1}),
    ],
)  # fmt: skip
def test_facts_are_those_of_the_picture_or_of_its_sample(
    tmp_path: Path, members: Members, expected: dict[str, int | None]
) -> None:
    items, notes = known(packed(tmp_path / "s.tar", members))
    assert {name: metadata.get("n") for name, metadata in items.items()} == expected
    assert not any(note.startswith("left out") for note in notes)


NFC, NFD = unicodedata.normalize("NFC", "schön"), unicodedata.normalize("NFD", "schön")
XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5"/></rdf:RDF></x:xmpmeta>"""


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([(f"{NFC}.jpg", b"x"), (f"{NFD}.json", N1)], {f"{NFC}.jpg": {"n": 1}}),
        ([(f"{NFD}.jpg", b"x"), (f"{NFC}.cls", b"3"), (f"{NFC}.jpg.json", N1)], {f"{NFD}.jpg": {"class": 3, "n": 1}}),
        ([(f"{NFD}.left.jpg", b"x"), (f"{NFD}.right.jpg", b"y"), (f"{NFC}.json", N1)],
         {f"{NFD}.left.jpg": {"n": 1}, f"{NFD}.right.jpg": {"n": 1}}),
        ([("s/A.JPG", b"x"), ("s/a.json", N1), ("t/A.JPG", b"y")], {"s/A.JPG": {"n": 1}, "t/A.JPG": {}}),
        ([("AB.jpg", b"x"), ("ab.jpg", b"y"), ("Ab.json", N1), ("ab.json", N2)], {"AB.jpg": {}, "ab.jpg": {"n": 2}}),
    ],
)  # fmt: skip
def test_facts_may_spell_their_picture_otherwise(tmp_path: Path, members: Members, expected: dict[str, Any]) -> None:
    assert known(packed(tmp_path / "s.tar", members))[0] == expected


def test_a_takeout_is_read_in_its_own_archive(tmp_path: Path) -> None:
    """As Google packs it: the names of folders' sidecars, and those of a second picture of one name."""
    members = [
        ("p.jpg", b"x"), ("p.jpg.supplemental-metadata.json", N1), ("q.jpg", b"y"), ("q.jpg.json", N2), ("q(1).jpg", b"z"),
        ("q.jpg(1).json", N3), ("q-edited(1).jpg", b"e"), ("r.jpg", b"r"), ("r.xmp", XMP), ("s.jpg", b"s"),
        ("s.caption", b"a dog"), ("t.jpg", b"t"), ("t.json", b'[{"n": 4}]'), ("u.xmp", XMP), ("v.jpg", b"v"), ("v.xmp", b"<"),
    ]  # fmt: skip
    expected = {
        "p.jpg": {"n": 1},
        "q.jpg": {"n": 2},
        "q(1).jpg": {"n": 3},
        "q-edited(1).jpg": {"n": 3},
        "r.jpg": {"rating": 5},
        "s.jpg": {"text": "a dog"},
        "t.jpg": {"n": 4},
        "v.jpg": {},
    }
    folder = "Takeout/Google Photos/A/"
    with zipfile.ZipFile(tmp_path / "takeout.zip", "w") as archive:
        for name, data in members:
            archive.writestr(folder + name, data)
    packed(tmp_path / "takeout.tar", [(folder + name, data) for name, data in members])
    for kind in ("zip", "tar"):
        items, notes = known(tmp_path / f"takeout.{kind}")
        assert {name.rpartition("/")[2]: said for name, said in items.items()} == expected
        assert "7 sidecars used" in notes
        assert "1 file without a picture's name left alone: 1 XMP" in notes
        assert [note.partition(" (")[0] for note in notes[:-2]] == ["left out: members that cannot be used"]


def test_damaged_and_lonely_members_are_named(tmp_path: Path) -> None:
    path = packed(
        tmp_path / "s.tar",
        [("1.jpg", b"x"), ("1.json", b"{"), ("1.cls", b"7"), ("9.json", N3), ("2.jpg", b"y"), ("2.json", b'{"_x": 1, "n": 2}')],
    )
    items, notes = known(path)
    assert items == {"1.jpg": {"class": 7}, "2.jpg": {"n": 2}}
    told = [note for note in notes if note.startswith("left out")]
    assert [note.partition(" (")[0] for note in told] == [
        "left out: members that cannot be used",
        "left out: metadata fields whose names cannot be a field's",
        "left out: members that are about no picture",
    ]
    for note, member in zip(told, ("1.json", "2.json", "9.json"), strict=True):
        assert f"{str(path)!r}, {member!r}" in note


def test_of_two_members_of_one_name_the_later_counts_and_the_other_is_named(tmp_path: Path) -> None:
    path = packed(tmp_path / "s.tar", [("1.jpg", b"old"), ("1.json", N1), ("2.jpg", b"y"), ("1.jpg", b"newer"), ("1.json", N2)])
    source = open_source(str(path))
    items = list(source.items())
    assert [item.uri.rpartition("#")[2] for item in items] == ["2.jpg", "1.jpg"]
    assert (items[1].size, dict(items[1].metadata)) == (5, {"n": 2})
    assert items[1].place is not None
    assert read_content(items[1].place, 99).data == b"newer"
    (note,) = [note for note in source.notes if note.startswith("left out")]
    assert "members that a later one of the same name replaces (2; the first: " in note
    assert "'1.jpg'" in note


def test_system_files_and_links_in_a_tar_are_no_pictures(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    packed(path, [("1.jpg", b"x"), ("._1.jpg", b"y"), ("__MACOSX/._1.jpg", b"y"), ("@eaDir/1.jpg", b"y"), ("notes.md", b"z")])
    with tarfile.open(path, "a") as tar:
        for name, kind, target in (("2.jpg", tarfile.LNKTYPE, "1.jpg"), ("3.jpg", tarfile.SYMTYPE, "/etc/x.jpg")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
        folder = tarfile.TarInfo("folder.jpg")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    items, notes = known(path)
    assert items == {"1.jpg": {}}
    assert notes == [
        f"left out: members that are links (1; the first: {str(path)!r}, '3.jpg' to '/etc/x.jpg')",
        "1 file without a picture's name left alone: 1 MD",
        "system files and folders left out: 1 @eaDir, 1 AppleDouble, 1 __MACOSX (--include-system takes them)",
        "1 link left out: the picture is there under its own name",
    ]
    assert len(known(path, selection=Selection(include_system=True))[0]) == 4
