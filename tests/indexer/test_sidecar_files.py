"""What lies beside pictures and says something about them: Takeout's, labelme's and XMP files, and broken ones."""

from __future__ import annotations

import json
import os
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from semblant_indexer.losses import Losses
from semblant_indexer.sources import open_source
from semblant_indexer.sources.sidecar_names import sidecars_of
from semblant_indexer.sources.xmp import read_xmp
from semblant_search import FieldType
from support.trees import by_name, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport
    from semblant_search.store import Record

TAKEOUT = {
    "title": "IMG_1.jpg",
    "description": "",
    "imageViews": "29",
    "photoTakenTime": {"timestamp": "1258375918", "formatted": "16 Nov 2009, 12:51:58 UTC"},
    "geoData": {"latitude": 1.5, "longitude": 2.5, "altitude": 0.0},
    "people": [{"name": "A"}, {"name": "B"}],
}


def notes_of(root: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    source = open_source(str(root))
    items = {name: dict(item.metadata) for name, item in by_name(source).items() if item.problem is None}
    return items, list(source.notes)


def test_a_list_of_objects_keeps_its_names_and_costs_no_picture(
    pictures: Path, index: Callable[..., IndexReport], records: Callable[..., dict[str, Record]]
) -> None:
    one, other = sorted((pictures / "bag").iterdir())[:2]
    one.with_name(f"{one.name}.json").write_text(json.dumps(TAKEOUT))
    other.with_name(f"{other.name}.json").write_text(json.dumps({**TAKEOUT, "people": [{"age": 3}], "faces": [[1, 2], [3, 4]]}))
    report = index(pictures)
    assert (report.indexed, report.failed) == (30, 0)
    stored = {record.payload["_uri"].rpartition("/")[2]: record.payload for record in records().values()}
    assert stored[one.name]["people"] == ["A", "B"]
    assert stored[one.name]["geoData"] == {"latitude": 1.5, "longitude": 2.5, "altitude": 0.0}
    assert not {"people", "faces"} & stored[other.name].keys()
    told = [note for note in report.notes if note.startswith("left out")]
    assert [note.partition(" (")[0] for note in told] == [
        "left out: details of metadata field 'people', a list of objects of which only the names are kept",
        "left out: details of metadata field 'people', a list of objects without names",
        "left out: lists within lists in metadata field 'faces'",
    ]
    assert "2 sidecars used" in report.notes


LONG = "IMG_20200101_123456789_PORTRAIT_BURST_0001.jpg"  # 46 letters


@pytest.mark.parametrize(
    ("picture", "sidecar"),
    [
        ("a.jpg", "a.jpg.json"), ("a.jpg", "a.json"), ("a.jpg", "a.jpg.JSON"), ("a.b.jpg", "a.b.json"),
        ("a.jpg", "a.jpg.supplemental-metadata.json"), ("a.jpg", "a.jpg.supplemental-met.json"), ("a.jpg", "a.jpg.s.json"),
        ("a.jpg", "a.jpg..json"), ("a(1).jpg", "a.jpg(1).json"), ("a(1).jpg", "a.jpg.supplemental-metadata(1).json"),
        ("a(12).jpg", "a.jpg.supp(12).json"), ("a(1).jpg", "a(1).jpg.json"), ("a(1).jpg", "a(1).json"),
        (LONG, f"{LONG}.json"), ("x" * 60 + ".jpg", "x" * 46 + ".json"), ("x" * 43 + ".jpg", "x" * 43 + ".jp.json"),
        ("x" * 40 + ".jpg", ("x" * 40 + ".jpg.supplemental-metadata")[:46] + ".json"),
        ("a.jpg", "a.jpg.xmp"), ("a.jpg", "a.xmp"), ("a.jpg", "a.XMP"),
    ],
)  # fmt: skip
def test_a_sidecar_is_about_the_picture_that_its_name_says(picture: str, sidecar: str) -> None:
    others = ["other.jpg", "y.png"]
    assert sidecars_of([picture, *others], [sidecar, "readme.txt"]) == {picture: [sidecar]}


@pytest.mark.parametrize(
    "sidecar",
    [
        "c.json",
        "a.jpg.other.json",
        "a.jpg(1).json",
        "a.jpg.supplemental-metadata(1).json",
        "metadata.json",
        ".json",
        "a.jpg.yml",
    ],
)
def test_other_files_are_about_no_picture(sidecar: str) -> None:
    assert sidecars_of(["a.jpg", "b.jpg"], [sidecar]) == {}


def test_an_edited_copy_has_the_sidecar_of_its_picture() -> None:
    pictures = ["a.jpg", "a-edited.jpg", "b-edited.jpg", "c-blue.jpg"]
    found = sidecars_of(pictures, ["a.jpg.supplemental-metadata.json", "a.xmp", "b.jpg.json", "b.xmp", "c.jpg.json"])
    assert found == {
        "a.jpg": ["a.xmp", "a.jpg.supplemental-metadata.json"],
        "a-edited.jpg": ["a.jpg.supplemental-metadata.json"],
        "b-edited.jpg": ["b.jpg.json"],
    }


NFC, NFD = unicodedata.normalize("NFC", "schön größer"), unicodedata.normalize("NFD", "schön größer")


@pytest.mark.parametrize(
    ("picture", "sidecar"),
    [
        (f"{NFC}.jpg", f"{NFD}.jpg.json"), (f"{NFD}.jpg", f"{NFC}.jpg.supplemental-metadata.json"),
        (f"{NFD}.jpg", f"{NFC}.xmp"), (f"{NFC}(1).jpg", f"{NFD}.jpg(1).json"), (f"{NFC}.jpg", f"{NFD}.caption"),
        ("UP.JPG", "UP.jpg.json"), ("c.jpg", "c.JPG.XMP"), ("IMG_1.HEIC", "img_1.heic.Supplemental-Metadata.json"),
        ("A.JPG", "a.txt"), (f"{NFC}.JPG", f"{NFD.lower()}.jpg.json"), ("x" * 43 + ".JPG", "x" * 43 + ".jp.json"),
    ],
)  # fmt: skip
def test_a_sidecar_is_about_a_picture_whose_name_is_spelled_otherwise(picture: str, sidecar: str) -> None:
    assert sidecars_of([picture, "other.jpg", "Y.png"], [sidecar]) == {picture: [sidecar]}


def test_a_name_in_other_letters_means_a_picture_only_where_it_can_mean_no_other_one() -> None:
    pictures = ["a.jpg", "A.jpg", f"{NFC}.jpg", f"{NFD}.jpg", "b.jpg"]
    assert sidecars_of(pictures, ["a.JPG.json", f"{NFC.upper()}.jpg.json", "B.json"]) == {"b.jpg": ["B.json"]}
    exact = ["a.jpg.json", "A.jpg.json", f"{NFC}.jpg.json", f"{NFD}.jpg.json"]
    assert sidecars_of(pictures, exact) == dict(zip(pictures, ([name] for name in exact), strict=False))
    assert sidecars_of(["b.jpg"], ["b.json", "B.jpg.json"]) == {"b.jpg": ["b.json"]}


@pytest.mark.parametrize(
    "said",
    [
        "edited",
        "bearbeitet",
        "modifié",
        unicodedata.normalize("NFD", "modifié"),
        "ha editado",
        "編集済み",
        "редактировано",
        "EDITED",
    ],
)
@pytest.mark.parametrize("number", ["", "(1)"])
def test_an_edited_copy_is_known_in_the_languages_of_takeout(said: str, number: str) -> None:
    copy, sidecar = f"n-{said}{number}.jpg", f"n.jpg.supplemental-metadata{number}.json"
    assert sidecars_of([copy, f"n{number}.jpg"], [sidecar]) == {copy: [sidecar], f"n{number}.jpg": [sidecar]}
    assert sidecars_of([copy, "m.jpg"], [sidecar]) == {copy: [sidecar]}  # the original is not among the files
    assert sidecars_of([copy, "N.JPG", "n.jpg"], ["n.jpg.json"]).get("n.jpg") == ["n.jpg.json"]


@pytest.mark.parametrize("named", [f"../p/{NFC}.jpg", f"../p/{NFD}.JPG", f"..\\P\\{NFC}.jpg", f"{NFD}.jpg"])
def test_labelme_may_spell_its_picture_otherwise(tmp_path: Path, named: str) -> None:
    root = tree(tmp_path / "r", f"p/{NFD}.jpg", "p/other.jpg")
    (root / "jsons").mkdir()
    content: dict[str, Any] = {"version": "5", "flags": {"ok": True}, "shapes": [], "imagePath": named, "imageData": None}
    place = "p/by name.json" if "/" not in named and "\\" not in named else "jsons/1.json"
    (root / place).write_text(json.dumps(content))
    items, notes = notes_of(root)
    ((_, said),) = [item for item in items.items() if "other" not in item[0]]
    assert said["flags"] == {"ok": True}
    assert "1 sidecar used" in notes


def test_a_number_goes_to_the_picture_of_that_number(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a.jpg", "a(1).jpg")
    (root / "a.jpg.supplemental-metadata.json").write_text('{"n": 0}')
    (root / "a.jpg.supplemental-metadata(1).json").write_text('{"n": 1}')
    assert notes_of(root) == ({"a.jpg": {"n": 0}, "a(1).jpg": {"n": 1}}, ["2 sidecars used"])


def test_one_sidecar_may_be_about_a_picture_in_two_formats(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a.jpg", "a.png")
    (root / "a.json").write_text('{"n": 0}')
    assert notes_of(root) == ({"a.jpg": {"n": 0}, "a.png": {"n": 0}}, ["1 sidecar used"])


def test_labelme_names_what_is_in_the_picture(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a.jpg")
    shapes = [{"label": label, "points": [[1, 2], [3, 4]], "shape_type": "polygon"} for label in ("cat", "dog", "cat")]
    content = {"version": "5", "flags": {"blurred": False}, "shapes": shapes, "imagePath": "a.jpg", "imageData": "x" * 10**6}
    (root / "a.json").write_text(json.dumps({**content, "imageHeight": 3, "imageWidth": 4}))
    items, notes = notes_of(root)
    expected = {"version": "5", "flags": {"blurred": False}, "shapes": ["cat", "dog"], "imagePath": "a.jpg"}
    assert items == {"a.jpg": expected}
    assert any("'shapes', a list of objects of which only the names are kept" in note for note in notes)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"{'a': 1}", b"[" * 200_000, b'{"a": ' * 50_000, b"\0" * 100],
    ids=["empty", "cut", "list", "null", "mark", "python", "deep list", "deep objects", "zeros"],
)  # fmt: skip
@pytest.mark.parametrize("suffix", ["json", "xmp"])
def test_a_broken_sidecar_costs_itself(tmp_path: Path, content: bytes, suffix: str) -> None:
    root = tree(tmp_path / "p", "a.jpg", "b.jpg")
    (root / f"a.jpg.{suffix}").write_bytes(content)
    (root / "b.jpg.json").write_text('{"n": 1}')
    items, notes = notes_of(root)
    assert items == {"a.jpg": {}, "b.jpg": {"n": 1}}
    (note,) = [note for note in notes if note.startswith("left out")]
    assert note.startswith("left out: sidecars that cannot be used (1; the first: '")
    assert f"a.jpg.{suffix}'" in note


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a.jpg")
    os.mkfifo(root / "a.jpg.json")
    os.mkfifo(root / "metadata.csv")
    items, notes = notes_of(root)
    assert items == {"a.jpg": {}}
    assert any("a.jpg.json': is not a regular file" in note for note in notes)


def test_odd_values_cost_themselves(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a.jpg", "b.jpg")
    (root / "a.json").write_text(
        '{"n": NaN, "i": Infinity, "big": 123456789012345678901, "huge": ' + "9" * 5000 + ', "s": "\\ud800", "_x": 1, "": 2}'
    )
    (root / "b.json").write_text('{"n": 1.5, "i": 2, "place": {"lat": 91, "lon": 0}}')
    items, notes = notes_of(root)
    assert items == {
        "a.jpg": {"big": "123456789012345678901", "huge": "9" * 5000, "s": "\ufffd\ufffd\ufffd"},
        "b.jpg": {"n": 1.5, "i": 2.0},
    }
    told = " ".join(notes)
    for words in ("'_x'", "inf is not a value of type float", "'lat': 91"):
        assert words in told


XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:lr="http://ns.adobe.com/lightroom/1.0/" xmp:Rating="4" xmp:Label="Red"
 exif:GPSLatitude="48,51.5N" exif:GPSLongitude="2,21,0W" xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
 crs:Exposure2012="+0.50">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Türme</rdf:li></rdf:Alt></dc:title>
<dc:subject><rdf:Bag><rdf:li>tower</rdf:li><rdf:li>Paris</rdf:li></rdf:Bag></dc:subject>
<lr:hierarchicalSubject><rdf:Bag><rdf:li>place|Paris</rdf:li></rdf:Bag></lr:hierarchicalSubject>
<xmp:CreateDate>2023-07-14T09:30:00+02:00</xmp:CreateDate>
<dc:description/>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
SAID = {
    "rating": 4,
    "color_label": "Red",
    "title": "Türme",
    "keywords": ["tower", "Paris"],
    "hierarchical_keywords": ["place|Paris"],
    "created": "2023-07-14T09:30:00+02:00",
    "place": {"lat": 48.8583333, "lon": -2.35},
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_xmp_tells_what_people_said(encoding: str) -> None:
    assert read_xmp(XMP.encode(encoding)) == SAID
    assert read_xmp(f'<?xml version="1.0" encoding="{encoding}"?>\n{XMP}'.encode(encoding)) == SAID


def test_xmp_lies_beside_pictures_and_json_has_the_last_word(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a.jpg")
    (root / "a.xmp").write_text(XMP, encoding="utf-8")
    (root / "a.jpg.json").write_text('{"title": "mine", "stars": 1}')
    source = open_source(str(root))
    (item,) = source.items()
    expected = {**SAID, "created": "2023-07-14T07:30:00Z", "title": "mine", "stars": 1}
    assert item.metadata == expected
    assert (source.fields["place"], source.fields["rating"]) == (FieldType.GEO, FieldType.INTEGER)
    assert source.notes == ["2 sidecars used"]
    (item,) = open_source(f"local://{root}").items()
    assert item.metadata == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xmp_with_entities_is_none(tmp_path: Path, encoding: str) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><x>&b;</x>'
    with pytest.raises(ValueError, match="no document type"):
        read_xmp(bomb.encode(encoding))
    root = tree(tmp_path / "p", "a.jpg")
    (root / "a.xmp").write_bytes(bomb.encode(encoding))
    items, notes = notes_of(root)
    assert items == {"a.jpg": {}}
    assert any("sidecars that cannot be used" in note for note in notes)


def test_losses_of_very_many_kinds_are_told_in_few_lines() -> None:
    losses = Losses()
    for number in range(100):
        losses.add(f"kind {number}", "here")
        losses.add(f"kind {number}", "there")
    assert losses.notes[0] == "left out: kind 0 (2; the first: here)"
    assert (len(losses.notes), losses.notes[-1]) == (31, "left out: 70 more kinds of what cannot be kept")
    losses.clear()
    assert losses.notes == []
