"""What a service sees of requests when it wants to: through `logging`, and nothing unasked."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from semblant_search import SearchClient, StoreUnavailable
from semblant_search.store import RetryPolicy

if TYPE_CHECKING:
    from pathlib import Path


def test_each_request_says_what_it_was_and_took(db: Path, pictures: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    with SearchClient(db) as client, caplog.at_level(logging.DEBUG, "semblant_search"):
        client.search(pictures[0].read_bytes(), limit=3)
        client.search_batch(pictures[:2], limit=2)
        client.count()
        client.get(pictures[1])
        client.delete([pictures[1]])
    told = [record.getMessage() for record in caplog.records]
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}
    for expected in (
        r"^Encoder\(.*\) loaded, \d+ ms$",
        r"Nearest query: 3 hits, \d+\.\d\d ms$",
        r"2 queries together: 6 hits, \d+\.\d\d ms$",
        r"1 ids: 1 records, with image, \d+\.\d\d ms$",
        r"count: 300, \d+\.\d\d ms$",
        r"1 points deleted, \d+\.\d\d ms$",
    ):
        assert [line for line in told if re.search(expected, line)], (expected, told)
    assert all(str(db) in line for line in told[1:])


def test_a_try_again_is_told_without_the_password(caplog: pytest.LogCaptureFixture) -> None:
    policy = RetryPolicy(attempts=2, first_wait=0)
    with caplog.at_level(logging.INFO, "semblant_search"), pytest.raises(StoreUnavailable):
        SearchClient("http://user:secret@127.0.0.1:9", retry=policy)
    (record,) = [record for record in caplog.records if record.name.startswith("semblant_search")]
    assert "cannot be reached" in record.getMessage()
    assert "secret" not in record.getMessage()


def test_nothing_is_printed_unasked(db: Path, pictures: list[Path]) -> None:
    script = (
        "import sys; from semblant_search import SearchClient; client = SearchClient(sys.argv[1]); "
        "client.search(sys.argv[2]); client.close()"
    )
    ended = subprocess.run([sys.executable, "-c", script, db, pictures[0]], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("", "")
