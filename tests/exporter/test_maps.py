"""Figures of embeddings: maps with labels and with pictures, and queries beside what they find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from semblant_exporter import maps, metrics, pictures
from semblant_exporter.evaluate import evaluate
from semblant_exporter.pixels import pixel_encoder
from semblant_search.encoder import Encoder
from semblant_search.errors import DataError
from semblant_search.images import Fit
from sklearn.neighbors import KNeighborsClassifier

if TYPE_CHECKING:
    from pathlib import Path

FIT = Fit(28, 28, 1)


@pytest.fixture(scope="module")
def embedded(fashion_small: Path) -> tuple[np.ndarray, pictures.PictureArray]:
    array = pictures.load(fashion_small / "test", FIT)
    return Encoder(pixel_encoder(FIT)).encode(np.array(array.pixels)), array


@pytest.fixture(scope="module")
def places(embedded: tuple[np.ndarray, pictures.PictureArray]) -> np.ndarray:
    return maps.project(embedded[0])


def test_a_map_keeps_like_beside_like(embedded: tuple[np.ndarray, pictures.PictureArray], places: np.ndarray) -> None:
    labels = embedded[1].label_ids
    assert places.shape == (200, 2)
    assert KNeighborsClassifier(6).fit(places, labels).score(places, labels) > 0.6  # chance is 0.1
    assert np.allclose(places, maps.project(embedded[0]))


def test_labels_are_drawn_in_their_colours(
    embedded: tuple[np.ndarray, pictures.PictureArray], places: np.ndarray, tmp_path: Path
) -> None:
    some: list[str | None] = [*embedded[1].labels[:150], *[None] * 50]
    maps.draw_labels(places, some, tmp_path / "labels.png", title="Labels")
    with Image.open(tmp_path / "labels.png") as picture:
        colours = {colour for count, colour in picture.convert("RGB").getcolors(2**24) or [] if count > 30}
    assert (213, 218, 224) in colours  # those without a label
    for first, other in (((31, 119, 180), "Ankle boot"), ((255, 127, 14), "Bag"), ((44, 160, 44), "Coat")):
        seen_through = np.array(first) * 0.8 + 255 * 0.2
        assert any(np.abs(np.array(colour) - seen_through).max() < 3 for colour in colours), other


def test_pictures_are_drawn_at_their_places_without_covering_each_other(tmp_path: Path) -> None:
    corners = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1], [0.001, 0.001]])
    pixels = np.zeros((5, 8, 8, 3), np.uint8)
    pixels[:4] = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]])[:, None, None]
    maps.draw_thumbnails(corners, pixels, tmp_path / "map.png", title="Corners")
    with Image.open(tmp_path / "map.png") as picture:
        drawn = np.asarray(picture.convert("RGB")).astype(int)
    height, width = drawn.shape[:2]

    def where(colour: tuple[int, int, int]) -> tuple[bool, bool]:
        found = np.argwhere((drawn == colour).all(axis=2))
        return bool(found[:, 1].mean() > width / 2), bool(found[:, 0].mean() < height / 2)

    assert where((0, 255, 0)) == (False, True)  # x 0, y 1: top left
    assert where((0, 0, 255)) == (True, False)
    assert where((255, 255, 0)) == (True, True)


def test_hits_are_framed_by_whether_they_match(embedded: tuple[np.ndarray, pictures.PictureArray], tmp_path: Path) -> None:
    vectors, array = embedded
    rows = np.arange(0, 200, 25)
    found = metrics.nearest(vectors, vectors[rows], 6, exclude=rows)
    hits = metrics.matches(found, array.label_ids, array.label_ids[rows])
    maps.draw_neighbours(array, rows, array, found, tmp_path / "hits.png", title="Hits")
    with Image.open(tmp_path / "hits.png") as picture:
        counts = {colour: count for count, colour in picture.convert("RGB").getcolors(2**24) or []}
    right, wrong = counts[(27, 127, 77)], counts[(194, 65, 12)]
    assert right / (right + wrong) == pytest.approx(hits.mean(), abs=0.03)


def test_evaluate_draws_all_of_them(fashion_small: Path, tmp_path: Path) -> None:
    path = tmp_path / "encoder.onnx"
    path.write_bytes(pixel_encoder(FIT))
    evaluate(path, fashion_small / "train", fashion_small / "test", figures=tmp_path / "figures")
    for name in ("map-labels.png", "map-pictures.png", "neighbours.png"):
        with Image.open(tmp_path / "figures" / name) as picture:
            assert min(picture.size) > 1000


def test_pictures_without_labels_are_drawn_too(photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "encoder.onnx"
    path.write_bytes(pixel_encoder(FIT))
    evaluate(path, photos, figures=tmp_path)
    assert (tmp_path / "neighbours.png").is_file()


def test_too_few_pictures_for_a_map_are_a_clear_error() -> None:
    with pytest.raises(DataError, match="3 pictures: a map needs at least 5"):
        maps.project(np.eye(3, dtype=np.float32))
