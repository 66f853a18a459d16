"""A server in strict mode allows little in one request: what is larger comes in several, and says the same."""

from __future__ import annotations

import itertools
import json
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest
from semblant_search.collection import FieldType, StorageOptions
from semblant_search.errors import StoreError
from semblant_search.store import Mmr, Nearest, OrderBy, SearchRequest
from semblant_search.where import F
from support.samples import FIELDS, manifest, points
from support.servers import StandIn, database_of, info, server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from semblant_search.store import Store

COUNT = 23
LIMITS = {"max_query_limit": 7, "search_max_batchsize": 2, "upsert_max_batchsize": 5}


@pytest.fixture(scope="module")
def strict() -> Iterator[StandIn]:
    with server("--strict", "--strict-mode", json.dumps(LIMITS)) as url:
        yield StandIn(url)


@pytest.fixture(scope="module")
def stores(strict: StandIn) -> Iterator[tuple[Store, Store]]:
    """The same pictures on a server that allows all, and on one that allows little."""
    with ExitStack() as stack:
        both = []
        for url in (stack.enter_context(server()), strict.url):
            store = stack.enter_context(closing(database_of(url))).create(manifest("limited"))
            store.upsert(points(COUNT))
            both.append(store)
        yield both[0], both[1]


def test_large_batches_are_written_in_several_requests(strict: StandIn, stores: tuple[Store, Store]) -> None:
    _, store = stores
    assert store.count() == COUNT
    strict.forget()
    store.upsert(points(COUNT))
    assert [len(request.body["points"]) for request in strict.requests("PUT", "/points")] == [5, 5, 5, 5, 3]


@pytest.mark.parametrize(
    "request_for",
    [
        SearchRequest(Nearest(points(1)[0].image), limit=6),
        SearchRequest(Nearest(points(1)[0].image), limit=7),
        SearchRequest(Nearest(points(1)[0].image), limit=20),
        SearchRequest(Nearest(points(1)[0].image), limit=20, offset=5),
        SearchRequest(Nearest(points(1)[0].image), limit=500),
        SearchRequest(Nearest(points(1)[0].image), limit=500, exact=True, where=F("number") < 15),
        SearchRequest(Nearest(points(1)[0].image), limit=500, score_threshold=0.5),
    ],
    ids=["6", "7", "20", "20 from 5", "500", "filtered", "threshold"],
)
def test_searches_find_the_same(stores: tuple[Store, Store], request_for: SearchRequest) -> None:
    plain, limited = (store.query(request_for) for store in stores)
    assert [hit.id for hit in limited] == [hit.id for hit in plain]
    assert [hit.score for hit in limited] == pytest.approx([hit.score for hit in plain])


def test_an_order_by_variety_is_not_put_together_of_shorter_ones(stores: tuple[Store, Store]) -> None:
    """Each of them would begin anew. Which pictures it holds differs between two processes of the stand-in."""
    assert len(stores[1].query(SearchRequest(Mmr(points(1)[0].image, diversity=0.5, candidates=COUNT), limit=7))) == 7
    with pytest.raises(StoreError, match=r"400.*Limit exceeded 8 > 7"):
        stores[1].query(SearchRequest(Mmr(points(1)[0].image, diversity=0.5, candidates=COUNT), limit=8))


def test_batches_of_searches_find_the_same(stores: tuple[Store, Store]) -> None:
    requests = [
        SearchRequest(Nearest(point.image), limit=limit) for point, limit in zip(points(5), (3, 30, 7, 8, 1), strict=True)
    ]
    plain, limited = ([[hit.id for hit in hits] for hits in store.query_batch(requests)] for store in stores)
    assert limited == plain
    assert [len(hits) for hits in limited] == [3, COUNT, 7, 8, 1]


def test_listings_and_counts_are_the_same(stores: tuple[Store, Store]) -> None:
    plain, limited = stores
    assert [one.id for one in limited.scroll()] == [one.id for one in plain.scroll()]
    for order in (OrderBy("number"), OrderBy("number", descending=True)):
        assert [one.id for one in limited.scroll(order_by=order)] == [one.id for one in plain.scroll(order_by=order)]
    page, following = limited.scroll_page(10)
    assert (len(page), following) == (10, plain.scroll_page(10)[1])
    assert limited.facet("number", limit=30) == plain.facet("number", limit=30)
    assert limited.facet("number", limit=5) == plain.facet("number", limit=5)


def test_files_of_many_parts_are_found(stores: tuple[Store, Store]) -> None:
    _, limited = stores
    for number in range(10):
        limited.put_asset(f"file-{number}", bytes([number]))
    assert limited.assets() == sorted(f"file-{number}" for number in range(10))
    limited.drop_asset("file-3")
    assert len(limited.assets()) == 9


def test_what_is_refused_for_another_reason_is_asked_once(strict: StandIn, stores: tuple[Store, Store]) -> None:
    _, limited = stores
    limited.count()
    strict.forget()
    with pytest.raises(StoreError, match="Index required but not found"):
        limited._engine.count({"must": [{"key": "nothing", "match": {"value": 1}}]})
    assert len(strict.requests("POST")) == 1


@pytest.fixture
def few() -> Iterator[str]:
    """A server with room for four payload indexes in a collection."""
    with server("--strict", "--strict-mode", '{"max_payload_index_count": 4}') as url:
        yield url


def test_fields_beyond_the_limit_of_indexes_go_without(few: str) -> None:
    kinds: dict[str, Any] = dict.fromkeys(["_uri", "a", "_width", "b", "_sources", "c"], FieldType.INTEGER)
    with closing(database_of(few)) as database:
        store = database.create(manifest("few", fields=kinds))
        assert info(few, "few__g0001")["payload_schema"].keys() == {"_sources", "_width", "_uri", "a"}
        assert store.index_rest() == ["b", "c"]
        store.add_fields({"d": FieldType.KEYWORD, "a": FieldType.FLOAT})
        assert store.manifest.fields == {**kinds, "a": FieldType.FLOAT, "d": FieldType.KEYWORD}
        schema = info(few, "few__g0001")["payload_schema"]
        assert {name: index["data_type"] for name, index in schema.items()} == {
            "_sources": "integer",
            "_width": "integer",
            "_uri": "integer",
            "a": "float",
        }
        store.upsert(points(3, a=1.5, b=2))
        assert store.count(F("a") == 1.5) == 3
        assert store.facet("b") == {2: 3}  # counted here
        with pytest.raises(StoreError, match='Index required but not found for "b"'):
            store.count(F("b") == 2)
        assert len(list(store.scroll(order_by=OrderBy("a")))) == 3
        with pytest.raises(StoreError, match="No range index for `order_by` key: `b`"):
            list(store.scroll(order_by=OrderBy("b")))


def test_indexes_are_made_once_there_is_room(few: str) -> None:
    kinds = dict.fromkeys("abcdef", FieldType.INTEGER)
    with closing(database_of(few)) as database:
        store = database.create(manifest("room", fields=kinds))
        assert store.index_rest() == ["e", "f"]
        store._engine._run("delete_payload_index", field_name="a")  # type: ignore[attr-defined]
        assert store.index_rest() == ["e", "f"]
        assert "a" in info(few, "room__g0001")["payload_schema"]


@pytest.mark.parametrize("quantize", [None, "binary"])
def test_where_nothing_may_be_exact_counts_still_are(quantize: str | None) -> None:
    """The server counts roughly only, so that they are made here; a search in few bits looks as far as it may."""
    settings = {"search_allow_exact": False, "search_max_oversampling": 3.0, "max_query_limit": 7}
    with server("--strict", "--strict-mode", json.dumps(settings)) as url, closing(database_of(url)) as database:
        kinds = {**FIELDS, "label": FieldType.KEYWORD}
        store = database.create(manifest("rough", fields=kinds, storage=StorageOptions(quantize)))
        store.upsert(points(COUNT, label="red"))
        assert not store.allows_exact()
        assert (store.count(), store.count(F("number") < 15), store.count(F("number") < 0)) == (COUNT, 15, 0)
        assert store.facet("label") == {"red": COUNT}
        assert store.query(SearchRequest(Nearest(points(1)[0].image), limit=1))[0].id == points(1)[0].id
        with pytest.raises(StoreError, match="Exact search disabled"):
            store.query(SearchRequest(Nearest(points(1)[0].image), limit=1, exact=True))


def test_no_request_writes_more_than_a_minute_allows() -> None:
    """It would be refused whenever it came: such an answer does not say that the server is busy."""
    with server("--strict", "--strict-mode", '{"write_rate_limit": 9}') as url, closing(database_of(url)) as database:
        store = database.create(manifest("slow"))
        stand_in = StandIn(url)
        stand_in.forget()
        store.upsert(points(COUNT))
        sent = [[point["id"] for point in request.body["points"]] for request in stand_in.requests("PUT", "/points")]
        assert [len(ids) for ids, _ in itertools.groupby(sent)] == [COUNT, 9, 9, 5]  # a real server lets them wait for a minute
