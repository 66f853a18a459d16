"""Duplicates of pictures that are no files of their own: behind URLs and in tar files."""

from __future__ import annotations

import io
import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from semblant_search import SearchClient, canonical_uri
from semblant_search.collection import uri_path
from semblant_search.orb import OrbSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport

    Index = Callable[..., IndexReport]


@pytest.fixture(scope="module")
def coffee(photos: Path) -> Image.Image:
    with Image.open(photos / "coffee.png") as picture:
        return picture.convert("RGB").resize((300, 200), Image.Resampling.LANCZOS)


def encoded(picture: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


def packed(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            facts = tarfile.TarInfo(name)
            facts.size = len(data)
            tar.addfile(facts, io.BytesIO(data))
    return path


def test_behind_urls_equal_bytes_are_copies_and_nothing_is_removable(
    coffee: Image.Image, index: Index, web: Callable[[Path], str], tmp_path: Path
) -> None:
    served = tmp_path / "served"
    served.mkdir()
    coffee.save(served / "a.png")
    shutil.copy(served / "a.png", served / "b.png")
    coffee.rotate(90, expand=True).crop((0, 0, 150, 300)).save(served / "c.png")
    base = web(served)
    (tmp_path / "list.csv").write_text("file\n" + "".join(f"{base}/{name}.png\n" for name in "abc"))
    assert index(tmp_path / "list.csv").indexed == 3
    with SearchClient(tmp_path / "db") as client:
        (group,) = client.duplicates()
    assert group.representative.uri == f"{base}/a.png"
    assert [(other.uri, other.exact, other.removable) for other in group.others] == [(f"{base}/b.png", True, False)]


def test_behind_urls_details_join_a_smaller_picture_as_changed(
    coffee: Image.Image, index: Index, web: Callable[[Path], str], tmp_path: Path
) -> None:
    served = tmp_path / "served"
    served.mkdir()
    coffee.save(served / "a.png")
    coffee.save(served / "b.jpg", quality=85)
    coffee.crop((0, 0, 150, 200)).save(served / "part.png")
    base = web(served)
    (tmp_path / "list.csv").write_text("file\n" + "".join(f"{base}/{name}\n" for name in ("a.png", "b.jpg", "part.png")))
    assert index(tmp_path / "list.csv", orb=OrbSettings()).indexed == 3
    with SearchClient(tmp_path / "db") as client:
        (group,) = client.duplicates(min_score=0.8)
    (other,) = group.others
    assert {group.representative.uri, other.uri} == {f"{base}/a.png", f"{base}/b.jpg"}
    assert (other.tier, other.why, other.removable) == ("changed", ("by details alone",), False)


def test_members_of_a_tar_are_pictures_and_not_names_of_the_tar(coffee: Image.Image, index: Index, tmp_path: Path) -> None:
    """Read as files, all members of a tar would have the bytes of the tar."""
    flipped = coffee.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    members = {"1.png": encoded(coffee), "2.png": encoded(flipped), "3.png": encoded(coffee)}
    tar = packed(tmp_path / "shard.tar", members)
    assert index(tar).indexed == 3
    with SearchClient(tmp_path / "db") as client:
        (group,) = client.duplicates()
    base = canonical_uri(tar)
    assert group.representative.uri == f"{base}#1.png"
    assert group.representative.path is None
    assert [(other.uri, other.exact, other.removable) for other in group.others] == [(f"{base}#3.png", True, False)]


def test_a_copied_tar_is_not_recommended_for_removal(coffee: Image.Image, index: Index, tmp_path: Path) -> None:
    (tmp_path / "tars").mkdir()
    tar = packed(tmp_path / "tars/a.tar", {"1.png": encoded(coffee), "2.png": encoded(coffee.convert("L"))})
    shutil.copy(tar, tmp_path / "tars/b.tar")
    assert index(tmp_path / "tars/*.tar").indexed == 4
    with SearchClient(tmp_path / "db") as client:
        groups = client.duplicates()
    assert [[one.uri.rpartition("/")[2] for one in (g.representative, *g.others)] for g in groups] == [
        ["a.tar#1.png", "b.tar#1.png"],
        ["a.tar#2.png", "b.tar#2.png"],
    ]
    assert not any(group.removable for group in groups)


def test_a_part_of_a_file_has_no_path_and_keeps_its_uri() -> None:
    assert uri_path("file:///p/shard.tar#a.png") is None
    assert uri_path("file:///p/a%23b.png") is not None
    assert canonical_uri("file:///p/shard.tar#a.png") == "file:///p/shard.tar#a.png"


def test_files_that_were_merged_into_one_point_are_still_files(coffee: Image.Image, index: Index, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        coffee.save(folder / name)
    index(folder, duplicates="merge")
    with SearchClient(tmp_path / "db") as client:
        assert client.count() == 1
        (group,) = client.duplicates()
    assert group.representative.path == folder / "a.png"
    assert [(other.path, other.exact, other.removable) for other in group.others] == [
        (folder / "b.png", True, True),
        (folder / "c.png", True, True),
    ]
