"""Which pictures are joined into one group, which of them is kept, and what is said of the others."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from semblant_search import DuplicateGroup, SearchClient, canonical_uri

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGB")


def names(groups: list[DuplicateGroup]) -> list[list[str]]:
    """The file names of each group, the one to keep first."""
    return [[picture.uri.rsplit("/", 1)[-1] for picture in (group.representative, *group.others)] for group in groups]


@pytest.fixture(scope="module")
def library(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photographs with copies of several kinds, and two without."""
    folder = tmp_path_factory.mktemp("groups")
    coffee, cat, rocket = (opened(photos / name) for name in ("coffee.png", "chelsea.png", "rocket.jpg"))
    coffee.save(folder / "coffee-a.png")
    coffee.save(folder / "coffee-b.bmp")  # as many pixels, more bytes
    shutil.copy(folder / "coffee-a.png", folder / "coffee-c.png")
    coffee.resize((300, 200), Image.Resampling.LANCZOS).save(folder / "coffee-half.png")
    coffee.save(folder / "coffee-weak.jpg", quality=40)
    cat.save(folder / "cat.png")
    cat.transpose(Image.Transpose.ROTATE_180).save(folder / "cat-turned.png")
    cat.crop((60, 40, 400, 270)).save(folder / "cat-part.png")  # which is in no group
    rocket.save(folder / "rocket-1.png")
    shutil.copy(folder / "rocket-1.png", folder / "rocket-2.png")
    for name in ("camera.png", "astronaut.png"):
        shutil.copy(photos / name, folder)
    return folder


@pytest.fixture(scope="module")
def db(library: Path, index: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("groups-db") / "db"
    index(path, sorted(library.iterdir()))
    return path


def test_the_largest_group_comes_first_and_its_largest_picture_is_kept(db: Path) -> None:
    with SearchClient(db) as client:
        groups = client.duplicates()
    assert names(groups) == [
        ["coffee-b.bmp", "coffee-a.png", "coffee-c.png", "coffee-half.png", "coffee-weak.jpg"],
        ["cat.png", "cat-turned.png"] if names(groups)[1][0] == "cat.png" else ["cat-turned.png", "cat.png"],
        ["rocket-1.png", "rocket-2.png"],
    ]
    facts = [(other.exact, other.verdict, other.why) for other in groups[0].others]
    assert facts == [
        (False, "copy", ("another format",)),
        (False, "copy", ("another format",)),
        (False, "rotated/scaled", ("resized", "another format")),
        (False, "copy", ("another format",)),
    ]
    assert all(other.probability == 1 and other.tier == "copy" and other.removable for g in groups for other in g.others)
    turned, rocket = groups[1].others[0], groups[2].others[0]
    assert (turned.exact, turned.verdict, turned.why) == (False, "rotated/scaled", ("turned 180°",))
    assert (rocket.exact, rocket.verdict, rocket.why) == (True, "copy", ("same bytes",))
    assert groups[0].representative.facts["_width"] == 600
    assert groups[0].others[2].metadata["label"] == groups[0].representative.metadata["label"]


def test_groups_as_json_have_what_people_act_on(db: Path, library: Path) -> None:
    with SearchClient(db) as client:
        data = client.duplicates()[2].to_json()
    assert data["representative"]["uri"] == canonical_uri(library / "rocket-1.png")  # type: ignore[index]
    others = data["others"]
    assert isinstance(others, list)
    assert len(others) == 1
    expected = {"exact": True, "verdict": "copy", "probability": 1.0, "tier": "copy", "why": ["same bytes"], "removable": True}
    assert {name: others[0][name] for name in expected} == expected
    assert others[0]["metadata"]["label"] == library.name
    assert data["other_names"] == {}


def test_only_pictures_that_pass_the_filter_are_in_groups(db: Path, library: Path) -> None:
    files = sorted(path.name for path in library.iterdir())
    with SearchClient(db) as client:
        for kept in ({"coffee-a.png", "coffee-half.png"}, {"coffee-half.png", "coffee-weak.jpg", "rocket-2.png"}):
            numbers = ", ".join(str(files.index(name)) for name in kept)
            seen: list[int] = []
            groups = client.duplicates(where=f"price in [{numbers}]", on_progress=seen.append)
            assert [set(group) for group in names(groups)] == [{name for name in kept if "coffee" in name}]
            assert seen == [len(kept)]
        assert client.duplicates(where="price < 0") == []


def test_flat_pictures_are_the_same_by_their_bytes_only(index: Callable[..., None], tmp_path: Path) -> None:
    for name, level in (("a", 90), ("b", 90), ("c", 91)):
        Image.new("L", (90, 60), level).save(tmp_path / f"{name}.png")
    Image.new("L", (180, 120), 90).save(tmp_path / "d.png")
    index(tmp_path / "db", sorted(tmp_path.glob("*.png")))
    with SearchClient(tmp_path / "db") as client:
        (group,) = client.duplicates()
    assert names([group]) == [["a.png", "b.png"]]
    assert group.others[0].exact


def test_a_chain_of_crops_is_no_group(photos: Path, index: Callable[..., None], tmp_path: Path) -> None:
    whole = opened(photos / "motorcycle_left.png")
    for number in range(5):
        left = 34 * number
        whole.crop((left, 20, left + 570, 480 - number)).save(tmp_path / f"{number}.png")
    index(tmp_path / "db", sorted(tmp_path.glob("*.png")))
    with SearchClient(tmp_path / "db") as client:
        assert client.duplicates() == []


def test_progress_counts_the_pictures_looked_at(indexed: Path) -> None:
    seen: list[int] = []
    with SearchClient(indexed) as client:
        client.duplicates(min_score=1, on_progress=seen.append)
    assert seen == [256, 300]


def test_files_of_equal_worth_are_kept_by_name(photos: Path, index: Callable[..., None], tmp_path: Path) -> None:
    for name in "cahfbedg":
        shutil.copy(photos / "coffee.png", tmp_path / f"{name}.png")
    opened(photos / "coffee.png").resize((300, 200)).save(tmp_path / "0.png", compress_level=0)
    index(tmp_path / "db", sorted(tmp_path.glob("*.png")))
    with SearchClient(tmp_path / "db") as client:
        (group,) = client.duplicates(min_score=0.8)
    assert names([group]) == [["a.png", "0.png", *(f"{name}.png" for name in "bcdefgh")]]
    assert [other.exact for other in group.others] == [False] + [True] * 7
