"""Waiting until a Qdrant server has built its indexes."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from semblant_search.errors import StoreError
from semblant_search.store.engines.qdrant.connection import RetryPolicy
from support.samples import manifest, points
from support.servers import StandIn, database_of, info, server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from semblant_search.store import Store


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    """A server that takes four looks to build what was written."""
    with server("--yellow", "4", alone=True) as url:
        yield StandIn(url)


@contextmanager
def written(stand_in: StandIn, name: str, retry: RetryPolicy | None = None) -> Iterator[Store]:
    with closing(database_of(stand_in.url, retry=retry)) as database:
        store = database.create(manifest(name))
        store.upsert(points(2))
        stand_in.forget()
        yield store


def colour(stand_in: StandIn, store: Store) -> str:
    return str(info(stand_in.url, f"{store.manifest.collection}__g0001")["status"])


def test_a_yellow_collection_is_waited_for_and_a_green_one_is_not(stand_in: StandIn) -> None:
    with written(stand_in, "yellow") as store:
        store.optimize()
        assert len(stand_in.requests("GET")) == 5
        assert stand_in.requests("PATCH") == []
        assert colour(stand_in, store) == "green"
        stand_in.forget()
        store.optimize()
        assert [request.method for request in stand_in.requests()] == ["GET"]


def test_a_restarted_server_is_told_to_go_on_and_waited_for(stand_in: StandIn) -> None:
    """Grey: indexes are pending, and nothing has begun to build them."""
    with written(stand_in, "grey", RetryPolicy(stall=10)) as store:
        stand_in.restart()
        assert colour(stand_in, store) == "grey"
        store.optimize()
        assert colour(stand_in, store) == "green"
        (told,) = stand_in.requests("PATCH")
        assert told.body == {"optimizers_config": {}}


def test_a_server_that_makes_no_progress_is_not_waited_for() -> None:
    """Its optimizers may be off."""
    with server("--yellow", "-1", alone=True) as url, written(StandIn(url), "stalled", RetryPolicy(stall=0)) as store:
        stand_in = StandIn(url)
        assert not store.optimize()
        assert colour(stand_in, store) == "yellow"
        assert store.count() == 2


def test_progress_is_told(stand_in: StandIn) -> None:
    told: list[tuple[int, int]] = []
    with written(stand_in, "told") as store:
        assert store.optimize(lambda done, total: told.append((done, total)))
    assert {total for _, total in told} == {2}
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert len(told) > 1


def test_a_server_that_cannot_build_its_indexes_says_why(stand_in: StandIn) -> None:
    with written(stand_in, "red") as store:
        stand_in.fail("red__g0001", "no room on the disk")
        with pytest.raises(StoreError, match="failed to build the indexes of 'red__g0001': no room on the disk; see its log"):
            store.optimize()
