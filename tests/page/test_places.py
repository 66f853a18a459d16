"""Where pictures were taken: a map to draw a rectangle on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from .test_browsing import filters

if TYPE_CHECKING:
    from .conftest import Shown

PLACES = {"whole": (52.52, 13.4), "halves": (48.14, 11.58), "quarters": (-33.87, 151.21)}


@pytest.fixture
def travelled(own: Shown) -> Shown:
    """Each part of the collection was taken in another town."""
    for part, (lat, lon) in PLACES.items():
        change = {"where": f'part == "{part}"', "metadata": {"place": {"lat": lat, "lon": lon}}}
        assert own.page.request.patch(f"{own.address}/v1/pictures", data=change).ok
    own.page.reload()
    filters(own)
    summary = own.page.locator("summary", has_text="place")
    if summary.locator("..").get_attribute("open") is None:
        summary.click()
    return own


def test_a_rectangle_on_the_map_is_a_filter(travelled: Shown) -> None:
    page = travelled.page
    chart = page.locator(".places-map")
    expect(chart.locator("circle")).to_have_count(3)
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.45)  # right and below: Sydney
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] - 2, steps=4)
    page.mouse.up()
    counted = page.request.get(f"{travelled.address}/v1/count", params={"where": 'part == "quarters"'}).json()["count"]
    expect(page.locator(".said")).to_contain_text(f"{counted} pictures of 97")
    assert "place.place=" in page.url
    page.go_back()
    expect(page.locator(".said")).to_contain_text("97 pictures")
    page.go_forward()
    filters(travelled)
    page.get_by_role("button", name="Everywhere").press("Enter")  # wherever what comes above it has moved it to
    expect(page.locator(".said")).to_contain_text("97 pictures")


def test_a_rectangle_can_be_typed(travelled: Shown) -> None:
    page = travelled.page
    south = page.get_by_label("place: south", exact=False)
    south.fill("51")
    south.press("Enter")
    counted = page.request.get(f"{travelled.address}/v1/count", params={"where": 'part == "whole"'}).json()["count"]
    expect(page.locator(".said")).to_contain_text(f"{counted} pictures of 97")
    south.fill("95")  # no degrees
    south.press("Enter")
    expect(page.locator(".said")).to_contain_text(f"{counted} pictures of 97")


def test_a_click_on_a_place_shows_its_pictures(travelled: Shown) -> None:
    page = travelled.page
    page.locator(".places-map circle").first.click()
    expect(page.locator(".said")).to_contain_text("of 97")
    assert "place.place=" in page.url
