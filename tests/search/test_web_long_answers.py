"""Answers that take longer than a request: a ticket for them, one at a time, and none that nobody waits for."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from semblant_search import InvalidInput
from semblant_search.web import long_answers
from semblant_search.web.long_answers import LongAnswers, Working
from semblant_search.web.models import ComparingFiles
from semblant_search.web.problems import ServiceError
from support.service import problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.service import Served


def test_a_long_comparison_is_fetched_with_its_ticket(served: Served) -> None:
    asked = {"where": 'label == "photos"', "wait": 0}
    response = served.http.post("/v1/duplicates", json=asked)
    assert response.status_code == 202
    told = ComparingFiles.model_validate(response.json(), strict=True)
    problem(served.http.post("/v1/duplicates", json={"wait": 0, "ticket": told.ticket}), 422, "invalid-request")  # asks other
    while (response := served.http.post("/v1/duplicates", json={**asked, "wait": 5, "ticket": told.ticket})).status_code == 202:
        assert response.json()["ticket"] == told.ticket
    expected = [one.to_json() for one in served.client.duplicates(where='label == "photos"')]
    assert response.json()["groups"] == json.loads(json.dumps(expected))
    again = problem(served.http.post("/v1/duplicates", json={**asked, "ticket": told.ticket}), 422, "invalid-request")
    assert again["pointer"] == "/ticket"


@pytest.mark.parametrize("wrong", [-1, 61, "soon"])
def test_a_wait_that_cannot_be_is_refused(served: Served, wrong: object) -> None:
    problem(served.http.post("/v1/duplicates", json={"wait": wrong}), 422, "invalid-request")


def _slow(let_go: threading.Event, told: list[int]) -> Callable[[Callable[[int], None]], Any]:
    """Work in a thread that tells how far it is until it is let go."""

    def work(on_progress: Callable[[int], None]) -> str:
        done = 0
        while not let_go.wait(0.005):
            done += 1
            on_progress(done)
            told.append(done)
        return "done"

    return lambda on_progress: asyncio.to_thread(work, on_progress)


def test_one_works_at_a_time_and_each_gets_its_own_answer() -> None:
    async def both() -> None:
        answers, let_go, told = LongAnswers(), threading.Event(), list[int]()
        first = await answers.ask("a", _slow(let_go, told), None, 0.05)
        second = await answers.ask("b", _slow(let_go, []), None, 0.05)
        assert isinstance(first, Working)
        assert isinstance(second, Working)
        assert second.done == 0, "it waits for the first"
        later = await answers.ask("a", _slow(let_go, []), first.ticket, 0.05)
        assert later.done > 0
        assert later.seconds > first.seconds
        let_go.set()
        assert await answers.ask("b", _slow(let_go, []), second.ticket, 10) == "done"
        assert await answers.ask("a", _slow(let_go, []), first.ticket, 10) == "done"

    asyncio.run(both())


def test_what_nobody_waits_for_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_answers, "_ABANDONED_SECONDS", 0.02)

    async def left() -> None:
        answers, never, told = LongAnswers(), threading.Event(), list[int]()
        begun = await answers.ask("a", _slow(never, told), None, 0.1)
        assert begun.done > 0, "it goes on while somebody waits"
        await asyncio.sleep(0.2)
        ended = len(told)
        await asyncio.sleep(0.1)
        assert len(told) == ended
        with pytest.raises(ServiceError, match="ticket"):
            await answers.ask("a", _slow(never, told), begun.ticket, 0)

    asyncio.run(left())


def test_a_service_that_stops_does_not_wait_for_it() -> None:
    async def stopped() -> None:
        answers, never = LongAnswers(), threading.Event()
        begun = await answers.ask("a", _slow(never, []), None, 0.05)
        answers.close()
        with pytest.raises(ServiceError, match="stopped") as caught:
            await answers.ask("a", _slow(never, []), begun.ticket, 10)
        assert caught.value.code == "stopping"

    asyncio.run(stopped())


def test_what_fails_says_so_to_who_asks() -> None:
    async def failing(_: Callable[[int], None]) -> None:
        raise InvalidInput("not so")

    with pytest.raises(InvalidInput, match="not so"):
        asyncio.run(LongAnswers().ask("a", failing, None, 10))


def test_not_everything_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_answers, "_WAITING", 2)

    async def crowd() -> None:
        answers, let_go = LongAnswers(), threading.Event()
        for question in "ab":
            await answers.ask(question, _slow(let_go, []), None, 0)
        with pytest.raises(ServiceError, match="at work already") as caught:
            await answers.ask("c", _slow(let_go, []), None, 0)
        assert caught.value.code == "too-busy"
        let_go.set()

    asyncio.run(crowd())
