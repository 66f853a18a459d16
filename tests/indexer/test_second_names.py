"""A file that is reached by several names is one picture, which each of its names finds."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from semblant_indexer.sources import open_source
from semblant_search import SearchClient
from semblant_search.errors import PointNotFound
from semblant_search.where import F
from support.trees import tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport


def test_a_link_and_a_hard_link_find_their_picture(pictures: Path, index: Callable[..., IndexReport], tmp_path: Path) -> None:
    real = sorted((pictures / "coat").iterdir())[0]
    (pictures / "album_link.png").symlink_to(real)
    os.link(real, pictures / "sneaker" / "zz.png")
    (pictures / "to the other.png").symlink_to("sneaker/zz.png")
    assert index(pictures).found == 30
    others = [pictures / "album_link.png", pictures / "sneaker" / "zz.png", pictures / "to the other.png"]
    with SearchClient(tmp_path / "db") as client:
        picture = client.get(real)
        assert picture.facts["_names"] == sorted(other.as_uri() for other in others)
        assert client.count(F("_names").exists()) == 1
        for other in others:
            assert client.get(other).id == client.get(other.as_uri()).id == picture.id
            assert client.get_many([other, "no.png", real])[::2] == [picture, picture]
            assert [hit.id for hit in client.search(other.as_uri(), limit=3)] == [
                hit.id for hit in client.search(real, limit=3)
            ]
            assert picture.id not in [hit.id for hit in client.search(other, limit=30)]
        with pytest.raises(PointNotFound):
            client.get(pictures / "none.png")
    assert (index(pictures).unchanged, index(pictures).points) == (30, 30)
    (pictures / "album_link.png").unlink()
    index(pictures)
    with SearchClient(tmp_path / "db") as client:
        assert len(client.get(real).facts["_names"]) == 2
        with pytest.raises(PointNotFound):
            client.get(pictures / "album_link.png")
    (pictures / "sneaker" / "zz.png").unlink()
    (pictures / "to the other.png").unlink()
    index(pictures)
    with SearchClient(tmp_path / "db") as client:
        assert "_names" not in client.get(real).facts


def test_of_merged_pictures_each_name_finds_the_one(pictures: Path, index: Callable[..., IndexReport], tmp_path: Path) -> None:
    real = sorted((pictures / "coat").iterdir())[0]
    shutil.copyfile(real, pictures / "aa copy.png")
    (pictures / "link.png").symlink_to(real)
    report = index(pictures, duplicates="merge")
    assert (report.found, report.points, report.duplicate) == (31, 30, 1)
    with SearchClient(tmp_path / "db") as client:
        found = {client.get(name).id for name in (real, pictures / "aa copy.png", pictures / "link.png")}
        assert len(found) == 1
        assert len(client.get(real).facts["_uris"]) == 2
    assert index(pictures, duplicates="merge").points == 30


def test_a_file_that_moves_takes_its_names_along(pictures: Path, index: Callable[..., IndexReport], tmp_path: Path) -> None:
    real = sorted((pictures / "coat").iterdir())[0]
    (pictures / "link.png").symlink_to(real)
    index(pictures)
    (pictures / "link.png").unlink()
    real.rename(pictures / "moved.png")
    (pictures / "new link.png").symlink_to("moved.png")
    assert index(pictures).moved == 1
    with SearchClient(tmp_path / "db") as client:
        assert client.get(pictures / "new link.png").uri == (pictures / "moved.png").as_uri()
        with pytest.raises(PointNotFound):
            client.get(pictures / "link.png")


@pytest.mark.parametrize("duplicates", ["keep", "merge"])
def test_what_a_name_finds_is_changed_and_deleted_by_it(
    pictures: Path, index: Callable[..., IndexReport], tmp_path: Path, duplicates: str
) -> None:
    real = sorted((pictures / "coat").iterdir())[0]
    (pictures / "link.png").symlink_to(real)
    shutil.copyfile(real, pictures / "aa copy.png")
    index(pictures, duplicates=duplicates)
    names = [pictures / "link.png", *([pictures / "aa copy.png"] if duplicates == "merge" else [])]
    with SearchClient(tmp_path / "db") as client:
        count, picture = client.count(), client.get(real)
        for number, name in enumerate(names):
            assert client.update_metadata([name, real], {"number": number}) == 1
            assert client.get(picture.id).metadata["number"] == number
        with pytest.raises(PointNotFound, match="none"):
            client.update_metadata([names[0], pictures / "none.png"], {"number": 9})
        assert client.delete([*names, real, pictures / "none.png"]) == 1
        assert client.count() == count - 1
        assert client.get_many([real, *names]) == [None] * (1 + len(names))


def test_what_is_said_of_a_second_name_is_said_of_the_picture(tmp_path: Path) -> None:
    root = tree(tmp_path / "p", "zz/real.jpg", "zz/real2.jpg", "zz/hard.jpg", "zz/both.jpg", "zz/odd.jpg", "zz/lab.jpg")
    (root / "album").mkdir()
    (root / "jsons").mkdir()
    for name in ("real", "real2", "both", "odd", "lab"):
        (root / "album" / f"link of {name}.jpg").symlink_to(f"../zz/{name}.jpg")
    os.link(root / "zz" / "hard.jpg", root / "album" / "hard.jpg")
    (root / "album" / "link of real.jpg.json").write_text('{"who": "link"}')
    (root / "zz" / "hard.jpg.json").write_text('{"who": "later hard link"}')
    (root / "album" / "link of both.jpg.json").write_text('{"who": "link", "more": 1}')
    (root / "zz" / "both.jpg.json").write_text('{"who": "own"}')
    (root / "jsons" / "1.json").write_text('{"shapes": [], "flags": {"ok": true}, "imagePath": "../album/link of lab.jpg"}')
    (root / "album" / "metadata.csv").write_text(
        "file,who2\nlink of real2.jpg,row of link\nLINK OF ODD,spelled\nnowhere.jpg,x\n../zz/both.jpg,own row\n"
        "link of both.jpg,row of link\n"
    )
    source = open_source(str(root))
    for _ in range(2):
        known = {item.uri.removeprefix(root.as_uri() + "/"): dict(item.metadata) for item in source.items()}
        for metadata in known.values():
            metadata.pop("label", None)
            metadata.pop("imagePath", None)
        assert known == {
            "zz/real.jpg": {"who": "link"},
            "zz/real2.jpg": {"who2": "row of link"},
            "zz/odd.jpg": {"who2": "spelled"},
            "album/hard.jpg": {"who": "later hard link"},
            "zz/both.jpg": {"who": "own", "more": 1, "who2": "own row"},
            "zz/lab.jpg": {"flags": {"ok": True}},
        }
        told = "1 metadata row names no picture in"
        assert next(note for note in source.notes if "no picture" in note).startswith(told)
        assert "5 sidecars used" in source.notes


def test_links_to_one_picture_elsewhere_say_what_is_known_of_it(tmp_path: Path) -> None:
    there = tree(tmp_path / "there", "o.jpg")
    root = tree(tmp_path / "p", "other.jpg")
    for name in ("o1.jpg", "o2.jpg"):
        (root / name).symlink_to(there / "o.jpg")
    (root / "o2.jpg.json").write_text('{"n": 1}')
    (root / "metadata.csv").write_text("file,m\no2.jpg,2\n")
    source = open_source(str(root))
    assert {item.uri.rpartition("/")[2]: item.metadata for item in source.items()} == {
        "o1.jpg": {"n": 1, "m": 2},
        "other.jpg": {},
    }
    assert not any("no picture" in note for note in source.notes)
