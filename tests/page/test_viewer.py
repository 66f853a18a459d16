"""One picture, large: its file saved, its pixels as they are, and what is said where the file is gone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from semblant_search.web import KeyFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from playwright.sync_api import Route

    from .conftest import Shown


def _opened(shown: Shown, where: str, name: str) -> None:
    """Show the picture of that name in the viewer."""
    box = shown.page.get_by_role("searchbox")
    box.fill(where)
    box.press("Enter")
    expect(shown.page.locator(".said")).to_contain_text("of 97")
    shown.page.locator(f'.tile a[aria-label="{name}"]').first.click()
    expect(shown.page.get_by_role("dialog").get_by_role("heading", level=2)).to_have_text(name)


def test_the_file_is_saved_under_its_name_where_a_key_is_needed_for_it(
    serve_page: Callable[..., AbstractContextManager[str]],
    new_page: Callable[..., Shown],
    size: str,
    tmp_path: Path,
    tiles: Path,
) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    key, _ = keys.create("reader", "search")
    with serve_page(keys=keys) as address:
        shown = new_page(address, size)
        shown.wrong_is_expected("401")
        page = shown.page
        page.goto(address)
        page.get_by_label("Key", exact=True).fill(key)
        page.get_by_label("Key", exact=True).press("Enter")
        expect(page.locator(".tile img.is-loaded").first).to_be_visible()
        _opened(shown, 'part == "whole"', "coffee 0.jpg")
        with page.expect_download() as saving:
            page.get_by_role("dialog").get_by_text("Save", exact=True).click()
        assert saving.value.suggested_filename == "coffee 0.jpg"
        assert Path(saving.value.path()).read_bytes() == (tiles / "whole" / "coffee 0.jpg").read_bytes()
        page.goto("about:blank")


def test_a_key_is_not_asked_for_again_by_an_answer_to_what_was_asked_without_it(
    serve_page: Callable[..., AbstractContextManager[str]],
    new_page: Callable[..., Shown],
    tmp_path: Path,
) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    key, _ = keys.create("reader", "search")
    late: list[Route] = []

    def hold(route: Route) -> None:
        if "authorization" in route.request.headers:
            route.continue_()
        else:
            late.append(route)

    with serve_page(keys=keys) as address:
        shown = new_page(address, "desktop")
        shown.wrong_is_expected("401")
        page = shown.page
        page.route("**/v1/about", hold)
        page.goto(address)
        page.get_by_label("Key", exact=True).fill(key)
        page.get_by_label("Key", exact=True).press("Enter")
        expect(page.locator(".tile img.is-loaded").first).to_be_visible()
        for route in late:
            with page.expect_response(lambda answer: answer.status == 401):
                route.continue_()
        assert late
        _opened(shown, 'part == "whole"', "coffee 0.jpg")
        page.goto("about:blank")


@pytest.mark.parametrize("originals", [True, False])
def test_a_picture_whose_file_is_gone_is_named_and_the_reason_is_said(
    serve_folder: Callable[..., AbstractContextManager[str]],
    new_page: Callable[..., Shown],
    size: str,
    tmp_path: Path,
    photos: Path,
    originals: bool,
) -> None:
    shutil.copytree(
        photos, tmp_path / "pictures", ignore=lambda _, names: [one for one in names if one[:3] not in ("cof", "che")]
    )
    with serve_folder(tmp_path / "pictures", {"originals": originals}) as address:
        (gone := tmp_path / "pictures" / "chelsea.png").unlink()
        shown = new_page(address, size)
        shown.wrong_is_expected("410")
        page = shown.open()
        tile = page.locator(".tile", has=page.get_by_role("link", name="chelsea.png"))
        expect(tile.locator(".thumbnail-failed")).to_have_text("chelsea.png")
        expect(tile.locator(".thumbnail-failed bdi")).to_be_visible()
        expect(page.locator(".thumbnail-failed")).to_have_count(1)
        tile.get_by_role("link").click()
        stage = page.get_by_role("dialog").locator(".viewer-stage")
        expect(stage).to_contain_text("The file is not at hand")
        expect(stage).to_contain_text(str(gone))
        expect(stage).to_contain_text("its file is gone")
        back, on = (
            ("ArrowLeft", "ArrowRight")
            if page.get_by_role("button", name="The next one").count()
            else ("ArrowRight", "ArrowLeft")
        )
        for key, name in ((on, "coffee.png"), (back, "chelsea.png"), (on, "coffee.png")):
            page.keyboard.press(key)
            expect(page.get_by_role("dialog").get_by_role("heading", level=2)).to_have_text(name)
        expect(stage.get_by_role("img", name="coffee.png")).to_be_visible()
        page.goto("about:blank")


def test_a_click_shows_the_pixels_as_they_are(shown: Shown) -> None:
    _opened(shown, 'part == "whole"', "retina 0.jpg")
    page = shown.page
    full = page.locator(".large .is-full.is-loaded")
    expect(full).to_be_visible()
    assert full.evaluate("(image) => image.naturalWidth") == 1411
    frame, stage = page.locator(".large-frame"), page.locator(".viewer-stage")
    assert frame.evaluate("(one) => one.clientWidth") <= stage.evaluate("(one) => one.clientWidth")
    page.get_by_role("button", name="Show its pixels as they are").click()
    expect(page.get_by_role("button", name="Fit into the window")).to_be_visible()
    assert frame.evaluate("(one) => [one.clientWidth, one.clientHeight]") == [1411, 1411]
    large = page.locator(".large")
    large.evaluate("(one) => one.scrollTo(1e6, 1e6)")  # all of it can be reached, to its last corner
    reached = large.evaluate(
        """(one) => {
            const [box, all] = [one.getBoundingClientRect(), one.firstElementChild.getBoundingClientRect()];
            return [all.right - box.right, all.bottom - box.bottom, box.right - box.left];
        }"""
    )
    assert max(reached[:2]) <= 20, reached
    large.evaluate("(one) => one.scrollTo(0, 0)")
    start = large.evaluate(
        "(one) => [one.firstElementChild.getBoundingClientRect().left - one.getBoundingClientRect().left,"
        " one.firstElementChild.getBoundingClientRect().top - one.getBoundingClientRect().top]"
    )
    assert min(start) >= -1, start
    page.get_by_role("button", name="Fit into the window").click()
    expect(page.get_by_role("button", name="Show its pixels as they are")).to_be_visible()
    assert frame.evaluate("(one) => one.clientWidth") <= stage.evaluate("(one) => one.clientWidth")
