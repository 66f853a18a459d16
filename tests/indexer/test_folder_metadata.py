"""What is known about the pictures of a folder beside their pixels: labels, tables, sidecars; here and behind a URL."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

import pytest
from semblant_indexer.sources import FolderSource, open_source
from semblant_indexer.sources.behind_urls import Fetched
from semblant_indexer.sources.selection import Selection
from semblant_search import FieldType
from semblant_search.errors import MissingExtra
from support.trees import by_name, tree

if TYPE_CHECKING:
    from pathlib import Path

    from semblant_indexer.sources import Source


def test_a_subfolder_names_the_label_unless_metadata_does(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "top.png", "bag/a.png", "bag/small/b.png")
    source = FolderSource(root)
    assert source.fields == {"label": FieldType.KEYWORD}
    assert {name: item.metadata for name, item in by_name(source).items()} == {
        "top.png": {},
        "a.png": {"label": "bag"},
        "b.png": {"label": "small"},
    }
    (root / "metadata.csv").write_text("file,label\nbag/a.png,mine\n")
    for named in (open_source(str(root)), open_source(f"local://{root}")):
        assert {name: item.metadata for name, item in by_name(named).items()} == {
            "top.png": {},
            "a.png": {"label": "mine"},
            "b.png": {},
        }


def test_a_sidecar_has_the_last_word_and_the_longer_name_comes_first(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a.png", "b.png", "c.jpg", "sub/d.png")
    (root / "metadata.csv").write_text("file,price,title\na.png,1,table\nb.png,2,table\nc.jpg,3,table\n")
    (root / "a.png.json").write_text('{"price": 10.5, "stars": 5}')
    (root / "a.json").write_text('{"price": 99}')
    (root / "b.json").write_text('{"title": "side", "camera": {"iso": 100}}')
    (root / "sub" / "d.json").write_text('{"stars": 1.5}')
    (root / "lonely.json").write_text('{"_nobody": "asks"}')
    for source in (
        open_source(str(root), declared={"price": FieldType.FLOAT}),
        open_source(f"local://{root}", declared={"price": FieldType.FLOAT}),
    ):
        assert source.fields == {
            "label": FieldType.KEYWORD, "price": FieldType.FLOAT, "title": FieldType.KEYWORD,
            "stars": FieldType.FLOAT, "camera.iso": FieldType.INTEGER,
        }  # fmt: skip
        assert {name: item.metadata for name, item in by_name(source).items()} == {
            "a.png": {"price": 10.5, "title": "table", "stars": 5.0},
            "b.png": {"price": 2.0, "title": "side", "camera": {"iso": 100}},
            "c.jpg": {"price": 3.0, "title": "table"},
            "d.png": {"label": "sub", "stars": 1.5},
        }


@pytest.mark.parametrize("content", ["{", "[1]", '"text"', '{"_x": 1}', "", "[" * 100_000])
def test_a_sidecar_that_cannot_be_used_costs_itself_and_is_named(tmp_path: Path, content: str) -> None:
    root = tree(tmp_path / "p", "a.png", "b.png")
    (root / "a.png.json").write_text(content)
    for source in (open_source(str(root)), open_source(f"local://{root}")):
        assert {name: (item.metadata, item.problem) for name, item in by_name(source).items()} == {
            "a.png": ({}, None),
            "b.png": ({}, None),
        }
        (note,) = [note for note in source.notes if note.startswith("left out")]
        assert "(1; the first: " in note
        assert "a.png.json" in note


@pytest.mark.parametrize("place", ["", "local://"])
def test_sidecars_of_pictures_that_are_left_out_say_nothing_about_the_others(tmp_path: Path, place: str) -> None:
    root = tree(tmp_path / "p", "bag/a.png", "bag/raw-b.png", ".trash/c.png", "old/d.png")
    (root / "bag" / "a.json").write_text('{"price": 3}')
    for name in ("bag/raw-b", ".trash/c", "old/d"):
        (root / f"{name}.json").write_text('{"label": "mine", "price": "dear", "odd": 1}')
    source = open_source(f"{place}{root}", selection=Selection(exclude=("old", "raw-*")))
    assert source.fields == {"label": FieldType.KEYWORD, "price": FieldType.INTEGER}
    assert [item.metadata for item in source.items()] == [{"label": "bag", "price": 3}]


def test_sidecars_in_a_linked_folder_count_like_all_others(tmp_path: Path) -> None:
    tree(tmp_path / "elsewhere", "a.png", "deep/b.png")
    (tmp_path / "elsewhere" / "a.json").write_text('{"price": 3}')
    (tmp_path / "elsewhere" / "deep" / "b.png.json").write_text('{"price": 4.5}')
    root = tree(tmp_path / "p", "z/c.png")
    (root / "z" / "c.json").write_text('{"price": 6}')
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "again").symlink_to(root / "z")  # sorts before what it links to
    (tmp_path / "elsewhere" / "loop").symlink_to(root)
    source = open_source(str(root))
    assert source.fields["price"] is FieldType.FLOAT
    assert {name: item.metadata["price"] for name, item in by_name(source).items()} == {"a.png": 3, "b.png": 4.5, "c.png": 6}
    chosen = open_source(str(root), selection=Selection(exclude=("again/*",)))
    assert by_name(chosen)["c.png"].metadata == {"label": "z", "price": 6}


def test_rows_that_name_no_picture_of_the_folder_are_counted(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a.png", "sub/b.png")
    (tmp_path / "metadata.csv").write_text("file,n\np/a.png,1\np/gone.png,2\nother/c.png,3\n")
    source = open_source(str(root))
    list(source.items())
    which = "metadata.csv, line 3: 'p/gone.png'; metadata.csv, line 4: 'other/c.png'"
    assert source.notes == [f"2 metadata rows name no picture in {str(root)!r} ({which})"]
    (root / "metadata.csv").write_text("file,n\na.png,7\nx.png,2\ny.png,3\n")  # the nearer table counts
    source = open_source(str(root))
    assert by_name(source)["a.png"].metadata == {"n": 7}
    which = "metadata.csv, line 3: 'x.png'; metadata.csv, line 4: 'y.png'"
    assert f"2 metadata rows name no picture in {str(root)!r} ({which})" in source.notes
    given = open_source(str(root), metadata=tmp_path / "metadata.csv")
    assert by_name(given)["a.png"].metadata == {"n": 1}


def test_of_many_rows_that_name_no_picture_the_first_are_named(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a.png", "sub/b.png")
    (root / "metadata.csv").write_text("file,n\na.png,7\nx.png,2\nhttps://u:p@host/y.png?X-Amz-Signature=secret,3\n")
    (root / "sub" / "metadata.csv").write_text("file,n\nb.png,1\ngone.png,2\nlost.png,3\n")
    source = open_source(str(root))
    list(source.items())
    (note,) = [note for note in source.notes if "metadata row" in note]
    first = "sub/metadata.csv, line 3: 'gone.png'; sub/metadata.csv, line 4: 'lost.png'; metadata.csv, line 3: 'x.png'"
    assert note == f"4 metadata rows name no picture in {str(root)!r} (the first: {first})"
    (root / "sub" / "metadata.csv").unlink()
    source = open_source(str(root))
    list(source.items())
    assert any(note.endswith("metadata.csv, line 4: 'https://***@host/y.png')") for note in source.notes)


def test_sidecars_of_hidden_pictures_count_as_their_pictures_do(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "a.png", ".b.png")
    (root / "a.png.json").write_text('{"stars": 5}')
    (root / ".b.png.json").write_text('{"secret": 1.5}')
    source = FolderSource(root)
    assert "secret" not in source.fields
    assert {name: item.metadata for name, item in by_name(source).items()} == {"a.png": {"stars": 5}}
    hidden = FolderSource(root, selection=Selection(hidden=True))
    assert hidden.fields["secret"] is FieldType.FLOAT
    assert by_name(hidden)[".b.png"].metadata == {"secret": 1.5}


def test_a_folder_behind_a_url_gives_the_same_items_by_other_names(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "top.png", "bag/b.png", "bag/a.jpg", "bag/deep/c.png", "notes.txt")
    (root / "metadata.csv").write_text("file,price\nbag/a.jpg,1\ntop.png,2\nbag/b.png,x\n")
    for path in root.rglob("*.*g"):
        os.utime(path, ns=(5, 6_500_000_000))
    declared = {"price": FieldType.INTEGER}
    here, there = open_source(str(root), declared=declared), open_source(f"local://{root}/", declared=declared)
    assert there.scope == f"local://{root}/"
    assert here.fields == there.fields == {"label": FieldType.KEYWORD, "price": FieldType.INTEGER}

    def facts(source: Source) -> dict[str, tuple[object, ...]]:
        return {
            item.uri.rpartition("/p/")[2]: (item.size, item.mtime_ns, item.metadata, item.problem and item.problem[:2])
            for item in source.items()
        }

    assert facts(here) == facts(there)
    assert facts(here) == {
        "top.png": (7, 6_500_000_000, {"price": 2}, None),
        "bag/b.png": (9, 6_500_000_000, {"label": "bag"}, None),
        "bag/a.jpg": (9, 6_500_000_000, {"label": "bag", "price": 1}, None),
        "bag/deep/c.png": (14, 6_500_000_000, {"label": "deep"}, None),
    }
    for source in (here, there):
        (note,) = [note for note in source.notes if note.startswith("left out")]
        assert "values of metadata field 'price' (1; the first: metadata.csv, line 4: metadata field 'price': 'x'" in note
        assert "1 file without a picture's name left alone: 1 TXT" in source.notes
    names = [item.uri.removeprefix(there.scope) for item in there.items()]
    assert names == ["bag/a.jpg", "bag/b.png", "bag/deep/c.png", "top.png"]  # in the order of whole names


def test_hundreds_of_sidecars_behind_a_url_are_read(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", *(f"{number:03}.png" for number in range(600)))
    for number in range(600):
        (root / f"{number:03}.json").write_text(f'{{"n": {number}}}')
    items = open_source(f"local://{root}").items()
    assert [item.metadata for item in items] == [{"n": number} for number in range(600)]


def test_a_file_system_that_is_not_installed_names_what_to_install() -> None:
    with pytest.raises(MissingExtra, match=r"semblant-indexer\[remote\]"):
        open_source("gdrive://folder/pictures")


def test_a_fetched_copy_goes_away_with_its_source(tmp_path: Path) -> None:
    tree(tmp_path / "p", "list.csv")
    copy = Fetched(f"local://{tmp_path}/p/list.csv")
    path = copy.path
    assert (path.name, path.read_bytes()) == ("list.csv", b"list.csv")
    del copy
    gc.collect()
    assert not path.parent.exists()


@pytest.mark.parametrize("place", ["", "local://"])
def test_declared_types_hold_for_sidecars_without_any_table(tmp_path: Path, place: str) -> None:
    root = tree(tmp_path / "p", "bag/a.png", "bag/b.png")
    (root / "bag" / "a.json").write_text('{"price": 1, "code": 7}')
    (root / "bag" / "b.json").write_text('{"price": "cheap"}')
    declared = {"price": FieldType.FLOAT, "code": FieldType.KEYWORD}
    source = open_source(f"{place}{root}", declared=declared)
    assert source.fields == {"label": FieldType.KEYWORD, **declared}
    items = by_name(source)
    assert items["a.png"].metadata == {"label": "bag", "price": 1.0, "code": "7"}
    assert (items["b.png"].metadata, items["b.png"].problem) == ({"label": "bag"}, None)
    (note,) = [note for note in source.notes if note.startswith("left out")]
    assert "values of metadata field 'price' (1; the first: " in note
    assert "b.json': metadata field 'price': 'cheap' is not a value of type float" in note


@pytest.mark.parametrize("place", ["", "local://"])
def test_a_declared_label_still_comes_from_the_folder(tmp_path: Path, place: str) -> None:
    root = tree(tmp_path / "p", "bag/a.png", "coat/b.png")
    source = open_source(f"{place}{root}", declared={"label": FieldType.KEYWORD})
    assert [item.metadata for item in source.items()] == [{"label": "bag"}, {"label": "coat"}]
    (root / "bag" / "a.json").write_text('{"label": "mine"}')
    source = open_source(f"{place}{root}", declared={"label": FieldType.KEYWORD})
    assert [item.metadata for item in source.items()] == [{"label": "mine"}, {}]
