"""Before anything is searched: everything, newest first, by folder and by field."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from .conftest import Shown


def test_the_first_thing_is_ones_own_pictures(shown: Shown) -> None:
    page = shown.page
    expect(page.locator(".said")).to_contain_text("97 pictures")
    assert page.locator(".tile img.is-loaded").count() >= 6
    assert page.title() == "Semblant"
