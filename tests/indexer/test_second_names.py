"""A file that is reached by several names is one picture, which each of its names finds."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from semblant_search import SearchClient
from semblant_search.errors import PointNotFound
from semblant_search.where import F

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
