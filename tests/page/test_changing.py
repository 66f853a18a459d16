"""Selecting, saving lists, tagging, removing with a way back; duplicates; jobs; and what a reader without rights sees."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from .test_browsing import filters

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from playwright.sync_api import Dialog, Route

    from .conftest import Shown


def _mark(shown: Shown, index: int) -> None:
    tile = shown.page.locator(f'[data-index="{index}"]')
    tile.locator("a").focus()
    shown.page.keyboard.press("x")
    expect(tile.locator(".tile-mark")).to_have_attribute("aria-pressed", "true")


def _saved(shown: Shown, button: str) -> str:
    with shown.page.expect_download() as saving:
        shown.page.get_by_role("button", name=button, exact=True).click()
    return Path(saving.value.path()).read_text(encoding="utf-8")


def test_many_are_selected_and_saved_as_a_table_or_a_list(shown: Shown) -> None:
    page = shown.page
    _mark(shown, 0)
    page.locator('[data-index="3"] a').focus()
    page.keyboard.press("x")
    expect(page.locator(".selection")).to_contain_text("2 pictures")
    page.locator('[data-index="5"] a').click()  # where some are selected, a click selects
    expect(page.locator(".selection")).to_contain_text("3 pictures")
    rows = list(csv.DictReader(io.StringIO(_saved(shown, "CSV"))))
    assert len(rows) == 3
    assert {"file", "uri", "area", "day", "part"} <= set(rows[0])
    assert all(Path(row["file"]).is_file() for row in rows)
    assert _saved(shown, "List").splitlines() == [row["file"] for row in rows]
    page.get_by_role("button", name="Find similar", exact=True).last.click()
    expect(page.locator(".example")).to_have_count(3)
    expect(page.locator(".selection")).to_have_count(0)


def test_tags_are_metadata_and_filters(own: Shown) -> None:
    page = own.page
    _mark(own, 0)
    _mark(own, 1)
    page.get_by_role("button", name="Tag", exact=True).click()
    page.get_by_label("Field", exact=True).fill("mood")
    page.get_by_label("Value", exact=True).fill("calm")
    page.get_by_label("Value", exact=True).press("Enter")
    expect(page.get_by_role("status").last).to_contain_text("mood of 2 pictures is calm")
    filters(own)
    expect(page.locator(".filters")).to_contain_text("mood")
    page.get_by_role("searchbox").fill('mood == "calm"')
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator(".said")).to_contain_text("2 pictures of 97")


def test_what_was_removed_comes_back_for_some_seconds(own: Shown) -> None:
    page = own.page
    first = page.locator('[data-index="0"] a')
    picture = first.get_attribute("href") or ""  # its name may be that of the next one, too
    first.click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(first).not_to_have_attribute("href", picture)
    page.get_by_role("button", name="Undo").click()
    expect(first).to_have_attribute("href", picture)
    assert page.request.get(f"{own.address}/v1/count").json() == {"count": 97}
    first.click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    page.reload()  # leaving does what was asked for, and the page that comes waits for it
    expect(page.locator(".said")).to_contain_text(re.compile(r"\d pictures"))
    assert page.locator(".said p").inner_text() == "96 pictures"
    expect(first).not_to_have_attribute("href", picture)
    assert page.request.get(f"{own.address}/v1/count").json() == {"count": 96}


def test_a_removal_too_large_for_the_end_of_a_page_makes_the_browser_ask(own: Shown) -> None:
    page = own.page
    own.wrong_is_expected("404")  # most of these pictures there are not
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    _removed_with_strangers(own, 2000)
    page.evaluate("location.reload()")  # 78 kB of ids; a page that ends may send 64 kB
    _wait_for(own, 96)
    assert asked == ["beforeunload"]


def test_more_are_removed_than_the_service_takes_at_once_and_some_that_are_gone(own: Shown) -> None:
    page = own.page
    own.wrong_is_expected("404")
    _removed_with_strangers(own, 11_000)
    expect(page.locator(".notices")).to_contain_text("11,001 pictures removed")
    _wait_for(own, 96)
    expect(page.locator(".said")).to_contain_text("96 pictures")
    expect(page.locator(".notices")).not_to_contain_text("Not removed")


def _wait_for(own: Shown, count: int) -> None:
    for _ in range(300):
        if own.page.request.get(f"{own.address}/v1/count").json() == {"count": count}:
            return
        own.page.wait_for_timeout(100)
    raise AssertionError(f"there are not {count} pictures")


def _removed_with_strangers(own: Shown, count: int) -> None:
    """Remove the first picture and so many that there are not (any more), as a review of many duplicates may."""
    page = own.page

    def answer(route: Route) -> None:
        fetched = route.fetch()
        if fetched.status != 200:  # files are compared still
            return route.fulfill(response=fetched)
        told = fetched.json()
        best, one = told["groups"][0]["representative"], told["groups"][0]["others"][0]
        groups = [{"representative": best, "others": [one]}]
        for number in range(count):
            gone = f"{number:08x}-0000-4000-8000-00000000000"
            groups.append({"representative": {**best, "id": f"{gone}0"}, "others": [{**one, "id": f"{gone}1"}]})
        return route.fulfill(json={**told, "groups": groups})

    page.route("**/v1/duplicates", answer)
    page.get_by_role("link", name="Duplicates").click()
    expect(page.locator(".group").first).to_be_visible(timeout=120_000)
    page.get_by_role("button", name="Mark all copies").click()
    page.get_by_role("button", name="Remove from the collection").click()
    page.get_by_role("link", name="Pictures", exact=True).click()


def test_what_can_be_undone_stays_while_something_else_is_said(own: Shown) -> None:
    page = own.page
    page.locator('[data-index="0"] a').click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    page.locator('[data-index="0"] a').click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Tag it…").click()
    dialog.get_by_label("Value", exact=True).fill("7")
    dialog.get_by_label("Value", exact=True).press("Enter")
    said = page.locator(".notices")
    expect(said).to_contain_text(" is 7.")
    said.get_by_role("button", name="Undo").click()  # over the viewer, too
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.locator(".said")).to_contain_text("97 pictures")
    page.wait_for_timeout(8500)
    assert page.request.get(f"{own.address}/v1/count").json() == {"count": 97}


def test_duplicates_are_reviewed_in_bulk(own: Shown, tiles: Path) -> None:
    page = own.page
    page.get_by_role("link", name="Duplicates").click()
    expect(page.locator(".group").first).to_be_visible(timeout=120_000)  # files are compared by their pixels
    group = page.locator(".group", has_text="astronaut copy")
    expect(group.locator(".is-kept")).to_contain_text("Keep")
    expect(group).to_contain_text("A copy")
    expect(page.locator(".review")).to_contain_text(re.compile(r"[1-9]\d* files? marked"))
    listed = [Path(line) for line in _saved(own, "List of files").splitlines()]
    assert any(path.parent in (tiles / "halves", tiles / "whole") and "astronaut" in path.name for path in listed)
    page.get_by_role("button", name="Mark none").click()
    expect(page.locator(".review")).to_contain_text("0 files marked")
    group.get_by_role("checkbox").check()
    page.get_by_role("button", name="Remove from the collection").click()
    expect(page.locator(".group", has_text="astronaut copy")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".group", has_text="astronaut copy")).to_have_count(1)
    page.get_by_role("button", name="Same picture, changed").click()
    assert (tiles / "halves" / "astronaut copy.jpg").is_file()  # no file is ever touched


def test_a_reader_sees_nothing_that_would_be_refused(
    serve_page: Callable[..., AbstractContextManager[str]], new_page: Callable[..., Shown], size: str
) -> None:
    with serve_page({"read_only": True, "originals": False}) as address:
        shown = new_page(address, size)
        page = shown.open()
        page.locator('[data-index="0"] a').click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("button", name="Find similar")).to_be_visible()
        for name in ("Remove", "Tag it…", "Save"):
            expect(dialog.get_by_role("button", name=name)).to_have_count(0)
        page.goto("about:blank")


def test_a_long_press_of_a_finger_selects(new_page: Callable[..., Shown], shared_address: str) -> None:
    page = new_page(shared_address, "phone").open()
    finger = page.context.new_cdp_session(page)

    def press(index: int, milliseconds: int) -> None:
        box = page.locator(f'[data-index="{index}"]').bounding_box()
        assert box is not None
        at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
        page.wait_for_timeout(milliseconds)
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    press(1, 900)
    expect(page.locator(".selection")).to_contain_text("1 picture")
    expect(page.locator('[data-index="1"]')).to_have_class(re.compile("is-marked"))
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.locator('[data-index="2"] a').tap()  # from then on, a tap selects
    expect(page.locator(".selection")).to_contain_text("2 pictures")
    press(1, 900)
    expect(page.locator(".selection")).to_contain_text("1 picture")
    page.get_by_role("button", name="Select none").click()
    page.locator('[data-index="2"] a').tap()
    expect(page.get_by_role("dialog")).to_be_visible()
