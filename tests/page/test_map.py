"""The map and the clusters: points and pictures, colours, what is chosen on it, what is found; with WebGL and without."""

from __future__ import annotations

import io
import json
import re
import shutil
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from semblant_indexer.analysis import cluster_collection, map_collection
from semblant_search.store import open_database

from .conftest import service
from .test_troubles import AXE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from .conftest import Shown

ALL = 97
NO_WEBGL = """
const made = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...others) {
    return kind.startsWith('webgl') ? null : made.call(this, kind, ...others);
};
"""


@pytest.fixture
def browser(webgl_browser: Browser) -> Browser:
    """The map is drawn by WebGL, but where a test takes it away."""
    return webgl_browser


@pytest.fixture(scope="module")
def mapped_db(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mapped")
    shutil.copytree(indexed, folder / "db")
    with closing(open_database(folder / "db")) as database:
        map_collection(database)
        cluster_collection(database, k=4)
    return folder / "db"


@pytest.fixture(scope="module")
def mapped(mapped_db: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(mapped_db, folder / "db")
    with service(folder / "db", folder / "cache", {}) as address:
        yield address


@pytest.fixture
def map_page(mapped: str, new_page: Callable[..., Shown], size: str) -> Shown:
    shown = new_page(mapped, size)
    opened(shown)
    return shown


def opened(shown: Shown, query: str = "?view=map") -> Page:
    page = shown.page
    page.goto(f"{shown.address}/{query}")
    expect(page.locator(".map-legend")).to_be_visible()
    return page


def drawn(page: Page) -> int:
    """Wait until the map shows something, and return how many of its pixels are coloured."""
    for _ in range(120):
        with Image.open(io.BytesIO(page.locator(".map-box").screenshot())) as shot:
            pixels = np.asarray(shot.convert("RGB")).astype(int)[60:]
        found = int((np.ptp(pixels, axis=2) > 40).sum())
        if found > 300:
            return found
        page.wait_for_timeout(250)
    raise AssertionError(f"{found} pixels of the map are coloured")


def middle(page: Page) -> tuple[float, float]:
    box = page.locator(".map-box").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Page, *ways: tuple[float, float]) -> None:
    """From the middle of the map, by ways from there."""
    x, y = middle(page)
    page.mouse.move(x + ways[0][0], y + ways[0][1])
    page.mouse.down()
    for right, down in ways[1:]:
        page.mouse.move(x + right, y + down, steps=5)
    page.mouse.up()


def test_the_map_comes_with_its_tab_and_has_points_pictures_and_names(
    mapped: str, new_page: Callable[..., Shown], size: str
) -> None:
    shown = new_page(mapped, size)
    asked: list[str] = []
    shown.page.on("request", lambda request: asked.append(request.url))
    page = shown.open()
    assert not any("/assets/Map-" in url for url in asked)
    page.get_by_role("link", name="Map").click()
    expect(page.locator(".map-legend")).to_be_visible()
    assert any("/assets/Map-" in url for url in asked)
    drawn(page)
    expect(page.locator(".map-legend .hint")).to_have_count(0)  # nothing is said of a browser without WebGL
    expect(page.locator(".map-names li:not(.is-hidden)").first).to_be_visible()
    if size == "phone":
        page.locator(".map-legend summary").click()
    expect(page.locator(".map-legend li")).to_have_count(4)
    # Pictures are asked for by rows, and their thumbnails one by one.
    page.wait_for_function("() => performance.getEntriesByType('resource').some((one) => one.name.includes('/thumbnail'))")


def test_moving_and_zooming_are_in_the_address_and_so_are_colours(map_page: Shown) -> None:
    page = map_page.page
    assert "at=" not in page.url
    page.get_by_role("button", name="Nearer").click()
    page.wait_for_function("() => location.search.includes('at=')")
    drag(page, (0, 0), (-60, 40))
    page.wait_for_function("() => !location.search.includes('at=0.5%2C0.5')")
    kept = page.url
    page.get_by_label("Colour by").select_option("part")
    page.wait_for_function("() => location.search.includes('colour=part')")
    expect(page.locator(".map-names")).to_contain_text("whole")
    page.reload()
    expect(page.locator(".map-names")).to_contain_text("whole")
    assert re.search(r"at=[^&]+", page.url)[0] == re.search(r"at=[^&]+", kept)[0]  # type: ignore[index]
    page.get_by_label("Colour by").select_option("area")
    expect(page.locator(".map-ramp")).to_have_count(1)
    page.get_by_role("button", name="The whole map").click()
    page.wait_for_function("() => !location.search.includes('at=')")


def test_keys_move_the_map_and_show_a_picture(map_page: Shown) -> None:
    page = map_page.page
    drawn(page)
    page.locator(".map-box").focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => location.search.includes('at=')")
    page.keyboard.press("0")
    page.wait_for_function("() => !location.search.includes('at=')")
    page.keyboard.press("Enter")
    card = page.locator(".map-card.is-fixed")
    expect(card.locator("img.is-loaded")).to_be_visible()
    card.get_by_role("button", name="Open").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert "view=map" in page.url


def test_what_is_drawn_around_is_a_filter_and_a_grid(map_page: Shown, size: str) -> None:
    page = map_page.page
    drawn(page)
    page.get_by_role("button", name="Choose with a rectangle").click()
    drag(page, (-140, -140), (120, 150))
    chosen = page.locator(".map-selection [role=status]")
    expect(chosen).to_contain_text(re.compile(rf"^\d+ pictures? of {ALL}$"))
    assert "lasso=" in page.url
    count = int((chosen.text_content() or "").split()[0])
    assert 0 < count < ALL
    page.get_by_role("button", name="As a grid").click()
    expect(page.locator(".said")).to_contain_text(f"{count} picture")
    page.get_by_role("link", name="Map").click()
    expect(chosen).to_contain_text(f"{count} picture")
    page.get_by_role("button", name="Choose all again").click()
    expect(page.locator(".map-selection")).to_have_count(0)
    page.get_by_role("button", name="Choose by drawing around").click()
    drag(page, (-100, -100), (100, -100), (100, 100), (-90, 90))
    expect(chosen).to_contain_text(re.compile(rf"^\d+ pictures? of {ALL}$"))
    page.reload()
    expect(chosen).to_contain_text(re.compile(rf"^\d+ pictures? of {ALL}$"))
    page.get_by_role("button", name="Choose all again").click()
    if size == "phone":
        page.locator(".map-legend summary").click()
    page.locator(".map-legend li button").first.click()
    expect(chosen).to_contain_text(re.compile(rf"^\d+ pictures? of {ALL}$"))
    assert "in._cluster=0" in page.url


def test_a_filter_that_is_typed_over_the_map_stays_on_it(map_page: Shown) -> None:
    page = map_page.page
    page.get_by_role("searchbox").fill('part == "whole"')
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator(".map-selection")).to_contain_text(re.compile(r"\d+ pictures of 97"))
    assert "view=map" in page.url


def test_hits_light_up_where_they_lie(map_page: Shown, size: str) -> None:
    page = map_page.page
    drawn(page)
    page.locator(".map-box").focus()
    page.keyboard.press("Enter")
    before = drawn(page)
    page.locator(".map-card.is-fixed").get_by_role("button", name="Similar").click()
    expect(page.locator(".map-selection [role=status]")).to_contain_text("best hits")
    expect(page.locator(".map-selection img.is-loaded").first).to_be_visible()
    assert "view=map" in page.url
    assert "like=" in page.url
    assert drawn(page) != before
    page.get_by_role("button", name="End the search").click()
    expect(page.locator(".map-selection")).to_have_count(0)


def test_without_webgl_the_map_is_drawn_all_the_same_and_says_so(
    mapped: str, new_page: Callable[..., Shown], size: str
) -> None:
    shown = new_page(mapped, size)
    shown.page.add_init_script(NO_WEBGL)
    page = opened(shown)
    if size == "phone":
        page.locator(".map-legend summary").click()
    expect(page.locator(".map-legend .hint")).to_contain_text("without WebGL")
    drawn(page)
    page.get_by_role("button", name="Nearer").click()
    page.wait_for_function("() => location.search.includes('at=')")


def test_a_collection_without_a_map_says_how_to_make_one_and_makes_it(
    serve_page: Callable[..., object], new_page: Callable[..., Shown], size: str
) -> None:
    with serve_page() as address:  # type: ignore[attr-defined]
        shown = new_page(address, size)
        page = shown.page
        page.goto(f"{address}/?view=map")
        expect(page.locator(".empty")).to_contain_text("semblant map")
        page.get_by_role("button", name="Make the map").click()
        expect(page.locator(".map-legend")).to_be_visible(timeout=120_000)
        page.get_by_role("link", name="Clusters").click()
        expect(page.locator(".empty")).to_contain_text("semblant cluster")
        page.locator(".empty").get_by_role("button").click()
        expect(page.locator(".cluster-card").first).to_be_visible(timeout=120_000)
        page.goto("about:blank")


def test_clusters_are_looked_at_named_merged_and_split(
    mapped_db: Path, tmp_path: Path, new_page: Callable[..., Shown], size: str
) -> None:
    shutil.copytree(mapped_db, tmp_path / "db")
    with service(tmp_path / "db", tmp_path / "cache", {}) as address:
        shown = new_page(address, size)
        page = shown.page
        page.goto(f"{address}/?view=clusters")
        cards = page.locator(".cluster-card")
        expect(cards).to_have_count(4)
        expect(cards.first.locator("img.is-loaded").first).to_be_visible()
        changes: list[str] = []
        page.on("request", lambda asked: changes.append(str(asked.post_data)) if asked.method in ("PATCH", "POST") else None)
        for typed, pressed in (("left as it was", "Escape"), ("my <b>first</b>", "Enter")):
            cards.first.get_by_role("button", name=re.compile("^Name ")).click()
            cards.first.get_by_label("Name", exact=True).fill(typed)
            page.keyboard.press(pressed)
            expect(cards.first.get_by_label("Name", exact=True)).to_have_count(0)
        expect(page.get_by_role("heading", name="my <b>first</b>")).to_be_visible()
        assert [json.loads(one).get("name") for one in changes] == ["my <b>first</b>"]
        cards.first.get_by_role("button", name=re.compile("^Split ")).click()
        expect(cards).to_have_count(5)
        cards.nth(0).get_by_role("checkbox").check()
        cards.nth(1).get_by_role("checkbox").check()
        page.get_by_role("button", name="Make them one").click()
        expect(cards).to_have_count(4)
        said = cards.nth(1).locator(".count").text_content() or ""
        cards.nth(1).locator(".cluster-pictures").click()
        expect(page.locator(".said")).to_contain_text(said)
        assert "in._cluster=" in page.url
        page.goto("about:blank")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_the_map_and_the_clusters(
    mapped: str, new_page: Callable[..., Shown], size: str, scheme: str
) -> None:
    shown = new_page(mapped, size, color_scheme=scheme, bypass_csp=True)
    for view, there in (("map", ".map-legend"), ("clusters", ".cluster-card img.is-loaded")):
        page = shown.page
        page.goto(f"{mapped}/?view={view}")
        expect(page.locator(there).first).to_be_visible()
        page.wait_for_timeout(500)
        page.add_script_tag(path=AXE)
        told = page.evaluate("axe.run().then((found) => found.violations)")
        bad = [
            (view, one["id"], [node["target"] for node in one["nodes"]][:3])
            for one in told
            if one["impact"] in ("serious", "critical")
        ]
        assert not bad, bad
