"""Claim: the page's map moves while one drags and zooms it, with 60,000 pictures and with a million.

Points of 100 normal heaps, in a database with their places, served by `semblant serve`; Debian's Chromium, headless, at
1440 × 900, with SwiftShader: software in place of a graphics card, on the same two cores, which ranks ways of drawing and says
how slow it gets at worst. `frames`: median and 95th percentile of the time between frames, over 5 seconds of zooming by the
wheel and of dragging. While a map of more than 200,000 moves, the first 200,000 are drawn. `opened`: from the click on the tab
to the first frame, with the service's reading of the points, and again once it has read them. `pictures`: of 600 photographs,
from the click to the first of them in place of its point, with no thumbnail made before. `wire`: bytes of the tab's code, and
of the points. Needs `chromium` and `make page`.

On two cores: 8 minutes, with `--quick` 20 seconds.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _report import at_most, finish, parser
from _samples import windows_of_photographs
from playwright.sync_api import sync_playwright
from semblant_exporter.pixels import pixel_encoder
from semblant_indexer import IndexJob, run
from semblant_indexer.analysis import map_collection
from semblant_indexer.analysis.runs import CLUSTER_FIELDS, MAP_FIELDS, write_run
from semblant_search import Fit
from semblant_search.collection import RESERVED_FIELDS, Manifest, point_id
from semblant_search.encoder import Encoder
from semblant_search.store import Point, open_database
from semblant_search.web.page import STATIC
from serve import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

COUNTS, QUICK_COUNTS = (60_000, 1_000_000), (10_000,)
PHOTOGRAPHS, QUICK_PHOTOGRAPHS = 600, 60
SECONDS, QUICK_SECONDS = 5, 2
LIMITS = (
    at_most("60000/frames/median_ms", 100),
    at_most("60000/frames/p95_ms", 250),
    at_most("1000000/frames/median_ms", 400),
    at_most("pictures/first_ms", 8000),
    at_most("wire/code_bytes", 40_000),
)
QUICK_LIMITS = (at_most("10000/frames/median_ms", 250), at_most("wire/code_bytes", 40_000))
_WATCH = """() => {
    window.frames_seen = []; let last = performance.now();
    const frame = (now) => { window.frames_seen.push(now - last); last = now; requestAnimationFrame(frame); };
    requestAnimationFrame(frame);
}"""
_CLICK = """() => {
    window.begun = performance.now();
    [...document.querySelectorAll('.views a')].find((link) => link.textContent === 'Map').click();
}"""
_POINTS = "performance.getEntriesByType('resource').find((one) => one.name.includes('map/points')).encodedBodySize"
_SINCE = "(name) => performance.getEntriesByName(name)[0].startTime - window.begun"


def build(db: Path, count: int, encoder: Encoder) -> None:
    """A collection of points that are on a map and in clusters."""
    generator = np.random.default_rng(0)
    heaps = generator.integers(0, 100, count)
    places = generator.uniform(-80, 80, (100, 2))[heaps] + generator.normal(0, 4, (count, 2))
    vectors = generator.normal(size=(count, encoder.dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    manifest = Manifest(
        "images", "g0001", encoder.fingerprint, encoder.card, dict(RESERVED_FIELDS), None, "2024-05-01T12:00:00Z"
    )
    with closing(open_database(db, create=True)) as database:
        with closing(database.create(manifest)) as store:
            store.add_fields({**MAP_FIELDS, "_cluster": CLUSTER_FIELDS["_cluster"]})
            for start in range(0, count, 2000):
                store.upsert(
                    [
                        Point(point_id(f"x:{row}"), vectors[row], payload(row, places[row], int(heaps[row]) % 20))
                        for row in range(start, min(start + 2000, count))
                    ]
                )
            write_run(store, "map", count, {}, {})
        database.publish("images", "g0001")


def payload(row: int, place: np.ndarray, cluster: int) -> dict[str, Any]:
    return {
        "_uri": f"x:{row}",
        "_sha256": f"{row:064x}",
        "_width": 28,
        "_height": 28,
        "_x": float(place[0]),
        "_y": float(place[1]),
        "_cluster": cluster,
    }


def opened(page: Page, address: str) -> float:
    """Milliseconds from the click on the tab to the first frame with points."""
    page.goto(f"{address}?view=jobs")
    page.wait_for_selector(".views a")
    page.evaluate(_CLICK)
    page.wait_for_function("() => performance.getEntriesByName('map-drawn').length > 0", timeout=300_000)
    return float(round(page.evaluate(_SINCE, "map-drawn")))


def moved(page: Page, seconds: float) -> dict[str, float]:
    """Zoomed in and out and dragged about."""
    page.wait_for_selector(".map-legend")
    page.evaluate(_WATCH)
    page.mouse.move(900, 480)
    begun = page.evaluate("performance.now()")
    turn = 0
    while page.evaluate("performance.now()") - begun < seconds * 500:
        page.mouse.wheel(0, -120 if turn % 40 < 20 else 120)
        page.wait_for_timeout(16)
        turn += 1
    page.mouse.down()
    while page.evaluate("performance.now()") - begun < seconds * 1000:
        page.mouse.move(900 + 200 * np.sin(turn / 9), 480 + 150 * np.cos(turn / 7))
        page.wait_for_timeout(16)
        turn += 1
    page.mouse.up()
    frames: list[float] = page.evaluate("window.frames_seen")
    return {
        "median_ms": round(statistics.median(frames), 1),
        "p95_ms": round(statistics.quantiles(frames, n=20)[-1], 1),
        "frames": len(frames),
    }


def measured(browser: Browser, db: Path, seconds: float) -> dict[str, Any]:
    """One database of points."""
    with serving(db, "images") as (_, port):
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        address = f"http://localhost:{port}/"
        cold = opened(page, address)
        warm = opened(page, address)
        frames = moved(page, seconds)
        size = page.evaluate(_POINTS)
        page.context.close()
    return {"opened": {"cold_ms": cold, "warm_ms": warm}, "frames": frames, "points_bytes": size}


def with_pictures(browser: Browser, folder: Path, count: int) -> dict[str, float]:
    """Photographs, and when the first of them is seen in place of its point."""
    source = windows_of_photographs(folder / "photographs", count, (200, 266))
    (encoder := folder / "pixels.onnx").write_bytes(pixel_encoder(Fit(28, 28, 3), grid=7, name="pixels"))
    run(IndexJob(str(source), encoder, str(folder / "photographs.db"), orb=None))
    with closing(open_database(folder / "photographs.db")) as database:
        map_collection(database)
    with serving(folder / "photographs.db", "images") as (_, port):
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        drawn = opened(page, f"http://localhost:{port}/")
        page.wait_for_function("() => performance.getEntriesByName('map-pictures').length > 0")
        first = round(page.evaluate(_SINCE, "map-pictures"))
        page.context.close()
    return {"pictures": count, "drawn_ms": drawn, "first_ms": first}


def main() -> None:
    options = parser(__doc__, quick="10,000 points, 60 photographs").parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None or not (STATIC / "index.html").is_file():
        sys.exit("needs Chromium (apt-get install chromium) and the built page (make page)")
    code = sum(path.stat().st_size for path in (STATIC / "assets").glob("Map-*.gz"))
    numbers: dict[str, Any] = {"wire": {"code_bytes": code}}
    seconds = QUICK_SECONDS if options.quick else SECONDS
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary)
        switches = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        browser = playwright.chromium.launch(executable_path=chromium, args=switches)
        (folder / "small.onnx").write_bytes(pixel_encoder(Fit(28, 28, 1), grid=2, name="small"))
        encoder = Encoder(folder / "small.onnx")
        for count in QUICK_COUNTS if options.quick else COUNTS:
            build(folder / f"{count}.db", count, encoder)
            numbers[str(count)] = measured(browser, folder / f"{count}.db", seconds)
        numbers["pictures"] = with_pictures(browser, folder, QUICK_PHOTOGRAPHS if options.quick else PHOTOGRAPHS)
        browser.close()
    finish("page_map", numbers, QUICK_LIMITS if options.quick else LIMITS, quick=options.quick)


if __name__ == "__main__":
    main()
