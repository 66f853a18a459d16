"""Every kind of query gives on every engine what its definition says, written here as a plain model over the vectors.

The embedded engine and qdrant-client's local mode, always, and a real server where QDRANT_URL names one.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from qdrant_client import QdrantClient
from semblant_search.collection import FieldType, point_id
from semblant_search.errors import InvalidInput
from semblant_search.store import (
    Cells,
    Discover,
    Mmr,
    Nearest,
    OrderBy,
    Point,
    Query,
    Recommend,
    SearchRequest,
    Sparse,
    SparseVector,
    Store,
    open_database,
)
from semblant_search.store.engines.qdrant.server import QdrantDatabase
from semblant_search.where import F, Where
from support.samples import manifest
from support.servers import REAL, database_of, own_name, url_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from semblant_search.store import Database, Record, ScoredRecord

# Local mode has no index, so that `exact` and `ef_search` mean nothing to it.
pytestmark = pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning")

DIM, COUNT = 8, 300
FIELDS = {
    "number": FieldType.INTEGER,
    "price": FieldType.FLOAT,
    "taken": FieldType.DATETIME,
    "album": FieldType.KEYWORD,
    "on_sale": FieldType.BOOL,
    "gps": FieldType.GEO,
}
_RNG = np.random.default_rng(5)
VECTORS = _RNG.normal(size=(COUNT, DIM)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
IDS = [point_id(f"file:///{number}.png") for number in range(COUNT)]
ROW = {id: row for row, id in enumerate(IDS)}


def payload(row: int) -> dict[str, Any]:
    """With ties, values that are missing, and lists."""
    values: dict[str, Any] = {"number": row % 7 - 3, "price": (row % 11) / 3, "taken": f"2024-05-{1 + row % 13:02d}T10:00:00Z"}
    values["album"] = ["sea", "hills", "home", "trips"][min(row % 10, 3)]
    values["on_sale"] = row % 3 == 0
    if row % 9 == 0:
        values = {"album": ["sea", "market"]}
    if row % 31 == 1:
        values["price"] = [0.25, 3.5]
    return values


PAYLOADS = [payload(row) for row in range(COUNT)]


@pytest.fixture(scope="module", params=["edge", "local", REAL])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    database: Database
    if request.param == "edge":
        database = open_database(tmp_path_factory.mktemp("queries") / "db", create=True)
    elif request.param == "local":
        database = QdrantDatabase(client=QdrantClient(":memory:"))
    else:
        database = database_of(url_of("server"))
    with closing(database), own_name(database.location) as name:
        encoder = type(manifest().encoder)("test", "test", manifest().encoder.fit, DIM, "none")
        store = database.create(manifest(name, fields=FIELDS, encoder=encoder))
        points = zip(IDS, VECTORS, PAYLOADS, strict=True)
        store.upsert([Point(id, vector, payload) for id, vector, payload in points])
        store.optimize()
        yield store
        store.close()


def sigmoid(cosine: np.ndarray) -> np.ndarray:
    return np.asarray((1 + cosine / (1 + np.abs(cosine))) / 2)


def recommended(positive: Sequence[np.ndarray], negative: Sequence[np.ndarray], strategy: str) -> np.ndarray:
    """The score of every picture."""
    if strategy == "average_vector":
        mean = np.mean(positive, axis=0)
        if len(negative):
            mean = 2 * mean - np.mean(negative, axis=0)
        return np.asarray(VECTORS @ (mean / np.linalg.norm(mean)))
    best = np.max([VECTORS @ vector for vector in positive], axis=0)
    worst = np.max([VECTORS @ vector for vector in negative], axis=0) if len(negative) else np.full(COUNT, -np.inf)
    return np.where(best > worst, sigmoid(best), -sigmoid(np.where(np.isfinite(worst), worst, 0)))


def discovered(target: np.ndarray, context: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    ranks = sum(np.sign(VECTORS @ positive - VECTORS @ negative) for positive, negative in context)
    return np.asarray(ranks + sigmoid(VECTORS @ target))


def agree(hits: list[ScoredRecord], scores: np.ndarray, limit: int, offset: int = 0) -> None:
    """Those of the best scores, in their order; equal scores in any."""
    expected = np.sort(scores)[::-1][offset : offset + limit]
    np.testing.assert_allclose([hit.score for hit in hits], expected, atol=1e-5)
    np.testing.assert_allclose([scores[ROW[hit.id]] for hit in hits], expected, atol=1e-5)
    assert len({hit.id for hit in hits}) == len(hits)


ASKS: list[Callable[[Store, SearchRequest], list[ScoredRecord]]] = [
    lambda store, request: store.query(request),
    lambda store, request: store.query_batch([SearchRequest(Nearest(VECTORS[0]), 3), request])[1],
]
both_ways = pytest.mark.parametrize("ask", ASKS, ids=["alone", "in a batch"])


@both_ways
@pytest.mark.parametrize("strategy", ["average_vector", "best_score"])
@pytest.mark.parametrize("negatives", [0, 1, 3])
def test_examples_are_followed_and_avoided(
    store: Store,
    ask: Callable[[Store, SearchRequest], list[ScoredRecord]],
    strategy: Literal["average_vector", "best_score"],
    negatives: int,
) -> None:
    positive, negative = list(VECTORS[10:13]), list(VECTORS[20 : 20 + negatives])
    scores = recommended(positive, negative, strategy)
    query = Recommend(positive, negative, strategy)
    agree(ask(store, SearchRequest(query, 20, exact=True)), scores, 20)
    agree(ask(store, SearchRequest(query, 7, offset=5, exact=True)), scores, 7, offset=5)
    odd = np.array([payload.get("number", 0) > 0 for payload in PAYLOADS])
    found = ask(store, SearchRequest(query, 300, where=F("number") > 0, exact=True))
    agree(found, np.where(odd, scores, -np.inf), int(odd.sum()))


@both_ways
def test_pairs_say_which_way_to_go_from_the_target(
    store: Store, ask: Callable[[Store, SearchRequest], list[ScoredRecord]]
) -> None:
    context = [(VECTORS[1], VECTORS[2]), (VECTORS[3], VECTORS[4]), (VECTORS[5], VECTORS[1])]
    for pairs in (context[:1], context):
        query = Discover(VECTORS[0], pairs)
        agree(ask(store, SearchRequest(query, 40, exact=True)), discovered(VECTORS[0], pairs), 40)


@both_ways
@pytest.mark.parametrize("diversity", [0.0, 0.3, 0.8, 1.0])
def test_diverse_hits_are_chosen_one_after_the_other(
    store: Store, ask: Callable[[Store, SearchRequest], list[ScoredRecord]], diversity: float
) -> None:
    asked = VECTORS[7]
    cosines = VECTORS @ asked
    pool = list(np.argsort(-cosines)[:60])
    chosen = [pool.pop(0)]
    while len(chosen) < 12:
        close = (VECTORS[pool] @ VECTORS[chosen].T).max(axis=1)
        chosen.append(pool.pop(int(np.argmax((1 - diversity) * cosines[pool] - diversity * close))))
    hits = ask(store, SearchRequest(Mmr(asked, diversity, candidates=60), 12, exact=True))
    assert [ROW[hit.id] for hit in hits] == chosen
    np.testing.assert_allclose([hit.score for hit in hits], cosines[chosen], atol=1e-5)
    later = ask(store, SearchRequest(Mmr(asked, diversity, candidates=60), 7, offset=5, exact=True))
    assert [ROW[hit.id] for hit in later] == chosen[5:]


def test_more_hits_than_candidates_widen_the_choice(store: Store) -> None:
    assert len(store.query(SearchRequest(Mmr(VECTORS[0], 0.5, candidates=5), 20, offset=10))) == 20
    most = 2**31 - 1
    assert len(store.query(SearchRequest(Mmr(VECTORS[0], 0.5, candidates=most), most))) == COUNT
    assert store.query(SearchRequest(Mmr(VECTORS[0], 0.5), 3, offset=most)) == []


def by_value(field: str, descending: bool, keep: Callable[[dict[str, Any]], bool] = lambda payload: True) -> list[str]:
    """Ids in the order that is promised."""
    pairs = []
    for id, payload in zip(IDS, PAYLOADS, strict=True):
        value = payload.get(field)
        values = value if isinstance(value, list) else [] if value is None else [value]
        if values and keep(payload):
            pairs.append((max(values) if descending else min(values), id))
    pairs.sort(key=lambda pair: pair[1])
    return [id for _, id in sorted(pairs, key=lambda pair: pair[0], reverse=descending)]


@pytest.mark.parametrize("field", ["number", "price", "taken"])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("batch", [1000, 50, 7])
def test_records_come_in_the_order_of_a_field_each_once(store: Store, field: str, descending: bool, batch: int) -> None:
    order = OrderBy(field, descending)
    records: list[Record] = list(store.scroll(order_by=order, batch=batch, fields=["number"], with_image=True))
    expected = by_value(field, descending)
    # The reverse sort of Python keeps ties in the order that they had: by id, as in the store.
    assert [record.id for record in records] == expected
    np.testing.assert_allclose(records[3].image, VECTORS[ROW[records[3].id]], atol=1e-6)  # type: ignore[arg-type]
    assert all(record.payload.keys() <= {"number"} for record in records)
    where = (F("album") == "sea") | (F("price") > 2)

    def keep(payload: dict[str, Any]) -> bool:
        albums, prices = (payload.get(name, []) for name in ("album", "price"))
        prices = prices if isinstance(prices, list) else [prices]
        return "sea" in (albums if isinstance(albums, list) else [albums]) or any(price > 2 for price in prices)

    found = store.scroll(order_by=order, batch=batch, where=where, fields=[])
    assert [record.id for record in found] == by_value(field, descending, keep)


def groups_of(scores: np.ndarray, field: str, limit: int, offset: int, size: int, rows: Sequence[int]) -> dict[Any, list[int]]:
    groups: dict[Any, list[int]] = {}
    for row in sorted(rows, key=lambda row: -scores[row]):
        value = PAYLOADS[row].get(field)
        for each in sorted(value) if isinstance(value, list) else [] if value is None else [value]:
            groups.setdefault(each, []).append(row)
    chosen = list(groups.items())[offset : offset + limit]
    return {value: rows[:size] for value, rows in chosen}


@pytest.mark.parametrize("field", ["album", "number", "on_sale"])
@pytest.mark.parametrize(("limit", "offset", "size"), [(3, 0, 1), (2, 1, 4), (50, 0, 2), (1, 0, 1000), (4, 0, 70)])
@pytest.mark.parametrize("where", [None, F("price") > 1])
def test_hits_are_grouped_by_a_field(store: Store, field: str, limit: int, offset: int, size: int, where: Where | None) -> None:
    rows = range(COUNT)
    if where is not None:
        prices = [payload.get("price", []) for payload in PAYLOADS]
        rows = [row for row in rows if any(p > 1 for p in (prices[row] if isinstance(prices[row], list) else [prices[row]]))]  # type: ignore[assignment]
    query = Recommend(list(VECTORS[:2]), [VECTORS[9]], "average_vector")
    scores = recommended(query.positive, query.negative, query.strategy)
    request = SearchRequest(query, limit, offset, where, fields=["price"], exact=True)
    groups = store.query_groups(request, field, size)
    expected = groups_of(scores, field, limit, offset, size, rows)
    assert [(group.value, [ROW[hit.id] for hit in group.hits]) for group in groups] == list(expected.items())
    for group in groups:
        assert isinstance(group.value, {"album": str, "number": int, "on_sale": bool}[field])
        np.testing.assert_allclose([hit.score for hit in group.hits], scores[expected[group.value]], atol=1e-5)
        assert all(hit.payload == {k: v for k, v in PAYLOADS[ROW[hit.id]].items() if k == "price"} for hit in group.hits)


def test_a_rare_group_far_away_is_found(store: Store) -> None:
    """Among 300 hits, of which the first 64 have other albums."""
    rare = point_id("file:///rare.png")
    store.upsert([Point(rare, -VECTORS[0], {"album": "rare"})])
    try:
        groups = store.query_groups(SearchRequest(Nearest(VECTORS[0]), 10, exact=True), "album")
        assert {group.value for group in groups} == {"sea", "hills", "home", "trips", "market", "rare"}
        assert groups[-1].hits[0].id == rare
    finally:
        store.delete([rare])


def test_a_group_whose_other_hits_are_far_away_is_filled(store: Store) -> None:
    """The first 64 hits hold its best one only."""
    rare = [point_id(f"file:///rare{number}.png") for number in range(3)]
    vectors = [VECTORS[0], -VECTORS[0], -VECTORS[0] + 0.01 * VECTORS[1]]
    store.upsert([Point(id, vector, {"album": "rare"}) for id, vector in zip(rare, vectors, strict=True)])
    try:
        for size, where in ((3, None), (2, None), (3, F("album").exists())):
            groups = store.query_groups(SearchRequest(Nearest(VECTORS[0]), 3, 0, where, exact=True), "album", size)
            (found,) = [group for group in groups if group.value == "rare"]
            assert [hit.id for hit in found.hits] == [rare[0], rare[2], rare[1]][:size]
            assert found.hits[0].payload == {"album": "rare"}
    finally:
        store.delete(rare)


ONE = VECTORS[0]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (Recommend([]), "at least one positive"),
        (Recommend([ONE], [ONE[:3]]), "shape"),
        (Recommend([ONE * np.nan]), "NaN"),
        (Recommend([ONE], strategy="sum"), "'average_vector' or 'best_score'"),  # type: ignore[arg-type]
        (Recommend([ONE], [2 * ONE]), "cancel each other out"),
        (Discover(ONE, []), "at least one pair"),
        (Discover(ONE[:4], [(ONE, ONE)]), "shape"),
        (Discover(ONE, [(ONE, ONE[:4])]), "shape"),
        (Mmr(ONE, -0.1), "diversity -0.1"),
        (Mmr(ONE, 1.1), "diversity 1.1"),
        (Mmr(ONE, float("nan")), "diversity nan"),
        (Mmr(ONE, 0.5, 0), "candidates 0"),
        (Mmr(ONE[:2]), "shape"),
        (Cells(ONE), "no cells"),
        (Sparse(SparseVector(np.array([1, 1], np.uint32), np.ones(2, np.float32))), "twice"),
        (ONE, "expected Nearest"),
    ],
)
def test_queries_that_mean_nothing_are_refused(store: Store, query: Query, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        store.query(SearchRequest(query, 5))
    with pytest.raises(InvalidInput, match=words):
        store.query_batch([SearchRequest(query, 5)])


def test_fields_without_an_order_or_without_values_to_group_by_are_refused(store: Store) -> None:
    for field, words in (("album", "keyword; expected an integer"), ("nubmer", "did you mean number"), ("gps", "geo")):
        with pytest.raises(InvalidInput, match=words):
            store.scroll(order_by=OrderBy(field))
    request = SearchRequest(Nearest(ONE), 5)
    for field, words in (("price", "float; expected a keyword"), ("albmu", "did you mean album"), ("gps", "geo")):
        with pytest.raises(InvalidInput, match=words):
            store.query_groups(request, field)
    with pytest.raises(InvalidInput, match="group_size 0"):
        store.query_groups(request, "album", 0)
    with pytest.raises(InvalidInput, match="limit 0"):
        store.query_groups(SearchRequest(Nearest(ONE), 0), "album")
    with pytest.raises(InvalidInput, match="Mmr"):
        store.query_groups(SearchRequest(Mmr(ONE), 5), "album")
