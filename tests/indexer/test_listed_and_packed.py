"""Pictures named by a table and pictures in tar files, as items: what is known, what is missing, what is damaged."""

from __future__ import annotations

import io
import json
import os
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from semblant_indexer.reading import name_of, read_content, tar_member
from semblant_indexer.sources import ListSource, Problem, WebDatasetSource, open_source
from semblant_search import FieldType, ImageError, canonical_uri
from semblant_search.errors import InvalidInput, MetadataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer.sources import Item, Source


def problem_of(item: Item) -> tuple[str, str] | None:
    return (item.problem.outcome, item.problem.reason) if item.problem is not None else None


def test_a_list_gives_one_item_a_row_in_its_order(tmp_path: Path) -> None:
    for name in ("b.png", "a.png"):
        (tmp_path / name).write_bytes(name.encode() * 3)
        os.utime(tmp_path / name, ns=(5, 6_000_000_007))
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    rows = ["b.png,2", "a.png,1", "b.png,2", "none.png,3", "folder.png,4", "pipe.png,5", "https://example.org/x.png,6"]
    (tmp_path / "list.csv").write_text("file,n\n" + "\n".join(rows))
    source = open_source(str(tmp_path / "list.csv"))
    assert isinstance(source, ListSource)
    assert (source.scope, source.fields, source.notes) == (canonical_uri(tmp_path / "list.csv"), {"n": FieldType.INTEGER}, [])
    items = list(source.items())
    assert [(item.uri.rpartition("/")[2], problem_of(item)) for item in items] == [
        ("b.png", None),
        ("a.png", None),
        ("b.png", None),
        ("none.png", ("failed", "missing")),
        ("folder.png", ("skipped", "special-file")),
        ("pipe.png", ("skipped", "special-file")),
        ("x.png", None),
    ]
    assert items[0] == (canonical_uri(tmp_path / "b.png"), 15, 6_000_000_007, {"n": 2}, None, None)
    assert items[6] == ("https://example.org/x.png", -1, -1, {"n": 6}, None, None)
    assert items[3].problem is not None
    assert "none.png' (line 5): no such file" in items[3].problem.message
    assert list(source.items()) == items


def test_a_value_of_another_type_costs_itself_and_is_named(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    (tmp_path / "list.csv").write_text("file,n\na.png,1\nb.png,x\nhttps://example.org/c.png,y\n")
    source = open_source(str(tmp_path / "list.csv"), declared={"n": FieldType.INTEGER})
    items = list(source.items())
    assert list(map(problem_of, items)) == [None, None, None]
    assert [item.metadata for item in items] == [{"n": 1}, {}, {}]
    (note,) = source.notes
    assert "values of metadata field 'n' (2; the first: list.csv, line 3: metadata field 'n': 'x' is not a value" in note


def test_a_list_behind_a_url_names_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "list.jsonl").write_text('{"file": "sub/a.png", "n": 1}\n{"file": "https://example.org/b.png"}\n')
    url = f"local://{tmp_path}/list.jsonl"
    source = open_source(url)
    assert source.scope == url
    assert [item.uri for item in source.items()] == [f"local://{tmp_path}/sub/a.png", "https://example.org/b.png"]
    assert source.fields == {"n": FieldType.INTEGER}
    declared = open_source(url, declared={"n": FieldType.FLOAT})
    assert [type(item.metadata.get("n")) for item in declared.items()] == [float, type(None)]
    (tmp_path / "bad.csv").write_text("name\nx\n")
    with pytest.raises(MetadataError, match=f"'local://{tmp_path}/bad.csv', line 1: no column"):
        open_source(f"local://{tmp_path}/bad.csv")


Members = list[tuple[str, bytes]]


def packed(path: Path, members: Members) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def content(item: Item) -> bytes:
    assert item.place is not None
    return read_content(item.place, 10**6).data


SAMPLES: Members = [
    ("001.json", b'{"price": 2.5, "tags": ["x"]}'),
    ("001.png", b"first"),
    ("001.cls", b"7\n"),
    ("001.txt", "größe \n".encode()),
    ("sub/002.left.jpg", b"left"),
    ("sub/002.right.jpg", b"right, longer"),
    ("sub/002.json", b'{"price": 3}'),
    ("003.cls", b"no number"),
    ("003.PNG", b"third"),
    ("004.npy", b"no picture"),
]


@pytest.mark.parametrize("remote", [False, True])
def test_members_of_one_key_are_one_sample(tmp_path: Path, remote: bool) -> None:
    path = packed(tmp_path / "s.tar", SAMPLES)
    os.utime(path, ns=(5, 6_000_000_000))
    source = open_source(f"local://{path}" if remote else str(path))
    assert isinstance(source, WebDatasetSource)
    base = f"local://{path}" if remote else canonical_uri(path)
    assert source.scope == base
    items = list(source.items())
    assert [(item.uri, item.size, item.mtime_ns, item.problem) for item in items] == [
        (f"{base}#001.png", 5, 6_000_000_000, None),
        (f"{base}#sub/002.left.jpg", 4, 6_000_000_000, None),
        (f"{base}#sub/002.right.jpg", 13, 6_000_000_000, None),
        (f"{base}#003.PNG", 5, 6_000_000_000, None),
    ]
    assert [content(item) for item in items] == [b"first", b"left", b"right, longer", b"third"]
    # One column holds a number and a text: all of it is text, and a note says so.
    assert [item.metadata for item in items] == [
        {"price": 2.5, "tags": ["x"], "class": "7", "text": "größe"},
        {"price": 3.0},
        {"price": 3.0},
        {"class": "no number"},
    ]
    assert source.fields == {
        "price": FieldType.FLOAT,
        "tags": FieldType.KEYWORD,
        "class": FieldType.KEYWORD,
        "text": FieldType.KEYWORD,
    }
    assert "'class' mixes types: 7" in source.notes[0]
    assert source.notes[1:] == ["5 sidecars used", "1 file without a picture's name left alone: 1 NPY"]


@pytest.mark.parametrize(("text", "value"), [(b"7", 7), (b" -12\n", -12), (b"cat", "cat"), (b"1.5", "1.5"), (b"", None)])
def test_a_class_is_a_number_or_a_name(tmp_path: Path, text: bytes, value: Any) -> None:
    path = packed(tmp_path / "s.tar", [("a.png", b"x"), ("a.cls", text)])
    (item,) = open_source(str(path)).items()
    assert item.metadata.get("class") == value


@pytest.mark.parametrize("sidecar", [("a.json", b"{"), ("a.json", b"[1]"), ("a.json", b'{"_x": 1}'), ("a.json", b"")])
def test_a_damaged_sidecar_costs_itself_and_is_named(tmp_path: Path, sidecar: tuple[str, bytes]) -> None:
    path = packed(tmp_path / "s.tar", [("a.png", b"x"), sidecar, ("b.png", b"y"), ("b.json", b'{"n": 1}')])
    source = open_source(str(path))
    first, second = source.items()
    assert (problem_of(first), first.metadata) == (None, {})
    assert (problem_of(second), second.metadata) == (None, {"n": 1})
    (note,) = [note for note in source.notes if note.startswith("left out")]
    assert f"{str(path)!r}, 'a.json'" in note


def test_several_shards_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("10.tar", "2.tar", "1.tar"):
        packed(tmp_path / name, [(f"{name}.png", b"x"), (f"{name[0]}.json", b"{}")])
    (tmp_path / "x.txt").touch()
    for pattern in (str(tmp_path / "*.tar"), f"local://{tmp_path}/*.tar"):
        source = open_source(pattern)
        assert [item.uri.rpartition("#")[2] for item in source.items()] == ["1.tar.png", "10.tar.png", "2.tar.png"]
    one = open_source(str(tmp_path / "?.tar"))
    assert [item.uri.rpartition("#")[2] for item in one.items()] == ["1.tar.png", "2.tar.png"]
    with pytest.raises(InvalidInput, match="no such folder or list"):
        open_source(str(tmp_path / "z*.tar"))


@pytest.mark.parametrize(
    ("damage", "whole"),
    [
        (lambda data: data[:2048], 2),  # only the end is missing: tarfile alone would not tell
        (lambda data: data[:1600], 2),  # a member is cut: reading it tells
        (lambda data: data[:1240], 1),
        (lambda data: data[:10], 0),
        (lambda data: b"no tar at all " * 100, 0),
        (lambda data: b"", 0),
    ],
    ids=["no end", "second member cut", "second header cut", "header cut", "no tar", "empty"],
)
def test_a_damaged_tar_gives_what_it_holds_and_says_so(tmp_path: Path, damage: Callable[[bytes], bytes], whole: int) -> None:
    path = packed(tmp_path / "s.tar", [("a.png", b"x"), ("b.png", b"y" * 512)])
    path.write_bytes(damage(path.read_bytes()))
    items = list(open_source(str(path)).items())
    assert [item.uri.rpartition("#")[2] for item in items if item.problem is None] == ["a.png", "b.png"][:whole]
    last = items[-1]
    assert (last.uri, problem_of(last)) == (canonical_uri(path), ("failed", "unreadable"))
    assert isinstance(last.problem, Problem)
    assert "cannot be read to its end as an uncompressed tar" in last.problem.message
    if whole == 2 and path.stat().st_size == 1600:
        with pytest.raises(ImageError) as caught:
            content(items[1])
        assert caught.value.reason == "truncated"


def test_a_part_of_a_file_is_read_exactly(tmp_path: Path) -> None:
    path = tmp_path / "a:b.tar"  # the place has colons of its own
    path.write_bytes(b"0123456789")
    place = tar_member(str(path), 3, 4)
    assert name_of(place) == str(path)
    assert name_of(str(path)) == str(path)
    for where in (str(path), f"local://{path}"):
        assert read_content(tar_member(where, 3, 4), 4).data == b"3456"
        assert read_content(tar_member(where, 0, 10), 10).data == b"0123456789"
        for offset, size, limit, reason in ((3, 4, 3, "too-large"), (8, 4, 9, "truncated"), (10, 1, 9, "empty")):
            with pytest.raises(ImageError) as caught:
                read_content(tar_member(where, offset, size), limit)
            assert caught.value.reason == reason
    assert read_content(f"local://{path}", 10).data == b"0123456789"
    assert read_content(str(path), 10).mtime_ns == path.stat().st_mtime_ns
    with pytest.raises(ImageError) as caught:
        read_content(f"local://{path}", 9)
    assert caught.value.reason == "too-large"
    assert json.loads(json.dumps(place)) == place


def test_fields_of_samples_may_be_declared(tmp_path: Path) -> None:
    path = packed(tmp_path / "s.tar", [("a.png", b"x"), ("a.json", b'{"n": 1, "m": "x"}')])
    sources: list[Source] = [
        open_source(str(path), declared={"n": FieldType.FLOAT}),
        open_source(f"local://{path}", declared={"n": FieldType.FLOAT}),
    ]
    for source in sources:
        assert source.fields == {"n": FieldType.FLOAT, "m": FieldType.KEYWORD}
        assert [item.metadata for item in source.items()] == [{"n": 1.0, "m": "x"}]
