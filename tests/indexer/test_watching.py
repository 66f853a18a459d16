"""A folder that is watched stays indexed, whatever keeps a run from its end."""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pyarrow
import pytest
from pyarrow import parquet
from semblant_indexer import IndexJob
from semblant_indexer.watching import _by_others
from semblant_search.errors import InvalidInput, StoreLocked
from semblant_search.store import open_database
from support.watched import Watching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def watching(pictures: Path, encoder_file: Path, tmp_path: Path) -> Iterator[Callable[..., Watching]]:
    started: list[Watching] = []

    def start(db: Path = tmp_path / "db") -> Watching:
        settings: dict[str, Any] = {"orb": None, "workers": 1, "threads": 1}
        started.append(Watching(IndexJob(str(pictures), encoder_file, str(db), **settings)))
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_a_search_that_has_the_database_open_is_waited_for(
    pictures: Path, tmp_path: Path, watching: Callable[..., Watching]
) -> None:
    watched = watching()
    watched.until(lambda: watched.reports)
    with closing(open_database(tmp_path / "db")) as database, closing(database.open("images")):
        shutil.copyfile(sorted(pictures.rglob("*.png"))[0], pictures / "new.png")
        watched.until(lambda: watched.problems)
    watched.until(lambda: len(watched.reports) > 1)
    assert watched.reports[-1].points == 31
    assert {type(problem) for problem in watched.problems} == {StoreLocked}


def test_an_emptied_folder_and_a_table_that_is_half_written_are_told_and_outlived(
    pictures: Path, tmp_path: Path, watching: Callable[..., Watching]
) -> None:
    watched = watching()
    watched.until(lambda: watched.reports)
    away = tmp_path / "away"
    away.mkdir()
    for folder in sorted(pictures.iterdir()):
        folder.rename(away / folder.name)
    watched.until(lambda: watched.problems)
    for folder in sorted(away.iterdir()):
        folder.rename(pictures / folder.name)
    watched.until(lambda: len(watched.reports) > 1)
    known = sorted(path.name for path in (pictures / "bag").iterdir())[0]
    half = tmp_path / "half"
    parquet.write_table(pyarrow.table({"file": [f"bag/{known}"], "price": [5]}), half)
    (pictures / "metadata.parquet").write_bytes(half.read_bytes()[:100])
    watched.until(lambda: any("cannot be read as Parquet" in note for note in watched.reports[-1].notes))
    half.rename(pictures / "metadata.parquet")
    watched.until(lambda: watched.reports[-1].indexed == 1)
    assert "holds no pictures" in str(watched.problems[0])
    assert all(report.points == 30 for report in watched.reports)


def test_what_the_job_writes_inside_the_folder_is_no_change(
    pictures: Path, tmp_path: Path, watching: Callable[..., Watching]
) -> None:
    watched = watching(pictures / "db")
    watched.until(lambda: watched.reports)
    time.sleep(4)  # longer than changes are collected
    shutil.copyfile(sorted(pictures.rglob("*.png"))[0], tmp_path / "new.png")
    (tmp_path / "new.png").rename(pictures / "new.png")
    watched.until(lambda: len(watched.reports) > 1)
    time.sleep(4)
    assert [report.points for report in watched.reports] == [30, 31]


def test_what_counts_as_a_change(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    job = IndexJob(str(tmp_path), None, str(tmp_path / "link" / "db"), state=tmp_path / "state")
    counts = _by_others(job, [tmp_path / "report.json"])
    for own in ("link/db", "link/db/semblant.json", "real/db/images/g0001/x", "state/ledger.sqlite", "report.json"):
        assert not counts(1, str(tmp_path / own)), own
    for other in ("a.png", "link/a.png", "real/db2/a.png", "report.json.png", "states/a.png"):
        assert counts(1, str(tmp_path / other)), other


def test_the_first_run_says_at_once_what_cannot_be_indexed(
    pictures: Path, tmp_path: Path, watching: Callable[..., Watching]
) -> None:
    for folder in sorted(pictures.iterdir()):
        shutil.rmtree(folder)
    watched = watching()
    watched.thread.join(60)
    assert isinstance(watched.error, InvalidInput)
