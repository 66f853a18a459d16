"""Folders, tables and sidecars of public reports, rebuilt: the tracker and the number of each stand before its case."""

from __future__ import annotations

import io
import json
import tarfile
import unicodedata
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from semblant_indexer.sources import open_source
from support.trees import by_name, tree

if TYPE_CHECKING:
    from pathlib import Path


def told(root: Path, **options: Any) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The metadata of each picture by its name, and what the source says of itself."""
    source = open_source(str(root), **options)
    items = {unquote(name.rpartition("#")[2]): dict(item.metadata) for name, item in by_name(source).items()}
    return items, list(source.notes)


def table(root: Path, text: str, *pictures: str, name: str = "metadata.csv") -> dict[str, dict[str, Any]]:
    tree(root, *pictures)
    (root / name).write_text(text, encoding="utf-8")
    return told(root)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("file,country\na.png,NC\nb.png,NA\nc.png,NE\n", ["NC", "NA", "NE"], id="OasisLMF/OasisLMF#307"),
        pytest.param(
            "file,zip\na.png,01234\nb.png,005\nc.png,100\n", ["01234", "005", "100"], id="browser-use/workflow-use#174"
        ),
        pytest.param("file,ags\na.png,10\nb.png,05\nc.png,1\n", ["10", "05", "1"], id="leeper/csvy#26"),
        pytest.param(
            "file,code\na.png,000000\nb.png,000000\nc.png,000001\n",
            ["000000", "000000", "000001"],
            id="pandas-dev/pandas#39906",
        ),
        pytest.param("file,age\na.png,31\nb.png,n/a\nc.png,40\n", [31, None, 40], id="pandas-dev/pandas#16078"),
        pytest.param("file,subtype\na.png,#N/A\nb.png,2.1\nc.png,1.1\n", [None, 2.1, 1.1], id="phac-nml/biohansel#120"),
    ],
)
def test_a_column_keeps_what_it_says(tmp_path: Path, text: str, expected: list[Any]) -> None:
    items = table(tmp_path / "p", text, "a.png", "b.png", "c.png")
    (name,) = text.partition("\n")[0].split(",")[1:]
    assert [items[picture].get(name) for picture in ("a.png", "b.png", "c.png")] == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(
            r'"naka , \"who is there?\" shish \"kebab\""',
            'naka , "who is there?" shish "kebab"',
            id="sqlitebrowser/sqlitebrowser#1032",
        ),
        pytest.param(r'"\"A Freelance Webdeveloper, Me.\""', '"A Freelance Webdeveloper, Me."', id="BurntSushi/xsv#105"),
        pytest.param(r'"Foo \"Bar\" in C:\dir"', r'Foo "Bar" in C:\dir', id="C2FO/fast-csv#112"),
        pytest.param(r'"B \"" "', r"B \" ", id="stevehansen/csv#35"),
        pytest.param(r'"C:\dir\"', "C:\\dir\\", id="a folder"),
    ],
)
def test_quotes_behind_backslashes_are_quotes_where_a_row_is_none_otherwise(tmp_path: Path, row: str, expected: str) -> None:
    items = table(tmp_path / "p", f"file,said,price\na.png,{row},2\nb.png,plain,3\n", "a.png", "b.png")
    assert items == {"a.png": {"said": expected, "price": 2}, "b.png": {"said": "plain", "price": 3}}


def test_a_column_of_nothing_but_na_is_text(tmp_path: Path) -> None:
    """Sage-Bionetworks/schematic#821."""
    items = table(tmp_path / "p", "file,stage\na.png,NA\nb.png,NA\n", "a.png", "b.png")
    assert items == {"a.png": {"stage": "NA"}, "b.png": {"stage": "NA"}}


def test_rows_without_pictures_and_pictures_without_rows_are_counted(tmp_path: Path) -> None:
    """microsoft/LLaVA-Med#48, wisdomikezogwo/quilt1m#23, Georgefwt/AquaLoRA#8."""
    root = tree(tmp_path / "p", "a.png", "b.png")
    (root / "metadata.csv").write_text("file,label\na.png,x\nmissing.png,y\n")
    items, notes = told(root)
    assert items == {"a.png": {"label": "x"}, "b.png": {}}
    assert [note.partition(" in ")[0] for note in notes] == ["1 metadata row names no picture"]


def test_rows_name_pictures_without_their_endings(tmp_path: Path) -> None:
    """ieee8023/covid-chestxray-dataset#96."""
    items = table(tmp_path / "p", "file,view\n2-chest-filmc,PA\nRA-1,AP\n", "2-chest-filmc.png", "RA-1.jpg")
    assert items == {"2-chest-filmc.png": {"view": "PA"}, "RA-1.jpg": {"view": "AP"}}


def test_conversations_cost_no_picture(tmp_path: Path) -> None:
    """huggingface/datasets#7337: `metadata.jsonl` of LLaVA."""
    root = tree(tmp_path / "p", "GCC_train_002448550.jpg")
    row = {
        "id": "GCC_train_002448550",
        "file_name": "GCC_train_002448550.jpg",
        "conversations": [{"from": "human", "value": "?"}],
    }
    (root / "metadata.jsonl").write_text(json.dumps(row) + "\n")
    items, notes = told(root)
    assert items == {"GCC_train_002448550.jpg": {"id": "GCC_train_002448550", "conversations": ["?"]}}
    assert any("conversations" in note for note in notes)


def test_a_table_of_another_name_is_named_and_taken_when_asked_for(tmp_path: Path) -> None:
    """huggingface/datasets#6777: `metadata1000.jsonl`, whose pictures stand in `image`."""
    root = tree(tmp_path / "p", "images/212734.png")
    rows = root / "metadata1000.jsonl"
    rows.write_text(json.dumps({"caption": "a drawing", "image": "images/212734.png", "padded": "p.png"}) + "\n")
    assert told(root, metadata=rows)[0] == {"212734.png": {"label": "images", "caption": "a drawing", "padded": "p.png"}}


def test_a_value_that_is_json_stays_text(tmp_path: Path) -> None:
    """clovaai/donut#69."""
    root = tree(tmp_path / "p", "img1.jpeg")
    truth = json.dumps({"gt_parse": {"patient name": "XYZ"}})
    (root / "metadata.jsonl").write_text(json.dumps({"file_name": "img1.jpeg", "ground_truth": truth}) + "\n")
    assert told(root)[0] == {"img1.jpeg": {"ground_truth": truth}}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("ref\u2011284 – é.png", id="llmsresearch/paperbanana#234"),
        pytest.param("D-Brückenbau.jpg", id="gramps-project/gramps-web-api#892"),
        pytest.param("Frítest.jpg", id="RhetTbull/osxphotos#594"),
    ],
)
@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
def test_a_name_is_the_same_however_it_is_composed(tmp_path: Path, name: str, on_disk: Any) -> None:
    stored = unicodedata.normalize(on_disk, name)
    asked = unicodedata.normalize("NFC" if on_disk == "NFD" else "NFD", name)
    assert table(tmp_path / "p", f"file,keyword\n{asked},Bild\n", stored) == {stored: {"keyword": "Bild"}}


@pytest.mark.parametrize(
    ("picture", "sidecar"),
    [
        pytest.param("a.jpg", "a.jpg.supple.json", id="TheLastGimbus/GooglePhotosTakeoutHelper#449"),
        pytest.param("a.jpg", "a.jpg.supplement.json", id="feloex/GoogleTakeoutFixer#4"),
        pytest.param("IMG_1234(1).jpg", "IMG_1234.jpg.supplemental-metadata(1).json", id="ente/ente#4956"),
        pytest.param("Peanut Butter Balls.jpg", "Peanut Butter Balls.supplemental-metadata.json", id="simulot/immich-go#674"),
        pytest.param(
            "123456789123456789123456789123456789_DSCN0091(1).JPG",
            "123456789123456789123456789123456789_DSCN0091.JP.supplemental-meta(1).json",
            id="Xentraxx/GooglePhotosTakeoutHelper_Neo#29",
        ),
        pytest.param("DSC_1.jpg", "DSC_1.xmp", id="darktable-org/darktable#4560"),
        pytest.param("DSC_1.jpg", "DSC_1.jpg.xmp", id="deckerst/aves#994"),
    ],
)
def test_a_sidecar_finds_its_picture(tmp_path: Path, picture: str, sidecar: str) -> None:
    root = tree(tmp_path / "p", picture, "other.jpg")
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>'
    )
    (root / sidecar).write_text(xmp if sidecar.endswith("xmp") else '{"description": "cookies"}')
    items = told(root)[0]
    assert items["other.jpg"] == {}
    assert len(items[picture]) == 1, items


def test_keywords_of_an_xmp_sidecar_are_a_list(tmp_path: Path) -> None:
    """drewnoakes/metadata-extractor#118."""
    root = tree(tmp_path / "p", "test.jpg")
    (root / "test.xmp").write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag>'
        "<rdf:li>Reflektionen</rdf:li><rdf:li>Thema</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    (values,) = told(root)[0]["test.jpg"].values()
    assert values == ["Reflektionen", "Thema"]


def shard(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param(
            {"235342 Track 2.0 (Clean).png": b"p", "235342 Track 2.0 (Clean).json": b'{"price": 1}'},
            {"235342 Track 2.0 (Clean).png": {"price": 1}},
            id="webdataset/webdataset#237",
        ),
        pytest.param(
            {"some/path/22.0/1.1.png": b"p", "some/path/22.0/1.1.json": b'{"price": 1}'}, {"1.1.png": {"price": 1}},
            id="huggingface/datasets#7150",
        ),
        pytest.param(
            {"22.05.png": b"p", "22.05.json": b'{"price": 1}', "22.06.png": b"q", "22.06.json": b'{"price": 2}'},
            {"22.05.png": {"price": 1}, "22.06.png": {"price": 2}},
            id="huggingface/datasets#7144",
        ),
        pytest.param(
            {"foo0.left.png": b"p", "foo0.right.png": b"q", "foo0.json": b'{"price": 1}'},
            {"foo0.left.png": {"price": 1}, "foo0.right.png": {"price": 1}},
            id="webdataset/webdataset#20",
        ),
        pytest.param(
            {"train.v1/0001.jpg": b"p", "train.v1/0001.json": b'{"price": 1}', "train.v1/0002.jpg": b"q"},
            {"0001.jpg": {"price": 1}, "0002.jpg": {}},
            id="macrodata-labs/refiner#124",
        ),
        pytest.param(
            {"._1001.png": b"\0\5\x16\7", "1001.png": b"p", "1001.json": b'{"price": 1}'}, {"1001.png": {"price": 1}},
            id="ethanwheatthin/All-In-One-Snapchat-Downloader#5",
        ),
    ],
)  # fmt: skip
def test_members_of_an_archive_keep_their_company(
    tmp_path: Path, members: dict[str, bytes], expected: dict[str, dict[str, Any]]
) -> None:
    items, _ = told(shard(tmp_path / "shard.tar", members))
    assert items == expected


def test_what_a_mac_leaves_on_other_disks_is_no_picture(tmp_path: Path) -> None:
    """OpenNeuroOrg/openneuro#2520: counted, not tried."""
    items, notes = told(tree(tmp_path / "p", "1001.png", "._1001.png", "__MACOSX/._1002.png"))
    assert set(items) == {"1001.png"}
    assert notes == ["system files and folders left out: 1 AppleDouble, 1 __MACOSX (--include-system takes them)"]


@pytest.mark.parametrize("cells", [("10%", "2,5 %"), ("1,50 €", "2 €"), ("$1.50", "$1,200.00"), ("CHF", None), ("3 EUR", "5")])
def test_numbers_with_units_are_text_and_told(cells: tuple[str, str | None], tmp_path: Path) -> None:
    tree(tmp_path / "p", "a.png", "b.png")
    first, second = cells
    (tmp_path / "p" / "metadata.csv").write_text(f"file;x\na.png;{first}\nb.png;{second or ''}\n", encoding="utf-8")
    items, notes = told(tmp_path / "p")
    assert items["a.png"]["x"] == first
    assert any("a currency or a percent sign" in note for note in notes) == (first != "CHF")


def test_a_cell_that_is_to_be_text_for_excel_is_that_text(tmp_path: Path) -> None:
    text = 'file,ean,note\na.png,"=""0042""",=1+1\nb.png,"=""0007""","=""say """"hi"""""""\n'
    items = table(tmp_path / "p", text, "a.png", "b.png")
    assert items["a.png"] == {"ean": "0042", "note": "=1+1"}
    assert items["b.png"] == {"ean": "0007", "note": 'say "hi"'}
