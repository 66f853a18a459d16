"""Jobs on the page: what is indexed, begun again, ended, and what of it failed; and the first pictures of all."""

from __future__ import annotations

import json
import shutil
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from semblant_indexer import run
from semblant_indexer.service import indexing_job
from semblant_search.store import open_database
from semblant_search.web import ServiceSettings, create_app
from support.encoders import encoder_bytes
from support.service import listening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from playwright.sync_api import Route
    from semblant_indexer import IndexJob, IndexReport

    from .conftest import Shown


@pytest.fixture
def folder(tmp_path: Path, photos: Path) -> Path:
    """Six photographs, and a file that is none."""
    (folder := tmp_path / "pictures").mkdir()
    for path in sorted(photos.iterdir())[:6]:
        shutil.copyfile(path, folder / path.name)
    (folder / "broken <b>.png").write_text("no picture")
    return folder


@pytest.fixture
def jobs(
    serve_folder: Callable[..., AbstractContextManager[str]], new_page: Callable[..., Shown], size: str, folder: Path
) -> Iterator[Shown]:
    """The view of the jobs of a service that may read the folder."""
    with serve_folder(folder, {"job_roots": (folder.parent,)}) as address:
        shown = new_page(address, size)
        shown.page.goto(f"{address}/?view=jobs")
        yield shown
        shown.page.goto("about:blank")


def test_a_folder_is_indexed_again_and_what_failed_is_named(jobs: Shown, folder: Path, photos: Path) -> None:
    page = jobs.page
    source = page.locator(".sources").first.locator("li")
    expect(source).to_contain_text("6 pictures, looked through on")
    expect(source).to_contain_text(str(folder))
    shutil.copyfile(sorted(photos.iterdir())[6], folder / "new.png")
    source.get_by_role("button", name="Index again").click()
    job = page.locator(".sources").nth(1).locator("li").first
    expect(job).to_contain_text("Done", timeout=120_000)
    expect(source).to_contain_text("7 pictures")
    job.locator("summary").click()
    expect(job.locator(".failures")).to_contain_text("broken <b>.png")
    expect(job.locator(".failures .hint")).not_to_be_empty()
    page.get_by_role("link", name="Pictures", exact=True).click()
    expect(page.locator(".said")).to_contain_text("7 pictures")
    expect(page.get_by_role("link", name="new.png")).to_be_visible()


def test_a_watch_begins_and_is_ended(jobs: Shown) -> None:
    page = jobs.page
    source = page.locator(".sources").first.locator("li")
    source.get_by_role("button", name="Watch").click()
    job = page.locator(".sources").nth(1).locator("li").first
    expect(job).to_contain_text("Waiting for changes", timeout=120_000)
    expect(source.get_by_role("button")).to_have_count(0)  # one at a time
    job.get_by_role("button", name="End").click()
    expect(job).to_contain_text("Ended before it was done", timeout=120_000)
    expect(job.get_by_role("button", name="End")).to_have_count(0)
    expect(source.get_by_role("button", name="Index again")).to_be_visible()


def test_from_the_first_job_to_the_first_pictures_nobody_says_that_there_are_none(
    new_page: Callable[..., Shown], size: str, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noticed = threading.Event()

    def held(job: IndexJob, **options: Any) -> IndexReport:
        noticed.wait(60)  # a job that is over before the page asks for it would be no test
        return run(job, **options)

    monkeypatch.setattr(indexing_job, "run", held)
    (folder / "encoder.onnx").write_bytes(encoder_bytes("grey-28"))
    settings = ServiceSettings(job_roots=(tmp_path,), cache=tmp_path / "cache")
    with (
        closing(open_database(tmp_path / "db", create=True)) as database,
        listening(create_app(database, settings=settings)) as listened,
    ):
        address = listened.replace("semblant", "http")
        shown = new_page(address, size)
        shown.wrong_is_expected("404")
        page = shown.page
        query = {"source": str(folder), "encoder": str(folder / "encoder.onnx"), "orb": False}

        def ended() -> bool:
            told = page.request.get(f"{address}/v1/jobs").json()["jobs"]
            return bool(told) and told[0]["state"] == "done"

        def late(route: Route) -> None:
            """As on a large disk: the collection is told of only when the job has ended."""
            if ended():
                page.wait_for_timeout(1500)
                route.continue_()
            else:
                problem = {"code": "collection-not-found", "detail": "no such collection", "status": 404}
                route.fulfill(status=404, content_type="application/problem+json", body=json.dumps(problem))

        page.route("**/v1/collections/*", late)
        page.goto(address)
        expect(page.locator("main")).to_contain_text("There are no pictures here yet")
        page.evaluate(
            """() => {
                window.texts = new Set();
                const main = document.querySelector('main');
                const watching = new MutationObserver(() => window.texts.add(main.innerText));
                watching.observe(main, {subtree: true, childList: true, characterData: true});
            }"""
        )
        assert page.request.post(f"{address}/v1/jobs", data=query).ok
        expect(page.locator("main")).to_contain_text("The pictures appear here")
        noticed.set()
        expect(page.locator(".tile img.is-loaded").first).to_be_visible(timeout=120_000)
        expect(page.locator(".said")).to_contain_text("6 pictures")
        texts: list[str] = page.evaluate("[...window.texts]")
        begun = next(place for place, text in enumerate(texts) if "The pictures appear here" in text)
        empty = [text for text in texts[begun:] if "o pictures" in text or "collection" in text]
        assert not empty, empty
        page.unroute_all(behavior="wait")  # one that is answered late would end in the next test
        page.goto("about:blank")
