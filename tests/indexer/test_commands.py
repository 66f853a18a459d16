"""The indexer's commands as a user types them: what is printed, how they end."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sysconfig
import threading
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from semblant_indexer import IndexJob, IndexReport, Progress
from semblant_indexer.observers import Metrics
from semblant_indexer.watching import watch
from semblant_search.cli import semblant
from semblant_search.errors import InvalidInput
from support.encoders import encoder_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

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
    shown = json.loads(run("status", "--db", tmp_path / "db", "--json").stdout)
    assert (shown["generations"][0]["outcomes"], shown["failures"]) == ({"indexed": 30}, [])


def test_a_retry_is_of_all_sources_that_have_failures(pictures: Path, small: list[object], tmp_path: Path) -> None:
    db, report = ["--db", tmp_path / "db", "--quiet"], tmp_path / "report.json"
    sources = [pictures / name for name in ("bag", "coat", "sneaker")]
    for source in sources[:2]:
        (source / "bad.png").write_text("x")
    for source in sources:
        run("index", source, *small)
    good = sorted(sources[2].iterdir())[0].read_bytes()
    facts = (sources[0] / "bad.png").stat()
    (sources[0] / "bad.png").write_bytes(good)
    os.utime(sources[0] / "bad.png", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    again = run("retry", *db, "--report", report)
    assert again.exit_code == 3  # the coat's is as bad as before
    assert [line.partition(" = ")[0] for line in again.stdout.splitlines()] == ["found 11", "found 11"]
    assert [json.loads(text)["points"] for text in report.read_text().replace("\n}\n", "\n}\0").split("\0")[:-1]] == [31, 31]
    shutil.copytree(sources[0], tmp_path / "other")
    (tmp_path / "other" / "bad.png").write_text("z")
    assert run("index", tmp_path / "other", *small).exit_code == 3
    shutil.rmtree(sources[1])
    gone = run("retry", *db)
    assert gone.exit_code == 3  # what could be tried failed again
    assert "kept 1 failure of source 'coat', for it is not there" in gone.stderr
    assert "semblant sources relocate coat NEW" in gone.stderr
    assert [line.partition(" = ")[0] for line in gone.stdout.splitlines()] == ["found 11"]
    with closing(sqlite3.connect(tmp_path / "db" / "images" / "ledger.sqlite")) as ledger:
        ledger.execute("DELETE FROM runs WHERE job LIKE '%coat%'")
        ledger.commit()
    unknown = run("retry", *db)
    assert unknown.exit_code == 3
    assert "kept 1 failure of file://" in unknown.stderr
    assert "its job is not known any more" in unknown.stderr


def test_generations_are_listed_rolled_back_and_pruned(pictures: Path, small: list[object], tmp_path: Path) -> None:
    db = tmp_path / "db"
    run("index", pictures, *small)
    coarse = tmp_path / "coarse.onnx"
    coarse.write_bytes(encoder_bytes("grey-14-coarse"))
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


def test_without_an_encoder_the_collections_own_is_taken(pictures: Path, small: list[object]) -> None:
    """Where there is no collection yet one is learned, which tests/contract/test_index_learns.py does."""
    run("index", pictures, *small)
    assert run("index", pictures, *small[2:]).stdout.startswith("found 30 = 0 indexed + 30 unchanged")


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGTERM])
def test_stopping_ends_a_run_halfway_and_loses_nothing(
    fashion_mnist: Path, encoder_file: Path, heed_interrupts: Callable[[], None], tmp_path: Path, kill: signal.Signals
) -> None:
    source = fashion_mnist / "train"
    command = [SEMBLANT, "index", source, "--encoder", encoder_file, "--db", tmp_path / "db", "--workers", "1", "--no-orb"]
    process = subprocess.Popen(
        [*map(str, command)], stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts, start_new_session=True
    )
    ledger = tmp_path / "db" / "images" / "ledger.sqlite"
    deadline = time.monotonic() + 60
    while not ledger.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    if kill == signal.SIGINT:
        os.killpg(process.pid, kill)  # as a terminal does it: the decoders hear it, too
    else:
        process.send_signal(kill)
    _, errors = process.communicate(timeout=60)
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
        (["status"], 1, "does not exist; make it with: "),
        (["retry"], 1, "does not exist; make it with: "),
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


def test_a_json_log_has_progress_failures_and_the_report(pictures: Path, small: list[object]) -> None:
    (pictures / "bad.png").write_text("x")
    result = run("index", pictures, *small, "--json-log")
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert next(line["phase"] for line in lines if line["event"] == "progress") == "scan"
    assert [line["reason"] for line in lines if line["event"] == "failure"] == ["not-an-image"]
    assert (lines[-1]["event"], lines[-1]["indexed"], lines[-1]["failed"]) == ("report", 30, 1)


def test_metrics_tell_where_a_run_is(pictures: Path, index: Callable[..., IndexReport]) -> None:
    metrics = Metrics(0)
    try:
        metrics(Progress("index", total=30, done=12, failed=1, seconds=2.0, busy={"decode": 0.5}))
        metrics.finish(index(pictures))
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy knows nothing of this machine's ports
        with direct.open(f"http://127.0.0.1:{metrics.port}/metrics") as answer:
            text = answer.read().decode()
    finally:
        metrics.close()
    assert 'semblant_index_phase{phase="index"} 1.0' in text
    assert "semblant_index_pictures_done 12.0" in text
    assert 'semblant_index_stage_busy{stage="decode"} 0.5' in text
    assert 'semblant_index_outcome{outcome="indexed"} 30.0' in text
    with pytest.raises(InvalidInput, match="metrics port"):
        Metrics(99_999)


def test_a_watched_folder_stays_indexed(pictures: Path, encoder_file: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    reports: list[IndexReport] = []
    phases: list[str] = []
    job = IndexJob(str(pictures), encoder_file, str(tmp_path / "db"), orb=None, workers=1, threads=1, prune=True, rebuild=True)
    errors: list[BaseException] = []

    def collect(report: IndexReport) -> None:
        reports.append(report)
        if len(reports) == 1:  # before the first run has quite ended: that must not be missed
            old = sorted(pictures.rglob("*.png"))[0]
            data = old.read_bytes()
            old.unlink()
            for number in range(3):
                (pictures / f"new-{number}.png").write_bytes(data)

    def target() -> None:
        try:
            watch(job, collect, lambda progress: phases.append(progress.phase), stop)
        except BaseException as error:
            errors.append(error)

    def until(count: int) -> None:
        deadline = time.monotonic() + 60
        while len(reports) < count and time.monotonic() < deadline:
            assert not errors
            time.sleep(0.05)

    thread = threading.Thread(target=target)
    thread.start()
    try:
        until(2)
        (pictures / "new-0.png").write_text("no picture any more")
        until(len(reports) + 1)
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    assert reports[0].points == 30
    assert reports[-1].points == 31
    assert reports[-1].failed == 1
    assert {report.generation for report in reports} == {"g0001"}  # only the first run builds anew
    assert (reports[0].encoded, sum(report.encoded for report in reports[1:])) == (30, 0)  # the new ones are the old one
    assert phases.count("done") == len(reports)
    with pytest.raises(InvalidInput, match="only a folder"):
        watch(dataclasses.replace(job, source=str(encoder_file)), reports.append)


def test_a_collection_can_be_quantized_and_its_recall_is_told(pictures: Path, small: list[object], tmp_path: Path) -> None:
    report = json.loads(run("index", pictures, *small, "--quantize", "scalar", "--on-disk", "--json").stdout)
    assert report["recall_at_10"] >= 0.95
    assert json.loads(run("index", pictures, *small, "--json").stdout)["unchanged"] == 30
    refused = run("index", pictures, *small, "--quantize", "binary")
    assert refused.exit_code == 2
    assert "--rebuild" in refused.stderr
    assert run("index", pictures, *small, "--quantize", "binary", "--rebuild").exit_code == 0
