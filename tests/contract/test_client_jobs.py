"""A client of a service has it index: jobs are started, followed, listed and cancelled, and refused like any other call."""

from __future__ import annotations

import asyncio
import json
import pickle
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from fastapi import Response
from semblant_indexer import IndexJob, run
from semblant_search import (
    AsyncSearchClient,
    InvalidInput,
    Job,
    JobEvent,
    JobFailure,
    JobProgress,
    SearchClient,
    StoreDenied,
    StoreError,
    StoreLocked,
    StoreUnavailable,
)
from semblant_search.cli import semblant
from semblant_search.open_collection import service_jobs
from semblant_search.store import open_database
from semblant_search.web import KeyFile, ServiceSettings, create_app
from support.encoders import encoder_bytes
from support.service import listening, service_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result


@pytest.fixture
def pictures(fashion_small: Path, tmp_path: Path) -> Path:
    """Ten bags and ten coats, one of which is none."""
    root = tmp_path / "pictures"
    for category in ("bag", "coat"):
        (root / category).mkdir(parents=True)
        for picture in sorted((fashion_small / "train" / category).iterdir())[:10]:
            shutil.copyfile(picture, root / category / picture.name)
    (root / "coat" / "bad.png").write_text("no picture")
    return root


@contextmanager
def service(pictures: Path, folder: Path, **options: Any) -> Iterator[str]:
    """The address of a service of a database of ten bags, whose jobs may read the pictures."""
    if not (folder / "db").exists():
        (folder / "encoder.onnx").write_bytes(encoder_bytes("grey-28"))
        run(IndexJob(str(pictures / "bag"), folder / "encoder.onnx", str(folder / "db"), orb=None, workers=1, threads=1))
    with closing(open_database(folder / "db")) as database, SearchClient(database) as client:
        app = create_app(database, client=client, settings=ServiceSettings(job_roots=(pictures,)), **options)
        with listening(app) as address:
            yield address


def ended(client: SearchClient, job: Job) -> Job:
    until = time.monotonic() + 120
    while not (now := client.get_job(job.id)).ended:
        assert time.monotonic() < until, now
        time.sleep(0.05)
    return now


def test_a_job_is_started_followed_and_listed(pictures: Path, tmp_path: Path) -> None:
    with service(pictures, tmp_path) as address, SearchClient(address) as client:
        assert client.jobs() == []
        job = client.start_job(pictures / "coat", exclude=("*.txt",))
        assert (job.kind, job.state, job.source, job.collection) == ("index", "running", str(pictures / "coat"), "images")
        told = list(client.follow_job(job.id))
        assert [told[0].name, told[-1].name] == ["job", "end"]
        assert {type(event.data) for event in told} == {Job, JobProgress, JobFailure, dict}
        (failure,) = [event.data for event in told if isinstance(event.data, JobFailure)]
        assert (failure.uri[-8:], failure.reason) == ("/bad.png", "not-an-image")
        last = told[-1].data
        assert isinstance(last, Job)
        assert (last.state, last.ended, last.problem, last.failures) == ("done", True, None, (failure,))
        assert last.report is not None
        assert (last.report["indexed"], last.report["points"], client.count()) == (10, 20, 20)
        assert client.get_job(job.id) == last
        assert client.jobs() == [last]
        assert pickle.loads(pickle.dumps(told)) == told
        assert len({*told, *told}) == len(told)
        numbers = [event.number for event in told[1:]]
        assert list(client.follow_job(job.id, after=numbers[-3])) == told[-2:]
        assert list(client.follow_job(job.id, after=numbers[-1])) == []


def test_a_second_job_waits_and_a_cancelled_one_says_so(pictures: Path, tmp_path: Path, fashion_small: Path) -> None:
    shutil.copytree(fashion_small / "train", pictures / "many")
    with service(pictures, tmp_path) as address, SearchClient(address) as client:
        first = client.start_job("many")
        with pytest.raises(StoreLocked, match=first.id):
            client.start_job("coat")
        assert client.cancel_job(first.id).state == "cancelling"
        assert ended(client, first).state == "cancelled"
        assert client.cancel_job(first.id).state == "cancelled"


def test_a_watch_is_followed_until_it_is_left(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semblant_indexer.service.routes._HEARTBEAT", 0.3)

    async def ask(address: str) -> None:
        async with AsyncSearchClient(address, capacity=1) as client:
            job = await client.start_job("bag", kind="watch")
            heard: list[JobEvent] = []

            async def listen() -> None:
                async for event in client.follow_job(job.id):
                    heard.append(event)

            following = asyncio.create_task(listen())
            while not any(isinstance(event.data, JobProgress) and event.data.phase == "waiting" for event in heard):
                await asyncio.sleep(0.02)
            assert await client.count() == 10  # who follows takes no one's place
            following.cancel()
            with pytest.raises(asyncio.CancelledError):
                await following
            until = time.monotonic() + 30
            while any(thread.name == "semblant-job-events" for thread in threading.enumerate()):
                assert time.monotonic() < until
                await asyncio.sleep(0.05)
            await client.cancel_job(job.id)
            assert [event.name async for event in client.follow_job(job.id)][-1] == "end"

    # A thread of its own: a browser's test may have left a loop in this one.
    with service(pictures, tmp_path) as address, ThreadPoolExecutor(1) as own:
        own.submit(asyncio.run, asyncio.wait_for(ask(address), 120)).result()


def test_a_follower_goes_on_where_the_connection_breaks(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_jobs, "_SILENCE", 0.3)  # shorter than what a service leaves between two signs of life
    with service(pictures, tmp_path) as address, SearchClient(address) as client:
        job = client.start_job("bag", kind="watch")
        events, told = client.follow_job(job.id), []
        for event in events:
            told.append(event)
            if isinstance(event.data, JobProgress) and event.data.phase == "waiting":
                break
        threading.Timer(1.5, lambda: client.cancel_job(job.id)).start()
        told += events
        assert [event.number for event in told[1:]] == list(range(told[1].number, told[-1].number + 1))
        assert told[-1].name == "end"


def test_a_service_that_says_nothing_any_more_is_told(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_jobs, "_SILENCE", 0.3)
    with service(pictures, tmp_path) as address, SearchClient(address) as client:
        known = client.start_job("bag")
    with SearchClient(tmp_path / "db") as client:
        app = service_of(client)
        app.get("/v1/jobs/{id}")(lambda id: asdict(known) | {"id": id})
        app.get("/v1/jobs/{id}/events")(lambda id: Response(f": {id}", media_type="text/event-stream"))
        with listening(app) as address, SearchClient(address) as remote:
            events = remote.follow_job(known.id)
            monkeypatch.setattr(events._service, "timeout", 0.5)  # not before: a busy machine opens a client more slowly
            with pytest.raises(StoreUnavailable, match=f"says nothing any more of job {known.id}"):
                next(events)


def test_what_cannot_be_asked(pictures: Path, tmp_path: Path) -> None:
    with service(pictures, tmp_path) as address, SearchClient(address) as client:
        for source in ("nothing", "/etc", "../db"):
            with pytest.raises(InvalidInput, match="below the folders that jobs may read"):
                client.start_job(source)
        with pytest.raises(InvalidInput, match="prun"):
            client.start_job("bag", prun=True)
        with pytest.raises(InvalidInput, match="kind 'rebuild': expected one of 'index', 'watch'"):
            client.start_job("bag", kind="rebuild")  # type: ignore[arg-type]
        for call in (client.get_job, client.follow_job, client.cancel_job):
            with pytest.raises(InvalidInput, match="no such job"):
                call("0123456789abcdef")
            for wrong in ("", "../collections", "a" * 65, None):
                with pytest.raises(InvalidInput, match="expected its id"):
                    call(wrong)  # type: ignore[arg-type]
        for after in (-1, 1.5, True, "1"):
            with pytest.raises(InvalidInput, match="expected the number of an event"):
                client.follow_job("0123456789abcdef", after=after)  # type: ignore[arg-type]


def test_other_doors_have_no_jobs(pictures: Path, tmp_path: Path) -> None:
    with service(pictures, tmp_path):
        pass
    with SearchClient(tmp_path / "db") as client:
        for call in (client.jobs, lambda: client.start_job("bag"), lambda: client.get_job("a"), lambda: client.cancel_job("a")):
            with pytest.raises(InvalidInput, match=r"is no Semblant service.*semblant://host:8765.*semblant_indexer\.run"):
                call()
        nothing = pytest.raises(StoreError, match="runs no jobs: semblant-indexer is not installed")
        with listening(service_of(client)) as address, SearchClient(address) as remote, nothing:
            remote.jobs()


def test_jobs_need_a_key_of_the_scope_admin(pictures: Path, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    held = {scope: keys.create(scope, scope)[0] for scope in ("search", "admin")}
    with service(pictures, tmp_path, keys=keys) as address:
        with SearchClient(address, api_key=held["search"]) as client, pytest.raises(StoreDenied, match="admin"):
            client.jobs()
        with SearchClient(address, api_key=held["admin"]) as client:
            assert client.jobs() == []


def test_the_command_starts_follows_lists_and_cancels(pictures: Path, tmp_path: Path) -> None:
    def asked(*words: str, ends: int = 0) -> Result:
        done = CliRunner().invoke(semblant, ["jobs", *words, "--db", address])
        assert done.exit_code == ends, (words, done.output)
        return done

    with service(pictures, tmp_path) as address:
        assert asked("--json").stdout == "[]\n"
        followed = asked("start", "coat", "--set", 'exclude=["*.txt"]', "--set", "source_name=coats", "--follow", ends=3)
        assert "done: 11 of 11, 1 failed" in followed.stderr
        assert "/bad.png: " in followed.stderr
        (job,) = json.loads(asked("list", "--json").stdout)
        assert (job["state"], job["report"]["indexed"], len(job["failures"])) == ("done", 10, 1)
        assert f"job {job['id']}" in followed.stderr
        assert asked("list").stdout.startswith(f"{job['id']}\tindex\tdone\tdone\t11\t11\t1\timages\t")
        shown = dict(line.split("\t") for line in asked("show", job["id"]).stdout.splitlines())
        assert (shown["state"], shown["indexed"], shown["source"]) == ("done", "10", str(pictures / "coat"))
        assert json.loads(asked("show", job["id"], "--json").stdout) == job
        told = [json.loads(line) for line in asked("follow", job["id"], "--json", ends=3).stdout.splitlines()]
        assert (told[0]["name"], told[-1]["name"], told[-1]["data"]) == ("job", "end", job)
        with SearchClient(address) as client:
            assert [source.name for source in client.sources()] == ["bag", "coats"]
        watch = asked("start", "bag", "--watch").stdout.strip()
        assert f"job {watch} is cancelling" in asked("cancel", watch).stderr
        asked("follow", watch, ends=1)
        assert "cancelled" in asked("show", watch).stdout


@pytest.mark.parametrize("wrong", ["prune", "prune=true", "source=x", "=1", "a b=1"])
def test_settings_of_the_command_are_names_and_values(wrong: str) -> None:
    done = CliRunner().invoke(semblant, ["jobs", "start", "bag", "--set", wrong, "--db", "semblant://127.0.0.1:1"])
    assert done.exit_code == 2
    assert f"--set '{wrong}': expected a setting that has no option here" in done.stderr
