"""Two jobs at once on a directory or a server: one of them works, the other is told who, and no picture of either is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from semblant_indexer import IndexJob, run
from semblant_search import InvalidInput, SearchClient, StoreLocked
from semblant_search.store import open_database
from semblant_search.store.engines import process
from semblant_search.store.engines.qdrant import lease
from support.servers import StandIn, server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_indexer import Progress

JOB = """
import sys
from semblant_indexer import IndexJob, run
from semblant_search import StoreLocked
try:
    told = {"state": sys.argv[4], "wait": float(sys.argv[5])}
    print(run(IndexJob(sys.argv[1], sys.argv[2], sys.argv[3], orb=None, workers=1, threads=1, **told)).indexed)
except StoreLocked as error:
    sys.exit(str(error))
"""


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    """Two folders of eight pictures each."""
    folders = [tmp_path / "here", tmp_path / "there"]
    for seed, folder in enumerate(folders):
        folder.mkdir()
        for number in range(8):
            pixels = np.random.default_rng(8 * seed + number).integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return folders


@pytest.fixture(params=["directory", "server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with ExitStack() as stack:
        yield str(tmp_path / "db") if request.param == "directory" else stack.enter_context(server())


@pytest.mark.parametrize("wait", [0, 100])
def test_two_first_jobs_lose_nothing(sources: list[Path], encoder_file: Path, tmp_path: Path, place: str, wait: int) -> None:
    def start(source: Path) -> subprocess.Popen[str]:
        state = tmp_path / "state" / source.name  # as on two machines
        command = [sys.executable, "-c", JOB, str(source), str(encoder_file), place, str(state), str(wait)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    jobs = [start(source) for source in sources]
    told = [job.communicate(timeout=120) for job in jobs]
    assert 0 in [job.returncode for job in jobs], told
    for source, job, (output, error) in zip(sources, jobs, told, strict=True):
        if job.returncode:
            assert wait == 0, error
            assert "has another job at work" in error, error
            again = start(source)
            output, error = again.communicate(timeout=120)
            assert again.returncode == 0, error
        assert output.split() == ["8"]
    with SearchClient(place) as client:
        assert client.count() == 16
        assert [one.pictures for one in client.sources()] == [8, 8]


def test_the_second_job_is_told_who_works(sources: list[Path], encoder_file: Path, tmp_path: Path, place: str) -> None:
    options: dict[str, Any] = {"orb": None, "workers": 1, "state": tmp_path / "state"}
    told: list[str] = []

    def meanwhile(progress: Progress) -> None:
        if progress.phase == "optimize":
            with pytest.raises(StoreLocked) as caught:
                run(IndexJob(str(sources[1]), encoder_file, place, **options))
            told.append(str(caught.value))

    assert run(IndexJob(str(sources[0]), encoder_file, place, **options), meanwhile).indexed == 8
    assert f"process {os.getpid()} on " in told[0]
    assert "'images'" in told[0]
    assert "--wait" in told[0]
    assert run(IndexJob(str(sources[1]), encoder_file, place, **options)).points == 16


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims on a server end after a moment, and nobody renews them: as if the machines of all jobs were asleep."""
    for module in (process, lease):
        monkeypatch.setattr(module, "this_process", lambda: "")
    monkeypatch.setattr(lease, "TTL", 0.2)
    monkeypatch.setattr(lease, "RENEWAL", 600.0)


@pytest.mark.usefixtures("asleep")
@pytest.mark.parametrize("phase", ["index", "optimize", "background"])
@pytest.mark.parametrize("first", [True, False])
def test_a_job_that_was_taken_for_dead_stops_and_loses_nothing(
    sources: list[Path], encoder_file: Path, tmp_path: Path, phase: str, first: bool
) -> None:
    options: dict[str, Any] = {"orb": None, "workers": 1, "threads": 1}
    with server() as url:
        stand_in = StandIn(url)
        slow, quick = (
            IndexJob(str(source), encoder_file, url, state=tmp_path / source.name, wait=60, **options) for source in sources
        )
        if not first:
            run(quick)
        changed: list[Any] = []

        def sleep(progress: Progress) -> None:
            if progress.phase == phase and not changed:
                changed.append(run(quick))
                stand_in.forget()

        with pytest.raises(StoreLocked, match=r"lost its claim on collection 'images'.*kept"):
            run(slow, sleep)
        reading = ("/query", "/query/batch", "/scroll", "/count", "/points", "/facet")
        for request in stand_in.requests():
            own = "images__lease" in request.path
            assert own or request.method == "GET" or (request.method == "POST" and request.path.endswith(reading)), request
        report = run(slow)
        assert (report.account, report.points) == (
            f"found 8 = {report.indexed} indexed + {report.unchanged} unchanged + 0 duplicate + 0 failed + 0 skipped",
            16,
        )
        with SearchClient(url) as client:
            assert [one.pictures for one in client.sources()] == [8, 8]


@pytest.mark.usefixtures("asleep")
def test_a_rebuild_that_was_taken_for_dead_publishes_nothing(sources: list[Path], encoder_file: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"orb": None, "workers": 1, "threads": 1, "wait": 60}
    with server() as url:
        job = IndexJob(str(sources[0]), encoder_file, url, state=tmp_path / "state", rebuild=True, **options)
        run(job)
        done: list[str] = []

        def sleep(progress: Progress) -> None:
            if progress.phase == "optimize" and not done:
                done.append(run(IndexJob(str(sources[1]), encoder_file, url, state=tmp_path / "other", **options)).generation)

        with pytest.raises(StoreLocked, match="lost its claim"):
            run(job, sleep)
        with closing(open_database(url)) as database:
            assert (done, database.collections()) == (["g0001"], {"images": "g0001"})
        report = run(job)
        assert (report.generation, report.points) == ("g0002", 16)


def test_sources_of_a_server_change_while_no_job_is_at_work(sources: list[Path], encoder_file: Path, tmp_path: Path) -> None:
    with server() as url:
        job = IndexJob(str(sources[0]), encoder_file, url, orb=None, workers=1, state=tmp_path / "state")
        run(job)
        with SearchClient(url) as client, closing(open_database(url)) as database:
            with database.claim("images"):
                with pytest.raises(StoreLocked, match="another job at work"):
                    client.remove_source("here")
                with pytest.raises(StoreLocked, match="another job at work"):
                    client.relocate_source("here", tmp_path / "moved", check=False)
                client.add(sources[1] / "0.png")
            sources[0].rename(tmp_path / "moved")
            assert client.relocate_source("here", tmp_path / "moved").renamed == 8
            assert client.remove_source("here").deleted == 8
            assert client.count() == 1


@pytest.mark.parametrize("there", ["nothing", "an empty directory"])
def test_a_job_that_comes_to_nothing_leaves_nothing(there: str, encoder_file: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    database = tmp_path / "some" / "db"
    if there != "nothing":
        database.mkdir(parents=True)
    with pytest.raises(InvalidInput, match="holds no pictures"):
        run(IndexJob(str(tmp_path / "empty"), encoder_file, str(database), orb=None))
    assert sorted(path.name for path in tmp_path.rglob("*")) == (["empty"] if there == "nothing" else ["db", "empty", "some"])


def test_what_a_killed_first_job_leaves_is_no_stranger(tmp_path: Path) -> None:
    database: Any = open_database(tmp_path / "db", create=True)
    with database.claim("images"):
        assert [path.name for path in (tmp_path / "db").iterdir()]
        for left in (".semblant.images.job", "..semblant.images.job.owner.12ab.tmp"):
            (tmp_path / "db" / left).touch()
        assert open_database(tmp_path / "db", create=True).collections() == {}
