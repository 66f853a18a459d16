"""`semblant serve` as a process with a job inside: stopped and killed, nothing is lost."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import httpx
import pytest
from semblant_search import SearchClient, canonical_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from semblant_indexer import IndexReport

    Index = Callable[..., IndexReport]

START = "import sys; from semblant_search.cli import main; sys.argv[0] = 'semblant'; main()"


@contextmanager
def _served(db: Path, root: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and its address."""
    words = [sys.executable, "-c", START, "serve", "--db", str(db), "--port", "0", "--jobs-root", str(root), "--log", "none"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with closing(process.stderr):
        try:
            first = process.stderr.readline()
            found = re.search(r"http://[\w.]+:\d+", first)
            assert found is not None, first + process.stderr.read()
            yield process, found[0]
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_service_that_is_stopped_or_killed_while_a_job_runs_loses_nothing(
    number: int, pictures: Path, index: Index, tmp_path: Path, fashion_small: Path
) -> None:
    index(pictures / "bag")
    shutil.copytree(fashion_small / "train", pictures / "many")
    names: list[str] = []
    with _served(tmp_path / "db", pictures) as (process, address), httpx.Client(base_url=address, timeout=60) as http:
        job = http.post("/v1/jobs", json={"source": "many"}).json()
        told = threading.Event()

        def listen() -> None:
            with http.stream("GET", f"/v1/jobs/{job['id']}/events") as stream:
                for line in stream.iter_lines():
                    if line.startswith("event: "):
                        names.append(line[7:])
                    if '"phase":"index"' in line:
                        told.set()

        listener = threading.Thread(target=lambda: _quietly(listen))
        listener.start()
        assert told.wait(60)
        process.send_signal(number)
        assert process.wait(60) == (0 if number == signal.SIGTERM else -number)
        listener.join(60)
    assert names[0] == "job"
    report = index(pictures / "many")
    assert (report.found, report.points, report.adds_up) == (600, 610, True)
    with SearchClient(tmp_path / "db") as client:
        there = {picture.uri for picture in client.pictures()}
    assert there == {canonical_uri(path) for name in ("many", "bag") for path in (pictures / name).rglob("*.png")}


def _quietly(call: Callable[[], None]) -> None:
    with suppress(httpx.HTTPError):  # the connection ends with the process
        call()
