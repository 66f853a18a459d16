"""Which pixels a query is compared by: its own, those of its region, the kept ones of a record, or none."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from semblant_search import FeatureHit, SearchClient, canonical_uri
from semblant_search.orb import Calibration, unpack_thumbnail
from semblant_search.orb.weighing import USUAL_DISAGREEMENT, strength
from semblant_search.store import open_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAMES = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "rocket.jpg")


def make(photos: Path, index: Callable[..., None], folder: Path, **options: bool) -> Path:
    """Photographs, and a smaller copy of one."""
    with Image.open(photos / "coffee.png") as picture:
        picture.resize((450, 300)).save(folder / "smaller.png")
    index(folder / "db", [*(photos / name for name in NAMES), folder / "smaller.png"], **options)
    return folder / "db"


@pytest.fixture(scope="module")
def client(photos: Path, index: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchClient]:
    with SearchClient(make(photos, index, tmp_path_factory.mktemp("thumbnails"))) as opened:
        yield opened


@pytest.fixture(scope="module")
def older(photos: Path, index: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchClient]:
    """Of a collection that was made before there were thumbnails."""
    with SearchClient(make(photos, index, tmp_path_factory.mktemp("older"), thumbnails=False)) as opened:
        yield opened


def opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGB")


def best(client: SearchClient, *asked: object, **options: object) -> FeatureHit:
    hits = client.search_features(*asked, **options)  # type: ignore[arg-type]
    assert hits
    return hits[0]


def test_a_picture_and_a_crop_are_compared_by_their_pixels(client: SearchClient, photos: Path) -> None:
    cat = opened(photos / "chelsea.png")
    for query in (cat.resize((300, 200)), cat.crop((100, 40, 380, 260)), cat.rotate(90, expand=True)):
        hit = best(client, query)
        assert hit.path == photos / "chelsea.png"
        assert hit.correlation is not None
        assert hit.correlation > 0.85
        assert hit.support > 0.1
        general = Calibration.general()
        assert hit.probability in [general.probability(hit.strength, pixels=True, laid_over=laid) for laid in (True, False)]


def test_a_box_is_compared_by_the_pixels_in_it_and_a_mask_by_details_alone(client: SearchClient, photos: Path) -> None:
    cat = photos / "chelsea.png"
    box = best(client, cat, region=(100, 40, 280, 220), include_self=True)
    assert box.path == cat
    assert box.correlation is not None
    assert box.correlation > 0.9
    mask = np.zeros((300, 451), bool)
    mask[40:260, 100:380] = True
    marked = best(client, cat, region=mask, include_self=True)
    assert (marked.path, marked.correlation) == (cat, None)
    assert marked.probability == Calibration.general().probability(marked.strength, pixels=False)


def test_a_picture_of_the_collection_is_compared_by_the_thumbnail_that_is_kept(
    photos: Path, index: Callable[..., None], tmp_path: Path
) -> None:
    """Its file may be gone."""
    moved = tmp_path / "smaller.png"
    path = make(photos, index, tmp_path)
    moved.unlink()
    with SearchClient(path) as client:
        hit = best(client, canonical_uri(moved))
        assert hit.path == photos / "coffee.png"
        assert hit.verdict == "rotated/scaled"
        assert hit.correlation is not None
        assert hit.correlation > 0.95
        # A part of it that cannot be cut out of a file is compared by its details alone.
        part = best(client, canonical_uri(moved), region=(50, 50, 300, 200), include_self=True)
        assert part.correlation is None
        assert part.inliers > 10


def test_mirrored_queries_are_proven_by_mirrored_pixels(client: SearchClient, photos: Path) -> None:
    for name in ("chelsea.png", "astronaut.png", "rocket.jpg"):
        hit = best(client, opened(photos / name).transpose(Image.Transpose.FLIP_LEFT_RIGHT))
        assert (hit.path, hit.mirrored) == (photos / name, True)
        assert hit.correlation is not None
        assert hit.correlation > 0.9
        assert hit.probability >= 0.99


def test_pixels_that_disagree_are_seen_where_details_agree(client: SearchClient, photos: Path) -> None:
    """Half of a picture is another one: the details of the rest agree, and what is over them does not."""
    found = []
    for covered in (False, True):
        cat = opened(photos / "chelsea.png").resize((400, 266))
        if covered:
            cat.paste(opened(photos / "rocket.jpg").resize((400, 133)), (0, 0))
        hits = client.search_features(cat, min_confidence=0)
        (hit,) = (hit for hit in hits if hit.path == photos / "chelsea.png")
        assert hit.correlation is not None
        found.append(hit)
    whole, half = found
    assert (whole.correlation or 0) > (half.correlation or 0) + 0.2
    assert whole.support > half.support
    assert half.disagreement > USUAL_DISAGREEMENT > whole.disagreement >= 0
    assert whole.strength > half.strength + 3
    assert whole.probability > half.probability


def test_the_numbers_of_a_hit_are_those_that_its_strength_is_made_of(client: SearchClient, photos: Path) -> None:
    cat = opened(photos / "chelsea.png")
    covered = cat.copy()
    covered.paste(opened(photos / "rocket.jpg").resize((451, 100)), (0, 0))
    found = []
    for query in (cat.crop((100, 40, 380, 260)), covered.transpose(Image.Transpose.ROTATE_90)):
        hits = client.search_features(query, min_confidence=0)
        (hit,) = (hit for hit in hits if hit.path == photos / "chelsea.png")
        most, least = (strength(hit.evidence, hit.support, hit.correlation, hit.disagreement, everywhere=x) for x in (1.0, 0.5))
        assert least < hit.strength <= most + 1e-9
        found.append(hit.disagreement)
    assert found[1] > max(found[0], USUAL_DISAGREEMENT)


def test_collections_made_before_thumbnails_answer_by_details_alone(older: SearchClient, photos: Path) -> None:
    cat = opened(photos / "chelsea.png")
    for query, mirrored in ((cat.crop((60, 30, 400, 280)), False), (cat.transpose(Image.Transpose.FLIP_LEFT_RIGHT), True)):
        hit = best(older, query)
        assert (hit.path, hit.mirrored, hit.correlation) == (photos / "chelsea.png", mirrored, None)
        expected = Calibration.general().probability(hit.strength, pixels=False, mirrored=mirrored)
        assert hit.probability == expected >= 0.99
    assert best(older, photos / "coffee.png").uri.endswith("/smaller.png")
    (group,) = older.duplicates(min_score=0.5)
    found = {picture.uri.rpartition("/")[2] for picture in (group.representative, *group.others)}
    assert found == {"coffee.png", "smaller.png"}


def test_each_record_keeps_the_thumbnail_of_its_own_picture(photos: Path, index: Callable[..., None], tmp_path: Path) -> None:
    with (
        closing(open_database(make(photos, index, tmp_path))) as opened_database,
        closing(opened_database.open("images")) as store,
    ):
        records = store.retrieve([record.id for record in store.scroll()], with_features=True)
        assert len(records) == 6
        for record in records:
            assert record.features is not None
            small = unpack_thumbnail(record.features)
            assert small is not None
            height, width = small.shape
            assert max(height, width) == 64
            assert width / height == pytest.approx(record.payload["_width"] / record.payload["_height"], rel=0.02)
