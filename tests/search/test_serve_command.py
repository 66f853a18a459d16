"""`semblant serve` as a process: it says where it is, answers there, and ends with what it was answering."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from semblant_search import SearchClient
from semblant_search.cli import semblant
from semblant_search.cli.serve import _JsonFormatter
from support.systems import needs_posix

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = "import sys; from semblant_search.cli import main; sys.argv[0] = 'semblant'; main()"


@contextmanager
def _served(db: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """The process, its address, and a list that its further lines are in when it has ended."""
    words = [sys.executable, "-c", START, "serve", "--db", str(db), "--port", "0", *options]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    lines: list[str] = []
    try:
        assert process.stderr is not None
        first = process.stderr.readline()
        found = re.search(r"http://[\w.]+:\d+", first)
        assert found is not None, first + process.stderr.read()
        lines.append(first)
        yield process, found[0], lines
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        lines += process.stderr.read().splitlines()
        process.stderr.close()
        process.wait(60)


def _get(address: str) -> tuple[int, dict[str, object]]:
    with urllib.request.urlopen(address) as response:
        return response.status, json.load(response)


@needs_posix
def test_it_answers_where_it_says_and_ctrl_c_ends_it(db: Path) -> None:
    with _served(db, "--log", "json") as (process, address, lines):
        assert "Serving 300 pictures of collection 'images'" in lines[0]
        assert _get(f"{address}/v1/count") == (200, {"count": 300})
        with SearchClient(address.replace("http", "semblant")) as client:
            assert client.count() == 300
        taken = subprocess.run(
            [sys.executable, "-c", START, "serve", "--db", str(db), "--port", address.rpartition(":")[2]],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (taken.returncode, taken.stderr.count("\n")) == (1, 1), taken.stderr
        assert "cannot listen at 127.0.0.1:" in taken.stderr
        second = CliRunner().invoke(semblant, ["serve", "--db", str(db), "--port", "0"])
        assert second.exit_code == 1
        assert "is open in another process" in second.stderr
        assert "semblant://localhost:8765 in place of the directory" in second.stderr  # what has it may be asked instead
        as_qdrant = CliRunner().invoke(semblant, ["count", "--db", address])
        assert as_qdrant.exit_code == 1
        assert f"A Semblant service is semblant{address.removeprefix('http')} " in as_qdrant.stderr
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    told = [json.loads(line) for line in lines[1:]]
    assert {one["operation"] for one in told} >= {"count", "get_collection", "count_long"}
    assert all(one["status"] == 200 for one in told)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "0.0.0.0"], "without keys they may do anything"),
        (["--keys", "none.json"], "holds no key"),
        (["--collection", "others"], "no collection 'others'"),
        (["--cors", "*"], "any page may not"),
        (["--cors", "https://shop.example/page"], "expected scheme://host"),
        (["--max-limit", "0"], "0 is not in the range"),
        (["--request-timeout", "0"], "expected seconds"),
        (["--request-timeout", "nan"], "expected seconds"),
        (["--max-pixels", "nan"], "expected megapixels"),
        (["--max-pixels", "inf"], "expected megapixels"),
        (["--max-pixels", "0"], "expected megapixels"),
        (["--root", "nowhere"], "'nowhere' does not exist"),
        (["--jobs-root", "nowhere"], "'nowhere' does not exist"),
        (["--jobs-root", __file__], "is a file"),
    ],
)
def test_what_it_does_not_begin_with(options: list[str], message: str, db: Path) -> None:
    done = CliRunner().invoke(semblant, ["serve", "--db", str(db), "--port", "0", *options])
    assert done.exit_code in (1, 2)
    assert message in done.stderr
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_origins_are_looked_at_before_the_database(tmp_path: Path) -> None:
    for origin in ("*", "shop"):
        done = CliRunner().invoke(semblant, ["serve", "--db", str(tmp_path / "none"), "--port", "0", "--cors", origin])
        assert (done.exit_code, f"{origin!r}: " in done.stderr) == (2, True), done.stderr


def test_there_is_no_database(tmp_path: Path) -> None:
    done = CliRunner().invoke(semblant, ["serve", "--db", str(tmp_path / "none"), "--port", "0"])
    assert (done.exit_code, "does not exist" in done.stderr) == (1, True)


def test_a_line_of_the_log_is_one_line_whatever_is_in_it() -> None:
    import logging

    record = logging.LogRecord("x", logging.INFO, "x", 1, "a\nb %s", ("\r\nc",), None)
    line = _JsonFormatter().format(record)
    assert os.linesep not in line
    assert json.loads(line)["message"] == "a\nb \r\nc"
