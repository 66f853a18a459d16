"""Ledgers that cannot be written, or are damaged: one line says what is wrong and what to do, and doing that works."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from semblant_indexer.ledger import Ledger
from semblant_indexer.sources import Item
from semblant_search.cli import semblant
from semblant_search.errors import StoreError
from semblant_search.sources import SourceRecord
from support.ledgers import indexed
from support.small_stores import FOLDER, manifest

if TYPE_CHECKING:
    from pathlib import Path

Call = Callable[..., str]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """What a command about the database prints; it must end with 0, or with `code`."""

    def run(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(semblant, [*words, "--db", str(tmp_path / "disk" / "db")])
        assert result.exit_code == code, result.output
        return result.output

    return run


@pytest.fixture
def ledger(pictures: Path, encoder_file: Path, tmp_path: Path, call: Call) -> Path:
    """Of thirty pictures, and two files that are none."""
    (tmp_path / "disk").mkdir()
    for name in ("a", "b"):
        (pictures / f"{name}.png").write_text("no picture")
    assert "30 indexed" in index(call, pictures, "--encoder", str(encoder_file))
    return tmp_path / "disk" / "db" / "images" / "ledger.sqlite"


def index(call: Call, pictures: Path, *words: str, code: int = 3) -> str:
    return call("index", str(pictures), "--no-orb", "--quiet", "--workers", "1", "--threads", "1", *words, code=code)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Makes the database's disk one that cannot be written."""
    disk = str(tmp_path / "disk")

    def remount() -> None:
        for options in (["--bind", disk, disk], ["-o", "remount,bind,ro", disk]):
            if subprocess.run(["mount", *options], capture_output=True, check=False).returncode != 0:
                pytest.skip("nothing can be mounted here")

    yield remount
    subprocess.run(["umount", disk], capture_output=True, check=False)


@pytest.mark.parametrize("killed", [False, True], ids=["", "killed"])
def test_where_nothing_can_be_written_failures_are_listed_and_a_job_is_previewed(
    pictures: Path, ledger: Path, read_only: Callable[[], None], call: Call, killed: bool
) -> None:
    if killed:  # what the last job wrote is in the log beside the file
        write = "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        write += "c.execute(\"UPDATE items SET message = 'changed' WHERE outcome = 'failed'\"); os.kill(os.getpid(), 9)"
        assert subprocess.run([sys.executable, "-c", write, ledger], check=False).returncode == -signal.SIGKILL
        assert ledger.with_name("ledger.sqlite-wal").exists()
        ledger.with_name("ledger.sqlite-shm").unlink()
    before = [path.name for path in ledger.parent.iterdir()]
    read_only()
    told = call("failures", "list")
    assert [line.split("\t")[0] for line in told.splitlines()] == ["not-an-image"] * 2
    assert told.count("changed") == 2 * killed
    assert call("status").count("not-an-image") == 3
    assert "30 unchanged + 2 failed" in index(call, pictures, "--dry-run", code=0)
    for what in ("accept", "reopen"):
        told = call("failures", what, "--all", code=1)
        assert f"ledger {str(ledger)!r} cannot be written: its disk is read-only" in told
        assert "index" not in told.replace("disk/db/images", "")
    assert [path.name for path in ledger.parent.iterdir()] == before


def garbage(ledger: Path) -> None:
    ledger.write_bytes(b"no database at all " * 1000)


def truncated(ledger: Path) -> None:
    with ledger.open("r+b") as file:
        file.truncate(ledger.stat().st_size // 2)


def empty(ledger: Path) -> None:
    ledger.write_bytes(b"")


def foreign(ledger: Path) -> None:
    ledger.unlink()
    with closing(sqlite3.connect(ledger)) as connection:
        connection.executescript("CREATE TABLE items (name TEXT); CREATE TABLE songs (title TEXT)")


def newer(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as connection:
        connection.executescript("PRAGMA user_version = 9; ALTER TABLE items RENAME COLUMN outcome TO verdict")


def broken(ledger: Path) -> None:
    """Sound but for one page."""
    with closing(sqlite3.connect(ledger)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'items'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with ledger.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


@pytest.mark.parametrize("damage", [garbage, truncated, empty, foreign, newer, broken])
def test_a_ledger_that_is_of_no_use_is_told_in_one_line_and_indexing_again_makes_a_new_one(
    pictures: Path, ledger: Path, call: Call, damage: Callable[[Path], None]
) -> None:
    shutil.rmtree(pictures / "coat")
    call("failures", "accept", (pictures / "a.png").as_uri())
    damage(ledger)
    for words in (("status",), ("failures",), ("failures", "accept", "--all"), ("retry",)):
        lines = call(*words, code=1).splitlines()
        assert len(lines) == 1
        assert str(ledger) in lines[0]
        assert re.search(
            r"is damaged \(.*\); index again: |is of a newer Semblant .*: use that one, or index again: ", lines[0]
        )
        for other in ("delete", "writable", "--state", "room"):
            assert other not in lines[0]
    told = index(call, pictures, "--dry-run", code=0)
    assert "index again" in told
    told = index(call, pictures)
    if damage is not empty:
        assert "is 'ledger.sqlite.damaged' now" in told.replace(f"{ledger.parent}/", "")
    assert "found 22 = 0 indexed + 20 unchanged + 0 duplicate + 1 failed + 1 accepted + 0 skipped" in told
    assert "10 indexed pictures are gone" in told
    assert call("status").count("not-an-image") == 2
    assert len(call("failures").splitlines()) == 2
    assert index(call, pictures, "--prune", "--prune-limit", "50").count("Note") == 0


def test_a_ledger_that_shows_its_damage_in_the_middle_of_a_run_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    items = [Item(f"{FOLDER}{number:05}.png", 10, 20, {}) for number in range(5000)]

    def opened() -> Ledger:
        ledger = Ledger()
        ledger.scan(items)
        assert ledger.attach(path, manifest(), SourceRecord("id1", "pictures", FOLDER)) is None
        return ledger

    with closing(opened()) as ledger:
        indexed(ledger)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * (path.stat().st_size // 4))
    with closing(opened()) as ledger, pytest.raises(StoreError, match="and is put aside; run the same command again"):
        list(ledger.todo())
    assert [name.name for name in tmp_path.iterdir()] == ["ledger.sqlite.damaged"]
    with closing(opened()) as ledger:
        assert (ledger.count_todo(), ledger.points()) == (5000, 0)
