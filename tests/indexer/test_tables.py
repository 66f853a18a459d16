"""Tables as people have them: dialects, encodings, odd cells, and what is refused with its line."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pyarrow
import pytest
from pyarrow import parquet
from semblant_indexer.metadata_table import load_metadata
from semblant_indexer.tables import infer_types, read_rows, row_uri
from semblant_indexer.uris import UriBase, UrlBase
from semblant_search import FieldType, canonical_uri
from semblant_search.errors import MetadataError

if TYPE_CHECKING:
    from pathlib import Path

KEYWORD, INTEGER, FLOAT = FieldType.KEYWORD, FieldType.INTEGER, FieldType.FLOAT


def rows_of(path: Path) -> list[tuple[int, str, dict[str, Any]]]:
    return [(row.line, row.file, row.record) for row in read_rows(path)]


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        "file,label,price\na.png,x,1\nb.png,y,2\n",
        "file,label,price\r\na.png,x,1\r\nb.png,y,2\r\n",
        "file,label,price\na.png,x,1\nb.png,y,2",
        "file;label;price\na.png;x;1\nb.png;y;2\n",
        "file\tlabel\tprice\na.png\tx\t1\nb.png\ty\t2\n",
        "\ufefffile,label,price\na.png,x,1\nb.png,y,2\n",
        '"file","label","price"\n"a.png","x","1"\n"b.png","y","2"\n',
        "file , label, price\na.png,x,1\nb.png,y,2\n",
        "label,price,file\nx,1,a.png\ny,2,b.png\n",
    ],
    ids=["comma", "crlf", "no last newline", "semicolon", "tab", "bom", "quoted", "spaces", "file last"],
)
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".CSV"])
def test_csv_is_read_in_every_common_dialect(tmp_path: Path, content: str, suffix: str) -> None:
    rows = rows_of(written(tmp_path / f"t{suffix}", content))
    assert rows == [(2, "a.png", {"label": "x", "price": "1"}), (3, "b.png", {"label": "y", "price": "2"})]


def test_cells_may_hold_separators_quotes_and_lines(tmp_path: Path) -> None:
    buffer = io.StringIO()
    cells = [
        ["file", "text"],
        ["a,b.png", 'say "hi", you'],
        ["c.png", "two\nlines"],
        ["ü 写.png", "; and \t tab"],
        ["d.png", ""],
    ]
    csv.writer(buffer).writerows(cells)
    rows = rows_of(written(tmp_path / "t.csv", buffer.getvalue()))
    assert [[name, record["text"]] for _, name, record in rows] == cells[1:]
    assert [line for line, _, _ in rows] == [2, 4, 5, 6]  # where each row ends


def test_empty_lines_are_no_rows(tmp_path: Path) -> None:
    assert [line for line, _, _ in rows_of(written(tmp_path / "t.csv", "file,x\n\na.png,1\n\n\nb.png,2\n\n"))] == [3, 6]
    assert [line for line, _, _ in rows_of(written(tmp_path / "t.jsonl", '\n{"file": "a"}\n  \n{"file": "b"}\n\n'))] == [2, 4]
    assert rows_of(written(tmp_path / "u.csv", "file,x\n")) == []
    assert rows_of(written(tmp_path / "u.jsonl", "")) == []


@pytest.mark.parametrize(
    "name", ["file", "path", "filename", "uri", "url", "file_name", "image", "File", "FILE_NAME", "Path", "SourceFile"]
)
def test_the_picture_s_column_has_one_of_some_names_in_any_case(tmp_path: Path, name: str) -> None:
    assert rows_of(written(tmp_path / "t.csv", f"x,{name}\n1,a.png\n")) == [(2, "a.png", {"x": "1"})]
    line = json.dumps({"x": 1, name: "a.png"})
    assert rows_of(written(tmp_path / "t.ndjson", line)) == [(1, "a.png", {"x": 1})]
    parquet.write_table(pyarrow.table({"x": [1], name: ["a.png"]}), tmp_path / "t.parquet")
    assert rows_of(tmp_path / "t.parquet") == [(1, "a.png", {"x": 1})]


def test_of_two_such_columns_the_first_name_counts(tmp_path: Path) -> None:
    header = "url,uri,filename,path,file"
    assert rows_of(written(tmp_path / "t.csv", f"{header}\n5,4,3,2,1\n")) == [
        (2, "1", {"url": "5", "uri": "4", "filename": "3", "path": "2"})
    ]
    assert rows_of(written(tmp_path / "t.jsonl", '{"url": "5", "path": "2"}')) == [(1, "2", {"url": "5"})]


def test_json_lines_may_have_other_keys_each(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"file": "a.png", "price": 1, "tags": ["x"]},
        {"file": "b.png", "camera": {"iso": 100}},
        {"file": "c.png", "price": 2.5, "t": None},
    ]
    path = written(tmp_path / "t.jsonl", "\ufeff" + "\r\n".join(map(json.dumps, lines)))
    assert [record for _, _, record in rows_of(path)] == [{k: v for k, v in line.items() if k != "file"} for line in lines]
    table = load_metadata(path)
    assert table.fields == {"price": FLOAT, "tags": KEYWORD, "camera.iso": INTEGER}
    first, second, third = (table.payload(canonical_uri(tmp_path / name)) for name in ("a.png", "b.png", "c.png"))
    assert (first, second, third) == ({"price": 1.0, "tags": ["x"]}, {"camera": {"iso": 100}}, {"price": 2.5})


def test_parquet_columns_become_what_json_has(tmp_path: Path) -> None:
    noon = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
    columns = {
        "file": ["a.png", "b.png"],
        "whole": [2**53 + 1, None],
        "small": pyarrow.array([1.5, 2.5], pyarrow.float32()),
        "day": [datetime.date(2024, 5, 1), None],
        "time": pyarrow.array([noon, noon], pyarrow.timestamp("us", tz="+02:00")),
        "money": [decimal.Decimal("1.50"), decimal.Decimal("2")],
        "raw": [b"ab\xc3\xa9", b"\xff\xd8\xff"],
        "list": [[datetime.date(2024, 5, 1)], []],
        "inner": [{"when": datetime.date(2024, 5, 2)}, None],
        "place": [{"lat": 1.0, "lon": 2.0}, {"lat": 3.0, "lon": 4.0}],
        "yes": [True, None],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    table = load_metadata(tmp_path / "t.parquet")
    assert table.payload(canonical_uri(tmp_path / "a.png")) == {
        "whole": 2**53 + 1,
        "small": 1.5,
        "day": "2024-05-01T00:00:00Z",
        "time": "2024-05-01T10:00:00Z",
        "money": 1.5,
        "raw": "abé",
        "list": ["2024-05-01T00:00:00Z"],
        "inner": {"when": "2024-05-02T00:00:00Z"},
        "place": {"lat": 1.0, "lon": 2.0},
        "yes": True,
    }
    assert {name: kind.value for name, kind in table.fields.items() if name in ("day", "time", "place", "inner.when")} == {
        "day": "datetime",
        "time": "datetime",
        "place": "geo",
        "inner.when": "datetime",
    }


def test_a_parquet_of_many_batches_is_read_to_its_end(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(9000)]
    parquet.write_table(pyarrow.table({"file": names, "n": range(9000)}), tmp_path / "t.parquet")
    rows = rows_of(tmp_path / "t.parquet")
    assert [(line, name, record["n"]) for line, name, record in rows] == [(n + 1, f"{n}.png", n) for n in range(9000)]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", "name,x\na.png,1\n", "line 1: no column names the picture; expected one of file, path, filename, file_name"),
        ("t.csv", "name,x\na.png,1\n", "(or say which: --file-column NAME), found 'name', 'x'"),
        ("t.csv", "", "found nothing"),
        ("t.jsonl", '{"name": "a.png"}', "line 1: no column names the picture"),
        ("t.json", '{"name": "a.png"}', "expected a list of objects that name pictures"),
        ("t.json", "{", "not JSON"),
        ("t.parquet", b"PAR1", "cannot be read as Parquet"),
        ("t.txt", "file\na.png\n", "expected a .csv, .tsv, .jsonl, .json or .parquet file"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tmp_path: Path, name: str, content: str | bytes, words: str) -> None:
    path = written(tmp_path / name, content)
    with pytest.raises(MetadataError) as caught:
        load_metadata(path)
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


GOOD_CSV, GOOD_JSON = "file,x\na.png,1\n", '{"file": "a.png", "x": 1}\n'


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", "file,x,_x\na.png,1,9\n", "columns whose names cannot be a field's (1; the first: t.csv: metadata column"),
        ("t.csv", "file,x,a[0]\na.png,1,9\n", "kept under other names: columns (1; the first: t.csv: 'a[0]' as 'a_0'"),
        ("t.csv", "file,x,\na.png,1,9\n", "columns without a name (1; the first: t.csv: column 3, with '9' in line 2"),
        ("t.csv", "file,x,x\na.png,1,9\n", "columns that have the name of another one (1; the first: t.csv: 'x' (column 3)"),
        ("t.csv", f"{GOOD_CSV}b.png,1,2\nc.png,1,5,\n", "header has columns (2; the first: t.csv, line 3: 3 cells, 2 columns"),
        ("t.csv", f"{GOOD_CSV},2\n , \n", "picture's name (1; the first: t.csv, line 3: column 'file' is empty"),
        ("t.csv", f'{GOOD_CSV}b.png,"1\n', "rows that are no CSV (1; the first: t.csv, line 3: a quote that is not closed"),
        ("t.csv", 'file,x\nb.png,"1\na.png,1\nc.png,2\n', "rows that are no CSV (1; the first: t.csv, line 2"),
        ("t.csv", b"file,x,y\na.png,1,\xfcber\n", "t.csv is no UTF-8, and read as Windows-1252"),
        ("t.jsonl", GOOD_JSON + '{"file": ', "rows that are no JSON (1; the first: t.jsonl, line 2"),
        ("t.jsonl", GOOD_JSON + "[1]\n", "line 2: expected one object, found [1]"),
        ("t.jsonl", GOOD_JSON + '{"x": 3}\n', "picture's name (1; the first: t.jsonl, line 2: no column names"),
        ("t.jsonl", GOOD_JSON + '{"file": 3}\n', "line 2: 'file' must name a picture, found '3'"),
        ("t.jsonl", GOOD_JSON + '{"file": ""}\n', "'file' must name a picture, found ''"),
        ("t.jsonl", GOOD_JSON + '{"file": null, "path": "b.png"}\n', "must name a picture, found 'None'"),
        ("t.jsonl", '{"file": "a.png", "x": 1, "_x": 1}', "t.jsonl, line 1: metadata column '_x'"),
        ("t.jsonl", '{"file": "a.png", "x": 1, "d": {"a]": 1}}', "kept under other names: metadata fields (1; the first: t.j"),
        ("t.jsonl", '{"file": "a.png", "x": 1, "who": [{"name": "A"}, {"age": 3}]}', "of which only the names are kept (1; "),
        ("t.jsonl", '{"file": "a.png", "x": 1, "box": [[1, 2], [3, 4]]}', "lists within lists in metadata field 'box' (1; "),
        ("t.jsonl", "[" * 100_000 + "\n" + GOOD_JSON, "no JSON (1; the first: t.jsonl, line 1: nested too deeply"),
        ("t.json", f"[{GOOD_JSON}, 5]", "expected one object, found 5"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_costs_itself_and_is_named_with_file_and_line(
    tmp_path: Path, name: str, content: str | bytes, words: str
) -> None:
    table = load_metadata(written(tmp_path / name, content))
    assert table.payload(canonical_uri(tmp_path / "a.png"))["x"] == 1
    assert any(note.startswith(("left out: ", "kept under")) and words in note for note in table.notes), table.notes


def test_parquet_tables_lose_what_cannot_be_kept_and_are_refused_without_names(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"name": ["a"]}), tmp_path / "t.parquet")
    with pytest.raises(MetadataError, match="no column names the picture"):
        load_metadata(tmp_path / "t.parquet")
    for columns, words in (
        ({"file": ["a.png"], "x": [1], "_x": [1]}, "underscore"),
        ({"file": ["a.png", None], "x": [1, 2]}, "t.parquet, row 2: 'file' must name a picture, found 'None'"),
        ({"file": ["a.png"], "x": [1], "o": [[{"k": 1}]]}, "a list of objects without names"),
    ):
        parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
        table = load_metadata(tmp_path / "t.parquet")
        assert table.payload(canonical_uri(tmp_path / "a.png")) == {"x": 1}
        assert any(words in note for note in table.notes), table.notes
    parquet.write_table(pyarrow.table({"file": [1], "x": [1]}), tmp_path / "t.parquet")
    assert len(load_metadata(tmp_path / "t.parquet")) == 0


def test_a_missing_cell_is_an_empty_one(tmp_path: Path) -> None:
    table = load_metadata(written(tmp_path / "t.csv", "file,x,y\na.png,1\nb.png\nc.png,3,4\n"))
    assert [table.payload(uri) for uri in table] == [{"x": 1}, {}, {"x": 3, "y": 4}]


def test_a_table_that_is_not_there_says_so(tmp_path: Path) -> None:
    for name in ("t.csv", "t.jsonl", "t.parquet"):
        with pytest.raises(MetadataError, match=name):
            load_metadata(tmp_path / name)


def test_names_in_a_table_are_relative_to_it(tmp_path: Path) -> None:
    names = ["a.png", "sub/b c.png", "../up.png", "/abs/z.png", "https://example.org/a.png?x=1", "file:///x/ü.png"]
    path = written(tmp_path / "t.csv", "file,n\n" + "".join(f"{name},{n}\n" for n, name in enumerate(names)))
    root = canonical_uri(tmp_path)
    parent = canonical_uri(tmp_path.parent)
    expected = [
        f"{root}/a.png",
        f"{root}/sub/b%20c.png",
        f"{parent}/up.png",
        "file:///abs/z.png",
        "https://example.org/a.png?x=1",
        "file:///x/%C3%BC.png",
    ]
    table = load_metadata(path)
    assert list(table) == expected
    assert len(table) == 6
    assert [table.payload(uri) for uri in expected] == [{"n": number} for number in range(6)]
    assert table.payload(f"{root}/none.png") == {}
    assert table.record(f"{root}/none.png") is None
    assert table.record(expected[2]) == {"n": "2"}
    elsewhere = load_metadata(path, base=UriBase(tmp_path / "other"))
    assert next(iter(elsewhere)) == f"{root}/other/a.png"
    url = UrlBase("s3://bucket/set/")
    assert [row_uri(name, url) for name in ("a.png", "/a.png", "./x/b.png", "https://h/c.png")] == [
        "s3://bucket/set/a.png",
        "s3://bucket/set/a.png",
        "s3://bucket/set/x/b.png",
        "https://h/c.png",
    ]


def test_rows_that_repeat_are_noted_and_of_rows_that_disagree_the_first_counts(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "file,x\na.png,1\na.png,1\n")
    assert load_metadata(path).notes == ["1 row of t.csv repeated another one"]
    path = written(tmp_path / "t.csv", "file,x\na.png,1\nb.png,1\n./a.png,1\na.png,1\n")
    assert load_metadata(path).notes == ["2 rows of t.csv repeated another one"]
    assert len(load_metadata(path)) == 2
    for name, content in (
        ("t.csv", "file,x\na.png,1\nb.png,1\na.png,2\n"),
        ("t.jsonl", '{"file":"a.png","x":1}\n\n\n{"file":"a.png","x":2}'),
    ):
        lines = "2 and 4" if name == "t.csv" else "1 and 4"
        table = load_metadata(written(tmp_path / name, content))
        assert table.payload(canonical_uri(tmp_path / "a.png")) == {"x": 1}
        (note,) = table.notes
        assert note.startswith("left out: rows that say different things about a picture than an earlier one (1; ")
        assert f"lines {lines} about 'a.png'" in note


def test_declared_columns_are_not_inferred(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "file,code,price\na.png,1,2\nb.png,x,3\n")
    declared = {"code": KEYWORD, "price": FLOAT}
    table = load_metadata(path, declared)
    assert (table.fields, table.notes) == (declared, [])
    assert table.payload(canonical_uri(tmp_path / "a.png")) == {"code": "1", "price": 2.0}
    assert infer_types(path, declared).fields == declared
    assert infer_types(path, {}).fields == {"code": KEYWORD, "price": INTEGER}
    assert any("mixes types: '1' (line 2) and 'x' (line 3)" in note for note in load_metadata(path).notes)
    strict = load_metadata(path, {"code": INTEGER})
    assert strict.payload(canonical_uri(tmp_path / "a.png")) == {"code": 1, "price": 2}
    assert strict.notes == []
    for _ in range(2):
        strict.begin()
        assert strict.payload(canonical_uri(tmp_path / "b.png")) == {"price": 3}
        (note,) = strict.notes
        assert "left out: values of metadata field 'code' (1; the first: t.csv, line 3" in note
        assert "'x' is not a value of type integer" in note


def test_equal_values_of_other_types_stay_apart(tmp_path: Path) -> None:
    lines = '{"file": "a.png", "v": 1, "w": "1"}\n{"file": "b.png", "v": 1.0, "w": "1"}\n{"file": "c.png", "v": 2, "w": "1"}\n'
    table = load_metadata(written(tmp_path / "t.jsonl", lines))
    assert [table.payload(uri) for uri in table] == [{"v": 1.0, "w": "1"}, {"v": 1.0, "w": "1"}, {"v": 2.0, "w": "1"}]
    truth = load_metadata(written(tmp_path / "u.jsonl", '{"file": "a.png", "v": [true]}\n{"file": "b.png", "v": [false]}\n'))
    assert [table["v"] for table in map(truth.payload, truth)] == [[True], [False]]


def test_thousands_of_different_rows_keep_their_values(tmp_path: Path) -> None:
    """More than are remembered to be alike."""
    path = written(tmp_path / "t.csv", "file,n,label\n" + "".join(f"{n}.png,{n},{n % 3}\n" for n in range(3000)))
    table = load_metadata(path)
    assert table.fields == {"n": INTEGER, "label": INTEGER}
    assert [table.payload(uri) for uri in table] == [{"n": n, "label": n % 3} for n in range(3000)]
    mixed = written(tmp_path / "m.csv", "file,n\n" + "".join(f"{n}.png,{n}\n" for n in range(3000)) + "last.png,x\n")
    assert load_metadata(mixed).fields == {"n": KEYWORD}


def test_rows_do_not_wait_in_memory(tmp_path: Path) -> None:
    """Some 400 bytes a row did."""
    count = 20_000
    path = written(tmp_path / "t.csv", "file,n,label\n" + "".join(f"{n}.png,{n % 90},{n % 7}\n" for n in range(count)))
    load_metadata(path)  # what is remembered of values is, once for all
    tracemalloc.start()
    try:
        table = load_metadata(path)
        assert tracemalloc.get_traced_memory()[1] < 75 * count
    finally:
        tracemalloc.stop()
    assert table.payload(canonical_uri(tmp_path / "19999.png")) == {"n": 19999 % 90, "label": 19999 % 7}
