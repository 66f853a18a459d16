"""A region of a picture whose file has changed since it was indexed: answered from the pixels that are meant."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from semblant_search import Encoder, ImageError, SearchClient, canonical_uri, point_id
from semblant_search.open_collection import LocalCollection
from semblant_search.querying.resolving import cells_of, resolve
from semblant_search.store import Point, open_database
from support.encoders import encoder_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_search.serving import Serving

REGION = (100, 60, 200, 160)
"""Of the cat, 451 × 300."""


@pytest.fixture
def shelf(photos: Path, tmp_path: Path) -> Path:
    """The cat, a crop of it, coffee, a crop of it; coffee is not of the cat's size."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    for name in ("chelsea", "coffee"):
        with Image.open(photos / f"{name}.png") as picture:
            shutil.copy(photos / f"{name}.png", folder / f"{name}.png")
            x, y, width, height = REGION
            picture.crop((x - 20, y - 20, x + width + 20, y + height + 20)).save(folder / f"{name}-crop.png")
    return folder


@pytest.fixture
def cells_client(shelf: Path, tmp_path: Path, write_with: Callable[[Path, Encoder, list[Path]], None]) -> SearchClient:
    write_with(tmp_path / "photos.db", Encoder(encoder_bytes("grey-64-cells"), threads=1), sorted(shelf.iterdir()))
    return SearchClient(tmp_path / "photos.db")


def asked_by(path: Path) -> tuple[str, str]:
    """What stands for the picture that was indexed: its URI and its id."""
    return canonical_uri(path), point_id(canonical_uri(path))


def test_details_of_a_region_are_those_of_the_picture_that_was_indexed(cells_client: SearchClient, shelf: Path) -> None:
    with cells_client as client:
        cat, crop = shelf / "chelsea.png", canonical_uri(shelf / "chelsea-crop.png")
        for named in asked_by(cat):
            assert client.search_features(named, 1, region=REGION)[0].uri == crop
        shutil.copy(shelf / "coffee.png", cat)
        for named in asked_by(cat):
            assert client.search_features(named, 1, region=REGION)[0].uri == crop
        # The path itself is what the file shows now.
        assert client.search_features(cat, 1, region=REGION)[0].uri.startswith(canonical_uri(shelf / "coffee"))
        cat.write_bytes(b"junk")
        for named in asked_by(cat):
            assert client.search_features(named, 1, region=REGION)[0].uri == crop
        with pytest.raises(ImageError, match=r"chelsea\.png"):
            client.search_features(cat, 1, region=REGION)
        cat.unlink()
        for gone in (*asked_by(cat), cat):
            assert client.search_features(gone, 1, region=REGION)[0].uri == crop


def test_cells_of_a_region_are_those_of_the_picture_that_was_indexed(cells_client: SearchClient, shelf: Path) -> None:
    with cells_client as client:
        cat, bottom = shelf / "chelsea.png", (0, 250, 451, 50)
        before = [(hit.uri, hit.score) for hit in client.search(canonical_uri(cat), 4, region=bottom)]
        with Image.open(shelf / "coffee.png") as coffee:
            coffee.resize((100, 80)).save(cat)
        for named in asked_by(cat):
            assert [(hit.uri, hit.score) for hit in client.search(named, 4, region=bottom)] == before
        with pytest.raises(ValueError, match="outside the picture, which is 100×80"):
            client.search(cat, 4, region=bottom)
        now = client.search(cat, 4, region=(0, 0, 50, 40))
        assert [hit.score for hit in now] == [
            hit.score for hit in client.search(cat.read_bytes(), 4, region=(0, 0, 50, 40)) if hit.uri != canonical_uri(cat)
        ]


def _serving(client: SearchClient) -> Serving:
    assert isinstance(client._collection, LocalCollection)
    return client._collection.serving


def test_without_stored_cells_the_file_must_be_as_it_was(cells_client: SearchClient, shelf: Path, tmp_path: Path) -> None:
    cat = shelf / "chelsea.png"
    with cells_client as client, _serving(client).current() as now:
        expected = cells_of(now.manifest, now.encoder, resolve(now.store, cat.read_bytes()), REGION, 10**9)
        record = now.store.retrieve([point_id(canonical_uri(cat))], with_image=True)[0]
    database = open_database(tmp_path / "photos.db")
    store = database.open("images")
    assert record.image is not None
    store.upsert([Point(record.id, record.image, record.payload)])
    store.close()
    database.close()
    with SearchClient(tmp_path / "photos.db") as client:
        for one in (*asked_by(cat), cat):
            with _serving(client).current() as now:
                query = resolve(now.store, one, with_cells=True)
                found = cells_of(now.manifest, now.encoder, query, REGION, 10**9)
            np.testing.assert_allclose(found, expected, atol=1e-6)
        shutil.copy(shelf / "coffee.png", cat)
        for named in asked_by(cat):
            with pytest.raises(
                ImageError, match=r"chelsea\.png': it was indexed without cells, and its file is not at hand"
            ) as caught:
                client.search(named, region=REGION)
            assert caught.value.reason == "missing"
