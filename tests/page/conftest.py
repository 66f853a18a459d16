"""The page in a real browser, over a real service of real photographs."""

from __future__ import annotations

import csv
import shutil
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import expect, sync_playwright
from semblant_indexer import IndexJob, run
from semblant_search import SearchClient
from semblant_search.store import open_database
from semblant_search.web import ServiceSettings, create_app
from semblant_search.web.page import STATIC
from support.copies import copied
from support.encoders import encoder_bytes
from support.service import listening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Playwright, Request

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SOFTWARE_WEBGL = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
"""WebGL on a machine without a graphics card: unsafe with pages of strangers only."""
TIMEOUT = 30_000
"""Milliseconds: of a busy machine."""
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say once what is missing, on every test that needs it."""
    why = None
    if CHROMIUM is None:
        why = "no Chromium: apt-get install chromium"
    elif not (STATIC / "index.html").is_file():
        why = "the page is not built: make page"
    for item in items:
        if why is not None and "tests/page" in item.path.as_posix() and "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def tiles(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety pictures in four folders: photographs whole, their halves and quarters; `metadata.csv` says part, area and day."""
    root = tmp_path_factory.mktemp("tiles")
    rows = []
    for number, path in enumerate(sorted(photos.iterdir())):
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        width, height = picture.size
        boxes = {
            "whole": [(0, 0, width, height)],
            "halves": [(0, 0, width // 2, height), (width // 2, 0, width, height)],
            "quarters": [(x, y, x + width // 2, y + height // 2) for x in (0, width // 2) for y in (0, height // 2)][:2],
        }
        for part, found in boxes.items():
            for place, box in enumerate(found):
                file = root / part / f"{path.stem} {place}.jpg"
                file.parent.mkdir(exist_ok=True)
                picture.crop(box).save(file, quality=90)
                day = f"2024-{1 + number % 12:02d}-{1 + place:02d}T12:00:00Z"
                rows.append(
                    {"file": file.relative_to(root), "part": part, "area": (box[2] - box[0]) * (box[3] - box[1]), "day": day}
                )
    odd = root / "Schöne عربي" / ("<img src=x onerror=alert(1)> " + "ä" * 60 + ".png")
    odd.parent.mkdir()
    Image.new("RGB", (400, 20), "teal").save(odd)
    rows.append({"file": odd.relative_to(root), "part": "<b>odd</b>", "area": 8000, "day": "2023-01-01T00:00:00Z"})
    shutil.copyfile(root / "whole" / "astronaut 0.jpg", root / "halves" / "astronaut copy.jpg")
    rows.append({"file": "halves/astronaut copy.jpg", "part": "copies", "area": 262144, "day": "2024-12-24T00:00:00Z"})
    with (root / "metadata.csv").open("w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, fieldnames=["file", "part", "area", "day"])
        writer.writeheader()
        writer.writerows(rows)
    return root


@pytest.fixture(scope="session")
def indexed(tiles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of the tiles, details and all; to be copied, not to be changed."""
    folder = tmp_path_factory.mktemp("indexed")
    (folder / "encoder.onnx").write_bytes(encoder_bytes("grey-28"))
    job = IndexJob(str(tiles), db=str(folder / "db"), encoder=folder / "encoder.onnx", workers=1, threads=1)
    report = run(job)
    assert report.failed == 0
    return folder / "db"


@dataclass
class Shown:
    """A page in a browser, and all that went wrong in it."""

    page: Page
    address: str
    wrong: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def wrong_is_expected(self, part: str) -> None:
        """The console says of every answer but 2xx that it failed."""
        self.expected.append(part)

    def open(self, query: str = "") -> Page:
        """Go to an address of the page, and wait until it shows pictures."""
        self.page.goto(f"{self.address}/{query}")
        self.page.wait_for_selector(".tile img.is-loaded, .duplicates, .jobs, .empty button, .viewer")
        return self.page


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        expect.set_options(timeout=TIMEOUT)
        yield playwright


@pytest.fixture(scope="session")
def plain_browser(playwright: Playwright) -> Iterator[Browser]:
    """Draws its pages without a graphics card, real or imitated: less work for the processor. WebGL warns here."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def webgl_browser(playwright: Playwright) -> Iterator[Browser]:
    """Has WebGL, by the processor; for what draws by it."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *SOFTWARE_WEBGL])
    yield browser
    browser.close()


@pytest.fixture
def browser(plain_browser: Browser) -> Browser:
    """The browser of `new_page`: a file whose pages draw by WebGL overrides it."""
    return plain_browser


@contextmanager
def service(db: Path, cache: Path, settings: dict[str, Any], **options: Any) -> Iterator[str]:
    """Serve a database: its address, as `http://…`; options are those of `create_app`."""
    allowed = ServiceSettings(**{"cache": cache, "originals": True, "timeout": 120, **settings})
    with ExitStack() as stack:
        database = stack.enter_context(closing(open_database(db)))
        client = stack.enter_context(SearchClient(database))
        address = stack.enter_context(listening(create_app(database, settings=allowed, client=client, **options)))
        yield address.replace("semblant", "http")


@pytest.fixture
def serve_page(indexed: Path, tmp_path: Path) -> Callable[..., AbstractContextManager[str]]:
    """Serve a copy of the database, free to be changed."""

    def serve(settings: dict[str, Any] | None = None, **options: Any) -> AbstractContextManager[str]:
        copied(indexed, tmp_path / "db")
        return service(tmp_path / "db", tmp_path / "cache", settings or {}, **options)

    return serve


@pytest.fixture
def serve_folder(tmp_path: Path) -> Callable[..., AbstractContextManager[str]]:
    """Index a folder of the test's own, in which it may do as it likes, and serve that."""

    def serve(folder: Path, settings: dict[str, Any] | None = None, **options: Any) -> AbstractContextManager[str]:
        (encoder := tmp_path / "encoder.onnx").write_bytes(encoder_bytes("grey-28"))
        run(IndexJob(str(folder), db=str(tmp_path / "db"), encoder=encoder, workers=1, threads=1))
        return service(tmp_path / "db", tmp_path / "cache", settings or {}, **options)

    return serve


@pytest.fixture(scope="session")
def shared_address(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One service for all tests that change nothing."""
    folder = tmp_path_factory.mktemp("shared")
    shutil.copytree(indexed, folder / "db")
    with service(folder / "db", folder / "cache", {}) as address:
        yield address


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest) -> str:
    """Each test is run on a large screen and on a small one."""
    return str(request.param)


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., Shown]]:
    """Open an address in a browser of its own. At the end nothing may have gone wrong: no error or warning in the console, no
    violation of the policy, and no request to anywhere else."""
    opened: list[tuple[Any, Shown]] = []

    def go(address: str, size: str = "desktop", **options: Any) -> Shown:
        width, height = SIZES[size]
        if size == "phone":
            options = {"has_touch": True, "is_mobile": True, **options}
        context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce", **options)
        context.set_default_timeout(TIMEOUT)
        page = context.new_page()
        shown = Shown(page, address)
        host = urlsplit(address).netloc

        def watch(request: Request) -> None:
            place = urlsplit(request.url)
            if place.scheme in ("http", "https", "ws", "wss") and place.netloc != host:
                shown.wrong.append(f"asked elsewhere: {request.url}")

        page.on("request", watch)
        page.on("pageerror", lambda error: shown.wrong.append(f"error: {error}"))
        page.on(
            "console",
            lambda said: shown.wrong.append(f"{said.type}: {said.text}") if said.type in ("error", "warning") else None,
        )
        opened.append((context, shown))
        return shown

    yield go
    for context, shown in opened:
        context.close()
        left = [one for one in shown.wrong if not any(part in one for part in shown.expected)]
        assert not left, left


@pytest.fixture
def shown(shared_address: str, new_page: Callable[..., Shown], size: str) -> Shown:
    """The page of a service without keys, at its beginning; what it shows is not to be changed."""
    page = new_page(shared_address, size)
    page.open()
    return page


@pytest.fixture
def own(serve_page: Callable[..., AbstractContextManager[str]], new_page: Callable[..., Shown], size: str) -> Iterator[Shown]:
    """The same of a collection that may be changed."""
    with serve_page() as address:
        page = new_page(address, size)
        page.open()
        yield page
        page.page.goto("about:blank")  # a page that is still asking would make the service wait
