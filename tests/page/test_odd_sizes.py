"""Pictures of one pixel, of a strip and of a pole, and a name as long as a file system allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.sync_api import expect

from .test_tiles import box_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from .conftest import Shown

LONGEST = "ä" * 125 + "x.png"  # 255 bytes


@pytest.fixture
def odd(
    serve_folder: Callable[..., AbstractContextManager[str]], new_page: Callable[..., Shown], size: str, tmp_path: Path
) -> Iterator[Shown]:
    (folder := tmp_path / "pictures").mkdir()
    Image.new("RGB", (1, 1), "teal").save(folder / "dot.png")
    Image.linear_gradient("L").resize((40_000, 20)).save(folder / "strip.png")
    Image.linear_gradient("L").resize((20, 40_000)).save(folder / "pole.png")
    Image.radial_gradient("L").save(folder / LONGEST)
    with serve_folder(folder) as address:
        shown = new_page(address, size)
        shown.open()
        yield shown
        shown.page.goto("about:blank")


def test_pictures_and_names_of_the_oddest_sizes_are_shown_and_searched_by(odd: Shown) -> None:
    page = odd.page
    width = page.viewport_size["width"] if page.viewport_size else 0
    for name, pixels in (("dot.png", "1 × 1"), ("strip.png", "40000 × 20"), ("pole.png", "20 × 40000"), (LONGEST, "256 × 256")):
        tile = page.locator(".tile", has=page.get_by_role("link", name=name, exact=True))
        expect(tile.locator("img.is-loaded")).to_be_visible()
        assert min(box_of(tile)["width"], box_of(tile)["height"]) >= 24, name
        tile.get_by_role("link").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("heading", level=2)).to_have_text(name)
        expect(dialog.locator(".facts-folder")).to_contain_text(pixels)
        expect(dialog.locator(".large .is-loaded")).to_be_visible()
        dialog.get_by_role("button", name="Find similar").click()
        stage, caption = page.locator(".query-stage"), page.locator(".query-caption")
        expect(stage.get_by_role("img")).to_be_visible()
        query, box = box_of(page.locator(".query")), box_of(stage)
        # Neither too thin to be drawn on, nor afloat: what is above and below it is the section's own edge, or its caption.
        assert min(box["width"], box["height"]) >= 23, name
        assert box["height"] <= 201, name
        if name == "strip.png":
            assert box["y"] - query["y"] < 20, name
            assert box_of(caption)["y"] - (box["y"] + box["height"]) < 20, name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        page.get_by_role("button", name="Show all pictures").click()
        expect(page.locator(".query")).to_have_count(0)
