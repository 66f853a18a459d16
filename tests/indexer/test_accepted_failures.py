"""Failures that somebody accepted are counted apart, until their files change."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from semblant_indexer import IndexReport
from semblant_indexer.status import failed_jobs, read_status
from semblant_search.cli import semblant

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
    assert call("accept", "--reason", "not-an-image") == "2 failures are accepted, until their files change\n"
    assert call("accept", "--reason", "not-an-image") == "0 failures are accepted, until their files change\n"
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
    assert (index(pictures, rebuild=True).accepted, call("reopen", "--all")) == (2, "2 failures count again\n")
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
    assert call("accept", "--source", "others").startswith("0 failures")
    assert "no ledger at" in call("accept", "--all", "--state", str(tmp_path / "nowhere"), code=1)


def test_a_ledger_from_before_there_were_accepted_failures_is_read(
    failed: tuple[Path, list[Path]], call: Callable[..., str], tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "db" / "images" / "ledger.sqlite")) as connection:
        connection.execute("DROP TABLE accepted")
    assert len(read_status(str(tmp_path / "db"), "images").failures) == 3
    assert call("accept", "--all").startswith("3 failures")
