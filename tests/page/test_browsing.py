"""Before anything is searched: everything, newest first, by folder and by field."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from semblant_search.collection import canonical_uri, point_id

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Shown

ALL = 97


def filters(shown: Shown) -> None:
    """Show the filters, which a small screen hides at first."""
    if not shown.page.locator(".filters").is_visible():
        shown.page.get_by_role("button", name="Filters", exact=True).click()


def done_filtering(shown: Shown) -> None:
    """Back to the pictures, on a small screen."""
    close = shown.page.get_by_role("button", name="Close the filters")
    if close.is_visible():
        close.click()


def test_the_first_thing_is_ones_own_pictures(shown: Shown) -> None:
    page = shown.page
    expect(page.locator(".said")).to_contain_text(f"{ALL} pictures")
    expect(page.locator(".tile img.is-loaded").nth(5)).to_be_visible()  # six or more, once they are there
    assert page.title() == "Semblant"
    # All of them by scrolling, of which never more are there than the screen and a little around it needs.
    for _ in range(12):
        page.mouse.wheel(0, 1500)
        page.wait_for_timeout(50)
    expect(page.locator(f'[data-index="{ALL - 1}"] img.is-loaded')).to_be_visible()
    assert page.locator(".tile").count() < ALL


def test_folders_lead_down_and_back(shown: Shown) -> None:
    page = shown.page
    filters(shown)
    page.get_by_role("button", name=re.compile("halves")).click()
    expect(page.locator(".said")).to_contain_text("halves 39 pictures of 97")
    assert "folder=" in page.url
    page.locator(".path").get_by_role("button", name="All").click()
    expect(page.locator(".said")).to_contain_text(f"{ALL} pictures")
    page.go_back()
    expect(page.locator(".said")).to_contain_text("39 pictures")
    page.reload()
    expect(page.locator(".said")).to_contain_text("39 pictures")


def test_values_have_counts_under_what_else_is_filtered(shown: Shown) -> None:
    page = shown.page
    filters(shown)
    part = page.locator("details", has_text="part").first
    expect(part.locator("label", has_text="quarters")).to_contain_text("38")
    part.locator("label", has_text="quarters").click()
    expect(page.locator(".said")).to_contain_text("38 pictures of 97")
    expect(part.locator("label", has_text="whole")).to_contain_text("19")  # its own choice does not narrow a field
    part.locator("label", has_text="whole").click()
    expect(page.locator(".said")).to_contain_text("57 pictures")
    expect(page.get_by_role("button", name=re.compile("halves"))).to_have_count(0)  # but that of the folders
    done_filtering(shown)
    page.go_back()
    expect(page.locator(".said")).to_contain_text("38 pictures")
    page.go_back()
    expect(page.locator(".said")).to_contain_text(f"{ALL} pictures")
    page.go_forward()
    expect(page.locator(".said")).to_contain_text("38 pictures")
    page.locator(".said").get_by_role("button", name="Clear filters").click()
    expect(page.locator(".said")).to_contain_text(f"{ALL} pictures")


def test_numbers_and_dates_are_chosen_as_ranges(shown: Shown) -> None:
    page = shown.page
    filters(shown)
    page.get_by_label("area from").fill("100000")
    page.get_by_label("area from").press("Enter")
    expect(page.locator(".said")).not_to_contain_text(f"{ALL} pictures")
    assert "range.area=100000.." in page.url
    page.get_by_label("area from").fill("")
    page.get_by_label("area from").press("Enter")
    expect(page.locator(".said")).to_contain_text(f"{ALL} pictures")
    page.get_by_label("day from").fill("2024-12-01")
    page.get_by_label("day from").press("Enter")
    expect(page.locator(".said")).to_contain_text("6 pictures")
    page.reload()
    expect(page.locator(".said")).to_contain_text("6 pictures")
    filters(shown)
    slider = page.get_by_role("slider", name="area at most")
    slider.focus()
    slider.press("Home")
    expect(page.locator(".said")).not_to_contain_text("6 pictures")
    assert "range.area=.." in page.url


def test_a_calendar_shows_the_days_that_have_pictures_and_chooses_whole_ones(shown: Shown) -> None:
    page, said = shown.page, shown.page.locator(".said")
    filters(shown)
    calendar = page.locator(".calendar", has=page.get_by_role("table", name=re.compile("^day,")))
    expect(calendar).to_contain_text("December 2024")  # of the latest picture
    days = calendar.locator("[class*='shade-']:not(.shade-0)")
    expect(days.first).to_be_visible()
    counts = [
        int(re.sub("^one", "1", label.split(": ")[1]).split()[0])
        for label in days.evaluate_all("all => all.map(one => one.ariaLabel)")
    ]
    assert sum(counts) == 6
    days.first.click()  # its pictures are of noon: a day ends with the next one
    expect(said).to_contain_text("picture of" if counts[0] == 1 else f"{counts[0]} pictures of")
    assert re.search(r"range\.day=2024-12-\d\d\.\.2024-12-\d\d", page.url)
    expect(days.first).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_label("day to")).to_have_value(re.compile("^2024-12-"))
    days.last.click(modifiers=["Shift"])
    expect(said).to_contain_text("6 pictures of")
    days.last.click()
    days.last.click()  # the second time it is chosen no more
    expect(said).to_contain_text(f"{ALL} pictures")
    calendar.get_by_role("button", name="The month before").click()
    expect(calendar).to_contain_text("November 2024")
    calendar.get_by_title("All of this month").click()
    expect(page).to_have_url(re.compile(r"range\.day=2024-11-01\.\.2024-11-30"))
    november: dict[str, str | float | bool] = {
        "field": "day",
        "where": 'day >= date("2024-11-01") and day < date("2024-12-01")',
    }
    bins = page.request.get(f"{page.url.partition('?')[0]}v1/histogram", params=november).json()["bins"]
    expect(said).to_contain_text(f"{sum(one['count'] for one in bins)} pictures of")
    page.go_back()
    expect(said).to_contain_text(f"{ALL} pictures")


@pytest.mark.parametrize("range", ["2024-13-45..2024-13-46", "soon..", "..5"])
def test_dates_of_an_address_that_are_none_break_nothing(shown: Shown, range: str) -> None:
    page = shown.page
    shown.wrong_is_expected("422")
    page.goto(f"{shown.address}/?range.day={range}")
    expect(page.locator("main")).to_contain_text("day")  # what the service says of it
    filters(shown)
    expect(page.locator(".calendar").first).to_contain_text(re.compile(r"\w+ 20\d\d"))
    page.get_by_label("day from").fill("2024-12-01")
    page.get_by_label("day from").press("Enter")
    page.get_by_label("day to").fill("2024-12-31")
    page.get_by_label("day to").press("Enter")
    expect(page.locator(".said")).to_contain_text("6 pictures")


def test_an_expression_is_typed_and_its_mistakes_are_shown_where_they_are(shown: Shown) -> None:
    page = shown.page
    shown.wrong_is_expected("422")
    box = page.get_by_role("searchbox")
    page.keyboard.press("/")
    expect(box).to_be_focused()
    box.fill('part == "quarters" and area < 60000')
    box.press("Enter")
    expect(page.locator(".said")).to_contain_text("of 97")
    assert "where=" in page.url
    box.fill("prat == 3")
    box.press("Enter")
    fault = page.get_by_role("alert")
    expect(fault).to_contain_text("prat")
    assert fault.locator("b").inner_text() == "↑"
    box.fill('part = "quarters"')
    box.press("Enter")
    expect(fault).to_contain_text("==")
    assert fault.locator("b").text_content() == " " * 5 + "↑"
    box.fill("astronaut")  # plain words are looked for in names
    box.press("Enter")
    expect(page.locator(".said")).to_contain_text("6 pictures of 97")
    box.fill("no picture has this name")
    box.press("Enter")
    expect(page.locator("main")).to_contain_text("No picture matches")
    page.locator(".empty").get_by_role("button", name="Clear filters").click()
    expect(page.locator(".said")).to_contain_text(f"{ALL} pictures")


def test_a_mistake_in_the_address_is_shown_where_it_is_too(shown: Shown) -> None:
    page = shown.page
    shown.wrong_is_expected("422")
    page.goto(f"{shown.address}/?where=part+%3D+%22quarters%22")
    fault = page.locator(".search-fault")
    expect(fault).to_contain_text("==")
    assert fault.locator("b").text_content() == " " * 5 + "↑"
    expect(page.locator(".empty")).not_to_contain_text("^")  # the arrow for terminals
    expect(page.locator(".said")).not_to_contain_text("of 97")  # nothing is counted
    page.get_by_role("searchbox").fill("")
    expect(page.locator(".said")).to_contain_text(f"{ALL} pictures")
    expect(fault).to_have_count(0)


def test_names_are_text_whatever_they_hold(shown: Shown) -> None:
    page = shown.page
    box = page.get_by_role("searchbox")
    box.fill('part == "<b>odd</b>"')
    box.press("Enter")
    expect(page.locator(".said")).to_contain_text("1 picture of 97")
    expect(page.locator(".tile a")).to_have_count(1)
    page.locator(".tile a").click()
    expect(page.get_by_role("dialog").get_by_role("heading", level=2)).to_contain_text("<img src=x onerror=alert(1)>")
    expect(page.locator(".facts")).to_contain_text("<b>odd</b>")
    expect(page.locator(".facts")).to_contain_text("Schöne عربي")


def test_the_order_is_a_choice(shown: Shown, tiles: Path) -> None:
    page = shown.page
    page.get_by_label("Order").select_option("area, highest first")
    assert "order=area" in page.url
    largest = page.locator('[data-index="0"] a')
    whole = point_id(canonical_uri(tiles / "whole" / "retina 0.jpg"))  # its halves have its name, and may be first before
    expect(largest).to_have_attribute("href", re.compile(whole))  # the new order has arrived
    largest.click()
    expect(page.locator(".facts")).to_contain_text("1,990,921")  # retina.jpg, 1411 × 1411


def test_back_is_back_to_the_place_that_was_scrolled_to(shown: Shown) -> None:
    page = shown.page
    page.evaluate("window.scrollTo(0, 1100)")
    expect(page.locator(".tile img.is-loaded").nth(5)).to_be_visible()
    tile = page.locator(".tile").nth(page.locator(".tile").count() // 2)
    tile.scroll_into_view_if_needed()
    link, place = tile.locator("a").get_attribute("href"), page.evaluate("window.scrollY")
    assert place > 300
    tile.locator("a").click()
    page.get_by_role("dialog").get_by_role("button", name="Find similar").click()
    expect(page.locator(".query")).to_be_visible()
    expect(page.locator(".said")).to_contain_text("ms")
    page.wait_for_function("() => window.scrollY < 50")  # another question begins at its top
    page.go_back()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.wait_for_function("(place) => Math.abs(window.scrollY - place) < 5", arg=place)
    expect(page.locator(f'.tile a[href="{link}"]')).to_be_in_viewport()
