"""The indexer's commands as a user types them: what is printed, how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sysconfig
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from semblant_exporter.pixels import pixel_encoder
from semblant_search import Fit
from semblant_search.cli import semblant

SEMBLANT = Path(sysconfig.get_path("scripts")) / "semblant"


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(semblant, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def small(encoder_file: Path, tmp_path: Path) -> list[object]:
    """Options for a quick job into `tmp_path / "db"`."""
    return ["--encoder", encoder_file, "--db", tmp_path / "db", "--no-orb", "--workers", 1, "--threads", 1, "--quiet"]


def test_the_account_is_the_only_line_on_stdout_and_bad_pictures_end_in_three(pictures: Path, small: list[object]) -> None:
    good = run("index", pictures, *small)
    assert good.exit_code == 0
    assert good.stdout == "found 30 = 30 indexed + 0 unchanged + 0 duplicate + 0 failed + 0 skipped\n"
    (pictures / "bad\nname.png").write_text("x")
    bad = run("index", pictures, *small)
    assert bad.exit_code == 3
    assert bad.stdout == "found 31 = 0 indexed + 30 unchanged + 0 duplicate + 1 failed + 0 skipped\n"
    assert "not-an-image" in bad.stderr
    assert "bad\\nname.png" in bad.stderr


def test_json_is_one_document_and_the_report_is_written_where_asked(
    pictures: Path, small: list[object], tmp_path: Path
) -> None:
    result = run("index", pictures, *small, "--json", "--report", tmp_path / "report.json")
    document = json.loads(result.stdout)
    assert (document["found"], document["indexed"], document["points"]) == (30, 30, 30)
    assert json.loads((tmp_path / "report.json").read_text()) == document
    assert json.loads((tmp_path / "db" / "images" / "report.json").read_text()) == document


def test_failures_are_listed_by_status_and_taken_again_by_retry(pictures: Path, small: list[object], tmp_path: Path) -> None:
    bad = pictures / "bad.png"
    bad.write_text("x")
    run("index", pictures, *small)
    (failure,) = [json.loads(line) for line in (tmp_path / "db" / "images" / "failures.jsonl").read_text().splitlines()]
    assert (failure["reason"], failure["uri"].rsplit("/")[-1]) == ("not-an-image", "bad.png")
    shown = json.loads(run("status", "--db", tmp_path / "db", "--json").stdout)
    assert shown["generations"][0]["outcomes"] == {"failed": 1, "indexed": 30}
    assert shown["failures"] == [failure]
    assert "not-an-image" in run("status", "--db", tmp_path / "db").stdout
    # The same bytes in number, at the same time: only a retry looks again.
    facts = bad.stat()
    bad.write_text("y")
    os.utime(bad, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    again = run("retry", "--db", tmp_path / "db", "--quiet", "--json")
    assert again.exit_code == 3
    assert json.loads(again.stdout)["unchanged"] == 30
    bad.unlink()
    assert run("retry", "--db", tmp_path / "db", "--quiet").exit_code == 0


def test_generations_are_listed_rolled_back_and_pruned(pictures: Path, small: list[object], tmp_path: Path) -> None:
    db = tmp_path / "db"
    run("index", pictures, *small)
    coarse = tmp_path / "coarse.onnx"
    coarse.write_bytes(pixel_encoder(Fit(14, 14, 1), name="coarse"))
    refused = run("index", pictures, *small, "--encoder", coarse)
    assert refused.exit_code == 1
    assert "--rebuild" in refused.stderr
    run("index", pictures, *small, "--encoder", coarse, "--rebuild")

    def listed() -> list[tuple[str, bool, str]]:
        rows = json.loads(run("generations", "--db", db, "--json").stdout)
        return [(row["name"], row["serving"], row["encoder"]) for row in rows]

    assert listed() == [("g0001", False, "pixels"), ("g0002", True, "coarse")]
    back = run("rollback", "--db", db)
    assert back.stdout == "images: g0001 serves, before it was g0002\n"
    assert listed() == [("g0001", True, "pixels"), ("g0002", False, "coarse")]
    assert run("rollback", "--db", db).exit_code == 1
    assert run("rollback", "--db", db, "--to", "g0002").exit_code == 0
    run("index", pictures, *small, "--encoder", coarse, "--rebuild")
    assert listed() == [("g0002", False, "coarse"), ("g0003", True, "coarse")]


def test_without_an_encoder_the_collections_own_is_taken(pictures: Path, small: list[object], tmp_path: Path) -> None:
    others = small[2:]
    nothing = run("index", pictures, *others)
    assert nothing.exit_code == 1
    assert not (tmp_path / "db").exists()
    run("index", pictures, *small)
    assert run("index", pictures, *others).stdout.startswith("found 30 = 0 indexed + 30 unchanged")


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGTERM])
def test_stopping_takes_less_than_two_seconds_and_loses_nothing(
    fashion_mnist: Path, encoder_file: Path, tmp_path: Path, kill: signal.Signals
) -> None:
    source = fashion_mnist / "test"
    command = [SEMBLANT, "index", source, "--encoder", encoder_file, "--db", tmp_path / "db", "--workers", "1", "--batch", "64"]
    process = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True)
    ledger = tmp_path / "db" / "images" / "ledger.sqlite"
    deadline = time.monotonic() + 60
    while not ledger.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    begin = time.monotonic()
    process.send_signal(kill)
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - begin < 2
    assert process.returncode == 130
    assert "the same command goes on from there" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["index", "nowhere"], 2, "no such folder or list"),
        (["index", ".", "--field", "price"], 2, "expected NAME:TYPE"),
        (["index", ".", "--workers", "0"], 2, "workers 0"),
        (["index", ".", "--duplicates", "eat"], 2, "'eat' is not one of"),
        (["status"], 1, "no ledger"),
        (["retry"], 1, "no ledger"),
        (["generations"], 1, "does not exist"),
        (["rollback"], 1, "does not exist"),
    ],
)
def test_what_cannot_work_is_said_without_a_traceback(
    tmp_path: Path, encoder_file: Path, arguments: list[str], code: int, message: str
) -> None:
    encoder = ["--encoder", encoder_file] if arguments[0] == "index" else []
    result = run(*arguments, *encoder, "--db", tmp_path / "db")
    assert result.exit_code == code
    assert message in result.stderr


def test_a_server_that_is_down_is_said(pictures: Path, small: list[object]) -> None:
    result = run("index", pictures, *small, "--db", "http://localhost:1")
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
