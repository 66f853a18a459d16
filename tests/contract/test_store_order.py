"""Exact copies score the same: every page is still that part of one order, best first, ties by id, on every engine."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
from qdrant_client import QdrantClient
from semblant_search.collection import FieldType, point_id
from semblant_search.store import Nearest, Point, Query, Recommend, SearchRequest, Sparse, SparseVector, Store, open_database
from semblant_search.store.engines.qdrant.server import QdrantDatabase
from semblant_search.where import F, Where
from support.samples import manifest
from support.servers import REAL, database_of, own_name, url_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from semblant_search.store import Database

pytestmark = pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning")

DIM, KINDS, COPIES = 8, 6, 40
VECTORS = np.random.default_rng(8).normal(size=(KINDS, DIM)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
WORDS = SparseVector(np.array([3, 7], dtype=np.uint32), np.array([1.0, 2.0], dtype=np.float32))


def points() -> list[Point]:
    """Forty exact copies of each of six pictures, in no order of their ids; all of them with the same words."""
    numbers = np.random.default_rng(9).permutation(KINDS * COPIES)
    return [
        Point(point_id(str(number)), VECTORS[number % KINDS], {"number": int(number), "even": int(number) % 2 == 0}, WORDS)
        for number in numbers
    ]


@pytest.fixture(scope="module", params=["edge", "local", REAL])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    database: Database
    if request.param == "edge":
        database = open_database(tmp_path_factory.mktemp("order") / "db", create=True)
    elif request.param == "local":
        database = QdrantDatabase(client=QdrantClient(":memory:"))
    else:
        database = database_of(url_of("server"))
    fields = {"number": FieldType.INTEGER, "even": FieldType.BOOL}
    with closing(database), own_name(database.location) as name:
        encoder = type(manifest().encoder)("test", "test", manifest().encoder.fit, DIM, "none")
        store = database.create(manifest(name, fields=fields, encoder=encoder))
        store.upsert(points())
        store.optimize()
        yield store
        store.close()


@pytest.mark.parametrize("where", [None, F("even") == True], ids=["all", "filtered"])  # noqa: E712
@pytest.mark.parametrize(
    "query",
    [Nearest(VECTORS[0]), Recommend([VECTORS[1], VECTORS[2]], strategy="best_score"), Sparse(WORDS)],
    ids=lambda query: type(query).__name__,
)
@pytest.mark.parametrize("size", [3, 7, 40, 100])
def test_pages_are_the_parts_of_one_order(store: Store, query: Query, where: Where | None, size: int) -> None:
    whole = store.query(SearchRequest(query, 1000, where=where, exact=True))
    assert len(whole) == (KINDS * COPIES if where is None else KINDS * COPIES // 2)
    assert [(-hit.score, hit.id) for hit in whole] == sorted((-hit.score, hit.id) for hit in whole)
    requests = [SearchRequest(query, size, offset, where, exact=True) for offset in range(0, len(whole) + size, size)]
    assert [hit for request in requests for hit in store.query(request)] == whole
    assert [hit for page in store.query_batch(requests) for hit in page] == whole


def test_a_page_among_equals_has_the_fields_that_were_asked_for(store: Store) -> None:
    page = store.query(SearchRequest(Nearest(VECTORS[0]), 2, 5, fields=["number"], exact=True))
    assert [sorted(hit.payload) for hit in page] == [["number"], ["number"]]
    assert all(point_id(str(hit.payload["number"])) == hit.id for hit in page)


def test_a_least_score_ends_the_order(store: Store) -> None:
    found = [
        store.query(SearchRequest(Nearest(VECTORS[0]), 15, offset, exact=True, score_threshold=0.999))
        for offset in (0, 15, 30, 45)
    ]
    assert [len(page) for page in found] == [15, 15, 10, 0]
    assert len({hit.id for page in found for hit in page}) == COPIES
