"""What a store refuses before an engine sees it, on both kinds of store, and how locations are read."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qdrant_client import QdrantClient
from semblant_search import SearchClient
from semblant_search.collection import FieldType
from semblant_search.errors import CollectionNotFound, InvalidInput, MetadataError, StoreError
from semblant_search.store import SearchRequest, SparseVector, open_database
from semblant_search.store.engines.qdrant.connection import RetryPolicy, connect
from semblant_search.store.engines.qdrant.server import QdrantDatabase
from semblant_search.where import F
from support.asking import request_for
from support.samples import WIDTH, manifest, points

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_search.store import Database, Store

ONE, TWO = points(2)
FIELDS = {"number": FieldType.INTEGER, "price": FieldType.FLOAT, "lens.focal": FieldType.FLOAT, "gps": FieldType.GEO}


@pytest.fixture(scope="module", params=["edge", "local"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    if request.param == "edge":
        opened: Database = open_database(tmp_path_factory.mktemp("inputs") / "db", create=True)
    else:
        opened = QdrantDatabase(client=QdrantClient(":memory:"))
    with closing(opened):
        yield opened


@pytest.fixture(scope="module")
def store(database: Database) -> Iterator[Store]:
    with closing(database.create(manifest(fields=FIELDS))) as store:
        store.upsert([ONE, TWO])
        yield store


@pytest.fixture(scope="module")
def plain(database: Database) -> Iterator[Store]:
    """Without features and cells."""
    card = replace(manifest().encoder, cells=None)
    with closing(database.create(manifest("plain", orb=None, encoder=card))) as store:
        yield store


def sparse(indices: list[int], values: list[float]) -> SparseVector:
    return SparseVector(np.array(indices, np.uint32), np.array(values, np.float32))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": "17"}, "'17'.*UUID"),
        ({"id": None}, "UUID"),
        ({"image": np.ones(7, np.float32)}, r"shape \[7\], expected \[8\]"),
        ({"image": np.ones((1, 8), np.float32)}, "shape"),
        ({"image": np.full(8, np.nan, np.float32)}, "NaN or infinity"),
        ({"image": np.full(8, -np.inf, np.float32)}, "NaN or infinity"),
        ({"orb": sparse([1, 1], [1, 1])}, "twice"),
        ({"orb": sparse([1, 2], [1])}, "expected"),
        ({"orb": sparse([1], [np.inf])}, "NaN or infinity"),
        ({"features": np.zeros((1, WIDTH), np.int8)}, "expected uint8"),
        ({"features": np.zeros((1, WIDTH + 4), np.uint8)}, "expected uint8"),
        ({"features": np.zeros(WIDTH, np.uint8)}, "expected uint8"),
        ({"features": np.full((1, WIDTH), 255, np.uint8)}, "NaN"),
        ({"cells": np.zeros((2, 4), np.float32)}, "cells of shape"),
        ({"payload": {"a": float("nan")}}, "nan"),
        ({"payload": {"a": [1, {"b": float("inf")}]}}, "inf"),
        ({"payload": {"a": {"b": [-float("inf")]}}}, "inf"),
        ({"payload": {"a": [{1, 2}]}}, "type set"),
        ({"payload": {"a": b"x"}}, "type bytes"),
        ({"payload": {"a": {1: 2}}}, "keys must be text"),
    ],
)
def test_points_that_do_not_fit_are_refused_by_name_and_none_is_written(
    store: Store, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        store.upsert([replace(TWO, payload={"number": 99}), replace(ONE, **changes)])
    assert store.count(F("number") == 99) == 0


def test_payloads_that_are_no_json_are_refused_when_they_are_replaced(store: Store) -> None:
    for payload in ({"a": float("nan")}, {"a": object()}):
        with pytest.raises(InvalidInput, match=ONE.id):
            store.set_payloads({ONE.id: payload})
    with pytest.raises(InvalidInput, match="UUID"):
        store.set_payloads({"17": {}})
    assert store.count(F("number") == 0) == 1


def test_every_kind_of_json_is_kept(store: Store) -> None:
    payload = {"number": 0, "a": [None, True, "é", 2**53, -0.5, {"b": []}], "c": {"d": {}}, "e": "", "f": False}
    store.set_payloads({ONE.id: payload})
    assert store.retrieve([ONE.id])[0].payload == payload


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (request_for(ONE.image, 0), "limit 0"),
        (request_for(ONE.image, 1, -1), "offset -1"),
        (request_for(ONE.image, 1, ef_search=0), "ef_search 0"),
        (request_for(ONE.image[:7], 1), r"shape \[7\].*expects \[8\]"),
        (request_for(np.full(8, np.inf, np.float32), 1), "NaN or infinity"),
        (request_for(np.zeros((0, 3), np.float32), 1), r"1 or more, 3"),
        (request_for(np.zeros((2, 2), np.float32), 1), r"1 or more, 3"),
        (request_for(np.full((1, 3), np.nan, np.float32), 1), "NaN or infinity"),
        (request_for(sparse([2, 2], [1, 1]), 1), "twice"),
        (request_for(sparse([2], [np.nan]), 1), "NaN or infinity"),
    ],
)
def test_questions_that_no_engine_could_answer_are_refused(store: Store, query: SearchRequest, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        store.query(query)
    with pytest.raises(InvalidInput, match=words):
        store.query_batch([request_for(ONE.image, 1), query])


def test_what_a_collection_does_not_keep_cannot_be_written_or_asked(plain: Store) -> None:
    bare = replace(ONE, features=None, cells=None)
    for changes in ({"features": ONE.features}, {"orb": sparse([1], [1])}):
        with pytest.raises(InvalidInput, match="ORB features, but collection 'plain' keeps none"):
            plain.upsert([replace(bare, **changes)])
    with pytest.raises(InvalidInput, match="cells of shape"):
        plain.upsert([replace(bare, cells=ONE.cells)])
    with pytest.raises(InvalidInput, match=r"indexed without ORB features.*--rebuild"):
        plain.query(request_for(sparse([1], [1]), 1))
    with pytest.raises(InvalidInput, match=r"keeps no cells.*'test'.*--cells"):
        plain.query(request_for(np.ones((1, 3), np.float32), 1))
    plain.upsert([bare])
    (record,) = plain.retrieve([bare.id], with_image=True, with_features=True, with_cells=True)
    assert (record.features, record.cells) == (None, None)


def test_other_arguments_are_refused(store: Store) -> None:
    with pytest.raises(InvalidInput, match="batch 0"):
        store.scroll(batch=0)
    with pytest.raises(InvalidInput, match="limit 0"):
        store.facet("number", limit=0)
    with pytest.raises(InvalidInput, match=r"unknown field 'numbr'.*number"):
        store.facet("numbr")
    with pytest.raises(InvalidInput, match="places"):
        store.facet("gps")
    for call in (store.retrieve, store.delete):
        with pytest.raises(InvalidInput, match="UUID"):
            call([ONE.id, "17"])
    with pytest.raises(MetadataError, match=r"price.*float"):
        store.add_fields({"price": FieldType.DATETIME})


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "ä.onnx", "a b", "a\n"])
def test_names_of_files_are_plain(store: Store, name: str) -> None:
    with pytest.raises(InvalidInput, match="asset name"):
        store.put_asset(name, b"x")
    with pytest.raises(InvalidInput, match="asset name"):
        store.asset(name)
    assert store.asset("no-such_file.1") is None


@pytest.mark.parametrize("generation", ["g1", "g001", "0001", "G0001", "g00x1", "g٠٠٠١", "", "g0001 "])
def test_names_of_generations_are_numbers(database: Database, generation: str) -> None:
    with pytest.raises((InvalidInput, CollectionNotFound)):
        database.open("images", generation)
    with pytest.raises(InvalidInput, match="'g0001'"):
        database.drop("images", generation)
    with pytest.raises(InvalidInput, match="'g0001'"):
        database.create(manifest("images", generation))


def test_values_of_a_list_count_once_for_each_picture(store: Store) -> None:
    """Of numbers with a fraction, which are counted from the payloads."""
    store.set_payloads(
        {
            ONE.id: {"number": 0, "price": [1.5, 1.5, 2.5, None], "lens": {"focal": 50.5}},
            TWO.id: {"number": 1, "price": 2.5, "lens": {"focal": [50.5, 35.5]}},
        }
    )
    assert list(store.facet("price").items()) == [(2.5, 2), (1.5, 1)]
    assert list(store.facet("lens.focal").items()) == [(50.5, 2), (35.5, 1)]
    assert store.facet("price", limit=1) == {2.5: 2}
    assert store.facet("price", where=F("number") == 0) == {1.5: 1, 2.5: 1}
    prices = [-2.5, -7.25, 100.5, 0.5, 33.25]
    store.set_payloads({ONE.id: {"number": 0, "price": prices}, TWO.id: {"number": 1, "price": prices[:3]}})
    assert list(store.facet("price")) == [-7.25, -2.5, 100.5, 0.5, 33.25]


def test_what_is_missing_is_said_with_what_there_is(database: Database, store: Store) -> None:
    with pytest.raises(CollectionNotFound, match=r"no collection 'nothing'; it has none yet"):
        database.open("nothing")
    database.publish("images", "g0001")
    with pytest.raises(CollectionNotFound, match=r"no collection 'nothing'; there: images"):
        database.open("nothing")


@pytest.mark.parametrize("url", ["http://", "http://host:port", "http://[::1", "ftp://host", "s3://x", "file:///tmp", ""])
def test_locations_that_can_never_work_are_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        open_database(url)


def test_a_key_is_for_servers_and_a_timeout_is_more_than_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="API key"):
        open_database(tmp_path / "db", api_key="x", create=True)
    assert not (tmp_path / "db").exists()
    with pytest.raises(InvalidInput, match="timeout"):
        open_database("http://localhost:1", timeout=0)


def test_a_database_is_a_url_or_a_client() -> None:
    with closing(QdrantClient(":memory:")) as client:
        for wrong in ({}, {"url": "http://localhost", "client": client}):
            with pytest.raises(InvalidInput, match="either a URL or a client"):
                QdrantDatabase(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("http://host", {"url": "http://host", "prefer_grpc": False}),
        ("HTTPS://host:443", {"url": "HTTPS://host:443", "prefer_grpc": False}),
        ("grpc://host", {"host": "host", "grpc_port": 6334, "https": False, "prefer_grpc": True}),
        ("GRPC://host:7000", {"host": "host", "grpc_port": 7000, "https": False, "prefer_grpc": True}),
        ("grpcs://host:7001", {"host": "host", "grpc_port": 7001, "https": True, "prefer_grpc": True}),
    ],
)
@pytest.mark.parametrize(("timeout", "seconds"), [(30.0, 30), (2.4, 3), (0.2, 1)])
def test_urls_are_read(url: str, options: dict[str, Any], timeout: float, seconds: int) -> None:
    with closing(connect(url, api_key="key", timeout=timeout)) as client:
        made = client.init_options
        assert {name: made[name] for name in options} == options
        assert (made["headers"], made["timeout"], made["check_compatibility"]) == ({"api-key": "key"}, seconds, False)
    with closing(open_database(url)) as database:
        assert database.location == url


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hush-hush@127.0.0.1:1",
        "https://user:hush-hush@127.0.0.1:1",
        "http://user:hush-hush@",
        "http://user:hush-hush@host:port",
        "http://user:hush/hush@127.0.0.1:1",
        "http://user:hush#hush@127.0.0.1:1",
        "http://user:hush@hush@127.0.0.1:1",
        "http://user:hush-hush@[::1",
        "ftp://user:hush-hush@127.0.0.1",
        "grpc://user:hush-hush@127.0.0.1:1",
    ],
)
def test_a_password_in_a_url_is_in_no_message_and_no_log(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    texts = []
    once = RetryPolicy(attempts=1)

    def use() -> None:
        with closing(open_database(url, timeout=1, retry=once)) as database:
            texts.extend([repr(database), database.location])
            database.collections()

    with pytest.raises((InvalidInput, StoreError)) as caught:
        use()
    error: BaseException | None = caught.value
    while error is not None:
        texts += [str(error), repr(error)]
        error = error.__cause__ or error.__context__
    texts += [record.getMessage() for record in caplog.records]
    assert all("hush" not in text and "user" not in text for text in texts)
    assert "***@" in texts[0]


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_password_in_a_url_is_sent_as_basic_authentication(scheme: str) -> None:
    with closing(connect(f"{scheme}://me:p%40ss@host:7000", api_key="key", timeout=1)) as client:
        assert client.init_options["headers"] == {"api-key": "key", "authorization": "Basic bWU6cEBzcw=="}
        assert "p%40ss" not in str(client.init_options["url"])


def test_a_client_of_ones_own_is_a_database() -> None:
    with closing(QdrantClient(":memory:")) as client:
        with open_database(client) as database:
            database.create(manifest()).close()
            database.publish("images", "g0001")
        with SearchClient(client, collection="images") as search:
            assert search.count() == 0
        assert client.collection_exists("images__g0001")  # it stays open
        with pytest.raises(InvalidInput, match="leave the key out"):
            open_database(client, api_key="x")
    with pytest.raises(InvalidInput, match="type int: expected a directory, a URL or a QdrantClient"):
        open_database(7)  # type: ignore[arg-type]


def test_a_closed_database_says_so() -> None:
    """A client of one's own stays open."""
    with closing(QdrantClient(":memory:")) as client:
        with QdrantDatabase(client=client) as database:
            store = database.create(manifest())
        assert client.collection_exists("images__g0001")
        assert store.count() == 0
    database = QdrantDatabase("http://localhost:1")
    database.close()
    database.close()
    with pytest.raises(StoreError, match=r"is closed; open it again"):
        database.collections()
