"""A database in a directory: what it accepts, what it refuses without touching it, locks, and surviving a kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from semblant_search.collection import FieldType, Manifest, point_id
from semblant_search.encoder import EncoderCard
from semblant_search.errors import InvalidInput, NotADatabase, StoreError, StoreLocked
from semblant_search.images import Fit
from semblant_search.store import Nearest, Point, SearchRequest, open_database
from semblant_search.store.files import write_atomic
from semblant_search.where import F
from support.systems import needs_posix, needs_proc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DIM = 8


def manifest(collection: str = "images", generation: str = "g0001") -> Manifest:
    card = EncoderCard("test", "test", Fit(4, 4, 1), DIM, "none")
    return Manifest(collection, generation, "0" * 64, card, {"number": FieldType.INTEGER}, None, "2024-01-01T00:00:00Z")


def point(number: int) -> Point:
    vector = np.random.default_rng(number).normal(size=DIM).astype(np.float32)
    return Point(point_id(str(number)), vector / np.linalg.norm(vector), {"number": number})


def make_database(path: Path, count: int = 20) -> None:
    database = open_database(path, create=True)
    store = database.create(manifest())
    store.upsert([point(number) for number in range(count)])
    store.optimize()
    store.close()
    database.publish("images", "g0001")


def run(script: str, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def test_a_directory_with_other_things_in_it_is_refused_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    before = sorted(tmp_path.rglob("*"))
    for create in (False, True):
        with pytest.raises(NotADatabase, match=r"thesis\.txt"):
            open_database(tmp_path, create=create)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_a_directory_that_is_not_there_or_empty_becomes_a_database_only_when_asked(tmp_path: Path) -> None:
    for path in (tmp_path / "new" / "db", tmp_path):
        with pytest.raises(NotADatabase):
            open_database(path)
        database = open_database(path, create=True)
        assert database.collections() == {}
        assert not path.exists() or not list(path.iterdir())
    with pytest.raises(NotADatabase, match="semblant index"):
        open_database(tmp_path / "missing")
    make_database(tmp_path / "db")
    assert open_database(tmp_path / "db").collections() == {"images": "g0001"}


def test_a_file_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG")
    for create in (False, True):
        with pytest.raises(NotADatabase, match="is a file"):
            open_database(path, create=create)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged"),
        (b"{", "damaged"),
        (b"[]", "damaged"),
        (b'{"format_version": 1}', "damaged"),
        (b'{"format_version": 1, "serving": []}', "damaged"),
        (b"\xff\xfe", "damaged"),
        (b'{"format_version": 99, "serving": {}}', "version 99"),
    ],
)
def test_a_damaged_pointer_file_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "semblant.json").write_bytes(content)
    with pytest.raises(NotADatabase, match=words):
        open_database(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format_version": 1}', b'{"format_version": 7}'])
def test_a_damaged_manifest_is_named(tmp_path: Path, content: bytes) -> None:
    make_database(tmp_path / "db")
    (tmp_path / "db" / "images" / "g0001" / "manifest.json").write_bytes(content)
    with pytest.raises(NotADatabase, match=r"manifest|version"):
        open_database(tmp_path / "db").open("images")


def test_a_missing_or_damaged_shard_is_a_store_error(tmp_path: Path) -> None:
    make_database(tmp_path / "db")
    (tmp_path / "db" / "images" / "g0001" / "shard" / "edge_config.json").write_text("{")
    with pytest.raises(StoreError, match="g0001"):
        open_database(tmp_path / "db").open("images")


def test_a_second_opening_is_told_who_is_in_the_way(tmp_path: Path) -> None:
    make_database(tmp_path / "db")
    with open_database(tmp_path / "db").open("images") as store, pytest.raises(StoreLocked, match="Qdrant server"):
        open_database(tmp_path / "db").open("images")
    assert open_database(tmp_path / "db").collections() == {"images": "g0001"}
    del store


HOLD = """
import sys
from semblant_search.store import open_database
store = open_database(sys.argv[1]).open("images")
store.delete([])
store.delete(["00000000-0000-0000-0000-000000000000"])  # writing must not let go of the lock
print(store.count(), flush=True)
sys.stdin.read()
"""


def test_another_process_gets_a_clear_error_until_the_first_is_gone(tmp_path: Path) -> None:
    make_database(tmp_path / "db")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "db"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline().strip() == "20"
        database = open_database(tmp_path / "db")
        with pytest.raises(StoreLocked, match="another process") as caught:
            database.open("images")
        assert str(tmp_path / "db") in str(caught.value)
        assert "WouldBlock" not in str(caught.value)
        second = database.create(manifest(generation="g0002"))  # a new generation can be built meanwhile
        second.close()
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    store = database.open("images")  # the lock ends with the process, also when it is killed
    assert store.count() == 20
    store.close()


WRITE = """
import sys
sys.path.insert(0, sys.argv[2])
from semblant_search.store import open_database
from test_store_directory import point
store = open_database(sys.argv[1]).open("images")
for start in range(1000, 1_000_000, 10):
    store.upsert([point(number) for number in range(start, start + 10)])
    store.delete([point(start).id])
    print(start, flush=True)
"""


@needs_posix
def test_acknowledged_writes_survive_kill_9(tmp_path: Path) -> None:
    make_database(tmp_path / "db")
    for round_number in range(3):
        writer = run(WRITE, tmp_path / "db", Path(__file__).parent)
        assert writer.stdout is not None
        for _ in range(3 + 7 * round_number):
            writer.stdout.readline()
        os.kill(writer.pid, signal.SIGKILL)
        lines = writer.stdout.read().split()
        writer.wait()
        writer.stdout.close()
        last = int(lines[-1]) if lines else 1000 + 10 * (2 + 7 * round_number)
        store = open_database(tmp_path / "db").open("images")
        numbers = {record.payload["number"] for record in store.scroll()}
        acknowledged = {n for n in range(1000, last + 10) if n % 10}
        assert set(range(20)) | acknowledged <= numbers
        assert not set(range(1000, last + 10, 10)) & numbers
        checked = store.query(SearchRequest(Nearest(point(last + 9).image), 1, exact=True, where=F("number") > 0))
        assert checked[0].payload == {"number": last + 9}
        store.close()


FILL = """
import sys
sys.path.insert(0, sys.argv[2])
from semblant_search.errors import StoreError
from semblant_search.store import Point, open_database
from test_store_directory import manifest, point
database = open_database(sys.argv[1], create=True)
store = database.create(manifest())
written = 0
try:
    while True:
        batch = map(point, range(written, written + 500))
        store.upsert([Point(p.id, p.image, {**p.payload, "text": "x" * 20_000}) for p in batch])
        written += 500
except StoreError as error:
    print(written, store.count(), "almost full" in str(error), flush=True)
    store.close()
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_an_error_before_the_engine_crashes_on_it(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=420m", "tmpfs", tmp_path], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("no small disk can be mounted here")
    try:
        filler = run(FILL, tmp_path / "db", Path(__file__).parent)
        output, _ = filler.communicate(timeout=120)
        assert filler.returncode == 0
        written, counted, told = output.split()
        assert int(written) == int(counted) > 0
        assert told == "True"
        with open_database(tmp_path / "db").open("images", "g0001") as store:
            assert store.count() == int(written)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@needs_proc
def test_a_change_is_on_disk_before_it_is_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No power cut can be tried here; what can be seen is that the log is synced once for each change, after it."""
    make_database(tmp_path / "db")
    store = open_database(tmp_path / "db").open("images")
    log = tmp_path / "db" / "images" / "g0001" / "shard" / "wal"
    synced: list[Path] = []
    real = os.fsync

    def watch(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    changes: list[Callable[[], None]] = [
        lambda: store.upsert([point(100)]),
        lambda: store.set_payloads({point(100).id: {"number": 101}}),
        lambda: store.delete([point(100).id]),
    ]
    for change in changes:
        synced.clear()
        change()
        assert {path for path in log.iterdir() if path.is_file()} <= set(synced)
    synced.clear()
    store.count()
    assert synced == []
    store.close()


def test_a_build_that_was_killed_half_way_does_not_count_and_makes_room(tmp_path: Path) -> None:
    make_database(tmp_path / "db")
    database = open_database(tmp_path / "db")
    store = database.create(manifest(generation="g0002"))
    store.close()
    (tmp_path / "db" / "images" / "g0002" / "manifest.json").unlink()
    assert database.generations("images") == ["g0001"]
    store = database.create(manifest(generation="g0002"))
    assert store.count() == 0
    store.close()
    assert database.generations("images") == ["g0001", "g0002"]


def test_a_generation_in_use_cannot_be_dropped(tmp_path: Path) -> None:
    make_database(tmp_path / "db")
    database = open_database(tmp_path / "db")
    store = database.create(manifest(generation="g0002"))
    with pytest.raises(StoreLocked):
        database.drop("images", "g0002")
    assert store.count() == 0
    store.close()
    database.drop("images", "g0002")
    assert not (tmp_path / "db" / "images" / "g0002").exists()


def test_collections_live_beside_each_other(tmp_path: Path) -> None:
    make_database(tmp_path / "db")
    database = open_database(tmp_path / "db")
    other = database.create(manifest("paintings"))
    images = database.open("images")
    other.upsert([point(1)])
    assert (images.count(), other.count()) == (20, 1)
    images.close()
    other.close()
    database.publish("paintings", "g0001")
    assert database.collections() == {"images": "g0001", "paintings": "g0001"}


def test_many_switches_at_once_lose_none(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(4)]
    database = open_database(tmp_path / "db", create=True)
    for name in names:
        database.create(manifest(name)).close()
    threads = [
        threading.Thread(target=lambda name=name: open_database(tmp_path / "db").publish(name, "g0001")) for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.collections() == dict.fromkeys(names, "g0001")


def test_searches_from_many_threads_see_whole_answers(tmp_path: Path) -> None:
    make_database(tmp_path / "db", 500)
    store = open_database(tmp_path / "db").open("images")
    wrong: list[int] = []

    def search(seed: int) -> None:
        for number in range(seed, 500, 8):
            hits = store.query(SearchRequest(Nearest(point(number).image), 3, where=F("number") >= 0))
            if hits[0].payload != {"number": number} or len(hits) != 3:
                wrong.append(number)

    threads = [threading.Thread(target=search, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for number in range(500, 600, 10):
        store.upsert([point(n) for n in range(number, number + 10)])
    for thread in threads:
        thread.join()
    assert wrong == []
    assert store.count() == 600
    store.close()


def test_files_are_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "pointer"
    write_atomic(path, b"first")
    write_atomic(path, b"second")
    assert path.read_bytes() == b"second"
    assert [entry.name for entry in tmp_path.iterdir()] == ["pointer"]
    with pytest.raises(StoreError, match="cannot be written"):
        write_atomic(tmp_path / "no such folder" / "pointer", b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        write_atomic(tmp_path / "folder", b"x")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder", "pointer"]


def test_the_manifest_is_readable_by_people(tmp_path: Path) -> None:
    make_database(tmp_path / "db")
    data = json.loads((tmp_path / "db" / "images" / "g0001" / "manifest.json").read_text())
    assert data["collection"] == "images"
    assert data["fields"] == {"number": "integer"}


def test_opening_a_generation_needs_a_proper_name(tmp_path: Path) -> None:
    make_database(tmp_path / "db")
    database = open_database(tmp_path / "db")
    with pytest.raises(InvalidInput, match="g0001"):
        database.open("images", "../images/g0001")
    with pytest.raises(InvalidInput):
        database.drop("images", "../..")


def test_the_stores_load_their_engines_only_when_used() -> None:
    script = (
        "import sys, semblant_search.store; print([m for m in ('qdrant_edge', 'qdrant_client', 'grpc') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == "[]"


# Root may write everywhere, so that it becomes somebody else, once all modules are loaded: they may lie where only root reads.
AS_A_READER = """
import os, sys, tempfile
from semblant_search import SearchClient, StoreError
tempfile.tempdir = sys.argv[2]
if os.getuid() == 0:
    with SearchClient(sys.argv[3]) as client:
        client.delete(["file:///none.jpg"])
    os.setuid(65534)
try:
    with SearchClient(sys.argv[1]) as client, SearchClient(sys.argv[1]) as other:
        ids = [picture.id for picture in client.pictures()]
        hit = client.search(ids[7], 1, include_self=True)[0]
        print(client.count(), other.count("number < 3"), hit.id == ids[7], len(os.listdir(sys.argv[2])))
        try:
            client.delete(ids)
        except StoreError as error:
            print(error, client.count())
        if os.fork() == 0:
            sys.exit()  # what it takes along is not its own to remove
        os.wait()
        print(len(os.listdir(sys.argv[2])), SearchClient(sys.argv[1]).count())  # the third is left to the process's end
except StoreError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder with a database `db`, which only its owner may change once it is sealed, and one for temporary files."""
    folder = Path(tempfile.mkdtemp())  # not below pytest's, which only its owner may enter
    folder.chmod(0o755)
    make_database(folder / "db")
    make_database(folder / "warm")
    (folder / "temporary").mkdir()
    (folder / "temporary").chmod(0o777)
    yield folder
    for path in [folder / "db", *(folder / "db").rglob("*")]:
        path.chmod(0o755)
    shutil.rmtree(folder)


def read_as_somebody(folder: Path) -> list[str]:
    for path in [folder / "db", *(folder / "db").rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    command = [sys.executable, "-c", AS_A_READER, *(str(folder / name) for name in ("db", "temporary", "warm"))]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX's")
def test_a_directory_that_may_only_be_read_is_searched_and_not_changed(readable: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (readable / "db").rglob("*") if path.is_file()}
    answered, refused, kept = read_as_somebody(readable)
    assert answered == "20 3 True 2"  # a copy for each
    assert refused.startswith(f"database '{readable / 'db' / 'images' / 'g0001'}' is not writable")
    assert refused.endswith(" 20")
    assert kept == "2 20"
    assert list((readable / "temporary").iterdir()) == [], "copies stay when they are of no use any more"
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX's")
def test_what_may_only_be_read_is_locked_while_somebody_may_change_it(readable: Path) -> None:
    with closing(open_database(readable / "db").open("images")):
        (said,) = read_as_somebody(readable)
    assert said.startswith("StoreLocked")
    assert "open in a process that may write there" in said
    assert not list((readable / "temporary").iterdir())
