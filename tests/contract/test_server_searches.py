"""Searching and counting on a Qdrant server: the options arrive, and what must be exact is."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from semblant_search import SearchClient
from semblant_search.collection import FieldType, StorageOptions
from semblant_search.store import Mmr, SearchRequest, SparseVector
from semblant_search.where import F, parse_where
from support.asking import request_for
from support.samples import FIELDS, manifest, points
from support.servers import REAL, StandIn, database_of, knows, own_name, server, url_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from semblant_search.store import ScoredRecord, Store
    from semblant_search.store.engines.qdrant.server import QdrantDatabase

POINTS = points(60)
QUERY = POINTS[0].image
KINDS = [None, "scalar", "turbo", "binary"]
ASKS: list[Callable[[Store, SearchRequest], list[ScoredRecord]]] = [
    lambda store, query: store.query(query),
    lambda store, query: store.query_batch([query, query])[1],
]
ask_both_ways = pytest.mark.parametrize("ask", ASKS, ids=["one", "batch"])


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    """It has graphs, which miss."""
    with server("--graph", alone=True) as url:
        yield StandIn(url)


@pytest.fixture(scope="module")
def database(stand_in: StandIn) -> Iterator[QdrantDatabase]:
    with closing(database_of(stand_in.url)) as database:
        yield database


@pytest.fixture(scope="module")
def stores(database: QdrantDatabase) -> dict[str | None, Store]:
    """The same points, quantized in every way."""
    made: dict[str | None, Store] = {}
    for kind in KINDS:
        made[kind] = database.create(manifest(f"quantized-{kind}", storage=StorageOptions(kind)))
        made[kind].upsert(POINTS)
    return made


@pytest.fixture
def store(stores: dict[str | None, Store]) -> Store:
    return stores[None]


def ranked(query: np.ndarray) -> list[str]:
    return [POINTS[n].id for n in np.argsort(-np.stack([point.image for point in POINTS]) @ query)]


@ask_both_ways
@pytest.mark.parametrize("kind", KINDS)
def test_exact_searches_find_what_graph_and_quantization_miss(
    stores: dict[str | None, Store], kind: str | None, ask: Callable[[Store, SearchRequest], list[ScoredRecord]]
) -> None:
    hits = ask(stores[kind], request_for(QUERY, 60, exact=True))
    assert [hit.id for hit in hits] == ranked(QUERY)
    (best,) = ask(stores[kind], request_for(QUERY, 1, exact=True))
    assert best.id == POINTS[0].id
    assert ask(stores[kind], request_for(QUERY, 1))[0].id != POINTS[0].id


@ask_both_ways
def test_a_longer_candidate_list_misses_less(store: Store, ask: Callable[[Store, SearchRequest], list[ScoredRecord]]) -> None:
    assert [hit.id for hit in ask(store, request_for(QUERY, 5, ef_search=256))] == ranked(QUERY)[:5]
    assert [hit.id for hit in ask(store, request_for(QUERY, 5, ef_search=10))] == ranked(QUERY)[1:6]


@ask_both_ways
@pytest.mark.parametrize("kind", KINDS[1:])
def test_quantized_searches_score_with_the_originals(
    stores: dict[str | None, Store], kind: str, ask: Callable[[Store, SearchRequest], list[ScoredRecord]]
) -> None:
    images = {point.id: point.image for point in POINTS}
    hits = ask(stores[kind], request_for(QUERY, 4, ef_search=256))
    np.testing.assert_allclose([hit.score for hit in hits], [float(images[hit.id] @ QUERY) for hit in hits], atol=1e-5)
    assert hits[0].id == POINTS[0].id


@ask_both_ways
@pytest.mark.parametrize(
    ("kind", "asked", "params"),
    [
        (None, {}, None),
        (None, {"exact": True}, {"exact": True}),
        (None, {"ef_search": 7}, {"exact": False, "hnsw_ef": 7}),
        ("scalar", {}, {"exact": False, "quantization": {"ignore": False, "rescore": True, "oversampling": 2.0}}),
        ("turbo", {}, {"exact": False, "quantization": {"ignore": False, "rescore": True, "oversampling": 3.0}}),
        ("binary", {}, {"exact": False, "quantization": {"ignore": False, "rescore": True, "oversampling": 8.0}}),
        (
            "binary",
            {"exact": True, "ef_search": 9},
            {"exact": True, "hnsw_ef": 9, "quantization": {"ignore": True, "rescore": True, "oversampling": 8.0}},
        ),
    ],
)
def test_a_server_is_told_how_to_search(
    stand_in: StandIn,
    stores: dict[str | None, Store],
    ask: Callable[[Store, SearchRequest], list[ScoredRecord]],
    kind: str | None,
    asked: dict[str, Any],
    params: dict[str, Any] | None,
) -> None:
    stand_in.forget()
    ask(stores[kind], request_for(QUERY, 3, 2, F("number") >= 0, ["number"], score_threshold=0.1, **asked))
    (request,) = stand_in.requests("POST")
    body = request.body["searches"][1] if "searches" in request.body else request.body
    got = {name: value for name, value in (body.get("params") or {}).items() if value is not None}
    assert got == (params or {})
    # The hit before the page and the one after it show whether equal scores were cut apart.
    assert (body["limit"], body["offset"], body["score_threshold"]) == (5, 1, 0.1)
    assert body["using"] == "image"
    assert body["with_payload"] == ["number"]
    assert not body.get("with_vector")
    assert body["filter"]["must"][0]["key"] == "number"


@ask_both_ways
def test_a_later_page_of_diverse_hits_is_whole(store: Store, ask: Callable[[Store, SearchRequest], list[ScoredRecord]]) -> None:
    """A server skips what it has chosen, and chooses no more for it."""
    query = Mmr(QUERY, diversity=0.4, candidates=30)
    whole = [hit.id for hit in ask(store, SearchRequest(query, limit=12))]
    assert len(whole) == 12
    assert [hit.id for hit in ask(store, SearchRequest(query, limit=7, offset=5))] == whole[5:]
    assert ask(store, SearchRequest(query, limit=3, offset=1000)) == []


@ask_both_ways
def test_cells_and_words_are_searched_by_their_own_vectors(
    stand_in: StandIn, store: Store, ask: Callable[[Store, SearchRequest], list[ScoredRecord]]
) -> None:
    """The server adds the scores of the asked cells up, so that a threshold of their mean is twice as much to it."""
    cells = POINTS[3].cells
    assert cells is not None
    cells = cells / np.linalg.norm(cells, axis=1, keepdims=True)
    stand_in.forget()
    (hit,) = ask(store, request_for(cells, 5, score_threshold=0.9999))
    assert (hit.id, round(hit.score, 4)) == (POINTS[3].id, 1.0)
    words = SparseVector(np.array([1, 5], np.uint32), np.array([0.5, 2.0], np.float32))
    assert ask(store, request_for(words, 5, score_threshold=0.5)) == []
    by_cells, by_words = (each.body.get("searches", [each.body])[-1] for each in stand_in.requests("POST"))
    assert (by_cells["using"], by_words["using"]) == ("cells", "orb")
    assert by_cells["score_threshold"] == pytest.approx(1.9998)
    assert by_words["score_threshold"] == 0.5
    assert by_words["query"]["nearest"] == {"indices": [1, 5], "values": [0.5, 2.0]}


@ask_both_ways
def test_large_limits_are_cut_to_what_is_there(
    stand_in: StandIn, database: QdrantDatabase, store: Store, ask: Callable[[Store, SearchRequest], list[ScoredRecord]]
) -> None:
    """A limit that asks for everything would make a server set memory aside."""
    empty = database.create(manifest("empty"))
    for opened, limit, sent, counted in (
        (store, 10_000, 10_001, False),
        (store, 10_001, 61, True),
        (store, 10**12, 61, True),
        (empty, 10**12, 2, True),
    ):
        stand_in.forget()
        assert len(ask(opened, request_for(QUERY, limit, exact=True))) == (60 if opened is store else 0)
        (request,) = [each for each in stand_in.requests() if "query" in each.path]
        assert request.body.get("searches", [request.body])[-1]["limit"] == sent
        assert bool(stand_in.requests(ending="count")) == counted
    database.drop("empty", "g0001")


def test_no_more_is_read_than_asked_for(stand_in: StandIn, store: Store) -> None:
    stand_in.forget()
    list(store.scroll(batch=25, fields=["number"]))
    list(store.scroll(fields=[], with_image=True))
    store.retrieve([POINTS[0].id])
    store.retrieve([POINTS[0].id], with_image=True, with_features=True, with_cells=True)
    asked = [(each.body.get("limit"), each.body["with_payload"], each.body["with_vector"]) for each in stand_in.requests()]
    assert asked == [
        *[(25, ["number"], False)] * 3,
        (1000, False, ["image"]),
        (None, True, False),
        (None, True, ["image", "orb_features", "cells"]),
    ]


@pytest.mark.parametrize("kind", ["stand-in", REAL])
def test_counts_are_exact(kind: str) -> None:
    url = url_of(kind)
    with own_name(url) as name, closing(database_of(url)) as database:
        store = database.create(manifest(name, fields=FIELDS))
        store.upsert([*points(7, label="red", on_sale=True), *points(12, label="blue", on_sale=False)[7:]])
        assert store.count() == 12
        assert store.count(F("label") == "red") == 7
        assert store.facet("label") == {"red": 7, "blue": 5}
        assert store.facet("label", where=F("number") > 0, limit=1) == {"red": 6}
        assert store.facet("on_sale") == {True: 7, False: 5}
        assert store.facet("number", limit=3) == {0: 1, 1: 1, 2: 1}


def test_counts_of_a_collection_in_several_shards_are_those_of_all_of_them(database: QdrantDatabase) -> None:
    """Each shard tells only as many of its own values as are asked for."""
    store = database.create(manifest("spread", fields=FIELDS, storage=StorageOptions(shards=3)))
    labels = [label for number, label in enumerate("abcdefgh") for _ in range(4 + number % 3)]
    written = points(len(labels))
    store.upsert([replace(point, payload={**point.payload, "label": labels[row]}) for row, point in enumerate(written)])
    expected = sorted(Counter(labels).items(), key=lambda pair: (-pair[1], pair[0]))
    for limit in (1, 2, 3, 8, 100):
        assert list(store.facet("label", limit=limit).items()) == expected[:limit]


def test_an_open_client_follows_a_field_that_becomes_one_of_floats(stand_in: StandIn, database: QdrantDatabase) -> None:
    store = database.create(manifest("widened", fields={"stock": FieldType.INTEGER}))
    store.upsert(points(2, stock=60))
    database.publish("widened", "g0001")
    with SearchClient(stand_in.url, collection="widened", refresh=0) as client:
        assert client.count("stock == 60") == 2
        store.add_fields({"stock": FieldType.FLOAT})
        store.upsert(points(1, stock=59.9))
        assert client.count("stock < 59.95") == 1
        assert client.count("stock == 60") == 1


@pytest.fixture(scope="module")
def guarded() -> Iterator[Store]:
    """A collection on a server in strict mode: every field that a filter names needs its index, and limits end at 500."""
    with server("--strict", "--strict-mode", '{"max_query_limit": 500}') as url, closing(database_of(url)) as database:
        fields = {name: kind for name, kind in FIELDS.items() if name != "label"}
        store = database.create(manifest(fields=fields))
        place = {"lon": 13.4, "lat": 52.5}
        facts = {"price": 2.5, "on_sale": True, "taken": "2024-05-01T10:00:00Z", "gps": place, "odd name": "some words"}
        store.upsert(points(3, label="Sneaker", **facts))
        store.add_fields({"label": FieldType.KEYWORD})
        store.put_asset("encoder.onnx", b"one")
        store.put_asset("encoder.onnx", b"two")
        yield store


@pytest.mark.parametrize(
    "where",
    [
        "label == 'Sneaker'",
        "label in ['Sneaker', 'Bag']",
        "startswith(label, 'Snea')",
        pytest.param(
            "contains(label, 'eak')",
            marks=pytest.mark.skipif(not knows((1, 20)), reason="older servers refuse to filter by a part of a text"),
        ),
        "exists(label)",
        "number == 1 or number in [0, 2]",
        "number >= 0",
        "price == 2.5",
        "1 < price < 3",
        "on_sale == true",
        "taken == '2024-05-01'",
        "taken < '2024-05-02'",
        "exists(gps)",
        "not label == 'Bag' and not (price > 3 or on_sale == false)",
    ],
)
def test_every_filter_has_its_index(guarded: Store, where: str) -> None:
    parsed = parse_where(where)
    assert guarded.count(parsed) == 3
    assert len(list(guarded.scroll(where=parsed, batch=500))) == 3
    assert len(guarded.query(request_for(QUERY, 3, where=parsed))) == 3


def test_names_that_are_no_words_have_their_index_too(guarded: Store) -> None:
    assert guarded.count(F("odd name").startswith("some")) == 3
    assert guarded.facet("odd name") == {"some words": 3}


def test_strict_mode_keeps_files_and_lists_longer_than_it_likes(guarded: Store) -> None:
    assert guarded.asset("encoder.onnx") == b"two"
    assert len(guarded.query(request_for(QUERY, 500))) == 3
    assert len(guarded.query(request_for(QUERY, 501))) == 3
