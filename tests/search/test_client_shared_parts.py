"""A part that two pictures share: found where it is asked for, outlined where it lies, and never in strangers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageOps
from semblant_search import InvalidInput, SearchClient, canonical_uri
from semblant_search.cli import semblant
from support.pixels import is_colour

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


OTHERS = ("brick.png", "chelsea.png", "gravel.png", "page.png", "rocket.jpg", "text.png")
STRANGERS = ("camera.png", "coins.png", "coffee.png", "grass.png", "ihc.png", "moon.png", "retina.jpg")
THING = (250, 180, 470, 400)
"""A part of the motorcycle."""
STARS = (200, 200, 420, 420)


def opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGB")


@pytest.fixture(scope="module")
def thing(photos: Path) -> Image.Image:
    return opened(photos / "motorcycle_left.png").crop(THING)


@pytest.fixture(scope="module")
def stars(photos: Path) -> Image.Image:
    return opened(photos / "hubble_deep_field.jpg").crop(STARS)


def pasted(thing: Image.Image, below: Path, at: tuple[int, int]) -> Image.Image:
    picture = opened(below)
    picture.paste(thing, at)
    return picture


@pytest.fixture(scope="module")
def folder(photos: Path, thing: Image.Image, stars: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures that show something of other pictures, and nothing else of them."""
    folder = tmp_path_factory.mktemp("collages")
    pasted(thing, photos / "astronaut.png", (270, 260)).save(folder / "thing.png")
    pasted(stars, photos / "astronaut.png", (20, 270)).save(folder / "stars.png")
    return folder


@pytest.fixture(scope="module")
def db(photos: Path, folder: Path, index: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    db = tmp_path_factory.mktemp("parts") / "db"
    index(db, [folder / "thing.png", folder / "stars.png", *(photos / name for name in OTHERS)])
    return db


@pytest.fixture
def copied(db: Path, tmp_path: Path) -> Path:
    """The database again, for a command to open."""
    return Path(shutil.copytree(db, tmp_path / "db"))


@pytest.fixture(scope="module")
def client(db: Path) -> Iterator[SearchClient]:
    with SearchClient(db) as client:
        yield client


@pytest.fixture(scope="module")
def asked(photos: Path, thing: Image.Image, stars: Image.Image) -> dict[str, Image.Image]:
    """Other pictures that show the same."""
    return {
        "thing.png": pasted(thing, photos / "coffee.png", (40, 30)),
        "stars.png": pasted(stars, photos / "camera.png", (40, 30)),
    }


PLACES = {"thing.png": ((40, 30), (270, 260)), "stars.png": ((40, 30), (20, 270))}
NAMES = list(PLACES)


def within(points: Any, at: tuple[int, int], margin: float = 10) -> bool:
    corners = np.array(points)
    return bool(((corners >= np.array(at) - margin) & (corners <= np.array(at) + 220 + margin)).all())


def area(polygon: Any) -> float:
    x, y = np.array(polygon).T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


@pytest.mark.parametrize("name", NAMES)
def test_what_two_pictures_share_is_found_where_it_is_asked_for(
    client: SearchClient, folder: Path, asked: dict[str, Image.Image], name: str
) -> None:
    assert client.search_features(asked[name]) == []
    (hit,) = client.search_features(asked[name], shared_parts=True)
    assert (hit.path, hit.verdict, hit.mirrored) == (folder / name, "shared part", False)
    assert 0.95 <= hit.probability < 1
    assert hit.inliers >= 5
    assert 0 < hit.support <= 1
    assert hit.evidence > 8


@pytest.mark.parametrize("name", NAMES)
def test_it_is_outlined_where_it_lies_in_both(client: SearchClient, asked: dict[str, Image.Image], name: str) -> None:
    (hit,) = client.search_features(asked[name], shared_parts=True)
    for outline, place in zip((hit.part_in_query, hit.part_in_hit), PLACES[name], strict=True):
        assert outline is not None
        assert len(outline) >= 3
        assert within(outline, place)
        assert area(outline) > 0.15 * 220 * 220
    pairs = np.array(hit.pairs)
    assert len(pairs) >= hit.inliers
    here, there = (np.array(place) for place in PLACES[name])
    np.testing.assert_allclose(pairs[:, :2] - here, pairs[:, 2:] - there, atol=8)


@pytest.mark.parametrize("name", STRANGERS)
def test_strangers_share_nothing(client: SearchClient, photos: Path, name: str) -> None:
    assert client.search_features(photos / name, shared_parts=True) == []


def test_what_is_proven_keeps_its_verdict_and_comes_first(client: SearchClient, photos: Path, thing: Image.Image) -> None:
    """A photograph beside the thing: the photograph is proven, the thing is a part of another picture."""
    rocket = opened(photos / "rocket.jpg").resize((320, 213), Image.Resampling.LANCZOS)
    query = Image.new("RGB", (rocket.width + thing.width, thing.height), "white")
    query.paste(rocket, (0, 0))
    query.paste(thing, (rocket.width, 0))
    (whole,) = client.search_features(query)
    hits = client.search_features(query, shared_parts=True)
    assert hits[0] == whole
    assert whole.path == photos / "rocket.jpg"
    assert whole.verdict != "shared part"
    assert (whole.part_in_query, whole.part_in_hit) == (None, None)
    assert [hit.verdict for hit in hits[1:]] == ["shared part"]


@pytest.mark.parametrize("least", [None, 0.5, 0.0])
def test_but_for_shared_parts_the_answer_is_the_same(
    client: SearchClient, asked: dict[str, Image.Image], least: float | None
) -> None:
    for query in asked.values():
        without = client.search_features(query, min_confidence=least)
        hits = client.search_features(query, min_confidence=least, shared_parts=True)
        shared = {hit.id for hit in hits if hit.verdict == "shared part"}
        assert len(shared) == 1
        assert [hit for hit in hits if hit.id not in shared] == [hit for hit in without if hit.id not in shared]
        assert hits[0].id in shared  # nothing is proven


def test_the_least_confidence_is_of_parts_too(client: SearchClient, asked: dict[str, Image.Image]) -> None:
    (hit,) = client.search_features(asked["stars.png"], shared_parts=True)
    for least in (hit.probability, 0.5):
        assert client.search_features(asked["stars.png"], shared_parts=True, min_confidence=least)[0] == hit
    assert client.search_features(asked["stars.png"], shared_parts=True, min_confidence=1) == []


def test_pictures_of_the_collection_are_asked_by_their_names(
    photos: Path, folder: Path, asked: dict[str, Image.Image], index: Callable[..., None], tmp_path: Path
) -> None:
    """Nothing is decoded: only half as many features, the stored ones, are compared."""
    asked["stars.png"].save(tmp_path / "twin.png")
    index(tmp_path / "db", [folder / "stars.png", tmp_path / "twin.png", *(photos / name for name in OTHERS)])
    (tmp_path / "twin.png").unlink()
    uri = canonical_uri(tmp_path / "twin.png")
    with SearchClient(tmp_path / "db") as client:
        assert client.search_features(uri) == []
        (hit,) = client.search_features(uri, shared_parts=True)
    assert (hit.path, hit.verdict) == (folder / "stars.png", "shared part")
    assert within(hit.part_in_query, PLACES["stars.png"][0])
    assert within(hit.part_in_hit, PLACES["stars.png"][1])


def test_a_region_without_the_thing_shares_nothing(client: SearchClient, asked: dict[str, Image.Image]) -> None:
    query = asked["thing.png"]
    assert client.search_features(query, region=(270, 0, query.width - 270, query.height), shared_parts=True) == []


def test_the_mirror_image_of_a_whole_is_still_found(client: SearchClient, photos: Path, stars: Image.Image) -> None:
    flipped = ImageOps.mirror(opened(photos / "chelsea.png"))
    assert [(hit.mirrored, hit.path) for hit in client.search_features(flipped, shared_parts=True)] == [
        (True, photos / "chelsea.png")
    ]


def test_a_fused_search_puts_shared_parts_before_lookalikes(
    client: SearchClient, folder: Path, asked: dict[str, Image.Image]
) -> None:
    plain = client.search_fused(asked["thing.png"], 8)
    hits = client.search_fused(asked["thing.png"], 8, shared_parts=True)
    assert (hits[0].path, hits[0].verdict) == (folder / "thing.png", "shared part")
    assert {hit.id for hit in hits} == {hit.id for hit in plain}
    assert hits[1:] == [hit for hit in plain if hit.id != hits[0].id]


@pytest.mark.parametrize("wrong", ["yes", 1, None])
def test_it_is_asked_for_or_not(client: SearchClient, asked: dict[str, Image.Image], wrong: Any) -> None:
    with pytest.raises(InvalidInput, match=f"shared_parts {wrong!r}: expected True or False"):
        client.search_features(asked["thing.png"], shared_parts=wrong)
    with pytest.raises(InvalidInput, match="expected True or False"):
        client.search_fused(asked["thing.png"], shared_parts=wrong)


def test_where_nothing_is_compared_no_part_can_be_asked_for(client: SearchClient, asked: dict[str, Image.Image]) -> None:
    with pytest.raises(InvalidInput, match="shared_parts with verify=False"):
        client.search_features(asked["thing.png"], shared_parts=True, verify=False)


def test_the_command_prints_and_draws_it(copied: Path, folder: Path, asked: dict[str, Image.Image], tmp_path: Path) -> None:
    asked["stars.png"].save(tmp_path / "query.png")
    words = ["search", str(tmp_path / "query.png"), "--db", str(copied), "--features", "--shared-parts"]
    result = CliRunner().invoke(semblant, [*words, "--json", "--show", str(tmp_path / "matches.png")])
    assert result.exit_code == 0, result.output
    (hit,) = json.loads(result.stdout)["hits"]
    assert (hit["uri"], hit["verdict"]) == (canonical_uri(folder / "stars.png"), "shared part")
    assert within(hit["part_in_query"], (40, 30))
    assert within(hit["part_in_hit"], (20, 270))
    with Image.open(tmp_path / "matches.png") as picture:
        drawn = picture.convert("RGB")
    for colour in ("#2563eb", "#10b981"):
        assert is_colour(drawn, colour).sum() > 200
    table = CliRunner().invoke(semblant, words)
    assert "\tverdict=shared part\t" in table.stdout
    assert CliRunner().invoke(semblant, words[:-1]).stdout == ""


def test_the_command_says_what_it_goes_with(db: Path, folder: Path) -> None:
    result = CliRunner().invoke(semblant, ["search", str(folder / "thing.png"), "--db", str(db), "--shared-parts"])
    assert result.exit_code == 2
    assert "--shared-parts goes with --features or --fused" in result.stderr
