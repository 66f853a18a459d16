"""Claim: the page shows pictures at once, and a fast scroll through thousands of them stays smooth.

Pictures of Fashion-MNIST, all 60,000 of the training set (with `--quick` 3,000), indexed by the job into a directory and served
by `semblant serve`; Debian's Chromium, headless, on the same two cores, at 1440 × 900. Needs `chromium` and `make page`.

`cold` and `warm`: milliseconds from the navigation to `/` until the first picture and until all on the screen are drawn, with
an empty cache of the browser and of thumbnails, and with both full. `click`: from a click on a picture's search button until
the best hit is drawn. `scroll`: through 5,000 pictures in steps of 2,000 pixels: the longest task of the page, and the 95th
percentile of the time between frames; and how long the pictures take where the scroll ends. `page`: bytes over the wire.

On two cores: 6 minutes, with `--quick` 50 seconds.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _report import at_most, finish, parser
from playwright.sync_api import sync_playwright
from semblant_exporter import data
from semblant_exporter.cache import cache_dir
from semblant_exporter.pixels import pixel_encoder
from semblant_indexer import IndexJob, run
from semblant_search import Fit
from semblant_search.web.page import STATIC
from serve import serving

if TYPE_CHECKING:
    from playwright.sync_api import Page

QUICK_STEP = 20
SCROLLED, QUICK_SCROLLED = 5000, 1000
LIMITS = (at_most("page/bytes", 150_000), at_most("scroll/longest_task_ms", 100))
QUICK_LIMITS = (at_most("page/bytes", 150_000), at_most("scroll/longest_task_ms", 300))  # of a busy machine
_FIRST = "document.querySelectorAll('.tile img.is-loaded').length > 0"
_ALL = """[...document.querySelectorAll('.tile')].filter((tile) => {
    const place = tile.getBoundingClientRect();
    return place.bottom > 0 && place.top < innerHeight;
}).every((tile) => tile.querySelector('img.is-loaded'))"""
_WATCH = """() => {
    window.tasks = []; window.frames = []; let last = performance.now();
    const watching = new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((one) => one.duration)));
    watching.observe({entryTypes: ['longtask']});
    const frame = (now) => { window.frames.push(now - last); last = now; requestAnimationFrame(frame); };
    requestAnimationFrame(frame);
}"""


def opened(page: Page, address: str) -> dict[str, float]:
    """Milliseconds from the navigation on."""
    page.goto(address, wait_until="commit")
    page.wait_for_function(_FIRST)
    first = page.evaluate("performance.now()")
    page.wait_for_function(f"{_FIRST} && {_ALL}")
    return {"first_ms": round(first), "all_ms": round(page.evaluate("performance.now()"))}


def clicked(page: Page) -> float:
    """Milliseconds from a click to the best hit."""
    page.evaluate("window.begun = performance.now(); document.querySelectorAll('.tile-similar')[3].click()")
    page.wait_for_function("document.querySelector('.query') && document.querySelector('[data-index=\"0\"] img.is-loaded')")
    taken: float = page.evaluate("performance.now() - window.begun")
    return taken


def scrolled(page: Page, pictures: int) -> dict[str, float]:
    """Through so many, as fast as the wheel goes."""
    page.evaluate(_WATCH)
    steps = 0
    while (
        page.evaluate("Number([...document.querySelectorAll('.tile')].pop()?.dataset.index ?? 0)") < pictures and steps < 2000
    ):
        page.mouse.wheel(0, 2000)
        page.wait_for_timeout(30)
        steps += 1
    begun = page.evaluate("performance.now()")
    page.wait_for_function(_ALL)
    settled = page.evaluate("performance.now()") - begun
    tasks: list[float] = page.evaluate("window.tasks")
    frames: list[float] = page.evaluate("window.frames")
    return {
        "pictures": page.evaluate("Number([...document.querySelectorAll('.tile')].pop().dataset.index)"),
        "longest_task_ms": round(max(tasks, default=0), 1),
        "frame_p95_ms": round(statistics.quantiles(frames, n=20)[-1], 1),
        "settled_ms": round(settled),
    }


def main() -> None:
    options = parser(__doc__, quick="3,000 pictures, 1,000 scrolled through").parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None or not (STATIC / "index.html").is_file():
        sys.exit("needs Chromium (apt-get install chromium) and the built page (make page)")
    folder = cache_dir() / "sets" / "fashion-mnist"
    data.fashion_mnist(folder)
    numbers: dict[str, Any] = {"page": {"bytes": sum(path.stat().st_size for path in STATIC.rglob("*.gz"))}}
    with tempfile.TemporaryDirectory() as temporary:
        source = folder / "train"
        if options.quick:
            source = Path(temporary) / "train"
            for path in sorted((folder / "train").rglob("*.png"))[::QUICK_STEP]:
                (source / path.parent.name).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, source / path.parent.name / path.name)
        (encoder := Path(temporary) / "encoder.onnx").write_bytes(pixel_encoder(Fit(28, 28, 1), grid=7, name="pixels"))
        report = run(IndexJob(str(source), encoder, str(Path(temporary) / "db"), orb=None))
        numbers["indexed"] = report.points
        with serving(Path(temporary) / "db", "images") as (_, port), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            address = f"http://localhost:{port}/"
            numbers["cold"] = opened(page, address)
            numbers["warm"] = opened(page, address)
            numbers["click"] = {"ms": round(clicked(page))}
            opened(page, address)
            numbers["scroll"] = scrolled(page, QUICK_SCROLLED if options.quick else SCROLLED)
            browser.close()
    finish("page", numbers, QUICK_LIMITS if options.quick else LIMITS, quick=options.quick)


if __name__ == "__main__":
    main()
