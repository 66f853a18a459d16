"""Two jobs at once on a directory: one of them works, the other is told who, and no picture of either is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from semblant_indexer import IndexJob, run
from semblant_search import InvalidInput, SearchClient, StoreLocked
from semblant_search.store import open_database

if TYPE_CHECKING:
    from pathlib import Path

    from semblant_indexer import Progress

JOB = """
import sys
from semblant_indexer import IndexJob, run
from semblant_search import StoreLocked
try:
    print(run(IndexJob(sys.argv[1], sys.argv[2], sys.argv[3], orb=None, workers=1, threads=1)).indexed)
except StoreLocked as error:
    sys.exit(str(error))
"""


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    """Two folders of eight pictures each."""
    folders = [tmp_path / "here", tmp_path / "there"]
    for seed, folder in enumerate(folders):
        folder.mkdir()
        for number in range(8):
            pixels = np.random.default_rng(8 * seed + number).integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return folders


def test_two_first_jobs_lose_nothing(sources: list[Path], encoder_file: Path, tmp_path: Path) -> None:
    def start(source: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", JOB, str(source), str(encoder_file), str(tmp_path / "db")]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    jobs = [start(source) for source in sources]
    told = [job.communicate(timeout=120) for job in jobs]
    assert 0 in [job.returncode for job in jobs], told
    for source, job, (output, error) in zip(sources, jobs, told, strict=True):
        if job.returncode:
            assert "has another job at work" in error, error
            again = start(source)
            output, error = again.communicate(timeout=120)
            assert again.returncode == 0, error
        assert output.split() == ["8"]
    with SearchClient(tmp_path / "db") as client:
        assert client.count() == 16
        assert [one.pictures for one in client.sources()] == [8, 8]


def test_the_second_job_is_told_who_works(sources: list[Path], encoder_file: Path, tmp_path: Path) -> None:
    job = IndexJob(str(sources[0]), encoder_file, str(tmp_path / "db"), orb=None, workers=1)
    told: list[str] = []

    def meanwhile(progress: Progress) -> None:
        if progress.phase == "optimize":
            with pytest.raises(StoreLocked) as caught:
                run(IndexJob(str(sources[1]), encoder_file, str(tmp_path / "db"), orb=None, workers=1))
            told.append(str(caught.value))

    assert run(job, meanwhile).indexed == 8
    assert f"process {os.getpid()} on " in told[0]
    assert "'images'" in told[0]
    assert run(IndexJob(str(sources[1]), encoder_file, str(tmp_path / "db"), orb=None, workers=1)).points == 16


@pytest.mark.parametrize("there", ["nothing", "an empty directory"])
def test_a_job_that_comes_to_nothing_leaves_nothing(there: str, encoder_file: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    database = tmp_path / "some" / "db"
    if there != "nothing":
        database.mkdir(parents=True)
    with pytest.raises(InvalidInput, match="holds no pictures"):
        run(IndexJob(str(tmp_path / "empty"), encoder_file, str(database), orb=None))
    assert sorted(path.name for path in tmp_path.rglob("*")) == (["empty"] if there == "nothing" else ["db", "empty", "some"])


def test_what_a_killed_first_job_leaves_is_no_stranger(tmp_path: Path) -> None:
    database: Any = open_database(tmp_path / "db", create=True)
    with database.claim("images"):
        assert [path.name for path in (tmp_path / "db").iterdir()]
        for left in (".semblant.images.job", "..semblant.images.job.owner.12ab.tmp"):
            (tmp_path / "db" / left).touch()
        assert open_database(tmp_path / "db", create=True).collections() == {}
