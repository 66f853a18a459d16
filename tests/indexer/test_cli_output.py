"""What the commands of the indexer print, and how they end."""

from __future__ import annotations

import json
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from semblant_search.cli import semblant

if TYPE_CHECKING:
    from pathlib import Path

FAILURES = 3


@pytest.fixture(scope="module")
def indexed(fashion_small: Path, encoder_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `pictures`, three of which are none, and `db` with two generations, the second of which serves."""
    root = tmp_path_factory.mktemp("printed")
    (root / "pictures").mkdir()
    for number, path in enumerate(sorted((fashion_small / "train" / "bag").iterdir())[:12]):
        (root / "pictures" / f"{number:02}.png").write_bytes(path.read_bytes())
    for number in range(FAILURES):
        (root / "pictures" / f"bad-{number}.png").write_text(f"no picture {number}")
    job = ["--encoder", encoder_file, "--db", root / "db", "--workers", 1, "--threads", 1, "--no-orb", "--quiet"]
    assert run("index", root / "pictures", *job).exit_code == 3
    assert run("index", root / "pictures", *job, "--rebuild").exit_code == 3
    return root


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(semblant, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_status_has_a_line_for_each_generation_and_each_failure(indexed: Path) -> None:
    lines = [line.split("\t") for line in run("status", "--db", indexed / "db").stdout.splitlines()]
    assert [(line[0], *line[2:]) for line in lines[:2]] == [
        ("g0001", "12", "3 failed, 12 indexed", "3 not-an-image"),
        ("g0002", "12", "3 failed, 12 indexed", "3 not-an-image"),
    ]
    assert [line[0] for line in lines[2:]] == ["not-an-image"] * FAILURES
    assert [f"bad-{number}.png" in line[1] for number, line in enumerate(lines[2:])] == [True] * FAILURES


@pytest.mark.parametrize("count", [0, 2])
def test_status_lists_as_many_failures_as_asked_for(indexed: Path, count: int) -> None:
    assert len(run("status", "--db", indexed / "db", "--failures", count).stdout.splitlines()) == 2 + count
    document = json.loads(run("status", "--db", indexed / "db", "--failures", count, "--json").stdout)
    assert set(document) == {"collection", "generations", "failures", "last_run"}
    assert len(document["failures"]) == count
    assert document["last_run"]["source"] == str(indexed / "pictures")


def test_status_says_that_a_run_did_not_finish(indexed: Path, tmp_path: Path) -> None:
    assert "did not finish" not in run("status", "--db", indexed / "db").stderr
    db = shutil.copytree(indexed / "db", tmp_path / "db")
    with sqlite3.connect(db / "images" / "ledger.sqlite") as ledger:
        (started,) = ledger.execute("SELECT started_at FROM runs ORDER BY number DESC LIMIT 1").fetchone()
        ledger.execute("UPDATE runs SET report = NULL WHERE number = (SELECT max(number) FROM runs)")
    ledger.close()
    assert run("status", "--db", db).stderr == f"The run of {started} did not finish, or is still running.\n"


def test_generations_have_a_line_each_that_names_the_serving_one(indexed: Path) -> None:
    lines = [line.split("\t") for line in run("generations", "--db", indexed / "db").stdout.splitlines()]
    assert [(name, serving, encoder, points) for name, serving, _, encoder, points in lines] == [
        ("g0001", "", "pixels", "12"),
        ("g0002", "serving", "pixels", "12"),
    ]
    rows = json.loads(run("generations", "--db", indexed / "db", "--json").stdout)
    assert [set(row) for row in rows] == [{"name", "serving", "created_at", "encoder", "encoder_fingerprint", "points"}] * 2


def test_a_missing_encoder_leaves_no_database_behind(indexed: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "00.png").write_bytes((indexed / "pictures" / "00.png").read_bytes())
    small = ["--db", tmp_path / "db", "--encoder", indexed / "encoder.onnx", "--no-orb", "--workers", 1]
    assert run("index", tmp_path / "pictures", *small).exit_code == 1
    assert not (tmp_path / "db").exists()


def test_progress_is_told_unless_quiet(indexed: Path) -> None:
    job = ["index", indexed / "pictures", "--db", indexed / "db", "--workers", 1]
    told = run(*job).stderr
    quiet = run(*job, "--quiet").stderr
    assert "Looking at what is there" in told
    assert "Looking at what is there" not in quiet
    for text in (told, quiet):
        rows = [line.split() for line in text.splitlines()]
        for name, count in (("found", "15"), ("indexed", "0"), ("unchanged", "12"), ("duplicate", "0"), ("failed", "3")):
            assert [name, count] in rows
        assert ["in", "the", "collection", "12"] in rows
        assert text.count("not-an-image") == FAILURES


def test_a_log_of_json_lines_takes_the_place_of_the_table(indexed: Path) -> None:
    result = run("index", indexed / "pictures", "--db", indexed / "db", "--workers", 1, "--json-log")
    assert result.exit_code == 3
    assert result.stdout == "found 15 = 0 indexed + 12 unchanged + 0 duplicate + 3 failed + 0 skipped\n"
    events = [json.loads(line) for line in result.stderr.splitlines()]
    assert [event["event"] for event in events if event["event"] != "progress"] == ["failure"] * FAILURES + ["report"]
    assert {"phase", "total", "done", "failed", "pictures_per_s", "busy"} <= set(events[0])


def test_a_report_needs_its_folder_before_anything_is_done(indexed: Path, tmp_path: Path) -> None:
    report = tmp_path / "no" / "report.json"
    result = run("index", indexed / "pictures", "--db", tmp_path / "db", "--encoder", "x.onnx", "--report", report)
    assert (result.exit_code, "there is no such folder" in result.stderr) == (2, True)
    assert not (tmp_path / "db").exists()


def test_a_report_that_cannot_be_written_says_that_all_is_indexed(indexed: Path, tmp_path: Path) -> None:
    result = run("index", indexed / "pictures", "--db", indexed / "db", "--quiet", "--report", tmp_path)
    assert result.exit_code == 1
    assert "everything is indexed" in result.stderr


def test_metrics_are_served_where_asked(indexed: Path, encoder_file: Path) -> None:
    result = run("index", indexed / "pictures", "--db", indexed / "db", "--quiet", "--metrics-port", 99_999)
    assert (result.exit_code, "metrics port 99999" in result.stderr) == (2, True)
    for options in (["--db", indexed / "db"], ["--export", indexed / "files", "--encoder", encoder_file]):
        result = run("index", indexed / "pictures", *options, "--quiet", "--metrics-port", 0, "--metrics-host", "192.0.2.1")
        assert (result.exit_code, "metrics port 0 of '192.0.2.1'" in result.stderr) == (2, True)
    result = run("index", indexed / "pictures", "--db", indexed / "db", "--metrics-host", "0.0.0.0")
    assert (result.exit_code, "no metrics without --metrics-port" in result.stderr) == (2, True)


def test_words_are_learned_again_and_the_second_time_nothing_changes(
    fashion_small: Path, encoder_file: Path, tmp_path: Path
) -> None:
    source, db = fashion_small / "test" / "bag", tmp_path / "db"
    job = ["--encoder", encoder_file, "--db", db, "--workers", 1, "--threads", 1, "--quiet"]
    assert run("index", source, *job).exit_code == 0
    same = run("vocabulary", "--db", db, "--quiet")
    assert (same.exit_code, same.stderr) == (0, "")
    assert same.stdout == "images: g0001 has these words already; nothing changed\n"
    document = json.loads(run("vocabulary", "--db", db, "--quiet", "--json").stdout)
    assert {"collection", "before", "generation", "points", "pictures", "descriptors", "words", "fingerprint", "seconds"} < set(
        document
    )
    assert (document["changed"], document["points"], document["generation"]) == (False, 20, "g0001")
