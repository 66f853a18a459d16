"""One picture, large: its file saved, its pixels as they are, and what is said where the file is gone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect
from semblant_search.web import KeyFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

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
