"""Keys, a service that goes away, a collection that is not there yet, the keyboard alone, and axe."""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from playwright.sync_api import expect
from semblant_indexer import IndexJob, run
from semblant_search import SearchClient
from semblant_search.store import open_database
from semblant_search.web import KeyFile, create_app

from .test_browsing import filters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from .conftest import Shown

AXE = Path(__file__).parents[2] / "search" / "page" / "node_modules" / "axe-core" / "axe.min.js"


def test_a_key_is_asked_for_and_used_for_pictures_too(
    serve_page: Callable[..., AbstractContextManager[str]], new_page: Callable[..., Shown], size: str, tmp_path: Path
) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    key, _ = keys.create("reader", "search")
    with serve_page(keys=keys) as address:
        shown = new_page(address, size)
        shown.wrong_is_expected("401")
        page = shown.page
        page.goto(address)
        expect(page.get_by_role("dialog")).to_contain_text("takes a key")
        page.get_by_label("Key", exact=True).fill("sk_wrong")
        page.get_by_label("Key", exact=True).press("Enter")
        expect(page.get_by_role("dialog")).to_contain_text("not good any more")
        page.get_by_label("Key", exact=True).fill(key)
        page.get_by_label("Key", exact=True).press("Enter")
        expect(page.locator(".tile img.is-loaded").first).to_be_visible()
        expect(page.locator(".tile img.is-loaded").first).to_have_attribute("src", re.compile("^blob:"))
        page.locator('[data-index="0"] a').click()
        expect(page.get_by_role("dialog").locator(".similar img.is-loaded").first).to_be_visible()
        page.get_by_role("button", name="Find similar").click()
        expect(page.locator(".query img")).to_be_visible()
        keys.revoke("reader")
        page.reload()
        expect(page.get_by_role("dialog")).to_contain_text("not good any more")
        page.goto("about:blank")


def test_a_service_that_is_started_again_is_found_again(indexed: Path, tmp_path: Path, new_page: Callable[..., Shown]) -> None:
    import shutil

    shutil.copytree(indexed, tmp_path / "db")
    with _at_a_port(tmp_path / "db") as (address, stop, start):
        shown = new_page(address)
        shown.wrong_is_expected("ERR_CONNECTION_REFUSED")
        shown.wrong_is_expected("ERR_CONNECTION_RESET")
        shown.wrong_is_expected("status of 503")
        page = shown.open()
        stop()
        page.locator('[data-index="0"] .tile-similar').dispatch_event("click")
        expect(page.locator(".notices")).to_contain_text("does not answer")
        start()
        expect(page.locator(".notices")).not_to_contain_text("does not answer")
        expect(page.locator('[data-index="0"] a')).to_have_attribute("aria-label", re.compile(r" \d\.\d\d"))
        page.goto("about:blank")


def test_what_cannot_be_done_now_is_asked_again(shared_address: str, new_page: Callable[..., Shown]) -> None:
    shown = new_page(shared_address)
    shown.wrong_is_expected("status of 50")
    page = shown.page
    problem = {"type": "about:blank", "title": "Busy", "status": 503, "detail": "the database is busy", "code": "overloaded"}
    page.route("**/v1/count*", lambda route: route.fulfill(status=503, json=problem), times=1)
    page.goto(shown.address)
    expect(page.locator("main")).to_contain_text("the database is busy")
    expect(page.locator(".said")).to_contain_text("97 pictures")


def test_what_stands_before_a_service_that_is_started_again_may_answer_for_it(
    shared_address: str, new_page: Callable[..., Shown]
) -> None:
    shown = new_page(shared_address)
    shown.wrong_is_expected("status of 502")
    page = shown.open()
    page.route(re.compile("/v1/|/readyz"), lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>"))
    page.locator('[data-index="0"] .tile-similar').dispatch_event("click")
    expect(page.locator(".notices")).to_contain_text("does not answer")
    page.unroute_all()
    expect(page.locator(".notices")).not_to_contain_text("does not answer")
    expect(page.locator('[data-index="0"] a')).to_have_attribute("aria-label", re.compile(r" \d\.\d\d"))


@contextmanager
def _at_a_port(db: Path) -> Iterator[tuple[str, Callable[[], None], Callable[[], None]]]:
    """A service that can be stopped and started again at the same address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running: list[tuple[uvicorn.Server, threading.Thread, Any]] = []

    def start() -> None:
        database = open_database(db)
        client = SearchClient(database)
        server = uvicorn.Server(uvicorn.Config(create_app(database, client=client), port=port, log_config=None, lifespan="on"))
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread, (client, database)))
        while not server.started:
            time.sleep(0.01)

    def stop() -> None:
        while running:
            server, thread, opened = running.pop()
            server.should_exit = True
            thread.join()
            for one in opened:
                one.close()

    start()
    try:
        yield f"http://127.0.0.1:{port}", stop, start
    finally:
        stop()


def test_a_collection_that_is_not_there_yet_is_waited_for(
    indexed: Path, tiles: Path, tmp_path: Path, new_page: Callable[..., Shown], size: str
) -> None:
    from support.service import listening

    with closing(open_database(tmp_path / "db", create=True)) as database, listening(create_app(database)) as address:
        shown = new_page(address.replace("semblant", "http"), size)
        shown.wrong_is_expected("404")
        shown.page.goto(shown.address)
        expect(shown.page.locator("main")).to_contain_text("no pictures here yet")
        expect(shown.page.locator(".filters")).to_have_count(0)  # there is nothing to filter, and nothing more to be said of it
        statuses: list[int] = []
        with shown.page.expect_response("**/v1/collections"):
            pass  # what was asked at first has its answer
        shown.page.on("response", lambda answer: statuses.append(answer.status))
        for _ in range(2):
            with shown.page.expect_response("**/v1/collections"):
                pass
        assert 404 not in statuses  # the console would call each a failure
        encoder = indexed.with_name("encoder.onnx")
        run(IndexJob(str(tiles / "whole"), encoder, str(tmp_path / "db"), workers=1, threads=1, orb=None), database=database)
        expect(shown.page.locator(".tile").first).to_be_visible()
        expect(shown.page.locator("main")).not_to_contain_text("no pictures here yet")
        shown.page.goto("about:blank")


def test_the_keyboard_alone_is_enough(new_page: Callable[..., Shown], shared_address: str) -> None:
    page = new_page(shared_address).open()
    page.keyboard.press("ArrowDown")
    expect(page.locator('[data-index="0"] a')).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator('[data-index="2"] a')).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("End")
    expect(page.locator('[data-index="96"] a')).to_be_focused()
    page.keyboard.press("Home")
    expect(page.locator('[data-index="0"] a')).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    first = page.url  # by the picture's id; the next one may have its name, too
    assert "open=" in first
    page.keyboard.press("ArrowRight")
    expect(page).not_to_have_url(first)
    expect(page).to_have_url(re.compile("open="))
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    expect(page.locator(".selection")).to_be_visible()
    expect(page.locator('[data-index="1"]')).to_have_class(re.compile("is-marked"))
    page.keyboard.press("Escape")
    expect(page.locator(".selection")).to_have_count(0)
    page.keyboard.press("s")
    expect(page.locator(".query")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".query")).to_have_count(0)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Keys")
    page.keyboard.press("Escape")
    page.keyboard.press("f")
    expect(page.locator(".filters")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(new_page: Callable[..., Shown], shared_address: str, size: str, scheme: str) -> None:
    shown = new_page(shared_address, size, color_scheme=scheme, bypass_csp=True)  # axe is put into the page
    page = shown.open()

    def check(where: str) -> None:
        page.wait_for_timeout(300)
        if not page.evaluate("'axe' in window"):
            page.add_script_tag(path=AXE)
        told = page.evaluate("axe.run().then((found) => found.violations)")
        bad = [
            (where, one["id"], [node["target"] for node in one["nodes"]][:3])
            for one in told
            if one["impact"] in ("serious", "critical")
        ]
        assert not bad, bad

    check("pictures")
    filters(shown)
    check("filters")
    if size == "phone":
        page.get_by_role("button", name="Close the filters").click()
    page.locator('[data-index="1"] a').click()
    expect(page.locator(".similar img.is-loaded").first).to_be_visible()
    check("viewer")
    page.get_by_role("button", name="Find similar").click()
    expect(page.locator(".said")).to_contain_text("ms")
    check("search")
    page.get_by_role("link", name="Duplicates").click()
    expect(page.locator(".group").first).to_be_visible(timeout=120_000)
    check("duplicates")
    page.get_by_role("link", name="Jobs").click()
    expect(page.locator(".sources li").first).to_be_visible()
    check("jobs")
