"""Tests of a server run against a real one by a relay, which gives each an empty server of its own."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from semblant_search.collection import FieldType
from semblant_search.errors import CollectionNotFound, StoreError
from semblant_search.where import F
from support.samples import manifest, points
from support.servers import Answer, StandIn, client_of, database_of, info, server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """A stand-in takes the place of the real server."""
    with server(alone=True) as url:
        monkeypatch.setenv("QDRANT_URL", url)
        monkeypatch.delenv("QDRANT_REST_URL", raising=False)
        yield StandIn(url)


def names(url: str) -> set[str]:
    with closing(client_of(url)) as client:
        return {each.name for each in client.get_collections().collections}


def test_each_sees_its_own_collections_only_and_they_go_with_it(real: StandIn) -> None:
    with closing(client_of(real.url)) as theirs:
        theirs.create_collection("images", {})
        with server() as one, server() as other, closing(database_of(one)) as database, closing(database_of(other)) as empty:
            store = database.create(manifest())
            store.upsert(points(3))
            database.publish("images", "g0001")
            assert database.collections() == {"images": "g0001"}
            assert (database.open("images").count(), store.count(F("number") > 0)) == (3, 2)
            assert (names(other), empty.collections()) == (set(), {})
            with pytest.raises(CollectionNotFound):
                empty.open("images")
            assert len(names(real.url)) == len(names(one)) + 1
        assert names(real.url) == {"images"}


def test_what_arrives_is_told_answered_and_refused_as_by_a_stand_in(real: StandIn) -> None:
    with server("--strict", "--strict-mode", '{"max_query_limit": 7}') as url, closing(database_of(url)) as database:
        fields = {"number": FieldType.INTEGER, "label": FieldType.KEYWORD}
        store, relay = database.create(manifest(fields=fields)), StandIn(url)
        (made,) = [each for each in real.requests("PUT") if each.path.endswith("images__g0001")]
        assert made.body["strict_mode_config"] == {
            "enabled": True,
            "unindexed_filtering_retrieve": False,
            "unindexed_filtering_update": False,
            "max_query_limit": 7,
        }
        relay.forget()
        real.forget()
        relay.answer(Answer(400))
        with pytest.raises(StoreError, match="told to"):
            store.upsert(points(1))
        assert (len(relay.requests("PUT")), real.requests("PUT")) == (1, [])
        store.upsert(points(2))
        assert [each.path for each in relay.requests("PUT")] == ["/collections/images__g0001/points"] * 2
        relay.damage("images__g0001", points(1)[0].id)
        assert store.count() == 1
        with closing(client_of(url)) as client, pytest.raises(Exception, match=r"Collection `nothing` doesn.{1,3}t exist"):
            client.count("nothing")
        relay.version("1.17.0")
        assert info(url, "images__g0001")["points_count"] == 1
        with closing(database_of(url)) as older, pytest.raises(StoreError, match=r"is Qdrant 1\.17\.0"):
            older.open("images", "g0001").count(F("label").startswith("a"))
