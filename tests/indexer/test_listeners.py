"""Who listens to a run: the log, Prometheus, a terminal and its plain sister, and the table at the end."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import urllib.request
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from semblant_indexer import Failure, IndexReport, Progress
from semblant_indexer.display import ProgressDisplay, print_report
from semblant_indexer.observers import JsonLog, Metrics, tee
from semblant_search.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

REPORT = IndexReport(
    source="pictures",
    db="pictures.db",
    collection="images",
    generation="g0001",
    encoder="0" * 64,
    found=1234,
    indexed=1000,
    unchanged=200,
    duplicate=30,
    failed=3,
    skipped=1,
    encoded=900,
    moved=7,
    removed=0,
    pruned=0,
    points=1205,
    recall_at_10=0.9876,
    reasons={"empty": 2, "timeout": 1},
    failures=(Failure("file:///a.png", "empty", "a.png: [b] is\nempty"), Failure("file:///b.png", "timeout", "too slow")),
    notes=("a note",),
    seconds=12.34,
    stages={"index": 3.0},
)
INDEXING = Progress("index", total=30, done=12, failed=1, seconds=4.0, busy={"decode": 0.5, "encode": 0.25})


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    served = Metrics(0)
    yield served
    served.close()


def read(port: int) -> dict[str, float]:
    """The samples by name and labels."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy knows nothing of this machine's ports
    with direct.open(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    samples = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in samples if not name.endswith("_created")}


def test_metrics_follow_a_run(metrics: Metrics) -> None:
    metrics(Progress("scan"))
    assert read(metrics.port)['semblant_index_phase{phase="scan"}'] == 1
    metrics(INDEXING)
    assert read(metrics.port) == {
        'semblant_index_phase{phase="index"}': 1,
        "semblant_index_pictures_total": 30,
        "semblant_index_pictures_done": 12,
        "semblant_index_pictures_failed": 1,
        'semblant_index_stage_busy{stage="decode"}': 0.5,
        'semblant_index_stage_busy{stage="encode"}': 0.25,
        "semblant_index_runs_total": 0,
        "semblant_index_problems_total": 0,
        "semblant_index_points": 0,
    }
    metrics.finish(REPORT)
    metrics.finish(REPORT)
    told = read(metrics.port)
    assert (told["semblant_index_runs_total"], told["semblant_index_points"]) == (2, 1205)
    outcomes = {name: value for name, value in told.items() if name.startswith("semblant_index_outcome")}
    expected = {"indexed": 1000, "unchanged": 200, "duplicate": 30, "failed": 3, "accepted": 0, "skipped": 1}
    assert outcomes == {f'semblant_index_outcome{{outcome="{name}"}}': value for name, value in expected.items()}


def test_metrics_are_for_this_machine_unless_told_otherwise(metrics: Metrics) -> None:
    def addresses(port: int) -> set[str]:
        return {one.laddr.ip for one in psutil.Process().net_connections() if one.laddr.port == port and not one.raddr}

    assert addresses(metrics.port) == {"127.0.0.1"}
    with closing(Metrics(0, host="0.0.0.0")) as everywhere:
        assert addresses(everywhere.port) == {"0.0.0.0"}


def test_a_port_that_is_taken_or_none_is_said(metrics: Metrics) -> None:
    for port in (metrics.port, 65_536, -1):
        with pytest.raises(InvalidInput, match=f"metrics port {port} of '127.0.0.1': cannot be listened at"):
            Metrics(port)
    for host in ("192.0.2.1", "a" * 64, ""):  # none of this machine, none at all
        with pytest.raises(InvalidInput, match=f"metrics port 0 of '{host}': cannot be listened at"):
            Metrics(0, host)


def test_a_closed_port_is_free_again() -> None:
    first = Metrics(0)
    first.close()
    second = Metrics(first.port)
    second.close()


def test_several_listeners_hear_everything_in_their_order() -> None:
    heard: list[tuple[int, Progress]] = []
    both = tee(lambda progress: heard.append((1, progress)), lambda progress: heard.append((2, progress)))
    both(INDEXING)
    assert heard == [(1, INDEXING), (2, INDEXING)]


def events(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_log_has_a_line_for_each_phase_and_one_document_at_the_end() -> None:
    stream = io.StringIO()
    log = JsonLog(stream)
    log(Progress("scan"))
    log(INDEXING)
    log(dataclasses.replace(INDEXING, done=13))  # too soon after the last one
    log(Progress("done", 30, 30))
    log.finish(REPORT)
    scan, index, done, *failures, report = events(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", scan.pop("at"))
    assert scan == {
        "event": "progress",
        "phase": "scan",
        "total": 0,
        "done": 0,
        "failed": 0,
        "pictures_per_s": 0.0,
        "busy": {},
    }
    assert index | {"at": ""} == {
        "at": "",
        "event": "progress",
        "phase": "index",
        "total": 30,
        "done": 12,
        "failed": 1,
        "pictures_per_s": 3.0,
        "busy": {"decode": 0.5, "encode": 0.25},
    }
    assert (done["phase"], done["done"]) == ("done", 30)
    assert [(one["event"], one["uri"], one["reason"], one["message"]) for one in failures] == [
        ("failure", failure.uri, failure.reason, failure.message) for failure in REPORT.failures
    ]
    expected = {name: value for name, value in json.loads(json.dumps(REPORT.to_json())).items() if name != "failures"}
    assert report | {"at": ""} == {"at": "", "event": "report", **expected}


def test_long_phases_are_told_again_and_again(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    moment = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: moment)
    stream = io.StringIO()
    log, display = JsonLog(stream), ProgressDisplay()
    for moment in (1000.0, 1004.9, 1005.0, 1009.9, 1010.0, 1010.1):  # noqa: B007 - what the clock shows
        log(INDEXING)
        display(INDEXING)
    assert len(events(stream)) == 3
    details = "3/s, 1 failed, decode 50%, encode 25%"
    assert capsys.readouterr().err.splitlines() == [f"Indexing, {details}", f"12 of 30, {details}"]


def test_a_log_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    JsonLog()(INDEXING)
    out, err = capsys.readouterr()
    assert (out, json.loads(err)["done"]) == ("", 12)


def test_away_from_a_terminal_each_phase_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    phases = [Progress("scan"), Progress("vocabulary"), INDEXING, INDEXING, Progress("words", 30, 3), Progress("optimize")]
    with ProgressDisplay() as display:
        for progress in [*phases, Progress("calibrate"), Progress("other"), Progress("done", 30, 30)]:
            display(progress)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "Looking at what is there",
        "Learning visual words",
        "Indexing, 3/s, 1 failed, decode 50%, encode 25%",
        "Writing visual words",
        "Building the search graph",
        "Measuring how alike unlike pictures are",
        "other",
    ]
    with ProgressDisplay(quiet=True) as display:
        display(INDEXING)
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_there_is_a_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with ProgressDisplay() as display:
        display(INDEXING)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    assert "Indexing" in shown
    assert "12/30" in shown
    assert "3/s, 1 failed, decode 50%, encode 25%" in shown


def lines_of(report: IndexReport, capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_report(report)
    out, err = capsys.readouterr()
    assert out == ""
    return [" ".join(line.split()) for line in err.splitlines() if line.strip()]


def test_the_table_has_every_term_and_what_went_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(REPORT, capsys)
    assert lines[0] == "images in pictures.db"
    rows = [line for line in lines if re.search(r"\d", line)]
    assert rows[:10] == [
        "found 1,234",
        "indexed 1,000",
        "unchanged 200",
        "duplicate 30",
        "failed 3",
        "skipped 1",
        "moved 7",
        "in the collection 1,205",
        "recall@10 of searches 0.988",
        "seconds 12.3 (300 pictures/s)",
    ]
    assert lines[-3:] == ["empty a.png: [b] is\\x0aempty", "timeout too slow", "Note: a note"]


def test_what_does_not_apply_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    plain = dataclasses.replace(REPORT, recall_at_10=None, encoded=0, failures=(), notes=(), removed=1500, pruned=0)
    text = "\n".join(lines_of(plain, capsys))
    assert "recall" not in text
    assert "pictures/s" not in text
    assert "Note: 1,500 indexed pictures are gone from the source; --prune removes them from the collection" in text
    pruned = lines_of(dataclasses.replace(plain, moved=0, pruned=1500), capsys)
    assert "--prune" not in "\n".join(pruned)
    assert "pruned 1,500" in pruned
    assert not any("moved" in line for line in pruned)


def test_many_failures_are_cut_short_and_counted_by_reason(capsys: pytest.CaptureFixture[str]) -> None:
    failures = tuple(Failure(f"file:///{number}.png", "empty", f"number {number:02d}") for number in range(25))
    many = dataclasses.replace(REPORT, failures=failures, failed=1100, reasons={"timeout": 100, "empty": 1000}, notes=())
    lines = lines_of(many, capsys)
    assert [line for line in lines if line.startswith("empty")] == [f"empty number {number:02d}" for number in range(20)]
    assert lines[-1] == "… 1,100 failed in all: 1,000 empty, 100 timeout"
    few = lines_of(dataclasses.replace(many, failures=failures[:20], failed=20), capsys)
    assert not any("failed in all" in line for line in few)
