"""The proof of a hit: where it says the query lies, in both pictures' own pixels, against what was done to the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw
from semblant_search import FeatureHit, SearchClient
from support.details import through

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Changed = tuple[Image.Image, np.ndarray]

NAMES = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "retina.jpg", "rocket.jpg")


@pytest.fixture(scope="module")
def client(photos: Path, index: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchClient]:
    db = tmp_path_factory.mktemp("proofs") / "db"
    index(db, [photos / name for name in NAMES])
    with SearchClient(db) as client:
        yield client


def opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGB")


def corners(width: float, height: float) -> np.ndarray:
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)


def cropped(picture: Image.Image) -> Changed:
    left, top = picture.width // 5, picture.height // 4
    box = (left, top, left + picture.width // 2, top + picture.height // 2)
    return picture.crop(box), np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], np.float64)


def shrunk(picture: Image.Image) -> Changed:
    size = picture.width * 3 // 5, picture.height * 3 // 5
    small = picture.resize(size, Image.Resampling.LANCZOS)
    return small, np.diag([picture.width / size[0], picture.height / size[1], 1])


def enlarged(picture: Image.Image) -> Changed:
    large = picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.BICUBIC)
    return large, np.diag([0.5, 0.5, 1])


def turned(picture: Image.Image) -> Changed:
    """By 25° about the middle, whole, on white."""
    angle = np.deg2rad(25)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    query = picture.rotate(25, expand=True, fillcolor="white", resample=Image.Resampling.BICUBIC)
    middle, there = np.array(query.size) / 2, np.array(picture.size) / 2
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = rotation, there - rotation @ middle
    return query, matrix


def quarter(picture: Image.Image) -> Changed:
    return picture.transpose(Image.Transpose.ROTATE_90), np.array([[0, -1, picture.width], [1, 0, 0], [0, 0, 1]], np.float64)


def pasted(picture: Image.Image) -> Changed:
    """Half as large, in a larger picture."""
    small = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)
    query = Image.new("RGB", (small.width * 2, small.height * 2), "white")
    query.paste(small, (60, 40))
    zoom = picture.width / small.width, picture.height / small.height
    return query, np.array([[zoom[0], 0, -60 * zoom[0]], [0, zoom[1], -40 * zoom[1]], [0, 0, 1]])


def pasted_above_gravel(picture: Image.Image) -> Changed:
    """Whole, above details that are none of its own."""
    query = Image.new("RGB", (picture.width + 100, picture.height + 140), "white")
    query.paste(picture, (60, 40))
    coarse = np.random.default_rng(4).integers(0, 256, (12, query.width // 6), dtype=np.uint8)
    query.paste(Image.fromarray(coarse).resize((query.width, 72)).convert("RGB"), (0, query.height - 72))
    return query, np.array([[1, 0, -60], [0, 1, -40], [0, 0, 1]], np.float64)


def in_a_window(picture: Image.Image) -> Changed:
    """Whole, on a screen: with a title above it, whose few details are too near the border to be extracted."""
    query = Image.new("RGB", (picture.width + 16, picture.height + 48), (236, 236, 240))
    draw = ImageDraw.Draw(query)
    draw.rectangle((0, 0, query.width, 26), fill=(52, 60, 80))
    draw.text((8, 4), "Viewer: holiday pictures", fill="white", font_size=14)
    query.paste(picture, (8, 40))
    return query, np.array([[1, 0, -8], [0, 1, -40], [0, 0, 1]], np.float64)


def photographed(picture: Image.Image) -> Changed:
    """From the side."""
    width, height = picture.size
    depth = np.array([[1.1, 0.08, -0.06 * width], [0.05, 1.15, -0.05 * height], [1e-4, 2e-4, 1]])
    return picture.transform(picture.size, Image.Transform.PERSPECTIVE, depth.ravel()[:8].tolist(), fillcolor="grey"), depth


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (cropped, "crop"),
        (shrunk, "rotated/scaled"),
        (enlarged, None),
        (turned, None),
        (quarter, "rotated/scaled"),
        (pasted, "rotated/scaled"),  # a plain ground is nothing that the query shows besides
        (pasted_above_gravel, "contains"),
        (in_a_window, "contains"),
        (photographed, None),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
@pytest.mark.parametrize("name", ["astronaut.png", "chelsea.png", "motorcycle_left.png"])
def test_a_hit_says_where_the_query_lies_in_it(
    client: SearchClient, photos: Path, name: str, change: Callable[[Image.Image], Changed], verdict: str | None
) -> None:
    picture = opened(photos / name)
    query, truth = change(picture)
    (hit,) = client.search_features(query)
    assert hit.path == photos / name
    assert verdict in (hit.verdict, None)
    assert not hit.mirrored
    there, near = through(truth, corners(*query.size)), 0.015 * max(picture.size)
    np.testing.assert_allclose(hit.polygon, there, atol=near)  # type: ignore[arg-type]
    np.testing.assert_allclose(through(np.array(hit.transform), corners(*query.size)), hit.polygon, atol=1e-6)  # type: ignore[arg-type]
    points = np.array(hit.pairs)
    away = np.linalg.norm(through(truth, points[:, :2]) - points[:, 2:], axis=1)
    off = 0.006 if change is pasted_above_gravel else 0.004  # other details take places from its own
    assert np.median(away) < off * max(picture.size)
    assert 15 <= hit.inliers <= len(points)
    assert hit.evidence > 10
    assert hit.transform is not None
    assert hit.transform[2][2] == 1


@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_180, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM])
def test_a_large_picture_turned_or_flipped_lies_exactly_over_itself(
    client: SearchClient, photos: Path, turn: Image.Transpose
) -> None:
    """Details are found in pixels three times as large; half of one, lost on either side, would be seen."""
    retina = opened(photos / "retina.jpg")
    hit = client.search_features(retina.transpose(turn))[0]
    assert hit.path == photos / "retina.jpg"
    assert hit.mirrored == (turn != Image.Transpose.ROTATE_180)
    far, flat = turn != Image.Transpose.FLIP_TOP_BOTTOM, turn != Image.Transpose.FLIP_LEFT_RIGHT
    there = np.abs(corners(*retina.size) - (retina.width * far, retina.height * flat))
    np.testing.assert_allclose(hit.polygon, there, atol=3.5)  # type: ignore[arg-type]
    middle = np.array(hit.pairs)[:, :2].mean(axis=0)
    np.testing.assert_allclose(
        through(np.array(hit.transform), middle[None]),
        np.abs(middle - (far * retina.width, flat * retina.height))[None],
        atol=3,
    )


def test_a_photograph_of_many_megapixels_is_answered_in_its_own_pixels(
    client: SearchClient, photos: Path, tmp_path: Path
) -> None:
    """A large JPEG is decoded at half its size; what is said of it is not."""
    coffee = opened(photos / "coffee.png")
    coffee.resize((3000, 2000)).save(tmp_path / "large.jpg")
    (hit,) = client.search_features(tmp_path / "large.jpg")
    np.testing.assert_allclose(hit.polygon, corners(*coffee.size), atol=5)  # type: ignore[arg-type]
    assert 1500 < np.array(hit.pairs)[:, 0].max() <= 3000
    np.testing.assert_allclose(np.array(hit.transform)[:2, :2], np.eye(2) / 5, atol=0.01)


def test_a_region_of_many_megapixels_lies_where_it_was_asked_for(client: SearchClient, photos: Path, tmp_path: Path) -> None:
    """The lower right of a large JPEG: a place that the same file, decoded at half its size, does not have."""
    opened(photos / "coffee.png").resize((3000, 2000)).save(tmp_path / "large.jpg")
    (hit,) = client.search_features(tmp_path / "large.jpg", region=(1600, 1100, 1200, 800))
    assert hit.path == photos / "coffee.png"
    expected = np.array([[320, 220], [560, 220], [560, 380], [320, 380]])
    np.testing.assert_allclose(hit.polygon, expected, atol=5)  # type: ignore[arg-type]


def test_a_mirror_image_is_looked_for_only_where_nothing_else_is_found(client: SearchClient, photos: Path) -> None:
    flipped = opened(photos / "chelsea.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert [hit.mirrored for hit in client.search_features(flipped)] == [True]
    both = Image.new("RGB", (1060, 400), "white")
    both.paste(flipped, (0, 0))
    both.paste(opened(photos / "coffee.png"), (460, 0))
    assert [hit.path for hit in client.search_features(both)] == [photos / "coffee.png"]
    asked = client.search_features(flipped, min_confidence=0, limit=3)
    assert not any(hit.mirrored for hit in asked)  # there are candidates, however unlikely


def test_a_mirrored_region_is_found_in_the_picture_s_own_pixels(client: SearchClient, photos: Path) -> None:
    flipped = opened(photos / "chelsea.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    (hit,) = client.search_features(flipped, region=(121, 60, 210, 190))
    assert hit.mirrored
    np.testing.assert_allclose(hit.polygon, [(330, 60), (120, 60), (120, 250), (330, 250)], atol=5)  # type: ignore[arg-type]
    points = np.array(hit.pairs)
    assert ((points[:, :2] >= (120, 59)) & (points[:, :2] <= (332, 251))).all()


def test_a_mask_asks_for_nothing_outside_of_it(client: SearchClient, photos: Path) -> None:
    """Not for what its box holds besides."""
    cat = opened(photos / "chelsea.png")
    x, y = np.meshgrid(np.arange(cat.width), np.arange(cat.height))
    mask = (x - 230) ** 2 + (y - 150) ** 2 < 110**2
    (hit,) = client.search_features(cat, region=mask)
    points = np.array(hit.pairs)
    assert len(points) > 20
    assert (np.hypot(points[:, 0] - 230, points[:, 1] - 150) < 113).all()
    np.testing.assert_allclose(hit.polygon, corners(220, 220) + np.array([120, 40]), atol=4)  # type: ignore[arg-type]


def test_what_is_no_hit_has_no_proof(client: SearchClient, photos: Path) -> None:
    hits = client.search_features(photos / "coffee.png", min_confidence=0)
    assert len(hits) == len(NAMES) - 1
    for hit in hits:
        assert hit.verdict in ("none", "lookalike")
        assert (hit.transform is None) == (hit.polygon is None) == (hit.verdict == "none") == (hit.inliers == 0)
        assert hit.probability < 0.99


def test_candidates_without_a_proof_are_in_the_order_of_shared_words(client: SearchClient, photos: Path) -> None:
    crop = opened(photos / "rocket.jpg").crop((100, 50, 500, 400))
    words = client.search_features(crop, verify=False, limit=7)
    assert words[0].path == photos / "rocket.jpg"
    assert [hit.score for hit in words] == sorted((hit.score for hit in words), reverse=True)
    assert {(hit.verdict, hit.inliers, hit.transform) for hit in words} == {("none", 0, None)}
    proven = client.search_features(crop, min_confidence=0)
    assert {hit.id: hit.score for hit in proven} == {hit.id: hit.score for hit in words}
    assert [hit.metadata for hit in words] == [client.get(hit.uri).metadata for hit in words]
    assert all(isinstance(hit, FeatureHit) and hit.facts["_width"] for hit in proven)
    assert client.search_features(crop, verify=False, limit=2, offset=1) == words[1:3]
