"""Found metadata tables that cannot be read, lie beside a better one or are about something else: they are named."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pyarrow
import pytest
from pyarrow import parquet
from semblant_indexer.sources import open_source
from semblant_search.errors import MetadataError
from support.trees import tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport

PLACES = ["folder", "zip", "tar", "remote"]
GOOD = b"file,x\na.jpg,1\n"


def parquet_bytes(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), buffer)
    return buffer.getvalue()


def placed(kind: str, folder: Path, files: dict[str, bytes]) -> str:
    """The address of a source that holds these files."""
    if kind in ("zip", "tar"):
        folder.mkdir(exist_ok=True)
        path = folder / f"p.{kind}"
        if kind == "zip":
            with zipfile.ZipFile(path, "w") as archive:
                for name, content in files.items():
                    archive.writestr(name, content)
        else:
            with tarfile.open(path, "w") as tar:
                for name, content in files.items():
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
        return str(path)
    for name, content in files.items():
        (folder / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "p" / name).write_bytes(content)
    return f"{'local://' if kind == 'remote' else ''}{folder / 'p'}"


def read(place: str, **options: Any) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """What is known of each picture but its folder, and the notes."""
    source = open_source(place, **options)
    items = list(source.items())
    known = {item.uri.rpartition("/")[2].rpartition("#")[2]: dict(item.metadata) for item in items}
    return {name: {f: v for f, v in said.items() if f != "label"} for name, said in known.items()}, list(source.notes)


BROKEN = {
    "metadata.parquet": (b"PAR1 garbage", parquet_bytes(file=["b.jpg"], x=[5])[:-9], b"", b"\0" * 64),
    "metadata.csv": (b"\x89PNG\r\n\x1a\n\0\0\0", b"", b"\0" * 300, b'"' * 9),
    "metadata.jsonl": (b"\x89PNG\r\n\x1a\n\0\0\0", b"\0" * 300, b"{" * 9, b"[]"),
}


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize(
    ("name", "content"),
    [pytest.param(name, each, id=f"{name}-{n}") for name, contents in BROKEN.items() for n, each in enumerate(contents)],
)
@pytest.mark.parametrize("below", ["sub/", ""])
def test_a_broken_table_is_named_and_the_run_goes_on(tmp_path: Path, kind: str, name: str, content: bytes, below: str) -> None:
    files = {f"{below}a.jpg": b"a", f"{below}{name}": content, f"other/{'metadata.csv'}": GOOD, "other/a.jpg": b"b"}
    place = placed(kind, tmp_path, {**files, "other/metadata.csv": b"file,x\nb.jpg,1\n", "other/b.jpg": b"c"})
    known, notes = read(place)
    assert known["b.jpg"] == {"x": 1}
    assert known["a.jpg"] == {}
    assert any(name in note and "left" in note for note in notes), notes


@pytest.mark.parametrize("kind", PLACES)
def test_values_of_a_parquet_file_that_are_no_text_cost_themselves(tmp_path: Path, kind: str) -> None:
    bad = pyarrow.Array.from_buffers(
        pyarrow.string(), 2, [None, pyarrow.py_buffer(b"\0\0\0\0\2\0\0\0\4\0\0\0"), pyarrow.py_buffer(b"\xff\xfeok")]
    )
    content = parquet_bytes(file=["a.jpg", "b.jpg"], x=bad, n=[1, 2])
    known, notes = read(placed(kind, tmp_path, {"metadata.parquet": content, "a.jpg": b"a", "b.jpg": b"b"}))
    assert known == {"a.jpg": {"n": 1}, "b.jpg": {"x": "ok", "n": 2}}
    assert any("values of metadata field 'x' that are no text (1" in note for note in notes), notes


@pytest.mark.parametrize("kind", PLACES)
def test_what_was_read_of_a_table_that_breaks_off_counts(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number}.jpg" for number in range(20_000)]
    content = bytearray(parquet_bytes(file=names, x=list(range(20_000))))
    middle = len(content) * 2 // 3
    content[middle : middle + 2000] = b"\xff" * 2000
    _, notes = read(placed(kind, tmp_path, {"metadata.parquet": bytes(content), "1.jpg": b"a"}))
    assert any("metadata.parquet" in note and "cannot be read as Parquet" in note for note in notes), notes


def test_a_table_that_is_no_file_is_named(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a.jpg", "b/b.jpg", "c/c.jpg", "d/d.jpg")
    (root / "metadata.csv").symlink_to("x" * 300)
    os.mkfifo(root / "b" / "metadata.csv")
    tree(root / "c" / "metadata.parquet", "part-0.parquet")
    (root / "d" / "metadata.jsonl").symlink_to("metadata.jsonl")
    known, notes = read(str(root))
    assert known == {"a.jpg": {}, "b.jpg": {}, "c.jpg": {}, "d.jpg": {}}
    for path, why in (
        (root / "metadata.csv", "File name too long"),
        (root / "b" / "metadata.csv", "is not a regular file"),
        (root / "c" / "metadata.parquet", "is a folder"),
        (root / "d" / "metadata.jsonl", "Too many levels of symbolic links"),
    ):
        assert any(repr(str(path)) in note and why in note and "left alone" in note for note in notes), (path, notes)


def test_a_broken_table_that_was_named_stops_the_run(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a.jpg")
    table = tmp_path / "table.parquet"
    table.write_bytes(b"PAR1 garbage")
    with pytest.raises(MetadataError, match="cannot be read as Parquet"):
        open_source(str(root), metadata=table)
    with pytest.raises(MetadataError, match="cannot be read as Parquet"):
        open_source(placed("zip", tmp_path, {"a.jpg": b"a"}), metadata=table)


def test_a_job_goes_on_past_a_broken_table(pictures: Path, index: Callable[..., IndexReport]) -> None:
    (pictures / "bag" / "metadata.parquet").write_bytes(b"PAR1 garbage")
    report = index(pictures)
    assert (report.indexed, report.failed) == (30, 0)
    assert any("bag/metadata.parquet" in note and "cannot be read as Parquet" in note for note in report.notes)


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("name", ["metadata.tsv", "Metadata.CSV", "METADATA.TSV", "metadata.ndjson", "Metadata.Jsonl"])
def test_tables_have_other_names(tmp_path: Path, kind: str, name: str) -> None:
    text = b'{"file": "a.jpg", "x": 1}\n' if name.lower().endswith("json") or "son" in name else GOOD
    text = text.replace(b",", b"\t") if name.lower().endswith("tsv") else text
    known, notes = read(placed(kind, tmp_path, {name: text, "a.jpg": b"a"}))
    assert (known, notes) == ({"a.jpg": {"x": 1}}, [])


@pytest.mark.parametrize("name", ["metadata.tsv", "Metadata.CSV"])
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_tables_of_other_names_lie_beside_what_they_are_about(tmp_path: Path, kind: str, name: str) -> None:
    place = placed(kind, tmp_path, {"a.jpg": b"a"})
    (tmp_path / name).write_bytes(b"file\tx\na.jpg\t1\n" if name.endswith("tsv") else GOOD)
    assert read(place) == ({"a.jpg": {"x": 1}}, [])


@pytest.mark.parametrize("kind", PLACES)
def test_a_second_table_of_a_folder_is_named_with_what_to_do(tmp_path: Path, kind: str) -> None:
    files = {"metadata.csv": GOOD, "metadata.jsonl": b'{"file": "a.jpg", "y": 2}\n', "a.jpg": b"a"}
    known, notes = read(placed(kind, tmp_path, files))
    assert known == {"a.jpg": {"x": 1}}
    (note,) = [note for note in notes if note.startswith("left alone")]
    assert "metadata.jsonl" in note
    assert "metadata.csv" in note
    assert "one table" in note


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("first", [b"PAR1 garbage", b"city,people\nBern,5\n"], ids=["parquet", "csv"])
def test_the_next_table_counts_where_the_first_is_none(tmp_path: Path, kind: str, first: bytes) -> None:
    name = "metadata.csv" if b"city" in first else "metadata.parquet"
    other = "metadata.jsonl" if b"city" in first else "Metadata.Parquet"
    second = b'{"file": "a.jpg", "x": 1}\n' if b"city" in first else parquet_bytes(file=["a.jpg"], x=[1])
    known, notes = read(placed(kind, tmp_path, {name: first, other: second, "a.jpg": b"a"}))
    assert known == {"a.jpg": {"x": 1}}
    assert [name in note for note in notes if note.startswith("left alone: ")] == [True]


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("name", ["metadata.xlsx", "metadata.json", "Metadata.ods", "metadata.xls", "metadata.csv.gz"])
def test_tables_that_are_not_looked_into_are_named_with_what_to_do(tmp_path: Path, kind: str, name: str) -> None:
    known, notes = read(placed(kind, tmp_path, {name: b"{}", "a.jpg": b"a"}))
    assert known == {"a.jpg": {}}
    assert any(name in note and "left alone" in note and "metadata.csv" in note for note in notes), notes
    assert not any(
        "xlsx" in note for note in read(placed(kind, tmp_path, {name: b"{}", "a.jpg": b"a"}), find_metadata=False)[1]
    )


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_a_sidecar_is_no_table(tmp_path: Path, kind: str) -> None:
    files = {"metadata.json": b'{"x": 1}', "metadata.jpg": b"a"}
    known, notes = read(placed(kind, tmp_path, files))
    assert known == {"metadata.jpg": {"x": 1}}
    assert not any("left alone" in note for note in notes)


@pytest.mark.parametrize("kind", PLACES)
def test_the_table_that_is_about_something_else_is_the_one_that_is_named(tmp_path: Path, kind: str) -> None:
    files = {
        "a/metadata.csv": b"file,x\n1.jpg,1\n2.jpg,2\n",
        "b/metadata.csv": b"file,other\nq.jpg,1\nr.jpg,2\n",
        "a/1.jpg": b"1", "a/2.jpg": b"2", "b/3.jpg": b"3",
    }  # fmt: skip
    source = open_source(placed(kind, tmp_path, files))
    assert [dict(item.metadata) for item in source.items()][:2] == [
        {**({"label": "a"} if kind in ("folder", "remote") else {}), "x": number} for number in (1, 2)
    ]
    (note,) = [note for note in source.notes if "no picture in" in note]
    assert "b/metadata.csv, line 2" in note
    before, _, after = note.partition("no row of ")
    assert before.startswith("2 metadata rows name no picture")
    assert "b/metadata.csv" in after
    assert "a/metadata.csv" not in after
    assert "it is left alone" in after
    assert "other" not in source.fields


def test_all_tables_about_something_else_are_named(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a/1.jpg", "b/3.jpg")
    for folder in ("a", "b"):
        (root / folder / "metadata.csv").write_text("file,x\nq.jpg,1\n")
    (note,) = [note for note in read(str(root))[1] if "no picture in" in note]
    assert repr(str(root / "a" / "metadata.csv")) in note
    assert repr(str(root / "b" / "metadata.csv")) in note
    assert "they are left alone" in note


def test_notes_on_rows_name_the_tables_that_they_are_in(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a/1.jpg", "a/2.jpg")
    (root / "a" / "metadata.csv").write_text("file,x\n1.jpg,1\n1.jpg,1\n")
    (root / "metadata.csv").write_text("file,x\na/2.jpg,y\na/1.jpg,7\n")
    notes = read(str(root))[1]
    (repeated,) = [note for note in notes if "repeated" in note]
    assert repeated == f"1 row of {root / 'a' / 'metadata.csv'} repeated another one"
    (different,) = [note for note in notes if "say different things" in note]
    assert f"{str(root / 'metadata.csv')!r}, line 3, and {str(root / 'a' / 'metadata.csv')!r}, line 2" in different
    (mixed,) = [note for note in notes if "mixes types" in note]
    assert f"'y' ({root / 'metadata.csv'}, line 2)" in mixed
