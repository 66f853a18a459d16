"""Searching for a region by its look: cells of the encoder's feature map, compared by MaxSim."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from semblant_search import Encoder, Fit, InvalidInput, SearchClient, canonical_uri
from semblant_search.cli import semblant
from semblant_search.querying.regions import cells_in
from support.encoders import encoder_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SIGN = (90, 30, 40, 40)
"""Where `sign` lies in the picture that asks for it."""


def scene(seed: int, sign: tuple[int, int] | None) -> Image.Image:
    """Noise of 160 × 120 pixels, with a sign of four bars at a place."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(90, 150, (120, 160, 3)).astype(np.uint8)
    if sign is not None:
        pixels[sign[1] : sign[1] + 40, sign[0] : sign[0] + 40] = np.kron([[[0], [255]], [[255], [0]]], np.ones((20, 20, 3)))
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Twenty scenes; those numbered 3, 8 and 13 hold the sign, at different places of the 8 × 8 raster."""
    folder = tmp_path_factory.mktemp("scenes")
    places = {3: (10, 10), 8: (50, 50), 13: (110, 70)}
    for number in range(20):
        scene(number, places.get(number)).save(folder / f"{number:02}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def celled() -> Encoder:
    return Encoder(encoder_bytes("grey-64-cells"), threads=1)


@pytest.fixture(scope="module")
def db(scenes: list[Path], celled: Encoder, write_with: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("cells") / "db"
    write_with(path, celled, scenes)
    return path


@pytest.fixture
def client(db: Path) -> Iterator[SearchClient]:
    with SearchClient(db) as client:
        yield client


def test_a_region_finds_the_pictures_that_hold_what_looks_like_it(client: SearchClient, scenes: list[Path]) -> None:
    query = scene(99, SIGN[:2])
    hits = client.search(query, limit=5, region=SIGN)
    assert {hit.path for hit in hits[:3]} == {scenes[3], scenes[8], scenes[13]}
    assert hits[2].score > hits[3].score + 0.1
    assert 1 + 1e-5 > hits[0].score >= hits[2].score > 0.7 > hits[3].score >= hits[4].score > 0
    mask = np.zeros((120, 160), bool)
    mask[30:70, 90:130] = True
    assert [hit.id for hit in client.search(query, limit=5, region=mask)] == [hit.id for hit in hits]


def test_the_score_of_a_region_is_the_mean_of_its_cells_best_cosines(
    client: SearchClient, scenes: list[Path], celled: Encoder
) -> None:
    query = scene(99, SIGN[:2])
    _, asked = celled.encode_with_cells(celled.prepare(query)[None])
    chosen = asked[0, [row * 8 + column for row in (2, 3, 4) for column in (5, 6)]]
    _, every = celled.encode_with_cells(np.stack([celled.prepare(path) for path in scenes]))
    expected = [float((chosen @ cells.T).max(axis=1).mean()) for cells in every]
    hits = client.search(query, limit=20, region=(100, 30, 40, 45), exact=True)
    scores = {hit.path: hit.score for hit in hits}
    assert [scores[path] for path in scenes] == pytest.approx(expected, abs=1e-4)


def test_a_region_of_an_indexed_picture_needs_neither_its_file_nor_the_encoder(
    scenes: list[Path], celled: Encoder, write_with: Callable[..., None], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes(scenes[3].read_bytes())
    write_with(tmp_path / "db", celled, [*scenes, copy])
    with SearchClient(tmp_path / "db") as client:
        region = (10, 10, 40, 40)
        before = client.search(copy, region=region, limit=4)
        copy.unlink()
        after = client.search(canonical_uri(copy), region=region, limit=4)
        assert [hit.id for hit in after] == [hit.id for hit in before]
        assert after[0].path == scenes[3]
        assert after[0].score == pytest.approx(1, abs=1e-5)
        itself = client.search(canonical_uri(copy), region=region, limit=2, include_self=True)
        assert {hit.path for hit in itself} == {copy, scenes[3]}


def test_a_region_is_the_same_place_in_an_indexed_picture_as_in_its_pixels(client: SearchClient, scenes: list[Path]) -> None:
    region = (110, 70, 50, 40)  # the sign and what is right of it: further right than the picture is high
    stored = client.search(canonical_uri(scenes[13]), limit=20, region=region, include_self=True, exact=True)
    decoded = client.search(Image.open(scenes[13]), limit=20, region=region, exact=True)
    assert {hit.id: hit.score for hit in stored} == pytest.approx({hit.id: hit.score for hit in decoded}, abs=1e-4)


def test_a_region_search_heeds_filter_score_and_paging(client: SearchClient) -> None:
    query = scene(99, SIGN[:2])
    hits = client.search(query, limit=20, region=SIGN)
    assert client.search(query, limit=3, offset=2, region=SIGN) == hits[2:5]
    kept = client.search(query, limit=20, region=SIGN, min_score=hits[4].score - 1e-6)
    assert [hit.id for hit in kept] == [hit.id for hit in hits[:5]]
    assert {hit.metadata["price"] for hit in client.search(query, limit=20, region=SIGN, where="price < 2")} == {0, 1}


def test_a_collection_without_cells_says_what_it_lacks(indexed: Path, pictures: list[Path]) -> None:
    with SearchClient(indexed) as client, pytest.raises(InvalidInput, match="--cells"):
        client.search(pictures[0], region=(0, 0, 10, 10))


@pytest.mark.parametrize(
    "region", [(0, 0, 0, 5), (500, 0, 5, 5), (0, 0, 5), "abcd", np.zeros((120, 160)), np.ones((2, 2))], ids=str
)
def test_regions_that_cannot_be_are_refused(client: SearchClient, region: object) -> None:
    with pytest.raises(InvalidInput, match=r"region|mask"):
        client.search(scene(99, None), region=region)  # type: ignore[arg-type]


def test_cells_lie_where_the_fit_puts_them() -> None:
    square = Fit(64, 64, 1, policy="stretch")
    assert cells_in((0, 0, 80, 60), (160, 120), square, 16).tolist() == [0, 1, 4, 5]
    assert cells_in((50, 40, 2, 2), (160, 120), square, 16).tolist() == [5]  # smaller than a cell
    wide = Fit(32, 64, 1, policy="pad")
    assert cells_in((0, 0, 100, 100), (100, 100), wide, 8).tolist() == [1, 2, 5, 6]  # padded left and right
    cut = Fit(64, 64, 1, policy="crop")
    assert cells_in((0, 0, 300, 100), (300, 100), cut, 4).tolist() == [0, 1, 2, 3]
    with pytest.raises(InvalidInput, match="sees nothing"):
        cells_in((0, 0, 50, 100), (300, 100), cut, 4)


def test_the_command_line_searches_for_a_region(db: Path, scenes: list[Path], tmp_path: Path) -> None:
    query = tmp_path / "query.png"
    scene(99, SIGN[:2]).save(query)
    asked = ["search", str(query), "--db", str(db), "--region", "90,30,40,40", "--limit", "3"]
    result = CliRunner().invoke(semblant, [*asked, "--json"])
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert {hit["uri"] for hit in data["hits"]} == {canonical_uri(scenes[n]) for n in (3, 8, 13)}
    assert CliRunner().invoke(semblant, [*asked, "--fused"]).exit_code == 2
    assert CliRunner().invoke(semblant, [*asked[:-3], "1,2", "--limit", "3"]).exit_code == 2
