"""The client for asyncio: the same calls and answers, a limited number at once, and nothing that blocks the event loop."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from semblant_search import AsyncSearchClient, CollectionNotFound, InvalidInput, SearchClient, StoreError, StoreLocked
from semblant_search.async_client import _iterated
from semblant_search.web import create_app
from support.service import listening
from support.systems import needs_posix

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def public(kind: type) -> dict[str, Any]:
    return {name: value for name, value in inspect.getmembers(kind) if not name.startswith("_") and callable(value)}


def test_every_call_of_the_client_is_there_with_the_same_arguments() -> None:
    calls, awaited = public(SearchClient), public(AsyncSearchClient)
    assert set(awaited) == {*calls, "manifest", "aclose"} - {"close"}
    for name in set(calls) - {"close"}:
        assert inspect.signature(awaited[name]) == inspect.signature(calls[name])
        assert awaited[name].__doc__ == calls[name].__doc__
    plain, other = (inspect.signature(kind).parameters for kind in (SearchClient, AsyncSearchClient))
    assert list(other) == [*plain, "capacity"]
    assert all(other[name].default == plain[name].default for name in plain)


def test_it_answers_what_the_client_answers(db: Path, pictures: list[Path]) -> None:
    async def ask() -> list[Any]:
        async with AsyncSearchClient(db) as client:
            assert repr(client) == f"AsyncSearchClient({str(db)!r}, collection='images')"
            found = await asyncio.gather(
                client.search(pictures[0], limit=3),
                client.search_batch(pictures[:2], 2),
                client.search_vector(np.ones(49), 2),
                client.search_features(pictures[0], verify=False, limit=2),
                client.search_fused(pictures[0], 3),
                client.count("label == 'bag'"),
                client.facet("label"),
                client.get(pictures[1]),
            )
            return [*found, (await client.embed(pictures[:2])).tolist(), await client.manifest()]

    found = run(ask())
    with SearchClient(db) as client:  # the other one has let go of it
        assert found == [
            client.search(pictures[0], limit=3),
            client.search_batch(pictures[:2], 2),
            client.search_vector(np.ones(49), 2),
            client.search_features(pictures[0], verify=False, limit=2),
            client.search_fused(pictures[0], 3),
            client.count("label == 'bag'"),
            client.facet("label"),
            client.get(pictures[1]),
            client.embed(pictures[:2]).tolist(),
            client.manifest,
        ]


def test_all_pictures_come_one_by_one_and_may_be_left_halfway(db: Path) -> None:
    async def ask() -> tuple[list[str], list[str]]:
        async with AsyncSearchClient(db) as client:
            every = [picture.id async for picture in client.pictures(order_by="price")]
            some = []
            async for picture in client.pictures():
                some.append(picture.id)
                if len(some) == 3:
                    break
            with pytest.raises(InvalidInput, match="order by 'label'"):
                _ = [picture async for picture in client.pictures(order_by="label")]
            return every, some

    every, some = run(ask())
    with SearchClient(db) as client:
        assert every == [picture.id for picture in client.pictures(order_by="price")]
        assert some == [picture.id for picture in client.scroll(3).pictures]


def test_a_listing_that_is_cancelled_amid_a_turn_is_left_once_the_turn_is_over(db: Path) -> None:
    held, at_work, left = threading.Event(), threading.Event(), threading.Event()

    def slowly(_: SearchClient) -> Iterator[int]:
        try:
            at_work.set()
            held.wait(30)
            yield 1
        finally:
            left.set()

    listing = _iterated(slowly)

    async def ask() -> None:
        async with AsyncSearchClient(db) as client:

            async def go_through() -> None:
                async for _ in listing(client):
                    pass

            task = asyncio.create_task(go_through())
            while not at_work.is_set():
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not left.is_set()
            held.set()

    run(ask())
    assert left.wait(30)


def test_the_first_call_opens_it_and_errors_come_through(db: Path, tmp_path: Path) -> None:
    async def ask() -> None:
        client = AsyncSearchClient(db)
        assert repr(client) == "AsyncSearchClient(not open)"
        assert await client.count() == 300
        with pytest.raises(InvalidInput, match="limit 0"):
            await client.search_vector(np.ones(49), 0)
        await client.aclose()
        await client.aclose()
        with pytest.raises(StoreError, match="closed"):
            await client.count()
        SearchClient(db).close()
        for wrong, kind in ((tmp_path / "nowhere", StoreError), (db, CollectionNotFound)):
            with pytest.raises(kind):
                async with AsyncSearchClient(wrong, collection="others"):
                    pass

    run(ask())


def test_a_block_that_is_cancelled_while_it_opens_leaves_the_database_to_others(db: Path) -> None:
    async def ask() -> None:
        client = AsyncSearchClient(db)
        entering = asyncio.create_task(client.__aenter__())
        await asyncio.sleep(0)  # a thread is at it now
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        while True:
            try:
                SearchClient(db).close()
                break
            except StoreLocked:
                await asyncio.sleep(0.05)
        async with client:
            assert await client.count() == 300

    run(ask())


def test_a_client_that_is_open_already_stays_open(db: Path) -> None:
    async def ask(client: SearchClient) -> None:
        async with AsyncSearchClient(client) as awaited:
            assert await awaited.count() == 300

    with SearchClient(db) as client:
        run(ask(client))
        assert client.count() == 300
        with pytest.raises(InvalidInput, match="give it alone"):
            AsyncSearchClient(client, collection="others")
        with pytest.raises(InvalidInput, match="give it alone"):
            AsyncSearchClient(client, refresh=9)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "many"])
def test_a_capacity_is_a_number_of_calls(db: Path, wrong: Any) -> None:
    with pytest.raises(InvalidInput, match=r"capacity .*: expected a whole number of calls at once, at least 1"):
        AsyncSearchClient(db, capacity=wrong)


def test_no_more_calls_are_at_work_than_it_may_and_cancelled_ones_are_not_made(db: Path) -> None:
    held, most, at_work, made, lock = threading.Event(), 0, 0, 0, threading.Lock()

    def progress(_: int) -> None:
        nonlocal most, at_work, made
        with lock:
            made += 1
            at_work += 1
            most = max(most, at_work)
        held.wait(30)
        with lock:
            at_work -= 1
        raise ZeroDivisionError  # looked into enough

    async def ask() -> None:
        async with AsyncSearchClient(db, capacity=2) as client:
            tasks = [asyncio.create_task(client.duplicates(on_progress=progress)) for _ in range(5)]
            while made < 2:
                await asyncio.sleep(0.01)
            tasks[4].cancel()  # waits its turn
            tasks[0].cancel()  # is at work
            for cancelled in (tasks[4], tasks[0]):
                with pytest.raises(asyncio.CancelledError):
                    await cancelled
            await asyncio.sleep(0.1)
            assert made == 2  # the one that is left to its end keeps its place
            held.set()
            for task in tasks[1:4]:
                with pytest.raises(ZeroDivisionError):
                    await task

    run(ask())
    assert (most, made) == (2, 4)


def test_the_event_loop_goes_on_meanwhile(db: Path, pictures: list[Path]) -> None:
    async def ask() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        async with AsyncSearchClient(db) as client:
            ticking = asyncio.create_task(tick())
            await client.duplicates(on_progress=lambda _: time.sleep(0.001))
            ticking.cancel()
        return ticks

    assert run(ask()) > 20
    assert pictures


_FORKING = """
import asyncio, os, sys, time
from semblant_search import AsyncSearchClient, StoreError
client = AsyncSearchClient(sys.argv[1])
before = asyncio.run(client.count())
time.sleep(0.2)  # its thread waits for work
child = os.fork()
if child == 0:
    try:
        found = asyncio.run(asyncio.wait_for(client.count(), 30))
        asyncio.run(asyncio.wait_for(client.aclose(), 30))
    except StoreError as error:
        found = error
    print(found, flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert asyncio.run(client.count()) == before
asyncio.run(client.aclose())
"""


@needs_posix
def test_after_a_fork_it_does_what_the_client_does(db: Path, own_shop: Any) -> None:
    def forked(where: str) -> str:
        command = [sys.executable, "-W", "ignore", "-c", _FORKING, where]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=100).stdout

    assert "before this one was forked" in forked(str(db))
    with SearchClient(own_shop) as local, listening(create_app(own_shop, client=local)) as address:
        assert forked(address) == f"{local.count()}\n"
