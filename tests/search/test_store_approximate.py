"""A graph that misses neighbours, and what the options of a search do about it.

2,600 random directions in 1,024 dimensions are as hard as it gets: they have no structure that a graph could follow, and are
just enough bytes for the engine to build one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from semblant_search import EncoderCard, F, FieldType, Fit, Manifest, SearchClient, point_id
from semblant_search.store import Nearest, Point, SearchRequest, open_database
from support.asking import request_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_search.store import Store

COUNT, DIM, LIMIT = 2600, 1024, 10
_RNG = np.random.default_rng(5)
VECTORS = _RNG.normal(size=(COUNT, DIM)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
ASKED = _RNG.normal(size=(12, DIM)).astype(np.float32)
IDS = [point_id(str(number)) for number in range(COUNT)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "db"
    card = EncoderCard("random", "test", Fit(4, 4, 1), DIM, "none")
    fields = {"number": FieldType.INTEGER, "parity": FieldType.KEYWORD}
    database = open_database(path, create=True)
    store = database.create(Manifest("images", "g0001", "0" * 64, card, fields))
    points = [Point(IDS[n], VECTORS[n], {"number": n, "parity": ["even", "odd"][n % 2]}) for n in range(COUNT)]
    for part in (points[:-50], points[-50:]):  # the last one is replayed at every opening
        store.upsert(part)
    store.optimize()
    store.close()
    database.publish("images", "g0001")
    return path


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = open_database(path).open("images")
    yield opened
    opened.close()


@pytest.fixture
def client(path: Path) -> Iterator[SearchClient]:
    with SearchClient(path) as opened:
        yield opened


def nearest(vector: np.ndarray, among: np.ndarray, leave_out: int | None = None) -> list[str]:
    """The true answer: the ids of the nearest of `among`, best first."""
    numbers = among[among != leave_out]
    return [IDS[number] for number in numbers[np.argsort(-(VECTORS[numbers] @ vector))[:LIMIT]]]


EVERY = np.arange(COUNT)
TRUTH = [nearest(vector, EVERY) for vector in ASKED]


def share_found(answers: list[list[str]]) -> float:
    return sum(len(set(answer) & set(truth)) for answer, truth in zip(answers, TRUTH, strict=True)) / (LIMIT * len(TRUTH))


def answers(store: Store, query: SearchRequest) -> list[list[str]]:
    return [[hit.id for hit in store.query(replace(query, query=Nearest(vector)))] for vector in ASKED]


QUERY = request_for(ASKED[0], LIMIT, fields=[])


def test_the_store_walks_a_graph_and_misses_unless_asked_to_be_exact(store: Store) -> None:
    assert 0.5 < share_found(answers(store, QUERY)) < 1
    assert answers(store, replace(QUERY, exact=True)) == TRUTH


def test_the_store_looks_as_far_as_it_is_told(store: Store) -> None:
    narrow, usual, wide = (share_found(answers(store, replace(QUERY, ef_search=ef))) for ef in (LIMIT, None, 1500))
    assert narrow < usual - 0.1
    assert wide > 0.99


def test_a_batch_heeds_the_options_of_each_query(store: Store) -> None:
    queries = [replace(QUERY, query=Nearest(vector), exact=exact) for vector in ASKED for exact in (True, False)]
    found = [[hit.id for hit in hits] for hits in store.query_batch(queries)]
    assert found[::2] == TRUTH
    assert share_found(found[1::2]) < 1


def test_a_filter_and_a_page_are_exact_where_asked(store: Store) -> None:
    odd = EVERY[1::2]
    for vector in ASKED[:4]:
        query = replace(QUERY, query=Nearest(vector), exact=True, where=F("parity") == "odd")
        whole = nearest(vector, odd)
        assert [hit.id for hit in store.query(query)] == whole
        assert [hit.id for hit in store.query(replace(query, limit=4, offset=5))] == whole[5:9]


def test_counts_are_exact_not_estimated(store: Store) -> None:
    for low, high in ((3, 1703), (100, 101), (0, 2600), (17, 2300)):
        assert store.count((F("number") >= low) & (F("number") < high) & (F("parity") == "odd")) == high // 2 - low // 2
    assert store.facet("parity", where=F("number") < 1701) == {"even": 851, "odd": 850}


def test_a_client_is_exact_where_asked(client: SearchClient) -> None:
    exact = [[hit.id for hit in client.search_vector(vector, LIMIT, exact=True)] for vector in ASKED]
    assert exact == TRUTH
    assert share_found([[hit.id for hit in client.search_vector(vector, LIMIT)] for vector in ASKED]) < 1


def test_a_client_looks_as_far_as_it_is_told(client: SearchClient) -> None:
    narrow, wide = (
        share_found([[hit.id for hit in client.search_vector(vector, LIMIT, ef_search=ef)] for vector in ASKED])
        for ef in (LIMIT, 1500)
    )
    assert narrow < 0.6
    assert wide > 0.99


def test_a_client_asked_by_pictures_is_exact_where_asked(client: SearchClient) -> None:
    numbers = list(range(0, COUNT, 130))
    truth = [nearest(VECTORS[number], EVERY, leave_out=number) for number in numbers]
    ids = [IDS[number] for number in numbers]
    assert [[hit.id for hit in client.search(id, LIMIT, exact=True)] for id in ids] == truth
    assert [[hit.id for hit in hits] for hits in client.search_batch(ids, LIMIT, exact=True)] == truth
    assert [[hit.id for hit in client.search(id, LIMIT)] for id in ids] != truth
    assert [[hit.id for hit in hits] for hits in client.search_batch(ids, LIMIT)] != truth
