"""What a client is asked with: numbers that can be, pictures by any of their names, and files as they are now."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from semblant_search import ImageError, InvalidInput, PointNotFound, SearchClient, canonical_uri, point_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAMES = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "rocket.jpg")


@pytest.fixture(scope="module")
def shelf(photos: Path, index: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five photographs in a folder of their own, and a database beside them."""
    folder = tmp_path_factory.mktemp("requests")
    for name in NAMES:
        shutil.copy(photos / name, folder)
    index(folder / "db", [folder / name for name in NAMES])
    return folder


@pytest.fixture(scope="module")
def client(shelf: Path) -> Iterator[SearchClient]:
    with SearchClient(shelf / "db") as client:
        yield client


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"limit": 0}, "limit"), ({"limit": -1}, "limit"), ({"limit": 2.0}, "limit"), ({"limit": True}, "limit"),
        ({"limit": "3"}, "limit"), ({"offset": -1}, "offset"), ({"offset": 0.5}, "offset"), ({"offset": False}, "offset"),
        ({"limit": np.float64(2)}, "limit"), ({"limit": np.bool_(True)}, "limit"), ({"limit": None}, "limit"),
        ({"offset": np.int64(-1)}, "offset"), ({"offset": None}, "offset"), ({"min_score": np.float32(1.01)}, "min_score"),
        ({"min_score": "1"}, "min_score"), ({"min_score": True}, "min_score"), ({"min_score": np.float32("nan")}, "min_score"),
        ({"min_score": -1.001}, "min_score"), ({"min_score": 1.001}, "min_score"), ({"min_score": float("nan")}, "min_score"),
    ],
    ids=str,
)  # fmt: skip
def test_a_number_that_cannot_be_is_named(client: SearchClient, shelf: Path, options: dict[str, Any], word: str) -> None:
    asked = shelf / NAMES[0]
    with pytest.raises(InvalidInput, match=word):
        client.search(asked, **options)
    with pytest.raises(InvalidInput, match=word):
        client.search_fused(asked, **options)
    with pytest.raises(InvalidInput, match=word):
        client.search_vector(np.ones(client.manifest.dim), **options)
    if word != "min_score":
        with pytest.raises(InvalidInput, match=word):
            client.search_features(asked, **options)
    if word == "limit":
        with pytest.raises(InvalidInput, match=word):
            client.search_batch([asked], **options)


def test_numbers_at_the_edge_are_taken(client: SearchClient, shelf: Path) -> None:
    asked = shelf / NAMES[0]
    assert len(client.search(asked, limit=1)) == 1
    assert len(client.search(asked, limit=10**6, min_score=-1)) == 4
    assert client.search(asked, min_score=1, limit=1) == []
    assert client.search(asked, offset=4) == []
    assert len(client.search(asked, offset=3)) == 1
    assert len(client.search_features(asked, limit=10**4, min_confidence=0)) == 4
    for wrong in (-0.001, 1.001, float("nan")):
        with pytest.raises(InvalidInput, match="min_confidence"):
            client.search_features(asked, min_confidence=wrong)
        with pytest.raises(InvalidInput, match="min_confidence"):
            client.duplicates(min_confidence=wrong)
    for wrong in (-1.001, 1.001, float("nan")):
        with pytest.raises(InvalidInput, match="min_score"):
            client.duplicates(min_score=wrong)


def test_numpy_s_scalars_are_taken_as_numbers(client: SearchClient, shelf: Path) -> None:
    asked = shelf / NAMES[0]
    vector = np.ones(client.manifest.dim)
    numpy_s: dict[str, Any] = {"limit": np.int64(2), "offset": np.uint8(1)}
    python_s: dict[str, Any] = {"limit": 2, "offset": 1}
    calls: list[Callable[[dict[str, Any], Any], Any]] = [
        lambda page, half: client.search(asked, **page, min_score=half),
        lambda page, half: client.search_fused(asked, **page, min_score=half),
        lambda page, half: client.search_vector(vector, **page, min_score=half, ef_search=page["limit"]),
        lambda page, half: client.search_features(asked, **page, min_confidence=half),
        lambda page, half: client.search_features(asked, **page, verify=False),
        lambda page, half: client.search_batch([asked], page["limit"]),
        lambda page, half: client.facet("_format", limit=page["limit"]),
        lambda page, half: client.duplicates(min_score=half, min_confidence=half),
    ]
    for call in calls:
        assert call(numpy_s, np.float32(0.5)) == call(python_s, 0.5)
    for wrong in (0, np.int64(0), 1.5, "3"):
        with pytest.raises(InvalidInput, match="ef_search"):
            client.search_vector(vector, ef_search=wrong)  # type: ignore[arg-type]


def test_more_than_any_collection_holds_is_all_of_it(client: SearchClient, shelf: Path) -> None:
    asked, vector = shelf / NAMES[0], np.ones(client.manifest.dim)
    for most in (2**31, 2**64, 10**5000):
        assert len(client.search(asked, limit=most)) == len(client.search_batch([asked], most)[0]) == 4
        assert len(client.search_vector(vector, limit=most)) == 5
        assert len(client.search_features(asked, limit=most, min_confidence=0)) == 4
        assert client.search(asked, offset=most) == client.search_vector(vector, offset=most) == []
        with pytest.raises(InvalidInput, match="offset"):
            client.search(asked, offset=-most)


def test_a_picture_is_as_like_itself_as_can_be(client: SearchClient, shelf: Path) -> None:
    scores = []
    for name in NAMES:
        stored = client.embed([shelf / name])[0]
        itself = client.search(canonical_uri(shelf / name), min_score=1.0, include_self=True)
        assert [hit.path for hit in itself] == [shelf / name]
        for factor in np.random.default_rng(0).uniform(0.1, 10, 40):
            hits = client.search_vector(stored * factor, min_score=np.float32(1))  # type: ignore[arg-type]
            assert [hit.path for hit in hits] == [shelf / name]
            scores.append(hits[0].score)
    assert 1 - 1e-6 < min(scores) < 1  # or there would be nothing to allow for


def test_hits_can_be_kept_in_sets(client: SearchClient, shelf: Path) -> None:
    asked = shelf / NAMES[0]
    for hits in (client.search(asked), client.search_fused(asked), client.search_features(asked, min_confidence=0)):
        assert len({*hits, *hits}) == len(hits) > 0
        assert {hit: hit.uri for hit in hits} == dict(zip(hits, (hit.uri for hit in hits), strict=True))
    assert client.get(asked) in {client.get(asked)}


@pytest.mark.parametrize(
    ("vector", "word"),
    [(np.ones(48), r"\[48\]"), (np.ones((1, 49)), r"\[1, 49\]"), (np.zeros(49), "zero"), (["a"] * 49, "49 numbers"),
     (np.full(49, np.nan), "finite"), ([float("inf")] + [0.0] * 48, "finite")],
    ids=["short", "flat", "zeros", "text", "nan", "infinite"],
)  # fmt: skip
def test_a_vector_that_has_no_direction_is_refused(client: SearchClient, vector: Any, word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        client.search_vector(vector)


def test_a_vector_is_compared_by_its_direction(client: SearchClient, shelf: Path) -> None:
    vector = client.embed([shelf / "coffee.png"])[0]
    for length in (1, 1e-6, 1e25, 1e-200, 1e200):
        hits = client.search_vector([float(value) * length for value in vector], limit=2)
        assert hits[0].path == shelf / "coffee.png"
        assert hits[0].score == pytest.approx(1, abs=1e-4)
    assert [hit.id for hit in client.search_vector(vector, limit=5)[1:]] == [
        hit.id for hit in client.search(shelf / "coffee.png")
    ]


def names_of(path: Path) -> list[Any]:
    uri = canonical_uri(path)
    return [path, str(path), uri, point_id(uri), point_id(uri).upper()]


def test_a_picture_of_the_collection_is_known_by_each_of_its_names(client: SearchClient, shelf: Path) -> None:
    for name in names_of(shelf / "chelsea.png"):
        assert client.get(name).path == shelf / "chelsea.png"
        assert client.search(name, limit=1, include_self=True)[0].path == shelf / "chelsea.png"
        assert {hit.path for hit in client.search(name)} == {shelf / other for other in NAMES if other != "chelsea.png"}
        assert client.search_features(name, include_self=True)[0].verdict == "copy"
        assert client.search_features(name) == []


def test_pixels_have_no_name_and_leave_nothing_out(client: SearchClient, shelf: Path) -> None:
    path = shelf / "chelsea.png"
    with Image.open(path) as picture:
        for asked in (path.read_bytes(), picture, np.asarray(picture.convert("RGB"))):
            assert client.search(asked, limit=1)[0].path == path
            assert client.search_features(asked)[0].path == path
            assert client.search_fused(asked, limit=9)[0].path == path


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("nosuch.png", ImageError),
        ("file:///nosuch/a.png", PointNotFound),
        ("https://example.org/a.png", PointNotFound),
        ("00000000-0000-0000-0000-000000000000", PointNotFound),
        ("zzzzzzzz-0000-0000-0000-000000000000", ImageError),  # no id: a file of this name
    ],
)
def test_a_name_that_nobody_knows_says_so(client: SearchClient, name: str, error: type[Exception]) -> None:
    for ask in (client.search, client.search_features):
        with pytest.raises(error, match=name):
            ask(name)


def test_a_local_file_by_its_uri_need_not_be_in_the_collection(client: SearchClient, shelf: Path, photos: Path) -> None:
    assert client.search(canonical_uri(photos / "coffee.png"), limit=1)[0].path == shelf / "coffee.png"
    (hit,) = client.search_features(canonical_uri(photos / "coffee.png"))
    assert hit.path == shelf / "coffee.png"


def test_a_file_that_has_changed_is_asked_as_it_is_now_and_its_uri_for_what_was_indexed(
    photos: Path, index: Callable[..., None], tmp_path: Path
) -> None:
    for name in NAMES:
        shutil.copy(photos / name, tmp_path)
    index(tmp_path / "db", [tmp_path / name for name in NAMES])
    changed = tmp_path / "coffee.png"
    shutil.copy(photos / "chelsea.png", changed)
    with SearchClient(tmp_path / "db") as client:
        now, before = client.search(changed, limit=1)[0], client.search(canonical_uri(changed), limit=5, include_self=True)[0]
        assert now.path == tmp_path / "chelsea.png"
        assert before.path == changed
        assert [hit.path for hit in client.search_features(changed)] == [tmp_path / "chelsea.png"]
        assert changed not in {hit.path for hit in client.search(changed, limit=9)}  # nor is what it was a hit for itself
        assert client.search_features(canonical_uri(changed)) == []
        changed.unlink()
        assert client.search(changed, limit=5, include_self=True)[0].path == changed  # gone: what is stored answers
        assert client.search_features(changed, include_self=True)[0].path == changed


def test_a_region_of_an_indexed_picture_is_cut_from_its_file_or_else_from_its_stored_details(
    photos: Path, index: Callable[..., None], tmp_path: Path
) -> None:
    for name in ("chelsea.png", "coffee.png", "motorcycle_left.png"):
        shutil.copy(photos / name, tmp_path)
    with Image.open(photos / "motorcycle_left.png") as whole:
        whole.crop((100, 50, 700, 480)).save(tmp_path / "part.png")
    index(tmp_path / "db", sorted(tmp_path.glob("*.png")))
    asked = tmp_path / "motorcycle_left.png"
    box = (150, 100, 450, 350)
    mask = np.zeros((500, 741), bool)
    mask[100:450, 150:600] = True
    with SearchClient(tmp_path / "db") as client:
        fine = [client.search_features(asked, region=region)[0] for region in (box, mask)]
        asked.unlink()
        coarse = [client.search_features(asked, region=region)[0] for region in (box, mask)]
        with pytest.raises(InvalidInput, match="outside"):
            client.search_features(asked, region=(741, 0, 10, 10))
        with pytest.raises(InvalidInput, match=r"\[500, 741\]"):
            client.search_features(asked, region=np.ones((324, 480), bool))
    for hit in (*fine, *coarse):
        assert hit.path == tmp_path / "part.png"
        points = np.array(hit.pairs)
        assert ((points[:, :2] >= (148, 98)) & (points[:, :2] <= (602, 452))).all()
        assert np.median(np.abs(points[:, :2] - (100, 50) - points[:, 2:])) < 3
    np.testing.assert_allclose(fine[0].polygon, [(50, 50), (500, 50), (500, 400), (50, 400)], atol=8)  # type: ignore[arg-type]
    assert fine[0].inliers > coarse[0].inliers  # the file has more details than were stored of its part


def test_a_query_is_looked_at_with_the_settings_of_its_collection(
    client: SearchClient, shelf: Path, index: Callable[..., None], tmp_path: Path
) -> None:
    index(tmp_path / "db", [shelf / "coffee.png"])
    manifest = tmp_path / "db" / "images" / "g0001" / "manifest.json"
    facts = json.loads(manifest.read_text())
    facts["orb"]["settings"]["query_features"] = 37
    manifest.write_text(json.dumps(facts))
    pixels = (shelf / "coffee.png").read_bytes()
    with SearchClient(tmp_path / "db") as few:
        hits = [asked.search_features(pixels, limit=1)[0] for asked in (few, client)]
    assert [hit.path for hit in hits] == [shelf / "coffee.png"] * 2
    assert len(hits[0].pairs) <= 37 < len(hits[1].pairs)
