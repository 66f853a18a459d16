"""Failures that somebody accepted are counted apart, until their files change."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from semblant_indexer import IndexJob, IndexReport, run
from semblant_indexer.status import failed_jobs, read_status
from semblant_search import SearchClient
from semblant_search.cli import semblant
from semblant_search.store import open_database
from support.servers import server

if TYPE_CHECKING:
    from pathlib import Path

Index = Callable[..., IndexReport]


@pytest.fixture
def failed(pictures: Path, index: Index) -> tuple[Path, list[Path]]:
    """Thirty pictures, an empty file and two that are none."""
    bad = [pictures / "bag" / "empty.png", pictures / "coat" / "a.png", pictures / "coat" / "b.png"]
    for number, path in enumerate(bad):
        path.write_text("x" * number)
    assert index(pictures).failed == 3
    return pictures, bad


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., str]:
    """What a command prints; it must end with 0, or with `code`."""

    def run(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(semblant, ["failures", *words, "--db", str(tmp_path / "db")])
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_accepted_failures_are_counted_apart_until_their_files_change(
    failed: tuple[Path, list[Path]], call: Callable[..., str], index: Index, tmp_path: Path
) -> None:
    pictures, bad = failed
    assert call("accept", "--reason", "not-an-image") == "accepted 2 failures, until the file changes\n"
    assert call("accept", "--reason", "not-an-image") == "accepted 0 failures, until the file changes\n"
    report = index(pictures)
    assert report.account == "found 33 = 0 indexed + 30 unchanged + 0 duplicate + 1 failed + 2 accepted + 0 skipped"
    assert (report.adds_up, report.exit_code, report.reasons) == (True, 3, {"empty": 1})
    assert [failure.uri for failure in report.failures] == [bad[0].as_uri()]
    status = read_status(str(tmp_path / "db"), "images")
    assert (status.generations[0].outcomes["accepted"], status.generations[0].outcomes["failed"]) == (2, 1)
    assert [failure["uri"] for failure in status.failures] == [bad[0].as_uri()]
    call("accept", bad[0].as_uri())
    report = index(pictures, retry=True)  # looked at again, and as bad as they were
    assert (report.failed, report.accepted, report.exit_code, report.failures) == (0, 3, 0, ())
    assert failed_jobs(str(tmp_path / "db"), "images").unknown == {}
    bad[1].write_text("something else")
    report = index(pictures)
    assert (report.failed, report.accepted, report.exit_code) == (1, 2, 3)
    bad[1].write_bytes((pictures / "bag" / sorted(path.name for path in (pictures / "bag").iterdir())[0]).read_bytes())
    report = index(pictures)
    assert (report.failed, report.accepted, report.exit_code) == (0, 2, 0)
    assert (index(pictures, rebuild=True).accepted, call("reopen", "--all")) == (2, "counted again: 2 failures\n")
    assert index(pictures).failed == 2


def test_failures_are_listed_with_what_was_accepted(failed: tuple[Path, list[Path]], call: Callable[..., str]) -> None:
    _, bad = failed
    call("accept", bad[1].as_uri(), "--source", "pictures")
    told: list[dict[str, Any]] = json.loads(call("list", "--json"))
    assert [(one["uri"], one["reason"], one["accepted"], one["source"]) for one in told] == [
        (path.as_uri(), reason, accepted, "pictures")
        for path, reason, accepted in zip(bad, ("empty", "not-an-image", "not-an-image"), (False, True, False), strict=True)
    ]
    lines = [line.split("\t")[:3] for line in call().splitlines()]
    assert lines[:2] == [["empty", "", bad[0].as_uri()], ["not-an-image", "accepted", bad[1].as_uri()]]


def test_what_cannot_be_accepted_is_said(failed: tuple[Path, list[Path]], call: Callable[..., str], tmp_path: Path) -> None:
    assert "name the failures" in call("accept", code=2)
    assert "one or the other" in call("accept", "--all", "--reason", "empty", code=2)
    assert "there is no failure of it" in call("accept", "file:///nothing.png", "--reason", "empty", code=2)
    assert "knows no such source" in call("accept", "--source", "others", code=2)
    assert "no ledger at" in call("accept", "--all", "--state", str(tmp_path / "nowhere"), code=1)


def test_a_ledger_from_before_there_were_accepted_failures_is_read(
    failed: tuple[Path, list[Path]], call: Callable[..., str], tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "db" / "images" / "ledger.sqlite")) as connection:
        connection.execute("DROP TABLE accepted")
    assert len(read_status(str(tmp_path / "db"), "images").failures) == 3
    assert call("accept", "--all").startswith("accepted 3 failure")


def accepted(report: IndexReport) -> tuple[int, int]:
    return report.failed, report.accepted


def test_what_was_accepted_outlives_the_ledger_and_is_known_to_other_machines(
    failed: tuple[Path, list[Path]], call: Callable[..., str], index: Index, tmp_path: Path
) -> None:
    pictures, bad = failed
    call("accept", "--reason", "not-an-image")
    before = dataclasses.replace(index(pictures), seconds=0, stages={})
    for path in (tmp_path / "db" / "images").glob("ledger.*"):
        path.unlink()
    assert dataclasses.replace(index(pictures), seconds=0, stages={}) == before
    there = tmp_path / "there"
    assert accepted(index(pictures, state=there)) == (1, 2)
    assert accepted(index(pictures, state=tmp_path / "third", rebuild=True)) == (1, 2)
    assert call("reopen", str(bad[1]), "--state", str(there)) == "counted again: 1 failure\n"
    assert accepted(index(pictures)) == (2, 1)
    lines = [line.split("\t")[1:3] for line in call().splitlines()]
    assert [uri for kept, uri in lines if kept] == [bad[2].as_uri()]
    call("reopen", "--all")
    assert accepted(index(pictures, state=there)) == (3, 0)


def test_what_an_older_ledger_alone_says_is_accepted_is_kept_in_the_collection(
    failed: tuple[Path, list[Path]], call: Callable[..., str], index: Index, tmp_path: Path
) -> None:
    call("accept", "--all")
    for path in (tmp_path / "db").rglob("accepted-*.json"):
        path.unlink()
    assert accepted(index(failed[0])) == (0, 3)
    assert accepted(index(failed[0], state=tmp_path / "there")) == (0, 3)


def test_failures_are_accepted_while_a_service_has_the_collection_open(
    failed: tuple[Path, list[Path]], call: Callable[..., str], index: Index, tmp_path: Path
) -> None:
    with closing(open_database(tmp_path / "db")) as database, closing(database.open("images")):
        call("accept", "--reason", "not-an-image")
    assert accepted(index(failed[0], state=tmp_path / "there")) == (1, 2)


def test_what_was_accepted_moves_and_goes_with_its_source(
    failed: tuple[Path, list[Path]], call: Callable[..., str], index: Index, tmp_path: Path
) -> None:
    call("accept", "--all")
    moved = failed[0].rename(tmp_path / "moved")
    with SearchClient(tmp_path / "db") as client:
        client.relocate_source("pictures", moved)
    assert accepted(index(moved)) == (0, 3)
    assert accepted(index(moved, state=tmp_path / "there")) == (0, 3)
    with SearchClient(tmp_path / "db") as client:
        client.remove_source("pictures")
    assert list((tmp_path / "db").rglob("accepted-*.json")) == []
    assert accepted(index(moved)) == (3, 0)


def test_what_was_accepted_on_a_server_is_known_to_other_machines(pictures: Path, encoder_file: Path, tmp_path: Path) -> None:
    (pictures / "bad.png").write_text("no picture")
    with server() as url:

        def index(machine: str) -> IndexReport:
            state = tmp_path / machine
            return run(IndexJob(str(pictures), encoder_file, url, state=state, orb=None, workers=1, threads=1))

        assert accepted(index("one")) == (1, 0)
        words = ["failures", "accept", "bad.png", "--db", url, "--state", str(tmp_path / "one")]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(pictures)
            done = CliRunner().invoke(semblant, words)
        assert done.output == "accepted 1 failure, until the file changes\n"
        assert accepted(index("two")) == (0, 1)


def test_a_record_of_accepted_failures_that_is_damaged_stops_nothing(
    failed: tuple[Path, list[Path]], call: Callable[..., str], index: Index, tmp_path: Path
) -> None:
    call("accept", "--all")
    (record,) = (tmp_path / "db").rglob("accepted-*.json")
    for damage in (b"", b'{"files": {"a": "b"}}', b"\xff\xff"):
        record.write_bytes(damage)
        assert accepted(index(failed[0])) == (0, 3)  # as this ledger says
        assert accepted(index(failed[0], state=tmp_path / "there")) == (0, 3)


@pytest.mark.parametrize("way", ["uri", "localhost", "path", "relative", "dotted", "link", "listed", "printed"])
def test_a_failure_is_accepted_by_any_of_its_names(
    failed: tuple[Path, list[Path]], call: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    pictures, bad = failed
    monkeypatch.chdir(pictures / "coat")
    (tmp_path / "link").symlink_to(pictures)
    line = next(line for line in call("list").splitlines() if "a.png" in line)
    name = {
        "uri": bad[1].as_uri(),
        "localhost": bad[1].as_uri().replace("file://", "file://localhost"),
        "path": str(bad[1]),
        "relative": "a.png",
        "dotted": "../bag/../coat/./a.png",
        "link": str(tmp_path / "link" / "coat" / "a.png"),
        "listed": line.split("\t")[2],
        "printed": line.split("\t")[3].split("'")[1],
    }[way]
    assert call("accept", name).startswith("accepted 1 failure")
    assert call("accept", name).startswith("accepted 0 failure")
    assert call("reopen", name).startswith("counted again: 1 failure")


def test_names_with_odd_letters_and_parts_of_archives_are_accepted_as_they_are_printed(
    pictures: Path, call: Callable[..., str], index: Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    odd = pictures / "ä b#1%20?.png"
    odd.write_text("no picture")
    assert index(pictures).failed == 1
    (tmp_path / "bad.png").write_text("no picture")
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        tar.add(tmp_path / "bad.png", "x/bad.png")
        tar.add(next((pictures / "bag").iterdir()), "x/good.png")
    assert index(tmp_path / "shard.tar").failed == 1
    monkeypatch.chdir(tmp_path)
    for line in call("list").splitlines():
        _, _, uri, message = line.split("\t")
        for name in (uri, message.split("'")[1]):
            assert call("accept", name).startswith("accepted 1 failure"), name
            call("reopen", "--all")
    assert call("accept", "pictures/ä b#1%20?.png").startswith("accepted 1 failure")
    assert call("accept", "shard.tar#x/bad.png").startswith("accepted 1 failure")


def test_a_source_is_named_as_it_is_listed_or_by_its_path(
    failed: tuple[Path, list[Path]], call: Callable[..., str], tmp_path: Path
) -> None:
    pictures, _ = failed
    for source in ("pictures", str(pictures), pictures.as_uri(), f"{pictures.as_uri()}/", f"{pictures}/"):
        assert call("accept", "--source", source).startswith("accepted 3 failure"), source
        call("reopen", "--source", source)
    assert "there: 'pictures'" in call("accept", "--source", "picture", code=2)


def test_what_is_advised_where_a_source_is_gone_or_moved_or_removed_works(
    failed: tuple[Path, list[Path]], index: Index, tmp_path: Path
) -> None:
    pictures, _ = failed

    def semblant_(*words: str, code: int) -> str:
        result = CliRunner().invoke(semblant, [*words, "--db", str(tmp_path / "db")])
        assert result.exit_code == code, result.output
        return result.output

    index(pictures / "sneaker")
    away = pictures.rename(tmp_path / "away")
    told = semblant_("retry", code=3)
    assert told.startswith("kept 3 failures of source 'pictures', for it is not there: bring it back, say where it is now")
    assert "(semblant sources relocate pictures NEW)" in told
    assert "(semblant sources remove pictures)" in told
    semblant_("sources", "relocate", "pictures", str(away), code=0)
    assert "30 unchanged + 0 duplicate + 3 failed" in semblant_("retry", "--quiet", code=3)  # of the folder where it is now
    assert semblant_("failures", code=0).count(f"{away.as_uri()}/") == 3
    away.rename(tmp_path / "elsewhere")
    assert "(semblant sources remove pictures)" in semblant_("retry", code=3)
    semblant_("sources", "remove", "pictures", "--yes", code=0)
    assert semblant_("failures", code=0) == ""
    status = semblant_("status", code=0)
    assert "10 indexed" in status
    assert "failed" not in status
    assert "there is no failure" in semblant_("failures", "accept", str(away / "coat" / "a.png"), code=2)
    semblant_("sources", "remove", "sneaker", "--yes", code=0)
    assert semblant_("retry", code=0) == "nothing failed\n"  # and what was removed does not come back
    other = tmp_path / "elsewhere" / "coat"
    index(other)
    with closing(sqlite3.connect(tmp_path / "db" / "images" / "ledger.sqlite")) as connection:
        assert connection.execute("SELECT DISTINCT name FROM sources").fetchall() == [("coat",)]
        assert connection.execute("SELECT count(*) FROM items").fetchone() == (12,)


@pytest.mark.parametrize("words", [("status",), ("failures",), ("failures", "accept", "--all"), ("retry",)])
def test_what_is_not_there_is_named(
    failed: tuple[Path, list[Path]], index: Index, tmp_path: Path, words: tuple[str, ...]
) -> None:
    def told(*options: str) -> str:
        result = CliRunner().invoke(semblant, [*words, *options])
        assert result.exit_code == 1, result.output
        return result.output

    db = str(tmp_path / "db")
    assert "does not exist; make it with: semblant index" in told("--db", str(tmp_path / "nothing"))
    assert "has no collection 'image'; there: 'images'" in told("--db", db, "--collection", "image")
    (tmp_path / "db" / "images" / "ledger.sqlite").unlink()
    assert "index again, which makes it" in told("--db", db)
    index(failed[0])
    assert CliRunner().invoke(semblant, [*words, "--db", db]).exit_code == (3 if words == ("retry",) else 0)
