"""Searching by details: what a crop, a turned copy or a collage finds, and the proof that comes with each hit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from semblant_search import FeatureHit, ImageError, InvalidInput, NoFeaturesError, SearchClient, canonical_uri, draw_matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def library(photos: Path) -> list[Path]:
    """Photographs of at most 2 megapixels."""
    kept = []
    for path in sorted(photos.iterdir()):
        with Image.open(path) as picture:
            if picture.width * picture.height <= 2_000_000:
                kept.append(path)
    return kept


@pytest.fixture(scope="module")
def client(library: list[Path], index: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchClient]:
    db = tmp_path_factory.mktemp("photos") / "photos.db"
    index(db, library)
    with SearchClient(db) as client:
        yield client


@pytest.fixture
def cat(library: list[Path]) -> Path:
    return next(path for path in library if path.name == "chelsea.png")


def opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGB")


def test_a_crop_is_found_with_its_place(client: SearchClient, cat: Path) -> None:
    box = (120, 60, 330, 250)
    hit = client.search_features(opened(cat).crop(box))[0]
    assert (hit.path, hit.verdict) == (cat, "crop")
    assert hit.probability > 0.99
    assert hit.inliers >= 20
    corners = [(120, 60), (330, 60), (330, 250), (120, 250)]
    np.testing.assert_allclose(hit.polygon, corners, atol=4)  # type: ignore[arg-type]


def upper_third(path: Path) -> Image.Image:
    """A copy two thirds as large, with all but its upper third painted over."""
    picture = opened(path)
    third = Image.new("RGB", picture.size, "white")
    third.paste(picture.crop((0, 0, picture.width, picture.height // 3)), (0, 0))
    return third.resize((picture.width * 2 // 3, picture.height * 2 // 3))


def test_the_outline_of_a_copy_is_exact_also_far_from_where_its_details_are(client: SearchClient, library: list[Path]) -> None:
    errors = []
    for path in library:
        hits = client.search_features(upper_third(path), limit=48, min_confidence=0)
        hit = next((hit for hit in hits if hit.path == path), None)
        if hit is not None and hit.inliers >= 12:
            with Image.open(path) as picture:
                size = picture.size
            corners = [(0, 0), (size[0], 0), size, (0, size[1])]
            errors.append(np.abs(np.array(hit.polygon) - corners).max() / max(size))
    assert len(errors) >= 0.6 * len(library)
    assert np.quantile(errors, 0.9) < 0.03


def test_a_region_asks_as_its_crop_but_answers_in_the_picture_s_own_pixels(client: SearchClient, cat: Path) -> None:
    for picture in (cat, str(cat), canonical_uri(cat), opened(cat)):
        hit = client.search_features(picture, region=(120, 60, 210, 190), include_self=True)[0]
        assert hit.path == cat
        np.testing.assert_allclose(hit.transform, np.eye(3), atol=0.02 * 330)  # type: ignore[arg-type]
        np.testing.assert_allclose(hit.polygon[0], (120, 60), atol=4)  # type: ignore[index]


def test_a_mask_asks_for_what_it_marks(client: SearchClient, cat: Path, library: list[Path]) -> None:
    coffee = next(path for path in library if path.name == "coffee.png")
    collage = Image.new("RGB", (1000, 400), "white")
    collage.paste(opened(cat), (0, 0))
    collage.paste(opened(coffee).resize((540, 360)), (455, 20))
    left, right = np.zeros((400, 1000), bool), np.zeros((400, 1000), np.uint8)
    left[:, :450], right[:, 460:] = True, 255
    assert client.search_features(collage, region=left)[0].path == cat
    assert client.search_features(collage, region=right)[0].path == coffee
    assert {hit.path for hit in client.search_features(collage)} == {cat, coffee}
    assert {hit.verdict for hit in client.search_features(collage)} == {"contains"}


def test_turned_scaled_and_compressed_copies_are_found(client: SearchClient, library: list[Path], tmp_path: Path) -> None:
    found = 0
    for path in library:
        picture = opened(path)
        copy = picture.rotate(30, expand=True, fillcolor="white").resize((picture.width * 3 // 4, picture.height * 3 // 4))
        copy.save(tmp_path / "copy.jpg", quality=30)
        hits = client.search_features(tmp_path / "copy.jpg", limit=1)
        found += bool(hits) and hits[0].path == path
    assert found >= 0.65 * len(library)  # others are blurred, or one repeating texture: a stranger could agree as well


def test_a_mirror_image_is_found_and_said_to_be_one(client: SearchClient, cat: Path) -> None:
    picture = opened(cat)
    hit = client.search_features(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT))[0]
    assert (hit.path, hit.mirrored) == (cat, True)
    corners = [(picture.width, 0), (0, 0), (0, picture.height), (picture.width, picture.height)]
    np.testing.assert_allclose(hit.polygon, corners, atol=4)  # type: ignore[arg-type]
    points = np.array(hit.pairs)
    assert np.median(np.abs(picture.width - points[:, 0] - points[:, 2])) < 3


def test_the_agreeing_details_lie_in_both_pictures(client: SearchClient, cat: Path) -> None:
    query = opened(cat).rotate(90, expand=True)
    hit = client.search_features(query)[0]
    points = np.array(hit.pairs)
    assert len(points) >= hit.inliers
    assert (points[:, :2] >= -1).all()
    assert (points[:, :2] <= query.size).all()
    there = np.c_[points[:, :2], np.ones(len(points))] @ np.array(hit.transform).T
    distance = np.hypot(*(there[:, :2] / there[:, 2:] - points[:, 2:]).T)
    assert np.median(distance) < 3


def test_what_is_not_in_the_collection_is_not_found(client: SearchClient, pictures: list[Path]) -> None:
    assert sum(bool(client.search_features(path)) for path in pictures[::10]) <= 1


def test_confidence_orders_and_cuts(client: SearchClient, cat: Path) -> None:
    crop = opened(cat).crop((100, 50, 300, 250))
    everything = client.search_features(crop, min_confidence=0, limit=100)
    assert len(everything) > len(client.search_features(crop)) >= 1
    assert everything[0].path == cat
    compared = [hit for hit in everything if hit.verdict != "none"]
    assert everything[: len(compared)] == compared  # before those of which nothing agrees
    assert [hit.strength for hit in compared] == sorted((hit.strength for hit in compared), reverse=True)
    assert compared[-1].strength < 0 <= compared[0].strength
    assert client.search_features(crop, min_confidence=0, limit=2, offset=1) == everything[1:3]
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(InvalidInput, match="min_confidence"):
            client.search_features(crop, min_confidence=wrong)


def test_json_holds_the_proof_without_its_bulk(client: SearchClient, cat: Path) -> None:
    data = client.search_features(cat, include_self=True)[0].to_json()
    assert data["verdict"] == "copy"
    assert len(data["transform"]) == 3
    assert len(data["polygon"]) == 4
    assert "pairs" not in data


@pytest.mark.parametrize(
    "region",
    [
        (0, 0, 0, 10), (0, 0, 10, -1), (5000, 0, 10, 10), (-20, -20, 10, 10), (0, 0, 10), "abcd", 7,
        np.ones((3, 3)), (0, 0, 1, float("nan")), (0, 0, float("inf"), 1),
    ],
    ids=str,
)  # fmt: skip
def test_regions_that_cannot_be_are_refused(client: SearchClient, cat: Path, region: object) -> None:
    with pytest.raises(InvalidInput):
        client.search_features(cat, region=region)  # type: ignore[arg-type]


def test_an_empty_mask_is_refused(client: SearchClient, cat: Path) -> None:
    size = opened(cat).size
    with pytest.raises(InvalidInput, match="marks no pixel"):
        client.search_features(cat, region=np.zeros(size[::-1], bool))


def test_a_flat_region_has_nothing_to_ask_with(client: SearchClient) -> None:
    picture = Image.new("RGB", (400, 300), "white")
    with pytest.raises(NoFeaturesError):
        client.search_features(picture, region=(10, 10, 50, 50))


def test_a_flat_picture_is_named(library: list[Path], index: Callable[..., None], tmp_path: Path) -> None:
    for name in ("indexed.png", "other.png"):
        Image.new("RGB", (200, 150), "white" if name == "other.png" else "grey").save(tmp_path / name)
    index(tmp_path / "db", [tmp_path / "indexed.png", *library[:2]])
    with SearchClient(tmp_path / "db") as client:
        for asked in (tmp_path / "indexed.png", canonical_uri(tmp_path / "indexed.png"), tmp_path / "other.png"):
            with pytest.raises(NoFeaturesError, match=rf"{Path(asked).name}' has no ORB features"):
                client.search_features(asked)


def test_a_query_over_the_pixel_limit_is_refused_before_it_is_decoded(client: SearchClient) -> None:
    with pytest.raises(ImageError, match="megapixels"):
        client.search_features(Image.new("1", (20_000, 6_000)))


def test_a_region_of_a_picture_whose_file_is_gone_uses_its_stored_features(
    library: list[Path], index: Callable[..., None], tmp_path: Path
) -> None:
    copy = tmp_path / "cat.png"
    copy.write_bytes(next(path for path in library if path.name == "chelsea.png").read_bytes())
    index(tmp_path / "db", [copy, *library[:3]])
    copy.unlink()
    with SearchClient(tmp_path / "db") as client:
        hit = client.search_features(copy, region=(100, 50, 250, 200), include_self=True)[0]
        assert (hit.path, hit.verdict) == (copy, "copy")


def test_fused_puts_the_proven_first_and_goes_on_with_the_alike(client: SearchClient, cat: Path, library: list[Path]) -> None:
    crop = opened(cat).crop((130, 60, 300, 200))
    hits = client.search_fused(crop, limit=8)
    assert hits[0].path == cat
    assert isinstance(hits[0], FeatureHit)
    assert hits[0].verdict == "crop"
    assert len([hit for hit in hits[1:] if hit.verdict == "none"]) >= 6
    assert client.search_fused(crop, limit=3, offset=2) == hits[2:5]
    assert cat not in {hit.path for hit in client.search_fused(cat, limit=100)}
    assert len(client.search_fused(cat, limit=100, include_self=True)) == len(library)


def test_fused_works_for_flat_pictures_and_heeds_the_filter(client: SearchClient) -> None:
    assert len(client.search_fused(Image.new("L", (90, 90), 30), limit=4)) == 4
    hits = client.search_fused(Image.effect_noise((90, 90), 80), limit=50, where="price < 5")
    assert {hit.metadata["price"] for hit in hits} == {0, 1, 2, 3, 4}


def test_the_drawing_shows_both_pictures_and_the_outline_where_the_crop_was(client: SearchClient, cat: Path) -> None:
    crop = opened(cat).crop((120, 60, 330, 250))
    hits = client.search_features(crop)
    drawn = draw_matches(crop, hits)
    pixels = np.asarray(drawn).astype(int)
    green = np.abs(pixels - (16, 185, 129)).sum(axis=2) < 40
    rows, columns = np.nonzero(green)
    scale = 420 / 451  # of the panel: the picture is 451 pixels wide
    assert (columns.max() - columns.min()) == pytest.approx(210 * scale, abs=12)
    assert (rows.max() - rows.min()) == pytest.approx(190 * scale, abs=12)


def test_the_drawing_has_a_row_for_each_proven_hit_and_says_when_there_is_none(
    client: SearchClient, cat: Path, library: list[Path]
) -> None:
    coffee = next(path for path in library if path.name == "coffee.png")
    collage = Image.new("RGB", (1000, 400), "white")
    collage.paste(opened(cat), (0, 0))
    collage.paste(opened(coffee).resize((540, 360)), (455, 20))
    hits = client.search_features(collage)
    assert draw_matches(collage, hits).height > 1.5 * draw_matches(collage, hits, rows=1).height
    assert draw_matches(collage, []).width == draw_matches(collage, hits).width


def test_a_hit_whose_file_is_gone_is_drawn_by_its_outline(
    library: list[Path], index: Callable[..., None], tmp_path: Path
) -> None:
    copy = tmp_path / "cat.png"
    copy.write_bytes(next(path for path in library if path.name == "chelsea.png").read_bytes())
    index(tmp_path / "db", [copy])
    picture = opened(copy)
    copy.unlink()
    with SearchClient(tmp_path / "db") as client:
        drawing = np.asarray(draw_matches(picture, client.search_features(picture))).astype(int)
    panel = np.abs(drawing[:, drawing.shape[1] // 2 :] - (243, 244, 246)).sum(axis=2) == 0
    assert panel.any(axis=0).sum() > 380  # an empty panel as wide as the picture would be
    outline = np.abs(drawing - (16, 185, 129)).sum(axis=2) < 40
    assert outline.any(axis=0).sum() > 380
