"""Jobs that end in the middle: what the next run does again, what it does not, and that nothing is lost in between."""

from __future__ import annotations

import _thread
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from semblant_indexer.ledger import Todo
from semblant_indexer.pipeline import Pipeline
from semblant_indexer.pool import WorkerPool
from semblant_indexer.status import read_status
from semblant_indexer.worker import WorkerConfig
from semblant_search import Encoder, canonical_uri
from semblant_search.errors import EncoderError, StoreError, StoreLocked
from semblant_search.store import Database, Store, open_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from semblant_indexer import IndexReport, Progress
    from semblant_search.store import Record

    Index = Callable[..., IndexReport]
    Records = Callable[..., dict[str, Record]]

DYING_JOB = Path(__file__).parents[1] / "support" / "dying_job.py"


def interrupt(progress: Progress) -> None:
    """Stop a run after all pictures are written, before they serve."""
    if progress.phase == "optimize":
        raise KeyboardInterrupt


@pytest.fixture
def kill(encoder_file: Path, tmp_path: Path) -> Callable[..., None]:
    """Run a job into `tmp_path / "db"` that is killed at a call to the store, before or after that does its work."""

    def go(source: Path, call: str, when: str, number: int = 1, **options: Any) -> None:
        arguments = [source, encoder_file, tmp_path / "db", call, number, when, json.dumps(options)]
        process = subprocess.run([sys.executable, DYING_JOB, *map(str, arguments)], check=False, timeout=120)
        assert process.returncode == -signal.SIGKILL

    return go


def points_of(db: Path, generation: str = "g0001") -> int:
    with closing(open_database(db)) as database, closing(database.open("images", generation)) as store:
        return store.count()


def assert_whole(pictures: Path, stored: dict[str, Record], encoder_file: Path) -> None:
    """The collection is that of the folder as it is: contents and vectors."""
    paths = sorted(pictures.rglob("*.png"))
    assert set(stored) == {canonical_uri(path) for path in paths}
    for path, vector in zip(paths, Encoder(encoder_file).encode_pictures(paths), strict=True):
        record = stored[canonical_uri(path)]
        assert record.payload["_bytes"] == path.stat().st_size
        assert record.image is not None
        np.testing.assert_allclose(record.image, vector, atol=1e-6)


@pytest.mark.parametrize("rebuild", [False, True])
def test_an_interrupted_build_goes_on_where_it_stopped(
    pictures: Path, index: Index, records: Records, encoder_file: Path, tmp_path: Path, rebuild: bool
) -> None:
    if rebuild:
        index(pictures / "bag")
    rest = tmp_path / "rest"
    (pictures / "coat").rename(rest)
    with pytest.raises(KeyboardInterrupt):
        index(pictures, on_progress=interrupt, rebuild=rebuild)
    rest.rename(pictures / "coat")
    if rebuild:
        assert len(records()) == 10  # the old one serves meanwhile
    report = index(pictures, rebuild=rebuild)
    assert report.generation == ("g0002" if rebuild else "g0001")
    assert (report.indexed, report.encoded, report.unchanged) == (10, 10, 20)
    assert_whole(pictures, records(), encoder_file)


def test_a_build_that_was_killed_encodes_only_what_is_not_stored(
    pictures: Path, index: Index, records: Records, kill: Callable[..., None], encoder_file: Path, tmp_path: Path
) -> None:
    kill(pictures, "upsert", "before", number=2, batch=1, slow=True)
    stored = points_of(tmp_path / "db")
    assert 0 < stored < 30
    report = index(pictures)
    assert (report.encoded, report.points, report.generation) == (30 - stored, 30, "g0001")
    assert_whole(pictures, records(), encoder_file)
    assert index(pictures).unchanged == 30


def test_a_build_that_was_killed_before_its_graph_is_not_encoded_again(
    pictures: Path, index: Index, kill: Callable[..., None], tmp_path: Path
) -> None:
    kill(pictures, "optimize", "before")
    with closing(open_database(tmp_path / "db", create=True)) as database:
        assert (database.collections(), database.generations("images")) == ({}, ["g0001"])
    report = index(pictures)
    assert (report.generation, report.encoded, report.unchanged) == ("g0001", 0, 30)
    assert report.stages["optimize"] > 0


def test_a_change_whose_writing_was_killed_is_made_by_the_next_run(
    pictures: Path, index: Index, records: Records, kill: Callable[..., None], encoder_file: Path, tmp_path: Path
) -> None:
    """The number of points stays the same, so only the order of writing protects the change: first the store."""
    index(pictures)
    changed = sorted(pictures.rglob("*.png"))[0]
    Image.open(changed).rotate(90).save(changed)
    kill(pictures, "upsert", "before")
    report = index(pictures)
    assert (report.encoded, report.unchanged) == (1, 29)
    assert_whole(pictures, records(), encoder_file)


def test_metadata_whose_writing_was_killed_is_written_by_the_next_run(
    pictures: Path, index: Index, records: Records, kill: Callable[..., None], tmp_path: Path
) -> None:
    index(pictures)
    name = sorted(path.name for path in (pictures / "bag").iterdir())[0]
    (pictures / "metadata.csv").write_text(f"file,price\nbag/{name},3\n")
    kill(pictures, "set_payloads", "before")
    assert "price" not in records()[canonical_uri(pictures / "bag" / name)].payload
    report = index(pictures)
    assert (report.indexed, report.encoded) == (1, 0)
    assert records()[canonical_uri(pictures / "bag" / name)].payload["price"] == 3


def test_a_picture_that_turned_bad_leaves_although_the_run_was_killed(
    pictures: Path, index: Index, records: Records, kill: Callable[..., None]
) -> None:
    index(pictures)
    bad = sorted(pictures.rglob("*.png"))[0]
    bad.write_text("no picture any more")
    kill(pictures, "delete", "before", prune=True)
    report = index(pictures, prune=True)
    assert (report.failed, report.unchanged, report.points) == (1, 29, 29)
    assert canonical_uri(bad) not in records()


def test_a_run_that_did_not_finish_is_said_and_its_report_follows(pictures: Path, index: Index, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        index(pictures, on_progress=interrupt)
    status = read_status(str(tmp_path / "db"), "images")
    assert status.last_run is not None
    assert (status.last_run["source"], status.last_run["report"]) == (os.fspath(pictures), None)
    assert [generation.points for generation in status.generations] == [30]
    report = index(pictures)
    last = read_status(str(tmp_path / "db"), "images").last_run
    assert last is not None
    assert last["report"] == json.loads(json.dumps(report.to_json()))


class Told:
    """Takes the place of a writer, and notes what it is told; with `full` the store refuses a batch."""

    def __init__(self, *, full: bool) -> None:
        self.calls: list[str] = []
        self.full = full

    def write(self, *_: object) -> None:
        self.calls.append("write")
        if self.full:
            raise StoreError("no room")

    def keep(self, _: object) -> None:
        self.calls.append("keep")

    def flush(self) -> None:
        self.calls.append("flush")


@pytest.mark.parametrize(("full", "error", "last"), [(False, KeyboardInterrupt, "flush"), (True, StoreError, "write")])
def test_what_is_encoded_is_kept_when_a_run_is_interrupted_but_a_store_that_failed_is_not_asked_again(
    pictures: Path, encoder_file: Path, full: bool, error: type[BaseException], last: str
) -> None:
    encoder, writer = Encoder(encoder_file, threads=1), Told(full=full)
    todos = [Todo(canonical_uri(path), -1, -1, "{}", "") for path in sorted(pictures.rglob("*.png"))]
    pool = WorkerPool(WorkerConfig(encoder.card.fit, 10**6), workers=1, slots=2, batch=1, patience=60)

    def stop() -> None:
        if writer.calls and not full:
            raise KeyboardInterrupt

    with closing(Pipeline(pool, encoder, writer, batch=1)) as pipeline, pytest.raises(error):
        pipeline.run(iter(todos), len(todos), stop)
    assert writer.calls[-1] == last


class Broken:
    """Takes the place of an encoder that fails at its first batch, once it is told to."""

    def __init__(self) -> None:
        self.fail = threading.Event()

    def vectors(self, _: object) -> None:
        assert self.fail.wait(60)
        raise EncoderError("broken")


def test_an_encoder_that_fails_ends_the_job_while_much_new_metadata_waits_to_be_written(
    pictures: Path, encoder_file: Path
) -> None:
    encoder, raised = Broken(), []
    pool = WorkerPool(WorkerConfig(Encoder(encoder_file).card.fit, 10**6), workers=1, slots=2, batch=1, patience=60)
    pipeline = Pipeline(pool, encoder, Told(full=False), batch=1)  # type: ignore[arg-type]

    def todos() -> Iterator[Todo]:
        for path in sorted(pictures.rglob("*.png"))[:2]:
            yield Todo(canonical_uri(path), -1, -1, "{}", "")
        encoder.fail.set()
        for number in range(50_000):
            yield Todo(f"file:///{number}.png", 1, 1, "{}", "", "0" * 64, same_file=True)

    def go() -> None:
        with closing(pipeline):
            try:
                pipeline.run(todos(), 50_002, lambda: None)
            except EncoderError as error:
                raised.append(error)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert [str(error) for error in raised] == ["broken"]


def test_a_run_that_was_interrupted_in_the_engine_leaves_the_database_to_the_next_one(
    pictures: Path, index: Index, records: Records, encoder_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a notebook: the process lives on."""
    index(pictures)
    optimize, go_on = Store.optimize, threading.Event()

    def slow(store: Store, *_: object, **__: object) -> bool:
        _thread.interrupt_main()
        assert go_on.wait(60)
        return optimize(store)

    changed = sorted(pictures.rglob("*.png"))[0]
    Image.open(changed).rotate(90).save(changed)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(Store, "optimize", slow)
        with pytest.raises(KeyboardInterrupt):
            index(pictures)
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(StoreLocked):
        records()
    monkeypatch.undo()
    go_on.set()
    (engine,) = [thread for thread in threading.enumerate() if thread.name == "semblant-engine"]
    engine.join(60)
    assert index(pictures).unchanged == 30
    assert_whole(pictures, records(), encoder_file)


def test_a_run_that_is_interrupted_while_it_opens_the_database_closes_it(
    pictures: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(pictures)
    opened, go_on = Database.open, threading.Event()

    def slow(database: Database, *names: str) -> Store:
        _thread.interrupt_main()
        assert go_on.wait(60)
        return opened(database, *names)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(Database, "open", slow)
        with pytest.raises(KeyboardInterrupt):
            index(pictures)
    finally:
        signal.signal(signal.SIGINT, before)
    monkeypatch.undo()
    go_on.set()
    (engine,) = [thread for thread in threading.enumerate() if thread.name == "semblant-engine"]
    engine.join(60)
    assert index(pictures).unchanged == 30
