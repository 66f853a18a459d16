"""Which pictures are joined into one group, which of them is kept, and what is said of the others."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
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
        groups = client.duplicates(min_score=0.5)
    assert names(groups) == [
        ["coffee-b.bmp", "coffee-a.png", "coffee-c.png", "coffee-half.png", "coffee-weak.jpg"],
        ["cat.png", "cat-turned.png"] if names(groups)[1][0] == "cat.png" else ["cat-turned.png", "cat.png"],
        ["rocket-1.png", "rocket-2.png"],
    ]
    facts = [(other.exact, other.verdict) for other in groups[0].others]
    assert facts == [(False, "copy"), (False, "copy"), (False, "rotated/scaled"), (False, "copy")]
    assert all(0.99 <= other.probability <= 1 for group in groups for other in group.others)
    turned, rocket = groups[1].others[0], groups[2].others[0]
    assert (turned.exact, turned.verdict) == (False, "rotated/scaled")
    assert (rocket.exact, rocket.verdict, rocket.probability) == (True, "copy", 1.0)
    assert groups[0].representative.facts["_width"] == 600
    assert groups[0].others[2].metadata["label"] == groups[0].representative.metadata["label"]


def test_groups_as_json_have_what_people_act_on(db: Path, library: Path) -> None:
    with SearchClient(db) as client:
        data = client.duplicates(min_score=0.5)[2].to_json()
    assert data["representative"]["uri"] == canonical_uri(library / "rocket-1.png")  # type: ignore[index]
    others = data["others"]
    assert isinstance(others, list)
    assert len(others) == 1
    assert {name: others[0][name] for name in ("exact", "verdict", "probability")} == {
        "exact": True,
        "verdict": "copy",
        "probability": 1.0,
    }
    assert others[0]["metadata"]["label"] == library.name


def test_candidates_must_look_alike_enough(db: Path, library: Path) -> None:
    with SearchClient(db) as client:
        hits = client.search(library / "cat.png", limit=10)
        score = next(hit.score for hit in hits if hit.path == library / "cat-turned.png")
        below, above = (names(client.duplicates(min_score=score + by)) for by in (-1e-4, 1e-4))
    assert any("cat.png" in group for group in below)
    assert not any("cat.png" in group for group in above)
    assert ["rocket-1.png", "rocket-2.png"] in below
    assert ["rocket-1.png", "rocket-2.png"] in above


def test_only_pictures_that_pass_the_filter_are_in_groups(db: Path, library: Path) -> None:
    files = sorted(path.name for path in library.iterdir())
    with SearchClient(db) as client:
        for kept in ({"coffee-a.png", "coffee-half.png"}, {"coffee-half.png", "coffee-weak.jpg", "rocket-2.png"}):
            numbers = ", ".join(str(files.index(name)) for name in kept)
            seen: list[int] = []
            groups = client.duplicates(where=f"price in [{numbers}]", min_score=0.5, on_progress=seen.append)
            assert [set(group) for group in names(groups)] == [{name for name in kept if "coffee" in name}]
            assert seen == [len(kept)]
        assert client.duplicates(where="price < 0") == []


def scrambled(picture: Image.Image, seed: int) -> Image.Image:
    """The blocks of each of 7 × 7 cells in another order: to an encoder of their means the same, without a detail in common."""
    blocks = np.asarray(picture).reshape(7, 12, 6, 7, 12, 6, 3).transpose(0, 3, 1, 4, 2, 5, 6).reshape(49, 144, 6, 6, 3)
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(144), (49, 1)), axis=1)
    mixed = np.take_along_axis(blocks, order[:, :, None, None, None], axis=1)
    return Image.fromarray(mixed.reshape(7, 7, 12, 12, 6, 6, 3).transpose(0, 2, 4, 1, 3, 5, 6).reshape(504, 504, 3))


def test_a_copy_is_found_behind_pictures_that_look_more_alike(photos: Path, index: Callable[..., None], tmp_path: Path) -> None:
    picture = opened(photos / "astronaut.png").crop((0, 0, 504, 504))
    for number, shown in enumerate((picture, picture.point(lambda level: int(level * 0.55 + 100)))):
        shown.save(tmp_path / f"copy{number}.png")
        for seed in range(3):
            scrambled(shown, 10 * number + seed).save(tmp_path / f"other{number}{seed}.png")
    index(tmp_path / "db", sorted(tmp_path.glob("*.png")))
    with SearchClient(tmp_path / "db") as client:
        for number in range(2):
            nearest = {hit.uri.rsplit("/", 1)[-1] for hit in client.search(tmp_path / f"copy{number}.png", limit=3)}
            assert nearest == {f"other{number}{seed}.png" for seed in range(3)}
        assert [set(group) for group in names(client.duplicates(min_score=0.5))] == [{"copy0.png", "copy1.png"}]


@pytest.fixture(scope="module")
def forms(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page, a copy of it, and two pages that share two fifths of it."""
    folder = tmp_path_factory.mktemp("forms")
    page = opened(photos / "motorcycle_left.png").crop((0, 0, 480, 480))
    page.save(folder / "page.png")
    page.save(folder / "page.jpg", quality=70)
    for name in ("astronaut.png", "coffee.png"):
        filled = page.copy()
        filled.paste(opened(photos / name).resize((480, 300)), (0, 180))
        filled.save(folder / f"form-{name}")
    return folder


@pytest.mark.parametrize("gone", [False, True], ids=["with their files", "by details alone"])
def test_pages_that_share_a_part_are_not_one_picture(
    forms: Path, index: Callable[..., None], tmp_path: Path, gone: bool
) -> None:
    folder = tmp_path / "pictures"
    shutil.copytree(forms, folder)
    paths = sorted(folder.iterdir())
    index(tmp_path / "db", paths)
    if gone:
        for path in paths:
            path.unlink()
    with SearchClient(tmp_path / "db") as client:
        shared = client.search_features(canonical_uri(folder / "page.png"))
        assert {hit.verdict for hit in shared} == {"copy"}, "geometry alone cannot tell them apart"
        assert len(shared) == 3
        assert [set(group) for group in names(client.duplicates(min_score=0.3))] == [{"page.png", "page.jpg"}]


def test_a_change_in_one_place_is_seen_where_the_files_are_at_hand(
    photos: Path, index: Callable[..., None], tmp_path: Path
) -> None:
    """A part a little brighter, with all its details; the same all over would be exposure."""
    coffee = opened(photos / "coffee.png")
    lighter = coffee.point(lambda level: min(255, level + 40))
    coffee.save(tmp_path / "coffee.png")
    lighter.save(tmp_path / "lighter.png")
    coffee.paste(lighter.crop((240, 120, 420, 300)), (240, 120))
    coffee.save(tmp_path / "marked.png")
    index(tmp_path / "db", sorted(tmp_path.glob("*.png")))
    with SearchClient(tmp_path / "db") as client:
        assert {hit.verdict for hit in client.search_features(tmp_path / "coffee.png")} == {"copy"}
        assert [set(group) for group in names(client.duplicates(min_score=0.8))] == [{"coffee.png", "lighter.png"}]


def test_a_damaged_file_is_compared_by_its_details(photos: Path, index: Callable[..., None], tmp_path: Path) -> None:
    coffee = opened(photos / "coffee.png")
    coffee.save(tmp_path / "coffee.png")
    coffee.save(tmp_path / "coffee.jpg", quality=80)
    index(tmp_path / "db", sorted(tmp_path.glob("coffee.*")))
    (tmp_path / "coffee.jpg").write_bytes(b"damaged")
    with SearchClient(tmp_path / "db") as client:
        assert names(client.duplicates()) == [["coffee.png", "coffee.jpg"]]


def test_flat_pictures_are_the_same_by_their_bytes_only(index: Callable[..., None], tmp_path: Path) -> None:
    for name, level in (("a", 90), ("b", 90), ("c", 91)):
        Image.new("L", (90, 60), level).save(tmp_path / f"{name}.png")
    Image.new("L", (90, 61), 90).save(tmp_path / "d.png")
    index(tmp_path / "db", sorted(tmp_path.glob("*.png")))
    with SearchClient(tmp_path / "db") as client:
        (group,) = client.duplicates(min_score=-1)
    assert names([group]) == [["a.png", "b.png"]]
    assert group.others[0].exact


def test_a_picture_linked_by_others_only_says_so(photos: Path, index: Callable[..., None], tmp_path: Path) -> None:
    """Two ends of a chain of crops, each nearly the whole of the next."""
    whole = opened(photos / "motorcycle_left.png")
    for number in range(5):
        left = 34 * number
        whole.crop((left, 20, left + 570, 480 - number)).save(tmp_path / f"{number}.png")
    index(tmp_path / "db", sorted(tmp_path.glob("*.png")))
    with SearchClient(tmp_path / "db") as client:
        (group,) = client.duplicates(min_score=0.3)
    assert names([group]) == [[f"{number}.png" for number in range(5)]]
    assert [other.verdict for other in group.others] == ["copy", "copy", "copy", "contains"]


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
