"""A job inside a process that searches the same database: both go on, and a job that is cancelled ends cleanly."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from semblant_indexer import Failure, IndexJob, IndexReport, JobCancelled, Progress, run
from semblant_indexer.analysis.records import write_values
from semblant_indexer.cancelling import check_cancelled
from semblant_search import FieldType, InvalidInput, SearchClient, StoreLocked, canonical_uri
from semblant_search.store import open_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_search.store import Database

Index = Callable[..., IndexReport]


@pytest.fixture
def job(encoder_file: Path, tmp_path: Path) -> Callable[..., IndexJob]:
    """A job into `tmp_path / "db"`."""

    def make(source: Path, **options: Any) -> IndexJob:
        settings: dict[str, Any] = {"orb": None, "workers": 1, "threads": 1, "encoder": encoder_file, **options}
        return IndexJob(str(source), db=str(tmp_path / "db"), **settings)

    return make


@pytest.fixture
def database(pictures: Path, index: Index, tmp_path: Path) -> Iterator[Database]:
    """A directory of ten bags, open in this process."""
    index(pictures / "bag")
    with closing(open_database(tmp_path / "db")) as db:
        yield db


def when(phase: str, done: int, do: Callable[[], object]) -> Callable[[Progress], None]:
    """A listener that does something once, when so much of a phase is done."""
    did: list[bool] = []

    def listen(progress: Progress) -> None:
        if progress.phase == phase and progress.done >= done and not did:
            did.append(True)
            do()

    return listen


def test_searches_and_changes_go_on_while_a_job_runs_and_see_what_it_writes(
    database: Database, pictures: Path, job: Callable[..., IndexJob]
) -> None:
    query, errors, found = next(iter((pictures / "bag").iterdir())), [], []
    done = threading.Event()

    def ask(client: SearchClient) -> None:
        try:
            while not done.is_set():
                found.append(len(client.search(query, limit=40)))
        except Exception as error:
            errors.append(error)

    with SearchClient(database, refresh=0) as client:
        threads = [threading.Thread(target=ask, args=(client,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        listen = when("index", 0, lambda: client.update_metadata(query, {"said": "meanwhile"}))
        report = run(job(pictures, batch=2), listen, database=database)
        done.set()
        for thread in threads:
            thread.join()
        assert errors == []
        assert set(found) <= set(range(9, 30))
        assert (report.indexed, report.points, client.count()) == (30, 30, 30)
        assert client.get(query).metadata["said"] == "meanwhile"
        assert client.count('label == "coat"') == 10  # a field that the job made is known to the client


def test_a_client_follows_to_the_generation_that_a_job_builds_beside_it(
    database: Database, pictures: Path, job: Callable[..., IndexJob]
) -> None:
    with SearchClient(database, refresh=0) as client:
        client.add(pictures / "coat" / next(iter((pictures / "coat").iterdir())).name)
        assert client.manifest.generation == "g0001"
        report = run(job(pictures / "bag", rebuild=True), database=database)
        assert (report.generation, client.manifest.generation, client.count()) == ("g0002", "g0002", 11)
        assert run(job(pictures / "bag", rebuild=True, keep_generations=0), database=database).generation == "g0003"
        assert client.count() == 11
        run(job(pictures / "sneaker", keep_generations=0), database=database)
        assert client.count() == 21


def test_pictures_that_a_client_deletes_meanwhile_are_in_their_source_and_come_back(
    database: Database, pictures: Path, job: Callable[..., IndexJob]
) -> None:
    with SearchClient(database) as client:
        victim = next(iter((pictures / "bag").iterdir()))
        report = run(job(pictures), when("optimize", 0, lambda: client.delete([victim])), database=database)
        assert (report.adds_up, report.found, report.points, client.count()) == (True, 30, 30, 30)


def test_sources_are_not_removed_under_a_job(database: Database, pictures: Path, job: Callable[..., IndexJob]) -> None:
    refused: list[Exception] = []

    def remove() -> None:
        try:
            client.remove_source("bag")
        except StoreLocked as error:
            refused.append(error)

    with SearchClient(database) as client:
        run(job(pictures / "coat"), when("index", 0, remove), database=database)
        assert "cancel the job" in str(refused[0])
        assert client.remove_source("bag").deleted == 10


def test_a_second_job_of_the_process_is_refused(database: Database, pictures: Path, job: Callable[..., IndexJob]) -> None:
    refused: list[Exception] = []

    def second() -> None:
        with pytest.raises(StoreLocked, match="another job at work") as caught:
            run(job(pictures / "coat"), database=database)
        refused.append(caught.value)

    run(job(pictures), when("index", 0, second), database=database)
    assert len(refused) == 1


def test_the_open_database_is_the_jobs(
    database: Database, pictures: Path, job: Callable[..., IndexJob], tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=r"the open database is .*expected the same one"):
        run(IndexJob(str(pictures), None, str(tmp_path / "other")), database=database)
    with pytest.raises(InvalidInput, match="expected the same one"):
        run(IndexJob(str(pictures), None, "http://localhost:1"), database=database)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("phase", ["scan", "index", "optimize"])
def test_a_cancelled_job_keeps_what_it_wrote_and_the_next_one_goes_on(
    database: Database, pictures: Path, job: Callable[..., IndexJob], phase: str, inside: bool
) -> None:
    cancel = threading.Event()
    shared = database if inside else None
    with pytest.raises(JobCancelled, match=r"cancelled .*goes on from there") as caught:
        run(job(pictures), when(phase, 0, cancel.set), cancel=cancel, database=shared)
    assert caught.value.progress.phase == phase
    report = run(job(pictures), database=shared)
    assert (report.found, report.points) == (30, 30)
    assert report.encoded == (0 if phase == "optimize" else 20)
    assert report.adds_up
    with SearchClient(database) as client:
        assert {picture.uri for picture in client.pictures()} == {canonical_uri(path) for path in pictures.rglob("*.png")}


def test_a_first_job_that_was_cancelled_publishes_nothing(pictures: Path, job: Callable[..., IndexJob], tmp_path: Path) -> None:
    cancel = threading.Event()
    (pictures / "coat" / "bad.png").write_text("no picture")
    with pytest.raises(JobCancelled, match=r"cancelled at \d+ of 31 pictures"):
        run(job(pictures, batch=1), cancel=cancel, on_failure=lambda _: cancel.set())
    with closing(open_database(tmp_path / "db")) as db:
        assert db.collections() == {}
    report = run(job(pictures))
    assert (report.points, report.failed, report.generation) == (30, 1, "g0001")
    assert 0 < report.encoded < 30


def test_unusable_pictures_are_told_as_they_are_found(database: Database, pictures: Path, job: Callable[..., IndexJob]) -> None:
    (pictures / "bag" / "bad.png").write_text("no picture")
    shutil.copyfile(pictures / "bag" / "bad.png", pictures / "coat" / "worse.png")
    told: list[Failure] = []
    report = run(job(pictures), database=database, on_failure=told.append)
    assert set(told) == set(report.failures)
    assert len(told) == 2
    assert {failure.reason for failure in told} == {"not-an-image"}


def test_what_an_analysis_finds_is_added_to_pictures_as_they_are_by_then(database: Database) -> None:
    with SearchClient(database) as client, closing(database.open("images")) as store:
        records = list(store.scroll())
        changed, deleted = str(records[0].payload["_uri"]), str(records[1].payload["_uri"])
        client.update_metadata(changed, {"said": "meanwhile"})
        client.delete([deleted])
        write_values(store, [record.id for record in records], {"_x": np.arange(10, dtype=np.float32)}, {"_x": FieldType.FLOAT})
        assert (client.get(changed).metadata["said"], client.count()) == ("meanwhile", 9)
        store.refresh()
        assert sum("_x" in record.payload for record in store.scroll()) == 9


@pytest.mark.parametrize(
    ("progress", "where"),
    [
        (Progress("index", 1200, 0), "cancelled at 0 of 1,200 pictures; "),
        (Progress("index", 1200, 1100), "cancelled at 1,100 of 1,200 pictures; "),
        (Progress("scan"), "cancelled during 'scan'; "),
    ],
)
def test_who_cancels_is_told_how_far_it_was(progress: Progress, where: str) -> None:
    cancel = threading.Event()
    check_cancelled(cancel, progress)
    check_cancelled(None, progress)
    cancel.set()
    with pytest.raises(JobCancelled) as caught:
        check_cancelled(cancel, progress)
    assert str(caught.value).startswith(where)
    assert caught.value.progress is progress
