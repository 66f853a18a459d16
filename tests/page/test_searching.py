"""Searching by a picture: clicked, picked, dropped, pasted; a part of one; several; and what is said of the answers."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Shown

DROP = """([name, data, kind]) => {
    const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
    const files = new DataTransfer();
    files.items.add(new File([bytes], name, {type: 'image/png'}));
    const target = document.querySelector('main');
    if (kind === 'paste') { target.dispatchEvent(new ClipboardEvent('paste', {clipboardData: files, bubbles: true})); return; }
    for (const event of ['dragenter', 'dragover', 'drop'])
        target.dispatchEvent(new DragEvent(event, {dataTransfer: files, bubbles: true, cancelable: true}));
}"""


def _first(shown: Shown) -> str:
    return shown.page.locator('[data-index="0"] a').get_attribute("aria-label") or ""


def test_a_picture_of_the_collection_finds_what_looks_like_it(shown: Shown) -> None:
    page = shown.page
    page.get_by_role("searchbox").fill("chelsea")
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator(".said")).to_contain_text("5 pictures")
    page.get_by_role("searchbox").fill("")
    page.get_by_role("link", name="chelsea").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", level=2)).to_contain_text("chelsea")
    expect(dialog.locator(".similar li")).to_have_count(9)
    dialog.get_by_role("button", name="Find similar").click()
    expect(page.locator(".query")).to_contain_text("chelsea")
    alike = re.compile(r" \d\.\d\d, (Very alike|Alike|Somewhat alike|Faintly alike)$")
    expect(page.locator('[data-index="0"] a')).to_have_attribute("aria-label", alike)  # until then, what was shown before
    expect(page.locator(".grid .tile img.is-loaded").first).to_be_visible()
    assert "like=" in page.url
    page.reload()
    expect(page.locator(".query")).to_contain_text("chelsea")
    page.get_by_role("button", name="Show all pictures").click()
    expect(page.locator(".query")).to_have_count(0)


@pytest.mark.parametrize("way", ["pick", "drop", "paste"])
def test_a_picture_from_outside_is_searched_by(shown: Shown, photos: Path, way: str) -> None:
    page = shown.page
    file = photos / "coffee.png"
    if way == "pick":
        page.locator("[data-role=pick]").set_input_files(file)
    else:
        page.evaluate(DROP, [file.name, base64.b64encode(file.read_bytes()).decode(), way])
    expect(page.locator(".query")).to_contain_text("Your picture")
    expect(page.locator(".query img")).to_be_visible()
    expect(page.locator('[data-index="0"] a')).to_have_attribute("aria-label", re.compile("coffee 0"))
    assert "like=upload" in page.url
    page.reload()  # the browser kept it
    expect(page.locator('[data-index="0"] a')).to_have_attribute("aria-label", re.compile("coffee 0"))
    page.get_by_role("button", name="Contains it").click()
    expect(page.locator(".said")).to_contain_text("proven")
    assert "Turned or scaled" in _first(shown) or "copy" in _first(shown)


def test_a_picture_that_this_browser_does_not_have_is_asked_for(shown: Shown) -> None:
    page = shown.page
    page.goto(f"{shown.address}/?like=upload:0123456789abcdef")
    expect(page.get_by_role("alert")).to_contain_text("Drop it here again")


def test_a_rectangle_on_the_picture_asks_for_that_part(shown: Shown) -> None:
    page = shown.page
    page.get_by_role("searchbox").fill("astronaut 0")
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator(".said")).to_contain_text("of 97")
    page.locator(".tile a[aria-label='astronaut 0.jpg']").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Find similar").click()
    page.get_by_role("button", name="Contains it").click()
    expect(page.locator(".said")).to_contain_text("proven")
    box = page.locator(".query-stage img").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + box["height"] * 0.05)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.6, steps=4)
    page.mouse.up()
    expect(page.get_by_role("button", name="Whole picture")).to_be_visible()
    assert "region=" in page.url
    page.get_by_role("button", name="Whole picture").click()
    page.get_by_role("button", name="Looks like it").click()
    page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + box["height"] * 0.05)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.6, steps=4)
    page.mouse.up()
    expect(page.locator(".query")).to_contain_text(
        "Your picture"
    )  # this encoder has no cells: the part is a picture of its own
    page.go_back()
    expect(page.locator(".query")).to_contain_text("astronaut 0")


def test_more_and_less_like_and_variety(shown: Shown) -> None:
    page = shown.page
    page.locator(".tile a").nth(2).click()
    page.get_by_role("dialog").get_by_role("button", name="Find similar").click()
    expect(page.locator(".query")).to_be_visible()
    expect(page.locator(".said")).to_contain_text("ms")
    page.locator(".tile a").nth(1).click()
    page.get_by_role("button", name="More like it").click()
    expect(page.locator(".example")).to_have_count(2)
    page.locator(".tile a").nth(3).click()
    page.get_by_role("button", name="Less like it").click()
    expect(page.locator(".example.is-unlike")).to_have_count(1)
    expect(page.locator(".tile img.is-loaded").first).to_be_visible()
    page.get_by_label("How much hits differ").fill("0.5")
    expect(page).to_have_url(re.compile("diversity=0.5"))
    page.locator(".example.is-unlike button").click()
    expect(page.locator(".example")).to_have_count(2)


def test_why_shows_the_details_that_agree(shown: Shown) -> None:
    page = shown.page
    page.get_by_role("searchbox").fill("astronaut")
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator(".said")).to_contain_text("6 pictures")
    page.locator(".tile a[aria-label='astronaut 0.jpg']").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Find similar").click()
    page.get_by_role("button", name="Contains it").click()
    expect(page.locator(".said")).to_contain_text("proven")
    page.locator('[data-index="0"] a').click()
    page.get_by_role("button", name="Why?").click()
    expect(page.locator(".proof figcaption")).to_contain_text("details agree")
    assert page.locator(".proof line").count() > 10
    page.keyboard.press("Escape")
    expect(page.locator(".proof")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_nothing_that_contains_it_is_said_plainly(shown: Shown, tmp_path: Path) -> None:
    page = shown.page
    noise = np.random.default_rng(5).integers(0, 255, (30, 40, 3), np.uint8)
    Image.fromarray(noise).resize((640, 480), Image.Resampling.BICUBIC).save(stranger := tmp_path / "stranger.png")
    page.locator("[data-role=pick]").set_input_files(stranger)
    page.get_by_role("button", name="Contains it").click()
    expect(page.locator("main")).to_contain_text("No picture here contains it")
    page.get_by_role("button", name="Show what looks like it").click()
    expect(page.locator(".tile").first).to_be_visible()


def test_what_is_no_picture_is_refused_in_words(shown: Shown, tmp_path: Path) -> None:
    page = shown.page
    shown.wrong_is_expected("422")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    page.locator("[data-role=pick]").set_input_files(tmp_path / "notes.txt")
    expect(page.get_by_role("status").last).to_contain_text("no picture")
    page.locator("[data-role=pick]").set_input_files(tmp_path / "broken.png")
    expect(page.get_by_role("alert")).to_be_visible()
