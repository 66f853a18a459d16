"""The ledger's file: its format, other versions of it, what is kept in it, and the status that is read from it."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from semblant_indexer import Duplicates, IndexJob
from semblant_indexer.ledger import Entry, Ledger
from semblant_indexer.ledger.copying import copy_generation
from semblant_indexer.sources import Item
from semblant_indexer.status import failed_jobs, last_job, read_status
from semblant_search.errors import CollectionNotFound, InvalidInput, NotADatabase, StoreError
from semblant_search.sources import SourceRecord
from semblant_search.writing.points import now
from support.ledgers import LIST, indexed, run_over, source_of, todo
from support.small_stores import FOLDER, MOMENT, manifest

if TYPE_CHECKING:
    from pathlib import Path

ITEMS = [Item(f"{FOLDER}{name}.png", 10, 20, {"price": 3}) for name in "abc"]
COLUMNS = "generation uri size mtime_ns sha256 metadata outcome reason message point seen written source"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "images" / "ledger.sqlite"


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_the_format_of_the_file(path: Path) -> None:
    """Whatever changes here needs another version, and a way from this one to that."""
    with run_over(path, ITEMS[:2], job='{"source": "x"}') as ledger:
        (one, _) = ledger.todo()
        ledger.record([Entry(one.uri, 10, 20, "0" * 64, one.metadata, "indexed", written=True)])
        ledger.record([Entry(ITEMS[1].uri, 10, 20, None, None, "failed", "empty", "it is empty", point=False)])
        ledger.set_revision(SourceRecord(FOLDER, "pictures", FOLDER, revision="r1"))
        ledger.finish('{"found": 2}')
    assert rows(path, "PRAGMA user_version") == [(3,)]
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]
    assert " ".join(row[1] for row in rows(path, "PRAGMA table_info(items)")) == COLUMNS
    digest = "417e6ddee57c0c4d"
    assert rows(path, "SELECT * FROM items") == [
        ("g0001", ITEMS[0].uri, 10, 20, "0" * 64, digest, "indexed", None, None, 1, 1, 1, FOLDER),
        ("g0001", ITEMS[1].uri, 10, 20, None, None, "failed", "empty", "it is empty", 0, 1, 0, FOLDER),
    ]
    assert rows(path, "SELECT * FROM generations") == [("g0001", MOMENT, "0" * 64)]
    assert rows(path, "SELECT * FROM sources") == [("g0001", FOLDER, "pictures", FOLDER, "r1")]
    ((number, generation, started, job, report),) = rows(path, "SELECT * FROM runs")
    assert (number, generation, job, report) == (1, "g0001", '{"source": "x"}', '{"found": 2}')
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", started)
    assert started <= now()


@pytest.mark.parametrize("version", [1, 4])
def test_a_ledger_of_another_version_is_begun_anew(path: Path, version: int) -> None:
    """Its rows may mean something else; the contents are found again in the store."""
    with run_over(path, ITEMS) as ledger:
        indexed(ledger)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("ALTER TABLE items RENAME COLUMN outcome TO verdict")
        connection.commit()
    with run_over(path, ITEMS) as ledger:
        assert (ledger.points(), todo(ledger)) == (0, ["a", "b", "c"])
        assert not ledger.interrupted()
        indexed(ledger)
    assert rows(path, "PRAGMA user_version") == [(3,)]
    with run_over(path, ITEMS) as ledger:
        assert (ledger.points(), todo(ledger)) == (3, [])


def test_a_ledger_of_version_2_is_taken_over_and_its_rows_are_the_source_s_of_their_root(path: Path) -> None:
    """It knew sources by their roots, and each picture once."""
    path.parent.mkdir()
    columns = (
        "size INTEGER, mtime_ns INTEGER, sha256 TEXT, metadata TEXT, outcome TEXT, reason TEXT, message TEXT, point INTEGER"
    )
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            f"CREATE TABLE items (generation TEXT, uri TEXT, {columns}, seen INTEGER, written INTEGER, source TEXT, "
            "PRIMARY KEY (generation, uri)) WITHOUT ROWID; "
            "CREATE TABLE generations (name TEXT PRIMARY KEY, created_at TEXT NOT NULL, encoder TEXT NOT NULL); "
            "CREATE TABLE runs (number INTEGER PRIMARY KEY, generation TEXT, started_at TEXT, job TEXT, report TEXT); "
            f"INSERT INTO generations VALUES ('g0001', '{MOMENT}', '0'); PRAGMA user_version = 2"
        )
        for uri, source in ((ITEMS[0].uri, FOLDER), (ITEMS[1].uri, LIST)):
            facts = (10, 20, "a" * 64, "417e6ddee57c0c4d", "indexed", None, None, 1, 1, 1)
            connection.execute(f"INSERT INTO items VALUES ('g0001', ?{', ?' * 10}, ?)", (uri, *facts, source))
        connection.commit()
    ledger = Ledger()
    ledger.scan(ITEMS)
    ledger.attach(path, manifest(), SourceRecord("id1", "pictures", FOLDER))
    assert (ledger.contents(), ledger.revision, todo(ledger)) == ({ITEMS[0].uri: "a" * 64}, None, ["b", "c"])
    ledger.close()
    assert rows(path, "PRAGMA user_version") == [(3,)]
    assert rows(path, "SELECT uri, source FROM items") == [(ITEMS[1].uri, LIST), (ITEMS[0].uri, "id1")]


def test_rows_of_generations_that_are_gone_are_dropped(path: Path) -> None:
    for generation in ("g0001", "g0002", "g0003"):
        with run_over(path, ITEMS, generation=generation) as ledger:
            assert todo(ledger) == ["a", "b", "c"]  # nothing is known from another generation
            indexed(ledger)
    with run_over(path, ITEMS, generation="g0003") as ledger:
        ledger.forget_other_generations(["g0002", "g0003", "g0004"])
        assert ledger.points() == 3
    assert rows(path, "SELECT DISTINCT generation FROM items") == [("g0002",), ("g0003",)]
    assert rows(path, "SELECT name FROM generations") == [("g0002",), ("g0003",)]


def test_a_run_is_interrupted_until_it_finishes(path: Path) -> None:
    def run(*, finish: bool, generation: str = "g0001") -> bool:
        with run_over(path, ITEMS, generation=generation) as ledger:
            interrupted = ledger.interrupted()
            if finish:
                ledger.finish("{}")
            return interrupted

    assert not run(finish=False)
    assert run(finish=False)
    assert not run(finish=True, generation="g0002")  # one that begins, beside an unfinished run of another
    assert run(finish=True)
    assert not run(finish=True)


def test_the_last_hundred_runs_are_kept(path: Path) -> None:
    with run_over(path, ITEMS) as ledger:
        ledger.finish("{}")
    with closing(sqlite3.connect(path)) as connection:
        for number in range(2, 131):
            connection.execute("INSERT INTO runs VALUES (?, 'g0001', 'then', '{}', '{}')", (number,))
        connection.commit()
    with run_over(path, ITEMS) as ledger:
        ledger.finish('{"found": 3}')
    numbers = [number for (number,) in rows(path, "SELECT number FROM runs ORDER BY number")]
    assert numbers == list(range(32, 132))
    assert rows(path, "SELECT report FROM runs WHERE number = 131") == [('{"found": 3}',)]
    assert rows(path, "SELECT report FROM runs WHERE number = 130") == [("{}",)]


def test_one_batch_goes_in_whole_or_not_at_all(path: Path) -> None:
    with run_over(path, ITEMS) as ledger:
        good = Entry(ITEMS[0].uri, 10, 20, "0" * 64, None, "indexed")
        with pytest.raises(StoreError, match="what was indexed is kept"):
            ledger.record([good, good._replace(outcome=None)])  # type: ignore[arg-type]
        assert ledger.points() == 0
        ledger.record([good])
        assert ledger.points() == 1


def test_a_ledger_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file in the way")
    ledger = Ledger()
    with pytest.raises(StoreError, match="its folder can be, or choose another one"):
        ledger.attach(tmp_path / "images" / "ledger.sqlite", manifest(), source_of(FOLDER))
    ledger.close()


def test_a_generation_made_of_another_has_its_rows(path: Path) -> None:
    with run_over(path, ITEMS) as ledger:
        indexed(ledger)
    with run_over(path, ITEMS[:1], generation="g0002") as ledger:
        indexed(ledger)
    copy_generation(path, "g0001", manifest("g0002", created_at="2025-01-01T00:00:00Z"))
    columns = COLUMNS.removeprefix("generation ").replace(" ", ", ")
    first, second = (rows(path, f"SELECT {columns} FROM items WHERE generation = '{name}'") for name in ("g0001", "g0002"))
    assert first == second
    assert len(first) == 3
    assert rows(path, "SELECT * FROM generations WHERE name = 'g0002'") == [("g0002", "2025-01-01T00:00:00Z", "0" * 64)]


def test_rows_are_not_copied_where_they_cannot_be_read(path: Path) -> None:
    copy_generation(path, "g0001", manifest("g0002"))
    assert not path.exists()
    with run_over(path, ITEMS) as ledger:
        indexed(ledger)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 4")
    copy_generation(path, "g0001", manifest("g0002"))
    assert rows(path, "SELECT count(*) FROM items") == [(3,)]
    path.write_bytes(b"no database at all" * 100)
    copy_generation(path, "g0001", manifest("g0002"))  # the next job puts it aside
    assert path.read_bytes().startswith(b"no database")


def test_the_status_tells_what_became_of_pictures_by_generation(path: Path, tmp_path: Path) -> None:
    with run_over(path, ITEMS) as ledger:
        indexed(ledger)
        ledger.finish('{"found": 3}')
    more = [Item(f"{FOLDER}{number}.png", 1, 1) for number in range(5)]
    with run_over(path, more, scope=LIST, generation="g0002", job='{"source": "list.csv"}') as ledger:
        ledger.record(
            [Entry(more[0].uri, 1, 1, "0" * 64, None, "indexed"), Entry(more[1].uri, 1, 1, "0" * 64, None, "indexed")]
        )
        ledger.set_duplicates([more[1].uri])
        reasons = {4: "timeout", 3: "empty", 2: "empty"}
        ledger.record(
            [Entry(more[n].uri, 1, 1, None, None, "failed", why, f"words {n}", point=False) for n, why in reasons.items()]
        )
    status = read_status(str(tmp_path), "images")
    old, new = status.generations
    assert (old.name, old.created_at, old.encoder, old.points) == ("g0001", MOMENT, "0" * 64, 3)
    assert (old.outcomes, old.reasons, old.sources) == ({"indexed": 3}, {}, {FOLDER: 3})
    assert (new.name, new.points) == ("g0002", 1)
    assert new.outcomes == {"duplicate": 1, "failed": 3, "indexed": 1}
    assert list(new.outcomes) == ["duplicate", "failed", "indexed"]
    assert (new.reasons, new.sources) == ({"empty": 2, "timeout": 1}, {LIST: 5})
    assert status.failures == [
        {"uri": more[2].uri, "reason": "empty", "message": "words 2"},
        {"uri": more[3].uri, "reason": "empty", "message": "words 3"},
        {"uri": more[4].uri, "reason": "timeout", "message": "words 4"},
    ]
    assert status.last_run is not None
    assert (status.last_run["source"], status.last_run["report"]) == ("list.csv", None)
    assert [failure["uri"] for failure in read_status(str(tmp_path), "images", failures=1).failures] == [more[2].uri]
    assert read_status("http://host", "images", state=path.parent).generations == status.generations
    assert json.loads(json.dumps(status.to_json()))["generations"][0]["points"] == 3


def test_the_status_is_read_while_a_job_runs(path: Path, tmp_path: Path) -> None:
    with run_over(path, ITEMS) as ledger:
        assert read_status(str(tmp_path), "images").generations[0].points == 0
        indexed(ledger)
        assert read_status(str(tmp_path), "images").generations[0].points == 3


def test_the_last_job_is_known_and_can_be_changed(path: Path, tmp_path: Path) -> None:
    db = str(tmp_path)
    with pytest.raises(NotADatabase, match="is not a Semblant database"):
        last_job(db, "images")
    for source in ("/first", "/second"):
        job = IndexJob(source, None, "elsewhere", collection="other", duplicates=Duplicates.FLAG, workers=3)
        with run_over(path, ITEMS, job=json.dumps(job.to_json())):
            pass
    found = last_job(db, "images", retry=True)
    assert (found.source, found.duplicates, found.workers) == ("/second", Duplicates.FLAG, 3)
    assert (found.db, found.collection, found.state, found.retry) == (db, "images", None, True)
    with run_over(path, ITEMS, job='{"source": "of another version"}'), pytest.raises(InvalidInput, match="give them"):
        last_job(db, "images")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM runs")
        connection.commit()
    with pytest.raises(CollectionNotFound, match="no job was run"):
        last_job(db, "images")
    assert read_status(db, "images").last_run is None


def test_what_is_no_ledger_is_said(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 100)
    for read in (read_status, last_job, failed_jobs):
        with pytest.raises(StoreError, match=r"is damaged .*; index again"):
            read(str(tmp_path), "images")
