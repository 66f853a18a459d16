"""What chance scores in a collection, and what a cosine there is worth: probability, fpr, "nothing like it here"."""

from __future__ import annotations

import itertools
import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qdrant_client import QdrantClient
from semblant_search import InvalidInput, NotIndexed, SearchClient, StoreError
from semblant_search.collection import point_id
from semblant_search.querying.background import BACKGROUND_ASSET, LEAST_QUERIES, Background, measure_background
from semblant_search.store import Point, open_database
from semblant_search.store.engines.qdrant.server import QdrantDatabase
from support.small_stores import FOLDER, add_generation, as_points, unit_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from semblant_search.store import Database, Store

COUNT, DIM = 1500, 8
KNOWN = Background(2000, (0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8), 0.5, -0.1)


def strangers(count: int) -> np.ndarray:
    return unit_vectors(count, DIM, seed=99)


def near(vectors: np.ndarray, by: float, seed: int = 1) -> np.ndarray:
    """Unit vectors a little off these, as changed copies are."""
    moved = vectors + by * unit_vectors(len(vectors), vectors.shape[1], seed)
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), np.float32)


def fill(database: Database, points: list[Point], *, measured: bool = True) -> Background | None:
    """A collection `images` of these points, that serves."""
    add_generation(database, "g0001", np.empty((0, DIM), np.float32))
    with closing(database.open("images", "g0001")) as store:
        store.upsert(points)
        store.optimize()
        background = measure_background(store) if measured else None
        if background is not None:
            store.put_asset(BACKGROUND_ASSET, background.to_bytes())
    database.publish("images", "g0001")
    return background


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchClient]:
    folder = tmp_path_factory.mktemp("background")
    with closing(open_database(folder / "db", create=True)) as database:
        fill(database, as_points(unit_vectors(COUNT, DIM)))
    with SearchClient(folder / "db") as client:
        yield client


@pytest.fixture(scope="module")
def served() -> Iterator[SearchClient]:
    with closing(QdrantDatabase(client=QdrantClient(":memory:"))) as database:
        fill(database, as_points(unit_vectors(300, DIM)))
        with SearchClient(database) as client:
            yield client


@pytest.fixture(params=["embedded", "served"])
def client(request: pytest.FixtureRequest) -> SearchClient:
    """Of a directory, and of a stand-in for a server."""
    client = request.getfixturevalue(request.param)
    assert isinstance(client, SearchClient)
    return client


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty generation in a directory."""
    with closing(open_database(tmp_path / "one", create=True)) as database:
        add_generation(database, "g0001", np.empty((0, DIM), np.float32))
        with closing(database.open("images", "g0001")) as store:
            yield store


@pytest.mark.parametrize(
    ("fpr", "least", "most"), [(0.5, 0.4, 0.6), (0.1, 0.06, 0.15), (0.01, 0.002, 0.022), (0.001, 0, 0.004)]
)
def test_of_strangers_as_many_get_a_hit_as_was_promised(embedded: SearchClient, fpr: float, least: float, most: float) -> None:
    share = np.mean([bool(embedded.search_vector(vector, 1, fpr=fpr)) for vector in strangers(1500)])
    assert least <= share <= most


def test_copies_are_found_all_the_same(client: SearchClient) -> None:
    changed = near(unit_vectors(COUNT, DIM)[:100], 0.02)
    found = [client.search_vector(vector, 1, fpr=0.001) for vector in changed]
    right = [bool(hits) and hits[0].id == point_id(f"{FOLDER}{number:04d}.png") for number, hits in enumerate(found)]
    assert np.mean(right) > 0.95


def test_a_hit_says_how_probable_it_is_and_fpr_is_what_is_left_of_one(client: SearchClient) -> None:
    vector = strangers(1)[0]
    hits = client.search_vector(vector, 200)
    probabilities = [hit.probability for hit in hits]
    assert probabilities == sorted(probabilities, reverse=True)  # type: ignore[type-var]
    assert all(0 <= hit.probability <= 1 for hit in hits if hit.probability is not None)
    itself = client.search_vector(unit_vectors(COUNT, DIM)[3], 1)[0]
    assert itself.probability == pytest.approx(1, abs=1e-6)
    assert itself.to_json()["probability"] == itself.probability
    for fpr in (1.0, 0.99, 0.5, 0.2):
        expected = [hit.id for hit in hits if hit.probability is not None and hit.probability >= 1 - fpr - 1e-9]
        assert [hit.id for hit in client.search_vector(vector, 200, fpr=fpr)] == expected


def test_the_stricter_of_fpr_and_min_score_holds(client: SearchClient) -> None:
    vector = strangers(1)[0]
    loose, strict = (len(client.search_vector(vector, COUNT, fpr=fpr)) for fpr in (1, 0.5))
    assert loose > strict
    assert len(client.search_vector(vector, COUNT, fpr=1, min_score=0.999)) == 0
    assert len(client.search_vector(vector, COUNT, fpr=0.5, min_score=-1)) == strict


def test_searches_by_name_and_of_many_know_it_too(client: SearchClient) -> None:
    name = f"{FOLDER}0007.png"
    one = client.search(name, 3, include_self=True, fpr=0.001)
    many = client.search_batch([name, name], 3, include_self=True, fpr=0.001)
    assert [hit.uri for hit in one] == [name]
    assert one[0].probability == pytest.approx(1, abs=1e-6)
    assert many == [one, one]
    assert client.search(name, 3, fpr=0.001) == client.search_batch([name], 3, fpr=0.001)[0] == []
    plain = client.search(name, 3)
    assert client.search_batch([name], 3) == [plain]
    assert None not in [hit.probability for hit in plain]


def test_groups_leave_out_what_chance_gives(own_shop: Database) -> None:
    with SearchClient(own_shop) as client:
        asked = next(client.pictures()).id
        options: dict[str, Any] = {"group_size": 100, "exact": True, "include_self": True}
        groups = client.search_groups(asked, "label", 50, **options)
        for fpr in (0.9, 0.5, 0.1):
            likely = {
                group.value: [hit.id for hit in group.hits if hit.probability is not None and hit.probability >= 1 - fpr - 1e-9]
                for group in groups
            }
            found = client.search_groups(asked, "label", 50, fpr=fpr, **options)
            assert {group.value: [hit.id for hit in group.hits] for group in found} == {
                value: ids for value, ids in likely.items() if ids
            }
            assert 0 < sum(map(len, likely.values())) < sum(len(group.hits) for group in groups)


@pytest.mark.parametrize("fpr", [0, -0.1, 1.5, True, "0.1", float("nan")])
def test_a_share_that_cannot_be_is_named(client: SearchClient, fpr: Any) -> None:
    asks: list[Callable[..., Any]] = [
        client.search,
        client.search_vector,
        lambda one, fpr: client.search_batch([one], fpr=fpr),
        lambda one, fpr: client.search_groups(one, "a", fpr=fpr),
    ]
    for ask in asks:
        with pytest.raises(InvalidInput, match="fpr"):
            ask(f"{FOLDER}0007.png", fpr=fpr)


def test_what_chance_scores_for_a_region_is_not_known(client: SearchClient) -> None:
    with pytest.raises(InvalidInput, match="fpr with a region"):
        client.search(f"{FOLDER}0007.png", region=(0, 0, 9, 9), fpr=0.1)


@pytest.mark.parametrize(("count", "measured"), [(LEAST_QUERIES + 9, False), (LEAST_QUERIES - 1, True)])
def test_without_a_background_hits_have_no_probability_and_fpr_says_what_to_do(
    tmp_path: Path, count: int, measured: bool
) -> None:
    with closing(open_database(tmp_path / "db", create=True)) as database:
        background = fill(database, as_points(unit_vectors(count, DIM)), measured=measured)
    assert background is None or background == Background(count, (), 0.0, 0.0)
    with SearchClient(tmp_path / "db") as client:
        assert client.search_vector(strangers(1)[0], 1)[0].probability is None
        for ask in (client.search_vector, lambda vector, fpr: client.search_batch([f"{FOLDER}0007.png"], fpr=fpr)):
            with pytest.raises(NotIndexed, match=r"fpr=0\.01: .* run `semblant index` on it again"):
                ask(strangers(1)[0], fpr=0.01)


def test_an_open_client_notices_what_was_measured_since(tmp_path: Path) -> None:
    vectors = unit_vectors(100, DIM)
    with closing(open_database(tmp_path / "db", create=True)) as database:
        fill(database, as_points(vectors), measured=False)
        with SearchClient(database, refresh=0) as client, closing(database.open("images")) as store:
            assert client.search_vector(vectors[0])[0].probability is None
            store.put_asset(BACKGROUND_ASSET, KNOWN.to_bytes())
            assert client.search_vector(vectors[0])[0].probability == KNOWN.probability(1.0)
            store.put_asset(BACKGROUND_ASSET, Background(3, (0.1,), 0.5, -0.1).to_bytes())
            assert client.search_vector(vectors[0])[0].probability is None


def test_neither_copies_nor_a_series_count(store: Store) -> None:
    """A third of the pictures lie a second time in the collection, another third are series of three."""
    single = unit_vectors(900, DIM)
    store.upsert(as_points(single))
    plain = measure_background(store)
    copies = [
        Point(point_id(f"{FOLDER}copy-{number}.png"), vector, {"_uri": f"{FOLDER}copy-{number}.png", "_sha256": str(number)})
        for number, vector in enumerate(single[:300])
    ]
    first = [
        Point(point_id(f"{FOLDER}{n:04d}.png"), single[n], {"_uri": f"{FOLDER}{n:04d}.png", "_sha256": str(n)})
        for n in range(300)
    ]
    series = [
        Point(point_id(f"{FOLDER}{seed}-{number}.png"), vector, {"_uri": f"{FOLDER}{seed}-{number}.png"})
        for seed in (1, 2)
        for number, vector in enumerate(near(single[300:600], 1e-3, seed))
    ]
    store.upsert(first + copies + series)
    crowded = measure_background(store)
    assert crowded.queries == 1800
    assert 1 - crowded.min_score(0.01) == pytest.approx(1 - plain.min_score(0.01), rel=0.3)
    assert crowded.min_score(0.001) < 0.998


def test_where_even_equal_vectors_are_no_rarer_nothing_is_a_hit(store: Store) -> None:
    """An encoder to which half of the pictures are the same cannot tell one of them from a stranger."""
    same = np.repeat(unit_vectors(1, DIM), 60, axis=0)
    store.upsert(as_points(same))
    background = measure_background(store)
    assert background.min_score(0.01) == float("inf")
    assert background.probability(1.0) <= 0.91


def test_probability_and_least_score_are_each_other_s_inverse() -> None:
    for shape in (0.0, -0.1, -0.3):
        background = Background(2000, KNOWN.scores, 0.5, shape)
        for fpr in (0.9, 0.33, 0.1, 0.05, 0.01, 0.001, 1e-6):
            assert 1 - background.probability(background.min_score(fpr)) == pytest.approx(fpr, rel=1e-6)
    assert KNOWN.min_score(1) == -1
    assert KNOWN.probability(-1) == 0
    assert KNOWN.probability(1) == 1  # a tail that ends before


def test_a_background_of_too_few_pictures_is_written_and_read_as_it_was() -> None:
    few = Background(7, (), 0.0, 0.0)
    assert Background.from_bytes(few.to_bytes()) == few


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"format": 2}, "version 2: expected 1"),
        ({"scores": [0.1]}, "no distribution"),
        ({"scores": KNOWN.scores[::-1]}, "no distribution"),
        ({"scale": 0.0}, "no distribution"),
        ({"shape": 0.2}, "no distribution"),
        ({"scores": "high"}, "incomplete or wrong"),
    ],
)
def test_a_broken_background_says_so(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(StoreError, match=message):
        Background.from_bytes(json.dumps({**json.loads(KNOWN.to_bytes()), **changed}).encode())


def test_between_two_quantiles_the_chance_lies_between_theirs_up_to_the_last_one() -> None:
    scores = tuple(0.05 * step for step in range(1, 11))
    background = Background(1000, scores, 0.5, 0.0)
    for place, (low, high) in enumerate(itertools.pairwise(scores)):
        middle = background.probability((low + high) / 2)
        assert middle == pytest.approx((place + 0.5) / 10)
        assert background.min_score(1 - middle) == pytest.approx((low + high) / 2)
    assert background.probability(scores[-1]) == pytest.approx(0.9)
    assert 0.9 < background.probability(0.6) < 1
