"""Tables within archives, and beside them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from semblant_indexer.sources import open_source
from semblant_search import FieldType
from semblant_search.errors import InvalidInput, MetadataError

if TYPE_CHECKING:
    from pathlib import Path

Members = dict[str, "bytes | str"]


def packed(path: Path, members: Members) -> Path:
    path.parent.mkdir(exist_ok=True)
    contents = {name: content.encode() if isinstance(content, str) else content for name, content in members.items()}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, "w") as tar:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def known(place: Path | str, **options: Any) -> dict[str, dict[str, Any]]:
    items = list(open_source(str(place), **options).items())
    return {unquote(item.uri.rpartition("#")[2]): dict(item.metadata) for item in items}


def notes(place: Path | str, **options: Any) -> list[str]:
    source = open_source(str(place), **options)
    list(source.items())
    return list(source.notes)


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metadata.csv", "file_name;price\na.jpg;1,50\nsub/b.jpg;2\n"),
        ("metadata.jsonl", '{"file_name": "a.jpg", "price": 1.5}\n{"file_name": "sub/b.jpg", "price": 2}\n'),
    ],
)
def test_a_table_in_an_archive_is_about_its_pictures(tmp_path: Path, kind: str, name: str, text: str) -> None:
    """huggingface/datasets#5761: `metadata.jsonl` at the archive's root; the table is no file that is left alone."""
    place = packed(tmp_path / f"p.{kind}", {name: text, "a.jpg": b"x", "sub/b.jpg": b"y", "c.jpg": b"z"})
    assert known(place) == {"a.jpg": {"price": 1.5}, "sub/b.jpg": {"price": 2.0}, "c.jpg": {}}
    assert notes(place) == []
    assert open_source(str(place)).fields == {"price": FieldType.FLOAT}
    assert known(place, find_metadata=False) == {"a.jpg": {}, "sub/b.jpg": {}, "c.jpg": {}}


def test_a_table_in_a_folder_of_an_archive_is_about_that_folder_and_has_the_last_word(tmp_path: Path) -> None:
    place = packed(tmp_path / "p.zip", {
        "train/metadata.csv": "file,x\na.jpg,1\n",
        "metadata.csv": "file,x,y\ntrain/a.jpg,9,8\ntest/a.jpg,2,3\n",
        "train/a.jpg": b"x", "test/a.jpg": b"y",
    })  # fmt: skip
    assert known(place) == {"train/a.jpg": {"x": 1}, "test/a.jpg": {"x": 2, "y": 3}}


def test_facts_of_a_sample_outdo_the_table(tmp_path: Path) -> None:
    place = packed(tmp_path / "p.tar", {"metadata.csv": "file,n,m\na.jpg,1,5\n", "a.jpg": b"x", "a.json": '{"n": 2}'})
    assert known(place) == {"a.jpg": {"n": 2, "m": 5}}


def test_rows_of_an_archive_find_pictures_that_are_written_otherwise(tmp_path: Path) -> None:
    table = "file,x\nsub\\A.JPG,1\nüb.jpg,2\n./c.jpg,3\nd,4\n"
    place = packed(
        tmp_path / "p.zip", {"sub/a.jpg": b"", "u\u0308b.jpg": b"", "c.jpg": b"", "s/d.jpg": b"", "metadata.csv": table}
    )
    assert [record.get("x") for record in known(place).values()] == [1, 2, 3, 4]


def test_rows_that_name_no_member_are_counted_and_a_table_of_something_else_is_left_alone(tmp_path: Path) -> None:
    pictures: Members = {"a.jpg": b"x", "b.jpg": b"y"}
    one = packed(tmp_path / "one.zip", {**pictures, "metadata.csv": "file,x\na.jpg,1\ngone.jpg,2\n"})
    assert notes(one) == [f"1 metadata row names no picture in {str(one)!r} (metadata.csv, line 3: 'gone.jpg')"]
    other = packed(tmp_path / "other.zip", {**pictures, "metadata.csv": "file,x\nq.jpg,1\n"})
    assert known(other) == {"a.jpg": {}, "b.jpg": {}}
    assert "it is left alone" in notes(other)[0]
    nameless = packed(tmp_path / "nameless.zip", {**pictures, "metadata.csv": "x,y\n1,2\n"})
    (note,) = notes(nameless)
    assert note.startswith(f"left alone: '{nameless}#metadata.csv', line 1: no column names the picture")
    assert open_source(str(other)).fields == {}


def test_tables_of_several_archives_agree_on_types(tmp_path: Path) -> None:
    packed(tmp_path / "0.zip", {"a.jpg": b"x", "metadata.csv": "file,x,y\na.jpg,1,N/A\n"})
    packed(tmp_path / "1.zip", {"a.jpg": b"y", "metadata.csv": "file,x,y\na.jpg,2.5,3\n"})
    source = open_source(str(tmp_path / "*.zip"))
    assert source.fields == {"x": FieldType.FLOAT, "y": FieldType.INTEGER}
    assert [dict(item.metadata) for item in source.items()] == [{"x": 1.0}, {"x": 2.5, "y": 3}]
    assert any("'N/A' (0.zip#metadata.csv, line 2)" in note for note in source.notes)


def test_a_table_beside_an_archive_is_about_what_is_not_beside_it(tmp_path: Path) -> None:
    """huggingface/datasets#7337: `images.zip` and `metadata.jsonl` in one folder."""
    place = packed(tmp_path / "images.zip", {"a.jpg": b"x", "b.jpg": b"y"})
    rows = [{"file_name": name, "n": n} for n, name in enumerate(["a.jpg", "b.jpg"])]
    (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert known(place) == {"a.jpg": {"n": 0}, "b.jpg": {"n": 1}}
    (tmp_path / "a.jpg").write_bytes(b"another")
    assert known(place) == {"a.jpg": {}, "b.jpg": {"n": 1}}


def test_a_table_is_given_to_one_archive(tmp_path: Path) -> None:
    place = packed(tmp_path / "p.zip", {"a.jpg": b"x", "metadata.csv": "file,x\na.jpg,1\n"})
    table = tmp_path / "rows.csv"
    table.write_text("photo,x\na.jpg,7\n")
    assert known(place, metadata=table, file_column="photo") == {"a.jpg": {"x": 7}}
    with pytest.raises(MetadataError, match="no column names the picture"):
        open_source(str(place), metadata=table)
    with pytest.raises(InvalidInput, match="no such file"):
        open_source(str(place), metadata=tmp_path / "gone.csv")
    packed(tmp_path / "q.zip", {"a.jpg": b"x"})
    with pytest.raises(InvalidInput, match="several archives"):
        open_source(str(tmp_path / "*.zip"), metadata=table)


def test_types_of_a_collection_reach_the_tables_of_an_archive(tmp_path: Path) -> None:
    place = packed(tmp_path / "p.zip", {"a.jpg": b"x", "metadata.csv": "file,x\na.jpg,1\n"})
    source = open_source(str(place))
    source.adopt_types({"x": FieldType.KEYWORD})
    assert [dict(item.metadata) for item in source.items()] == [{"x": "1"}]


def test_a_table_that_is_damaged_or_locked_is_named(tmp_path: Path) -> None:
    place = packed(tmp_path / "p.zip", {"a.jpg": b"x", "metadata.csv": "file,x\na.jpg,1\n"})
    content = bytearray(place.read_bytes())
    at = content.index(b"file,x\n")
    content[at : at + 4] = b"____"
    place.write_bytes(content)
    assert known(place) == {"a.jpg": {}}
    (note,) = notes(place)
    assert note.startswith(f"left out: members that cannot be used (1; the first: '{place}', 'metadata.csv': Bad CRC-32")


def test_a_full_disk_is_told_as_that(tmp_path: Path) -> None:
    place = packed(tmp_path / "p.zip", {"a.jpg": b"x", "metadata.csv": "file,x\na.jpg,1\n" + "q.jpg,2\n" * 9000})
    code = (
        "import resource, sys\n"
        "from semblant_indexer.sources import open_source\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "open_source(sys.argv[1])\n"
    )
    result = subprocess.run([sys.executable, "-c", code, str(place)], capture_output=True, text=True, check=False)
    last = result.stderr.strip().splitlines()[-1]
    assert "StoreError: 'metadata.csv' cannot be unpacked into a temporary file: File too large; make room" in last
