"""Jobs that write to a server: one that fails, while they are killed, and from a Ray cluster. Nothing lost, nothing twice."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import warnings
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import psutil
import pytest
from qdrant_client import models
from semblant_indexer import IndexJob, run
from semblant_indexer.status import read_status
from semblant_search import FieldType, SearchClient
from semblant_search.collection import StorageOptions
from semblant_search.errors import InvalidInput, StoreError, StoreUnavailable
from semblant_search.orb import OrbSettings
from semblant_search.store.engines.qdrant.connection import RetryPolicy
from semblant_search.store.engines.qdrant.server import QdrantDatabase
from support.servers import StandIn, client_of, server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from semblant_indexer import IndexReport
    from semblant_search.store import Record

SEMBLANT = Path(sysconfig.get_path("scripts")) / "semblant"


def stored(url: str, api_key: str | None = None) -> dict[str, Record]:
    patient = RetryPolicy(attempts=20, first_wait=0.01, longest_wait=0.1, total_timeout=60)
    with closing(QdrantDatabase(url, api_key=api_key, timeout=2, retry=patient)) as database:
        return {record.payload["_uri"]: record for record in database.open("images").scroll(with_image=True)}


def assert_same(got: dict[str, Record], expected: dict[str, Record]) -> None:
    assert got.keys() == expected.keys()
    for uri, record in expected.items():
        assert got[uri].id == record.id
        assert {**got[uri].payload, "_indexed_at": ""} == {**record.payload, "_indexed_at": ""}
        one, other = got[uri].image, record.image
        assert one is not None
        assert other is not None
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_killed_job_on_a_failing_server_ends_with_the_collection_of_an_unbroken_one(
    fashion_small: Path,
    encoder_file: Path,
    tmp_path: Path,
    index: Callable[..., IndexReport],
    records: Callable[..., dict[str, Record]],
) -> None:
    source = fashion_small / "test"
    whole = index(source)
    settings: dict[str, Any] = {"orb": None, "workers": 1, "threads": 1, "batch": 8, "timeout": 1}
    code = (
        "import sys, pathlib; from semblant_indexer import IndexJob, run; "
        f"run(IndexJob(*sys.argv[1:4], state=pathlib.Path(sys.argv[4]), **{settings}))"
    )
    with server("--faults", "0.1", "--seed", "3", "--stall", "1.2") as url:
        command = [sys.executable, "-c", code, str(source), str(encoder_file), url, str(tmp_path / "state")]
        dice = random.Random(0)
        for _ in range(3):
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            time.sleep(dice.uniform(0.8, 2.5))
            process.kill()
            process.wait()
        report = None
        for _ in range(5):  # each may meet a server that fails five times in a row; the next one goes on
            try:
                report = run(IndexJob(str(source), encoder_file, url, state=tmp_path / "state", **settings))
                break
            except StoreUnavailable:
                continue
        assert report is not None
        assert (report.found, report.failed, report.points) == (200, 0, whole.points)
        assert_same(stored(url), records())


def test_a_job_with_features_writes_the_same_to_a_server_as_to_a_directory(
    photos: Path,
    encoder_file: Path,
    tmp_path: Path,
    index: Callable[..., IndexReport],
    records: Callable[..., dict[str, Record]],
) -> None:
    index(photos, orb=OrbSettings())
    with server("--strict", "--yellow", "2") as url:
        job = IndexJob(str(photos), encoder_file, url, state=tmp_path / "state", workers=1, threads=1)
        assert run(job).points == 19
        assert_same(stored(url), records())
        again = run(job)
        assert (again.encoded, again.unchanged) == (0, 19)
        path = photos / "coffee.png"
        content = path.read_bytes()
        path.unlink()
        try:
            assert run(IndexJob(str(photos), None, url, state=tmp_path / "state", prune=True)).points == 18
        finally:
            path.write_bytes(content)


@pytest.mark.parametrize("what", ["collection", "alias"])
def test_a_name_that_is_taken_on_the_server_ends_a_job_before_anything_is_written(
    pictures: Path, encoder_file: Path, tmp_path: Path, what: str
) -> None:
    with server() as url, closing(client_of(url)) as client:
        client.create_collection("images" if what == "collection" else "theirs", vectors_config={})
        if what == "alias":
            create = models.CreateAlias(collection_name="theirs", alias_name="images")
            client.update_collection_aliases([models.CreateAliasOperation(create_alias=create)])
        asked = StandIn(url)
        asked.forget()
        with pytest.raises(StoreError, match=f"has an? {what} 'images'.*not Semblant's"):
            run(IndexJob(str(pictures), encoder_file, url, state=tmp_path / "state", orb=None, workers=1))
        assert {request.method for request in asked.requests()} == {"GET"}
    assert not (tmp_path / "state").exists()


def test_metadata_that_no_request_can_carry_costs_its_picture_only(pictures: Path, encoder_file: Path, tmp_path: Path) -> None:
    """A server takes 32 MB at once; more than that in many rows goes in several requests, in one row it cannot go."""
    bags = sorted((pictures / "bag").iterdir())

    def run_with(texts: dict[str, str]) -> IndexReport:
        rows = [{"file": str(path), "text": texts.get(path.name, "y" * 4_000_000)} for path in bags]
        (tmp_path / "list.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        return run(IndexJob(str(tmp_path / "list.jsonl"), encoder_file, url, state=tmp_path / "state", orb=None, workers=1))

    large = {bags[3].name: "x" * 33_000_000}
    with server() as url:
        first = run_with(large)
        assert (first.indexed, first.failed, first.reasons, first.points) == (9, 1, {"metadata": 1}, 9)
        assert f"{bags[3].name}: its metadata takes 33 MB, more than a server takes" in first.failures[0].message
        then = run_with({bags[4].name: "z" * 33_000_000})
        assert (then.indexed, then.failed, then.unchanged, then.points) == (1, 1, 8, 10)
        stored_texts = {Path(uri).name: record.payload["text"][:1] for uri, record in stored(url).items()}
        assert stored_texts == {path.name: "y" for path in bags}
        bags[3].rename(bags[3].with_name("moved.png"))
        bags[3] = bags[3].with_name("moved.png")
        moved = run_with({"moved.png": "x" * 33_000_000})
        assert (moved.failed, moved.reasons) == (1, {"metadata": 1})


def test_a_server_with_room_for_few_indexes_gets_the_declared_ones(pictures: Path, encoder_file: Path, tmp_path: Path) -> None:
    """The job goes on, and so does the next one."""
    bags = sorted((pictures / "bag").iterdir())
    rows = [{"file": str(path), **{f"c{number}": number for number in range(8)}} for path in bags]
    (tmp_path / "list.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    told: dict[str, Any] = {"fields": {"c5": FieldType.INTEGER}, "state": tmp_path / "state", "workers": 1}
    with server("--strict", "--strict-mode", '{"max_payload_index_count": 9}') as url:
        job = IndexJob(str(tmp_path / "list.jsonl"), encoder_file, url, **told)
        for encoded in (10, 0):
            report = run(job)
            assert (report.encoded, report.points) == (encoded, 10)
            (note,) = (note for note in report.notes if "no index" in note)
            assert "7 of 16 fields have no index" in note
            assert "max_payload_index_count" in note
            assert "c0, c1, c2, c3, c4, c6, c7." in note
        with SearchClient(url) as client:
            assert client.count("c5 == 5") == 10
            with pytest.raises(StoreError, match='Index required but not found for "c4"'):
                client.count("c4 == 4")
    with server("--strict", "--strict-mode", '{"max_payload_index_count": 1}') as url:  # that of the sources
        assert run(dataclasses.replace(job, db=url, state=tmp_path / "other")).points == 10


def test_a_strict_server_gets_small_requests(photos: Path, encoder_file: Path, tmp_path: Path) -> None:
    limits = {"max_query_limit": 5, "search_max_batchsize": 3, "upsert_max_batchsize": 4}
    with server("--strict", "--strict-mode", json.dumps(limits)) as url:
        job = IndexJob(str(photos), encoder_file, url, state=tmp_path / "state", workers=1, threads=1)
        report = run(job)
        assert (report.indexed, report.failed, report.recall_at_10) == (19, 0, 1.0)
        assert run(job).unchanged == 19
        assert run(dataclasses.replace(job, rebuild=True)).points == 19


@pytest.mark.parametrize("quantize", [None, "binary"])
def test_a_server_that_forbids_exact_searches_stops_no_job(
    pictures: Path, encoder_file: Path, tmp_path: Path, quantize: Literal["binary"] | None
) -> None:
    limits = {"search_allow_exact": False, "search_max_oversampling": 2.0}
    with server("--strict", "--strict-mode", json.dumps(limits)) as url:
        told: dict[str, Any] = {"orb": None, "storage": StorageOptions(quantize), "state": tmp_path / "state", "workers": 1}
        job = IndexJob(str(pictures), encoder_file, url, **told)
        report = run(job)
        assert (report.indexed, report.points, report.recall_at_10) == (30, 30, None)
        assert run(job).unchanged == 30


@pytest.mark.parametrize("behaviour", [("--late", "3"), ("--lag", "4"), ("--late", "2", "--lag", "2", "--strict")])
def test_nodes_of_a_cluster_that_are_behind_stop_no_job(
    pictures: Path, encoder_file: Path, tmp_path: Path, behaviour: tuple[str, ...]
) -> None:
    with server(*behaviour) as url:
        job = IndexJob(str(pictures), encoder_file, url, orb=None, state=tmp_path / "state", workers=1, threads=1)
        assert (run(job).indexed, run(job).unchanged) == (30, 30)
        sorted((pictures / "bag").iterdir())[0].unlink()
        report = run(dataclasses.replace(job, prune=True))
        assert (report.pruned, report.points) == (1, 29)


def test_shards_and_replicas_stay_in_a_rebuild(pictures: Path, encoder_file: Path, tmp_path: Path) -> None:
    told: dict[str, Any] = {"orb": None, "state": tmp_path / "state", "workers": 1, "threads": 1}
    with server() as url, closing(QdrantDatabase(url)) as database:

        def index(storage: StorageOptions | None, **options: Any) -> StorageOptions:
            generation = run(IndexJob(str(pictures), encoder_file, url, storage=storage, **told, **options)).generation
            manifest = database.manifest("images", generation)
            assert manifest is not None
            return manifest.storage

        said = StorageOptions(shards=2, replicas=2, write_consistency=1)
        assert index(said) == said
        assert index(None) == index(said) == index(StorageOptions(replicas=2)) == said
        with pytest.raises(InvalidInput, match=r"'replicas': 3.*use --rebuild"):
            index(StorageOptions(replicas=3))
        assert index(None, rebuild=True) == said
        assert index(StorageOptions("scalar", replicas=3), rebuild=True) == dataclasses.replace(
            said, quantize="scalar", replicas=3
        )


def test_stopping_does_not_wait_for_a_server_that_stalls(
    pictures: Path, encoder_file: Path, heed_interrupts: Callable[[], None], tmp_path: Path
) -> None:
    with server("--faults", "1", "--only", "stall", "--stall", "120") as url:
        command = [SEMBLANT, "index", pictures, "--encoder", encoder_file, "--db", url, "--state", tmp_path / "state"]
        process = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts)
        asked = psutil.Process(process.pid)
        while not any(each.status == psutil.CONN_ESTABLISHED for each in asked.net_connections()):
            time.sleep(0.05)  # it is still starting
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)  # half of the time that the server would take to answer
        assert process.returncode == 130
        assert "the same command goes on from there" in errors


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Ray cluster of two workers."""
    ray = pytest.importorskip("ray")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
        yield
        ray.shutdown()


@pytest.mark.usefixtures("cluster")
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_ray_cluster_indexes_what_one_machine_does(
    photos: Path,
    pictures: Path,
    encoder_file: Path,
    tmp_path: Path,
    index: Callable[..., IndexReport],
    records: Callable[..., dict[str, Record]],
) -> None:
    names = ("coffee.png", "page.png", "moon.png", "text.png", "rocket.jpg")
    (pictures / "photos").mkdir()
    for name in names[:3]:
        shutil.copyfile(photos / name, pictures / "photos" / name)

    def both(url: str, engine: str) -> tuple[IndexReport, IndexReport]:
        reached: dict[str, Any] = {"db": url, "api_key": "secret", "state": tmp_path / "state"}
        job = IndexJob(str(pictures), encoder_file, engine=engine, prune=True, workers=1, **reached)
        return index(pictures, orb=OrbSettings(), prune=True), run(job)

    def account(report: IndexReport) -> tuple[Any, ...]:
        failures = sorted((failure.uri, failure.reason, failure.message) for failure in report.failures)
        return report.account, report.encoded, report.moved, report.pruned, report.points, report.reasons, failures

    with server("--strict", "--yellow", "2", "--api-key", "secret") as url:
        both(url, "local")
        for name in names[3:]:
            shutil.copyfile(photos / name, pictures / name)
        shutil.copyfile(photos / "rocket.jpg", pictures / "twice.jpg")
        (pictures / "bad.png").write_text("no picture")
        (pictures / "empty.png").touch()
        os.mkfifo(pictures / "pipe.png")
        (pictures / "photos" / "coffee.png").rename(pictures / "renamed.png")
        (pictures / "photos" / "page.png").write_text("not any more")
        (pictures / "photos" / "moon.png").unlink()
        known = next((pictures / "bag").iterdir()).name  # of which only the metadata is new
        (pictures / "metadata.csv").write_text(f"file,price\ntext.png,3\nrenamed.png,4\nbag/{known},5\n")
        local, spread = both(url, "ray")
        assert local.account == "found 38 = 5 indexed + 29 unchanged + 0 duplicate + 3 failed + 1 skipped"
        assert (local.encoded, local.moved) == (3, 1)
        assert account(spread) == account(local)
        assert_same(stored(url, "secret"), records())
    with pytest.raises(InvalidInput, match="belongs to one process"):
        index(pictures, engine="ray")


def test_the_ledger_is_the_collection_s_however_the_server_is_addressed(
    pictures: Path, encoder_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with server() as url:
        other = url.replace("127.0.0.1", "localhost")
        assert other != url
        for place in (url, other):
            report = run(IndexJob(str(pictures), encoder_file, place, orb=None, workers=1, threads=1))
            assert (report.points, read_status(place, "images").generations[0].points) == (30, 30)
        assert report.unchanged == 30
        (folder,) = (tmp_path / "state" / "semblant").iterdir()
        # A Semblant before that named it by the address; its ledger is taken over.
        before = tmp_path / "state" / "semblant" / f"localhost-{other.rpartition(':')[2]}" / "images"
        before.parent.mkdir()
        folder.rename(before)
        run(IndexJob(str(pictures), encoder_file, other, orb=None, workers=1, threads=1))
        assert (folder / "ledger.sqlite").is_file()
        assert not before.exists()
