"""The tiles of the grid: what they say under the pointer and the keyboard, and how alike they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from .conftest import Shown


def box_of(place: Locator) -> dict[str, float]:
    box: Any = place.bounding_box()
    assert box is not None
    return dict(box)


def _inside(one: Locator, other: Locator) -> bool:
    a, b = box_of(one), box_of(other)
    return (
        a["x"] >= b["x"] - 1
        and a["y"] >= b["y"] - 1
        and a["x"] + a["width"] <= b["x"] + b["width"] + 1
        and a["y"] + a["height"] <= b["y"] + b["height"] + 1
    )


def test_a_tile_says_its_name_and_three_fields_under_the_pointer_and_the_keyboard(shown: Shown) -> None:
    page = shown.page
    expect(page.locator(".tile-field")).to_have_count(0)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    tile = page.locator('[data-index="1"]')
    expect(tile.locator(".tile-field")).to_have_count(3)
    expect(page.locator(".tile-field")).to_have_count(3)  # of this one only
    said = " ".join(tile.locator(".tile-field").all_inner_texts())
    assert re.search(r"label \S+", said), said
    assert re.search(r"area [\d,]+", said), said
    expect(tile.locator(".tile-name")).to_be_visible()
    assert _inside(tile.locator(".tile-about"), tile)
    page.keyboard.press("Escape")
    page.locator("main").focus()
    expect(page.locator(".tile-field")).to_have_count(0)
    tile.hover()
    expect(tile.locator(".tile-field")).to_have_count(3)
    page.mouse.move(1, 1)
    expect(page.locator(".tile-field")).to_have_count(0)


def test_varied_hits_have_the_word_beside_the_number(shown: Shown) -> None:
    page = shown.page
    page.locator('[data-index="2"] a').click()
    page.get_by_role("dialog").get_by_role("button", name="Find similar").click()
    expect(page.locator(".said")).to_contain_text("ms")
    expect(page.locator(".tile-score").first).to_have_text(re.compile(r"^ ?\d\.\d\d$"))
    expect(page.locator(".grid-heading").first).to_contain_text(re.compile("like"))
    page.get_by_label("How much hits differ").fill("0.7")
    expect(page).to_have_url(re.compile("diversity=0.7"))
    expect(page.locator(".grid-heading")).to_have_count(0)
    words = r"(Very|Alike|Somewhat|Faintly)( alike)?"
    expect(page.locator(".tile-score").filter(has_text=re.compile(words)).first).to_be_visible()
    for number in range(min(8, page.locator(".tile").count())):
        tile = page.locator(f'[data-index="{number}"]')
        box = tile.bounding_box()
        assert box is not None
        if box["width"] > 100:  # a narrower one may have room for the number alone
            expect(tile.locator(".tile-score")).to_have_text(re.compile(rf"^{words} \d\.\d\d$"))
        assert _inside(tile.locator(".tile-score"), tile)
        assert tile.locator(".tile-score").evaluate("said => said.offsetHeight < 44 && said.scrollWidth <= said.clientWidth")
    tile.evaluate("tile => tile.style.width = '40px'")  # as that of a picture that is far higher than wide
    badge = tile.locator(".tile-score")
    assert badge.evaluate("said => said.textContent = '0.99'")
    assert _inside(badge, tile)
    assert badge.evaluate("said => said.offsetHeight < 22 && said.scrollWidth <= said.clientWidth")
