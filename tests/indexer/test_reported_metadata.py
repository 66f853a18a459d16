"""Tables and sidecars of public reports, as other programs and other countries write them: tracker and number beside each."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from PIL import Image
from semblant_indexer.reading import read_content
from semblant_indexer.sources import open_source
from semblant_search.writing.exif import exif_facts_of
from support.trees import tree

if TYPE_CHECKING:
    from pathlib import Path


def told(root: Path, **options: Any) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The metadata of each picture by its name, and what the source says of itself."""
    source = open_source(str(root), **options)
    items = {unquote(item.uri.rpartition("/")[2]): dict(item.metadata) for item in source.items()}
    return items, list(source.notes)


def column(root: Path, cells: list[str], delimiter: str = ";") -> tuple[list[Any], list[str]]:
    names = [f"{number}.png" for number in range(len(cells))]
    rows = "".join(f'{name}{delimiter}"{cell}"\n' for name, cell in zip(names, cells, strict=True))
    tree(root, *names)
    (root / "metadata.csv").write_text(f"file{delimiter}x\n{rows}", encoding="utf-8")
    items, notes = told(root)
    return [items[name].get("x") for name in names], notes


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        pytest.param(["1.000,92", "3"], [1000.92, 3.0], id="jasp-stats/jasp-desktop#403"),
        pytest.param(["10 237,65", "999,5"], [10237.65, 999.5], id="dbeaver/dbeaver#7839"),
        pytest.param(["15,000.96", "7"], [15000.96, 7.0], id="Aam-Digital/ndb-core#3453: points"),
        pytest.param(["15.000,96", "7"], [15000.96, 7.0], id="Aam-Digital/ndb-core#3453: commas"),
        pytest.param(["1'000'000,00", "12,5"], [1e6, 12.5], id="firefly-iii/firefly-iii#4106"),
        pytest.param(["1 000,00", "0,5"], [1000.0, 0.5], id="portfolio-performance/portfolio#2945"),
        pytest.param(["9,99", "20,33"], [9.99, 20.33], id="dannymcc/may#244"),
        pytest.param(
            ["11/03/2011", "03/05/2011", "20/10/2011"],
            ["2011-03-11T00:00:00Z", "2011-05-03T00:00:00Z", "2011-10-20T00:00:00Z"],
            id="pandas-dev/pandas#19402",
        ),
        pytest.param(
            ["02/01/2014", "31/12/2012"], ["2014-01-02T00:00:00Z", "2012-12-31T00:00:00Z"], id="wireservice/csvkit#280"
        ),
        pytest.param(["12/31/2014", "1/2/2014"], ["2014-12-31T00:00:00Z", "2014-01-02T00:00:00Z"], id="okfn/messytables#148"),
        pytest.param(
            ["19/04/2018", "05/04/2018"], ["2018-04-19T00:00:00Z", "2018-04-05T00:00:00Z"], id="akoumjian/datefinder#78"
        ),
    ],
)
def test_numbers_and_dates_are_those_of_who_wrote_them(tmp_path: Path, cells: list[str], values: list[Any]) -> None:
    assert column(tmp_path / "p", cells)[0] == values


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        pytest.param(["1.355,90€", "4,00€"], "a currency or a percent sign", id="deadlocker8/BudgetMaster#731"),
        pytest.param(["07/03/2024", "01/02/2024"], "either may be meant; kept as text", id="datagouv/csv-detective#268"),
        pytest.param(["04/10/96", "15/07/97"], "a date with a short year", id="pandas-dev/pandas#13063"),
    ],
)
def test_what_could_mean_two_things_is_text_and_told(tmp_path: Path, cells: list[str], words: str) -> None:
    values, notes = column(tmp_path / "p", cells)
    assert values == cells
    assert any(words in note for note in notes)


def test_one_column_tells_how_the_others_are_written(tmp_path: Path) -> None:
    """ngrunwald/meta-csv#5: 2.155 cases, and not two and a bit; the note says how it was read."""
    root = tree(tmp_path / "p", "a.png", "b.png")
    (root / "metadata.csv").write_text(
        'file,cases,change,rate,deaths\na.png,"2.155","+546","19,47",6\nb.png,"12","-7","3,5",0\n'
    )
    items, notes = told(root)
    assert items["a.png"] == {"cases": 2155, "change": 546, "rate": 19.47, "deaths": 6}
    assert notes == ["metadata field 'cases': read with separated thousands, a comma before decimals, as '2.155' (line 2)"]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        pytest.param('sep=,\n\ufeff"file","name"\n"a.png","Bägs"\n', "Bägs", id="alexcaza/export-to-csv#119"),
        pytest.param('\ufeff"file","name"\n"a.png","x"\n', "x", id="pandas-dev/pandas#4793"),
        pytest.param('"sep=~"\n"file"~"name"\n"a.png"~"x"\n', "x", id="alexcaza/export-to-csv#43"),
        pytest.param("name;file\n\nx;a.png\n", "x", id="Aternus/csv-to-xlsx#6"),
        pytest.param('"file", "name"\n"a.png", "x, y"\n', "x, y", id="OasisLMF/ktools#22"),
        pytest.param("file ,    name\na.png, x\n", " x", id="pandas-dev/pandas#9067"),
        pytest.param("\u200bfile\u200b,\u00a0name\u00a0\na.png,x\n", "x", id="pandas-dev/pandas#36343"),
    ],
)
def test_headers_have_marks_and_lines_before_them(tmp_path: Path, content: str, name: str) -> None:
    root = tree(tmp_path / "p", "a.png")
    (root / "metadata.csv").write_text(content, encoding="utf-8")
    assert told(root) == ({"a.png": {"name": name}}, [])


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param("image,choice\n/data/upload/1/5f2a9c1b-cat.jpg,c\n/data/upload/2/0a1b2c3d-dog.jpg,d\n",
                     id="HumanSignal/label-studio#5438"),
        pytest.param("image,choice\n/data/local-files/?d=set%20a/x/cat.jpg,c\n/data/local-files/?d=set%20a/dog.jpg,d\n",
                     id="HumanSignal/label-studio#7001"),
        pytest.param("image,choice\nhttp://localhost:8080/data/local-files?d=set/x/cat.jpg,c\n"
                     "data/local-files?d=set\\dog.jpg,d\n",
                     id="HumanSignal/label-studio#774, #2775"),
        pytest.param("image,choice\nC:\\Users\\me\\set\\x\\cat.jpg,c\nC:\\Users\\me\\set\\dog.jpg,d\n",
                     id="DeepLabCut/DeepLabCut#686"),
        pytest.param("image,choice\n/home/me/set/x/cat.jpg,c\n/home/me/set/dog.jpg,d\n", id="kaiko-ai/eva#114"),
        pytest.param("image,choice\nD:/one/x/cat.jpg,c\nfile:///mnt/two/dog.jpg,d\n", id="two folders of two machines"),
    ],
)  # fmt: skip
def test_paths_of_another_machine_find_their_pictures(tmp_path: Path, rows: str) -> None:
    root = tree(tmp_path / "p", "x/cat.jpg", "dog.jpg")
    (root / "metadata.csv").write_text(rows)
    items, notes = told(root)
    assert {name: record.get("choice") for name, record in items.items()} == {"cat.jpg": "c", "dog.jpg": "d"}
    assert notes == []


def test_a_path_of_another_machine_is_no_other_picture_s(tmp_path: Path) -> None:
    """jsbroks/coco-annotator#486: annotations of another folder's pictures of the same names."""
    root = tree(tmp_path / "p", "cat/1.jpg", "dog/1.jpg", "dog/2.jpg")
    rows = [("/set/cat/1.jpg", 1), ("/set/dog/1.jpg", 2), ("/set/cow/2.jpg", 3), ("/else/1.jpg", 4), (f"{root}/dog/2.jpg", 5)]
    (root / "metadata.csv").write_text("file,x\n" + "".join(f"{path},{x}\n" for path, x in rows))
    source = open_source(str(root))
    found = {item.uri.partition("/p/")[2]: item.metadata.get("x") for item in source.items()}
    assert found == {"cat/1.jpg": 1, "dog/1.jpg": 2, "dog/2.jpg": 5}
    assert any(note.startswith(f"2 metadata rows name no picture in {str(root)!r} (") for note in source.notes)


def coco(**image: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 4, "width": 1762, **image}],
        "categories": [{"id": 1, "name": "人", "supercategory": ""}, {"id": 2, "name": "猫"}],
        "annotations": [{"id": 1, "image_id": 4, "category_id": 1, "bbox": [1, 2, 3, 4]}],
    }


def test_coco_s_file_name_comes_before_a_path_of_the_annotator(tmp_path: Path) -> None:
    """jsbroks/coco-annotator#516."""
    root = tree(tmp_path / "p", "0002輕入重地.jpg")
    (tmp_path / "c.json").write_text(json.dumps(coco(path="/datasets/a/b.jpg", file_name="0002輕入重地.jpg")))
    (record,) = told(root, metadata=tmp_path / "c.json")[0].values()
    assert record == {"id": 4, "width": 1762, "path": "/datasets/a/b.jpg", "category": ["人"]}


def test_coco_beside_a_picture_is_about_that_one(tmp_path: Path) -> None:
    """ryouchinsa/Rectlabel-support#230: one file of COCO's annotations a picture."""
    root = tree(tmp_path / "p", "a.jpg", "b.jpg")
    (root / "a.json").write_text(json.dumps(coco(file_name="a.jpg")))
    two = coco(file_name="b.jpg")
    (root / "b.json").write_text(json.dumps({**two, "images": two["images"] * 2}))
    items, notes = told(root)
    assert items == {"a.jpg": {"id": 4, "width": 1762, "category": ["人"]}, "b.jpg": {}}
    assert any(f"{str(root / 'b.json')!r}: COCO's annotations of 2 pictures" in note for note in notes)


def labelme(picture: str, **flags: bool) -> str:
    shapes = [{"label": "cat", "points": [[1, 2]], "shape_type": "polygon"}]
    return json.dumps({"version": "5", "flags": flags, "shapes": shapes, "imagePath": picture, "imageData": None})


@pytest.mark.parametrize("slash", ["/", "\\"])
def test_labelme_s_files_may_lie_in_a_folder_of_their_own(tmp_path: Path, slash: str) -> None:
    """wkentaro/labelme#253, #1009."""
    root = tree(tmp_path / "p", "JPEGImages/a.jpg", "JPEGImages/b.jpg", "other.jpg")
    (root / "jsons").mkdir()
    (root / "jsons" / "a.json").write_text(labelme(slash.join(["..", "JPEGImages", "a.jpg"]), blurry=True))
    (root / "jsons" / "gone.json").write_text(labelme("../JPEGImages/gone.jpg"))
    (root / "jsons" / "settings.json").write_text('{"imagePath": "../other.jpg"}')
    (root / "jsons" / "broken.json").write_text('{"shapes": [')
    items, notes = told(root)
    assert items["a.jpg"]["shapes"] == ["cat"]
    assert items["a.jpg"]["flags"] == {"blurry": True}
    assert items["b.jpg"] == {"label": "JPEGImages"}
    assert items["other.jpg"] == {}
    assert "1 sidecar used" in notes
    assert "3 files without a picture's name left alone: 3 JSON" in notes
    assert any("sidecars that name no picture of the source (1; the first" in note and "gone.json" in note for note in notes)


def test_exiftool_s_list_of_one_is_that_one(tmp_path: Path) -> None:
    """photoprism/photoprism#767, nathanpeck/exiftool#18: with its way to write times."""
    root = tree(tmp_path / "p", "a.jpg", "b.jpg")
    record = {"Keywords": ["bowl", "carrot"], "DateTimeOriginal": "2008:06:25 14:55:38", "DateCreated": "2008:06:25"}
    (root / "a.json").write_text(json.dumps([record]))
    (root / "b.jpg.json").write_text(json.dumps([record, record]))
    items, notes = told(root)
    assert items["a.jpg"] == {
        "Keywords": ["bowl", "carrot"], "DateTimeOriginal": "2008-06-25T14:55:38Z", "DateCreated": "2008-06-25T00:00:00Z",
    }  # fmt: skip
    assert items["b.jpg"] == {}
    assert any("expected a JSON object" in note for note in notes)


XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
xmlns:lr="http://ns.adobe.com/lightroom/1.0/" xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
xmlns:MPRI="http://ns.microsoft.com/photo/1.2/t/RegionInfo#" xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#"
xmlns:MP="http://ns.microsoft.com/photo/1.2/" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
><rdf:Description rdf:about="">{}</rdf:Description></rdf:RDF></x:xmpmeta>"""


def said(root: Path, properties: str) -> dict[str, Any]:
    tree(root, "a.jpg")
    (root / "a.xmp").write_text(XMP.format(properties), encoding="utf-8")
    return told(root)[0]["a.jpg"]


def gps(latitude: str, longitude: str, *references: str) -> str:
    names = ("GPSLatitude", "GPSLongitude", "GPSLatitudeRef", "GPSLongitudeRef")
    values = (latitude, longitude, *references)
    return "".join(f"<exif:{name}>{value}</exif:{name}>" for name, value in zip(names, values, strict=False))


@pytest.mark.parametrize(
    ("properties", "place"),
    [
        pytest.param(gps("60.5", "68", "N", "W"), (60.5, -68.0), id="immich-app/immich#3540"),
        pytest.param(gps("28.184478333333335", "14.160669499999999", "N", "W"), (28.1844783, -14.1606695),
                     id="immich-app/immich#13053"),
        pytest.param(gps("43.07640075683594", "79.0770034790039", "North", "West"), (43.0764008, -79.0770035),
                     id="RhetTbull/osxphotos#269"),
        pytest.param(gps("38.025312", "145.28905", "S", "E"), (-38.025312, 145.28905), id="KIOS-Research/ImportPhotos#3"),
        pytest.param(gps("-38.025312", "145.28905", "S", "E"), (-38.025312, 145.28905), id="a sign and a direction"),
        pytest.param(gps("35,0.73104N", "82,33.983892W"), (35.012184, -82.5663982), id="simulot/immich-go#880"),
        pytest.param(gps("-33.5", "151.25"), (-33.5, 151.25), id="bwindels/exif-parser#37"),
    ],
)  # fmt: skip
def test_a_place_s_direction_may_stand_beside_it(tmp_path: Path, properties: str, place: tuple[float, float]) -> None:
    assert said(tmp_path / "p", properties) == {"place": {"lat": place[0], "lon": place[1]}}


@pytest.mark.parametrize("wrong", [gps("60.5", "68", "?", "W"), gps("60.5", ""), gps("100.5", "68"), gps("1,2,3", "4")])
def test_half_a_place_is_none(tmp_path: Path, wrong: str) -> None:
    assert said(tmp_path / "p", wrong) == {}


def region(name: str, kind: str = "Face") -> str:
    return (
        f'<rdf:li><rdf:Description mwg-rs:Name="{name}" mwg-rs:Type="{kind}">'
        '<mwg-rs:Area rdf:parseType="Resource"/></rdf:Description></rdf:li>'
    )


def test_people_are_those_whose_faces_are_marked(tmp_path: Path) -> None:
    """photoprism/photoprism#3260 (digiKam), photoprism/photoprism#1570 (Microsoft), deckerst/aves#1153 (Mylio)."""
    regions = region("Ann Lee") + region("a shop", "BarCode") + region("Bo") + region("")
    properties = (
        f'<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag>{regions}</rdf:Bag></mwg-rs:RegionList>'
        '</mwg-rs:Regions><MP:RegionInfo rdf:parseType="Resource"><MPRI:Regions><rdf:Bag><rdf:li>'
        '<rdf:Description MPReg:Rectangle="0.1, 0.1, 0.2, 0.2" MPReg:PersonDisplayName="Cy"/></rdf:li></rdf:Bag>'
        "</MPRI:Regions></MP:RegionInfo>"
        "<Iptc4xmpExt:PersonInImage><rdf:Bag><rdf:li>Bo</rdf:li></rdf:Bag></Iptc4xmpExt:PersonInImage>"
    )
    assert said(tmp_path / "p", properties) == {"people": ["Bo", "Ann Lee", "Cy"]}


def test_keywords_may_be_a_sequence(tmp_path: Path) -> None:
    """darktable-org/darktable#4095, immich-app/immich#13053."""
    properties = (
        "<lr:hierarchicalSubject><rdf:Seq><rdf:li>Country|State|City</rdf:li><rdf:li>People|First Last</rdf:li></rdf:Seq>"
        "</lr:hierarchicalSubject><dc:subject><rdf:Seq><rdf:li>Elitsa</rdf:li></rdf:Seq></dc:subject>"
    )
    expected = {"hierarchical_keywords": ["Country|State|City", "People|First Last"], "keywords": ["Elitsa"]}
    assert said(tmp_path / "p", properties) == expected


@pytest.mark.parametrize(
    ("caption", "text"),
    [
        pytest.param("a.txt", "a photo of a cat", id="bmaltais/kohya_ss#988"),
        pytest.param("a.caption", "1girl, solo", id="hollowstrawberry/kohya-colab#144"),
        pytest.param("a.jpg.txt", "ein Bär", id="of its whole name"),
    ],
)
def test_captions_beside_pictures_are_their_text(tmp_path: Path, caption: str, text: str) -> None:
    root = tree(tmp_path / "p", "a.jpg", "b.jpg")
    (root / caption).write_text(f"{text}\n", encoding="utf-8")
    assert told(root) == ({"a.jpg": {"text": text}, "b.jpg": {}}, ["1 sidecar used"])


@pytest.mark.parametrize("content", ["0 0.5 0.5 0.1 0.2\n1 .5 .5 1e-3 1\n", "", "x" * 20_001])
def test_texts_that_are_no_captions_are_told(tmp_path: Path, content: str) -> None:
    """YOLO's boxes, nothing, a document."""
    root = tree(tmp_path / "p", "a.jpg")
    (root / "a.txt").write_text(content)
    items, notes = told(root)
    assert items == {"a.jpg": {}}
    assert notes[0].startswith("left out: sidecars that cannot be used (1; the first: ")


def test_names_of_a_zip_that_says_nothing_of_its_letters_are_utf_8(tmp_path: Path) -> None:
    """ImageMarkup/isic-archive#364; names in other letters stay as the standard has them: nih-at/libzip#212."""
    place = tmp_path / "mac.zip"
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("u\u0308b/鳥.jpg", b"x")
        archive.writestr("metadata.csv", "file,x\nüb/鳥.jpg,1\n")
    content = bytearray(place.read_bytes())
    for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = content.index(mark)
        (bits,) = struct.unpack_from("<H", content, at + flags)
        struct.pack_into("<H", content, at + flags, bits & ~0x800)
    place.write_bytes(content)
    (item,) = open_source(str(place)).items()
    assert (unquote(item.uri.rpartition("#")[2]), item.metadata) == ("u\u0308b/鳥.jpg", {"x": 1})
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("Évé.jpg", b"x")
    content = bytearray(place.read_bytes().replace("Évé".encode(), b"\x90v\x82aa"))
    for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        struct.pack_into("<H", content, content.index(mark) + flags, 0)
    place.write_bytes(content)
    (item,) = open_source(str(place)).items()
    assert unquote(item.uri.rpartition("#")[2]) == "Évéaa.jpg"


def silent_zip(place: Path, encoding: str, names: list[str], extra: bytes = b"") -> None:
    """An archive of names that are not marked as what they are."""
    with zipfile.ZipFile(place, "w") as archive:
        for number, name in enumerate(names):
            # Python writes no bytes of other letters: a name of ASCII as long stands in for them.
            stand_in = zipfile.ZipInfo(f"{number:03}".ljust(len(name.encode(encoding)), "_"))
            stand_in.extra = extra
            archive.writestr(stand_in, f"{number}")
    content = place.read_bytes()
    for number, name in enumerate(names):
        real = name.encode(encoding)
        content = content.replace(f"{number:03}".ljust(len(real), "_").encode(), real)
    place.write_bytes(content)


def names_in(place: Path) -> tuple[list[str], list[str]]:
    source = open_source(str(place))
    return [unquote(item.uri.rpartition("#")[2]) for item in source.items()], list(source.notes)


@pytest.mark.parametrize(
    ("encoding", "names", "guess"),
    [
        ("cp932", ["写真/表.jpg", "写真/能.jpg", "テスト画像１.jpg", "お母さん.jpg"], "Shift-JIS"),
        ("cp932", ["スクリーンショット 2020.jpg"], "Shift-JIS"),
        ("gbk", ["新建文件夹/照片.jpg", "我的图片（1）.jpg"], "Chinese (GBK)"),
        ("big5", ["新增資料夾/照片.jpg", "我的圖片.jpg"], "Chinese (Big5)"),
        ("cp949", ["새 폴더/사진.jpg", "제주도 여행/바다.jpg", "생일축하.jpg"], "Korean"),
        ("cp866", ["Новая папка/Фото №1.jpg", "море.jpg"], "Cyrillic (cp866)"),
        ("cp1251", ["Новая папка/Фото.jpg", "море.jpg"], "Cyrillic (cp1251)"),
    ],
)
def test_names_of_a_zip_of_another_windows_are_read(tmp_path: Path, encoding: str, names: list[str], guess: str) -> None:
    """`Ä╩É^` in place of `写真`."""
    silent_zip(tmp_path / "a.zip", encoding, names)
    found, notes = names_in(tmp_path / "a.zip")
    assert found == names
    (note,) = [note for note in notes if "names in ZIP archives" in note]
    assert note.startswith(f"read as {guess}")
    assert note.endswith(f"({len(names)}; the first: {str(tmp_path / 'a.zip')!r}, {names[0]!r})")
    contents = [read_content(item.place or "", 100).data for item in open_source(str(tmp_path / "a.zip")).items()]
    assert contents == [f"{number}".encode() for number in range(len(names))]


@pytest.mark.parametrize(
    ("encoding", "names", "is_told"),
    [
        ("cp437", ["Frédéric/château.jpg", "Müller Straße.jpg", "España.jpg", "créée.jpg", "12°.jpg"], False),
        ("ascii", ["a/b.jpg", "c.jpg"], False),
        ("cp850", ["São Paulo/ÀÁÂ.jpg", "Ærø.jpg"], True),
        ("cp852", ["Łódź/zażółć gęślą jaźń.jpg", "Gdańsk.jpg", "příšerně žluťoučký.jpg"], True),
        ("cp737", ["Φωτογραφίες/θάλασσα.jpg", "Αθήνα.jpg"], True),
        ("cp1253", ["Φωτογραφίες/θάλασσα.jpg", "Αθήνα.jpg"], True),
        ("cp1255", ["תמונות/חוף הים.jpg", "ירושלים.jpg"], True),
        ("cp862", ["תמונות/חוף הים.jpg", "ירושלים.jpg"], True),
        ("cp874", ["รูปภาพ/ทะเล.jpg", "กรุงเทพ.jpg"], True),
        ("cp857", ["Fotoğraflar/İstanbul güneşi.jpg"], True),
        ("cp949", ["사진.jpg"], True),
    ],
)
def test_what_would_be_a_gamble_stays_and_is_told(tmp_path: Path, encoding: str, names: list[str], is_told: bool) -> None:
    silent_zip(tmp_path / "a.zip", encoding, names)
    found, notes = names_in(tmp_path / "a.zip")
    assert found == [name.encode(encoding).decode("cp437") for name in names]
    assert [note.partition(":")[0] for note in notes if "names in ZIP" in note] == ["read as DOS's letters (cp437)"] * is_told


def test_a_zip_s_unicode_field_counts_where_it_is_of_that_name(tmp_path: Path) -> None:
    raw = "写真.jpg".encode("cp932")
    for crc, name in ((zlib.crc32(raw), "寫真.jpg"), (1, "写真.jpg")):
        content = b"\1" + struct.pack("<I", crc) + "寫真.jpg".encode()
        silent_zip(tmp_path / "a.zip", "cp932", ["写真.jpg"], struct.pack("<HH", 0x7075, len(content)) + content)
        assert names_in(tmp_path / "a.zip")[0] == [name]


def test_a_camera_s_name_ends_at_its_first_zero() -> None:
    """photoprism/photoprism#252, remvee/exifr#40: a GoPro leaves what was there before."""
    exif = Image.Exif()
    exif[0x010F] = "GoPro\0\0"
    exif[0x0110] = "HD2\0\4\0\3\0p\xd83\xc0\xc0A\x7f\xc0"
    exif[0x0132] = "2017:12:21 05:17:31\0\0"
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "JPEG", exif=exif)
    assert exif_facts_of(buffer.getvalue()) == {"_camera": "GoPro HD2", "_taken_at": "2017-12-21T05:17:31Z"}


def test_a_name_that_is_nothing_but_an_ending_is_hidden(tmp_path: Path) -> None:
    """qarmin/czkawka#1246."""
    from semblant_indexer.sources.selection import Selection

    root = tree(tmp_path / "p", ".jpeg", ".png", "a.jpg")
    assert told(root) == ({"a.jpg": {}}, ["hidden files and folders left out: 2 (--hidden takes them)"])
    assert list(told(root, selection=Selection(hidden=True))[0]) == [".jpeg", ".png", "a.jpg"]


def test_a_folder_that_links_to_itself_is_walked_once(tmp_path: Path) -> None:
    """oracle/opengrok#233, nextcloud/server#20197, thecodrr/fdir#125."""
    root = tree(tmp_path / "p", "cat/a.jpg")
    (root / "man").symlink_to(".")
    (root / "cat" / "up").symlink_to("..")
    (root / "cat" / "again").symlink_to(root / "man" / "cat")
    assert told(root) == ({"a.jpg": {"label": "cat"}}, [])
