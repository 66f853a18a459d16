"""Metadata tables as people have them: which pictures their rows mean, and what becomes of tables about something else."""

from __future__ import annotations

import codecs
import csv
import datetime
import io
import json
import unicodedata
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow
import pytest
from pyarrow import parquet
from semblant_indexer.sources import open_source
from semblant_search import FieldType, SearchClient
from support.trees import by_name, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport

NAMES = [f"IMG_{number}.jpg" for number in range(6)]
NFC, NFD = "Zürich é.jpg", unicodedata.normalize("NFD", "Zürich é.jpg")


def metadata_of(root: Path, **options: Any) -> dict[str, dict[str, Any]]:
    """What is known of each picture of a folder, without the label that its folder gives."""
    items = {unquote(name): item for name, item in by_name(open_source(str(root), **options)).items()}
    assert all(item.problem is None for item in items.values())
    return {name: {key: value for key, value in item.metadata.items() if key != "label"} for name, item in items.items()}


def notes_of(root: Path, **options: Any) -> list[str]:
    source = open_source(str(root), **options)
    list(source.items())
    return list(source.notes)


def test_whole_numbers_are_exact_in_searches(pictures: Path, index: Callable[..., IndexReport], tmp_path: Path) -> None:
    paths = sorted(pictures.rglob("*.png"))[:6]
    rows = [f"{path.relative_to(tmp_path)},{1234567890123456700 + number}\n" for number, path in enumerate(paths)]
    (tmp_path / "metadata.csv").write_text("file,tweet\n" + "".join(rows))
    assert index(pictures).indexed == 30
    with SearchClient(tmp_path / "db") as client:
        assert client.count(where="tweet == 1234567890123456701") == 1
        assert client.count(where="tweet > 1234567890123456701") == 4


@pytest.mark.parametrize(
    "written",
    [
        *(lambda name: f"p/{name}", lambda name: f"p\\{name}", lambda name: f".\\p\\{name}", lambda name: f"P/{name.lower()}"),
        *(lambda name: name, lambda name: name.upper(), lambda name: f" p/{name} ", lambda name: f"./{name}"),
    ],
    ids=["path", "backslashes", "dot", "case", "bare", "bare case", "spaces", "dot bare"],
)
def test_rows_find_their_pictures(tmp_path: Path, written: Callable[[str], str]) -> None:
    root = tree(tmp_path / "p", *NAMES)
    rows = "".join(f"{written(name)},{number}\n" for number, name in enumerate(NAMES))
    (tmp_path / "metadata.csv").write_text(f"file,price\n{rows}")
    assert metadata_of(root) == {name: {"price": number} for number, name in enumerate(NAMES)}
    assert notes_of(root) == []


@pytest.mark.parametrize(
    ("written", "on_disk"),
    [
        ("a%20b.jpg", "a b.jpg"),
        ("p/Z%C3%BCrich.jpg", "Zürich.jpg"),
        ("100%25.jpg", "100%.jpg"),
        (" a.jpg", " a.jpg"),
        ("a b /c.jpg", "a b /c.jpg"),
        ("p//a.jpg", "a.jpg"),
        ("./sub//a.jpg", "sub/a.jpg"),
    ],
)
@pytest.mark.parametrize("beside", [True, False])
def test_addresses_spaces_and_doubled_slashes_find_their_pictures(
    tmp_path: Path, written: str, on_disk: str, beside: bool
) -> None:
    root = tree(tmp_path / "p", on_disk, "other.jpg")
    (tmp_path / "metadata.csv" if beside else root / "metadata.csv").write_text(f'file,x\n"{written}",1\n', encoding="utf-8")
    (found, other) = sorted(metadata_of(root).values(), key=len, reverse=True)
    assert (found, other) == ({"x": 1}, {})


def test_a_name_that_looks_like_an_address_is_first_of_all_a_name(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a%20b.jpg", "a b.jpg", " c.jpg", "c.jpg")
    (root / "metadata.csv").write_text("file,x\na%20b.jpg,1\nc.jpg,2\n")
    found = metadata_of(root)
    assert found == {"a%20b.jpg": {"x": 1}, "a b.jpg": {}, "c.jpg": {"x": 2}, " c.jpg": {}}


@pytest.mark.parametrize(("in_table", "on_disk"), [(NFC, NFD), (NFD, NFC), (NFC, NFC.upper()), (NFC.upper(), NFD)])
@pytest.mark.parametrize("place", ["", "local://"])
def test_names_match_in_either_of_unicode_s_forms(tmp_path: Path, in_table: str, on_disk: str, place: str) -> None:
    root = tree(tmp_path / "p", f"sub/{on_disk}")
    (root / "metadata.csv").write_text(f"file,x\nsub/{in_table},1\n")
    (item,) = open_source(f"{place}{root}").items()
    assert item.metadata["x"] == 1
    (tmp_path / "list.csv").write_text(f"file,x\np/sub/{in_table},1\n")
    (item,) = open_source(str(tmp_path / "list.csv")).items()
    assert (item.metadata, item.problem) == ({"x": 1}, None)


def test_a_list_made_on_windows_finds_its_pictures(tmp_path: Path) -> None:
    tree(tmp_path / "p", "Sub/A.JPG")
    (tmp_path / "list.csv").write_text("file,x\np\\sub\\a.jpg,1\nP\\none.jpg,2\n")
    first, second = open_source(str(tmp_path / "list.csv")).items()
    assert (first.metadata, first.uri.rpartition("/p/")[2]) == ({"x": 1}, "Sub/A.JPG")
    assert second.problem is not None
    assert second.problem.reason == "missing"


def test_what_could_be_one_of_two_is_neither(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a/1.jpg", "b/1.jpg", "A.jpg", "a.jpg", "c/2.jpg")
    (root / "metadata.csv").write_text("file,x\n1.jpg,1\na.JPG,2\n2.jpg,3\n")
    found = {item.uri.rpartition("/p/")[2]: item.metadata.get("x") for item in open_source(str(root)).items()}
    assert {name: x for name, x in found.items() if x is not None} == {"c/2.jpg": 3}
    which = "metadata.csv, line 2: '1.jpg'; metadata.csv, line 3: 'a.JPG'"
    assert f"2 metadata rows name no picture in {str(root)!r} ({which})" in notes_of(root)


def test_a_row_that_names_another_file_is_not_given_to_one_of_the_same_name(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "1.jpg", "2.jpg")
    tree(tmp_path, "1.jpg", "q/2.jpg")
    (tmp_path / "metadata.csv").write_text("file,x\n1.jpg,1\nq/2.jpg,2\np/2.jpg,3\n")
    assert metadata_of(root) == {"1.jpg": {}, "2.jpg": {"x": 3}}
    which = "metadata.csv, line 2: '1.jpg'; metadata.csv, line 3: 'q/2.jpg'"
    assert notes_of(root) == [f"2 metadata rows name no picture in {str(root)!r} ({which})"]


def test_an_exact_row_comes_before_one_that_is_alike(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a.jpg")
    (root / "metadata.csv").write_text("file,x\nA.JPG,1\na.jpg,2\n")
    assert metadata_of(root) == {"a.jpg": {"x": 2}}


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("rows", ["other/{}", "{}.bak", "https://example.org/{}"])
def test_rows_that_name_no_picture_are_counted_wherever_the_table_lies(tmp_path: Path, inside: bool, rows: str) -> None:
    root = tree(tmp_path / "p", *NAMES)
    table = (root if inside else tmp_path) / "metadata.csv"
    table.write_text("file,x\n" + "".join(f"{rows.format(name)},1\n" for name in NAMES))
    source = open_source(str(root))
    assert all("x" not in item.metadata for item in source.items())
    assert source.fields == {"label": FieldType.KEYWORD}  # of a table about something else nothing is left
    (note,) = [note for note in source.notes if "metadata row" in note]
    assert note.startswith(f"6 metadata rows name no picture in {str(root)!r}")
    assert str(table) in note
    assert "--no-metadata" in note


def test_a_table_that_lies_elsewhere_may_name_pictures_from_their_folder(tmp_path: Path) -> None:
    root = tree(tmp_path / "set" / "p", "cat/1.jpg", "dog/1.jpg")
    (tmp_path / "tables").mkdir()
    table = tmp_path / "tables" / "labels.csv"
    for prefix in ("", "p/", "p\\"):
        table.write_text(f"file,x\n{prefix}cat/1.jpg,1\n{prefix}dog/1.jpg,2\n")
        found = {item.uri.rpartition("/p/")[2]: item.metadata["x"] for item in open_source(str(root), metadata=table).items()}
        assert found == {"cat/1.jpg": 1, "dog/1.jpg": 2}


@pytest.mark.parametrize("place", ["", "local://"])
@pytest.mark.parametrize("content", ["city,people\nBern,5\n", "", "\n\n", "key: value\n", "sep=;\nauthor;year\nA;5\n"])
def test_a_table_about_something_else_is_named_and_left_alone(tmp_path: Path, content: str, place: str) -> None:
    root = tree(tmp_path / "p", "a.jpg")
    table = root / "metadata.csv" if place else tmp_path / "metadata.csv"
    table.write_text(content)
    source = open_source(f"{place}{root}")
    assert [item.metadata for item in source.items()] == [{}]
    (note,) = [note for note in source.notes if "left alone: '" in note]
    assert "metadata.csv" in note
    assert "--no-metadata looks for no table" in note
    assert "--file-column NAME" in note
    without = open_source(f"{place}{root}", find_metadata=False)
    assert [item.metadata for item in without.items()] == [{}]
    assert not any("metadata.csv" in note for note in without.notes)


@pytest.mark.parametrize("place", ["", "local://"])
def test_another_column_may_name_the_picture(tmp_path: Path, place: str) -> None:
    root = tree(tmp_path / "p", "a.jpg")
    (root / "metadata.csv").write_text("photo,path,x\na.jpg,/elsewhere,1\n")
    (item,) = open_source(f"{place}{root}", file_column="photo").items()
    assert item.metadata == {"path": "/elsewhere", "x": 1}
    (item,) = open_source(f"{place}{root}/metadata.csv", file_column="photo").items()
    assert item.metadata == {"path": "/elsewhere", "x": 1}


@pytest.mark.parametrize("place", ["", "local://"])
def test_tables_lie_in_the_folders_that_they_are_about(tmp_path: Path, place: str) -> None:
    """As data sets of Hugging Face's `imagefolder` have them."""
    root = tree(tmp_path / "p", "train/a.jpg", "train/sub/b.jpg", "test/c.jpg")
    objects = {"bbox": [1, 2], "categories": [0]}
    lines = [{"file_name": "a.jpg", "text": "one", "n": 1}, {"file_name": "sub/b.jpg", "objects": objects}]
    (root / "train" / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    parquet.write_table(pyarrow.table({"file_name": ["c.jpg"], "n": [2.5]}), root / "test" / "metadata.parquet")
    (root / "metadata.csv").write_text("file_name,n,split\ntest/c.jpg,7,x\ntrain/a.jpg,1,y\n")
    source = open_source(f"{place}{root}")
    assert {name: dict(item.metadata) for name, item in by_name(source).items()} == {
        "a.jpg": {"label": "train", "text": "one", "n": 1.0},
        "b.jpg": {"label": "sub", "objects": objects},
        "c.jpg": {"label": "test", "n": 2.5},
    }
    (note,) = [note for note in source.notes if note.startswith("left out")]
    assert "rows that say different things about a picture than an earlier one (2; " in note


def test_the_picture_of_a_data_set_names_its_path(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a.jpg")
    parquet.write_table(pyarrow.table({"image": [{"bytes": None, "path": "a.jpg"}], "n": [1]}), root / "metadata.parquet")
    assert metadata_of(root) == {"a.jpg": {"n": 1}}


def test_coco_s_annotations_are_a_table(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a.jpg", "b.jpg")
    coco = {
        "info": {"year": 2017},
        "images": [{"id": 1, "file_name": "a.jpg", "license": 3}, {"id": 2, "file_name": "b.jpg"}],
        "annotations": [
            *({"image_id": 1, "category_id": n, "bbox": [1, 2, 3, 4], "segmentation": [[1, 2]]} for n in (7, 8, 7)),
            {"image_id": 9, "category_id": 7},
        ],
        "categories": [{"id": 7, "name": "cat"}, {"id": 8, "name": "dog"}],
    }
    (tmp_path / "instances.json").write_text(json.dumps(coco))
    assert metadata_of(root, metadata=tmp_path / "instances.json") == {
        "a.jpg": {"id": 1, "license": 3, "category": ["cat", "dog"]},
        "b.jpg": {"id": 2},
    }


def test_times_and_numbers_of_parquet_become_what_json_has(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", *NAMES[:3])
    columns = {
        "file": NAMES[:3],
        "time": [datetime.time(1, 2), None, datetime.time(23, 59, 59, 5)],
        "score": [float("nan"), 1.5, None],
        "took": [datetime.timedelta(seconds=90), None, None],
        "far": pyarrow.array([568971820800000000, 2**62, None], pyarrow.timestamp("us")),
        "fine": pyarrow.array([1, None, None], pyarrow.timestamp("ns")),
        "map": pyarrow.array([[("k", 1)], None, None], pyarrow.map_(pyarrow.string(), pyarrow.int64())),
        "code": pyarrow.array(["x", "x", "y"]).dictionary_encode(),
        "big": pyarrow.array([2**63, 1, None], pyarrow.uint64()),
        "money": pyarrow.array([None, None, None], pyarrow.decimal128(20, 0)),
    }
    parquet.write_table(pyarrow.table(columns), root / "metadata.parquet")
    first, second, third = metadata_of(root).values()
    assert first.pop("far").startswith("20000-01-01")
    assert first == {
        "time": "01:02:00", "took": 90.0, "fine": "1970-01-01T00:00:00Z", "map": {"k": 1}, "code": "x", "big": str(2**63),
    }  # fmt: skip
    assert second == {"score": 1.5, "code": "x", "big": "1"}
    assert third == {"time": "23:59:59.000005", "code": "y"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_tables_come_in_the_encodings_of_spreadsheets_and_shells(tmp_path: Path, encoding: str, name: str) -> None:
    root = tree(tmp_path / "p", "müde.jpg")
    text = "file;x\r\nmüde.jpg;größe – “1”\r\n" if name.endswith("csv") else '{"file": "müde.jpg", "x": "größe – “1”"}\r\n'
    (root / name).write_bytes(text.encode(encoding))
    assert metadata_of(root) == {"müde.jpg": {"x": "größe – “1”"}}
    told = [note for note in notes_of(root) if "Windows-1252" in note]
    assert bool(told) is (encoding == "cp1252")
    (root / name).write_bytes(codecs.BOM_UTF16_BE + text.encode("utf-16-be"))
    assert metadata_of(root) == {"müde.jpg": {"x": "größe – “1”"}}


@pytest.mark.parametrize(
    "content",
    [
        "sep=;\r\nfile;x\r\na.jpg;1,50\r\n",
        'SEP=;\nfile;x\na.jpg;"1,50"\n',
        '"sep=;"\nfile;x\na.jpg;1,50\n',
        "sep=\t\nfile\tx\na.jpg\t1,50\n",
        "file;x;;;\na.jpg;1,50;;;\n;;;;\n;;;;\n",
        "file;x\na.jpg;1,50;;\n;;;\n",
        "file|x\na.jpg|1,50\n",
        '"file";"x";"a, b, c, d"\n"a.jpg";"1,50";""\n',
        '\ufefffile;"x"\n"a.jpg";"1,50"\n',
        "file;x\r\ra.jpg;1,50\r",
        'file;x;y\na.jpg;1,50;"a; b"\n'.replace(';"a; b"', ';""'),
    ],
)
def test_csv_is_read_in_the_ways_of_excel(tmp_path: Path, content: str) -> None:
    root = tree(tmp_path / "p", "a.jpg")
    (root / "metadata.csv").write_bytes(content.encode())
    assert metadata_of(root) == {"a.jpg": {"x": 1.5}}
    assert notes_of(root) == []


def test_cells_may_be_long_have_lines_and_quotes(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a.jpg", "b.jpg", "c.jpg")
    cells = ["a" * 140_000, 'say "hi"; or\nnot\r\n' * 1000, '5" nail']
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=";").writerows([["file", "x"], *zip(("a.jpg", "b.jpg", "c.jpg"), cells, strict=True)])
    (root / "metadata.csv").write_bytes(buffer.getvalue().encode())
    limit = csv.field_size_limit()
    assert [known["x"] for known in metadata_of(root).values()] == cells
    assert csv.field_size_limit() == limit


def test_a_quote_that_is_not_closed_costs_its_row_only(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", *(f"{number}.jpg" for number in range(100)))
    opened = {number: '"' if number % 3 == 0 else "" for number in range(100)}
    rows = [f"{number}.jpg,{quote}x{number}" for number, quote in opened.items()]
    (root / "metadata.csv").write_text("file,x\n" + "\n".join(rows))
    assert {name: known.get("x") for name, known in metadata_of(root).items()} == {
        f"{number}.jpg": None if number % 3 == 0 else f"x{number}" for number in range(100)
    }
    (note,) = [note for note in notes_of(root) if note.startswith("left out")]
    assert "rows that are no CSV (34; the first: metadata.csv, line 2" in note


def test_something_behind_a_cell_s_last_quote_belongs_to_it(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a.jpg", "b.jpg")
    (root / "metadata.csv").write_text('file,x,y\na.jpg,"5" nail",1\nb.jpg,"ok",2\n')
    assert metadata_of(root) == {"a.jpg": {"x": '5 nail"', "y": 1}, "b.jpg": {"x": "ok", "y": 2}}


def test_a_bad_value_among_declared_ones_costs_itself(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", *NAMES)
    rows = zip(NAMES, ["1,50", "2", "cheap", "N/A", "free", "1.5"], strict=True)
    (root / "metadata.csv").write_text("file;price;day\n" + "".join(f"{name};{price};2024-05-01\n" for name, price in rows))
    declared = {"price": FieldType.FLOAT}
    known = metadata_of(root, declared=declared)
    assert [each.get("price") for each in known.values()] == [None, 2.0, None, None, None, 1.5]
    assert all("day" in each for each in known.values())
    (note,) = [note for note in notes_of(root, declared=declared) if note.startswith("left out")]
    assert "values of metadata field 'price' (3; the first: metadata.csv, line 2: metadata field 'price': '1,50'" in note


def test_rows_without_endings_are_about_pictures_beside_their_own_table(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "train/1.png", "test/1.png", "test/2.JPG", "3.png")
    (root / "train" / "metadata.csv").write_text("image,u\n1,10\n")
    (root / "test" / "metadata.csv").write_text("image,u\n1,20\n./2,30\n")
    known = {item.uri.removeprefix(root.as_uri() + "/"): item.metadata.get("u") for item in open_source(str(root)).items()}
    assert known == {"3.png": None, "test/1.png": 20, "test/2.JPG": 30, "train/1.png": 10}
    assert not any("no picture" in note for note in notes_of(root))


def test_a_line_that_is_no_utf_8_costs_its_letters_only(tmp_path: Path) -> None:
    """The whole table was taken for Windows-1252: `ZÃ¼rich`."""
    root = tree(tmp_path / "p", *NAMES)
    lines = [
        b"file,city",
        *(f"{NAMES[number]},Zürich {number}".encode() for number in range(3)),
        f"{NAMES[3]},Köln".encode("cp1252"),
    ]
    (root / "metadata.csv").write_bytes(b"\n".join(lines))
    found = metadata_of(root)
    assert [found[name]["city"] for name in NAMES[:4]] == ["Zürich 0", "Zürich 1", "Zürich 2", "K\ufffdln"]
    assert notes_of(root) == ["left out: letters that are no UTF-8 (1; the first: metadata.csv, line 5)"]


def test_empty_lines_may_stand_before_the_header(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", *NAMES)
    (root / "metadata.csv").write_text(f"\n \n\t\nfile;x\n{NAMES[0]};1,5\n{NAMES[1]};\n{NAMES[2]};a;b\n")
    assert metadata_of(root)[NAMES[0]] == {"x": 1.5}
    assert "metadata.csv, line 7" in "\n".join(notes_of(root))


def test_names_in_parquet_may_be_bytes(tmp_path: Path) -> None:
    """As Spark and Hive write text."""
    root = tree(tmp_path / "p", NFC, NAMES[0])
    table = pyarrow.table({"file": [NFC.encode(), NAMES[0].encode()], "x": [1, 2]})
    parquet.write_table(table, root / "metadata.parquet")
    assert metadata_of(root) == {NFC: {"x": 1}, NAMES[0]: {"x": 2}}
